//! Calls of each consumer, for metrics: of those that have proven who they are, the first so many, each operation counted
//! for itself. Everybody else is one, so that nobody who invents names makes series.

use std::collections::HashMap;

use super::OTHER;
use crate::ledger::Called;
use crate::metrics::ConsumerCalls;

/// The calls since this process started, or since this was switched on.
#[derive(Default)]
pub(super) struct Series {
    /// By operation and consumer.
    of: HashMap<String, HashMap<String, u64>>,
    told_apart: usize,
}

impl Series {
    /// Adds calls. At most `most` consumers are told apart; those that are stay so.
    pub fn add(&mut self, called: &Called, calls: u64, most: usize) {
        if most == 0 {
            *self = Series::default();
            return;
        }
        if !self.of.contains_key(&called.operation) {
            self.of.insert(called.operation.clone(), HashMap::new());
        }
        let Some(consumers) = self.of.get_mut(&called.operation) else { return };
        let name = if called.verified { called.consumer.as_str() } else { OTHER };
        if let Some(sum) = consumers.get_mut(name) {
            *sum += calls;
            return;
        }
        let name = if name != OTHER && self.told_apart < most {
            self.told_apart += 1;
            name
        } else {
            OTHER
        };
        *consumers.entry(name.to_owned()).or_default() += calls;
    }

    /// All of them, in order.
    pub fn all(&self) -> Vec<ConsumerCalls> {
        let of = |(operation, consumers): (&String, &HashMap<String, u64>)| {
            let calls = |(consumer, calls): (&String, &u64)| ConsumerCalls {
                operation: operation.clone(),
                consumer: consumer.clone(),
                calls: *calls,
            };
            consumers.iter().map(calls).collect::<Vec<_>>()
        };
        let mut all: Vec<_> = self.of.iter().flat_map(of).collect();
        all.sort_unstable();
        all
    }
}
