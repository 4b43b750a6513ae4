//! Counting on the threads that serve: each has sums of its own, which one task takes away. The sums of one thread are
//! bounded between two visits of that task.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use jiff::Timestamp;

use super::{NONE, OTHER, lock, reduce};
use crate::caller::Consumer;
use crate::ledger::usage::day_of;
use crate::ledger::{Called, Tally};
use crate::operation::Mode;
use crate::thread;

/// A call that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The operationId.
    pub operation: &'a str,
    /// Who called, as was said.
    pub consumer: &'a Consumer,
    /// Whether the answer proves it.
    pub verified: bool,
    /// The mode that made the answer.
    pub mode: Mode,
    /// The status of the answer.
    pub status: u16,
    /// What the client says that it is.
    pub user_agent: Option<&'a [u8]>,
    /// Where the client is.
    pub address: Option<IpAddr>,
    /// When it called.
    pub at: Timestamp,
}

/// How many threads have sums of their own; others share them.
const SHARDS: usize = 32;
/// How many sums one thread keeps of calls that prove nothing.
const MOST_CLAIMED: usize = 1024;
/// How many of all calls. So many consumers are proven in a second by nobody's mischief.
const MOST: usize = 8192;

/// The sums of all threads.
pub(super) struct Shards([Shard; SHARDS]);

/// Aligned, so that no two shards share a cache line.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Sums>);

#[derive(Default)]
struct Sums {
    of: HashMap<Called, Tally>,
    claimed: usize,
}

impl Shards {
    pub fn new() -> Self {
        Shards(std::array::from_fn(|_| Shard::default()))
    }

    /// Adds a call to the sums of this thread.
    pub fn count(&self, call: &Call<'_>) {
        let (called, tally) = sum_of(call);
        lock(&self.0[thread::number() % SHARDS].0).add(called, tally);
    }

    /// Takes the sums of all threads away.
    pub fn drain(&self) -> impl Iterator<Item = (Called, Tally)> {
        self.0.iter().flat_map(|shard| std::mem::take(&mut *lock(&shard.0)).of)
    }
}

impl Sums {
    fn add(&mut self, mut called: Called, tally: Tally) {
        if let Some(sum) = self.of.get_mut(&called) {
            return sum.add(&tally);
        }
        if self.of.len() >= MOST || (!called.verified && self.claimed >= MOST_CLAIMED) {
            // There are only so many of these.
            for text in [&mut called.consumer, &mut called.software, &mut called.network] {
                OTHER.clone_into(text);
            }
        }
        self.claimed += usize::from(!called.verified);
        self.of.entry(called).and_modify(|sum| sum.add(&tally)).or_insert(tally);
    }
}

fn sum_of(call: &Call<'_>) -> (Called, Tally) {
    let called = Called {
        operation: call.operation.to_owned(),
        consumer: call.consumer.to_string(),
        verified: call.verified,
        mode: call.mode.name(),
        software: call.user_agent.map_or_else(|| NONE.to_owned(), reduce::software),
        network: reduce::network(call.address),
        day: day_of(call.at),
    };
    let is = |range: std::ops::Range<u16>| u64::from(range.contains(&call.status));
    let tally = Tally {
        success: is(0..400),
        refused: is(400..500),
        failed: is(500..u16::MAX),
        first: call.at,
        last: call.at,
    };
    (called, tally)
}
