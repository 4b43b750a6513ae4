//! `duskgate report`: who still calls what, and whether it can be switched off; from the ledger, with the running proxy
//! or without it.

mod csv;
mod html;
mod names;

use std::process::ExitCode;
use std::str::FromStr as _;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::configuration::Source;
use super::table::table;
use super::{BAD, NO, block_on, print};
use crate::clock::Clock;
use crate::config::Config;
use crate::escape::visible;
use crate::ledger::{self, Create};
use crate::usage::report::{self, Question, Report};
use crate::usage::since::Since;
use crate::usage::{Settings, verdict};

/// Options of the command.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  duskgate report
  duskgate report --since 90d --format csv --resolve-names > who-to-write-to.csv
  duskgate report --operation create_user_group_invite_token --fail-if-used

Only verified calls hold an operation up: those whose answer showed that the backend took the credentials.
Exit codes: 0 success, 1 the ledger cannot be read or, with --fail-if-used, somebody still calls, 2 wrong usage")]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Calls of so many days (30d) or weeks (4w), or since a date (2027-01-31), all in UTC; the verdicts go by it
    /// [default: usage.window]
    #[arg(long, value_name = "TIME", value_parser = Since::from_str)]
    since: Option<Since>,
    /// Only this operation, by its id
    #[arg(long, value_name = "ID")]
    operation: Option<String>,
    /// Only this consumer, as reports print it: user:<id>
    #[arg(long, value_name = "CONSUMER")]
    consumer: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Exit with 1 while anyone still calls
    #[arg(long)]
    fail_if_used: bool,
    /// Ask the backend, with the service token, for full names and e-mail addresses
    #[arg(long)]
    resolve_names: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One object
    Json,
    /// One line for each operation and consumer
    Csv,
    /// One page that needs nothing else
    Html,
}

/// How long the ledger may take at least.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the command.
pub fn run(arguments: &Arguments) -> ExitCode {
    let config = match arguments.source.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let now = Clock::Real.now();
    let settings = match arguments.since.map_or(Ok(config.usage.window), |since| since.window(now)) {
        Ok(window) => Settings { window, ..config.usage.clone() },
        Err(error) => return wrong(&format!("--since: {error}")),
    };
    if arguments.resolve_names && config.upstream.service_token.is_none() {
        return wrong(
            "--resolve-names needs upstream.service_token_file: the backend is asked with that token",
        );
    }
    match block_on(make(arguments, &config, &settings, now)) {
        Ok(Ok(report)) => {
            let printed = print(&render(&report, arguments.format));
            let is_used = report.operations.iter().any(|operation| operation.verdict == "not_yet");
            if arguments.fail_if_used && is_used { ExitCode::from(NO) } else { printed }
        }
        Ok(Err(error)) => {
            eprintln!("error: {error:#}");
            ExitCode::from(NO)
        }
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            ExitCode::from(NO)
        }
    }
}

async fn make(
    arguments: &Arguments,
    config: &Config,
    settings: &Settings,
    now: Timestamp,
) -> anyhow::Result<Report> {
    let operations = config.book.entries.iter().map(|entry| entry.operation.id.clone()).collect();
    let question =
        Question { operation: arguments.operation.clone(), consumer: arguments.consumer.clone(), operations };
    // Nobody's request waits for it.
    let patient = ledger::Settings { timeout: config.ledger.timeout.max(PATIENCE), ..config.ledger.clone() };
    let ledger = ledger::open(&patient, Create::No);
    let mut report = report::make(&*ledger, &question, settings, now).await?;
    if let Some(id) = &arguments.operation
        && report.operations.is_empty()
    {
        anyhow::bail!("no such operation, and nobody has called one: {id}; try `duskgate operations`");
    }
    if arguments.resolve_names {
        names::resolve(&mut report, config).await?;
    }
    Ok(report)
}

fn wrong(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(BAD)
}

fn render(report: &Report, format: Format) -> String {
    match format {
        Format::Table => text(report),
        Format::Csv => csv::render(report),
        Format::Html => html::render(report),
        Format::Json => match serde_json::to_string_pretty(report) {
            Ok(text) => text + "\n",
            Err(error) => format!("{{\"error\": \"{error}\"}}\n"),
        },
    }
}

fn text(report: &Report) -> String {
    let shown = |moment: Option<Timestamp>| moment.map_or("-".to_owned(), |moment| format!("{moment:.0}"));
    let operations: Vec<_> = report
        .operations
        .iter()
        .map(|operation| {
            [
                operation.id.clone(),
                operation.calls.to_string(),
                operation.consumers.len().to_string(),
                shown(operation.last_call),
                shown(operation.watched_since),
                operation.verdict_line.clone(),
            ]
        })
        .collect();
    let header = ["OPERATION", "CALLS", "CALLERS", "LAST CALL", "WATCHED SINCE", "VERDICT"];
    let mut out =
        format!("calls since {:.0}, for {} d\n{}\n\n", report.since, report.window_days, report.verdict_line);
    out += &table(header, &operations);
    let consumers: Vec<_> = report
        .operations
        .iter()
        .flat_map(|operation| operation.consumers.iter().map(move |consumer| (operation, consumer)))
        .map(|(operation, consumer)| {
            [
                visible(&consumer.consumer),
                consumer.standing().to_owned(),
                operation.id.clone(),
                consumer.calls.to_string(),
                format!("{}/{}/{}", consumer.success, consumer.refused, consumer.failed),
                format!("{} ago", verdict::ago(report.at, consumer.last_seen)),
                some(&consumer.software),
                some(&consumer.networks),
                visible(&consumer.person()),
            ]
        })
        .collect();
    if !consumers.is_empty() {
        let header = [
            "CONSUMER",
            "STANDING",
            "OPERATION",
            "CALLS",
            "OK/4XX/5XX",
            "LAST CALL",
            "SOFTWARE",
            "NETWORKS",
            "NAME",
        ];
        out += &format!("\n{}", table(header, &consumers));
    }
    out
}

/// The first of them, and how many more there are.
fn some(texts: &[String]) -> String {
    match texts {
        [] => "-".to_owned(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
    }
}
