//! Stopping: what is in flight ends, what idles goes, nothing new comes in.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::json;

use super::OK;
use crate::support::backend::{Backend, Link};
use crate::support::http::{Connection, End, Request};
use crate::support::program::Setup;

const PATIENCE: Duration = Duration::from_secs(20);

/// A backend whose answer goes on when the test says so.
fn paused(head: &'static str, tail: &'static str) -> (Backend, Sender<()>) {
    let (go, wait): (Sender<()>, Receiver<()>) = channel();
    let wait = Mutex::new(wait);
    let backend = Backend::new(move |link: &mut Link| {
        if let Some(request) = link.request() {
            if request.line.contains("/quick") {
                return link.send(OK);
            }
            link.send(head);
            let _ = wait.lock().unwrap().recv_timeout(PATIENCE);
            link.send(tail);
            link.rest();
        }
    });
    (backend, go)
}

/// Waits until connections are refused.
async fn refused(address: SocketAddr) {
    let begin = Instant::now();
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        assert!(begin.elapsed() < PATIENCE, "{address} still accepts");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_slow_download_ends_in_peace() {
    let (backend, go) = paused("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst", "last");
    let mut program = Setup::before(backend.address).listeners(2).start();
    let mut download = Connection::to(program.address()).await;
    download.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    download.until("first").await;
    let mut idle = Connection::to(program.listeners[1]).await;
    assert_eq!(idle.ask(&Request::new("GET", "/quick")).await.status, 200);
    let mut unused = Connection::to(program.address()).await;

    program.signal("TERM");
    assert_eq!(idle.rest().await, (String::new(), End::Closed));
    assert_eq!(unused.rest().await, (String::new(), End::Closed));
    refused(program.listeners[0]).await;
    refused(program.listeners[1]).await;
    let expected =
        json!({ "ready": false, "listening": true, "upstream": true, "ledger": true, "draining": true });
    let ready = program.admin("/readyz").await;
    assert_eq!((ready.status, ready.json()["draining"].clone()), (503, expected["draining"].clone()));
    assert!(program.runs(), "it did not wait");

    go.send(()).unwrap();
    assert_eq!(download.until("last").await, "last");
    assert!(download.is_closed().await);
    assert_eq!(program.ended().code(), Some(0));
    assert_eq!(program.rest_of_stdout(), "");
}

#[tokio::test]
async fn a_request_that_waits_for_the_backend_is_answered_and_told_to_go() {
    let (backend, go) = paused("", OK);
    let mut program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    backend.received(1);
    program.signal("INT");
    program.logged(&["stopping"]);
    go.send(()).unwrap();
    let response = connection.read("POST").await;
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));
    assert_eq!(program.ended().code(), Some(0));
}

#[tokio::test]
async fn what_takes_longer_than_the_drain_time_is_cut() {
    let (backend, _go) = paused("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst", "");
    let mut program = Setup::before(backend.address).section("[limits]\ndrain = \"200ms\"").start();
    let mut download = Connection::to(program.address()).await;
    download.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    download.until("first").await;
    program.signal("TERM");
    let (text, _) = download.rest().await;
    assert_eq!(text, "");
    assert_eq!(program.ended().code(), Some(0));
    program.logged(&["WARN", "the drain time is over"]);
}

#[test]
fn an_idle_program_stops_at_once() {
    let backend = Backend::answering(OK);
    for signal in ["TERM", "INT"] {
        let mut program = Setup::before(backend.address).start();
        program.signal(signal);
        assert_eq!(program.ended().code(), Some(0), "{signal}");
        assert_eq!(program.rest_of_stdout(), "");
    }
}

#[tokio::test]
async fn draining_says_not_ready_and_stops_nothing() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    assert_eq!(program.admin("/readyz").await.status, 200);
    let mut connection = Connection::to(program.address()).await;
    assert_eq!(program.command("/drain").await.status, 200);
    let response = program.admin("/readyz").await;
    let expected =
        json!({ "ready": false, "listening": true, "upstream": true, "ledger": true, "draining": true });
    assert_eq!((response.status, response.json()), (503, expected));
    assert_eq!(program.admin("/healthz").await.status, 200);
    for _ in 0..2 {
        let response = connection.ask(&Request::new("GET", "/")).await;
        assert_eq!((response.status, response.header("connection")), (200, None));
    }
    assert_eq!(program.ask(&Request::new("GET", "/")).await.status, 200);
    assert_eq!(program.command("/undrain").await.status, 200);
    assert_eq!(program.admin("/readyz").await.status, 200);
}
