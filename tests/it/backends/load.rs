//! One of three servers is killed and comes back under constant load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::{Port, before, get, is_up, post, until};
use crate::support::http::Connection;
use crate::support::nginx::Nginx;

const CLIENTS: usize = 8;

/// A request that was not answered with 200.
#[derive(Debug)]
struct Failed {
    method: String,
    status: u16,
    begun: Instant,
}

/// Asks by turns with GET and POST until it is told to stop; returns what failed.
async fn client(
    address: std::net::SocketAddr,
    is_over: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
) -> Vec<Failed> {
    let (mut connection, mut failed) = (Connection::to(address).await, Vec::new());
    for request in [get(), post()].iter().cycle() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let begun = Instant::now();
        let status = connection.ask(request).await.status;
        asked.fetch_add(1, Ordering::Relaxed);
        if status != 200 {
            failed.push(Failed { method: request.method.clone(), status, begun });
        }
    }
    failed
}

#[tokio::test]
async fn a_dead_server_of_three_costs_no_request_that_was_not_sent_to_it() {
    let ports = [Port::new(), Port::new(), Port::new()];
    let addresses = ports.each_ref().map(Port::address);
    let start = |address| {
        let nginx = Nginx::answering(address, "hi", &[]);
        nginx.listens(|| std::net::TcpStream::connect(address).is_ok());
        nginx
    };
    let [_one, victim, _other] = addresses.map(start);
    let program = before(&addresses).start();
    let (is_over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(program.address(), Arc::clone(&is_over), Arc::clone(&asked)));
    }
    let more = async |count: usize| {
        let goal = asked.load(Ordering::Relaxed) + count;
        until("more requests", async || asked.load(Ordering::Relaxed) >= goal).await;
    };
    more(500).await;

    let killing = Instant::now();
    tokio::task::spawn_blocking(|| victim.kill()).await.unwrap();
    let killed = Instant::now();
    until("its death is noticed", async || !is_up(&program, addresses[1]).await).await;
    more(1000).await;

    let again = tokio::task::spawn_blocking(move || start(addresses[1])).await.unwrap();
    until("its return is noticed", async || is_up(&program, addresses[1]).await).await;
    more(500).await;

    is_over.store(true, Ordering::Relaxed);
    let failed: Vec<Failed> = clients.join_all().await.into_iter().flatten().collect();
    let asked = asked.load(Ordering::Relaxed);
    println!("{asked} requests, {} failed, all under way at the kill", failed.len());
    for Failed { method, status, begun } in &failed {
        // Only what had been sent to it is lost: under way when it died, and told as such.
        assert_eq!(
            *status,
            502,
            "{method} begun {:?} after the kill began",
            begun.checked_duration_since(killing)
        );
        assert!(*begun <= killed, "{method} begun {:?} after the kill", *begun - killed);
    }
    assert!(failed.len() <= CLIENTS, "{failed:?}");
    drop(again);
}
