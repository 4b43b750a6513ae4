//! The page, `/api/usage` and the report say the same, and the ledger has little work with it.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;

use super::html::{cell, rows};
use super::scene::OPERATION;
use crate::support::http::Request;
use crate::support::program::Program;
use crate::usage::{before, call, onezone};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_page_the_api_and_the_report_say_the_same() {
    let onezone = onezone().await;
    let program = before(&onezone).start();
    // Ben may not invite: he is refused, which proves who he is.
    for (who, status) in [("anna", 200), ("anna", 200), ("anna", 200), ("ben", 403), ("ben", 403)] {
        assert_eq!(program.ask(&call(&onezone, who)).await.status, status);
    }
    let stranger = Request::new("POST", "/api/v3/onezone/groups/nothing/users/token").token("garbage");
    assert_eq!(program.ask(&stranger).await.status, 401);
    let anna = format!("user:{}", onezone.fixture.user("anna").id);
    known(&program, 6).await;

    for (query, options) in [
        (String::new(), vec![]),
        ("?since=7d".to_owned(), vec!["--since", "7d"]),
        (format!("?operation={OPERATION}"), vec!["--operation", OPERATION]),
        (format!("?consumer={anna}&since=2w"), vec!["--consumer", &anna, "--since", "2w"]),
    ] {
        assert_eq!(told(usage(&program, &query).await), told(report(&program, &options)), "{query}");
    }

    let operation = of(&usage(&program, "").await, OPERATION);
    assert_eq!(
        (&operation["recent_calls"]["1d"], &operation["recent_consumers"]["30d"]),
        (&6.into(), &2.into())
    );
    let page = program.admin("/").await.text();
    let row =
        rows(&page).into_iter().find(|row| row.contains(&format!("/operations/{OPERATION}\""))).unwrap();
    for (key, what) in [("recent_calls", "Calls"), ("recent_consumers", "Consumers")] {
        for (window, label) in [("1d", "1 day"), ("7d", "7 days"), ("30d", "30 days")] {
            let number = operation[key][window].to_string();
            assert_eq!(cell(row, &format!("{what}, {label}")), number, "{key} {window}: {row}");
        }
    }
    let page = program.admin(&format!("/operations/{OPERATION}")).await.text();
    let consumers = operation["consumers"].as_array().unwrap();
    assert_eq!(consumers.len(), 3);
    for consumer in consumers {
        let name = consumer["consumer"].as_str().unwrap();
        let path = format!("/consumers/{name}");
        let row = rows(&page).into_iter().find(|row| row.contains(&format!("\"{path}\""))).unwrap();
        let own = program.admin(&path).await.text();
        let own =
            rows(&own).into_iter().find(|row| row.contains(&format!("/operations/{OPERATION}\""))).unwrap();
        let standing = if consumer["verified"] == true { "verified" } else { "claimed" };
        for row in [row, own] {
            assert_eq!(cell(row, "Calls"), consumer["calls"].to_string(), "{row}");
            assert_eq!(cell(row, "30 days"), consumer["recent_calls"]["30d"].to_string(), "{row}");
            assert_eq!(cell(row, "Standing"), standing, "{row}");
            assert_eq!(cell(row, "Software"), consumer["software"][0].as_str().unwrap(), "{row}");
        }
    }
    for path in ["/operations/nothing", "/consumers/user:nobody", "/consumers/%ff"] {
        let answer = program.admin(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains("<h1>Not found</h1>"), "{path}");
    }
    for (query, says) in [
        ("since=soon", "since: expected days such as 30d, weeks such as 4w, or a date"),
        ("since=2999-01-01", "since: it lies in the future"),
        ("since=401d", "since: 401 d are longer than usage.retention, 400 d: "),
        ("consumer=%00", "consumer: it holds a control character"),
        ("operation=%00", "operation: it holds a control character"),
        ("operation=nothing", "operation: there is none of this id"),
        ("days=3", "there is no such parameter, only since, operation, consumer: days"),
    ] {
        let answer = program.admin(&format!("/api/usage?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().starts_with(says), "{}", answer.text());
    }
}

#[tokio::test]
async fn many_who_look_at_the_same_time_share_one_report() {
    let onezone = onezone().await;
    let program = before(&onezone).start();
    known(&program, 0).await;
    let begin = Instant::now();
    let answers = join_all((0..30).map(|_| usage(&program, ""))).await;
    let made: BTreeSet<String> = answers.iter().map(|answer| answer["at"].to_string()).collect();
    // A report is good for two seconds at least.
    let most = 1 + begin.elapsed().as_secs() as usize / 2 + 1;
    assert!(made.len() <= most, "{} reports in {:?}", made.len(), begin.elapsed());
}

#[tokio::test]
async fn a_ledger_that_is_away_or_held_by_another_is_said_and_hangs_nothing() {
    let onezone = onezone().await;
    // A directory in its place.
    let away = before(&onezone).section("[ledger]\nurl = \"sqlite:sub/duskgate.db\"").start();
    let answer = away.admin("/api/usage").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert!(answer.text().starts_with("who calls is not known: "), "{}", answer.text());
    for path in ["/", &format!("/operations/{OPERATION}")] {
        let page = away.admin(path).await;
        assert_eq!(page.status, 200);
        assert!(
            page.text().contains("Who calls is not known.") && page.text().contains("the ledger is away")
        );
    }
    assert_eq!(away.admin("/consumers/user:a").await.status, 503);

    let held =
        before(&onezone).section("[ledger]\nurl = \"sqlite:duskgate.db\"\ntimeout = \"500ms\"").start();
    known(&held, 0).await;
    let other = rusqlite::Connection::open(held.directory().join("duskgate.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(held.ask(&call(&onezone, "anna")).await.status, 200);
    // What was known before is good for a moment.
    let begin = Instant::now();
    let refused = loop {
        let answer = held.admin("/api/usage").await;
        if answer.status != 200 {
            break answer;
        }
        assert!(begin.elapsed() < PATIENCE, "a report without the newest calls");
    };
    assert_eq!(refused.status, 503);
    let page = held.admin("/").await;
    assert_eq!(page.status, 200);
    let says = ["The newest calls are missing here.", "Who calls is not known."];
    assert!(says.iter().any(|text| page.text().contains(text)), "{}", page.text());
    assert_eq!(held.admin("/healthz").await.status, 200);
    other.execute_batch("ROLLBACK").unwrap();
    known(&held, 1).await;
}

/// Waits until so many calls are in the report of the API.
async fn known(program: &Program, wanted: u64) {
    let begin = Instant::now();
    loop {
        let answer = program.admin("/api/usage").await;
        let calls = || -> u64 {
            let operations = answer.json()["operations"].take();
            operations.as_array().unwrap().iter().map(|operation| operation["calls"].as_u64().unwrap()).sum()
        };
        if answer.status == 200 && calls() == wanted {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn usage(program: &Program, query: &str) -> Value {
    let answer = program.admin(&format!("/api/usage{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()
}

fn report(program: &Program, options: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_duskgate"))
        .args(["report", "--format", "json", "--config"])
        .arg(program.config_file())
        .args(options)
        .env("STATE_DIRECTORY", program.directory())
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn of(report: &Value, operation: &str) -> Value {
    let operations = report["operations"].as_array().unwrap();
    operations.iter().find(|it| it["id"] == operation).unwrap().clone()
}

/// A report without what is another from one moment to the next: when it was made, and how long ago things are.
fn told(mut report: Value) -> Value {
    let cut = |line: &mut Value| {
        let text = line.as_str().unwrap();
        let end = [", last call ", "watched for "].iter().filter_map(|mark| text.find(mark)).min();
        *line = text[..end.unwrap_or(text.len())].into();
    };
    report["at"].take();
    cut(&mut report["verdict_line"]);
    report["operations"].as_array_mut().unwrap().iter_mut().for_each(|it| cut(&mut it["verdict_line"]));
    report
}
