//! The sums of all threads, between counting and the ledger: pooled where a caller could make them many, held while the
//! ledger is away, and handed out in batches. A batch that may have arrived is handed out again unchanged, so that the
//! ledger can tell that it has it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{OTHER, Settings};
use crate::ledger::{Called, Tally, UsageBatch};

/// How many sums go to the ledger at once, so that nobody else waits for it long.
const BATCH: usize = 2000;
/// How many combinations of mode, client software and network are told apart of one consumer a day.
const VARIANTS: usize = 16;
/// The same of a consumer that has proven nothing.
const CLAIMED_VARIANTS: usize = 4;
/// How many consumers that have proven who they are are told apart a day, those of each operation counted.
const VERIFIED: usize = 200_000;

pub(super) struct Kept {
    writer: Arc<str>,
    sequence: i64,
    /// The batch that is on its way.
    sent: Option<Arc<UsageBatch>>,
    waiting: HashMap<Called, Tally>,
    known: Known,
}

/// An operation, a consumer, and whether that is proven.
type Who = (String, String, bool);
/// A mode, client software and a network.
type Variant = (&'static str, String, String);

/// What was told apart on the last day that was seen.
#[derive(Default)]
struct Known {
    day: i64,
    claimed: usize,
    verified: usize,
    variants: HashMap<Who, HashSet<Variant>>,
}

impl Kept {
    pub fn new() -> Self {
        let writer = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)).into();
        Kept { writer, sequence: 0, sent: None, waiting: HashMap::new(), known: Known::default() }
    }

    /// Takes sums, and says how many calls were dropped because there was no room for them.
    pub fn take(&mut self, sums: impl Iterator<Item = (Called, Tally)>, settings: &Settings) -> u64 {
        let mut dropped = 0;
        for (mut called, tally) in sums {
            self.known.pool(&mut called, settings);
            let room = settings.held.saturating_sub(self.sent.as_ref().map_or(0, |batch| batch.rows.len()));
            let has_room = self.waiting.len() < room;
            match self.waiting.entry(called) {
                Entry::Occupied(mut sum) => sum.get_mut().add(&tally),
                Entry::Vacant(place) if has_room => drop(place.insert(tally)),
                Entry::Vacant(_) => dropped += tally.calls(),
            }
        }
        dropped
    }

    /// The next batch, the one before again if it has not been recorded.
    pub fn batch(&mut self) -> Option<Arc<UsageBatch>> {
        if self.sent.is_none() && !self.waiting.is_empty() {
            let mut rows: Vec<_> = if self.waiting.len() <= BATCH {
                self.waiting.drain().collect()
            } else {
                let some: Vec<Called> = self.waiting.keys().take(BATCH).cloned().collect();
                some.into_iter().filter_map(|called| self.waiting.remove_entry(&called)).collect()
            };
            rows.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            self.sequence += 1;
            let (writer, sequence) = (Arc::clone(&self.writer), self.sequence);
            self.sent = Some(Arc::new(UsageBatch { writer, sequence, rows }));
        }
        self.sent.clone()
    }

    /// A batch has been recorded.
    pub fn recorded(&mut self, batch: &UsageBatch) {
        if self.sent.as_ref().is_some_and(|sent| sent.sequence == batch.sequence) {
            self.sent = None;
        }
    }

    /// Forgets all of it, and says how many calls that were.
    pub fn clear(&mut self) -> u64 {
        let waiting: u64 = self.waiting.drain().map(|(_, tally)| tally.calls()).sum();
        let sent = self.sent.take();
        waiting + sent.map_or(0, |batch| batch.rows.iter().map(|(_, tally)| tally.calls()).sum())
    }
}

impl Known {
    /// Makes one of what cannot be told apart any more today.
    fn pool(&mut self, called: &mut Called, settings: &Settings) {
        if called.day > self.day {
            *self = Known { day: called.day, ..Known::default() };
        }
        let other = || OTHER.to_owned();
        if called.consumer == OTHER {
            (called.software, called.network) = (other(), other());
            return;
        }
        let key = (called.operation.clone(), called.consumer.clone(), called.verified);
        if !self.variants.contains_key(&key) {
            let (count, most) = match called.verified {
                true => (&mut self.verified, VERIFIED),
                false => (&mut self.claimed, settings.claimed_consumers),
            };
            if *count >= most {
                (called.consumer, called.software, called.network) = (other(), other(), other());
                return;
            }
            *count += 1;
        }
        let variants = self.variants.entry(key).or_default();
        let variant = (called.mode, called.software.clone(), called.network.clone());
        let most = if called.verified { VARIANTS } else { CLAIMED_VARIANTS };
        if !variants.contains(&variant) {
            if variants.len() >= most {
                (called.software, called.network) = (other(), other());
            } else {
                variants.insert(variant);
            }
        }
    }
}
