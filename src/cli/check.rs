//! `duskgate check`: is this a configuration that `run` would take, and what does it come to?

use std::process::ExitCode;

use clap::Args;

use super::configuration::Source;
use super::table::table;
use crate::config::Config;
use crate::policy::Entry;

/// Options of the command.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  duskgate check --config /etc/duskgate/duskgate.toml && systemctl reload duskgate
  duskgate check --print      every value that holds, and where it was set

Every mistake is written to stderr as FILE:LINE:COLUMN: KEY: MESSAGE, and the exit code is 2.")]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Print the effective configuration as TOML, each value with where it came from
    #[arg(long)]
    print: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> ExitCode {
    match arguments.source.load() {
        Ok(config) if arguments.print => super::print(&config.print()),
        Ok(config) => super::print(&resolved(&config)),
        Err(code) => code,
    }
}

/// Each operation with the terms that hold for it after overrides.
fn resolved(config: &Config) -> String {
    let rows: Vec<_> = config.book.entries.iter().map(row).collect();
    table(["OPERATION", "MODE", "FALLBACK", "DEPRECATED", "SUNSET", "THEN", "METHOD", "PATH"], &rows)
}

fn row(entry: &Entry) -> [String; 8] {
    let fallback: Vec<_> = entry.fallback.iter().map(|mode| mode.name()).collect();
    let sunset = entry.schedule.sunset();
    [
        entry.operation.id.clone(),
        entry.mode.to_string(),
        if fallback.is_empty() { "-".to_owned() } else { fallback.join(",") },
        entry.schedule.deprecated().to_string(),
        sunset.map_or("-".to_owned(), |moment| moment.to_string()),
        sunset.map_or("-", |_| entry.after_sunset.name()).to_owned(),
        entry.operation.method.to_string(),
        entry.operation.template.clone(),
    ]
}
