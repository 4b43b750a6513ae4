//! Putting a token into the ledger, so that none is kept that nobody has received; also where the ledger was away when it
//! was to be put there or taken out, and may have done it all the same. Who repeats the call by its Idempotency-Key has
//! received it, whatever became of the first answer.

use std::sync::PoisonError;
use std::time::Instant;

use tokio::sync::oneshot;

use super::Local;
use super::asking::Stop;
use crate::ledger::{Issue, Issued};
use crate::reply;
use crate::serve::rewrite::delivery::Unclaimed;

/// What came of it.
pub(super) enum Outcome {
    /// It is in the ledger, for as long as somebody has it.
    Recorded(Ledgered),
    /// This one is, which was issued by the same call before.
    Repeated(Box<Issued>),
    /// The issuer has a token of this name.
    NameTaken,
}

/// The most that are remembered.
const REMEMBERED: usize = 10_000;

/// A token that nobody received and that may be in the ledger.
pub(super) struct Unwanted {
    pub id: String,
    pub since: Instant,
}

impl Local {
    /// What is to be taken out of the ledger, each once.
    pub(super) fn take_unwanted(&self) -> Vec<Unwanted> {
        std::mem::take(&mut *self.0.unwanted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn leave(&self, id: String) {
        let mut unwanted = self.0.unwanted.lock().unwrap_or_else(PoisonError::into_inner);
        if unwanted.len() < REMEMBERED {
            unwanted.push(Unwanted { id, since: Instant::now() });
        } else {
            tracing::warn!(token = id, "a token that nobody received may stay in the ledger");
        }
    }
}

/// A token in the ledger. It is withdrawn when this is dropped, unless it was kept.
pub(super) struct Ledgered(Option<(Local, String)>);

impl Ledgered {
    /// One that somebody has.
    pub fn kept() -> Self {
        Ledgered(None)
    }
}

impl Unclaimed for Ledgered {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Ledgered {
    fn drop(&mut self) {
        let Some((local, id)) = self.0.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let _place = local.place();
            if local.ledger().withdraw(&id, local.now()).await.is_err() {
                local.leave(id);
            }
        });
    }
}

/// Records a token, in a task of its own: should the caller go away meanwhile, it is still known that it is to be
/// withdrawn.
pub(super) async fn issue(local: &Local, issued: Issued) -> Result<Outcome, Stop> {
    let (sender, receiver) = oneshot::channel();
    let recording = local.clone();
    tokio::spawn(async move {
        let _place = recording.place();
        let outcome = recording.ledger().issue(&issued).await;
        if outcome.is_err() {
            recording.leave(issued.id.clone());
        }
        let outcome = outcome.map(|outcome| match outcome {
            Issue::Recorded => {
                let id = issued.id.clone();
                Outcome::Recorded(Ledgered(Some((recording.clone(), id))))
            }
            Issue::Repeated(before) => Outcome::Repeated(before),
            Issue::NameTaken => Outcome::NameTaken,
        });
        // Where nobody receives it, what is dropped is the token as well.
        let _ = sender.send(outcome);
    });
    Ok(receiver.await.map_err(|_| Stop::Failed(reply::Failure::Internal))??)
}
