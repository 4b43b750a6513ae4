//! Finishing what others have left: reservations whose redemption ended half-way, with the program or with a connection.
//! None is given away; each is taken up again and again until the backend has answered what became of its member. Those
//! of which nothing can come, because the target or the member is gone, or because their token is no longer good and nobody
//! may be added by it now, are taken up ever more seldom, so that they hold up nobody. And tokens that nobody has received
//! are taken out of the ledger.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::Local;
use super::asking::Service;
use super::ledgered::Unwanted;
use super::redeem::Redeeming;
use crate::ledger::{Away, Reached};

/// How many are taken up in one go.
const AT_ONCE: usize = 1000;
/// How many are looked at in one go, with those whose turn it is not yet.
const PAGES: usize = 10;
/// How many are looked at with one question.
const PAGE: u32 = 1000;
/// After so many failures in a row the rest waits for the next go: the backend or the ledger is away.
const PATIENCE: u32 = 5;
/// How soon one that cannot be finished is tried again: so long, then twice as long, up to the longest.
const SOON: Duration = Duration::from_secs(4);
const LONGEST: Duration = Duration::from_secs(600);
/// The most that are remembered to be refused.
const REMEMBERED: usize = 100_000;
/// A token that nobody received may still be on its way into the ledger for so long.
const LATE: Duration = Duration::from_secs(60);

/// What came of one go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Reservations that are uses now, or were found to be finished.
    pub finished: usize,
    /// Those that were taken up and are still to be finished.
    pub left: usize,
}

/// What is remembered from one go to the next.
#[derive(Default)]
pub struct Leftovers {
    /// The last reservation that had its turn; nothing when the first is next.
    reached: Option<Reached>,
    /// Those that cannot be finished as things stand, by their tokens' ids.
    refused: HashMap<String, Refused>,
    unwanted: Vec<Unwanted>,
}

/// How a reservation ended that was taken up.
pub(super) enum Ending {
    Finished,
    /// Not now, because somebody did not do their part.
    Failed,
    /// Not now, because a caller is making the same member.
    Busy,
    /// It cannot be: the backend says so, or the token is no longer good.
    Refused,
}

#[derive(Clone, Copy)]
struct Refused {
    times: u32,
    at: Instant,
}

impl Local {
    /// Finishes reservations that are older than this: each time those that come behind the ones of the time before.
    ///
    /// # Errors
    ///
    /// The ledger is away.
    pub async fn recover(
        &self,
        leftovers: &mut Leftovers,
        older_than: SignedDuration,
    ) -> Result<Recovered, Away> {
        let before = self.now().saturating_sub(older_than).unwrap_or(Timestamp::MIN);
        let mut recovered = Recovered::default();
        let mut failures = 0;
        'go: for _ in 0..PAGES {
            let pending = self.ledger().pending(before, leftovers.reached.as_ref(), PAGE).await?;
            let is_last = pending.len() < PAGE as usize;
            for issued in pending {
                if failures == PATIENCE || recovered.finished + recovered.left == AT_ONCE {
                    break 'go;
                }
                leftovers.reached = issued.reached();
                if !leftovers.is_due(&issued.id) {
                    continue;
                }
                let id = issued.id.clone();
                match self.finish(issued).await {
                    Ending::Finished => {
                        recovered.finished += 1;
                        failures = 0;
                        leftovers.refused.remove(&id);
                    }
                    Ending::Failed => {
                        recovered.left += 1;
                        failures += 1;
                    }
                    Ending::Busy => recovered.left += 1,
                    Ending::Refused => {
                        recovered.left += 1;
                        failures = 0;
                        leftovers.refuse(id);
                    }
                }
            }
            if is_last {
                leftovers.begin_anew();
                break;
            }
        }
        if recovered != Recovered::default() {
            let Recovered { finished, left } = recovered;
            tracing::info!("{finished} reservations that were left are finished, {left} are still to be");
        }
        Ok(recovered)
    }

    async fn finish(&self, issued: crate::ledger::Issued) -> Ending {
        let id = issued.id.clone();
        let _place = self.place();
        match Redeeming::by_recovery(Service(self.clone()), issued) {
            Some(redeeming) => match self.turns().take(redeeming.membership()) {
                Some(_turn) => redeeming.run_by_recovery().await,
                None => Ending::Busy,
            },
            None => {
                tracing::error!(token = id, "a reservation is of a kind that this program does not know");
                Ending::Refused
            }
        }
    }

    /// Takes tokens that nobody received out of the ledger.
    ///
    /// # Errors
    ///
    /// The ledger is away; nothing is forgotten.
    pub async fn withdraw_unwanted(&self, leftovers: &mut Leftovers) -> Result<(), Away> {
        leftovers.unwanted.extend(self.take_unwanted());
        let mut kept = Vec::new();
        let mut outcome = Ok(());
        for unwanted in leftovers.unwanted.drain(..) {
            if outcome.is_err() {
                kept.push(unwanted);
                continue;
            }
            match self.ledger().withdraw(&unwanted.id, self.now()).await {
                Ok(true) => {}
                // It may have been asked for in vain, or too soon.
                Ok(false) if unwanted.since.elapsed() < LATE => kept.push(unwanted),
                Ok(false) => {}
                Err(away) => {
                    outcome = Err(away);
                    kept.push(unwanted);
                }
            }
        }
        leftovers.unwanted = kept;
        outcome
    }

    /// Forgets tokens that were spent so long ago.
    ///
    /// # Errors
    ///
    /// The ledger is away.
    pub async fn prune(&self, retention: SignedDuration) -> Result<u64, Away> {
        let before = self.now().saturating_sub(retention).unwrap_or(Timestamp::MIN);
        self.ledger().prune(before).await
    }
}

impl Leftovers {
    fn is_due(&self, id: &str) -> bool {
        self.refused.get(id).is_none_or(|refused| refused.at.elapsed() >= refused.pause())
    }

    fn refuse(&mut self, id: String) {
        let at = Instant::now();
        if let Some(refused) = self.refused.get_mut(&id) {
            *refused = Refused { times: refused.times + 1, at };
        } else if self.refused.len() < REMEMBERED {
            tracing::warn!(
                token = id,
                "a reservation cannot be finished: its token was revoked or deleted, or its issuer may not invite any more, \
                 or the backend says that its target or its member is gone; the token stays reserved for that member, and \
                 is tried ever more seldom"
            );
            self.refused.insert(id, Refused { times: 0, at });
        }
    }

    /// All have had their turn. What was due long ago has been finished by its own caller.
    fn begin_anew(&mut self) {
        self.reached = None;
        self.refused.retain(|_, refused| refused.at.elapsed() < 3 * LONGEST);
    }
}

impl Refused {
    fn pause(self) -> Duration {
        SOON.saturating_mul(1 << self.times.min(10)).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_tried_ever_more_seldom_and_never_given_up() {
        let pauses = (0..40).map(|times| Refused { times, at: Instant::now() }.pause().as_secs());
        let pauses: Vec<u64> = pauses.collect();
        assert_eq!(pauses[..9], [4, 8, 16, 32, 64, 128, 256, 512, 600]);
        assert_eq!(pauses[39], 600);
    }
}
