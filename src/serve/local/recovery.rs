//! Finishing what others have left: reservations whose redemption ended half-way, with the program or with a connection.
//! None is given away; each is taken up again and again until the backend has answered what became of its member.

use jiff::{SignedDuration, Timestamp};

use super::Local;
use super::asking::Service;
use super::redeem::Redeeming;
use super::redemption::Outcome;
use crate::ledger::Away;

/// How many are taken up in one go.
const AT_ONCE: u32 = 1000;
/// After so many failures in a row the rest waits for the next go: the backend or the ledger is away.
const PATIENCE: u32 = 5;

/// What came of one go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Reservations that are uses now, or were found to be finished.
    pub finished: usize,
    /// Those that are still to be finished.
    pub left: usize,
}

impl Local {
    /// Finishes reservations that are older than this.
    ///
    /// # Errors
    ///
    /// The ledger is away.
    pub async fn recover(&self, older_than: SignedDuration) -> Result<Recovered, Away> {
        let before = self.now().saturating_sub(older_than).unwrap_or(Timestamp::MIN);
        let mut recovered = Recovered::default();
        let mut pending = self.ledger().pending(before, AT_ONCE).await?;
        // So that those which cannot be finished do not always come first.
        fastrand::shuffle(&mut pending);
        let (count, mut failures) = (pending.len(), 0);
        for issued in pending {
            if failures == PATIENCE {
                break;
            }
            let id = issued.id.clone();
            let _place = self.place();
            let Some(redeeming) = Redeeming::by_recovery(Service(self.clone()), issued) else {
                tracing::error!(token = id, "a reservation is of a kind that this program does not know");
                continue;
            };
            match redeeming.run_by_recovery().await {
                Outcome::Joined | Outcome::AlreadyMember | Outcome::UsageLimitReached => {
                    recovered.finished += 1;
                    failures = 0;
                }
                Outcome::Refused => failures = 0,
                Outcome::Failed => failures += 1,
            }
        }
        recovered.left = count - recovered.finished;
        if recovered != Recovered::default() {
            let Recovered { finished, left } = recovered;
            tracing::info!("{finished} reservations that were left are finished, {left} are still to be");
        }
        Ok(recovered)
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
