//! A small disk of a test's own, which can be filled and made read-only without harm to anybody: a file system in memory,
//! mounted where only the programs that are started on it see it. It goes with the tests, however they end.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A disk that is there until it is dropped.
pub struct Disk {
    directory: TempDir,
    /// Whose view of the machine has the disk in it. Ends when its standard input does.
    keeper: Child,
    is_of_user: bool,
}

impl Disk {
    /// A disk with room for so many bytes.
    pub fn new(bytes: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut failures = Vec::new();
        // As root; and, where that may not, or who runs the tests is somebody else, as the root of a world of one's own.
        for is_of_user in [false, true] {
            match keep(directory.path(), bytes, is_of_user) {
                Ok(keeper) => return Disk { directory, keeper, is_of_user },
                Err(failure) => failures.push(failure),
            }
        }
        panic!(
            "this test needs a mount namespace: run it as root with CAP_SYS_ADMIN, or let users have namespaces of their \
             own (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone): {failures:?}"
        );
    }

    /// Where it is, for the programs on it.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A place on it, for the test.
    pub fn outside(&self, name: &str) -> PathBuf {
        let inside = self.path().join(name);
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        root.join(inside.strip_prefix("/").expect("an absolute path"))
    }

    /// What to begin a command with so that its program has this disk.
    pub fn prefix(&self) -> Vec<String> {
        let mut prefix = vec!["nsenter".to_owned(), format!("--target={}", self.keeper.id())];
        if self.is_of_user {
            prefix.extend(["--user".to_owned(), "--preserve-credentials".to_owned()]);
        }
        prefix.extend(["--mount".to_owned(), "--".to_owned()]);
        prefix
    }

    /// Takes up all the room that is left.
    pub fn fill(&self) {
        let mut filler =
            File::options().create(true).append(true).open(self.outside("filler")).expect("a file");
        for size in [64 * 1024, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Gives back the room that was taken up.
    pub fn free(&self) {
        fs::remove_file(self.outside("filler")).expect("it was filled");
    }

    /// Has nothing written to it from now on. No program may have a file open for writing.
    pub fn forbid_writing(&self) {
        self.mount("remount,bind,ro");
    }

    /// Has it written to again.
    pub fn allow_writing(&self) {
        self.mount("remount,bind,rw");
    }

    fn mount(&self, options: &str) {
        let [enter, arguments @ ..] = &self.prefix()[..] else { unreachable!("it begins with a program") };
        let mut command = Command::new(enter);
        command.args(arguments).args(["mount", "-o", options]).arg(self.path());
        let done = command.output().expect("nsenter, of Debian's package util-linux");
        assert!(done.status.success(), "{options}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Starts a process that has the disk; or why not.
fn keep(directory: &Path, bytes: u64, is_of_user: bool) -> Result<Child, String> {
    let script = r#"mount -t tmpfs -o "size=$2,mode=755" tmpfs "$1" && echo mounted && read -r _"#;
    let mut command = Command::new("unshare");
    if is_of_user {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "--propagation=private", "sh", "-c", script, "sh"]);
    command.arg(directory).arg(bytes.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut keeper = command.spawn().map_err(|error| format!("unshare: {error}"))?;
    let mut said = String::new();
    let mut stdout = BufReader::new(keeper.stdout.take().expect("a pipe"));
    stdout.read_line(&mut said).expect("text");
    if said == "mounted\n" {
        return Ok(keeper);
    }
    keeper.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    keeper.wait().expect("it ends");
    Err(said)
}
