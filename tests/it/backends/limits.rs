//! The bound on connections to one server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{OK, before, counts, errors, get, post, until};
use crate::support::backend::Backend;
use crate::support::http::{Connection, Request, ask};

/// A backend that answers once this says so.
fn held(is_released: &Arc<AtomicBool>) -> Backend {
    let is_released = Arc::clone(is_released);
    Backend::new(move |link| {
        while link.request().is_some() {
            while !is_released.load(Ordering::Relaxed) {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            link.send(OK);
        }
    })
}

#[tokio::test]
async fn who_finds_no_place_waits_for_one() {
    let is_released = Arc::new(AtomicBool::new(false));
    let backend = held(&is_released);
    let setup = before(&[backend.address]).upstream("connections_per_server = 1\nconnect_timeout = \"60s\"");
    let program = setup.start();
    let address = program.address();
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..10 {
        let request = if number % 2 == 0 { get() } else { post() };
        asking.spawn(async move { ask(address, &request).await.status });
    }
    until("all have come", async || errors(&program, backend.address, "full").await >= 9.0).await;
    until("one has arrived", async || backend.requests().len() == 1).await;
    assert_eq!((backend.connections(), backend.requests().len()), (1, 1));
    assert_eq!(program.metric("duskgate_upstream_connections", &[]).await, 1.0);
    is_released.store(true, Ordering::Relaxed);
    while let Some(status) = asking.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(backend.requests().len(), 10);
}

#[tokio::test]
async fn who_waits_in_vain_is_told_that_the_backend_cannot_be_reached() {
    let is_released = Arc::new(AtomicBool::new(false));
    let backend = held(&is_released);
    let setup =
        before(&[backend.address]).upstream("connections_per_server = 1\nconnect_timeout = \"200ms\"");
    let program = setup.start();
    let address = program.address();
    let first = tokio::spawn(async move { ask(address, &get()).await.status });
    until("the first has arrived", async || backend.requests().len() == 1).await;
    for request in [get(), post()] {
        let response = program.ask(&request).await;
        assert_eq!((response.status, &response.json()["error"]["id"]), (503, &"backendUnreachable".into()));
    }
    assert_eq!(errors(&program, backend.address, "full").await, 2.0);
    program.logged(&["a request was not sent", "upstream.connections_per_server"]);
    is_released.store(true, Ordering::Relaxed);
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!((backend.connections(), backend.requests().len()), (1, 1));
}

#[tokio::test]
async fn another_server_takes_what_one_has_no_place_for() {
    let is_released = Arc::new(AtomicBool::new(false));
    let (full, other) = (held(&is_released), Backend::answering(OK));
    let setup = before(&[full.address, other.address]).upstream("connections_per_server = 1");
    let program = setup.start();
    let address = program.address();
    let mut asking = tokio::task::JoinSet::new();
    while full.requests().is_empty() {
        asking.spawn(async move { ask(address, &post()).await.status });
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let mut connection = Connection::to(address).await;
    for _ in 0..20 {
        assert_eq!(connection.ask(&post()).await.status, 200);
    }
    assert_eq!((full.connections(), counts(&[&full])[0]), (1, 1));
    is_released.store(true, Ordering::Relaxed);
    while let Some(status) = asking.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
}

#[tokio::test]
async fn an_idle_connection_makes_room_whosever_thread_it_is() {
    let backend = Backend::answering(OK);
    let program = before(&[backend.address])
        .section("[runtime]\nthreads = 4")
        .upstream("connections_per_server = 1")
        .start();
    // Each connection of a client's may be served by another thread.
    for request in [get(), post()].iter().cycle().take(40) {
        assert_eq!(program.ask(request).await.status, 200);
    }
    assert_eq!(backend.requests().len(), 40);
}

#[tokio::test]
async fn a_websocket_takes_a_place_for_as_long_as_it_lives() {
    let backend = Backend::new(|link| {
        while let Some(request) = link.request() {
            if request.field("upgrade").is_some() {
                link.send(
                    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
                );
                link.rest();
                return;
            }
            link.send(OK);
        }
    });
    let setup =
        before(&[backend.address]).upstream("connections_per_server = 1\nconnect_timeout = \"200ms\"");
    let program = setup.start();
    let mut tunnel = Connection::to(program.address()).await;
    let upgrade = Request::new("GET", "/")
        .header("Connection", "upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(tunnel.ask(&upgrade).await.status, 101);
    assert_eq!(program.ask(&get()).await.status, 503);
    drop(tunnel);
    until("the place is free", async || program.ask(&get()).await.status == 200).await;
}
