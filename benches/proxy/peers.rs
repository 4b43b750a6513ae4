//! The programs that are measured and those that they are measured with, started on free ports and stopped by id.

use std::fs;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{self, MEASURED, OTHERS, Programs, free_address};

/// What answers the backend's requests.
const ANSWER: &str = "hello, this is a small body\n";

/// A proxy that is measured.
pub struct Peer {
    pub name: &'static str,
    pub address: SocketAddr,
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
        let (backend, proxy) = (free_address()?, free_address()?);
        started.start_nginx("backend", OTHERS, &backend_configuration(backend))?;
        let master = started.start_nginx("proxy", MEASURED, &proxy_configuration(proxy, backend))?;
        let nginx = Peer { name: "nginx", address: proxy, pid: worker_of(master)? };
        let duskgate = started.start_duskgate(&format!(
            "[upstream]\nservers = [\"http://{backend}\"]\nmax_requests = 1000000\nidle_timeout = \"600s\"\n\
             [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n"
        ))?;
        let duskgate = Peer { name: "duskgate", address: duskgate.listener, pid: duskgate.pid };
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

/// Loads an address with GETs and says how many were answered.
pub fn load(address: SocketAddr, seconds: usize, connections: usize) -> Result<u64, String> {
    let url = format!("http://{address}/api/v3/onezone/groups/0123456789abcdef/users");
    support::load(
        &url,
        seconds,
        connections,
        &["-H", "X-Auth-Token: MDAxY2xvY2F00aW9uIG9uZXpvbmUuZXhhbXBsZQ"],
    )
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

fn backend_configuration(address: SocketAddr) -> String {
    let answer = ANSWER.trim_end();
    format!(
        "server {{ listen {address} backlog=8192; location / {{ default_type text/plain; return 200 \"{answer}\\n\"; }} }}"
    )
}

/// What Duskgate does to a request, as nginx does it.
fn proxy_configuration(address: SocketAddr, backend: SocketAddr) -> String {
    format!(
        "upstream backend {{ server {backend}; keepalive 256; keepalive_requests 100000000; }}\n\
         server {{ listen {address} backlog=8192; location / {{ proxy_pass http://backend; proxy_http_version 1.1;\n\
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
