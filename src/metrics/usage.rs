//! What metrics show of who calls. The numbers are made elsewhere, and are those of a report.

use jiff::Timestamp;

/// How an operation stands, as the ledger says: for all replicas that share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Consumers that count, in the last day, 7 and 30 days.
    pub consumers: [u64; 3],
    /// The last call of anybody.
    pub last_call: Option<Timestamp>,
    /// Since when it is watched without a gap.
    pub watched_since: Option<Timestamp>,
    /// Whether it is safe to retire.
    pub is_safe: bool,
}

/// The windows of [`Standing::consumers`].
pub(super) const WINDOWS: [&str; 3] = ["1d", "7d", "30d"];

/// What this process has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Calls that were counted and then dropped.
    pub dropped: u64,
    /// Calls of consumers that are told apart, and of all others, in order.
    pub consumers: Vec<ConsumerCalls>,
}

/// The calls of an operation by one consumer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConsumerCalls {
    /// The operationId.
    pub operation: String,
    /// Who, as reports print it, or [`OTHERS`].
    pub consumer: String,
    /// How many.
    pub calls: u64,
}

/// Everybody who has no series.
pub const OTHERS: &str = "other";
