//! What the benchmarks share: settings from the environment, and programs on free ports, each pinned to a core and
//! stopped by id. Not every benchmark uses all of it.

#![allow(dead_code, clippy::print_stdout, reason = "shared by several programs whose output are figures")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::str::FromStr;

use tempfile::TempDir;

/// The core of what is measured, and that of everything else.
pub const MEASURED: &str = "0";
pub const OTHERS: &str = "1";

/// Runs a benchmark; `cargo test --benches` has no intention to measure.
pub fn run<E: std::fmt::Display>(measure: impl FnOnce() -> Result<(), E>) -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A number from the environment, above 0.
pub fn setting<T: FromStr + PartialOrd + Default>(name: &str, default: T) -> T {
    let number = std::env::var(name).ok().and_then(|text| text.parse().ok());
    number.filter(|number| *number > T::default()).unwrap_or(default)
}

/// Programs with a directory of their own; they stop when this is dropped.
pub struct Programs {
    children: Vec<Child>,
    directory: TempDir,
}

/// A running Duskgate.
pub struct Duskgate {
    pub pid: u32,
    pub listener: SocketAddr,
    pub admin: SocketAddr,
}

impl Programs {
    /// None yet; their directory lies in `parent`.
    pub fn within(parent: &Path) -> Result<Self, String> {
        let parent = fs::canonicalize(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
        let directory = tempfile::tempdir_in(parent).map_err(|error| error.to_string())?;
        Ok(Programs { children: Vec::new(), directory })
    }

    /// Starts an nginx with one worker and these servers; the id of its master.
    pub fn start_nginx(&mut self, name: &str, core: &str, servers: &str) -> Result<u32, String> {
        let directory = self.directory.path().join(name);
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
        let file = self.write(&format!("{name}/nginx.conf"), &text)?;
        let child =
            pinned(core, "nginx").arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.map_err(|error| missing("nginx", &error))?;
        let id = child.id();
        self.children.push(child);
        Ok(id)
    }

    /// Starts Duskgate with one serving thread on free ports, with this at the end of its configuration.
    pub fn start_duskgate(&mut self, configuration: &str) -> Result<Duskgate, String> {
        let text = format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n[runtime]\nthreads = 1\n\
             {configuration}"
        );
        let file = self.write("duskgate.toml", &text)?;
        let mut child = pinned(MEASURED, env!("CARGO_BIN_EXE_duskgate"))
            .args(["run", "--config"])
            .arg(&file)
            .env("STATE_DIRECTORY", self.directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| missing("duskgate", &error))?;
        let mut ready = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut ready).map_err(|error| error.to_string())?;
        }
        let pid = child.id();
        self.children.push(child);
        let address = |name: &str| {
            let found = ready.split_whitespace().find_map(|word| word.strip_prefix(name));
            found.and_then(|text| text.parse().ok()).ok_or("duskgate did not start")
        };
        Ok(Duskgate { pid, listener: address("listener=")?, admin: address("admin=")? })
    }

    /// Writes a file into the directory.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let file = self.path(name);
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(file)
    }

    /// Where a file of the directory is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
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

/// The CPU time that a process's threads have had.
pub fn cpu_nanoseconds(pid: u32) -> Result<u64, String> {
    let gone = |error| format!("process {pid} is gone: {error}");
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).map_err(gone)?.flatten() {
        let text = fs::read_to_string(task.path().join("schedstat")).map_err(gone)?;
        sum += text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

/// Loads a URL with wrk, which takes these arguments as well, and says how many requests were answered.
pub fn load(url: &str, seconds: usize, connections: usize, arguments: &[&str]) -> Result<u64, String> {
    let output = pinned(OTHERS, "wrk")
        .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s")])
        .args(["-H", "Accept: application/json"])
        .args(arguments)
        .arg(url)
        .output()
        .map_err(|error| missing("wrk", &error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("the load met errors:\n{text}"));
    }
    let answered = text.lines().find_map(|line| line.trim().split_once(" requests in")?.0.parse().ok());
    answered.filter(|&count| count > 0).ok_or_else(|| format!("wrk answered nothing:\n{text}"))
}

/// A free port of the loopback address.
pub fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(|error| error.to_string())
}

/// A program on one core.
pub fn pinned(core: &str, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core, program]);
    command
}

/// Says that a program cannot be started.
pub fn missing(program: &str, error: &std::io::Error) -> String {
    format!(
        "cannot start {program} under taskset (nginx, wrk, nghttp2-client and util-linux are Debian packages): {error}"
    )
}
