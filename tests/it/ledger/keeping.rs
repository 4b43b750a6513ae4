//! The ledger keeps what it has, lists it, and forgets what is spent when it is told to.

use duskgate::ledger::{Away, Commit, Filter, Issue, Issued, State, Usage};
use futures_util::future::try_join_all;

use super::on_every_store;
use super::world::{World, at, ids, issue, issue_reserved, token, usage};

on_every_store!(
    what_was_done_is_there_when_the_ledger_is_opened_again,
    a_list_comes_in_pages_in_the_order_of_issue,
    a_list_can_be_of_one_issuer_or_one_state,
    a_reservation_is_seen_whatever_was_done_with_its_token,
    all_that_an_issuer_has_not_seen_used_ends_at_once,
    what_is_rare_in_a_large_ledger_is_found_in_several_pages,
    only_what_is_spent_and_old_is_pruned,
    more_is_pruned_than_goes_into_one_change,
    a_newer_ledger_is_refused,
);

async fn what_was_done_is_there_when_the_ledger_is_opened_again(world: World) {
    let ledger = world.open();
    issue(&*ledger, "a").await;
    issue_reserved(&*ledger, "b", "user:ben", 1).await;
    drop(ledger);
    let ledger = world.open();
    assert_eq!(ledger.get("a").await.unwrap(), Some(token("a")));
    assert_eq!(usage(&*ledger, "b").await, Usage::Reserved { consumer: "user:ben".to_owned(), since: at(1) });
}

async fn a_list_comes_in_pages_in_the_order_of_issue(world: World) {
    let ledger = world.open();
    assert_eq!(ledger.list(&Filter::default()).await.unwrap().tokens, []);
    for id in ["e", "d", "gone", "c", "b", "a"] {
        issue(&*ledger, id).await;
    }
    assert!(ledger.delete("gone", at(1)).await.unwrap());
    let mut filter = Filter { most: 2, ..Filter::default() };
    let mut pages = Vec::new();
    loop {
        let page = ledger.list(&filter).await.unwrap();
        pages.push(ids(&page.tokens).join(""));
        filter.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(pages, ["ed", "cb", "a"]);
    let page = ledger.list(&Filter { most: 5, ..Filter::default() }).await.unwrap();
    assert_eq!((page.tokens.len(), page.next), (5, None), "a full page can be the last");
}

async fn a_list_can_be_of_one_issuer_or_one_state(world: World) {
    let ledger = world.open();
    issue(&*ledger, "unused").await;
    issue_reserved(&*ledger, "reserved", "user:ben", 1).await;
    issue_reserved(&*ledger, "used", "user:ben", 1).await;
    assert_eq!(ledger.commit("used", "user:ben", at(1)).await.unwrap(), Commit::Done);
    issue(&*ledger, "revoked").await;
    assert!(ledger.set_revoked("revoked", true, at(1)).await.unwrap());
    let other = Issued { issuer: "usr-ben".to_owned(), ..token("other") };
    assert_eq!(ledger.issue(&other).await.unwrap(), Issue::Recorded);

    for state in State::ALL {
        let filter = Filter { state: Some(state), issuer: Some("usr-anna".to_owned()), ..Filter::default() };
        let tokens = ledger.list(&filter).await.unwrap().tokens;
        assert_eq!(ids(&tokens), [state.name()]);
        assert_eq!(tokens[0].state(), state);
    }
    let filter = Filter { state: Some(State::Unused), ..Filter::default() };
    assert_eq!(ids(&ledger.list(&filter).await.unwrap().tokens), ["unused", "other"]);
    let filter = Filter { issuer: Some("usr-ben".to_owned()), ..Filter::default() };
    assert_eq!(ids(&ledger.list(&filter).await.unwrap().tokens), ["other"]);
}

async fn a_reservation_is_seen_whatever_was_done_with_its_token(world: World) {
    let ledger = world.open();
    issue(&*ledger, "unused").await;
    for id in ["revoked", "used", "deleted"] {
        issue_reserved(&*ledger, id, "user:ben", 1).await;
    }
    assert_eq!(ledger.commit("used", "user:ben", at(1)).await.unwrap(), Commit::Done);
    for id in ["revoked", "used"] {
        assert!(ledger.set_revoked(id, true, at(2)).await.unwrap());
    }
    assert!(ledger.delete("deleted", at(2)).await.unwrap());

    let listed = async |state, issuer: Option<&str>| {
        let filter = Filter { state, issuer: issuer.map(str::to_owned), ..Filter::default() };
        let tokens = ledger.list(&filter).await.unwrap().tokens;
        ids(&tokens).iter().map(|id| (*id).to_owned()).collect::<Vec<_>>().join(" ")
    };
    for issuer in [None, Some("usr-anna")] {
        assert_eq!(listed(None, issuer).await, "unused revoked used deleted");
        assert_eq!(listed(Some(State::Reserved), issuer).await, "revoked deleted");
        assert_eq!(listed(Some(State::Used), issuer).await, "used");
        assert_eq!(listed(Some(State::Revoked), issuer).await, "revoked used");
        assert_eq!(listed(Some(State::Unused), issuer).await, "unused");
    }
    let deleted = ledger.look_up("deleted").await.unwrap().expect("it is still reserved");
    assert!(deleted.deleted && deleted.state() == State::Reserved);
    assert_eq!(ledger.get("deleted").await.unwrap(), None, "to everybody else it is none");
    assert_eq!(ledger.look_up("revoked").await.unwrap().map(|token| token.revoked), Some(true));

    assert_eq!(ledger.commit("deleted", "user:ben", at(3)).await.unwrap(), Commit::Done);
    assert_eq!(ledger.look_up("deleted").await.unwrap(), None);
    assert_eq!(listed(Some(State::Reserved), None).await, "revoked");
}

async fn all_that_an_issuer_has_not_seen_used_ends_at_once(world: World) {
    let ledger = world.open();
    issue(&*ledger, "unused").await;
    issue_reserved(&*ledger, "reserved", "user:ben", 1).await;
    issue_reserved(&*ledger, "used", "user:ben", 1).await;
    assert_eq!(ledger.commit("used", "user:ben", at(1)).await.unwrap(), Commit::Done);
    let other = Issued { issuer: "usr-ben".to_owned(), ..token("other") };
    assert_eq!(ledger.issue(&other).await.unwrap(), Issue::Recorded);

    assert_eq!(ledger.delete_all("usr-anna", at(2)).await.unwrap(), 2);
    assert_eq!(ledger.delete_all("usr-anna", at(3)).await.unwrap(), 0);
    for (id, is_there) in [("unused", false), ("reserved", false), ("used", true), ("other", true)] {
        assert_eq!(ledger.get(id).await.unwrap().is_some(), is_there, "{id}");
    }
    assert_eq!(ledger.commit("reserved", "user:ben", at(4)).await.unwrap(), Commit::Done);
}

async fn what_is_rare_in_a_large_ledger_is_found_in_several_pages(world: World) {
    let ledger = world.open();
    ledger.check().await.unwrap();
    world.fill(100_100).await;
    issue_reserved(&*ledger, "rare", "user:ben", 1).await;
    let mut filter = Filter { state: Some(State::Reserved), ..Filter::default() };
    let mut pages = Vec::new();
    loop {
        let page = ledger.list(&filter).await.unwrap();
        pages.push(page.tokens.len());
        filter.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(pages, [0, 0, 1]);
}

async fn only_what_is_spent_and_old_is_pruned(world: World) {
    let ledger = world.open();
    for id in ["unused", "revoked", "deleted", "restored"] {
        issue(&*ledger, id).await;
    }
    for id in ["reserved", "used", "used later", "revoked and reserved", "used and restored"] {
        issue_reserved(&*ledger, id, "user:ben", 1).await;
    }
    for id in ["used", "used and restored"] {
        assert_eq!(ledger.commit(id, "user:ben", at(10)).await.unwrap(), Commit::Done);
    }
    assert_eq!(ledger.commit("used later", "user:ben", at(20)).await.unwrap(), Commit::Done);
    for id in ["revoked", "restored", "revoked and reserved", "used and restored"] {
        assert!(ledger.set_revoked(id, true, at(10)).await.unwrap());
    }
    // To revoke again what is revoked does not make it younger.
    assert!(ledger.set_revoked("revoked", true, at(30)).await.unwrap());
    for id in ["restored", "used and restored"] {
        assert!(ledger.set_revoked(id, false, at(11)).await.unwrap());
    }
    assert!(ledger.delete("deleted", at(10)).await.unwrap());

    assert_eq!(ledger.prune(at(10)).await.unwrap(), 0);
    assert_eq!(ledger.prune(at(20)).await.unwrap(), 4);
    let left = ledger.list(&Filter::default()).await.unwrap().tokens;
    assert_eq!(ids(&left), ["unused", "restored", "reserved", "used later", "revoked and reserved"]);
    assert_eq!(ids(&ledger.pending(at(99), None, 9).await.unwrap()), ["reserved", "revoked and reserved"]);
    assert_eq!(ledger.prune(at(20)).await.unwrap(), 0);
    issue(&*ledger, "used").await;
}

async fn more_is_pruned_than_goes_into_one_change(world: World) {
    let ledger = world.open();
    let all: Vec<_> = (0..2500).map(|number| token(&format!("{number}"))).collect();
    let issued = try_join_all(all.iter().map(|token| ledger.issue(token))).await.unwrap();
    assert!(issued.iter().all(|answer| *answer == Issue::Recorded));
    try_join_all(all.iter().map(|token| ledger.delete(&token.id, at(1)))).await.unwrap();
    assert_eq!(ledger.prune(at(2)).await.unwrap(), 2500);
}

async fn a_newer_ledger_is_refused(world: World) {
    issue(&*world.open(), "a").await;
    world.set_version(99).await;
    let ledger = world.open();
    let away = ledger.check().await.unwrap_err();
    assert!(matches!(away, Away::Newer { found: 99, .. }), "{away}");
    assert!(away.for_good());
    let said = away.to_string();
    assert!(said.starts_with("the ledger is of version 99, this program knows versions up to "), "{said}");
    let away = ledger.issue(&token("b")).await.unwrap_err();
    assert!(matches!(away, Away::Newer { .. }), "{away}");
}
