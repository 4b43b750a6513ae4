//! Every metric, declared once, with a verb that records it. The verbs of the hot path cost a few relaxed additions
//! on the thread's own shard: no lock, no allocation, no label look-up; a scrape sums the shards. Labels come from
//! enums and from what the configuration names, never from a path, a header or an error text, so that no caller can
//! make them grow.
//!
//! What this room deliberately does not know: how a schedule is decided or a server chosen. It is handed plain facts
//! ([`Watched`]) when a configuration loads, and keeps its counts across reloads.

mod cells;
mod deprecated;
mod families;
mod method;
mod tokens;
mod usage;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use http::Method;
use jiff::Timestamp;

use crate::clock::Clock;
use crate::operation::{Mode, Phase};
use cells::{Codes, Counter, Histogram, Sharded};
use deprecated::Watch;
pub use deprecated::Watched;
use tokens::Tokens;
pub use tokens::{Issuing, Redeeming};
pub use usage::{ConsumerCalls, Counted, OTHERS, Standing};

/// The metrics of this process.
pub struct Metrics {
    clock: Clock,
    requests: Sharded<Requests>,
    listeners: Vec<ListenerCells>,
    /// Slots are given once and kept, so that a [`Server`] stays good across reloads.
    servers: Box<[OnceLock<ServerCells>]>,
    current_servers: Mutex<Vec<Server>>,
    operations: ArcSwap<BTreeMap<String, Arc<Watch>>>,
    malformed: Rare,
    upstream_errors: Rare,
    limits: Rare,
    /// Asks how many requests are in flight, and how many wait for a place.
    crowd: OnceLock<Box<dyn Fn() -> (usize, usize) + Send + Sync>>,
    /// Asks what was counted of who calls.
    counted: OnceLock<Box<dyn Fn() -> Counted + Send + Sync>>,
    spans_dropped: AtomicU64,
    tokens: Tokens,
    reload_success_at: AtomicI64,
    reload_successful: AtomicU64,
    process: prometheus::process_collector::ProcessCollector,
}

/// The words that the rooms above use as labels, so that each series exists, with a zero, before it first happens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vocabulary<'a> {
    /// Why a request was refused as malformed.
    pub malformed: &'a [&'static str],
    /// How an upstream can fail.
    pub upstream_errors: &'a [&'static str],
    /// The limits that can be hit.
    pub limits: &'a [&'static str],
}

/// Whether a request was a call of a deprecated operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// It was.
    Deprecated,
    /// It was not.
    Other,
}

/// The handle of a backend server's series, from [`Metrics::servers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server(usize);

/// How many different servers one process can tell apart in its life; later ones share the last series.
const SERVERS: usize = 256;

impl Metrics {
    /// Metrics that start at zero. `listeners` are the addresses as configured, with the real port; the index in
    /// this list is how the verbs name a listener.
    pub fn new(clock: Clock, listeners: &[String], words: Vocabulary<'_>) -> Self {
        let metrics = Metrics {
            clock,
            requests: Sharded::new(),
            listeners: listeners.iter().map(|text| ListenerCells::new(text)).collect(),
            servers: (0..SERVERS).map(|_| OnceLock::new()).collect(),
            current_servers: Mutex::default(),
            operations: ArcSwap::default(),
            malformed: Rare::default(),
            upstream_errors: Rare::default(),
            limits: Rare::default(),
            crowd: OnceLock::new(),
            counted: OnceLock::new(),
            spans_dropped: AtomicU64::new(0),
            tokens: Tokens::new(),
            reload_success_at: AtomicI64::new(clock.now().as_second()),
            reload_successful: AtomicU64::new(1),
            process: prometheus::process_collector::ProcessCollector::for_self(),
        };
        for index in 0..listeners.len() {
            words.malformed.iter().for_each(|reason| metrics.malformed.add(index, reason, 0));
        }
        words.limits.iter().for_each(|limit| metrics.limits.add(0, limit, 0));
        words.upstream_errors.iter().for_each(|kind| metrics.upstream_errors.add(Rare::EVERYWHERE, kind, 0));
        metrics
    }

    /// Sets the backend servers in force, and returns the handle of each, in order. Servers that are gone leave the
    /// scrape; should they come back, so do their counts.
    pub fn servers(&self, servers: &[String]) -> Vec<Server> {
        let mut current = lock(&self.current_servers);
        let found: Vec<Server> = servers.iter().map(|text| self.server(text)).collect();
        current.clone_from(&found);
        current.sort();
        current.dedup();
        found
    }

    /// Sets the deprecated operations in force. Counts of operations that stay are kept.
    pub fn operations(&self, operations: Vec<Watched>) {
        let before = self.operations.load();
        let watches = operations
            .into_iter()
            .map(|facts| (facts.operation.clone(), Arc::new(Watch::new(facts, &before))))
            .collect();
        self.operations.store(Arc::new(watches));
    }

    /// A request was answered. `seconds`: from the end of its head to now.
    pub fn request(&self, route: Route, method: &Method, code: u16, seconds: f64) {
        let requests = &self.requests.here()[route as usize];
        requests.codes[method::index(method)].add(code);
        requests.seconds.observe(seconds);
    }

    /// A call of a deprecated operation was answered, by `mode` after any fallback. Calls of operations that the
    /// configuration in force does not name are not counted.
    pub fn deprecated(
        &self,
        operation: &str,
        mode: Mode,
        phase: Phase,
        code: u16,
        seconds: f64,
        now: Timestamp,
    ) {
        if let Some(watch) = self.operations.load().get(operation) {
            watch.calls.record(mode, phase, code, seconds, now);
        }
    }

    /// A connection was accepted on the listener of this index.
    pub fn connection_opened(&self, listener: usize) {
        if let Some(cells) = self.listeners.get(listener) {
            cells.open.add(1);
        }
    }

    /// It was closed.
    pub fn connection_closed(&self, listener: usize) {
        if let Some(cells) = self.listeners.get(listener) {
            cells.open.subtract(1);
        }
    }

    /// When the first of a listener's certificates ends to be valid; nothing where it has none.
    pub fn certificates_end(&self, listener: usize, at: Option<Timestamp>) {
        if let Some(cells) = self.listeners.get(listener) {
            cells.not_after.store(at.map_or(0, Timestamp::as_second), Relaxed);
        }
    }

    /// A request on the listener of this index was refused as malformed or ambiguous.
    pub fn malformed(&self, listener: usize, reason: &'static str) {
        if listener < self.listeners.len() {
            self.malformed.add(listener, reason, 1);
        }
    }

    /// A limit was hit.
    pub fn limit_hit(&self, limit: &'static str) {
        self.limits.add(0, limit, 1);
    }

    /// Who says, at a scrape, how many requests are in flight and how many wait for a place. The first who does stays.
    pub fn crowd(&self, ask: impl Fn() -> (usize, usize) + Send + Sync + 'static) {
        let _ = self.crowd.set(Box::new(ask));
    }

    /// Who says, at a scrape, what was counted of who calls. The first who does stays.
    pub fn counted(&self, ask: impl Fn() -> Counted + Send + Sync + 'static) {
        let _ = self.counted.set(Box::new(ask));
    }

    /// The ledger says how an operation stands.
    pub fn standing(&self, operation: &str, standing: Standing) {
        if let Some(watch) = self.operations.load().get(operation) {
            watch.calls.stands(standing);
        }
    }

    /// The ledger is away: nothing is safe to retire as long as nobody can tell. All else stays as it was last said.
    pub fn standings_unknown(&self) {
        for watch in self.operations.load().values() {
            let standing = watch.calls.standing();
            watch.calls.stands(Standing { is_safe: false, ..standing });
        }
    }

    /// A backend server sent the head of its answer, `seconds` after the request.
    pub fn upstream_request(&self, server: Server, seconds: f64) {
        if let Some(cells) = self.server_cells(server) {
            cells.seconds.here().observe(seconds);
        }
    }

    /// A backend server failed.
    pub fn upstream_error(&self, server: Server, kind: &'static str) {
        self.upstream_errors.add(server.0, kind, 1);
    }

    /// A connection to a backend server was opened, or is being opened.
    pub fn upstream_connection_opened(&self, server: Server) {
        if let Some(cells) = self.server_cells(server) {
            cells.connections.fetch_add(1, Relaxed);
        }
    }

    /// It was closed.
    pub fn upstream_connection_closed(&self, server: Server) {
        if let Some(cells) = self.server_cells(server) {
            cells.connections.fetch_sub(1, Relaxed);
        }
    }

    /// A backend server is left out for a while.
    pub fn upstream_ejected(&self, server: Server) {
        if let Some(cells) = self.server_cells(server) {
            cells.ejections.fetch_add(1, Relaxed);
        }
    }

    /// Whether a backend server can be reached. Until this is first said, it counts as up.
    pub fn upstream_up(&self, server: Server, up: bool) {
        if let Some(cells) = self.server_cells(server) {
            cells.up.store(up.into(), Relaxed);
        }
    }

    /// So many spans will not reach the collector.
    pub fn spans_dropped(&self, count: u64) {
        self.spans_dropped.fetch_add(count, Relaxed);
    }

    /// A call that asks for a token of ours was answered.
    pub fn token_issued(&self, operation: &str, outcome: Issuing) {
        self.tokens.issued(operation, outcome);
    }

    /// A join with a token of ours was answered; one that was refused before the token was looked at does not count.
    pub fn token_redeemed(&self, kind: &str, outcome: Redeeming) {
        self.tokens.redeemed(kind, outcome);
    }

    /// Whether the ledger can be read and written. Until this is first said, it counts as down.
    pub fn ledger_up(&self, up: bool) {
        self.tokens.set_ledger_up(up);
    }

    /// A configuration was loaded, or refused.
    pub fn reload(&self, success: bool, now: Timestamp) {
        self.reload_successful.store(success.into(), Relaxed);
        if success {
            self.reload_success_at.store(now.as_second(), Relaxed);
        }
    }

    /// How many calls of an operation were answered since this process started.
    pub fn calls(&self, operation: &str) -> u64 {
        self.operations.load().get(operation).map_or(0, |watch| watch.calls.total())
    }

    /// When an operation was last called, by anybody of whom the ledger knows or since this process started.
    pub fn last_call(&self, operation: &str) -> Option<Timestamp> {
        self.operations.load().get(operation).and_then(|watch| watch.calls.last())
    }

    /// All of it in the Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        families::render(self, self.clock.now())
    }

    fn server(&self, text: &str) -> Server {
        let same = |cell: &OnceLock<ServerCells>| cell.get_or_init(|| ServerCells::new(text)).text == text;
        Server(self.servers.iter().position(same).unwrap_or(SERVERS - 1))
    }

    fn server_cells(&self, server: Server) -> Option<&ServerCells> {
        self.servers.get(server.0).and_then(OnceLock::get)
    }
}

/// One shard's counts of requests, by [`Route`].
type Requests = [RouteCells; 2];

struct RouteCells {
    /// By the index of the method.
    codes: [Codes; method::COUNT],
    seconds: Histogram,
}

impl Default for RouteCells {
    fn default() -> Self {
        RouteCells { codes: std::array::from_fn(|_| Codes::default()), seconds: Histogram::default() }
    }
}

/// What is kept of one listener.
struct ListenerCells {
    text: String,
    open: Counter,
    /// 0 where it has no certificate.
    not_after: AtomicI64,
}

impl ListenerCells {
    fn new(text: &str) -> Self {
        ListenerCells { text: text.to_owned(), open: Counter::new(), not_after: AtomicI64::new(0) }
    }
}

/// What is kept of one backend server.
struct ServerCells {
    text: String,
    seconds: Sharded<Histogram>,
    up: AtomicU64,
    connections: AtomicI64,
    ejections: AtomicU64,
}

impl ServerCells {
    fn new(text: &str) -> Self {
        ServerCells {
            text: text.to_owned(),
            seconds: Sharded::new(),
            up: AtomicU64::new(1),
            connections: AtomicI64::new(0),
            ejections: AtomicU64::new(0),
        }
    }
}

/// Counts of what happens rarely: of a thing (by its index) and a word.
#[derive(Default)]
struct Rare(Mutex<BTreeMap<(usize, &'static str), u64>>);

impl Rare {
    /// A word known beforehand, for things that are not known yet.
    const EVERYWHERE: usize = usize::MAX;

    fn add(&self, index: usize, word: &'static str, count: u64) {
        *lock(&self.0).entry((index, word)).or_default() += count;
    }

    fn snapshot(&self) -> BTreeMap<(usize, &'static str), u64> {
        lock(&self.0).clone()
    }
}

/// A panic elsewhere leaves counters that are still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
