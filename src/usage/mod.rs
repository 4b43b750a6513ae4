//! Who still calls what: counting off the request path, what is kept of it in the ledger, and the verdict whether an
//! operation can be retired. It knows neither HTTP bodies nor modes' insides: whether an answer proves who called is
//! decided by [`proof`], from the answer alone.
//!
//! No caller can fill it: names that nobody has proven are [`OTHER`] beyond a number a day, client software and networks
//! are reduced, and of one consumer only so many of them are told apart.

mod count;
mod kept;
pub mod latest;
pub mod proof;
mod reduce;
pub mod report;
mod series;
pub mod since;
#[cfg(test)]
mod tests;
pub mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::ledger::usage::GRACE;
use crate::ledger::{Away, Store, Watching};
use crate::metrics::Counted;
pub use count::Call;
use count::Shards;
use kept::Kept;
use series::Series;

/// Consumers, client software and networks that are not told apart.
pub const OTHER: &str = crate::metrics::OTHERS;
/// Client software that does not say what it is.
pub const NONE: &str = "none";

/// What an operator can set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long calls are remembered.
    pub retention: Duration,
    /// How long nobody must have called before an operation is safe to retire.
    pub window: Duration,
    /// Consumers whose calls do not count against that, as reports print them.
    pub ignore: BTreeSet<String>,
    /// So many calls of one consumer in the window do not count either.
    pub negligible_calls: u64,
    /// How many consumers that have proven nothing are told apart a day, those of each operation counted.
    pub claimed_consumers: usize,
    /// How many sums are held in memory while the ledger is away.
    pub held: usize,
    /// How many consumers have a series of their own in metrics, those of each operation counted.
    pub consumer_series: usize,
}

/// The days of a length, the day that has begun counted.
pub fn days(length: Duration) -> i64 {
    i64::try_from(length.as_secs().div_ceil(24 * 60 * 60)).unwrap_or(i64::MAX)
}

/// Counts calls and brings the counts to the ledger.
pub struct Usage {
    shards: Shards,
    kept: Mutex<Kept>,
    series: Mutex<Series>,
    settings: ArcSwap<Settings>,
    dropped: AtomicU64,
    /// One at a time brings counts away.
    bringing: tokio::sync::Mutex<()>,
    reach: Mutex<Reach>,
    /// Why the last recording failed, if it did.
    behind: Mutex<Option<Away>>,
}

/// From when on this process has counted every call.
struct Reach {
    /// Of what is watched from the start.
    from: Timestamp,
    /// Of each operation, once it is watched.
    operations: BTreeMap<String, Timestamp>,
    /// When calls were last dropped, until the ledger knows.
    lost: Option<Timestamp>,
    /// The last sign of life.
    alive: Timestamp,
}

impl Reach {
    /// Everything is watched from here on only.
    fn begin_again(&mut self, now: Timestamp) {
        self.from = now;
        self.operations.values_mut().for_each(|from| *from = now);
    }

    /// A process that was suspended, or whose clock has jumped, has not watched meanwhile.
    fn lives(&mut self, now: Timestamp) {
        if now.duration_since(self.alive) > GRACE {
            self.begin_again(now);
        }
        self.alive = now;
    }

    /// Operations by the moment since which they are watched. One that was added since the start is from now on.
    fn of(&mut self, operations: Vec<String>, now: Timestamp) -> BTreeMap<Timestamp, Vec<String>> {
        let from = if self.operations.is_empty() { self.from } else { now };
        let known = std::mem::take(&mut self.operations);
        let mut groups: BTreeMap<Timestamp, Vec<String>> = BTreeMap::new();
        for operation in operations {
            let since = *known.get(&operation).unwrap_or(&from);
            self.operations.insert(operation.clone(), since);
            groups.entry(since).or_default().push(operation);
        }
        groups
    }
}

impl Usage {
    /// Begins to count.
    pub fn new(settings: Settings, now: Timestamp) -> Self {
        Usage {
            shards: Shards::new(),
            kept: Mutex::new(Kept::new()),
            series: Mutex::default(),
            settings: ArcSwap::from_pointee(settings),
            dropped: AtomicU64::new(0),
            bringing: tokio::sync::Mutex::default(),
            reach: Mutex::new(Reach { from: now, operations: BTreeMap::new(), lost: None, alive: now }),
            behind: Mutex::default(),
        }
    }

    /// Goes on with other settings.
    pub fn configure(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// A call was answered. Costs one lock that nobody else holds but once a second.
    pub fn called(&self, call: &Call<'_>) {
        self.shards.count(call);
    }

    /// Brings all counts to the ledger.
    ///
    /// # Errors
    ///
    /// The ledger is away: the counts are held, as many as there is room for.
    pub async fn flush(&self, ledger: &dyn Store, now: Timestamp) -> Result<(), Away> {
        let _alone = self.bringing.lock().await;
        self.gather(now);
        loop {
            let Some(batch) = lock(&self.kept).batch() else { return Ok(()) };
            ledger.record_usage(Arc::clone(&batch)).await?;
            lock(&self.kept).recorded(&batch);
        }
    }

    /// Takes the counts of all threads, and drops those for which there is no room.
    pub fn gather(&self, now: Timestamp) {
        lock(&self.reach).lives(now);
        let settings = self.settings();
        let dropped = {
            let (mut kept, mut series) = (lock(&self.kept), lock(&self.series));
            let sums = self.shards.drain().inspect(|(called, tally)| {
                series.add(called, tally.calls(), settings.consumer_series);
            });
            kept.take(sums, &settings)
        };
        if dropped > 0 {
            self.drop_calls(dropped, now);
        }
    }

    /// Gives up what could not be brought to the ledger, and says how many calls that were.
    pub fn give_up(&self, now: Timestamp) -> u64 {
        self.gather(now);
        let lost = lock(&self.kept).clear();
        if lost > 0 {
            self.drop_calls(lost, now);
        }
        lost
    }

    /// Says in the ledger that these operations are being watched.
    ///
    /// # Errors
    ///
    /// The ledger is away.
    pub async fn watch(
        &self,
        ledger: &dyn Store,
        operations: Vec<String>,
        now: Timestamp,
    ) -> Result<(), Away> {
        let (groups, lost) = {
            let mut reach = lock(&self.reach);
            (reach.of(operations.clone(), now), reach.lost)
        };
        if let Some(at) = lost {
            // Before anything else: other processes go on saying that they watch.
            ledger.lose_usage(&operations, at).await?;
            let mut reach = lock(&self.reach);
            reach.lost = reach.lost.filter(|&last| last > at);
        }
        for (reach, operations) in groups {
            ledger.watch_usage(&Watching { operations, reach, now }).await?;
        }
        Ok(())
    }

    /// Remembers how the last recording went.
    pub fn set_behind(&self, why: Option<Away>) {
        *lock(&self.behind) = why;
    }

    /// Why the newest calls are not in the ledger, where the last recording failed: nobody can tell then that nobody calls.
    pub fn behind(&self) -> Option<Away> {
        lock(&self.behind).clone()
    }

    /// What metrics show: every call that was answered before is in it.
    pub fn counted(&self, now: Timestamp) -> Counted {
        self.gather(now);
        let is_on = self.settings.load().consumer_series > 0;
        let consumers = if is_on { lock(&self.series).all() } else { Vec::new() };
        Counted { dropped: self.dropped(), consumers }
    }

    /// Whether the ledger does not know yet that calls were dropped.
    pub fn has_lost(&self) -> bool {
        lock(&self.reach).lost.is_some()
    }

    /// How many calls were counted and then dropped, because the ledger was away for too long.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn drop_calls(&self, count: u64, now: Timestamp) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
        let mut reach = lock(&self.reach);
        reach.begin_again(now);
        reach.lost = Some(now);
    }
}

/// A panic elsewhere leaves counts that are still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
