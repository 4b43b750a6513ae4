//! One redemption at a time, within this process, of a token, and of all tokens that would make one member: of concurrent
//! calls of one consumer only one is told 201, and only one token is used, because the others find the member there. It
//! is a courtesy; that a token is used once does not rest on it, so nobody waits for ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::token::InviteType;

/// So long a redemption waits for those before it: as long as a backend may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is one redemption's at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Matter {
    /// The token of this id.
    Token(String),
    /// That this member belongs to this target, by an invitation of this type.
    Membership { kind: InviteType, target: String, member: String },
}

/// What is being redeemed.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Matter, Arc<Semaphore>>>);

/// A turn; it ends when this is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    matter: Matter,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Waits until nobody else has to do with this matter, or has had for too long.
    pub async fn wait(&self, matter: Matter) -> Turn<'_> {
        let semaphore = self.semaphore(&matter);
        // Made before waiting, so that whoever is dropped while it waits leaves nothing either.
        let mut turn = Turn { turns: self, matter, permit: None };
        turn.permit =
            tokio::time::timeout(PATIENCE, semaphore.acquire_owned()).await.ok().and_then(Result::ok);
        turn
    }

    /// A turn, if nobody else has to do with this matter now.
    pub fn take(&self, matter: Matter) -> Option<Turn<'_>> {
        let semaphore = self.semaphore(&matter);
        let mut turn = Turn { turns: self, matter, permit: None };
        turn.permit = Some(semaphore.try_acquire_owned().ok()?);
        Some(turn)
    }

    fn semaphore(&self, matter: &Matter) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(matter.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // First, so that it does not count as somebody who waits.
        self.permit = None;
        let mut all = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&self.matter).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            all.remove(&self.matter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: &str) -> Matter {
        Matter::Token(id.to_owned())
    }

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_left() {
        let turns = Turns::default();
        let first = turns.wait(token("a")).await;
        let other = turns.wait(token("b")).await;
        assert!(first.permit.is_some() && other.permit.is_some());
        assert!(turns.take(token("a")).is_none());
        let mut second = std::pin::pin!(turns.wait(token("a")));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(first);
        let second = second.await;
        assert!(second.permit.is_some());
        drop((second, other));
        assert!(turns.take(token("a")).is_some());
        assert!(turns.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_goes_away_while_waiting_leaves_nothing() {
        let turns = Turns::default();
        let first = turns.wait(token("a")).await;
        {
            let mut second = std::pin::pin!(turns.wait(token("a")));
            assert!(futures_util::poll!(second.as_mut()).is_pending());
        }
        drop(first);
        assert!(turns.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn only_what_would_make_the_same_member_has_the_same_turn() {
        let turns = Turns::default();
        let of = |kind, target: &str, member: &str| Matter::Membership {
            kind,
            target: target.to_owned(),
            member: member.to_owned(),
        };
        let first = turns.take(of(InviteType::UserJoinGroup, "g", "u"));
        let others = [
            of(InviteType::GroupJoinGroup, "g", "u"),
            of(InviteType::UserJoinGroup, "h", "u"),
            of(InviteType::UserJoinGroup, "g", "v"),
        ];
        let others = others.map(|other| turns.take(other));
        assert!(others.iter().all(Option::is_some));
        assert!(turns.take(of(InviteType::UserJoinGroup, "g", "u")).is_none());
        drop(first);
        assert!(turns.take(of(InviteType::UserJoinGroup, "g", "u")).is_some());
    }
}
