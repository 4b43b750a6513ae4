//! Whether files have changed, told by what is in them: a time of modification says nothing of a file that is put in
//! another's place by a rename, or of a symbolic link that leads elsewhere, which is how certbot and Kubernetes do it.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Files, and what was in them when they were last looked at.
#[derive(Debug)]
pub struct Lookout {
    files: Vec<PathBuf>,
    seen: [u8; 32],
}

impl Lookout {
    /// Looks at files for the first time.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let files: Vec<_> = files.into_iter().collect();
        let seen = digest(&files);
        Lookout { files, seen }
    }

    /// Whether they have changed since they were last looked at. A file that cannot be read is one that has changed.
    pub fn has_changed(&mut self) -> bool {
        let before = std::mem::replace(&mut self.seen, digest(&self.files));
        before != self.seen
    }
}

fn digest(files: &[PathBuf]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for file in files {
        match std::fs::read(file).map(Zeroizing::new) {
            Ok(bytes) => {
                digest.update((bytes.len() as u64).to_le_bytes());
                digest.update(&*bytes);
            }
            Err(error) => digest.update(format!("{:?}", error.kind())),
        }
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_once_however_it_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.pem");
        let mut lookout = Lookout::new([file.clone()]);
        assert!(!lookout.has_changed());
        std::fs::write(&file, "one").unwrap();
        assert!(lookout.has_changed());
        std::fs::write(&file, "one").unwrap();
        assert!(!lookout.has_changed(), "written again, and the same");
        std::fs::write(directory.path().join("b.pem"), "two").unwrap();
        std::fs::rename(directory.path().join("b.pem"), &file).unwrap();
        assert!(lookout.has_changed());
        std::fs::write(directory.path().join("c.pem"), "new").unwrap();
        std::os::unix::fs::symlink("c.pem", directory.path().join("link")).unwrap();
        std::fs::rename(directory.path().join("link"), &file).unwrap();
        assert!(lookout.has_changed());
        assert!(!lookout.has_changed());
        std::fs::remove_file(&file).unwrap();
        assert!(lookout.has_changed());
        assert!(!lookout.has_changed());
    }
}
