//! Reservations of unknown outcome: nobody is added by one once its token is no longer good, and nobody else gets it.

use duskgate::clock::Clock;
use duskgate::ledger::{Reserve, Usage};
use duskgate::token::{Caveat, Interface};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::recovery::{ledger, wait_until};
use super::{World, assert_error, id_of, read, start};
use crate::support::relay::{Fate, Relay};

const BUSY: &str = "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Reserves a token for somebody, at a moment.
async fn reserve(world: &World, token: &str, who: &str, at: Timestamp) {
    let consumer = format!("usr-{}", world.fixture().user(who).id);
    let reserved = ledger(world).reserve(&id_of(token), &consumer, at).await.unwrap();
    assert!(matches!(reserved, Reserve::Fresh(_)), "{reserved:?}");
}

/// So late that no recovery takes it up.
fn untouched() -> Timestamp {
    Clock::Real.now() + SignedDuration::from_hours(1)
}

/// From now on the backend is called directly.
async fn past_the_relay(world: &mut World) {
    world.proxy.take().unwrap().stop().await;
    world.proxy = Some(start(&world.onezone.url, &world.onezone, world.directory.path()).await);
}

async fn usage(world: &World, token: &str) -> Usage {
    ledger(world).get(&id_of(token)).await.unwrap().unwrap().usage
}

/// Lets mia invite, or not.
async fn let_mia_invite(world: &World, verb: &str) {
    let group = &world.fixture().group("developers").id;
    let path = format!("/groups/{group}/users/{}/privileges", world.fixture().user("mia").id);
    let change = json!({ verb: ["group_add_user"] });
    let changed = world.call("admin", "PATCH", &path, Some(change)).await;
    assert_eq!(changed.status, 204, "{changed:?}");
}

async fn set_revoked(world: &World, token: &str, revoked: bool) {
    let path = format!("/tokens/named/{}", id_of(token));
    let change = json!({ "revoked": revoked });
    assert_eq!(world.call("mia", "PATCH", &path, Some(change)).await.status, 204);
}

#[tokio::test]
async fn who_comes_again_passes_every_check_first() {
    let world = World::new().await;
    let token = world.issue("mia", &world.group_route()).await;
    reserve(&world, &token, "dan", untouched()).await;
    let other = format!("usr-{}", world.fixture().user("ben").id);
    for caveat in [
        Caveat::Interface(Interface::Rest),
        Caveat::Time { valid_until: 1_000_000_000 },
        Caveat::from_json(&json!({ "type": "ip", "whitelist": ["192.0.2.0/24"] })).unwrap(),
        Caveat::Consumer(vec![other]),
    ] {
        let confined = read(&token).confine(caveat.clone()).unwrap().serialize();
        let answer = world.join("dan", &confined).await;
        assert_eq!(answer.json()["error"]["id"], "tokenCaveatUnverified", "{caveat:?}: {answer:?}");
    }
    set_revoked(&world, &token, true).await;
    assert_error(&world.join("dan", &token).await, 400, "tokenRevoked");
    set_revoked(&world, &token, false).await;
    let_mia_invite(&world, "revoke").await;
    assert_error(&world.join("dan", &token).await, 400, "inviteTokenSubjectNotAuthorized");
    let_mia_invite(&world, "grant").await;

    let deleted = world.issue("mia", &world.group_route()).await;
    reserve(&world, &deleted, "dan", untouched()).await;
    let path = format!("/tokens/named/{}", id_of(&deleted));
    assert_eq!(world.call("mia", "DELETE", &path, None).await.status, 204);
    assert_error(&world.join("dan", &deleted).await, 400, "tokenInvalid");

    assert!(!world.is_member("dan").await);
    let requests = world.onezone.requests();
    assert!(!requests.iter().any(|line| line.starts_with("PUT ")), "{requests:?}");
    assert_eq!(world.join("dan", &token).await.status, 201);
    assert!(matches!(usage(&world, &token).await, Usage::Used { .. }));
    world.stop().await;
}

#[tokio::test]
async fn a_recovery_adds_nobody_by_a_token_that_is_no_longer_good() {
    let mut world = World::new().await;
    let now = Clock::Real.now();
    let issue = async |who: &str| world.issue(who, &world.group_route()).await;
    let [revoked, deleted, powerless] = [issue("anna").await, issue("anna").await, issue("mia").await];
    let [found, good] = [issue("anna").await, issue("anna").await];
    let_mia_invite(&world, "revoke").await;
    world.proxy.take().unwrap().stop().await;
    // In this order they have their turns: when the last one is finished, the others were looked at.
    for (number, (token, who)) in
        [(&revoked, "dan"), (&deleted, "dan"), (&powerless, "dan"), (&found, "ben"), (&good, "inviter")]
            .into_iter()
            .enumerate()
    {
        let ago = SignedDuration::from_mins(10 - i64::try_from(number).unwrap());
        reserve(&world, token, who, now - ago).await;
    }
    for token in [&revoked, &found] {
        assert!(ledger(&world).set_revoked(&id_of(token), true, now).await.unwrap());
    }
    assert!(ledger(&world).delete(&id_of(&deleted), now).await.unwrap());
    world.onezone.take_requests();

    world.proxy = Some(start(&world.onezone.url, &world.onezone, world.directory.path()).await);
    wait_until("the good one is finished", async || matches!(usage(&world, &good).await, Usage::Used { .. }))
        .await;
    assert!(world.is_member("inviter").await && !world.is_member("dan").await);
    assert!(matches!(usage(&world, &found).await, Usage::Used { .. }), "ben was added before");
    let left = ledger(&world).pending(Clock::Real.now(), None, 10).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|issued| issued.id).collect();
    assert_eq!(left, [&revoked, &deleted, &powerless].map(|token| id_of(token)), "nothing is given away");
    let additions: Vec<_> =
        world.onezone.requests().into_iter().filter(|line| line.starts_with("PUT ")).collect();
    assert_eq!(additions.len(), 1, "{additions:?}");

    // Good again, it is still dan's, and nobody else's.
    ledger(&world).set_revoked(&id_of(&revoked), false, Clock::Real.now()).await.unwrap();
    assert_error(&world.join("steward", &revoked).await, 400, "inviteTokenUsageLimitReached");
    wait_until("it is finished for dan", async || {
        matches!(usage(&world, &revoked).await, Usage::Used { .. })
    })
    .await;
    assert!(world.is_member("dan").await && !world.is_member("steward").await);
    world.stop().await;
}

#[tokio::test]
async fn a_token_that_is_revoked_after_a_lost_request_adds_nobody_and_stays_bound() {
    let mut world = World::new().await;
    let token = world.issue("mia", &world.group_route()).await;
    world.proxy.take().unwrap().stop().await;
    let relay = Relay::with(world.onezone.address, "PUT ", usize::MAX, Fate::RequestLost).await;
    world.proxy = Some(start(&relay.url, &world.onezone, world.directory.path()).await);
    assert_error(&world.join("dan", &token).await, 502, "badGateway");
    set_revoked(&world, &token, true).await;
    assert_error(&world.join("dan", &token).await, 400, "tokenRevoked");
    assert!(!world.is_member("dan").await);
    set_revoked(&world, &token, false).await;
    assert_error(&world.join("inviter", &token).await, 400, "inviteTokenUsageLimitReached");
    assert!(!world.is_member("inviter").await);
    past_the_relay(&mut world).await;
    wait_until("it is finished for dan", async || world.is_member("dan").await).await;
    assert!(!world.is_member("inviter").await);
    world.stop().await;
}

#[tokio::test]
async fn a_refusal_by_something_on_the_way_releases_nothing() {
    for fate in [Fate::AnswerReplaced(BUSY), Fate::Answered(BUSY)] {
        let mut world = World::new().await;
        let token = world.issue("anna", &world.group_route()).await;
        world.proxy.take().unwrap().stop().await;
        let relay = Relay::with(world.onezone.address, "PUT ", usize::MAX, fate).await;
        world.proxy = Some(start(&relay.url, &world.onezone, world.directory.path()).await);
        let first = world.join("dan", &token).await;
        let acted = matches!(fate, Fate::AnswerReplaced(_));
        assert_eq!(first.status, if acted { 201 } else { 502 }, "{fate:?}: {first:?}");
        assert_eq!(world.is_member("dan").await, acted, "{fate:?}");
        assert_error(&world.join("inviter", &token).await, 400, "inviteTokenUsageLimitReached");
        assert!(!world.is_member("inviter").await, "{fate:?}");
        past_the_relay(&mut world).await;
        wait_until("it is finished for dan", async || world.is_member("dan").await).await;
        assert!(!world.is_member("inviter").await, "{fate:?}");
        world.stop().await;
    }
}

#[tokio::test]
async fn several_tokens_to_one_target_at_once_use_up_one() {
    let world = World::new().await;
    let mut tokens = Vec::new();
    for _ in 0..6 {
        tokens.push(world.issue("anna", &world.group_route()).await);
    }
    // Long enough for all to be under way before the first is through.
    world.onezone.delay("PUT /groups/{id}/users/{uid}", std::time::Duration::from_millis(300));
    let answers = futures_util::future::join_all(tokens.iter().map(|token| world.join("dan", token))).await;
    let told = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((told(201), told(409)), (1, 5), "{answers:?}");
    let mut used = Vec::new();
    for (token, answer) in tokens.iter().zip(&answers) {
        match usage(&world, token).await {
            Usage::Used { .. } => used.push(answer.status),
            other => assert_eq!((other, answer.status), (Usage::Unused, 409)),
        }
    }
    assert_eq!(used, [201], "who was a member before uses nothing up");
    world.stop().await;
}
