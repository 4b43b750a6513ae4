//! `duskgate run`: the proxy.

use std::process::ExitCode;

use clap::Args;

use super::configuration::{self, Source};
use super::{BAD, NO, print};
use crate::app::{self, Failure};

const AFTER_HELP: &str = "\
Signals: SIGTERM and SIGINT stop accepting, let requests in flight end within limits.drain, then exit 0. \
SIGHUP reads the configuration again, all or nothing; so does POST /reload on the admin listener. \
SIGUSR2 starts the program's file anew and hands it the listening sockets; this process ends when the new one serves.

Examples:
  duskgate run                                   read $DUSKGATE_CONFIG, else config/duskgate.toml
  duskgate run --config /etc/duskgate.toml       read this file
  DUSKGATE__LOG__FORMAT=json duskgate run        override one value";

/// Run the proxy until a signal stops it
///
/// Once everything listens it prints one line on stdout, with the real ports:
/// `ready listener=127.0.0.1:8080 admin=127.0.0.1:9180`. Logs go to stderr.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Run {
    #[command(flatten)]
    source: Source,
}

/// Serves until a signal. A bad configuration is [`BAD`], failing to listen [`NO`].
pub fn run(arguments: Run) -> ExitCode {
    let source = app::Source { file: arguments.source.file(), environment: configuration::environment() };
    let serve = app::run(source, |running| {
        print(&format!("{running}\n"));
    });
    match super::block_on(serve) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(Failure::Invalid(invalid))) => configuration::complain(&invalid),
        Ok(Err(failure)) => {
            eprintln!("error: {failure}");
            ExitCode::from(if failure.is_configuration() { BAD } else { NO })
        }
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            ExitCode::from(NO)
        }
    }
}
