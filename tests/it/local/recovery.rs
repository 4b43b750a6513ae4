//! Redemptions that end half-way: an answer of the backend's is lost, the program stops in between, the caller goes away.

use std::time::Duration;

use duskgate::clock::Clock;
use duskgate::ledger::{self, Create, Location, Reserve, Usage};
use serde_json::json;

use super::{World, assert_error, id_of, start};
use crate::support::http::{Connection, ask};
use crate::support::relay::Relay;

fn ledger(world: &World) -> std::sync::Arc<dyn ledger::Store> {
    let file = world.directory.path().join("ledger.db");
    ledger::open(&ledger::Settings::at(Location::Sqlite(file)), Create::No)
}

pub async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), waiting).await.is_ok(), "in vain: {what}");
}

#[tokio::test]
async fn an_addition_whose_answer_is_lost_is_found_out() {
    let mut world = World::new().await;
    let token = world.issue("anna", &world.group_route()).await;
    world.proxy.take().unwrap().stop().await;
    let relay = Relay::start(world.onezone.address, "PUT ").await;
    world.proxy = Some(start(&relay.url, &world.onezone, world.directory.path()).await);
    assert_eq!(world.join("dan", &token).await.status, 201);
    assert!(world.is_member("dan").await);
    assert_error(&world.join("inviter", &token).await, 400, "inviteTokenUsageLimitReached");
    world.stop().await;
}

#[tokio::test]
async fn a_reservation_that_was_left_is_finished_at_the_start_and_given_to_nobody_else() {
    let mut world = World::new().await;
    let token = world.issue("anna", &world.group_route()).await;
    world.proxy.take().unwrap().stop().await;
    let (id, dan) = (id_of(&token), format!("usr-{}", world.fixture().user("dan").id));
    let reserved = ledger(&world).reserve(&id, &dan, Clock::Real.now()).await.unwrap();
    assert!(matches!(reserved, Reserve::Fresh(_)), "{reserved:?}");

    world.proxy = Some(start(&world.onezone.url, &world.onezone, world.directory.path()).await);
    assert_error(&world.join("inviter", &token).await, 400, "inviteTokenUsageLimitReached");
    wait_until("it is finished", async || {
        let issued = ledger(&world).get(&id).await.unwrap().unwrap();
        matches!(issued.usage, Usage::Used { .. })
    })
    .await;
    assert!(world.is_member("dan").await);
    assert!(!world.is_member("inviter").await);
    world.stop().await;
}

#[tokio::test]
async fn who_comes_again_finishes_what_was_left() {
    let world = World::new().await;
    let token = world.issue("anna", &world.group_route()).await;
    let dan = format!("usr-{}", world.fixture().user("dan").id);
    ledger(&world).reserve(&id_of(&token), &dan, Clock::Real.now()).await.unwrap();
    assert_eq!(world.join("dan", &token).await.status, 201);
    assert!(world.is_member("dan").await);
    world.stop().await;
}

#[tokio::test]
async fn a_caller_who_hangs_up_is_a_member_all_the_same_and_the_token_is_used() {
    let world = World::new().await;
    let token = world.issue("anna", &world.group_route()).await;
    world.onezone.delay("PUT /groups/{id}/users/{uid}", Duration::from_millis(300));
    let mut connection = Connection::to(world.address()).await;
    let request = world.request("dan", "POST", "/user/groups/join").json(json!({ "token": token }));
    connection.write(&request.to_bytes()).await;
    wait_until("he is a member", async || world.is_member("dan").await).await;
    drop(connection);
    wait_until("the token is used", async || {
        let issued = ledger(&world).get(&id_of(&token)).await.unwrap().unwrap();
        matches!(issued.usage, Usage::Used { .. })
    })
    .await;
    world.stop().await;
}

#[tokio::test]
async fn a_token_that_nobody_received_is_deleted() {
    let world = World::new().await;
    let group = &world.fixture().group("developers").id;
    let user = &world.fixture().user("anna").id;
    let slow = "GET /groups/{id}/effective_users/{uid}/privileges";
    world.onezone.delay(slow, Duration::from_millis(200));
    let mut connection = Connection::to(world.address()).await;
    connection.write(&world.request("anna", "POST", &world.group_route()).to_bytes()).await;
    let asked = format!("/groups/{group}/effective_users/{user}/privileges");
    wait_until("the backend is asked", async || {
        world.onezone.requests().iter().any(|line| line.ends_with(&asked))
    })
    .await;
    drop(connection);
    tokio::time::sleep(Duration::from_millis(500)).await;
    wait_until("no token is left", async || {
        ledger(&world).list(&ledger::Filter::default()).await.unwrap().tokens.is_empty()
    })
    .await;
    world.stop().await;
}

#[tokio::test]
async fn a_backend_that_cannot_be_reached_costs_no_use() {
    let mut world = World::new().await;
    let token = world.issue("anna", &world.group_route()).await;
    world.proxy.take().unwrap().stop().await;
    let nowhere = start("http://127.0.0.1:1", &world.onezone, world.directory.path()).await;
    let request = world.request("dan", "POST", "/user/groups/join").json(json!({ "token": token }));
    assert_error(&ask(nowhere.address, &request).await, 503, "backendUnreachable");
    nowhere.stop().await;
    world.proxy = Some(start(&world.onezone.url, &world.onezone, world.directory.path()).await);
    assert_eq!(world.join("dan", &token).await.status, 201);
    world.stop().await;
}
