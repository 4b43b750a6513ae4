//! Coarse deadlines for connections. A runtime's own timer costs a lock and a place in a wheel for each request; a
//! connection here owns one deadline for its whole life, moved by one store, and one thread looks at all of them
//! ten times a second. Good for limits of seconds, useless for anything finer.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How often deadlines are looked at: one passes at most so much late.
pub const TICK: Duration = Duration::from_millis(100);

/// A deadline in the "never" position.
const NEVER: u64 = u64::MAX;

static WHEEL: LazyLock<Wheel> = LazyLock::new(Wheel::start);

/// A deadline that can be moved as often as wanted. It wakes the task that last polled it.
#[derive(Debug)]
pub struct Deadline {
    entry: Arc<Entry>,
    shelf: usize,
}

#[derive(Debug)]
struct Entry {
    /// Milliseconds since the wheel began to turn.
    at: AtomicU64,
    /// Where on its shelf it stands; changed under the shelf's lock.
    place: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl Deadline {
    /// A deadline that never passes, until it is set.
    pub fn never() -> Self {
        let entry = Arc::new(Entry {
            at: AtomicU64::new(NEVER),
            place: AtomicUsize::new(0),
            waker: Mutex::new(None),
        });
        let shelf = WHEEL.put(Arc::clone(&entry));
        Deadline { entry, shelf }
    }

    /// Lets it pass `after` from now, to the nearest tick.
    pub fn set(&self, after: Duration) {
        let after = u64::try_from(after.as_millis()).unwrap_or(NEVER / 2);
        self.entry.at.store(now().saturating_add(after), Ordering::Relaxed);
    }

    /// Lets it never pass.
    pub fn clear(&self) {
        self.entry.at.store(NEVER, Ordering::Relaxed);
    }

    /// Whether it can pass at all.
    pub fn is_set(&self) -> bool {
        self.entry.at.load(Ordering::Relaxed) != NEVER
    }

    /// Whether it has passed.
    pub fn is_over(&self) -> bool {
        self.entry.at.load(Ordering::Relaxed) <= now()
    }

    /// Ready once it has passed; else the task is woken when it does, or by [`nudge`].
    pub fn poll_over(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_over() {
            return Poll::Ready(());
        }
        let mut waker = self.entry.waker.lock().unwrap_or_else(PoisonError::into_inner);
        match waker.as_ref() {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        WHEEL.take(self.shelf, &self.entry);
    }
}

/// Milliseconds since the first deadline was made, as of the last tick.
pub fn now() -> u64 {
    WHEEL.now.load(Ordering::Relaxed)
}

/// Wakes every task that waits for a deadline, so that it can look at what else has changed.
pub fn nudge() {
    for shelf in &WHEEL.shelves {
        for entry in shelf.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            entry.wake();
        }
    }
}

impl Entry {
    fn wake(&self) {
        if let Some(waker) = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }
}

/// Several shelves, so that threads that open connections rarely wait for each other.
const SHELVES: usize = 16;

struct Wheel {
    now: AtomicU64,
    shelves: [Mutex<Vec<Arc<Entry>>>; SHELVES],
    next: AtomicU64,
}

impl Wheel {
    fn start() -> Self {
        // The thread ends with the process; if it cannot be had, `Deadline`s never pass, and a process without the
        // means for one more thread has other worries.
        let turn = || {
            let begin = Instant::now();
            loop {
                std::thread::sleep(TICK);
                WHEEL.turn(begin.elapsed());
            }
        };
        if let Err(error) = std::thread::Builder::new().name("timer".into()).spawn(turn) {
            tracing::error!("cannot start the timer thread, no time limit will hold: {error}");
        }
        Wheel { now: AtomicU64::new(0), shelves: Default::default(), next: AtomicU64::new(0) }
    }

    fn turn(&self, elapsed: Duration) {
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(NEVER - 1);
        self.now.store(now, Ordering::Relaxed);
        for shelf in &self.shelves {
            for entry in shelf.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                if entry.at.load(Ordering::Relaxed) <= now {
                    entry.wake();
                }
            }
        }
    }

    fn put(&self, entry: Arc<Entry>) -> usize {
        let shelf = self.next.fetch_add(1, Ordering::Relaxed) as usize % SHELVES;
        let mut entries = self.shelves[shelf].lock().unwrap_or_else(PoisonError::into_inner);
        entry.place.store(entries.len(), Ordering::Relaxed);
        entries.push(entry);
        shelf
    }

    fn take(&self, shelf: usize, entry: &Arc<Entry>) {
        let mut entries = self.shelves[shelf].lock().unwrap_or_else(PoisonError::into_inner);
        let place = entry.place.load(Ordering::Relaxed);
        if place < entries.len() {
            entries.swap_remove(place);
        }
        if let Some(moved) = entries.get(place) {
            moved.place.store(place, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deadline_passes_and_can_be_moved() {
        let deadline = Deadline::never();
        assert!(!deadline.is_over());
        deadline.set(Duration::from_millis(10));
        std::future::poll_fn(|cx| deadline.poll_over(cx)).await;
        assert!(deadline.is_over());
        deadline.set(Duration::from_secs(60));
        assert!(!deadline.is_over());
        deadline.clear();
        assert!(!deadline.is_over());
    }
}
