//! The metrics of who calls: what a report says, and nothing that a caller can make grow.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duskgate::operation;
use serde_json::Value;

use super::reporting::json;
use super::{before, call, ledger_of, onezone, recorded};
use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::Setup;

const OPERATION: &str = "create_user_group_invite_token";
/// How many series there may be, with a thousand consumers and every operation called.
const MOST_SERIES: usize = 5000;

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
        program.reaches("duskgate_deprecated_consumers", &labels, 2.0).await;
        assert_eq!(report["recent_consumers"][window], 2);
    }
    let since: jiff::Timestamp = report["watched_since"].as_str().unwrap().parse().unwrap();
    let watched = "duskgate_usage_watched_since_timestamp_seconds";
    program.reaches(watched, &[("operation", OPERATION)], since.as_millisecond() as f64 / 1e3).await;
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
    second.reaches(last, &labels, seen).await;
    second.reaches("duskgate_deprecated_consumers", &[("operation", OPERATION), ("window", "1d")], 1.0).await;
    assert_eq!(second.metric("duskgate_deprecated_requests_total", &labels).await, 0.0);
}

#[tokio::test]
async fn a_thousand_consumers_and_every_operation_are_few_series() {
    const TOLD_APART: usize = 3000;
    let backend = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    let series = format!("[usage]\nconsumer_series = {TOLD_APART}\n[log]\naccess = \"off\"");
    let program = Setup::before(backend.address).deprecation("mode = \"observe\"").section(&series).start();
    let operations = operation::builtin();
    assert_eq!(operations.len(), 21);
    let mut connection = Connection::to(program.address()).await;
    for consumer in 0..1000 {
        let operation = &operations[consumer % operations.len()];
        let parts = operation.template.split('/').map(|part| if part.starts_with('{') { "a1" } else { part });
        let path: Vec<&str> = parts.collect();
        let request = Request::new(operation.method.as_str(), &path.join("/"))
            .header("Authorization", &format!("Basic {}", STANDARD.encode(format!("consumer-{consumer}:x"))))
            .body("");
        let response = connection.ask(&request).await;
        assert_eq!(response.status, 200, "{} {path:?}: {response:?}", operation.method);
        if response.header("connection") == Some("close") {
            connection = Connection::to(program.address()).await;
        }
    }
    let text = program.admin("/metrics").await.text();
    let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let (by_consumer, rest): (Vec<&str>, Vec<&str>) =
        series.iter().partition(|series| series.starts_with("duskgate_deprecated_consumer_requests_total{"));
    let consumers: BTreeSet<&str> = by_consumer
        .iter()
        .filter(|series| series.contains("consumer=\"basic:consumer-") && series.ends_with(" 1"))
        .map(|series| series.split("consumer=").nth(1).unwrap())
        .collect();
    assert_eq!(consumers.len(), 1000, "{by_consumer:?}");
    assert_eq!(by_consumer.len(), 1000 + operations.len(), "those and all others");
    eprintln!("{} series beside those of consumers", rest.len());
    // However many more consumers call whatever they like.
    assert!(rest.len() + TOLD_APART + operations.len() < MOST_SERIES, "{} series", rest.len());
}
