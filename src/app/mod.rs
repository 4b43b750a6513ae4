//! Wiring: builds the rooms from a checked configuration, binds, serves on one thread a core, swaps the pipeline on a
//! reload, and drains when it is told to stop.

mod certificates;
mod handles;
mod live;
mod minding;
mod panel;
mod stop;
mod threads;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::certificate;
use crate::clock::Clock;
use crate::config::{Config, Invalid};
use crate::http1::HeadLimits;
use crate::listen::{self, Gate};
use crate::log::AccessLog;
use crate::metrics::{Metrics, Vocabulary};
use crate::{admin, admission, log, timer, upstream};
pub use live::Live;
pub use stop::Stop;
use threads::Threads;

/// How often the files of certificates are looked at.
const LOOKING: Duration = Duration::from_secs(1);
/// How often pooled connections are looked through for those that have idled long enough.
const REAPING: Duration = Duration::from_secs(5);

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The backend's certificates cannot be used.
    #[error("{0}")]
    Upstream(#[from] upstream::Unusable),
    /// A listener's certificate cannot be used.
    #[error("{name}: {source}")]
    Certificate {
        /// The configuration key.
        name: String,
        /// What is wrong with it.
        #[source]
        source: certificate::Unusable,
    },
    /// TLS cannot be set up for a listener.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[source] rustls::Error),
    /// An address cannot be bound.
    #[error("cannot bind {name}: {address} ({source})")]
    Bind {
        /// The configuration key of the listener.
        name: String,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system refused something else.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Failure {
    /// Whether the configuration is at fault, so that the exit code is 2.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Failure::Invalid(_) | Failure::Upstream(_) | Failure::Certificate { .. })
    }
}

/// Where the configuration came from, so that it can be read again.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// The environment at the start; overrides in it hold for every reload.
    pub environment: Vec<(String, String)>,
}

impl Source {
    /// Reads the configuration.
    ///
    /// # Errors
    ///
    /// All mistakes together.
    pub fn load(&self) -> Result<Config, Invalid> {
        Config::load(&self.file, self.environment.iter().cloned())
    }
}

/// The running proxy.
pub struct Running {
    /// Where it listens, in the order of the configuration, with the real ports.
    pub listeners: Vec<SocketAddr>,
    /// Where the admin listener is.
    pub admin: SocketAddr,
    live: Arc<Live>,
    threads: Threads,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl fmt::Display for Running {
    /// The line on stdout that says that everything listens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ready")?;
        for address in &self.listeners {
            write!(f, " listener={address}")?;
        }
        write!(f, " admin={}", self.admin)
    }
}

/// Starts the proxy. `source` is read again on a reload; without it there is none. Needs a runtime for the admin
/// listener; requests are served by threads of their own.
///
/// # Errors
///
/// [`Failure`]: nothing was started.
pub async fn start(config: Config, source: Option<Source>, access: AccessLog) -> Result<Running, Failure> {
    let threads = config.threads.unwrap_or_else(cores);
    let mut bound = Vec::new();
    for (index, listener) in config.listeners.iter().enumerate() {
        let failure = |error| Failure::bind(format!("listener[{index}]"), listener.address, error);
        bound.push(listen::bind(listener.address, threads).map_err(failure)?);
    }
    let failure = |error| Failure::bind("admin".to_owned(), config.admin.address, error);
    let panel_socket = tokio::net::TcpListener::bind(config.admin.address).await.map_err(failure)?;
    let admin_address = panel_socket.local_addr().map_err(failure)?;
    let listeners: Vec<SocketAddr> = bound.iter().map(|bound| bound.address).collect();

    let names: Vec<String> = listeners.iter().map(SocketAddr::to_string).collect();
    let metrics = Arc::new(metrics(&names));
    let limits = handles::settled(config.limits.clone());
    let gate = Arc::new(Gate::new(limits, listeners.len(), Arc::clone(&metrics)));
    let live = Arc::new(Live::new(config, source, metrics, access, Arc::clone(&gate))?);
    let threads = Threads::start(bound, threads, &live, &gate)?;
    let panel = Arc::new(panel::of(&live));
    let tasks = vec![
        tokio::spawn(async move { admin::serve(panel_socket, panel).await }),
        tokio::spawn(reap(Arc::clone(&live))),
        tokio::spawn(look_at_files(Arc::clone(&live))),
        tokio::spawn(minding::mind(Arc::clone(&live))),
    ];
    Ok(Running { listeners, admin: admin_address, live, threads, tasks })
}

impl Running {
    /// The proxy's inside, to reload it.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Serves until `stop` is done, then stops accepting, lets what is in flight end within the drain time, and writes
    /// the log out.
    pub async fn until(self, stop: impl Future<Output = ()>) {
        stop.await;
        let limit = self.live.drain_limit();
        self.live.stop();
        tracing::info!("stopping: requests in flight have {} s to end", limit.as_secs());
        if !self.threads.join(limit, self.live.settled()).await {
            tracing::warn!("the drain time is over, cutting what is still in flight");
        }
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        self.live.flush();
    }
}

/// Runs the proxy of this configuration file until a signal stops it, and prints the ready line.
///
/// # Errors
///
/// [`Failure`]: nothing was started.
pub async fn run(source: Source, announce: impl FnOnce(&Running)) -> Result<(), Failure> {
    let config = source.load()?;
    let access = log::install(&config.log);
    handles::raise();
    let system = |source| Failure::System { what: "listen for signals", source };
    let stop = Stop::listen().map_err(system)?;
    let hangup = signal(SignalKind::hangup()).map_err(system)?;
    let running = start(config, Some(source), access).await?;
    announce(&running);
    let reloading = tokio::spawn(reload_on(hangup, Arc::clone(running.live())));
    running.until(stop.requested()).await;
    reloading.abort();
    Ok(())
}

impl Failure {
    fn bind(name: String, address: SocketAddr, source: io::Error) -> Self {
        Failure::Bind { name, address, source }
    }
}

async fn reload_on(mut hangup: Signal, live: Arc<Live>) {
    while hangup.recv().await.is_some() {
        // What went wrong is in the log and in the metrics.
        let _ = live.reload();
    }
}

async fn reap(live: Arc<Live>) {
    loop {
        tokio::time::sleep(REAPING).await;
        live.pipeline().upstream().reap();
    }
}

/// Off the threads that serve, and off this one: a file may lie on a disk that takes its time.
async fn look_at_files(live: Arc<Live>) {
    loop {
        tokio::time::sleep(LOOKING).await;
        let live = Arc::clone(&live);
        let looked = tokio::task::spawn_blocking(move || live.take_up_changed_files()).await;
        if looked.is_err() {
            tracing::error!("a look at the files of the certificates has failed");
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn metrics(listeners: &[String]) -> Metrics {
    let malformed = listen::reasons();
    let limits = [&listen::LIMITS[..], &admission::LIMITS].concat();
    let words = Vocabulary { malformed: &malformed, upstream_errors: &upstream::KINDS, limits: &limits };
    Metrics::new(Clock::Real, listeners, words)
}

/// The limits of the process that make no sense to configure.
const _: () = assert!(HeadLimits::MOST_FIELDS >= 100 && timer::TICK.as_millis() > 0);
