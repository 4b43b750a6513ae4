//! The command line: one file a command. Data goes to stdout, everything else to stderr. Exit codes: 0 for success,
//! 1 for a failure while running or the answer "no", 2 for wrong usage or a bad configuration.

mod check;
mod configuration;
mod demo;
mod explain;
mod healthcheck;
mod keygen;
mod operations;
mod report;
mod run;
mod sandbox;
mod table;
mod tokens;

use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A failure while running, or the answer "no".
pub const NO: u8 = 1;
/// Wrong usage, or a bad configuration.
pub const BAD: u8 = 2;

/// The command line as typed. Clap itself exits with 2 on wrong usage.
#[derive(Debug, Parser)]
#[command(name = "duskgate", version, about, long_about = LONG_ABOUT, after_help = AFTER_HELP)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const LONG_ABOUT: &str = "\
Duskgate stands in front of Onezone and keeps its deprecated REST routes working while their callers move off \
them: it rewrites the calls to the newer API, adds the deprecation headers, and counts who still calls what.";

const AFTER_HELP: &str = "\
Examples:
  duskgate demo
  duskgate run --config /etc/duskgate/duskgate.toml
  duskgate check --config /etc/duskgate/duskgate.toml
  duskgate explain POST /api/v3/onezone/groups/abc/users/token --at 2027-03-31T00:00:00Z
  duskgate operations --json

Exit codes: 0 success, 1 failure while running or the answer is \"no\", 2 wrong usage or bad configuration";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Demo(demo::Demo),
    /// Validate the configuration and print what it comes to
    Check(check::Arguments),
    /// Say what would happen to a request, and why
    Explain(explain::Arguments),
    /// Say who still calls what, and whether it can be switched off
    Report(report::Arguments),
    /// List the deprecated operations with their phases
    Operations(operations::Arguments),
    Healthcheck(healthcheck::Healthcheck),
    Sandbox(sandbox::Sandbox),
    Keygen(keygen::Arguments),
    /// Look into tokens, and into the ledger of those issued here
    #[command(subcommand, arg_required_else_help = true)]
    Tokens(tokens::Command),
}

/// Runs the command and says how the process should exit.
pub fn run(arguments: Arguments) -> ExitCode {
    match arguments.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Healthcheck(arguments) => healthcheck::run(arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Operations(arguments) => operations::run(&arguments),
        Command::Sandbox(arguments) => sandbox::run(arguments),
        Command::Keygen(arguments) => keygen::run(&arguments),
        Command::Tokens(command) => tokens::run(&command),
    }
}

/// Writes data to stdout. A reader that has gone away is no failure: `duskgate operations | head -1`.
pub fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("error: cannot write to stdout: {error}");
            ExitCode::from(NO)
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Runs a future on a runtime of this thread.
fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}
