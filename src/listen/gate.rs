//! What all connections of the process share: whether we are draining, how many are open, and the limits in force.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore, watch};

use super::notices::Notices;
use super::peers::{Client, Peers};
use super::{Limits, Terms};
use crate::metrics::Metrics;
use crate::timer;

/// Shared by every accepting thread and every connection.
pub struct Gate {
    limits: ArcSwap<Limits>,
    /// Of each listener.
    terms: Vec<ArcSwap<Terms>>,
    pub(super) notices: Notices,
    draining: AtomicBool,
    /// For how long idle connections may still begin a request once the gate is closed, in milliseconds.
    last_call: AtomicU64,
    open: AtomicUsize,
    /// How many threads accept connections.
    accepting: AtomicUsize,
    /// How many accepted connections wait for another one to end.
    waiting: AtomicUsize,
    freed: Notify,
    peers: Peers,
    /// Places for the requests that connections of HTTP/2 serve beside their first.
    pub(super) places: Semaphore,
    /// How many of these there are, free or not.
    granted: AtomicUsize,
    stop: watch::Sender<Stage>,
    pub(super) metrics: Arc<Metrics>,
}

/// How far stopping has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Open,
    Closed,
    Farewell,
    Abandoned,
}

impl Gate {
    /// An open gate for so many listeners, all of them plain until other terms are set.
    pub fn new(limits: Limits, listeners: usize, metrics: Arc<Metrics>) -> Self {
        Gate {
            places: Semaphore::new(places(&limits)),
            granted: AtomicUsize::new(places(&limits)),
            limits: ArcSwap::from_pointee(limits),
            terms: (0..listeners).map(|_| ArcSwap::default()).collect(),
            notices: Notices::default(),
            draining: AtomicBool::new(false),
            last_call: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            accepting: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
            peers: Peers::default(),
            stop: watch::Sender::new(Stage::Open),
            metrics,
        }
    }

    /// Sets other limits; each connection takes them up with its next request.
    pub fn set_limits(&self, limits: Limits) {
        let wanted = places(&limits);
        self.limits.store(Arc::new(limits));
        let granted = self.granted.load(Ordering::Relaxed);
        if wanted > granted {
            self.places.add_permits(wanted - granted);
            self.granted.store(wanted, Ordering::Relaxed);
        } else {
            // Those in use stay until there is another reload.
            let forgotten = self.places.forget_permits(granted - wanted);
            self.granted.store(granted - forgotten, Ordering::Relaxed);
        }
        self.freed.notify_waiters();
    }

    /// The limits in force.
    pub fn limits(&self) -> Arc<Limits> {
        self.limits.load_full()
    }

    /// Sets other terms for a listener's connections to come.
    pub fn set_terms(&self, listener: usize, terms: Terms) {
        if let Some(old) = self.terms.get(listener) {
            old.store(Arc::new(terms));
        }
    }

    /// The terms of a listener.
    pub(super) fn terms(&self, listener: usize) -> arc_swap::Guard<Arc<Terms>> {
        self.terms[listener].load()
    }

    /// Stops accepting; connections close after what is in flight, and idle ones after the last call: a request may be on
    /// its way to them.
    pub fn close(&self, last_call: Duration) {
        let last_call = u64::try_from(last_call.as_millis()).unwrap_or(u64::MAX);
        self.last_call.store(last_call, Ordering::Relaxed);
        self.draining.store(true, Ordering::Release);
        self.stop.send_replace(Stage::Closed);
        timer::nudge();
    }

    /// Whether the gate was closed.
    pub fn is_closed(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// For how long idle connections may still begin a request.
    pub(super) fn last_call(&self) -> Duration {
        Duration::from_millis(self.last_call.load(Ordering::Relaxed))
    }

    /// Tells tunnels to end: nothing else would end them.
    pub fn bid_farewell(&self) {
        self.stop.send_replace(Stage::Farewell);
    }

    /// Waits until tunnels have to end.
    pub(super) async fn farewell(&self) {
        let _ = self.stop.subscribe().wait_for(|stage| *stage >= Stage::Farewell).await;
    }

    /// Takes up the limits in force, if they are others than these.
    pub(super) fn refresh(&self, limits: &mut Arc<Limits>) {
        let current = self.limits.load();
        if !Arc::ptr_eq(&current, limits) {
            *limits = Arc::clone(&current);
        }
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Waits until the gate is closed.
    pub async fn closed(&self) {
        // The sender lives in `self`, so waiting can only end with the value.
        let _ = self.stop.subscribe().wait_for(|stage| *stage >= Stage::Closed).await;
    }

    /// Lets every serving thread end, with whatever is still open on it.
    pub fn abandon(&self) {
        self.stop.send_replace(Stage::Abandoned);
    }

    /// Waits until the gate is abandoned.
    pub async fn abandoned(&self) {
        let _ = self.stop.subscribe().wait_for(|stage| *stage == Stage::Abandoned).await;
    }

    /// Counts a thread in that accepts connections, until what is returned is dropped.
    pub fn accepting(self: &Arc<Self>) -> Accepting {
        self.accepting.fetch_add(1, Ordering::SeqCst);
        Accepting(Arc::clone(self))
    }

    /// Waits until no connection is open and none waits to be accepted, at most `limit`; says whether it is so.
    pub async fn emptied(&self, limit: Duration) -> bool {
        let step = Duration::from_millis(5);
        let deadline = tokio::time::Instant::now() + limit;
        // In this order: a thread that has accepted its last connection has counted it in.
        while self.accepting.load(Ordering::SeqCst) > 0 || self.open() > 0 {
            if tokio::time::Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(step).await;
        }
        true
    }

    /// Whether connections are to end with the answer in hand: we are draining, or others wait for their place.
    pub(super) fn wants_room(&self) -> bool {
        self.is_closed() || self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Counts a connection in, until the pass is dropped, if there is room for it.
    pub(super) fn enter(self: &Arc<Self>, listener: usize) -> Option<Pass> {
        let most = self.limits.load().connections.unwrap_or(usize::MAX);
        let enter = |open: usize| (open < most).then_some(open + 1);
        self.open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, enter).ok()?;
        Some(self.pass(listener))
    }

    /// Counts a connection in, whether or not there is room.
    pub(super) fn squeeze_in(self: &Arc<Self>, listener: usize) -> Pass {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.pass(listener)
    }

    /// Waits until there is room for a connection, and counts it in.
    pub(super) async fn enter_later(self: &Arc<Self>, listener: usize) -> Pass {
        self.metrics.limit_hit("connections");
        let _waiting = Waiting::of(&self.waiting);
        loop {
            // Made before looking, so that no place that becomes free meanwhile goes unnoticed.
            let freed = self.freed.notified();
            if let Some(pass) = self.enter(listener) {
                return pass;
            }
            freed.await;
        }
    }

    fn pass(self: &Arc<Self>, listener: usize) -> Pass {
        self.metrics.connection_opened(listener);
        Pass { gate: Arc::clone(self), listener, client: None }
    }
}

/// The count of one open connection.
pub(super) struct Pass {
    gate: Arc<Gate>,
    listener: usize,
    client: Option<Client>,
}

impl Pass {
    /// Counts the connection as one of this client's, once its address is known; false where the client has too many.
    pub fn is_within_its_clients(&mut self, address: IpAddr) -> bool {
        let Some(most) = self.gate.limits.load().connections_per_peer else { return true };
        let client = Client::from(address);
        if self.gate.peers.enter(client, most) {
            self.client = Some(client);
            return true;
        }
        self.gate.metrics.limit_hit("connections_per_peer");
        false
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(client) = self.client {
            self.gate.peers.leave(client);
        }
        self.gate.metrics.connection_closed(self.listener);
        self.gate.open.fetch_sub(1, Ordering::SeqCst);
        if self.gate.waiting.load(Ordering::SeqCst) > 0 {
            self.gate.freed.notify_waiters();
        }
    }
}

fn places(limits: &Limits) -> usize {
    limits.http2_places.min(Semaphore::MAX_PERMITS)
}

/// A thread that accepts connections, until it is dropped.
pub struct Accepting(Arc<Gate>);

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.accepting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
