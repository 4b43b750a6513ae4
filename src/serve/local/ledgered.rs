//! Putting a token into the ledger, so that none is kept that nobody has received.

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

/// A token in the ledger. It is deleted when this is dropped, unless it was kept.
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
            if let Err(away) = local.ledger().delete(&id, local.now()).await {
                tracing::warn!(token = id, "a token that nobody received could not be deleted: {away}");
            }
        });
    }
}

/// Records a token, in a task of its own: should the caller go away meanwhile, it is still known that it is to be deleted.
pub(super) async fn issue(local: &Local, issued: Issued) -> Result<Outcome, Stop> {
    let (sender, receiver) = oneshot::channel();
    let recording = local.clone();
    tokio::spawn(async move {
        let _place = recording.place();
        let outcome = recording.ledger().issue(&issued).await.map(|outcome| match outcome {
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
