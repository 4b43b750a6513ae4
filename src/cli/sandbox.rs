//! `duskgate sandbox`: a stand-in Onezone in memory. Prints one JSON document, then serves until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;

use super::{NO, print};
use crate::app::Stop;
use crate::sandbox::{Settings, start};

const AFTER_HELP: &str = "\
Examples:
  duskgate sandbox                          a free port; prints its url and all that is in it
  duskgate sandbox --listen 127.0.0.1:8443  this port
  duskgate sandbox --no-legacy              a newer Onezone, without the deprecated routes";

/// Run a stand-in Onezone in memory, to try things and rehearse clients against
///
/// Prints one JSON document with its url and everything in it (users, their passwords and access tokens, groups, spaces,
/// harvesters, clusters and Oneproviders, the same every time), then serves plain HTTP until SIGINT or SIGTERM. It
/// answers as Onezone does for all of those and for tokens; nothing is kept when it stops.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Sandbox {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Leave out the deprecated routes, as a newer Onezone will
    #[arg(long)]
    no_legacy: bool,
}

/// Serves until a signal. Failing to listen is a failure while running.
pub fn run(arguments: Sandbox) -> ExitCode {
    let settings = Settings { listen: arguments.listen, legacy: !arguments.no_legacy, ..Settings::default() };
    match super::block_on(serve(settings)).flatten() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: cannot run the sandbox on {}: {error}", arguments.listen);
            ExitCode::from(NO)
        }
    }
}

async fn serve(settings: Settings) -> io::Result<ExitCode> {
    let stop = Stop::listen()?;
    let sandbox = start(settings).await?;
    let code = print(&format!("{:#}\n", sandbox.to_json()));
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    stop.requested().await;
    Ok(ExitCode::SUCCESS)
}
