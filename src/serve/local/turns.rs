//! One redemption of a token at a time, within this process: of concurrent calls of one consumer only one is told 201. It
//! is a courtesy; that a token is used once does not rest on it, so nobody waits for long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So long a redemption waits for the one before it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The tokens that are being redeemed.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Arc<Semaphore>>>);

/// A turn; it ends when this is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    id: &'a str,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Waits until nobody else redeems this token, or has done so for too long.
    pub async fn wait<'a>(&'a self, id: &'a str) -> Turn<'a> {
        let semaphore = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(id.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        // Made before waiting, so that whoever is dropped while it waits leaves nothing either.
        let mut turn = Turn { turns: self, id, permit: None };
        turn.permit =
            tokio::time::timeout(PATIENCE, semaphore.acquire_owned()).await.ok().and_then(Result::ok);
        turn
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // First, so that it does not count as somebody who waits.
        self.permit = None;
        let mut all = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(self.id).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            all.remove(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_left() {
        let turns = Turns::default();
        let first = turns.wait("a").await;
        let other = turns.wait("b").await;
        assert!(first.permit.is_some() && other.permit.is_some());
        let mut second = std::pin::pin!(turns.wait("a"));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(first);
        let second = second.await;
        assert!(second.permit.is_some());
        drop((second, other));
        assert!(turns.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_goes_away_while_waiting_leaves_nothing() {
        let turns = Turns::default();
        let first = turns.wait("a").await;
        {
            let mut second = std::pin::pin!(turns.wait("a"));
            assert!(futures_util::poll!(second.as_mut()).is_pending());
        }
        drop(first);
        assert!(turns.0.lock().unwrap().is_empty());
    }
}
