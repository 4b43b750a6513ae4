//! The programs that are measured and those that they are measured with, started on free ports and stopped by id.

use std::fs;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{self, Duskgate, MEASURED, OTHERS, Programs, free_address, missing, pinned};

/// What answers the backend's requests.
const ANSWER: &str = "hello, this is a small body\n";
/// The bytes of a large one.
const LARGE: usize = 1 << 20;

/// A proxy that is measured.
pub struct Peer {
    pub name: &'static str,
    pub address: SocketAddr,
    /// Where it takes HTTP/2 in the clear.
    pub http2: SocketAddr,
    /// The process that serves: of nginx the worker.
    pid: u32,
}

/// All of them; they stop when this is dropped.
pub struct Peers {
    pub nginx: Peer,
    pub duskgate: Peer,
    _started: Programs,
}

impl Peers {
    pub fn start() -> Result<Self, String> {
        let mut started = Programs::within(&std::env::temp_dir())?;
        let (backend, proxy, http2) = (free_address()?, free_address()?, free_address()?);
        started.write("large", &"x".repeat(LARGE))?;
        let root = started.path("");
        started.start_nginx("backend", OTHERS, &backend_configuration(backend, &root))?;
        let master = started.start_nginx("proxy", MEASURED, &proxy_configuration(proxy, http2, backend))?;
        let nginx = Peer { name: "nginx", address: proxy, http2, pid: worker_of(master)? };
        let duskgate = started.start_duskgate(&format!(
            "[upstream]\nservers = [\"http://{backend}\"]\nmax_requests = 1000000\nidle_timeout = \"600s\"\n\
             [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n"
        ))?;
        let Duskgate { listener: address, pid, .. } = duskgate;
        let duskgate = Peer { name: "duskgate", address, http2: address, pid };
        Ok(Peers { nginx, duskgate, _started: started })
    }
}

impl Peer {
    /// The CPU time that its threads have had.
    pub fn cpu_nanoseconds(&self) -> Result<u64, String> {
        support::cpu_nanoseconds(self.pid)
    }

    /// Its resident memory.
    pub fn resident_kib(&self) -> Result<u64, String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))
            .map_err(|error| format!("{} is gone: {error}", self.name))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .ok_or_else(|| format!("{} has no resident memory", self.name))
    }
}

/// What a peer is asked for.
#[derive(Clone, Copy)]
pub enum Load {
    Small,
    SmallHttp2,
    Large,
    LargeHttp2,
}

impl Load {
    pub const ALL: [Load; 4] = [Load::Small, Load::SmallHttp2, Load::Large, Load::LargeHttp2];

    pub fn name(self) -> &'static str {
        match self {
            Load::Small => "small keep-alive GET, HTTP/1.1",
            Load::SmallHttp2 => "small GET, HTTP/2, 8 connections",
            Load::Large => "download of 1 MiB, HTTP/1.1",
            Load::LargeHttp2 => "download of 1 MiB, HTTP/2",
        }
    }

    /// Loads a peer and says how many requests were answered.
    pub fn run(self, peer: &Peer, seconds: usize, connections: usize) -> Result<u64, String> {
        match self {
            Load::Small => {
                let url = format!("http://{}{SMALL_PATH}", peer.address);
                support::load(&url, seconds, connections, &["-H", TOKEN])
            }
            Load::SmallHttp2 => {
                let streams = (connections / 8).max(1).to_string();
                let url = format!("http://{}{SMALL_PATH}", peer.http2);
                load_with_h2load(&url, seconds, &["-c", "8", "-m", &streams, "-H", TOKEN])
            }
            Load::Large => {
                let url = format!("http://{}/large", peer.address);
                load_with_h2load(&url, seconds, &["--h1", "-c", "4"])
            }
            Load::LargeHttp2 => {
                let url = format!("http://{}/large", peer.http2);
                load_with_h2load(&url, seconds, &["-c", "4", "-m", "1"])
            }
        }
    }
}

const SMALL_PATH: &str = "/api/v3/onezone/groups/0123456789abcdef/users";
const TOKEN: &str = "X-Auth-Token: MDAxY2xvY2F00aW9uIG9uZXpvbmUuZXhhbXBsZQ";

/// Loads a URL with h2load, and says how many requests were answered.
fn load_with_h2load(url: &str, seconds: usize, arguments: &[&str]) -> Result<u64, String> {
    let output = pinned(OTHERS, "h2load")
        .args(["-t", "1", "-D", &seconds.to_string()])
        .args(arguments)
        .arg(url)
        .output()
        .map_err(|error| missing("h2load", &error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("requests:")).unwrap_or_default();
    let count = |what: &str| -> Option<u64> {
        line.split(", ").find_map(|part| part.strip_suffix(what)?.trim().parse().ok())
    };
    match (count(" succeeded"), count(" failed"), count(" errored")) {
        (Some(answered @ 1..), Some(0), Some(0)) => Ok(answered),
        _ => Err(format!("the load met errors, or nothing was answered:\n{text}")),
    }
}

/// Reads one answer with a length.
pub fn read_answer(stream: &mut TcpStream) -> io::Result<()> {
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while !answer.ends_with(ANSWER.as_bytes()) {
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => answer.extend_from_slice(&piece[..read]),
        }
    }
    Ok(())
}

fn backend_configuration(address: SocketAddr, root: &Path) -> String {
    let (answer, root) = (ANSWER.trim_end(), root.display());
    format!(
        "server {{ listen {address} backlog=8192; default_type text/plain; location = /large {{ root {root}; }}\n\
         location / {{ return 200 \"{answer}\\n\"; }} }}"
    )
}

/// What Duskgate does to a request, as nginx does it.
fn proxy_configuration(address: SocketAddr, http2: SocketAddr, backend: SocketAddr) -> String {
    format!(
        "upstream backend {{ server {backend}; keepalive 256; keepalive_requests 100000000; }}\n\
         server {{ listen {address} backlog=8192; listen {http2} http2 backlog=8192; location / {{\n\
         proxy_pass http://backend; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_set_header Host $http_host; proxy_set_header Via \"1.1 nginx\";\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host; }} }}"
    )
}

/// The one worker of an nginx, once it is there.
fn worker_of(master: u32) -> Result<u32, String> {
    let begin = Instant::now();
    let children = format!("/proc/{master}/task/{master}/children");
    while begin.elapsed() < Duration::from_secs(5) {
        let worker = fs::read_to_string(Path::new(&children)).unwrap_or_default();
        if let Some(pid) = worker.split_whitespace().next().and_then(|pid| pid.parse().ok()) {
            return Ok(pid);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err("nginx did not start its worker".to_owned())
}
