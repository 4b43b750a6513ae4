//! What no caller can do, what an answer proves, and when an operation is safe to retire.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::kept::Kept;
use super::verdict::{Verdict, ago, watched_since};
use super::*;
use crate::body::Body;
use crate::caller::Consumer;
use crate::ledger::{Called, Period, Tally};
use crate::operation::Mode;
use crate::reply;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn settings() -> Settings {
    Settings {
        retention: 400 * DAY,
        window: 30 * DAY,
        ignore: BTreeSet::new(),
        negligible_calls: 0,
        claimed_consumers: 10,
        held: 1000,
        consumer_series: 3,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn called(consumer: &str, verified: bool, software: &str) -> (Called, Tally) {
    let called = Called {
        operation: "a".to_owned(),
        consumer: consumer.to_owned(),
        verified,
        mode: "observe",
        software: software.to_owned(),
        network: "192.0.2.0/24".to_owned(),
        day: 20_000,
    };
    (called, Tally { success: 1, refused: 0, failed: 0, first: at(0), last: at(0) })
}

/// All that is waiting, as consumer and software with the number of calls.
fn waiting(kept: &mut Kept) -> BTreeMap<(String, String), u64> {
    let mut all = BTreeMap::new();
    while let Some(batch) = kept.batch() {
        for (called, tally) in &batch.rows {
            *all.entry((called.consumer.clone(), called.software.clone())).or_insert(0) += tally.calls();
        }
        kept.recorded(&batch);
    }
    all
}

#[test]
fn names_that_nobody_has_proven_are_pooled_and_proven_ones_are_not() {
    let mut kept = Kept::new();
    let claimed = (0..100).map(|number| called(&format!("user:{number}"), false, "a"));
    let verified = (0..100).map(|number| called(&format!("user:v{number}"), true, "a"));
    assert_eq!(kept.take(claimed.chain(verified), &settings()), 0);
    let all = waiting(&mut kept);
    assert_eq!(all.len(), 10 + 1 + 100);
    assert_eq!(all[&("other".to_owned(), "other".to_owned())], 90);
    assert_eq!(all.values().sum::<u64>(), 200);
    // The next day begins anew.
    let mut tomorrow = called("user:99", false, "a");
    tomorrow.0.day += 1;
    kept.take([tomorrow].into_iter(), &settings());
    assert_eq!(waiting(&mut kept).into_keys().map(|(consumer, _)| consumer).collect::<Vec<_>>(), ["user:99"]);
}

#[test]
fn client_software_of_one_consumer_is_pooled() {
    let mut kept = Kept::new();
    kept.take((0..100).map(|number| called("user:a", true, &format!("x/{number}"))), &settings());
    kept.take((0..100).map(|number| called("user:b", false, &format!("x/{number}"))), &settings());
    let all = waiting(&mut kept);
    assert_eq!(all[&("user:a".to_owned(), "other".to_owned())], 84);
    assert_eq!(all[&("user:b".to_owned(), "other".to_owned())], 96);
    assert_eq!(all.len(), 17 + 5);
}

#[test]
fn a_ledger_that_is_away_costs_bounded_memory_and_what_is_dropped_is_counted() {
    let settings = Settings { held: 50, claimed_consumers: 1000, ..settings() };
    let mut kept = Kept::new();
    let some =
        |range: std::ops::Range<usize>| range.map(|number| called(&format!("user:{number}"), true, "a"));
    assert_eq!(kept.take(some(0..40), &settings), 0);
    let first = kept.batch().unwrap();
    assert_eq!(kept.take(some(40..60), &settings), 10);
    // What is known goes on to be counted.
    assert_eq!(kept.take(some(40..50), &settings), 0);
    let again = kept.batch().unwrap();
    assert_eq!((again.sequence, again.rows.len()), (first.sequence, 40), "the same batch is sent again");
    assert_eq!(waiting(&mut kept).values().sum::<u64>(), 60);
    kept.take(some(0..5), &settings);
    assert_eq!(kept.clear(), 5);
}

#[test]
fn one_thread_keeps_only_so_many_sums() {
    let usage = Usage::new(Settings { claimed_consumers: 100_000, held: 1_000_000, ..settings() }, at(0));
    for number in 0..10_000 {
        let consumer = Consumer::User(format!("{number}"));
        let call = Call {
            operation: "a",
            consumer: &consumer,
            verified: false,
            mode: Mode::Observe,
            status: 401,
            user_agent: Some(b"curl/8.5.0 (x)"),
            address: None,
            at: at(0),
        };
        usage.called(&call);
    }
    usage.gather(at(1));
    let all = waiting(&mut lock(&usage.kept));
    assert_eq!(all.len(), 1025);
    assert_eq!((all.values().sum::<u64>(), usage.dropped()), (10_000, 0));
}

#[test]
fn only_so_many_consumers_have_a_series_and_only_those_who_prove_who_they_are() {
    let mut series = Series::default();
    let mut add = |(called, tally): (Called, Tally), most| series.add(&called, tally.calls(), most);
    for number in 0..100 {
        add(called(&format!("user:{number}"), false, "a"), 3);
    }
    for number in [1, 1, 2, 3, 4, 5, 1] {
        add(called(&format!("user:v{number}"), true, "a"), 3);
    }
    let elsewhere = Called { operation: "b".to_owned(), ..called("user:v1", true, "a").0 };
    add((elsewhere, called("user:v1", true, "a").1), 3);
    // More are told apart after a reload, and those that are remain so.
    add(called("user:v6", true, "a"), 4);
    add(called("user:v7", true, "a"), 4);
    add(called("user:v3", true, "a"), 1);
    let all: Vec<_> = series.all().into_iter().map(|it| (it.operation, it.consumer, it.calls)).collect();
    let expected = [
        ("a", "other", 103),
        ("a", "user:v1", 3),
        ("a", "user:v2", 1),
        ("a", "user:v3", 2),
        ("a", "user:v6", 1),
        ("b", "other", 1),
    ];
    let expected =
        expected.map(|(operation, consumer, calls)| (operation.to_owned(), consumer.to_owned(), calls));
    assert_eq!(all, expected);
    series.add(&called("user:v1", true, "a").0, 1, 0);
    assert_eq!(series.all(), []);
}

#[test]
fn metrics_see_a_call_as_soon_as_it_was_answered() {
    let usage = Usage::new(settings(), at(0));
    let consumer = Consumer::User("anna".to_owned());
    let call = Call {
        operation: "a",
        consumer: &consumer,
        verified: true,
        mode: Mode::Observe,
        status: 200,
        user_agent: None,
        address: None,
        at: at(0),
    };
    usage.called(&call);
    usage.called(&call);
    let calls = |usage: &Usage| usage.counted(at(0)).consumers.iter().map(|it| it.calls).sum::<u64>();
    assert_eq!((calls(&usage), calls(&usage)), (2, 2));
    assert_eq!(waiting(&mut lock(&usage.kept)).values().sum::<u64>(), 2);
    usage.configure(Settings { consumer_series: 0, ..settings() });
    assert_eq!(calls(&usage), 0);
}

#[test]
fn no_call_waits_for_a_scrape_or_for_counts_on_their_way_to_the_ledger() {
    let usage = Usage::new(settings(), at(0));
    let (kept, series) = (lock(&usage.kept), lock(&usage.series));
    // Else this would never return.
    usage.called(&Call {
        operation: "a",
        consumer: &Consumer::Anonymous,
        verified: false,
        mode: Mode::Observe,
        status: 401,
        user_agent: None,
        address: None,
        at: at(0),
    });
    drop((kept, series));
    assert_eq!(usage.counted(at(0)).consumers.len(), 1);
}

#[test]
fn client_software_is_a_product_and_a_version() {
    for (given, kept) in [
        ("curl/8.5.0", "curl/8.5.0"),
        ("python-requests/2.31.0 (Linux; secret)", "python-requests/2.31.0"),
        ("Mozilla/5.0 (X11) Gecko/20100101", "Mozilla/5.0"),
        ("my_bot", "my_bot"),
        ("bot/", "bot"),
        ("bot/1.2;x", "bot/1.2"),
        ("bot/1234567890123456789012345", "bot/12345678901234567890"),
        ("", "other"),
        ("   ", "other"),
        ("<script>/1", "other"),
        ("=cmd/1", "other"),
        ("MDAxNmxvY2F0aW9uIG9uZXpvbmUxMDAxNmxvY2F0aW9uIG9uZXpvbmUx", "other"),
    ] {
        assert_eq!(reduce::software(given.as_bytes()), kept, "{given}");
    }
    assert_eq!(reduce::software(b"\xff/1"), "other");
}

#[test]
fn an_address_is_kept_as_its_network() {
    for (address, network) in [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
    ] {
        assert_eq!(reduce::network(Some(address.parse().unwrap())), network);
    }
    assert_eq!(reduce::network(None), "unknown");
}

fn answer(status: u16, kind: Option<&str>, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    if let Some(kind) = kind {
        response = response.header(header::CONTENT_TYPE, kind);
    }
    response.body(Body::Full(body.into())).unwrap()
}

async fn proves(mut response: Response<Body>) -> bool {
    proof::proves(&mut response).await
}

#[tokio::test]
async fn an_answer_proves_who_called_where_the_backend_took_the_credentials() {
    const JSON: Option<&str> = Some("application/json");
    let envelope = |id: &str| json!({"error": {"id": id, "description": "Said."}}).to_string();
    let refused = |caveat: &str| {
        let details = json!({"caveat": {"type": caveat}});
        let auth_error = json!({"id": "tokenCaveatUnverified", "description": "x", "details": details});
        json!({"error": {"id": "unauthorized", "description": "x", "details": {"authError": auth_error}}})
            .to_string()
    };
    for status in [200, 201, 204, 403, 406, 415] {
        assert!(proves(answer(status, None, "")).await, "{status}");
    }
    for status in [400, 404, 409, 503] {
        assert!(proves(answer(status, JSON, envelope("badValue"))).await, "{status}");
        assert!(proves(answer(status, Some("application/json; charset=utf-8"), envelope("x"))).await);
        assert!(!proves(answer(status, None, "")).await, "{status} without a body");
        assert!(!proves(answer(status, JSON, "")).await, "{status} without a body");
        assert!(!proves(answer(status, JSON, "{\"message\":\"no\"}")).await, "{status} of somebody else");
        assert!(!proves(answer(status, Some("text/html"), envelope("x"))).await, "{status} of a page");
        let ours = reply::onezone(StatusCode::from_u16(status).unwrap(), "x", "y", None);
        assert!(!proves(ours).await, "{status} of our own");
    }
    assert!(proves(answer(401, JSON, refused("api"))).await);
    assert!(!proves(answer(401, JSON, refused("ip"))).await);
    assert!(!proves(answer(401, JSON, envelope("unauthorized"))).await);
    for status in [302, 401, 402, 405, 410, 429, 500, 502, 504] {
        assert!(!proves(answer(status, JSON, envelope("x"))).await, "{status}");
    }
    assert!(!proves(reply::forbidden()).await, "our own");
    assert!(!proves(reply::empty_on_route(StatusCode::NOT_ACCEPTABLE)).await, "our own");
    assert!(!proves(reply::failure(&reply::Failure::BackendUnreachable, false)).await);
}

#[tokio::test]
async fn a_body_that_was_looked_at_is_whole() {
    let text = format!("{{\"error\":{{\"id\":\"a\",\"description\":\"{}\"}}}}", "x".repeat(100_000));
    for (length, proven) in [(50_000, true), (100_000, false)] {
        let text = text.replace(&"x".repeat(100_000), &"x".repeat(length));
        let streamed = Body::stream(Body::Full(text.clone().into()));
        let mut response = answer(404, Some("application/json"), "").map(|_| streamed);
        assert_eq!(proof::proves(&mut response).await, proven);
        assert_eq!(response.into_body().collect(1 << 20).await.unwrap(), text);
    }
}

#[test]
fn an_operation_is_safe_to_retire_when_it_was_watched_and_nobody_called() {
    let (window, now) = (30 * DAY, at(0));
    let days = |days: i64| at(-days * 24 * 3600);
    let line = |callers: &[Timestamp], watched| {
        Verdict::of(callers.iter().copied(), watched, window, now).line(window, now)
    };
    assert_eq!(line(&[], Some(days(30))), "safe to retire");
    assert_eq!(line(&[], Some(days(29))), "not known yet: no calls, but watched for 29 d of 30 d only");
    assert_eq!(line(&[], None), "not known: nobody is watching");
    let callers = [at(-7200), days(3), days(29)];
    assert_eq!(line(&callers, Some(days(40))), "not yet: 3 consumers, last call 2 h ago");
    assert_eq!(line(&[at(-5)], None), "not yet: 1 consumer, last call 5 s ago");
    assert_eq!(ago(now, at(10)), "0 s");
}

#[test]
fn what_is_added_later_is_watched_from_then_on_and_who_is_suspended_watches_nothing() {
    let mut reach = Reach { from: at(0), operations: BTreeMap::new(), lost: None, alive: at(0) };
    let mut of = |operations: &[&str], now: i64, lives: &[i64]| {
        lives.iter().for_each(|&now| reach.lives(at(now)));
        let operations = operations.iter().map(|&operation| operation.to_owned()).collect();
        let groups = reach.of(operations, at(now)).into_iter();
        let pairs = groups.flat_map(|(at, names)| names.into_iter().map(move |name| (name, at)));
        pairs.collect::<BTreeMap<_, _>>()
    };
    let expected = |pairs: &[(&str, i64)]| {
        pairs.iter().map(|&(name, since)| (name.to_owned(), at(since))).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(of(&["a"], 10, &[5]), expected(&[("a", 0)]));
    assert_eq!(of(&["a", "b"], 20, &[15]), expected(&[("a", 0), ("b", 20)]));
    assert_eq!(of(&["b"], 30, &[]), expected(&[("b", 20)]));
    assert_eq!(of(&["a", "b"], 40, &[200, 400]), expected(&[("a", 40), ("b", 20)]));
    assert_eq!(of(&["a", "b"], 710, &[701]), expected(&[("a", 701), ("b", 701)]));
}

#[test]
fn watching_has_gaps_where_nobody_watched() {
    let period = |since, until| Period { operation: "a".to_owned(), since: at(since), until: at(until) };
    let periods = [period(0, 1000), period(1200, 2000), period(1900, 3000), period(9000, 9500)];
    let since = |now| watched_since(&periods, "a", at(now));
    assert_eq!(since(9600), Some(at(9000)));
    assert_eq!(since(10_000), None, "nobody watches any more");
    assert_eq!(watched_since(&periods[..3], "a", at(3100)), Some(at(0)), "a short pause is no gap");
    assert_eq!(watched_since(&periods, "b", at(3100)), None);
    assert!(SignedDuration::from_secs(500) > crate::ledger::usage::GRACE);
}
