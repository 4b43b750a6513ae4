//! How many requests are served at once. A request takes a place before it is served and gives it back with the head of
//! its answer; where all places are taken it waits in a bounded queue, first come, first served, and is refused where the
//! queue is full or the wait too long. So an overloaded backend is asked no more than it can bear, and callers hear at
//! once that they should come again later.
//!
//! What a place deliberately does not cover: the body of the answer (a slow reader holds no place), the tunnel behind a
//! 101 (a WebSocket lives for days), and the wait for a body that the client takes its time to send
//! ([`Place::while_arriving`]).

mod arriving;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;
pub use arriving::PATIENCE;

/// The words for limits in metrics: no place was free; the queue was full; the wait was too long.
pub const LIMITS: [&str; 3] = ["concurrent_requests", "queue", "queue_wait"];

/// How many requests are served at once, and how many wait for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Requests served at once, 1 to 1,000,000.
    pub concurrent_requests: usize,
    /// Requests that wait for a place; with 0 none does.
    pub queue: usize,
    /// How long one waits.
    pub queue_wait: Duration,
}

/// The places, shared by all threads; outlives configurations.
pub struct Admission {
    hall: ArcSwap<Hall>,
    queued: AtomicUsize,
    metrics: Arc<Metrics>,
}

struct Hall {
    settings: Settings,
    /// Fair: a place that becomes free goes to who has waited longest.
    places: Arc<Semaphore>,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    permit: OwnedSemaphorePermit,
}

/// No place, and none to be had in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded {
    /// Whole seconds after which to try again, at least 1.
    pub retry_after: u32,
}

impl Admission {
    /// Free places.
    pub fn new(settings: Settings, metrics: Arc<Metrics>) -> Self {
        let hall = ArcSwap::from_pointee(Hall::new(settings));
        Admission { hall, queued: AtomicUsize::new(0), metrics }
    }

    /// Sets other limits, for requests that come from now on. If the number of places changes, those that are served or
    /// wait now are not among the new ones.
    pub fn configure(&self, settings: Settings) {
        let hall = self.hall.load();
        if hall.settings == settings {
            return;
        }
        let keeps_places = hall.settings.concurrent_requests == settings.concurrent_requests;
        let places = keeps_places.then(|| Arc::clone(&hall.places));
        let places = places.unwrap_or_else(|| Hall::places(&settings));
        self.hall.store(Arc::new(Hall { settings, places }));
    }

    /// A place, if one is free and nobody waits for it.
    pub fn try_enter(&self) -> Option<Place> {
        let places = Arc::clone(&self.hall.load().places);
        places.try_acquire_owned().ok().map(|permit| Place { permit })
    }

    /// Waits in the queue for a place.
    ///
    /// # Errors
    ///
    /// [`Overloaded`], at once where the queue is full, else after the wait.
    pub async fn wait(&self) -> Result<Place, Overloaded> {
        let hall = self.hall.load_full();
        let Settings { queue, queue_wait, .. } = hall.settings;
        self.metrics.limit_hit("concurrent_requests");
        let Some(_waiting) = Waiting::behind(self, queue) else {
            self.metrics.limit_hit("queue");
            return Err(hall.overloaded());
        };
        let place = Arc::clone(&hall.places).acquire_owned();
        match tokio::time::timeout(queue_wait, place).await {
            Ok(Ok(permit)) => Ok(Place { permit }),
            // The semaphore is never closed, so this is the wait.
            Ok(Err(_)) | Err(_) => {
                self.metrics.limit_hit("queue_wait");
                Err(hall.overloaded())
            }
        }
    }

    /// How many requests are served now, those that a change of limits has left over not among them.
    pub fn in_flight(&self) -> usize {
        let hall = self.hall.load();
        hall.settings.concurrent_requests.saturating_sub(hall.places.available_permits())
    }

    /// How many wait now.
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }
}

impl Hall {
    fn new(settings: Settings) -> Self {
        let places = Hall::places(&settings);
        Hall { settings, places }
    }

    fn places(settings: &Settings) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(settings.concurrent_requests.min(Semaphore::MAX_PERMITS)))
    }

    /// Who comes again sooner than the queue turns over would only wait again.
    fn overloaded(&self) -> Overloaded {
        let seconds = self.settings.queue_wait.as_millis().div_ceil(1000);
        Overloaded { retry_after: u32::try_from(seconds).unwrap_or(u32::MAX).max(1) }
    }
}

/// One of those that wait, until it is dropped, also by a client that goes away.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn behind(admission: &'a Admission, most: usize) -> Option<Self> {
        let waiting = Waiting(&admission.queued);
        (admission.queued.fetch_add(1, Ordering::Relaxed) < most).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
