//! Who called what, as the ledger keeps it: calls of one UTC day, added up where nothing tells them apart. Any number of
//! processes add to the same sums.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

/// What tells calls apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Called {
    /// The operationId.
    pub operation: String,
    /// Who, as usage reports print it.
    pub consumer: String,
    /// Whether the answer proved that the credentials were accepted.
    pub verified: bool,
    /// The mode that served it.
    pub mode: &'static str,
    /// The client software.
    pub software: String,
    /// The network of the client.
    pub network: String,
    /// The UTC day, counted from 1970-01-01.
    pub day: i64,
}

/// Calls, added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Answers below 400.
    pub success: u64,
    /// Answers from 400 to 499.
    pub refused: u64,
    /// Answers from 500 on.
    pub failed: u64,
    /// The first of the calls.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
}

/// What one process adds at once. Sent again with the same number, it is added once.
#[derive(Clone, Debug)]
pub struct UsageBatch {
    /// The process, by a name that no other ever has.
    pub writer: Arc<str>,
    /// The number of the batch, growing from 1.
    pub sequence: i64,
    /// What is added; no two alike.
    pub rows: Vec<(Called, Tally)>,
}

/// What of the usage is wanted.
#[derive(Clone, Debug, Default)]
pub struct UsageFilter {
    /// Today, as [`Called::day`].
    pub today: i64,
    /// The first day of the calls that are added up.
    pub since: i64,
    /// The first day of the window that verdicts go by.
    pub window: i64,
    /// Of this operation only.
    pub operation: Option<String>,
    /// By this consumer only.
    pub consumer: Option<String>,
}

/// The calls of all days that nothing else tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// The operationId.
    pub operation: String,
    /// Who.
    pub consumer: String,
    /// Whether proven.
    pub verified: bool,
    /// The mode.
    pub mode: String,
    /// The client software.
    pub software: String,
    /// The network.
    pub network: String,
    /// Calls since [`UsageFilter::since`]; first and last of all that is remembered.
    pub since: Tally,
    /// Calls in the last day, 7 and 30 days: today's, and those of so many days before.
    pub recent: [u64; 3],
    /// Calls since [`UsageFilter::window`].
    pub window: u64,
}

/// What of the latest usage is wanted.
#[derive(Clone, Debug, Default)]
pub struct LatestFilter {
    /// The operationIds.
    pub operations: Vec<String>,
    /// Today, as [`Called::day`].
    pub today: i64,
    /// The first day of the window that verdicts go by.
    pub window: i64,
    /// Consumers that do not count.
    pub ignore: Vec<String>,
    /// So many calls of one consumer in the window do not count either.
    pub negligible_calls: u64,
}

/// The latest usage of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latest {
    /// The operationId.
    pub operation: String,
    /// Consumers that are proven and not ignored and have called in the days of [`RECENT`].
    pub consumers: [u64; 3],
    /// Whether one of them stands against retiring the operation.
    pub is_used: bool,
    /// The last call of anybody that is remembered.
    pub last: Option<Timestamp>,
}

/// The calls of one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedDay {
    /// The operationId.
    pub operation: String,
    /// The day.
    pub day: i64,
    /// All calls, verified or not.
    pub calls: u64,
}

/// A time in which the calls of an operation were counted without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// The operationId.
    pub operation: String,
    /// Its beginning.
    pub since: Timestamp,
    /// Its end, so far.
    pub until: Timestamp,
}

/// That operations are being watched.
#[derive(Clone, Debug)]
pub struct Watching {
    /// The operationIds.
    pub operations: Vec<String>,
    /// From when on this process has counted every call.
    pub reach: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// A pause of at most this length, for a restart say, is no gap.
pub const GRACE: SignedDuration = SignedDuration::from_mins(5);

/// How many days before today are those in [`Used::recent`].
pub const RECENT: [i64; 3] = [1, 7, 30];

impl Tally {
    /// All calls.
    pub fn calls(&self) -> u64 {
        self.success + self.refused + self.failed
    }

    /// Adds the calls of another.
    pub fn add(&mut self, other: &Tally) {
        self.success += other.success;
        self.refused += other.refused;
        self.failed += other.failed;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// The UTC day of a moment, counted from 1970-01-01.
pub fn day_of(moment: Timestamp) -> i64 {
    moment.as_second().div_euclid(24 * 60 * 60)
}

/// The first moment of a day.
pub fn start_of(day: i64) -> Timestamp {
    Timestamp::from_second(day.saturating_mul(24 * 60 * 60)).unwrap_or_default()
}
