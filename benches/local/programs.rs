//! The programs that are measured and measured with, started on free ports and stopped by id.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use duskgate::token::key_file;
use tempfile::TempDir;

/// The core of what is measured, and that of everything else.
const MEASURED: &str = "0";
const OTHERS: &str = "1";

/// A backend, and Duskgate in front of it; they stop when this is dropped.
pub struct Programs {
    address: SocketAddr,
    admin: SocketAddr,
    pid: u32,
    token: String,
    children: Vec<Child>,
    directory: TempDir,
}

impl Programs {
    /// Starts them, for callers with this access token.
    pub fn start(token: &str) -> Result<Self, String> {
        let parent = std::env::var_os("BENCH_DIRECTORY").map_or_else(|| PathBuf::from("."), PathBuf::from);
        let parent = fs::canonicalize(parent).map_err(|error| error.to_string())?;
        let directory = tempfile::tempdir_in(parent).map_err(|error| error.to_string())?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut programs = Programs {
            address: nowhere,
            admin: nowhere,
            pid: 0,
            token: token.to_owned(),
            children: Vec::new(),
            directory,
        };
        let backend = free_address()?;
        programs.start_backend(backend)?;
        programs.start_duskgate(backend)?;
        Ok(programs)
    }

    /// A backend that lets everybody invite.
    fn start_backend(&mut self, address: SocketAddr) -> Result<(), String> {
        let at = self.directory.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {at}/{kind};"))
            .join(" ");
        let text = format!(
            "worker_processes 1; daemon off; pid {at}/pid; error_log {at}/error.log;\n\
             events {{ worker_connections 8192; }}\n\
             http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 600s; {temporary}\n\
             server {{ listen {address} backlog=8192; default_type application/json;\n\
             location ~ /privileges$ {{ return 200 '{{\"privileges\":[\"group_add_user\",\"group_view\"]}}'; }}\n\
             location / {{ return 200 '{{\"groupId\":\"g\",\"name\":\"developers\"}}'; }} }} }}\n"
        );
        let file = self.write("nginx.conf", &text)?;
        let child = Command::new("taskset")
            .args(["-c", OTHERS, "nginx", "-c"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("cannot start nginx under taskset (both are Debian packages): {error}")
            })?;
        self.children.push(child);
        Ok(())
    }

    fn start_duskgate(&mut self, backend: SocketAddr) -> Result<(), String> {
        let key = self.directory.path().join("duskgate.key");
        key_file::create(&key).map_err(|error| error.to_string())?;
        self.write("service.token", "service")?;
        let text = format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n[runtime]\nthreads = 1\n\
             [log]\naccess = \"off\"\n\
             [upstream]\nservers = [\"http://{backend}\"]\nmax_requests = 1000000\nidle_timeout = \"600s\"\n\
             name_cache = \"1h\"\nservice_token_file = \"service.token\"\n\
             [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\nmode = \"local\"\n\
             [ledger]\nurl = \"sqlite:duskgate.db\"\ntimeout = \"60s\"\n\
             [local]\nonezone_domain = \"onezone.example.org\"\nkey_file = \"duskgate.key\"\n"
        );
        let file = self.write("duskgate.toml", &text)?;
        let mut child = Command::new("taskset")
            .args(["-c", MEASURED, env!("CARGO_BIN_EXE_duskgate"), "run", "--config"])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start duskgate under taskset: {error}"))?;
        let mut ready = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut ready).map_err(|error| error.to_string())?;
        }
        self.pid = child.id();
        self.children.push(child);
        let address = |name: &str| {
            let found = ready.split_whitespace().find_map(|word| word.strip_prefix(name));
            found.and_then(|text| text.parse().ok()).ok_or("duskgate did not start")
        };
        self.address = address("listener=")?;
        self.admin = address("admin=")?;
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let file = self.directory.path().join(name);
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(file)
    }

    /// The CPU time that Duskgate's threads have had.
    pub fn cpu_nanoseconds(&self) -> Result<u64, String> {
        let gone = |error| format!("duskgate is gone: {error}");
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.pid)).map_err(gone)?.flatten() {
            let text = fs::read_to_string(task.path().join("schedstat")).map_err(gone)?;
            sum += text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(sum)
    }

    /// How many requests Duskgate has made of the backend.
    pub fn asked(&self) -> Result<u64, String> {
        let scrape = || {
            let mut stream = TcpStream::connect(self.admin)?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            std::io::Result::Ok(text)
        };
        let text = scrape().map_err(|error| format!("no metrics: {error}"))?;
        let counts = text
            .lines()
            .filter_map(|line| line.strip_prefix("duskgate_upstream_request_duration_seconds_count"));
        Ok(counts.filter_map(|rest| rest.rsplit(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// Loads a path and says how many requests were answered.
    pub fn load(&self, method: &str, path: &str, seconds: usize, connections: usize) -> Result<u64, String> {
        let script = self.write("method.lua", &format!("wrk.method = \"{method}\"\n"))?;
        let output = Command::new("taskset")
            .args(["-c", OTHERS, "wrk", "-t1", "-s"])
            .arg(&script)
            .args([format!("-c{connections}"), format!("-d{seconds}s")])
            .args(["--timeout", "10s", "-H", "Accept: application/json", "-H"])
            .arg(format!("X-Auth-Token: {}", self.token))
            .arg(format!("http://{}{path}", self.address))
            .output()
            .map_err(|error| format!("cannot start wrk under taskset (both are Debian packages): {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains("Non-2xx") || text.contains("Socket errors") {
            return Err(format!("the load met errors:\n{text}"));
        }
        let answered = text.lines().find_map(|line| line.trim().split_once(" requests in")?.0.parse().ok());
        answered.filter(|&count| count > 0).ok_or_else(|| format!("wrk answered nothing:\n{text}"))
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        for child in &mut self.children {
            // nginx's master takes its worker along on TERM, not on KILL.
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            let _ = child.wait();
        }
    }
}

fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(|error| error.to_string())
}
