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

    let table = text(&report(&program, &[]));
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
