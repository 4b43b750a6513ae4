//! No place in the code can fill the log: an outage would write a line with each request, and on the request's thread.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// How many lines a place may write in each [`WINDOW`].
const MOST: u32 = 20;
const WINDOW: Duration = Duration::from_secs(1);

/// Holds back what one place in the code writes too often, and says so with a later line of that place. Who asks for
/// `debug` or `trace` gets all of these.
#[derive(Default)]
pub(super) struct Sparing(Mutex<HashMap<Identifier, Pace>>);

struct Pace {
    since: Instant,
    written: u32,
    held_back: u64,
}

impl Pace {
    /// Whether one line more may be written, and how many were held back before it.
    fn takes(&mut self, now: Instant) -> Option<u64> {
        let mut held_back = 0;
        if now.saturating_duration_since(self.since) >= WINDOW {
            held_back = std::mem::take(&mut self.held_back);
            (self.since, self.written) = (now, 0);
        }
        if self.written == MOST {
            self.held_back += 1;
            return None;
        }
        self.written += 1;
        Some(held_back)
    }
}

impl Sparing {
    fn takes(&self, metadata: &Metadata<'_>, now: Instant) -> bool {
        if *metadata.level() > Level::INFO {
            return true;
        }
        let taken = {
            let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = || Pace { since: now, written: 0, held_back: 0 };
            paces.entry(metadata.callsite()).or_insert_with(begin).takes(now)
        };
        if let Some(held_back @ 1..) = taken {
            let (target, line) = (metadata.target(), metadata.line().unwrap_or_default());
            tracing::warn!("{held_back} lines like the next one were held back ({target}, line {line})");
        }
        taken.is_some()
    }
}

impl<S: Subscriber> Layer<S> for Sparing {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.takes(event.metadata(), Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_writes_so_many_lines_in_a_window_and_says_what_it_held_back() {
        let begin = Instant::now();
        let mut pace = Pace { since: begin, written: 0, held_back: 0 };
        let taken = (0..MOST + 5).filter(|_| pace.takes(begin) == Some(0)).count();
        assert_eq!(taken, MOST as usize);
        assert_eq!(pace.takes(begin + WINDOW), Some(5));
        assert_eq!(pace.takes(begin + WINDOW), Some(0));
    }
}
