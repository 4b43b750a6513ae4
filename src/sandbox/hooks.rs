//! What tests may do to the sandbox that no client can: trip the circuit breaker, make names clash, answer late; and what
//! it remembers for them, the requests that arrived.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many requests are remembered; the oldest are forgotten.
const REMEMBERED: usize = 10_000;

/// The switches, shared with every request.
#[derive(Default)]
pub struct Hooks {
    breaker: AtomicBool,
    refused_names: AtomicU32,
    restricted: AtomicBool,
    delays: Mutex<HashMap<String, Duration>>,
    requests: Mutex<Vec<String>>,
}

impl Hooks {
    /// Opens or closes the circuit breaker: while it is open, every REST call answers 503 after authentication.
    pub fn set_circuit_breaker(&self, open: bool) {
        self.breaker.store(open, Ordering::SeqCst);
    }

    /// Whether the circuit breaker is open.
    pub fn circuit_breaker_is_open(&self) -> bool {
        self.breaker.load(Ordering::SeqCst)
    }

    /// Lets the names of the next `count` tokens be taken already, whatever they are.
    pub fn occupy_next_names(&self, count: u32) {
        self.refused_names.store(count, Ordering::SeqCst);
    }

    /// Whether the name at hand counts as taken; each question uses up one of those.
    pub fn refuses_name(&self) -> bool {
        let less_one = |count: u32| count.checked_sub(1);
        self.refused_names.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less_one).is_ok()
    }

    /// Sets the policy about registering Oneproviders: when restricted, it takes an administrative privilege to invite one
    /// even for oneself. It is open at first.
    pub fn restrict_registration(&self, restricted: bool) {
        self.restricted.store(restricted, Ordering::SeqCst);
    }

    /// Whether registering Oneproviders is restricted.
    pub fn registration_is_restricted(&self) -> bool {
        self.restricted.load(Ordering::SeqCst)
    }

    /// Delays the answers to `request` (`POST /user/tokens/named`, the path under the API's base), each after its work
    /// is done. No time at all ends that.
    pub fn delay(&self, request: &str, time: Duration) {
        locked(&self.delays).insert(request.to_owned(), time);
    }

    /// For how long the answer to this request is held back.
    pub fn delay_of(&self, request: &str) -> Duration {
        locked(&self.delays).get(request).copied().unwrap_or_default()
    }

    /// Remembers a request.
    pub fn record(&self, request: String) {
        let mut requests = locked(&self.requests);
        if requests.len() == REMEMBERED {
            requests.remove(0);
        }
        requests.push(request);
    }

    /// The requests since the last time this was asked, oldest first, as `METHOD /raw/path?query`.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.requests))
    }

    /// The requests so far, as [`Hooks::take_requests`] gives them, without forgetting any.
    pub fn requests(&self) -> Vec<String> {
        locked(&self.requests).clone()
    }
}

/// The value, even if a holder of the lock panicked: no operation leaves it half changed.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
