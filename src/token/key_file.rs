//! The file that the keys lie in ([`super::keys`]): read, made, and given a new key. Whoever can read it can forge
//! tokens, so a file that others can read is refused rather than used.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::keys::{BadKeys, KeyRing, new_key};

/// The mode of a new key file: only its owner reads it.
const MODE: u32 = 0o600;
/// What group and others may do; none of it.
const OTHERS: u32 = 0o077;
/// The largest key file, in bytes: room for some hundred keys and their comments.
const LARGEST: u64 = 64 * 1024;

/// Why a key file cannot be used. Names the file, and nothing of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum BadKeyFile {
    /// The system refused.
    #[error("cannot {verb} {}: {error}", file.display())]
    System {
        /// What was tried.
        verb: &'static str,
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// There is a file already, and a new one is never put in its place.
    #[error("{} exists already; --add puts a new key in front of those in it", file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// Group or others may read or write it.
    #[error("{} has mode {mode:04o}, so others can read or change the keys; chmod 600 it", file.display())]
    Exposed {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody who could change the keys.
    #[error(
        "{} belongs to the user {owner}, who can change the keys, and this runs as the user {own}; chown it to that user or \
         to root, or run this as the user {owner}", file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
        /// The number of its owner.
        owner: u32,
        /// The number of the user as whom the program runs.
        own: u32,
    },
    /// A directory, a pipe, a device.
    #[error("{} is no regular file", file.display())]
    NoFile {
        /// The file.
        file: PathBuf,
    },
    /// What is in it are no keys.
    #[error("{}: {error}", file.display())]
    Keys {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        #[source]
        error: BadKeys,
    },
}

/// The keys in a file, which must belong to the user as whom this runs, or to root.
pub fn read(file: &Path) -> Result<KeyRing, BadKeyFile> {
    let opened = open(file)?;
    let owner = opened.metadata().map_err(|error| system("read", file, error))?.uid();
    let own = rustix::process::geteuid().as_raw();
    if is_foreign(owner, own) {
        return Err(BadKeyFile::Foreign { file: file.to_owned(), owner, own });
    }
    let text = text_of(file, &opened)?;
    parse(file, &text)
}

/// Makes a key file with one new key, readable by its owner only. It is never put over an existing file.
pub fn create(file: &Path) -> Result<(), BadKeyFile> {
    let made = OpenOptions::new().write(true).create_new(true).mode(MODE).open(file);
    let mut made = made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BadKeyFile::Exists { file: file.to_owned() },
        _ => system("create", file, error),
    })?;
    let written = fill(&mut made, "").and_then(|()| sync_directory_of(file));
    written.map_err(|error| {
        // Without a whole key in it, it is of no use; that it cannot be removed changes nothing.
        let _ = fs::remove_file(file);
        system("write", file, error)
    })
}

/// Puts a new key in front of those in a file, which must be one that [`read`] takes; only that it may be another user's,
/// because root adds keys to the file of the user as whom the proxy runs. At every moment the file holds
/// the old keys or the old ones and the new one; owner and mode are kept. Two at a time come one after the other.
pub fn add(file: &Path) -> Result<(), BadKeyFile> {
    // A link goes on pointing where it does; what it points at is replaced.
    let file = &file.canonicalize().map_err(|error| system("read", file, error))?;
    let old = lock(file)?;
    let text = text_of(file, &old)?;
    parse(file, &text)?;
    let new = beside(file);
    let replaced = write_beside(&new, &old, &text)
        .and_then(|()| fs::rename(&new, file))
        .and_then(|()| sync_directory_of(file));
    replaced.map_err(|error| {
        let _ = fs::remove_file(&new);
        system("write", file, error)
    })
}

/// Opens the file that has this name, once nobody else is about to put another in its place. The lock is let go with
/// the handle.
fn lock(file: &Path) -> Result<File, BadKeyFile> {
    loop {
        let opened = open(file)?;
        opened.lock().map_err(|error| system("lock", file, error))?;
        let unread = |error| system("read", file, error);
        let (held, named) = (opened.metadata().map_err(unread)?, fs::metadata(file).map_err(unread)?);
        if (held.dev(), held.ino()) == (named.dev(), named.ino()) {
            return Ok(opened);
        }
    }
}

/// Opens a file that may hold keys. What is checked is what was opened, whatever its name stands for later.
fn open(file: &Path) -> Result<File, BadKeyFile> {
    let metadata = fs::metadata(file).map_err(|error| system("read", file, error))?;
    if !metadata.is_file() {
        // Opening a pipe would wait for somebody to write.
        return Err(BadKeyFile::NoFile { file: file.to_owned() });
    }
    let opened = File::open(file).map_err(|error| system("read", file, error))?;
    let metadata = opened.metadata().map_err(|error| system("read", file, error))?;
    match metadata.mode() & 0o7777 {
        _ if !metadata.is_file() => Err(BadKeyFile::NoFile { file: file.to_owned() }),
        mode if mode & OTHERS != 0 => Err(BadKeyFile::Exposed { file: file.to_owned(), mode }),
        _ => Ok(opened),
    }
}

/// Whether somebody else than we and root may change what we read.
fn is_foreign(owner: u32, own: u32) -> bool {
    owner != own && owner != 0
}

fn text_of(file: &Path, opened: &File) -> Result<Zeroizing<String>, BadKeyFile> {
    // Enough room from the start, so that growing leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(LARGEST as usize + 1));
    let read = opened.take(LARGEST + 1).read_to_string(&mut text);
    match read {
        Ok(length) if length as u64 > LARGEST => {
            Err(system("read", file, io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 64 KiB")))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(system("read", file, error)),
    }
}

fn parse(file: &Path, text: &str) -> Result<KeyRing, BadKeyFile> {
    KeyRing::parse(text).map_err(|error| BadKeyFile::Keys { file: file.to_owned(), error })
}

/// A name in the same directory that nothing has.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{:016x}", fastrand::u64(..)));
    file.with_file_name(name)
}

fn write_beside(new: &Path, old: &File, text: &str) -> io::Result<()> {
    let metadata = old.metadata()?;
    let mut made = OpenOptions::new().write(true).create_new(true).mode(MODE).open(new)?;
    if (metadata.uid(), metadata.gid()) != (made.metadata()?.uid(), made.metadata()?.gid()) {
        fchown(&made, Some(metadata.uid()), Some(metadata.gid()))?;
    }
    fill(&mut made, text)?;
    made.set_permissions(metadata.permissions())
}

/// Writes a new key and what follows it, and sees it to the disk.
fn fill(made: &mut File, rest: &str) -> io::Result<()> {
    // The umask may have taken even the owner's rights.
    made.set_permissions(fs::Permissions::from_mode(MODE))?;
    let key = new_key();
    made.write_all(key.as_bytes())?;
    made.write_all(b"\n")?;
    made.write_all(rest.as_bytes())?;
    made.sync_all()
}

/// Sees to the disk that a name was made or changed.
fn sync_directory_of(file: &Path) -> io::Result<()> {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn system(verb: &'static str, file: &Path, error: io::Error) -> BadKeyFile {
    BadKeyFile::System { verb, file: file.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::is_foreign;

    #[test]
    fn a_file_is_trusted_that_is_our_own_or_roots() {
        let foreign = [(0, 0), (0, 1000), (1000, 1000), (1000, 0), (1000, 1001)];
        let foreign = foreign.map(|(owner, own)| is_foreign(owner, own));
        assert_eq!(foreign, [false, false, false, true, true]);
    }
}
