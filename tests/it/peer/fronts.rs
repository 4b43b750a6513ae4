//! Real proxies in front of ours, on free ports. They stop when they are dropped.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running proxy.
pub struct Front {
    pub address: SocketAddr,
    child: Child,
    _directory: TempDir,
}

/// HAProxy that passes connections on with these options of its `server` line.
#[track_caller]
pub fn haproxy(to: SocketAddr, options: &str) -> Front {
    let text = |address: SocketAddr, _: &str| {
        format!(
            "defaults\n mode tcp\n timeout connect 20s\n timeout client 60s\n timeout server 60s\n\
             listen front\n bind {address}\n unique-id-format %ci\n server duskgate {to} {options}\n"
        )
    };
    start(&["/usr/sbin/haproxy"], "haproxy", &["-q", "-db", "-f"], text)
}

/// nginx that passes requests on, with these lines in its `location`.
#[track_caller]
pub fn nginx(to: SocketAddr, lines: &str) -> Front {
    let text = |address: SocketAddr, at: &str| {
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|kind| format!("{kind}_temp_path {at}/{kind};")).join(" ");
        format!(
            "worker_processes 1; daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{ }}\nhttp {{ access_log off; {temporary}\nserver {{ listen {address};\n\
             location / {{ proxy_pass http://{to}; {lines} }} }} }}\n"
        )
    };
    start(&["/usr/sbin/nginx", "/usr/bin/nginx"], "nginx-light", &["-e", "stderr", "-c"], text)
}

#[track_caller]
fn start(
    programs: &[&str],
    package: &str,
    arguments: &[&str],
    text: impl Fn(SocketAddr, &str) -> String,
) -> Front {
    let directory = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = directory.path().join("front.conf");
    fs::write(&file, text(address, &directory.path().display().to_string())).unwrap();
    let program = programs.iter().find(|path| fs::exists(path).unwrap());
    let child = Command::new(program.unwrap_or_else(|| panic!("not installed: Debian package {package}")))
        .args(arguments)
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut front = Front { address, child, _directory: directory };
    let begin = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(front.child.try_wait().unwrap().is_none(), "{package} does not run");
        assert!(begin.elapsed() < Duration::from_secs(20), "{package} does not listen");
        std::thread::sleep(Duration::from_millis(2));
    }
    front
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}
