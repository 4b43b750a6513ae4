//! A token is used at most once, and a reservation belongs to its consumer until that is finished or given up.

use duskgate::ledger::{Reserve, Usage};

use super::on_every_store;
use super::world::{World, at, ids, issue, issue_reserved, usage};

on_every_store!(
    a_reservation_belongs_to_its_consumer,
    a_use_is_committed_by_its_consumer_alone,
    what_is_released_can_be_reserved_again,
    what_is_revoked_cannot_be_reserved,
    a_reservation_outlives_revocation_and_deletion,
    what_is_pending_is_listed_from_the_oldest_on,
);

async fn a_reservation_belongs_to_its_consumer(world: World) {
    let ledger = world.open();
    issue(&*ledger, "a").await;
    assert_eq!(usage(&*ledger, "a").await, Usage::Unused);
    assert_eq!(ledger.reserve("a", "user:ben", at(1)).await.unwrap(), Reserve::Fresh);
    assert_eq!(ledger.reserve("a", "user:ben", at(2)).await.unwrap(), Reserve::Mine);
    assert_eq!(ledger.reserve("a", "user:eve", at(3)).await.unwrap(), Reserve::Taken);
    assert_eq!(ledger.reserve("b", "user:ben", at(4)).await.unwrap(), Reserve::Unknown);
    let reserved = Usage::Reserved { consumer: "user:ben".to_owned(), since: at(1) };
    assert_eq!(usage(&*ledger, "a").await, reserved);
}

async fn a_use_is_committed_by_its_consumer_alone(world: World) {
    let ledger = world.open();
    issue(&*ledger, "a").await;
    assert!(!ledger.commit("a", "user:ben", at(1)).await.unwrap(), "nothing was reserved");
    assert_eq!(ledger.reserve("a", "user:ben", at(1)).await.unwrap(), Reserve::Fresh);
    assert!(!ledger.commit("a", "user:eve", at(2)).await.unwrap());
    assert!(ledger.commit("a", "user:ben", at(3)).await.unwrap());
    assert!(ledger.commit("a", "user:ben", at(4)).await.unwrap(), "it is so already");
    assert!(!ledger.commit("a", "user:eve", at(5)).await.unwrap());
    assert!(!ledger.commit("b", "user:ben", at(5)).await.unwrap());
    let used = Usage::Used { consumer: "user:ben".to_owned(), at: at(3) };
    assert_eq!(usage(&*ledger, "a").await, used);

    ledger.release("a", "user:ben").await.unwrap();
    assert_eq!(usage(&*ledger, "a").await, used, "a use is no reservation");
    for consumer in ["user:ben", "user:eve"] {
        assert_eq!(ledger.reserve("a", consumer, at(6)).await.unwrap(), Reserve::Used);
    }
}

async fn what_is_released_can_be_reserved_again(world: World) {
    let ledger = world.open();
    issue_reserved(&*ledger, "a", "user:ben", 1).await;
    ledger.release("a", "user:eve").await.unwrap();
    assert_eq!(ledger.reserve("a", "user:eve", at(2)).await.unwrap(), Reserve::Taken);
    for _ in 0..2 {
        ledger.release("a", "user:ben").await.unwrap();
        assert_eq!(usage(&*ledger, "a").await, Usage::Unused);
    }
    assert_eq!(ledger.reserve("a", "user:eve", at(3)).await.unwrap(), Reserve::Fresh);
    ledger.release("b", "user:ben").await.unwrap();
}

async fn what_is_revoked_cannot_be_reserved(world: World) {
    let ledger = world.open();
    issue(&*ledger, "a").await;
    assert!(ledger.set_revoked("a", true, at(1)).await.unwrap());
    assert!(ledger.get("a").await.unwrap().unwrap().revoked);
    assert_eq!(ledger.reserve("a", "user:ben", at(2)).await.unwrap(), Reserve::Revoked);
    assert!(ledger.set_revoked("a", false, at(3)).await.unwrap());
    assert_eq!(ledger.reserve("a", "user:ben", at(4)).await.unwrap(), Reserve::Fresh);
    assert!(ledger.commit("a", "user:ben", at(5)).await.unwrap());
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
    }
    assert_eq!(ids(&ledger.pending(at(9), 9).await.unwrap()), ["committed", "released"]);
    assert!(ledger.commit("committed", "user:ben", at(5)).await.unwrap());
    ledger.release("released", "user:ben").await.unwrap();
    assert_eq!(ledger.pending(at(9), 9).await.unwrap(), []);
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
    assert!(ledger.commit("used", "user:ben", at(2)).await.unwrap());
    assert_eq!(ids(&ledger.pending(at(9), 9).await.unwrap()), ["b", "c", "a"]);
    assert_eq!(ids(&ledger.pending(at(9), 2).await.unwrap()), ["b", "c"]);
    assert_eq!(ids(&ledger.pending(at(3), 9).await.unwrap()), ["b", "c"]);
    drop(ledger);
    assert_eq!(ids(&world.open().pending(at(9), 9).await.unwrap()), ["b", "c", "a"]);
}
