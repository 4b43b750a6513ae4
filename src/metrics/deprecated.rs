//! The counts of one deprecated operation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::cells::{Codes, Histogram};
use super::usage::Standing;
use crate::operation::{Mode, Phase};

/// The facts of a deprecated operation that its metrics show.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The operationId.
    pub operation: String,
    /// The mode that serves it before its sunset.
    pub mode: Mode,
    /// The mode that serves it after.
    pub mode_after_sunset: Mode,
    /// The status of a successful answer.
    pub success: u16,
    /// When it was deprecated.
    pub deprecated_at: Timestamp,
    /// When it ends, if that is known.
    pub sunset_at: Option<Timestamp>,
}

impl Watched {
    /// The phase at a moment.
    pub(super) fn phase(&self, now: Timestamp) -> Phase {
        if self.sunset_at.is_some_and(|sunset| sunset <= now) {
            return Phase::Sunset;
        }
        if self.deprecated_at <= now { Phase::Deprecated } else { Phase::Announced }
    }

    /// The mode at a moment, and the code of its success: the series that exists before the first call.
    pub(super) fn expected(&self, now: Timestamp) -> (Mode, u16) {
        let mode = if self.phase(now) == Phase::Sunset { self.mode_after_sunset } else { self.mode };
        (mode, if mode == Mode::Gone { 410 } else { self.success })
    }
}

/// An operation in force with its counts, which outlive a reload.
pub(super) struct Watch {
    pub facts: Watched,
    pub calls: Arc<Calls>,
}

impl Watch {
    pub fn new(facts: Watched, before: &BTreeMap<String, Arc<Watch>>) -> Self {
        let calls = before.get(&facts.operation).map(|watch| Arc::clone(&watch.calls)).unwrap_or_default();
        Watch { facts, calls }
    }
}

/// The counts of one operation's calls.
pub(super) struct Calls {
    pub codes: [[Codes; Phase::ALL.len()]; Mode::ALL.len()],
    pub seconds: [Histogram; Mode::ALL.len()],
    /// Unix milliseconds, 0 for never.
    last: AtomicI64,
    standing: ArcSwap<Standing>,
}

impl Calls {
    pub fn record(&self, mode: Mode, phase: Phase, code: u16, seconds: f64, now: Timestamp) {
        self.codes[mode as usize][phase as usize].add(code);
        self.seconds[mode as usize].observe(seconds);
        self.last.fetch_max(now.as_millisecond(), Relaxed);
    }

    pub fn stands(&self, standing: Standing) {
        if let Some(last) = standing.last_call {
            self.last.fetch_max(last.as_millisecond(), Relaxed);
        }
        self.standing.store(Arc::new(standing));
    }

    pub fn standing(&self) -> Standing {
        **self.standing.load()
    }

    pub fn total(&self) -> u64 {
        self.codes.iter().flatten().flat_map(Codes::counts).map(|(_, count)| count).sum()
    }

    pub fn last(&self) -> Option<Timestamp> {
        let milliseconds = self.last.load(Relaxed);
        (milliseconds > 0).then(|| Timestamp::from_millisecond(milliseconds).unwrap_or_default())
    }
}

impl Default for Calls {
    fn default() -> Self {
        Calls {
            codes: std::array::from_fn(|_| std::array::from_fn(|_| Codes::default())),
            seconds: std::array::from_fn(|_| Histogram::default()),
            last: AtomicI64::new(0),
            standing: ArcSwap::default(),
        }
    }
}
