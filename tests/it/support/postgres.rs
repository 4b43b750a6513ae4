//! A PostgreSQL server of the tests' own, from the Debian package: in a temporary directory, on a socket in it and on a
//! free port, as a user that is not root because the server refuses that. It ends with the tests, however they end.

use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// The password of the user `duskgate`, asked for where the socket is not used.
pub const PASSWORD: &str = "hush-hush";

/// A server that runs until it is dropped.
pub struct Server {
    directory: TempDir,
    port: u16,
    /// Where the port is; nothing if only the socket is open.
    host: &'static str,
    /// What it shows who connects to the port, in PEM form.
    pub certificate: String,
    process: Mutex<Option<Child>>,
    places: AtomicUsize,
}

/// The server that tests share, each with a place of its own. It lives as long as one of them uses it.
pub fn shared() -> Arc<Server> {
    static SERVER: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    server.upgrade().unwrap_or_else(|| {
        let new = Arc::new(Server::start());
        *server = Arc::downgrade(&new);
        new
    })
}

impl Server {
    /// Sets up a server and starts it.
    pub fn start() -> Self {
        Self::start_at("127.0.0.1")
    }

    /// The same, without a port: while the server is down, nobody can take that.
    pub fn start_on_socket() -> Self {
        Self::start_at("")
    }

    fn start_at(host: &'static str) -> Self {
        let directory = tempfile::Builder::new().prefix("pg").tempdir().expect("a temporary directory");
        if let Some(user) = User::other_than_root() {
            chown(directory.path(), Some(user.id), Some(user.group)).expect("the directory changes hands");
        }
        let password = directory.path().join("password");
        fs::write(&password, PASSWORD).expect("a password");
        let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
        let server = Server {
            port: free.port(),
            host,
            process: Mutex::new(None),
            places: AtomicUsize::new(0),
            certificate: certified.cert.pem(),
            directory,
        };
        server.set_up(&password);
        server.certify(&certified.signing_key.serialize_pem());
        server.restart();
        server
    }

    /// The URL of a ledger's place, through the socket.
    pub fn url(&self, schema: &str) -> String {
        let directory = self.directory.path().display().to_string().replace('/', "%2F");
        format!("postgres://duskgate@{directory}:{}/postgres?options=-csearch_path%3D{schema}", self.port)
    }

    /// The same through the port, where the password is asked for.
    pub fn url_by_port(&self, schema: &str) -> String {
        format!("postgres://duskgate@127.0.0.1:{}/postgres?options=-csearch_path%3D{schema}", self.port)
    }

    /// Where its port is.
    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Makes a place for one ledger. It is a schema, which is made sooner than a data base.
    pub async fn new_place(&self) -> String {
        let name = format!("place{}", self.places.fetch_add(1, Ordering::Relaxed));
        self.connect("public").await.batch_execute(&format!("CREATE SCHEMA {name}")).await.expect("a schema");
        name
    }

    /// A connection past the program under test.
    pub async fn connect(&self, schema: &str) -> Client {
        let (client, driver) = tokio_postgres::connect(&self.url(schema), NoTls).await.expect("a connection");
        tokio::spawn(driver);
        client
    }

    /// Ends the server at once, as if it had crashed.
    pub fn stop(&self) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut process) = process {
            drop(process.stdin.take());
            process.wait().expect("the server ends");
        }
    }

    /// Starts the server, having ended it if it runs.
    pub fn restart(&self) {
        self.stop();
        let directory = self.directory.path();
        let log = File::options().create(true).append(true).open(directory.join("log")).expect("a log");
        // When the tests end, in whatever way, their end of the pipe closes, and with it goes the server.
        let script = r#""$@" & server=$!; read -r _; kill -QUIT $server; wait $server"#;
        let mut command = self.command("sh");
        command.args(["-c", script, "sh"]).arg(program("postgres"));
        command.arg("-D").arg(directory.join("data")).arg("-k").arg(directory);
        command.args(["-h", self.host, "-p", &self.port.to_string()]);
        // No test crashes the machine. Enough connections for all tests at once.
        command.args([
            "-c",
            "fsync=off",
            "-c",
            "max_connections=500",
            "-c",
            "shared_buffers=32MB",
            "-c",
            "ssl=on",
        ]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn();
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(child.expect("postgres"));
        self.await_ready();
    }

    fn await_ready(&self) {
        let begun = Instant::now();
        loop {
            let mut ready = self.command_of("pg_isready");
            ready.args(["-q", "-p", &self.port.to_string(), "-h"]).arg(self.directory.path());
            let ready = ready.status().expect("pg_isready");
            if ready.success() {
                return;
            }
            let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(60), "PostgreSQL does not start:\n{log}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn set_up(&self, password: &Path) {
        let made = self
            .command_of("initdb")
            .arg("-D")
            .arg(self.directory.path().join("data"))
            .args(["--no-sync", "--encoding=UTF8", "--locale=C", "--username=duskgate"])
            .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
            .arg(format!("--pwfile={}", password.display()))
            .output()
            .expect("initdb");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    }

    fn certify(&self, key: &str) {
        let data = self.directory.path().join("data");
        for (name, text) in [("server.crt", self.certificate.as_str()), ("server.key", key)] {
            let file = data.join(name);
            fs::write(&file, text).expect("a file of the server's");
            fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("it is private");
            if let Some(user) = User::other_than_root() {
                chown(&file, Some(user.id), Some(user.group)).expect("it changes hands");
            }
        }
    }

    fn command_of(&self, name: &str) -> Command {
        self.command(&program(name).display().to_string())
    }

    /// Runs a program in the server's directory, as the server's user.
    fn command(&self, program: &str) -> Command {
        let mut command = match User::other_than_root() {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={}", user.id), format!("--regid={}", user.group)]);
                command.args(["--clear-groups", "--", program]);
                command
            }
        };
        command.current_dir(self.directory.path());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Who runs the server where the tests run as root.
struct User {
    id: u32,
    group: u32,
}

impl User {
    fn other_than_root() -> Option<User> {
        let root = number(&["-u"]) == 0;
        root.then(|| User { id: number(&["-u", "postgres"]), group: number(&["-g", "postgres"]) })
    }
}

fn number(arguments: &[&str]) -> u32 {
    let output = Command::new("id").args(arguments).output().expect("id");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a user that Debian's package makes")
}

/// Debian keeps the programs of each version apart.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("Debian's package postgresql is not installed");
    let mut found: Vec<_> = versions
        .flatten()
        .map(|version| version.path().join("bin").join(name))
        .filter(|file| file.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| panic!("no {name} in /usr/lib/postgresql"))
}
