//! The program under test: the real binary with a configuration of its own, on free ports. It is killed when it is
//! dropped, and its log is printed if the test has failed.

#![allow(dead_code)]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::http::{Request, Response, ask};

/// Nothing that a test waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A configuration in the making: two listeners on free ports, everything else by default until it is set here.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    servers: Vec<String>,
    listeners: usize,
    listener: String,
    upstream: String,
    deprecation: String,
    rest: String,
    files: Vec<(String, Vec<u8>)>,
    environment: Vec<(String, String)>,
    prefix: Vec<String>,
    stdin: Option<Arc<OwnedFd>>,
}

impl Setup {
    /// A proxy in front of this backend.
    pub fn before(backend: SocketAddr) -> Self {
        Setup::before_all([format!("http://{backend}")])
    }

    /// A proxy in front of servers given as origins.
    pub fn before_all(servers: impl IntoIterator<Item = String>) -> Self {
        Setup { servers: servers.into_iter().collect(), listeners: 1, ..Setup::default() }
    }

    pub fn listeners(mut self, count: usize) -> Self {
        self.listeners = count;
        self
    }

    /// A line in every `[[listener]]`.
    pub fn listener(mut self, line: &str) -> Self {
        self.listener += &format!("{line}\n");
        self
    }

    /// One thread serves all, so that each request finds the connection that the one before it has left.
    pub fn one_thread(self) -> Self {
        self.section("[runtime]\nthreads = 1")
    }

    /// A line in `[upstream]`.
    pub fn upstream(mut self, line: &str) -> Self {
        self.upstream += &format!("{line}\n");
        self
    }

    /// A line in `[deprecation]`.
    pub fn deprecation(mut self, line: &str) -> Self {
        self.deprecation += &format!("{line}\n");
        self
    }

    /// Whole tables.
    pub fn section(mut self, text: &str) -> Self {
        self.rest += &format!("\n{text}\n");
        self
    }

    /// A file beside the configuration.
    pub fn file(mut self, name: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.to_owned(), contents.into()));
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A program that starts the proxy in its own place: `setpriv …`.
    pub fn within(mut self, prefix: impl IntoIterator<Item = String>) -> Self {
        self.prefix.extend(prefix);
        self
    }

    /// What the program has as its standard input.
    pub fn stdin(mut self, handle: OwnedFd) -> Self {
        self.stdin = Some(Arc::new(handle));
        self
    }

    /// Limits on file handles, soft and hard.
    pub fn handles(self, soft: usize, hard: usize) -> Self {
        let limits = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
        self.within(["sh".to_owned(), "-c".to_owned(), limits])
    }

    /// The configuration file.
    pub fn to_toml(&self) -> String {
        let mut text =
            format!("[[listener]]\naddress = \"127.0.0.1:0\"\n{}", self.listener).repeat(self.listeners);
        let Setup { servers, upstream, deprecation, rest, .. } = self;
        write!(
            text,
            "[admin]\naddress = \"127.0.0.1:0\"\n[upstream]\nservers = {servers:?}\n{upstream}\
             [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n{deprecation}{rest}"
        )
        .expect("a string takes everything");
        text
    }

    /// Starts the proxy and waits until it is ready.
    #[track_caller]
    pub fn start(&self) -> Program {
        let (program, ready) = Program::spawn(self);
        let Some(ready) = ready else { panic!("the program ended before it was ready: {}", program.log()) };
        assert!(ready.starts_with("ready listener="), "{ready}");
        program
    }

    /// Starts the proxy, which is expected to fail: its exit code and what it wrote to stderr.
    #[track_caller]
    pub fn fail(&self) -> (Option<i32>, String) {
        let (mut program, ready) = Program::spawn(self);
        assert_eq!(ready, None, "the program started");
        let status = program.ended();
        program.log_ended();
        (status.code(), program.log())
    }
}

/// A running proxy.
pub struct Program {
    /// Where clients connect.
    pub listeners: Vec<SocketAddr>,
    /// Where the admin listener is.
    pub admin: SocketAddr,
    child: Child,
    log: Arc<Log>,
    directory: TempDir,
}

/// What the program has written to stderr.
#[derive(Default)]
struct Log {
    text: Mutex<String>,
    grown: Condvar,
    is_whole: AtomicBool,
}

impl Program {
    fn spawn(setup: &Setup) -> (Self, Option<String>) {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, contents) in &setup.files {
            std::fs::write(directory.path().join(name), contents).expect("a file");
        }
        let file = directory.path().join("duskgate.toml");
        std::fs::write(&file, setup.to_toml()).expect("a file");
        let words = setup.prefix.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_duskgate")]);
        let words: Vec<&str> = words.collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .args(["run", "--config"])
            .arg(&file)
            // Nothing is left in the directory of the tests.
            .env("STATE_DIRECTORY", directory.path())
            .envs(setup.environment.iter().map(|(name, value)| (name, value)))
            .stdin(
                setup.stdin.as_ref().map_or_else(Stdio::inherit, |handle| handle.try_clone().unwrap().into()),
            )
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let log = Arc::new(Log::default());
        let stderr = child.stderr.take().expect("a pipe");
        let writer = Arc::clone(&log);
        std::thread::spawn(move || writer.fill_from(BufReader::new(stderr)));

        let mut ready = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        stdout.read_line(&mut ready).expect("a line");
        child.stdout = Some(stdout.into_inner());
        let address = |name: &str| {
            let words = ready.split_ascii_whitespace();
            let values = words.filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            values.map(|value| value.parse().expect("an address")).collect::<Vec<SocketAddr>>()
        };
        let admin = address("admin").first().copied().unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        let program = Program { listeners: address("listener"), admin, child, log, directory };
        (program, (!ready.is_empty()).then_some(ready))
    }

    /// The first listener.
    pub fn address(&self) -> SocketAddr {
        self.listeners[0]
    }

    /// Sends one request on a connection of its own.
    pub async fn ask(&self, request: &Request) -> Response {
        ask(self.address(), request).await
    }

    /// Gets a path of the admin listener.
    pub async fn admin(&self, path: &str) -> Response {
        ask(self.admin, &Request::new("GET", path)).await
    }

    /// Posts to a path of the admin listener.
    pub async fn command(&self, path: &str) -> Response {
        ask(self.admin, &Request::new("POST", path).body("")).await
    }

    /// The sum of all series of a metric that carry these labels; 0 if there are none.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.admin("/metrics").await.text();
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
        let series = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, with) = series.split_once('{').unwrap_or((series, ""));
            (found == name && labels.iter().all(|label| with.contains(label))).then_some(value)
        });
        series.map(|value| value.parse::<f64>().expect("a number")).sum()
    }

    /// Waits until a metric has this value: what a client sees may be counted a moment later.
    pub async fn reaches(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let begin = Instant::now();
        loop {
            let found = self.metric(name, labels).await;
            if found == value {
                return;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "{name} {labels:?} is {found} and not {value}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn config_file(&self) -> PathBuf {
        self.directory.path().join("duskgate.toml")
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Replaces the configuration file.
    pub fn configure(&self, setup: &Setup) {
        std::fs::write(self.config_file(), setup.to_toml()).expect("a file");
    }

    /// Sends a signal by its name: `TERM`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").args([format!("-{name}"), pid]).status().expect("kill");
        assert!(kill.success(), "no signal sent");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many file handles it has open.
    pub fn open_handles(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("a process").count()
    }

    /// Waits until the program has ended.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "the program does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether the program still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// What stood on stdout behind the ready line; the program must have ended.
    pub fn rest_of_stdout(&mut self) -> String {
        let mut rest = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut rest).expect("text");
        }
        rest
    }

    /// What was logged up to now.
    pub fn log(&self) -> String {
        self.log.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the log is whole; the program must have ended.
    pub fn log_ended(&self) {
        let mut text = self.log.text.lock().unwrap();
        while !self.log.is_whole.load(Ordering::Acquire) {
            text = self.log.grown.wait_timeout(text, Duration::from_millis(20)).unwrap().0;
        }
    }

    /// Waits until a line of the log holds all these texts, and returns it.
    #[track_caller]
    pub fn logged(&self, texts: &[&str]) -> String {
        let mut text = self.log.text.lock().unwrap();
        let begin = Instant::now();
        loop {
            let found = text.lines().find(|line| texts.iter().all(|text| line.contains(text)));
            if let Some(line) = found {
                return line.to_owned();
            }
            assert!(begin.elapsed() < PATIENCE, "not in the log: {texts:?}");
            text = self.log.grown.wait_timeout(text, Duration::from_millis(200)).unwrap().0;
        }
    }
}

impl Log {
    fn fill_from(&self, mut stderr: impl std::io::BufRead) {
        let mut line = Vec::new();
        while stderr.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            self.text.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            self.grown.notify_all();
            line.clear();
        }
        self.is_whole.store(true, Ordering::Release);
        self.grown.notify_all();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the program under test ---\n{}---", self.log());
        }
    }
}
