//! A token is used at most once, and a reservation belongs to its consumer until that is finished or given up.

use duskgate::ledger::{Commit, Reached, Reserve, Usage};

use super::on_every_store;
use super::world::{World, at, ids, issue, issue_reserved, reserve_fresh, usage};

on_every_store!(
    a_reservation_belongs_to_its_consumer,
    a_use_is_committed_by_its_consumer_alone,
    what_is_released_can_be_reserved_again,
    who_was_overtaken_releases_nothing,
    a_late_release_finds_another_round,
    what_is_revoked_cannot_be_reserved,
    a_reservation_outlives_revocation_and_deletion,
    what_is_pending_is_listed_from_the_oldest_on,
    a_list_of_what_is_pending_goes_on_where_it_ended,
);

async fn a_reservation_belongs_to_its_consumer(world: World) {
    let ledger = world.open();
    issue(&*ledger, "a").await;
    assert_eq!(usage(&*ledger, "a").await, Usage::Unused);
    reserve_fresh(&*ledger, "a", "user:ben", 1).await;
    assert_eq!(ledger.reserve("a", "user:ben", at(2)).await.unwrap(), Reserve::Mine);
    assert_eq!(ledger.reserve("a", "user:eve", at(3)).await.unwrap(), Reserve::Taken);
    assert_eq!(ledger.reserve("b", "user:ben", at(4)).await.unwrap(), Reserve::Unknown);
    let reserved = Usage::Reserved { consumer: "user:ben".to_owned(), since: at(1) };
    assert_eq!(usage(&*ledger, "a").await, reserved);
}

async fn a_use_is_committed_by_its_consumer_alone(world: World) {
    let ledger = world.open();
    let commit = async |id, consumer, seconds| ledger.commit(id, consumer, at(seconds)).await.unwrap();
    issue(&*ledger, "a").await;
    assert_eq!(commit("a", "user:ben", 1).await, Commit::None, "nothing was reserved");
    let round = reserve_fresh(&*ledger, "a", "user:ben", 1).await;
    assert_eq!(commit("a", "user:eve", 2).await, Commit::None);
    assert_eq!(commit("a", "user:ben", 3).await, Commit::Done);
    assert_eq!(commit("a", "user:ben", 4).await, Commit::Before);
    assert_eq!(commit("a", "user:eve", 5).await, Commit::None);
    assert_eq!(commit("b", "user:ben", 5).await, Commit::None);
    let used = Usage::Used { consumer: "user:ben".to_owned(), at: at(3) };
    assert_eq!(usage(&*ledger, "a").await, used);

    ledger.release("a", "user:ben", round).await.unwrap();
    assert!(!ledger.adopt("a", "user:ben").await.unwrap());
    assert_eq!(usage(&*ledger, "a").await, used, "a use is no reservation");
    for consumer in ["user:ben", "user:eve"] {
        assert_eq!(ledger.reserve("a", consumer, at(6)).await.unwrap(), Reserve::Used);
    }
}

async fn what_is_released_can_be_reserved_again(world: World) {
    let ledger = world.open();
    issue(&*ledger, "a").await;
    let round = reserve_fresh(&*ledger, "a", "user:ben", 1).await;
    ledger.release("a", "user:eve", round).await.unwrap();
    assert_eq!(ledger.reserve("a", "user:eve", at(2)).await.unwrap(), Reserve::Taken);
    for _ in 0..2 {
        ledger.release("a", "user:ben", round).await.unwrap();
        assert_eq!(usage(&*ledger, "a").await, Usage::Unused);
    }
    reserve_fresh(&*ledger, "a", "user:eve", 3).await;
    ledger.release("b", "user:ben", round).await.unwrap();
}

/// Another call of the same consumer may have sent something by then.
async fn who_was_overtaken_releases_nothing(world: World) {
    let ledger = world.open();
    for (id, adopted) in [("reserved again", false), ("adopted", true)] {
        issue(&*ledger, id).await;
        assert!(!ledger.adopt(id, "user:ben").await.unwrap(), "nothing was reserved");
        let round = reserve_fresh(&*ledger, id, "user:ben", 1).await;
        assert!(!ledger.adopt(id, "user:eve").await.unwrap());
        if adopted {
            assert!(ledger.adopt(id, "user:ben").await.unwrap());
        } else {
            assert_eq!(ledger.reserve(id, "user:ben", at(2)).await.unwrap(), Reserve::Mine);
        }
        ledger.release(id, "user:ben", round).await.unwrap();
        let reserved = Usage::Reserved { consumer: "user:ben".to_owned(), since: at(1) };
        assert_eq!(usage(&*ledger, id).await, reserved);
    }
}

async fn a_late_release_finds_another_round(world: World) {
    let ledger = world.open();
    issue(&*ledger, "a").await;
    let first = reserve_fresh(&*ledger, "a", "user:ben", 1).await;
    ledger.release("a", "user:ben", first).await.unwrap();
    let second = reserve_fresh(&*ledger, "a", "user:ben", 1).await;
    ledger.release("a", "user:ben", first).await.unwrap();
    assert_ne!(usage(&*ledger, "a").await, Usage::Unused);
    ledger.release("a", "user:ben", second).await.unwrap();
    assert_eq!(usage(&*ledger, "a").await, Usage::Unused);
}

async fn what_is_revoked_cannot_be_reserved(world: World) {
    let ledger = world.open();
    issue(&*ledger, "a").await;
    assert!(ledger.set_revoked("a", true, at(1)).await.unwrap());
    assert!(ledger.get("a").await.unwrap().unwrap().revoked);
    assert_eq!(ledger.reserve("a", "user:ben", at(2)).await.unwrap(), Reserve::Revoked);
    assert!(ledger.set_revoked("a", false, at(3)).await.unwrap());
    reserve_fresh(&*ledger, "a", "user:ben", 4).await;
    assert_eq!(ledger.commit("a", "user:ben", at(5)).await.unwrap(), Commit::Done);
    assert!(ledger.set_revoked("a", true, at(6)).await.unwrap());
    assert_eq!(ledger.reserve("a", "user:eve", at(7)).await.unwrap(), Reserve::Revoked);
    assert!(!ledger.set_revoked("b", true, at(8)).await.unwrap());
}

async fn a_reservation_outlives_revocation_and_deletion(world: World) {
    let ledger = world.open();
    for id in ["committed", "released"] {
        issue_reserved(&*ledger, id, "user:ben", 1).await;
        assert!(ledger.set_revoked(id, true, at(2)).await.unwrap());
        assert_eq!(ledger.reserve(id, "user:ben", at(2)).await.unwrap(), Reserve::Mine);
        assert_eq!(ledger.reserve(id, "user:eve", at(2)).await.unwrap(), Reserve::Revoked);
        assert!(ledger.delete(id, at(3)).await.unwrap());
        assert!(!ledger.delete(id, at(3)).await.unwrap());
        assert_eq!(ledger.get(id).await.unwrap(), None);
        assert_eq!(ledger.reserve(id, "user:ben", at(4)).await.unwrap(), Reserve::Mine);
        assert_eq!(ledger.reserve(id, "user:eve", at(4)).await.unwrap(), Reserve::Unknown);
        assert!(ledger.adopt(id, "user:ben").await.unwrap());
    }
    assert_eq!(ids(&ledger.pending(at(9), None, 9).await.unwrap()), ["committed", "released"]);
    assert_eq!(ledger.commit("committed", "user:ben", at(5)).await.unwrap(), Commit::Done);
    // Reserved, found reserved, adopted, in this order.
    ledger.release("released", "user:ben", 4).await.unwrap();
    assert_eq!(ledger.pending(at(9), None, 9).await.unwrap(), []);
    for id in ["committed", "released"] {
        assert_eq!(ledger.reserve(id, "user:ben", at(6)).await.unwrap(), Reserve::Unknown);
    }
}

async fn what_is_pending_is_listed_from_the_oldest_on(world: World) {
    let ledger = world.open();
    for (id, seconds) in [("a", 3), ("b", 1), ("c", 2), ("used", 1)] {
        issue_reserved(&*ledger, id, "user:ben", seconds).await;
    }
    issue(&*ledger, "unused").await;
    assert_eq!(ledger.commit("used", "user:ben", at(2)).await.unwrap(), Commit::Done);
    assert_eq!(ids(&ledger.pending(at(9), None, 9).await.unwrap()), ["b", "c", "a"]);
    assert_eq!(ids(&ledger.pending(at(9), None, 2).await.unwrap()), ["b", "c"]);
    assert_eq!(ids(&ledger.pending(at(3), None, 9).await.unwrap()), ["b", "c"]);
    drop(ledger);
    assert_eq!(ids(&world.open().pending(at(9), None, 9).await.unwrap()), ["b", "c", "a"]);
}

/// Some were reserved in the same moment.
async fn a_list_of_what_is_pending_goes_on_where_it_ended(world: World) {
    let ledger = world.open();
    for (id, seconds) in [("d", 2), ("a", 1), ("e", 2), ("c", 2), ("b", 1)] {
        issue_reserved(&*ledger, id, "user:ben", seconds).await;
    }
    let (mut reached, mut found) = (None, Vec::new());
    loop {
        let page = ledger.pending(at(9), reached.as_ref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        reached = last.reached();
        found.extend(page.into_iter().map(|issued| issued.id));
    }
    assert_eq!(found, ["a", "b", "c", "d", "e"]);
    // What is finished meanwhile leaves no gap, and what is made behind it is found.
    assert_eq!(ledger.commit("c", "user:ben", at(3)).await.unwrap(), Commit::Done);
    issue_reserved(&*ledger, "f", "user:ben", 3).await;
    let reached = Reached { since: at(2), id: "c".to_owned() };
    assert_eq!(ids(&ledger.pending(at(9), Some(&reached), 9).await.unwrap()), ["d", "e", "f"]);
}
