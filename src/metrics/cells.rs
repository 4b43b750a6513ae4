//! The cells that hold counts: atomics, spread over shards so that two threads do not write to one cache line.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::thread;

/// How many shards there are. Threads beyond that share one, which costs speed and never a count.
const SHARDS: usize = 32;

/// One `T` a shard, made when a thread first uses it. Aligned, so that no two shards share a cache line.
pub(super) struct Sharded<T>([OnceLock<Box<Padded<T>>>; SHARDS]);

#[derive(Default)]
#[repr(align(128))]
struct Padded<T>(T);

impl<T: Default> Sharded<T> {
    pub fn new() -> Self {
        Sharded([const { OnceLock::new() }; SHARDS])
    }

    /// The shard of this thread.
    pub fn here(&self) -> &T {
        &self.0[thread::number() % SHARDS].get_or_init(Box::default).0
    }

    /// Every shard that was used.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(|shard| shard.get().map(|padded| &padded.0))
    }
}

/// A count spread over the shards.
pub(super) struct Counter(Sharded<AtomicU64>);

impl Counter {
    pub fn new() -> Self {
        Counter(Sharded::new())
    }

    pub fn add(&self, count: u64) {
        self.0.here().fetch_add(count, Relaxed);
    }

    /// Wraps within one shard: what one thread adds another may take away.
    pub fn subtract(&self, count: u64) {
        self.0.here().fetch_sub(count, Relaxed);
    }

    pub fn sum(&self) -> u64 {
        self.0.all().fold(0, |sum, cell| sum.wrapping_add(cell.load(Relaxed)))
    }
}

/// Counts by status code, 100 to 599; the 4 KB of them are made on first use.
#[derive(Default)]
pub(super) struct Codes(OnceLock<Box<[AtomicU64]>>);

/// The status codes that are counted.
pub(super) const CODES: std::ops::RangeInclusive<u16> = 100..=599;

impl Codes {
    pub fn add(&self, code: u16) {
        let cells = self.0.get_or_init(|| CODES.map(|_| AtomicU64::new(0)).collect());
        cells[usize::from(code.clamp(*CODES.start(), *CODES.end()) - CODES.start())].fetch_add(1, Relaxed);
    }

    /// Every code with a count that is not zero.
    pub fn counts(&self) -> impl Iterator<Item = (u16, u64)> {
        let cells = self.0.get().map_or(&[][..], |cells| cells);
        CODES.zip(cells).map(|(code, cell)| (code, cell.load(Relaxed))).filter(|(_, count)| *count > 0)
    }
}

/// The upper bounds of every histogram's buckets, in seconds; with the one above them, twelve.
pub(super) const BOUNDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// A histogram of durations.
#[derive(Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Histogram {
    pub fn observe(&self, seconds: f64) {
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.nanoseconds.fetch_add((seconds * 1e9) as u64, Relaxed);
    }
}

/// What a histogram holds at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Observed {
    /// Observations in each bucket, the unbounded one last; not cumulative.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// The sum of them, in nanoseconds.
    pub nanoseconds: u64,
}

impl Observed {
    /// The sum of several histograms.
    pub fn sum<'a>(histograms: impl IntoIterator<Item = &'a Histogram>) -> Self {
        let mut sum = Observed::default();
        for histogram in histograms {
            for (total, bucket) in sum.buckets.iter_mut().zip(&histogram.buckets) {
                *total += bucket.load(Relaxed);
            }
            sum.nanoseconds = sum.nanoseconds.wrapping_add(histogram.nanoseconds.load(Relaxed));
        }
        sum
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}
