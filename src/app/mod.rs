//! Wiring: builds the rooms from a checked configuration, binds, serves on one thread a core, swaps the pipeline on a
//! reload, and drains when it is told to stop.

mod certificates;
mod counting;
mod handles;
mod inherited;
mod live;
mod minding;
mod notify;
mod panel;
mod stop;
mod threads;
mod upgrade;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::certificate;
use crate::clock::Clock;
use crate::config::{Config, Invalid};
use crate::http1::HeadLimits;
use crate::ledger;
use crate::listen::{self, Bound, Gate};
use crate::log::AccessLog;
use crate::metrics::{Metrics, Vocabulary};
use crate::{admin, admission, log, timer, upstream};
pub use inherited::Inherited;
pub use live::Live;
pub use stop::Stop;
use threads::Threads;
use upgrade::{Program, Successor};

/// How long the collector of spans is waited for at the end, within the drain time.
const SPANS: Duration = Duration::from_secs(5);
/// How often the files of certificates are looked at.
const LOOKING: Duration = Duration::from_secs(1);
/// How long an idle connection that has to go may still begin a request: one may be on its way.
const LAST_CALL: Duration = Duration::from_millis(500);
/// The same where another process serves already.
const LAST_CALL_OF_MANY: Duration = Duration::from_secs(10);
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
    /// The ledger is one that this program must leave alone.
    #[error("{0}")]
    Ledger(#[source] ledger::Away),
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
    /// Every listening socket, with its configured address, for a successor.
    sockets: Arc<Vec<(SocketAddr, TcpListener)>>,
    /// Lets the admin listener accept no more.
    close_admin: oneshot::Sender<()>,
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
    start_on(&mut Inherited::default(), config, source, access).await
}

/// What [`start`] does, on sockets that are open already where there are some for a listener's address.
///
/// # Errors
///
/// [`Failure`]: nothing was started.
pub async fn start_on(
    inherited: &mut Inherited,
    config: Config,
    source: Option<Source>,
    access: AccessLog,
) -> Result<Running, Failure> {
    let threads = config.threads.unwrap_or_else(cores);
    let mut sockets = Vec::new();
    let mut open = |name: String, address, threads| -> Result<Bound, Failure> {
        let bound = match inherited.take(address) {
            none if none.is_empty() => listen::bind(address, threads),
            taken => listen::adopt(taken, threads),
        };
        let copies = bound.and_then(|bound| {
            let copies = bound.sockets.iter().map(TcpListener::try_clone);
            Ok((copies.collect::<io::Result<Vec<_>>>()?, bound))
        });
        let (copies, bound) = copies.map_err(|source| Failure::Bind { name, address, source })?;
        sockets.extend(copies.into_iter().map(|copy| (address, copy)));
        Ok(bound)
    };
    let mut bound = Vec::new();
    for (index, listener) in config.listeners.iter().enumerate() {
        bound.push(open(format!("listener[{index}]"), listener.address, threads)?);
    }
    let Bound { address: admin_address, sockets: admin_sockets } =
        open("admin".to_owned(), config.admin.address, 1)?;
    let system = |source| Failure::System { what: "listen on the admin listener", source };
    let admin_socket =
        admin_sockets.into_iter().next().ok_or(io::ErrorKind::NotFound.into()).map_err(system)?;
    let panel_socket = tokio::net::TcpListener::from_std(admin_socket).map_err(system)?;
    let listeners: Vec<SocketAddr> = bound.iter().map(|bound| bound.address).collect();

    let names: Vec<String> = listeners.iter().map(SocketAddr::to_string).collect();
    let metrics = Arc::new(metrics(&names));
    let limits = handles::settled(config.limits.clone());
    let gate = Arc::new(Gate::new(limits, listeners.len(), Arc::clone(&metrics)));
    let live = Arc::new(Live::new(config, source, metrics, access, Arc::clone(&gate))?);
    live.open_ledger().await?;
    let threads = Threads::start(bound, threads, &live, &gate)?;
    let panel = Arc::new(panel::of(&live));
    let (close_admin, closed) = oneshot::channel();
    let handed_over = async {
        // One that is dropped says nothing.
        if closed.await.is_err() {
            std::future::pending().await
        }
    };
    let tasks = vec![
        tokio::spawn(async move { admin::serve(panel_socket, panel, handed_over).await }),
        tokio::spawn(tend(Arc::clone(&live))),
        tokio::spawn(look_at_files(Arc::clone(&live))),
        tokio::spawn(minding::mind(Arc::clone(&live))),
        tokio::spawn(counting::count(Arc::clone(&live))),
        tokio::spawn(counting::tell(Arc::clone(&live))),
    ];
    let sockets = Arc::new(sockets);
    Ok(Running { listeners, admin: admin_address, live, threads, tasks, sockets, close_admin })
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
        notify::tell(notify::STOPPING);
        self.drain(LAST_CALL, None).await;
    }

    /// Leaves everything new to a successor that serves on the same sockets. Nothing is lost by giving idle connections
    /// their time, so that they end with an answer.
    async fn make_way(self, successor: &Successor) {
        tracing::info!("process {} has taken over", successor.pid);
        notify::tell(&format!("{}\nMAINPID={}", notify::READY, successor.pid));
        let last_call = LAST_CALL_OF_MANY.min(self.live.drain_limit() / 2);
        self.drain(last_call, Some(successor)).await;
    }

    async fn drain(self, last_call: Duration, successor: Option<&Successor>) {
        let (begin, limit) = (Instant::now(), self.live.drain_limit());
        // While copies are open the kernel goes on taking connections.
        drop(self.sockets);
        self.live.stop(last_call);
        if successor.is_some() {
            let _ = self.close_admin.send(());
        }
        tracing::info!("stopping: requests in flight have {} s to end", limit.as_secs());
        if !self.threads.join(limit, self.live.settled()).await {
            tracing::warn!("the drain time is over, cutting what is still in flight");
        }
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        self.live.send_spans(limit.saturating_sub(begin.elapsed()).min(SPANS)).await;
        counting::finish(&self.live).await;
        self.live.flush();
    }

    /// Waits for a signal to end: to stop, or to make way for a successor, which then serves.
    async fn ended(&self, program: &Program, stop: Stop, mut upgrade: Signal) -> Option<Successor> {
        let mut stop = pin!(stop.requested());
        loop {
            let wanted = async {
                upgrade.recv().await;
                tracing::info!("upgrading: starting {program}");
                program.start_again(&self.sockets).await
            };
            tokio::select! {
                () = &mut stop => return None,
                started = wanted => match started {
                    Ok(successor) => return Some(successor),
                    Err(failure) => tracing::error!("the upgrade has failed, this process goes on: {failure}"),
                },
            }
        }
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
    let upgrade = signal(SignalKind::user_defined2()).map_err(system)?;
    let program =
        Program::of_this_process().map_err(|source| Failure::System { what: "find this program", source })?;
    let handed = |source| Failure::System { what: "take the sockets that were handed over", source };
    let mut inherited = Inherited::of_this_process().map_err(handed)?;
    let running = start_on(&mut inherited, config, Some(source), access).await?;
    announce(&running);
    notify::tell(notify::READY);
    inherited.are_served();
    let reloading = tokio::spawn(reload_on(hangup, Arc::clone(running.live())));
    match running.ended(&program, stop, upgrade).await {
        None => running.until(std::future::ready(())).await,
        Some(successor) => running.make_way(&successor).await,
    }
    reloading.abort();
    Ok(())
}

async fn reload_on(mut hangup: Signal, live: Arc<Live>) {
    while hangup.recv().await.is_some() {
        notify::tell(notify::RELOADING);
        // What went wrong is in the log and in the metrics.
        let _ = live.reload();
        notify::tell(notify::READY);
    }
}

async fn tend(live: Arc<Live>) {
    let mut reaped = Instant::now();
    loop {
        live.pipeline().upstream().tend();
        if reaped.elapsed() >= REAPING {
            live.pipeline().upstream().reap();
            reaped = Instant::now();
        }
        tokio::time::sleep(upstream::TENDING).await;
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
