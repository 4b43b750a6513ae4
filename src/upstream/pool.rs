//! Idle connections to one server, last in first out and a stack for each thread: a connection is used by the thread
//! that opened it, so nothing is shared, and the lock is never waited for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::ClientConfig;

use super::connect::{self, Connection};
use super::{Failure, Origin, Settings};
use crate::metrics::{self, Metrics};
use crate::{thread, timer};

/// How many stacks there are; threads beyond that share one.
const STACKS: usize = 64;
/// How many idle connections a stack keeps.
const DEPTH: usize = 256;
/// How long a server that refused a connection is asked last, in milliseconds.
const SUSPICION: u64 = 1_000;

/// A connection is moved in and out for each request: a pointer is cheaper than the whole of it.
type Stack = Vec<Box<Connection>>;

/// One server of the backend.
pub(super) struct Server {
    pub origin: Origin,
    pub handle: metrics::Server,
    metrics: Arc<Metrics>,
    tls: ArcSwapOption<ClientConfig>,
    /// How often `tls` has changed: a connection of an earlier one is not used again.
    generation: AtomicU64,
    max_requests: u32,
    idle_timeout: u64,
    stacks: [Mutex<Stack>; STACKS],
    suspect_until: AtomicU64,
}

impl Server {
    pub fn new(
        origin: Origin,
        tls: Option<Arc<ClientConfig>>,
        settings: &Settings,
        handle: metrics::Server,
        metrics: Arc<Metrics>,
    ) -> Self {
        Server {
            origin,
            handle,
            metrics,
            tls: ArcSwapOption::from(tls),
            generation: AtomicU64::new(0),
            max_requests: settings.max_requests,
            idle_timeout: milliseconds(settings.idle_timeout),
            stacks: [const { Mutex::new(Vec::new()) }; STACKS],
            suspect_until: AtomicU64::new(0),
        }
    }

    /// A fresh connection.
    pub async fn connect(self: &Arc<Self>, settings: &Settings) -> Result<Box<Connection>, Failure> {
        let (tls, generation) = (self.tls.load_full(), self.generation.load(Ordering::SeqCst));
        match connect::open(&self.origin, tls.as_ref(), settings).await {
            Ok(stream) => {
                self.suspect_until.store(0, Ordering::Relaxed);
                Ok(Connection::new(stream, Arc::clone(self), generation))
            }
            Err(failure) => {
                self.suspect_until.store(timer::now() + SUSPICION, Ordering::Relaxed);
                Err(failure)
            }
        }
    }

    /// Connections that were made under another TLS are not used again.
    pub fn set_tls(&self, tls: Option<Arc<ClientConfig>>) {
        self.tls.store(tls);
        self.generation.fetch_add(1, Ordering::SeqCst);
        for stack in &self.stacks {
            stack.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Whether it refused a connection just now.
    pub fn is_suspect(&self) -> bool {
        self.suspect_until.load(Ordering::Relaxed) > timer::now()
    }

    /// Counts a failure of this server.
    pub fn failed(&self, kind: &'static str) {
        self.metrics.upstream_error(self.handle, kind);
    }

    /// The connection of this thread that was used last, if it still seems alive.
    pub fn take(&self) -> Option<Box<Connection>> {
        let now = timer::now();
        loop {
            let mut connection = self.stack().lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if !self.is_over(&connection, now) && connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request of this thread, unless it has served its time.
    pub fn put(&self, mut connection: Box<Connection>) {
        let is_current = connection.generation == self.generation.load(Ordering::Relaxed);
        if !is_current || connection.requests >= self.max_requests {
            return;
        }
        connection.idle_since = timer::now();
        connection.deadline.clear();
        let mut stack = self.stack().lock().unwrap_or_else(PoisonError::into_inner);
        if stack.len() < DEPTH {
            stack.push(connection);
        }
    }

    /// Drops the connections that have idled long enough, of all threads.
    pub fn reap(&self) {
        let now = timer::now();
        for stack in &self.stacks {
            stack
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain_mut(|connection| !self.is_over(connection, now) && connection.is_quiet());
        }
    }

    fn is_over(&self, connection: &Connection, now: u64) -> bool {
        now.saturating_sub(connection.idle_since) >= self.idle_timeout
    }

    fn stack(&self) -> &Mutex<Stack> {
        &self.stacks[thread::number() % STACKS]
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
