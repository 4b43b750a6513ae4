//! The programs that are measured and those that they are measured with, started on free ports and stopped by id.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The core of what is measured, and that of everything else.
const MEASURED: &str = "0";
const OTHERS: &str = "1";

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
    children: Vec<Child>,
    directory: PathBuf,
}

impl Peers {
    pub fn start() -> Result<Self, String> {
        let directory = std::env::temp_dir().join(format!("duskgate-bench-{}", std::process::id()));
        fs::create_dir_all(&directory)
            .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
        let backend = free_address()?;
        let nothing = |name| Peer { name, address: backend, pid: 0 };
        let mut peers =
            Peers { nginx: nothing("nginx"), duskgate: nothing("duskgate"), children: Vec::new(), directory };
        peers.start_nginx("backend", OTHERS, &backend_configuration(backend))?;
        let proxy = free_address()?;
        let master = peers.start_nginx("proxy", MEASURED, &proxy_configuration(proxy, backend))?;
        peers.nginx = Peer { name: "nginx", address: proxy, pid: worker_of(master)? };
        peers.duskgate = peers.start_duskgate(backend)?;
        Ok(peers)
    }

    fn start_nginx(&mut self, name: &str, core: &str, servers: &str) -> Result<u32, String> {
        let directory = self.directory.join(name);
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let at = directory.display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {at}/{kind};"))
            .join(" ");
        let text = format!(
            "worker_processes 1; daemon off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{ worker_connections 8192; }}\n\
             http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 600s; {temporary}\n{servers}\n}}\n"
        );
        let file = directory.join("nginx.conf");
        fs::write(&file, text).map_err(|error| error.to_string())?;
        let child = Command::new("taskset")
            .args(["-c", core, "nginx", "-c"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("cannot start nginx under taskset (both are Debian packages): {error}")
            })?;
        let id = child.id();
        self.children.push(child);
        Ok(id)
    }

    fn start_duskgate(&mut self, backend: SocketAddr) -> Result<Peer, String> {
        let file = self.directory.join("duskgate.toml");
        let text = format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n[runtime]\nthreads = 1\n\
             [upstream]\nservers = [\"http://{backend}\"]\nmax_requests = 1000000\nidle_timeout = \"600s\"\n\
             [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n"
        );
        fs::write(&file, text).map_err(|error| error.to_string())?;
        let mut child = Command::new("taskset")
            .args(["-c", MEASURED, env!("CARGO_BIN_EXE_duskgate"), "run", "--config"])
            .arg(&file)
            .env("STATE_DIRECTORY", &self.directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start duskgate under taskset: {error}"))?;
        let mut ready = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut ready).map_err(|error| error.to_string())?;
        }
        let pid = child.id();
        self.children.push(child);
        let address = ready.split_whitespace().find_map(|word| word.strip_prefix("listener="));
        let address = address.and_then(|text| text.parse().ok()).ok_or("duskgate did not start")?;
        Ok(Peer { name: "duskgate", address, pid })
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // nginx's master takes its worker along on TERM, not on KILL.
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Peer {
    /// The CPU time that its threads have had.
    pub fn cpu_nanoseconds(&self) -> Result<u64, String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).map_err(|error| self.gone(&error))?;
        let mut sum = 0;
        for task in tasks.flatten() {
            let text =
                fs::read_to_string(task.path().join("schedstat")).map_err(|error| self.gone(&error))?;
            sum += text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(sum)
    }

    /// Its resident memory.
    pub fn resident_kib(&self) -> Result<u64, String> {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.pid)).map_err(|error| self.gone(&error))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .ok_or_else(|| format!("{} has no resident memory", self.name))
    }

    fn gone(&self, error: &io::Error) -> String {
        format!("{} is gone: {error}", self.name)
    }
}

/// Loads an address with GETs and says how many were answered.
pub fn load(address: SocketAddr, seconds: usize, connections: usize) -> Result<u64, String> {
    let output = Command::new("taskset")
        .args(["-c", OTHERS, "wrk", "-t1"])
        .args([format!("-c{connections}"), format!("-d{seconds}s")])
        .args([
            "-H",
            "Accept: application/json",
            "-H",
            "X-Auth-Token: MDAxY2xvY2F00aW9uIG9uZXpvbmUuZXhhbXBsZQ",
        ])
        .arg(format!("http://{address}/api/v3/onezone/groups/0123456789abcdef/users"))
        .output()
        .map_err(|error| format!("cannot start wrk under taskset (both are Debian packages): {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("the load met errors:\n{text}"));
    }
    let answered = text.lines().find_map(|line| line.trim().split_once(" requests in")?.0.parse().ok());
    answered.filter(|&count| count > 0).ok_or_else(|| format!("wrk answered nothing:\n{text}"))
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

fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(|error| error.to_string())
}
