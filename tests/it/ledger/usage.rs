//! The ledger adds up who called what, once, whoever adds and however often the same is sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use duskgate::caller::Consumer;
use duskgate::ledger::usage::{day_of, start_of};
use duskgate::ledger::{Called, Period, Tally, UsageBatch, UsageFilter, Used, Watching};
use duskgate::metrics::Standing;
use duskgate::operation::Mode;
use duskgate::usage::{self, latest, report};
use futures_util::future::join_all;
use jiff::Timestamp;

use super::on_every_store;
use super::world::{World, at};

on_every_store!(
    calls_of_several_processes_are_added_up,
    a_batch_that_is_sent_again_is_added_once,
    many_processes_add_at_the_same_time,
    a_report_looks_at_the_days_that_are_asked_for,
    usage_is_of_one_operation_or_consumer_where_that_is_asked_for,
    days_are_listed_in_order,
    the_latest_usage_is_that_of_the_report,
    usage_that_is_old_enough_is_forgotten,
    watching_goes_on_after_a_short_pause_and_begins_anew_after_a_long_one,
    calls_that_a_process_has_lost_are_a_gap_for_all,
);

/// A row of calls at this day.
pub fn row(operation: &str, consumer: &str, day: i64, calls: u64) -> (Called, Tally) {
    let called = Called {
        operation: operation.to_owned(),
        consumer: consumer.to_owned(),
        verified: true,
        mode: "observe",
        software: "curl/8.5.0".to_owned(),
        network: "192.0.2.0/24".to_owned(),
        day,
    };
    let first = start_of(day);
    (called, Tally { success: calls, refused: 0, failed: 0, first, last: first })
}

pub fn batch(writer: &str, sequence: i64, rows: Vec<(Called, Tally)>) -> Arc<UsageBatch> {
    Arc::new(UsageBatch { writer: writer.into(), sequence, rows })
}

/// All usage, today being this day, calls since that one.
fn filter(today: i64, since: i64) -> UsageFilter {
    UsageFilter { today, since, window: today - 30, ..UsageFilter::default() }
}

fn calls(used: &[Used]) -> u64 {
    used.iter().map(|used| used.since.calls()).sum()
}

async fn calls_of_several_processes_are_added_up(world: World) {
    let (one, other) = (world.open(), world.open());
    let mixed = Tally { success: 1, refused: 2, failed: 3, first: at(10), last: at(20) };
    let (called, _) = row("a", "user:ben", 20_000, 0);
    one.record_usage(batch("one", 1, vec![(called.clone(), mixed)])).await.unwrap();
    let mixed = Tally { success: 10, refused: 20, failed: 30, first: at(5), last: at(15) };
    other.record_usage(batch("other", 1, vec![(called.clone(), mixed)])).await.unwrap();
    let claimed = Called { verified: false, ..called };
    other.record_usage(batch("other", 2, vec![(claimed, mixed)])).await.unwrap();
    let mut used = one.usage(&filter(20_000, 20_000)).await.unwrap();
    used.sort_by_key(|used| used.verified);
    assert_eq!(used.iter().map(|used| used.verified).collect::<Vec<_>>(), [false, true]);
    let sum = Tally { success: 11, refused: 22, failed: 33, first: at(5), last: at(20) };
    let expected = Used {
        operation: "a".to_owned(),
        consumer: "user:ben".to_owned(),
        verified: true,
        mode: "observe".to_owned(),
        software: "curl/8.5.0".to_owned(),
        network: "192.0.2.0/24".to_owned(),
        since: sum,
        recent: [66; 3],
        window: 66,
    };
    assert_eq!(used[1], expected);
}

async fn a_batch_that_is_sent_again_is_added_once(world: World) {
    let ledger = world.open();
    let first = batch("one", 1, vec![row("a", "user:ben", 20_000, 5)]);
    let second = batch("one", 2, vec![row("a", "user:ben", 20_000, 7)]);
    for sent in [&first, &first, &second, &second, &first] {
        ledger.record_usage(Arc::clone(sent)).await.unwrap();
    }
    assert_eq!(calls(&ledger.usage(&filter(20_000, 20_000)).await.unwrap()), 12);
}

async fn many_processes_add_at_the_same_time(world: World) {
    let ledgers: Vec<_> = (0..4).map(|_| world.open()).collect();
    ledgers[0].check().await.unwrap();
    let names = ["user:a", "user:b", "user:c", "user:d", "user:e"];
    let adding = ledgers.iter().enumerate().map(|(number, ledger)| async move {
        for sequence in 1..=10 {
            // Each in an order of its own.
            let mut rows: Vec<_> = names.iter().map(|name| row("a", name, 20_000, 1)).collect();
            rows.rotate_left(number);
            let batch = batch(&format!("process {number}"), sequence, rows);
            while let Err(away) = ledger.record_usage(Arc::clone(&batch)).await {
                eprintln!("again: {away}");
            }
        }
    });
    join_all(adding).await;
    let used = ledgers[0].usage(&filter(20_000, 20_000)).await.unwrap();
    assert_eq!((used.len(), calls(&used)), (5, 200));
}

async fn a_report_looks_at_the_days_that_are_asked_for(world: World) {
    let ledger = world.open();
    let today = 20_000;
    let rows = [0, 1, 6, 7, 29, 30, 31, 200].map(|age| row("a", "user:ben", today - age, 1)).to_vec();
    ledger.record_usage(batch("one", 1, rows)).await.unwrap();
    let used = ledger.usage(&filter(today, today - 6)).await.unwrap();
    assert_eq!(used.len(), 1);
    assert_eq!((used[0].since.calls(), used[0].recent, used[0].window), (3, [2, 4, 6], 6));
    assert_eq!((used[0].since.first, used[0].since.last), (start_of(today - 200), start_of(today)));
}

async fn usage_is_of_one_operation_or_consumer_where_that_is_asked_for(world: World) {
    let ledger = world.open();
    let rows = vec![
        row("a", "user:ben", 20_000, 1),
        row("b", "user:ben", 20_000, 2),
        row("b", "user:anna", 20_000, 4),
    ];
    ledger.record_usage(batch("one", 1, rows)).await.unwrap();
    for (operation, consumer, expected) in [
        (None, None, 7),
        (Some("b"), None, 6),
        (None, Some("user:ben"), 3),
        (Some("b"), Some("user:anna"), 4),
        (Some("nothing"), None, 0),
        (None, Some("nobody"), 0),
    ] {
        let filter = UsageFilter {
            operation: operation.map(str::to_owned),
            consumer: consumer.map(str::to_owned),
            ..filter(20_000, 20_000)
        };
        assert_eq!(calls(&ledger.usage(&filter).await.unwrap()), expected, "{operation:?} {consumer:?}");
    }
}

async fn days_are_listed_in_order(world: World) {
    let ledger = world.open();
    let rows =
        vec![row("b", "user:x", 20_001, 1), row("a", "user:x", 20_002, 2), row("a", "user:y", 20_001, 4)];
    ledger.record_usage(batch("one", 1, rows)).await.unwrap();
    ledger.record_usage(batch("one", 2, vec![row("a", "user:x", 19_999, 8)])).await.unwrap();
    let days = ledger.usage_days(20_000).await.unwrap();
    let days: Vec<_> = days.iter().map(|day| (&*day.operation, day.day, day.calls)).collect();
    assert_eq!(days, [("a", 20_001, 4), ("a", 20_002, 2), ("b", 20_001, 1)]);
}

async fn the_latest_usage_is_that_of_the_report(world: World) {
    let ledger = world.open();
    let (today, now) = (20_000, start_of(20_000));
    let rows = [
        ("a", "user:new", true, 0, 3),
        ("a", "user:new", true, 300, 5),
        ("a", "user:yesterday", true, 1, 1),
        ("a", "user:week", true, 7, 2),
        ("a", "user:eight", true, 8, 9),
        ("a", "user:month", true, 30, 2),
        ("a", "user:old", true, 31, 100),
        ("a", "user:claimed", false, 0, 100),
        ("a", "user:ignored", true, 0, 100),
        ("b", "user:month", true, 29, 2),
        ("c", "user:claimed", false, 2, 7),
        ("d", "user:ignored", true, 3, 8),
        ("e", "user:old", true, 31, 9),
    ];
    let rows = rows.map(|(operation, consumer, verified, age, calls)| {
        let (called, tally) = row(operation, consumer, today - age, calls);
        (Called { verified, ..called }, tally)
    });
    ledger.record_usage(batch("one", 1, rows.to_vec())).await.unwrap();
    let operations: Vec<String> = ["a", "b", "c", "d", "e", "never"].map(str::to_owned).to_vec();
    ledger
        .watch_usage(&Watching { operations: operations[1..].to_vec(), reach: start_of(today - 100), now })
        .await
        .unwrap();
    for (window, negligible_calls) in [(30, 0), (30, 2), (31, 8), (7, 0), (400, 1_000_000)] {
        let settings = usage::Settings {
            retention: Duration::from_secs(400 * 86_400),
            window: Duration::from_secs(window * 86_400),
            ignore: ["user:ignored".to_owned(), "basic:nobody".to_owned()].into(),
            negligible_calls,
            claimed_consumers: 10,
            held: 1000,
            consumer_series: 0,
        };
        let question = report::Question { operation: None, consumer: None, operations: operations.clone() };
        let report = report::make(&*ledger, &question, &settings, now).await.unwrap();
        let standings = latest::standings(&*ledger, operations.clone(), &settings, now).await.unwrap();
        assert_eq!(standings.len(), operations.len());
        for (id, standing) in standings {
            let reported = report.operations.iter().find(|operation| operation.id == id).unwrap();
            let recent = reported.recent_consumers;
            let expected = Standing {
                consumers: [recent.day, recent.week, recent.month],
                last_call: reported.last_call,
                watched_since: reported.watched_since,
                is_safe: reported.verdict == "safe",
            };
            assert_eq!(standing, expected, "{id}, {window} days, more than {negligible_calls} calls");
        }
        let counts = report.operations.iter().find(|operation| operation.id == "a").unwrap().recent_consumers;
        assert_eq!((counts.day, counts.week, counts.month), (2, 3, 5));
    }
}

async fn usage_that_is_old_enough_is_forgotten(world: World) {
    let ledger = world.open();
    let rows = vec![row("a", "user:old", 19_000, 1), row("a", "user:both", 19_000, 1)];
    ledger.record_usage(batch("one", 1, rows)).await.unwrap();
    ledger.record_usage(batch("two", 1, vec![row("a", "user:both", 20_000, 1)])).await.unwrap();
    assert_eq!(ledger.prune_usage(19_000).await.unwrap(), 0);
    assert_eq!(ledger.prune_usage(19_001).await.unwrap(), 2);
    let used = ledger.usage(&filter(20_000, 0)).await.unwrap();
    assert_eq!(used.iter().map(|used| &*used.consumer).collect::<Vec<_>>(), ["user:both"]);
    assert_eq!(calls(&used), 1);
    // What was forgotten can come again.
    ledger.record_usage(batch("two", 2, vec![row("a", "user:old", 20_000, 1)])).await.unwrap();
    assert_eq!(calls(&ledger.usage(&filter(20_000, 0)).await.unwrap()), 2);
}

async fn watching_goes_on_after_a_short_pause_and_begins_anew_after_a_long_one(world: World) {
    let ledger = world.open();
    let watch = async |operations: &[&str], reach: i64, now: i64| {
        let operations = operations.iter().map(|&operation| operation.to_owned()).collect();
        ledger.watch_usage(&Watching { operations, reach: at(reach), now: at(now) }).await.unwrap();
    };
    let period = |operation: &str, since, until| Period {
        operation: operation.to_owned(),
        since: at(since),
        until: at(until),
    };
    watch(&["b", "a"], 0, 1).await;
    watch(&["a"], 0, 5000).await;
    assert_eq!(ledger.usage_watched().await.unwrap(), [period("a", 0, 5000), period("b", 0, 1)]);
    // Another process, soon after.
    watch(&["a"], 5100, 5200).await;
    assert_eq!(ledger.usage_watched().await.unwrap(), [period("a", 0, 5200), period("b", 0, 1)]);
    // And one much later; what is said late does not take anything back.
    watch(&["a"], 9000, 9001).await;
    watch(&["a"], 9000, 9000).await;
    let watched = ledger.usage_watched().await.unwrap();
    assert_eq!(watched, [period("a", 0, 5200), period("a", 9000, 9001), period("b", 0, 1)]);
    // Whoever has watched for longer than the first who said so is believed.
    watch(&["b"], -100, 5).await;
    let watched = ledger.usage_watched().await.unwrap();
    assert_eq!(watched[2..], [period("b", -100, 5), period("b", 0, 1)]);
}

async fn calls_that_a_process_has_lost_are_a_gap_for_all(world: World) {
    let ledger = world.open();
    let others = async |now: i64| {
        let operations = vec!["a".to_owned(), "b".to_owned()];
        ledger.watch_usage(&Watching { operations, reach: at(0), now: at(now) }).await.unwrap();
    };
    let since = async |operation: &str| {
        let periods = ledger.usage_watched().await.unwrap();
        usage::verdict::watched_since(&periods, operation, at(9100))
    };
    others(9000).await;
    // This one has room for one sum only.
    let settings = usage::Settings {
        retention: Duration::from_secs(86_400),
        window: Duration::from_secs(86_400),
        ignore: BTreeSet::new(),
        negligible_calls: 0,
        claimed_consumers: 10,
        held: 1,
        consumer_series: 0,
    };
    let process = usage::Usage::new(settings, at(0));
    for name in ["user:anna", "user:ben"] {
        process.called(&usage::Call {
            operation: "a",
            consumer: &Consumer::User(name.to_owned()),
            verified: true,
            mode: Mode::Observe,
            status: 200,
            user_agent: None,
            address: None,
            at: at(10),
        });
    }
    process.watch(&*ledger, vec!["a".to_owned()], at(20)).await.unwrap();
    assert_eq!((since("a").await, process.has_lost()), (Some(at(0)), false));
    process.gather(at(30));
    assert_eq!((process.dropped(), process.has_lost()), (1, true));
    process.watch(&*ledger, vec!["a".to_owned()], at(40)).await.unwrap();
    assert!(!process.has_lost());
    others(9050).await;
    assert_eq!(since("a").await, Some(at(30)), "whatever others say that they have watched");
    assert_eq!(since("b").await, Some(at(0)));
}

#[test]
fn a_day_is_one_of_utc() {
    assert_eq!(day_of(Timestamp::UNIX_EPOCH), 0);
    assert_eq!(day_of(Timestamp::from_second(-1).unwrap()), -1);
    assert_eq!(day_of(start_of(20_000)), 20_000);
}
