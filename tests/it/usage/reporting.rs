//! `duskgate report`, by the real program on the ledger of another one.

use std::process::{Command, Output};

use duskgate::clock::Clock;
use duskgate::ledger::usage::day_of;
use duskgate::ledger::{self, Create, Location, Settings, Watching};
use duskgate::sandbox::Sandbox;
use jiff::SignedDuration;
use serde_json::Value;

use super::{before, call, ledger_of, onezone, recorded};
use crate::ledger::usage::{batch, row};
use crate::support::backend::Backend;
use crate::support::program::{Program, Setup};

const OPERATION: &str = "create_user_group_invite_token";

fn command(program: &Program, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duskgate"));
    command.args(["report", "--config"]).arg(program.config_file()).args(options);
    command.env("STATE_DIRECTORY", program.directory());
    command
}

fn report(program: &Program, options: &[&str]) -> Output {
    command(program, options).output().unwrap()
}

/// The same while the backend, which is on this thread, can answer.
async fn asking_report(program: &Program, options: &[&str]) -> String {
    let mut command = command(program, options);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    text(&output)
}

fn text(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn json(program: &Program, options: &[&str]) -> Value {
    let output = report(program, &[&["--format", "json", "--operation", OPERATION], options].concat());
    serde_json::from_str::<Value>(&text(&output)).unwrap()["operations"][0].take()
}

/// A program that two users have called.
async fn called(onezone: &Sandbox, setup: Setup) -> Program {
    let program = setup.start();
    for who in ["anna", "anna", "ben"] {
        program.ask(&call(onezone, who)).await;
    }
    recorded(&*ledger_of(&program), 3).await;
    program
}

#[tokio::test]
async fn a_report_says_who_calls_and_that_it_is_too_early() {
    let onezone = onezone().await;
    let program = called(&onezone, before(&onezone)).await;
    let operation = json(&program, &[]);
    let anna = format!("user:{}", onezone.fixture.user("anna").id);
    let consumers = operation["consumers"].as_array().unwrap();
    let by_anna = consumers.iter().find(|consumer| consumer["consumer"] == anna.as_str()).unwrap();
    assert_eq!((&by_anna["calls"], &by_anna["verified"]), (&2.into(), &true.into()), "{operation}");
    assert_eq!(by_anna["software"][0], "nightly-sync/2.1");
    assert_eq!(operation["verdict"], "not_yet");
    let line = operation["verdict_line"].as_str().unwrap();
    assert!(line.starts_with("not yet: ") && line.contains("last call "), "{line}");
    // Of one consumer only.
    let only = json(&program, &["--consumer", &anna]);
    assert_eq!(only["consumers"].as_array().unwrap().len(), 1);
    let line = only["verdict_line"].as_str().unwrap();
    assert!(line.starts_with(&format!("not yet: used by {anna}, last call ")), "{line}");

    let table = text(&report(&program, &[]));
    let ledger = format!(", by sqlite:{}/duskgate.db\n", program.directory().display());
    assert!(table.lines().next().is_some_and(|line| format!("{line}\n").ends_with(&ledger)), "{table}");
    assert!(table.contains(&anna) && table.contains("not yet: "), "{table}");
    assert!(table.contains("update_user_client_token") || table.contains("not known yet"), "{table}");
    let csv = text(&report(&program, &["--format", "csv"]));
    assert!(csv.starts_with("operation,verdict,consumer,"), "{csv}");
    assert!(csv.contains(&format!("{OPERATION},not_yet,{anna},verified,2,2,0,0,")), "{csv}");
    let html = text(&report(&program, &["--format", "html"]));
    assert!(html.starts_with("<!doctype html>") && html.contains(&anna), "{html}");
    assert!(!html.contains("<script") && !html.contains("http://") && !html.contains("https://"));
}

#[tokio::test]
async fn a_pipeline_fails_while_anyone_still_calls() {
    let onezone = onezone().await;
    let program = called(&onezone, before(&onezone)).await;
    let code = |options: &[&str]| report(&program, options).status.code();
    assert_eq!(code(&["--fail-if-used"]), Some(1));
    assert_eq!(code(&["--since", "yesterday"]), Some(2));
    assert_eq!(code(&["--since", "2999-01-01"]), Some(2));
    assert_eq!(code(&["--since", "400d"]), Some(0), "as long as calls are remembered");
    let longer = report(&program, &["--since", "401d"]);
    let said = String::from_utf8_lossy(&longer.stderr);
    assert!(said.starts_with("error: --since: 401 d are longer than usage.retention, 400 d: "), "{said}");
    assert_eq!(longer.status.code(), Some(2));
    for name in ["a\u{7}", ""] {
        assert_eq!(code(&["--consumer", name]), Some(2), "{name:?}");
        assert_eq!(code(&["--operation", name]), Some(2), "{name:?}");
    }
    assert_eq!(code(&["--operation", "nonsense"]), Some(1));
    assert_eq!(code(&["--resolve-names"]), Some(2), "without a service token");
    let everybody: Vec<String> =
        ["anna", "ben"].map(|who| format!("\"user:{}\"", onezone.fixture.user(who).id)).to_vec();
    let ignoring = before(&onezone).section(&format!("[usage]\nignore = [{}]", everybody.join(", ")));
    program.configure(&ignoring);
    assert_eq!(code(&["--fail-if-used"]), Some(0));
    assert_eq!(json(&program, &[])["consumers"][0]["ignored"], true);
    program.configure(&before(&onezone).section("[usage]\nnegligible_calls = 2"));
    assert_eq!(code(&["--fail-if-used"]), Some(0));
    program.configure(&before(&onezone).section("[usage]\nnegligible_calls = 1"));
    assert_eq!(code(&["--fail-if-used"]), Some(1));
}

#[tokio::test]
async fn what_nobody_calls_and_somebody_watches_is_safe_to_retire() {
    let onezone = onezone().await;
    let program = before(&onezone).start();
    let now = Clock::Real.now();
    let long_ago = now - SignedDuration::from_hours(24 * 40);
    let file = program.directory().join("duskgate.db");
    let ledger = ledger::open(&Settings::at(Location::Sqlite(file)), Create::Yes);
    let operations = vec![OPERATION.to_owned()];
    ledger.watch_usage(&Watching { operations, reach: long_ago, now }).await.unwrap();
    let today = day_of(now);
    let rows = vec![row(OPERATION, "user:gone", today - 35, 9)];
    ledger.record_usage(batch("before", 1, rows)).await.unwrap();
    let operation = json(&program, &[]);
    assert_eq!(operation["verdict_line"], "safe to retire", "{operation}");
    assert_eq!(json(&program, &["--since", "39d"])["verdict"], "not_yet");
    assert_eq!(json(&program, &["--since", "60d"])["verdict"], "not_yet");
    assert_eq!(report(&program, &["--fail-if-used"]).status.code(), Some(0));
}

#[tokio::test]
async fn the_verdict_about_one_consumer_says_so_and_is_never_that_all_is_safe() {
    let onezone = onezone().await;
    let program = before(&onezone).start();
    let now = Clock::Real.now();
    let file = program.directory().join("duskgate.db");
    let ledger = ledger::open(&Settings::at(Location::Sqlite(file)), Create::Yes);
    let reach = now - SignedDuration::from_hours(24 * 40);
    ledger.watch_usage(&Watching { operations: vec![OPERATION.to_owned()], reach, now }).await.unwrap();
    let today = day_of(now);
    let rows = vec![row(OPERATION, "user:gone", today - 35, 9), row(OPERATION, "user:here", today, 9)];
    ledger.record_usage(batch("before", 1, rows)).await.unwrap();

    let gone = ["--consumer", "user:gone", "--operation", OPERATION];
    let of = |who: &str| json(&program, &["--consumer", who]);
    let told = |it: &Value| (it["verdict"].clone(), it["verdict_line"].clone());
    assert_eq!(told(&of("user:gone")), ("unused_by_consumer".into(), "not used by user:gone".into()));
    let here = of("user:here");
    assert_eq!(here["verdict"], "not_yet");
    assert!(here["verdict_line"].as_str().unwrap().starts_with("not yet: used by user:here, last call "));
    for format in ["table", "html", "json", "csv"] {
        let shown = text(&report(&program, &[&gone[..], &["--format", format]].concat()));
        assert!(!["safe to", "\"safe\"", ",safe,"].iter().any(|word| shown.contains(word)), "{shown}");
        let says = if format == "csv" { "unused_by_consumer" } else { "not used by user:gone" };
        assert!(shown.contains(says), "{shown}");
    }
    let code = |who: &str| report(&program, &["--fail-if-used", "--consumer", who]).status.code();
    assert_eq!((code("user:gone"), code("user:here")), (Some(0), Some(1)));
    // Of all operations together.
    let all = program.admin("/api/usage?consumer=user%3Ahere").await.json();
    let line = all["verdict_line"].as_str().unwrap();
    assert!(
        line.starts_with("not yet: 1 of ") && line.contains(" called, by user:here, last call "),
        "{line}"
    );

    let typo = report(&program, &["--consumer", "user:gnoe"]);
    assert_eq!(typo.stderr, b"warning: the ledger knows no calls by user:gnoe\n");
}

#[tokio::test]
async fn whose_calls_do_not_count_holds_nothing_up_but_has_called() {
    let onezone = onezone().await;
    let anna = format!("user:{}", onezone.fixture.user("anna").id);
    let setup = before(&onezone).section(&format!("[usage]\nwindow = \"1d\"\nignore = [\"{anna}\"]"));
    let program = called(&onezone, setup).await;
    let now = Clock::Real.now();
    let reach = now - SignedDuration::from_hours(24 * 3);
    let ledger =
        ledger::open(&Settings::at(Location::Sqlite(program.directory().join("duskgate.db"))), Create::No);
    ledger.watch_usage(&Watching { operations: vec![OPERATION.to_owned()], reach, now }).await.unwrap();
    let operation = json(&program, &["--consumer", &anna]);
    assert_eq!(operation["verdict"], "unused_by_consumer", "{operation}");
    assert_eq!(operation["verdict_line"], format!("not held up by {anna}: its calls do not count"));
}

#[tokio::test]
async fn a_ledger_that_only_the_working_directory_names_is_said_and_a_missing_one_where_to_look() {
    let onezone = onezone().await;
    let program = called(&onezone, before(&onezone)).await;
    let in_directory = |directory: &std::path::Path| {
        let mut command = command(&program, &["--format", "json"]);
        command.env_remove("STATE_DIRECTORY").current_dir(directory).output().unwrap()
    };
    let output = in_directory(program.directory());
    let said = String::from_utf8_lossy(&output.stderr);
    let file = program.directory().canonicalize().unwrap().join("duskgate.db");
    let note = format!("note: this is the ledger in the working directory, {};", file.display());
    assert!(said.starts_with(&note) && output.status.success(), "{said}");

    let elsewhere = tempfile::tempdir().unwrap();
    let output = in_directory(elsewhere.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("error: there is no ledger yet: duskgate.db; "), "{said}");
    assert!(said.contains("STATE_DIRECTORY=/var/lib/duskgate") && said.contains("ledger.url"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn names_and_addresses_come_from_the_backend() {
    let onezone = onezone().await;
    let admin = onezone.fixture.user("admin").token.clone();
    let setup =
        before(&onezone).upstream("service_token_file = \"service.token\"").file("service.token", admin);
    let program = called(&onezone, setup).await;
    let anna = format!("user:{}", onezone.fixture.user("anna").id);
    let options = ["--resolve-names", "--format", "json", "--operation", OPERATION, "--consumer", &anna];
    let report: Value = serde_json::from_str(&asking_report(&program, &options).await).unwrap();
    let consumer = &report["operations"][0]["consumers"][0];
    assert!(consumer["full_name"].as_str().is_some_and(|name| !name.is_empty()), "{consumer}");
    assert!(consumer["emails"].as_array().is_some_and(|emails| !emails.is_empty()), "{consumer}");
    let csv = asking_report(&program, &["--resolve-names", "--format", "csv"]).await;
    assert!(csv.contains(consumer["emails"][0].as_str().unwrap()), "{csv}");
}

#[tokio::test]
async fn what_the_backend_calls_people_moves_no_cursor_and_is_no_formula() {
    let body = r#"{"fullName": "=HYPERLINK(\"x\"),\u001b[2J\u202eevil", "emails": ["+a\u009b@b"]}"#;
    let backend = Backend::with(move |_| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    });
    let setup = Setup::before(backend.address)
        .deprecation("mode = \"observe\"")
        .upstream("service_token_file = \"service.token\"")
        .file("service.token", "token");
    let program = setup.start();
    let rows = vec![row(OPERATION, "user:here", day_of(Clock::Real.now()), 9)];
    let ledger =
        ledger::open(&Settings::at(Location::Sqlite(program.directory().join("duskgate.db"))), Create::Yes);
    ledger.record_usage(batch("before", 1, rows)).await.unwrap();
    let options = ["--resolve-names", "--operation", OPERATION, "--format", "csv"];
    let csv = asking_report(&program, &options).await;
    let cells = "\"'=HYPERLINK(\"\"x\"\"),\u{fffd}[2J\u{fffd}evil\",\"'+a\u{fffd}@b\"\r\n";
    assert!(csv.ends_with(cells), "{csv:?}");
    let table = asking_report(&program, &options[..3]).await;
    assert!(!table.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{table:?}");
}
