//! Redemptions that end half-way: an answer of the backend's is lost, the program stops in between, the caller goes away.

use std::path::Path;
use std::time::Duration;

use duskgate::clock::Clock;
use duskgate::ledger::{self, Create, Location, Reserve, Usage};
use duskgate::sandbox::{self, Settings};
use serde_json::json;

use super::{World, assert_error, id_of, start};
use crate::support::cutter::Cutter;
use crate::support::http::{Connection, Request, ask};
use crate::support::postgres::{self, PASSWORD};
use crate::support::proxy::{Proxy, Setup, local_tables_at};
use crate::support::relay::Relay;

pub fn ledger(world: &World) -> std::sync::Arc<dyn ledger::Store> {
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

/// More than are taken up in one go are bound for a group that is gone; then comes one that can be finished.
#[tokio::test]
async fn reservations_that_can_never_be_finished_hold_up_nobody() {
    const DEAD: usize = 1100;
    let mut world = World::new().await;
    let token = world.issue("anna", &world.group_route()).await;
    world.proxy.take().unwrap().stop().await;
    let (id, dan) = (id_of(&token), format!("usr-{}", world.fixture().user("dan").id));
    let connection = rusqlite::Connection::open(world.directory.path().join("ledger.db")).unwrap();
    let sql = format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {DEAD})
         INSERT INTO tokens (id, operation, invite_type, target, issuer, name, created_at, revoked, state, consumer, moment,
             round)
         SELECT 'dead ' || n, 'create_user_group_invite_token', 'userJoinGroup', 'gone', 'usr-anna', 'dead ' || n, 0, 0, 1,
             '{dan}', n, 1 FROM numbers"
    );
    connection.execute_batch(&sql).unwrap();
    drop(connection);
    ledger(&world).reserve(&id, &dan, Clock::Real.now()).await.unwrap();

    world.proxy = Some(start(&world.onezone.url, &world.onezone, world.directory.path()).await);
    let finished = async {
        loop {
            let issued = ledger(&world).get(&id).await.unwrap().unwrap();
            if matches!(issued.usage, Usage::Used { .. }) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    // All of the dead are asked for once before, on a machine that may be busy.
    assert!(tokio::time::timeout(Duration::from_secs(300), finished).await.is_ok(), "it never has its turn");
    assert!(world.is_member("dan").await);
    // Nothing is lost or given away.
    let left = ledger(&world).pending(Clock::Real.now(), None, 10_000).await.unwrap();
    assert_eq!(left.len(), DEAD);
    world.stop().await;
}

/// The data base has recorded a token when its answer is lost: the caller is told that it has none.
#[tokio::test]
async fn a_token_that_was_recorded_although_the_ledger_was_away_is_taken_out_again() {
    let settings = Settings { legacy: false, token_api: false, ..Settings::default() };
    let onezone = sandbox::start(settings).await.unwrap();
    let server = postgres::shared();
    let place = server.new_place().await;
    let cutter = Cutter::start(server.address()).await;
    let url = server.url_by_port(&place).replace(&server.address().to_string(), &cutter.address.to_string());
    let url = format!("{}&sslmode=disable", url.replace("duskgate@", &format!("duskgate:{PASSWORD}@")));
    let directory = tempfile::tempdir().unwrap();
    let proxy = Proxy::with(Setup {
        backend: &onezone.url,
        service_token: Some(&onezone.fixture.user("keeper").token),
        mode: "local",
        more: &local_tables_at(&url, directory.path()),
        ..Setup::default()
    })
    .await;
    let group = &onezone.fixture.group("developers").id;
    let request = Request::new("POST", &format!("/api/v3/onezone/groups/{group}/users/token"));
    let request = request.token(&onezone.fixture.user("anna").token);
    assert_eq!(ask(proxy.address, &request).await.status, 200);
    let direct = Location::parse(&server.url(&place), Path::new("")).unwrap();
    let direct = ledger::open(&ledger::Settings::at(direct), Create::No);
    let count = async || direct.list(&Default::default()).await.unwrap().tokens.len();
    assert_eq!(count().await, 1);

    cutter.cut_and_close_at("create_user_group_invite_token");
    assert_error(&ask(proxy.address, &request).await, 503, "ledgerUnavailable");
    assert!(cutter.has_cut());
    assert_eq!(count().await, 2, "the data base has it");
    cutter.open();
    wait_until("it is taken out", async || count().await == 1).await;
    assert_eq!(ask(proxy.address, &request).await.status, 200);
    proxy.stop().await;
}
