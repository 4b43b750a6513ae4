//! What is abused: programs on one ledger before one backend, which can be killed and started again, and their ledger's
//! server with them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use duskgate::ledger::{self, Create, Location, Store};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::support::http::{Connection, Request, Response};
use crate::support::postgres::Server;
use crate::support::program::{Program, Setup};
use crate::support::proxy::local_tables_at;

/// No answer and no start takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// The programs and their ledger.
pub struct Site {
    places: Vec<Place>,
    server: Option<Arc<Server>>,
    pub ledger: Arc<dyn Store>,
    pub kills: AtomicUsize,
    pub restarts: AtomicUsize,
    _directory: TempDir,
}

/// Where one program runs, again and again.
struct Place {
    setup: Setup,
    program: Arc<Mutex<Option<Program>>>,
    /// Where it listens, while it does.
    address: watch::Sender<Option<SocketAddr>>,
}

impl Site {
    /// Two programs on a server of their own.
    pub async fn on_postgres(backend: SocketAddr, service_token: &str) -> Site {
        let server = Arc::new(tokio::task::spawn_blocking(Server::start_on_socket).await.unwrap());
        let place = server.new_place().await;
        let url = server.url(&place);
        Site::new(2, &url, Some(server), tempfile::tempdir().unwrap(), backend, service_token).await
    }

    /// One program on a file.
    pub async fn on_sqlite(backend: SocketAddr, service_token: &str) -> Site {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("ledger.db").display());
        Site::new(1, &url, None, directory, backend, service_token).await
    }

    async fn new(
        programs: usize,
        url: &str,
        server: Option<Arc<Server>>,
        directory: TempDir,
        backend: SocketAddr,
        service_token: &str,
    ) -> Site {
        let setup = Setup::before(backend)
            .upstream("service_token_file = \"service.token\"")
            .file("service.token", service_token)
            .deprecation("mode = \"local\"")
            .section("[log]\naccess = \"off\"")
            .section(&local_tables_at(url, directory.path()));
        let location = Location::parse(url, directory.path()).unwrap();
        let settings = ledger::Settings { timeout: PATIENCE, ..ledger::Settings::at(location) };
        let ledger = ledger::open(&settings, Create::No);
        let place =
            || Place { setup: setup.clone(), program: Arc::default(), address: watch::Sender::new(None) };
        let places = (0..programs).map(|_| place()).collect();
        let (kills, restarts) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let site = Site { places, server, ledger, kills, restarts, _directory: directory };
        for place in &site.places {
            place.start().await;
        }
        site
    }

    pub fn programs(&self) -> usize {
        self.places.len()
    }

    /// Kills a program and starts it again.
    pub async fn kill(&self, program: usize) {
        self.places[program].kill().await;
        self.kills.fetch_add(1, Ordering::SeqCst);
        self.places[program].start().await;
    }

    /// Crashes the ledger's server, if it has one, and starts it again.
    pub async fn restart_ledger(&self) {
        if let Some(server) = self.server.clone() {
            tokio::task::spawn_blocking(move || server.restart()).await.unwrap();
            self.restarts.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A way to call each of the programs, for one client after the other.
    pub fn lines(&self) -> Lines {
        Lines(self.places.iter().map(|place| place.address.subscribe()).collect())
    }
}

/// Where the programs are.
#[derive(Clone)]
pub struct Lines(Vec<watch::Receiver<Option<SocketAddr>>>);

impl Lines {
    /// A line to the program of this number, counted round and round.
    pub fn to(&self, program: usize) -> Line {
        Line { address: self.0[program % self.0.len()].clone(), connection: None }
    }
}

impl Place {
    async fn start(&self) {
        let (setup, program) = (self.setup.clone(), Arc::clone(&self.program));
        let starting = tokio::task::spawn_blocking(move || {
            let started = setup.start();
            let address = started.address();
            *program.lock().unwrap() = Some(started);
            address
        });
        self.address.send_replace(Some(starting.await.unwrap()));
    }

    async fn kill(&self) {
        self.address.send_replace(None);
        let program = self.program.lock().unwrap().take();
        let killing = tokio::task::spawn_blocking(move || {
            let mut program = program.expect("it runs");
            program.signal("KILL");
            program.ended();
            let log = program.log();
            assert!(!log.contains("panicked"), "{log}");
        });
        killing.await.unwrap();
    }
}

/// One client's connection to one program, made again when it is needed.
pub struct Line {
    address: watch::Receiver<Option<SocketAddr>>,
    connection: Option<Connection>,
}

impl Line {
    /// Calls; nothing if the connection breaks before the answer is whole.
    pub async fn ask(&mut self, request: &Request) -> Option<Response> {
        let asking = async {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.connect().await,
            };
            connection.write(&request.to_bytes()).await;
            let response = connection.response(&request.method).await?;
            if response.header("connection") != Some("close") {
                self.connection = Some(connection);
            }
            Some(response)
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("an answer in time")
    }

    async fn connect(&mut self) -> Connection {
        loop {
            let address = *self.address.wait_for(Option::is_some).await.unwrap();
            match Connection::try_to(address.unwrap()).await {
                Ok(connection) => return connection,
                // It was killed this moment.
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}
