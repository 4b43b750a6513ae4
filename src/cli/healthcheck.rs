//! `duskgate healthcheck`: asks the running proxy whether it is ready. For images that have no shell and no curl.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::NO;
use super::configuration::Source;

/// How long the proxy may take to say.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of its answer is read, in bytes.
const MOST: u64 = 16 * 1024;

/// Ask the running proxy whether it is ready (/readyz)
///
/// Finds the admin listener in the configuration. Exit codes: 0 ready, 1 not ready or not there, 2 bad configuration.
#[derive(Debug, Args)]
pub struct Healthcheck {
    #[command(flatten)]
    source: Source,
}

/// Says nothing where the proxy is ready, and what is not on stderr.
pub fn run(arguments: Healthcheck) -> ExitCode {
    let config = match arguments.source.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let address = reachable(config.admin.address);
    match ask(address) {
        Ok((true, _)) => ExitCode::SUCCESS,
        Ok((false, answer)) => {
            eprintln!("not ready: {}", answer.trim());
            ExitCode::from(NO)
        }
        Err(error) => {
            eprintln!("error: cannot ask the admin listener at {address}: {error}");
            ExitCode::from(NO)
        }
    }
}

/// A listener on every address is asked on the loopback one.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    }
}

/// Whether it is ready, and what it said.
fn ask(address: SocketAddr) -> io::Result<(bool, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok((head.split(' ').nth(1) == Some("200"), body.to_owned()))
}
