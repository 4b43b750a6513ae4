//! The counts of our own token module.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::cells::Counter;
use crate::operation::{self, Mode};

/// How a call that asks for a token ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuing {
    /// With a token.
    Issued,
    /// The caller may not, or asked wrongly.
    Refused,
    /// The backend or the ledger did not do its part.
    Failed,
}

/// How a redemption ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeeming {
    /// With a new member.
    Redeemed,
    /// The token is no good, or not for this.
    Refused,
    /// The backend or the ledger did not do its part.
    Failed,
}

const ISSUING: [&str; 3] = ["issued", "refused", "failed"];
const REDEEMING: [&str; 3] = ["redeemed", "refused", "failed"];

/// The counts, of every operation and type that there are.
pub(super) struct Tokens {
    issued: Vec<(String, [Counter; 3])>,
    redeemed: Vec<(String, [Counter; 3])>,
    ledger_up: AtomicU64,
}

impl Tokens {
    pub fn new() -> Self {
        let (mut issued, mut redeemed) = (Vec::new(), Vec::new());
        let counters = || std::array::from_fn(|_| Counter::new());
        for operation in operation::builtin().into_iter().filter(|operation| operation.can(Mode::Local)) {
            redeemed.extend(operation.invite.map(|invite| (invite.kind, counters())));
            issued.push((operation.id, counters()));
        }
        Tokens { issued, redeemed, ledger_up: AtomicU64::new(0) }
    }

    pub fn issued(&self, operation: &str, outcome: Issuing) {
        add(&self.issued, operation, outcome as usize);
    }

    pub fn redeemed(&self, kind: &str, outcome: Redeeming) {
        add(&self.redeemed, kind, outcome as usize);
    }

    pub fn set_ledger_up(&self, up: bool) {
        self.ledger_up.store(up.into(), Relaxed);
    }

    pub fn ledger_up(&self) -> f64 {
        self.ledger_up.load(Relaxed) as f64
    }

    /// Operation, outcome and count.
    pub fn issuings(&self) -> impl Iterator<Item = (&str, &'static str, u64)> {
        counts(&self.issued, ISSUING)
    }

    /// Invite type, outcome and count.
    pub fn redeemings(&self) -> impl Iterator<Item = (&str, &'static str, u64)> {
        counts(&self.redeemed, REDEEMING)
    }
}

fn add(rows: &[(String, [Counter; 3])], name: &str, outcome: usize) {
    if let Some((_, counters)) = rows.iter().find(|(known, _)| known == name) {
        counters[outcome].add(1);
    }
}

fn counts<'r>(
    rows: &'r [(String, [Counter; 3])],
    outcomes: [&'static str; 3],
) -> impl Iterator<Item = (&'r str, &'static str, u64)> {
    rows.iter().flat_map(move |(name, counters)| {
        outcomes
            .into_iter()
            .zip(counters)
            .map(move |(outcome, counter)| (name.as_str(), outcome, counter.sum()))
    })
}
