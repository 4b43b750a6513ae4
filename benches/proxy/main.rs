//! What a request costs through Duskgate, beside nginx in the same run.
//!
//! Each proxy has one worker, pinned to the first core; nginx as the backend and the load are pinned to the second: wrk
//! for small requests of HTTP/1.1, h2load for the others. Rounds alternate between the proxies, and the figure is the CPU
//! time of the proxy's threads (kernel included) divided by the requests answered; the ratio is the median of the
//! rounds' ratios. Wall time says little on a shared machine. Needs `nginx`, `wrk`, `h2load` and `taskset`; run it with
//! `cargo bench --bench proxy`.
//!
//! Environment: `BENCH_ROUNDS` (default 7), `BENCH_SECONDS` of each (default 2), `BENCH_CONNECTIONS` (default 64).

#![allow(clippy::print_stdout, reason = "figures are this program's output")]

mod peers;
#[path = "../support/mod.rs"]
mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use peers::{Load, Peer, Peers};
use support::setting;

fn main() -> ExitCode {
    support::run(measure)
}

fn measure() -> Result<(), String> {
    let (rounds, seconds) = (setting("BENCH_ROUNDS", 7), setting("BENCH_SECONDS", 2));
    let connections = setting("BENCH_CONNECTIONS", 64);
    let peers = Peers::start()?;
    // First, while no memory is left over from the load.
    let idle = 1_000;
    println!("{idle} idle keep-alive connections, each after one request: resident memory");
    for peer in [&peers.nginx, &peers.duskgate] {
        let each = idle_memory(peer, idle)?;
        println!("  {:<9}{each:6.2} KiB each", peer.name);
    }
    for load in Load::ALL {
        compare(&peers, load, rounds, seconds, connections)?;
    }
    Ok(())
}

fn compare(
    peers: &Peers,
    load: Load,
    rounds: usize,
    seconds: usize,
    connections: usize,
) -> Result<(), String> {
    println!("{}: {rounds} rounds of {seconds} s: CPU time a request", load.name());
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let nginx = cost(&peers.nginx, load, seconds, connections)?;
        let duskgate = cost(&peers.duskgate, load, seconds, connections)?;
        ratios.push(duskgate / nginx);
        println!(
            "  round {round}: nginx {nginx:7.2} us, duskgate {duskgate:7.2} us, ratio {:.3}",
            duskgate / nginx
        );
    }
    ratios.sort_by(f64::total_cmp);
    let wanted = if matches!(load, Load::Small) { " (wanted: at most 1.10)" } else { "" };
    println!("  median ratio {:.3}{wanted}", ratios[ratios.len() / 2]);
    Ok(())
}

/// Microseconds of the peer's CPU time for one request.
fn cost(peer: &Peer, load: Load, seconds: usize, connections: usize) -> Result<f64, String> {
    let before = peer.cpu_nanoseconds()?;
    let answered = load.run(peer, seconds, connections)?;
    let spent = peer.cpu_nanoseconds()? - before;
    Ok(spent as f64 / 1_000.0 / answered as f64)
}

/// KiB of resident memory that each of so many idle connections costs.
fn idle_memory(peer: &Peer, count: usize) -> Result<f64, String> {
    let before = peer.resident_kib()?;
    let connections = (0..count).map(|_| idle_connection(peer.address)).collect::<Result<Vec<_>, _>>();
    let connections = connections.map_err(|error| format!("{}: {error}", peer.name))?;
    let after = peer.resident_kib()?;
    drop(connections);
    Ok((after.saturating_sub(before)) as f64 / count as f64)
}

fn idle_connection(address: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n")?;
    peers::read_answer(&mut stream)?;
    Ok(stream)
}
