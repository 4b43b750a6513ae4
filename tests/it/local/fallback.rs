//! `rewrite` with `fallback = ["local"]`: a token of our own where the newer API provably did nothing, and never a second
//! one where it may have.

use std::collections::BTreeSet;
use std::time::Duration;

use duskgate::ledger::{self, Create, Filter, Location};
use duskgate::sandbox::{self, Settings};
use duskgate::token::keys;
use serde_json::json;

use super::{World, assert_error, id_of};
use crate::support::http::ask;
use crate::support::proxy::{Proxy, Setup};
use crate::support::relay::Relay;

const FALLBACK: &str = "[[operation]]\nid = \"create_user_group_invite_token\"\nfallback = [\"local\"]\n";
const CREATE: &str = "POST /user/tokens/named";

/// A Onezone without the old routes, with or without the newer API, and a proxy that asks it at this place.
async fn world(
    token_api: bool,
    upstream: &str,
    place: impl AsyncFnOnce(&sandbox::Sandbox) -> String,
) -> World {
    let settings = Settings { legacy: false, token_api, ..Settings::default() };
    let onezone = sandbox::start(settings).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup {
        backend: &place(&onezone).await,
        service_token: Some(&onezone.fixture.user("keeper").token),
        upstream,
        mode: "rewrite",
        local: Some(directory.path()),
        more: FALLBACK,
        ..Setup::default()
    };
    let proxy = Proxy::with(setup).await;
    World { onezone, proxy: Some(proxy), directory }
}

async fn itself(onezone: &sandbox::Sandbox) -> String {
    onezone.url.clone()
}

/// How many tokens the ledger knows.
async fn issued(world: &World) -> usize {
    let file = world.directory.path().join("ledger.db");
    let ledger = ledger::open(&ledger::Settings::at(Location::Sqlite(file)), Create::No);
    ledger.list(&Filter::default()).await.expect("the ledger").tokens.len()
}

/// Which mode answered with which code, and how often.
async fn answered(world: &World) -> Vec<String> {
    let metrics = world.proxy.as_ref().expect("a proxy").metrics().await;
    let counts = metrics.counts("duskgate_deprecated_requests_total").into_iter();
    let short = |labels: String| {
        labels
            .replace("operation=\"create_user_group_invite_token\",", "")
            .replace("phase=\"deprecated\",", "")
    };
    counts.map(|(labels, count)| format!("{} {count}", short(labels))).collect()
}

#[tokio::test]
async fn where_the_newer_api_is_missing_a_token_of_our_own_is_issued_and_can_be_used_once() {
    let world = world(false, "", itself).await;
    let token = world.issue("anna", &world.group_route()).await;
    assert!(keys::has_our_form(&id_of(&token)));
    assert_eq!(world.join("dan", &token).await.status, 201);
    assert!(world.is_member("dan").await);
    assert_error(&world.join("inviter", &token).await, 400, "inviteTokenUsageLimitReached");
    // Who may not is told so by whoever finds out: before the creation, or in its place.
    assert_error(&world.call("ben", "POST", &world.group_route(), None).await, 403, "forbidden");
    assert_error(&world.call("", "POST", &world.group_route(), None).await, 401, "unauthorized");
    let no_object = world.call("anna", "POST", &world.group_route(), Some(json!([]))).await;
    assert_error(&no_object, 400, "malformedData");
    assert_eq!(issued(&world).await, 1);
    let expected = [
        "mode=\"local\",code=\"200\" 1",
        "mode=\"local\",code=\"400\" 1",
        "mode=\"local\",code=\"403\" 1",
        "mode=\"rewrite\",code=\"401\" 1",
    ];
    assert_eq!(answered(&world).await, expected);
    world.stop().await;
}

#[tokio::test]
async fn repeats_get_one_token_also_where_it_is_issued_here() {
    let world = world(false, "", itself).await;
    let request = world.request("anna", "POST", &world.group_route()).header("Idempotency-Key", "k");
    let calls = (0..10).map(|_| ask(world.address(), &request));
    let answers = futures_util::future::join_all(calls).await;
    let tokens: BTreeSet<_> = answers.iter().map(|answer| answer.json()["token"].to_string()).collect();
    assert_eq!((tokens.len(), issued(&world).await), (1, 1), "{tokens:?}");
    assert_eq!(answered(&world).await, ["mode=\"local\",code=\"200\" 10"]);
    world.stop().await;
}

#[tokio::test]
async fn where_the_newer_api_answers_nothing_is_issued_here_and_our_tokens_are_still_redeemed() {
    let world = world(true, "", itself).await;
    let token = world.issue("anna", &world.group_route()).await;
    assert!(!keys::has_our_form(&id_of(&token)));
    assert_eq!(world.join("dan", &token).await.status, 201);
    assert_error(&world.call("ben", "POST", &world.group_route(), None).await, 403, "forbidden");
    assert_eq!(issued(&world).await, 0);
    assert_eq!(
        answered(&world).await,
        ["mode=\"rewrite\",code=\"200\" 1", "mode=\"rewrite\",code=\"403\" 1"]
    );
    world.stop().await;
}

#[tokio::test]
async fn no_connection_is_no_effect_and_the_fallback_says_what_it_finds() {
    // Nothing listens there.
    let world = world(true, "", async |_: &sandbox::Sandbox| "http://127.0.0.1:1".to_owned()).await;
    let response = world.call("anna", "POST", &world.group_route(), None).await;
    assert_error(&response, 503, "backendUnreachable");
    assert_eq!(answered(&world).await, ["mode=\"local\",code=\"503\" 1"]);
    assert_eq!(issued(&world).await, 0);
    world.stop().await;
}

#[tokio::test]
async fn a_time_out_after_the_request_was_sent_is_an_error_and_never_a_second_token() {
    let world = world(true, "response_timeout = \"300ms\"", itself).await;
    world.onezone.delay(CREATE, Duration::from_secs(2));
    let response = world.call("anna", "POST", &world.group_route(), None).await;
    assert_error(&response, 504, "backendTimeout");
    assert_eq!(response.header("deprecation"), Some("@1590969600"));
    assert_eq!(answered(&world).await, ["mode=\"rewrite\",code=\"504\" 1"]);
    assert_eq!(issued(&world).await, 0);
    world.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_is_an_error_and_never_a_second_token() {
    let mut relay = None;
    let place = async |onezone: &sandbox::Sandbox| {
        let started = Relay::start(onezone.address, "POST /api/v3/onezone/user/tokens/named").await;
        relay.insert(started).url.clone()
    };
    let world = world(true, "", place).await;
    let response = world.call("anna", "POST", &world.group_route(), None).await;
    assert_error(&response, 502, "badGateway");
    assert_eq!(answered(&world).await, ["mode=\"rewrite\",code=\"502\" 1"]);
    assert_eq!(issued(&world).await, 0);
    world.stop().await;
}
