//! The metrics of who calls: what a report says, and nothing that a caller can make grow.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::reporting::json;
use super::{before, call, ledger_of, onezone, recorded};
use crate::support::http::Request;
use crate::support::program::Program;

const OPERATION: &str = "create_user_group_invite_token";
/// Nothing that a test waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a metric has a value.
async fn shown(program: &Program, name: &str, labels: &[(&str, &str)], wanted: f64) {
    let begin = Instant::now();
    loop {
        let found = program.metric(name, labels).await;
        if found == wanted {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{name} {labels:?} is {found}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn metrics_say_what_the_report_says() {
    let onezone = onezone().await;
    let program = before(&onezone).section("[usage]\nconsumer_series = 10").start();
    for (who, times) in [("anna", 3), ("ben", 2)] {
        for _ in 0..times {
            // Ben may not, which proves who he is as well.
            assert!([200, 403].contains(&program.ask(&call(&onezone, who)).await.status));
        }
    }
    for _ in 0..4 {
        let stranger = Request::new("POST", "/api/v3/onezone/groups/nothing/users/token").token("garbage");
        assert_eq!(program.ask(&stranger).await.status, 401);
    }
    // Those of the process are there at once.
    let text = program.admin("/metrics").await.text();
    let name = "duskgate_deprecated_consumer_requests_total";
    let of = |consumer: &str| {
        let series = format!("{name}{{operation=\"{OPERATION}\",consumer=\"{consumer}\"}} ");
        let found = text.lines().find_map(|line| line.strip_prefix(&series));
        found.map(|value| value.parse::<u64>().unwrap())
    };
    recorded(&*ledger_of(&program), 9).await;
    let report = json(&program, &[]);
    let consumers: &Vec<Value> = report["consumers"].as_array().unwrap();
    let (verified, rest): (Vec<&Value>, Vec<&Value>) =
        consumers.iter().partition(|consumer| consumer["verified"] == true);
    assert_eq!((verified.len(), rest.len()), (2, 1), "{report}");
    for consumer in verified {
        assert_eq!(of(consumer["consumer"].as_str().unwrap()), consumer["calls"].as_u64(), "{text}");
    }
    assert_eq!((of("other"), rest[0]["calls"].as_u64()), (Some(4), Some(4)), "{text}");
    assert_eq!(text.matches(&format!("{name}{{operation=\"{OPERATION}\"")).count(), 3, "{text}");

    for window in ["1d", "7d", "30d"] {
        let labels = [("operation", OPERATION), ("window", window)];
        shown(&program, "duskgate_deprecated_consumers", &labels, 2.0).await;
        assert_eq!(report["recent_consumers"][window], 2);
    }
    let since: jiff::Timestamp = report["watched_since"].as_str().unwrap().parse().unwrap();
    let watched = "duskgate_usage_watched_since_timestamp_seconds";
    shown(&program, watched, &[("operation", OPERATION)], since.as_millisecond() as f64 / 1e3).await;
}

#[tokio::test]
async fn a_process_knows_what_was_called_before_it_was_started() {
    let onezone = onezone().await;
    let first = before(&onezone).start();
    assert_eq!(first.ask(&call(&onezone, "anna")).await.status, 200);
    recorded(&*ledger_of(&first), 1).await;
    let last = "duskgate_deprecated_last_request_timestamp_seconds";
    let labels = [("operation", OPERATION)];
    let seen = first.metric(last, &labels).await;
    assert!(seen > 0.0);
    let ledger = format!("[ledger]\nurl = \"sqlite:{}\"", first.directory().join("duskgate.db").display());
    let second = before(&onezone).section(&ledger).start();
    shown(&second, last, &labels, seen).await;
    shown(&second, "duskgate_deprecated_consumers", &[("operation", OPERATION), ("window", "1d")], 1.0).await;
    assert_eq!(second.metric("duskgate_deprecated_requests_total", &labels).await, 0.0);
}
