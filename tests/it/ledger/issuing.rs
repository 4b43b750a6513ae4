//! What is issued is recorded once, and found again.

use duskgate::ledger::{Issue, Issued, Rename, Usage};
use serde_json::json;

use super::on_every_store;
use super::world::{World, at, issue, reserve_fresh, token, usage};

on_every_store!(
    what_was_issued_is_read_back_to_the_last_field,
    a_token_that_is_issued_again_is_recorded_once,
    a_name_is_unique_among_the_tokens_of_its_issuer,
    a_key_of_idempotency_gives_the_first_token_again,
    what_nobody_received_is_withdrawn_and_what_somebody_has_is_not,
    a_renamed_token_keeps_everything_else,
);

async fn what_was_issued_is_read_back_to_the_last_field(world: World) {
    let ledger = world.open();
    let plain = token("plain");
    let full = Issued {
        name: "Ünïcode \"quoted\" 'name' %".to_owned(),
        issuer: "prv-provider".to_owned(),
        privileges: Some(vec!["group_view".to_owned(), "group_add_user".to_owned()]),
        revoked: true,
        custom_metadata: Some(json!({"a": [1, null, "b"], "c": {}})),
        idempotency: Some(vec![0, 1, 254, 255]),
        ..token("full")
    };
    let bare = Issued { privileges: Some(Vec::new()), custom_metadata: Some(json!(null)), ..token("bare") };
    for token in [&plain, &full, &bare] {
        assert_eq!(ledger.issue(token).await.unwrap(), Issue::Recorded);
    }
    for token in [&plain, &full, &bare] {
        assert_eq!(ledger.get(&token.id).await.unwrap().as_ref(), Some(token));
    }
    assert_eq!(ledger.get("other").await.unwrap(), None);
    assert_eq!(ledger.by_idempotency(&[0, 1, 254, 255]).await.unwrap(), Some(full));
    assert_eq!(ledger.by_idempotency(&[0, 1, 254]).await.unwrap(), None);
}

async fn a_token_that_is_issued_again_is_recorded_once(world: World) {
    let ledger = world.open();
    let keyed = Issued { idempotency: Some(vec![7]), ..token("keyed") };
    for _ in 0..2 {
        assert_eq!(ledger.issue(&token("a")).await.unwrap(), Issue::Recorded);
        assert_eq!(ledger.issue(&keyed).await.unwrap(), Issue::Recorded);
    }
    assert_eq!(ledger.list(&Default::default()).await.unwrap().tokens, [token("a"), keyed]);
}

async fn a_name_is_unique_among_the_tokens_of_its_issuer(world: World) {
    let ledger = world.open();
    issue(&*ledger, "a").await;
    let same = Issued { name: token("a").name, ..token("b") };
    let of_another = Issued { issuer: "usr-ben".to_owned(), ..same.clone() };
    assert_eq!(ledger.issue(&same).await.unwrap(), Issue::NameTaken);
    assert_eq!(ledger.get("b").await.unwrap(), None);
    assert_eq!(ledger.issue(&of_another).await.unwrap(), Issue::Recorded);

    issue(&*ledger, "c").await;
    assert_eq!(ledger.rename("c", &same.name).await.unwrap(), Rename::NameTaken);
    assert_eq!(ledger.get("c").await.unwrap(), Some(token("c")));
    assert!(ledger.delete("a", at(1)).await.unwrap());
    assert_eq!(ledger.rename("c", &same.name).await.unwrap(), Rename::Done);
}

async fn a_key_of_idempotency_gives_the_first_token_again(world: World) {
    let ledger = world.open();
    let first = Issued { idempotency: Some(vec![1; 32]), ..token("first") };
    let second = Issued { idempotency: Some(vec![1; 32]), ..token("second") };
    // Whether the name is free does not matter then.
    let third = Issued { name: first.name.clone(), ..Issued { id: "third".to_owned(), ..second.clone() } };
    assert_eq!(ledger.issue(&first).await.unwrap(), Issue::Recorded);
    for repeated in [&second, &third] {
        assert_eq!(ledger.issue(repeated).await.unwrap(), Issue::Repeated(Box::new(first.clone())));
        assert_eq!(ledger.get(&repeated.id).await.unwrap(), None);
    }
    assert!(ledger.delete("first", at(1)).await.unwrap());
    assert_eq!(ledger.by_idempotency(&[1; 32]).await.unwrap(), None);
    assert_eq!(ledger.issue(&second).await.unwrap(), Issue::Recorded);
}

async fn a_renamed_token_keeps_everything_else(world: World) {
    let ledger = world.open();
    issue(&*ledger, "a").await;
    let new = "another name".to_owned();
    assert_eq!(ledger.rename("a", &new).await.unwrap(), Rename::Done);
    assert_eq!(ledger.rename("a", &new).await.unwrap(), Rename::Done, "its own name is no other's");
    assert_eq!(ledger.get("a").await.unwrap(), Some(Issued { name: new.clone(), ..token("a") }));
    assert_eq!(ledger.rename("b", &new).await.unwrap(), Rename::Unknown);
}

async fn what_nobody_received_is_withdrawn_and_what_somebody_has_is_not(world: World) {
    let ledger = world.open();
    let under = |id: &str, key: u8| Issued { idempotency: Some(vec![key; 32]), ..token(id) };
    for (id, key) in
        [("nobody's", 1), ("asked for", 2), ("issued again", 3), ("reserved", 4), ("released", 5)]
    {
        assert_eq!(ledger.issue(&under(id, key)).await.unwrap(), Issue::Recorded);
    }
    assert!(ledger.by_idempotency(&[2; 32]).await.unwrap().is_some());
    let again = ledger.issue(&under("other", 3)).await.unwrap();
    assert!(matches!(again, Issue::Repeated(_)), "{again:?}");
    reserve_fresh(&*ledger, "reserved", "user:ben", 1).await;
    let round = reserve_fresh(&*ledger, "released", "user:ben", 1).await;
    // Who looks for it meanwhile does not take its right to release from who has it.
    assert!(ledger.by_idempotency(&[5; 32]).await.unwrap().is_some());
    ledger.release("released", "user:ben", round).await.unwrap();
    assert_eq!(usage(&*ledger, "released").await, Usage::Unused);
    for (id, is_withdrawn) in [
        ("nobody's", true),
        ("nobody's", false),
        ("asked for", false),
        ("issued again", false),
        ("reserved", false),
        ("released", false),
        ("missing", false),
    ] {
        assert_eq!(ledger.withdraw(id, at(2)).await.unwrap(), is_withdrawn, "{id}");
    }
    assert_eq!(ledger.get("nobody's").await.unwrap(), None);
    assert_eq!(ledger.by_idempotency(&[1; 32]).await.unwrap(), None);
    assert_eq!(ledger.issue(&under("new", 1)).await.unwrap(), Issue::Recorded);
    reserve_fresh(&*ledger, "asked for", "user:eve", 3).await;
}
