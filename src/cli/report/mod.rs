//! `duskgate report`: who still calls what, and whether it can be switched off; from the ledger, with the running proxy
//! or without it.

mod csv;
mod html;
mod names;

use std::path::Path;
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
use crate::ledger::{self, Away, Create, DEFAULT_FILE, Location};
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
Without ledger.url the ledger is a file in $STATE_DIRECTORY, else in the working directory: beside the systemd unit,
run it with STATE_DIRECTORY=/var/lib/duskgate.
Exit codes: 0 success, 1 the ledger cannot be read or, with --fail-if-used, somebody still calls, 2 wrong usage")]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Calls of so many days (30d) or weeks (4w), or since a date (2027-01-31), all in UTC; the verdicts go by it; not
    /// longer than usage.retention [default: usage.window]
    #[arg(long, value_name = "TIME", value_parser = Since::from_str)]
    since: Option<Since>,
    /// Only this operation, by its id
    #[arg(long, value_name = "ID", value_parser = report::name)]
    operation: Option<String>,
    /// Only this consumer, as reports print it: user:<id>; the verdicts are about it alone
    #[arg(long, value_name = "CONSUMER", value_parser = report::name)]
    consumer: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Exit with 1 while anyone still calls; with --consumer, while that one does
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
    let window = |since: Since| since.window(now, config.usage.retention);
    let settings = match arguments.since.map_or(Ok(config.usage.window), window) {
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
            let printed = print(&render(&report, arguments.format, &config.ledger.location));
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
    let made = report::make(&*ledger, &question, settings, now).await;
    let mut report = made.map_err(|away| match away {
        Away::Missing(_) => anyhow::anyhow!(
            "{away}; the one of a service is where its ledger.url or its STATE_DIRECTORY says: set the same here, beside \
             the systemd unit STATE_DIRECTORY=/var/lib/duskgate"
        ),
        away => away.into(),
    })?;
    say_what_may_mislead(arguments, &report, &config.ledger.location);
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

/// On stderr: that the ledger may be another one, and that a name may be mistyped.
fn say_what_may_mislead(arguments: &Arguments, report: &Report, ledger: &Location) {
    if *ledger == Location::Sqlite(DEFAULT_FILE.into()) {
        let directory = std::env::current_dir().unwrap_or_default();
        eprintln!(
            "note: this is the ledger in the working directory, {}; a service has its own in its STATE_DIRECTORY",
            directory.join(Path::new(DEFAULT_FILE)).display()
        );
    }
    // The last call of each is that of all days that are remembered.
    if let Some(consumer) = &arguments.consumer
        && report.operations.iter().all(|operation| operation.last_call.is_none())
    {
        let of = if arguments.operation.is_some() { " of this operation" } else { "" };
        eprintln!("warning: the ledger knows no calls{of} by {}", visible(consumer));
    }
}

fn wrong(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(BAD)
}

fn render(report: &Report, format: Format, ledger: &Location) -> String {
    match format {
        Format::Table => text(report, ledger),
        Format::Csv => csv::render(report),
        Format::Html => html::render(report),
        Format::Json => match serde_json::to_string_pretty(report) {
            Ok(text) => text + "\n",
            Err(error) => format!("{{\"error\": \"{error}\"}}\n"),
        },
    }
}

fn text(report: &Report, ledger: &Location) -> String {
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
    let mut out = format!(
        "calls since {:.0}, for {} d, by {ledger}\n{}\n\n",
        report.since, report.window_days, report.verdict_line
    );
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
