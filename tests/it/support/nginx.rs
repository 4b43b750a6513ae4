//! A real nginx as the backend, on a free port with a directory of its own. It stops when it is dropped.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running nginx that serves and stores files.
pub struct Nginx {
    pub address: SocketAddr,
    child: Child,
    directory: TempDir,
}

impl Nginx {
    /// Starts it; `./tests/run` installs it.
    #[track_caller]
    pub fn start() -> Self {
        Nginx::with("")
    }

    /// The same with more in its `server`.
    #[track_caller]
    pub fn with(more: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let nginx = Nginx::serving(address, |at| format!("root {at}/files; dav_methods PUT; {more}"), &[]);
        nginx.listens(|| TcpStream::connect(address).is_ok());
        nginx
    }

    /// Starts one here that answers everything with 200 and this text, which may hold nginx's variables; by this command,
    /// if there is one, and without waiting until it listens.
    #[track_caller]
    pub fn answering(address: SocketAddr, text: &str, within: &[&str]) -> Self {
        Nginx::serving(address, |_| format!("location / {{ return 200 \"{text}\"; }}"), within)
    }

    #[track_caller]
    fn serving(address: SocketAddr, what: impl Fn(&str) -> String, within: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {at}/{kind};"))
            .join(" ");
        let text = format!(
            "worker_processes 1; daemon off; pid {at}/pid; error_log {at}/error.log; user root;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; client_max_body_size 0; {temporary}\n\
             server {{ listen {address} backlog=4096; {} }} }}\n",
            what(&at.to_string())
        );
        // Only root may, and need, say whose the worker is.
        let text = if is_root() { text } else { text.replace(" user root;", "") };
        fs::create_dir(directory.path().join("files")).unwrap();
        fs::write(directory.path().join("nginx.conf"), text).unwrap();
        let program =
            ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| fs::exists(path).unwrap());
        let program = program.expect("nginx is installed (Debian package nginx-light)");
        let command: Vec<&str> = within.iter().copied().chain([program]).collect();
        let child = Command::new(command[0])
            .args(&command[1..])
            .arg("-c")
            .arg(directory.path().join("nginx.conf"))
            .args(["-e", "stderr"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Nginx { address, child, directory }
    }

    /// Waits until it listens, as this tells.
    #[track_caller]
    pub fn listens(&self, answers: impl Fn() -> bool) {
        let begin = Instant::now();
        while !answers() {
            assert!(begin.elapsed() < Duration::from_secs(20), "nginx does not listen");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends it and its worker at once, whatever they are doing.
    pub fn kill(mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }

    /// The directory of its files.
    pub fn files(&self) -> PathBuf {
        self.directory.path().join("files")
    }
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // Killed outright, the master would leave its worker behind.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}
