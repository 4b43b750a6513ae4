//! What all connections of the process share: whether we are draining, how many are open, and the limits in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{Limits, Terms};
use crate::metrics::Metrics;
use crate::timer;

/// Shared by every accepting thread and every connection.
pub struct Gate {
    limits: ArcSwap<Limits>,
    /// Of each listener.
    terms: Vec<ArcSwap<Terms>>,
    draining: AtomicBool,
    open: AtomicUsize,
    stop: watch::Sender<Stage>,
    pub(super) metrics: Arc<Metrics>,
}

/// How far stopping has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Open,
    Closed,
    Abandoned,
}

impl Gate {
    /// An open gate for so many listeners, all of them plain until other terms are set.
    pub fn new(limits: Limits, listeners: usize, metrics: Arc<Metrics>) -> Self {
        Gate {
            limits: ArcSwap::from_pointee(limits),
            terms: (0..listeners).map(|_| ArcSwap::default()).collect(),
            draining: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            stop: watch::Sender::new(Stage::Open),
            metrics,
        }
    }

    /// Sets other limits; each connection takes them up with its next request.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
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

    /// Stops accepting; connections close after what is in flight.
    pub fn close(&self) {
        self.draining.store(true, Ordering::Release);
        self.stop.send_replace(Stage::Closed);
        timer::nudge();
    }

    /// Whether the gate was closed.
    pub fn is_closed(&self) -> bool {
        self.draining.load(Ordering::Acquire)
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

    /// Waits until no connection is open, at most `limit`; says whether none is.
    pub async fn emptied(&self, limit: Duration) -> bool {
        let step = Duration::from_millis(5);
        let deadline = tokio::time::Instant::now() + limit;
        while self.open() > 0 {
            if tokio::time::Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(step).await;
        }
        true
    }

    /// Counts a connection in, until the pass is dropped.
    pub(super) fn enter(self: &Arc<Self>, listener: usize) -> Pass {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.metrics.connection_opened(listener);
        Pass { gate: Arc::clone(self), listener }
    }
}

/// The count of one open connection.
pub(super) struct Pass {
    gate: Arc<Gate>,
    listener: usize,
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.metrics.connection_closed(self.listener);
        self.gate.open.fetch_sub(1, Ordering::AcqRel);
    }
}
