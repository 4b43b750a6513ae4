//! `duskgate operations`: the catalogue, and where each operation stands now.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::configuration::Source;
use super::table::table;
use crate::clock::Clock;
use crate::operation::Successor;
use crate::policy::{self, Entry};

/// Options of the command.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  duskgate operations
  duskgate operations --json | jq -r '.[] | select(.phase == \"sunset\") | .id'

MODE is what serves a call now: after a sunset it is \"gone\" unless after_sunset says \"serve\".
COST is how many requests to the backend a call takes, without any that are sent again.")]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Print a JSON array, one object an operation
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> ExitCode {
    let config = match arguments.source.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let now = Clock::Real.now();
    let entries = &config.book.entries;
    if arguments.json {
        let rows: Value = entries.iter().map(|entry| object(entry, now)).collect();
        return super::print(&format!("{rows:#}\n"));
    }
    let rows: Vec<_> = entries.iter().map(|entry| row(entry, now)).collect();
    let header =
        ["OPERATION", "PHASE", "MODE", "DEPRECATED", "SUNSET", "METHOD", "PATH", "COST", "SUCCESSOR"];
    super::print(&table(header, &rows))
}

fn row(entry: &Entry, now: Timestamp) -> [String; 9] {
    let verdict = policy::decide(entry, now);
    let successors: Vec<_> = entry.operation.successors.iter().map(name).collect();
    [
        entry.operation.id.clone(),
        verdict.phase.to_string(),
        verdict.mode.to_string(),
        entry.schedule.deprecated().to_string(),
        entry.schedule.sunset().map_or("-".to_owned(), |moment| moment.to_string()),
        entry.operation.method.to_string(),
        entry.operation.template.clone(),
        entry.operation.cost(verdict.mode).to_string(),
        if successors.is_empty() { "-".to_owned() } else { successors.join(", ") },
    ]
}

/// The names are those of `/api/operations` on the admin listener.
fn object(entry: &Entry, now: Timestamp) -> Value {
    let verdict = policy::decide(entry, now);
    let fallback: Vec<_> = entry.fallback.iter().map(|mode| mode.name()).collect();
    let successors: Vec<_> = entry.operation.successors.iter().map(call).collect();
    json!({
        "id": entry.operation.id,
        "method": entry.operation.method.as_str(),
        "path": entry.operation.template,
        "mode": verdict.mode.name(),
        "phase": verdict.phase.name(),
        "fallback": fallback,
        "deprecated_at": entry.schedule.deprecated().to_string(),
        "sunset_at": entry.schedule.sunset().map(|moment| moment.to_string()),
        "after_sunset": entry.after_sunset.name(),
        "documentation": entry.documentation,
        "cost": entry.operation.cost(verdict.mode),
        "successors": successors,
    })
}

/// A successor by its short name, where it has one.
fn name(successor: &Successor) -> String {
    successor.operation.clone().unwrap_or_else(|| call(successor))
}

fn call(successor: &Successor) -> String {
    match &successor.method {
        Some(method) => format!("{method} {}", successor.path),
        None => successor.path.clone(),
    }
}
