//! Clients that take their time, or go away.

use std::time::{Duration, Instant};

use crate::support::backend::Backend;
use crate::support::http::{Connection, End, Request};
use crate::support::program::{Program, Setup};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
/// No limit of these tests is longer, and the machine may be slow.
const SOON: Duration = Duration::from_secs(5);

fn limited(backend: &Backend, limits: &str) -> Program {
    Setup::before(backend.address).section(&format!("[limits]\n{limits}")).start()
}

async fn hits(program: &Program, limit: &str) -> f64 {
    program.metric("duskgate_limit_hits_total", &[("limit", limit)]).await
}

#[tokio::test]
async fn a_head_that_takes_too_long_is_408() {
    let backend = Backend::answering(OK);
    let program = limited(&backend, "request_head = \"200ms\"");
    for part in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let begin = Instant::now();
        let mut connection = Connection::to(program.address()).await;
        connection.write(part.as_bytes()).await;
        let response = connection.read("GET").await;
        assert_eq!((response.status, response.text().as_str()), (408, ""), "{part:?}");
        assert_eq!(response.header("connection"), Some("close"));
        assert!(connection.is_closed().await);
        assert!(begin.elapsed() < SOON);
    }
    assert_eq!(hits(&program, "request_head").await, 3.0);
    assert!(backend.requests().is_empty());
}

#[tokio::test]
async fn a_drop_now_and_then_does_not_keep_a_head_alive() {
    let backend = Backend::answering(OK);
    let program = limited(&backend, "request_head = \"300ms\"");
    let begin = Instant::now();
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"GET / HTTP/1.1\r\n").await;
    let (mut writing, mut reading) = (connection.writer(), connection);
    let drops = tokio::spawn(async move {
        while writing.write(b"X: 1\r\n").await && begin.elapsed() < SOON {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(reading.read("GET").await.status, 408);
    assert!(begin.elapsed() < SOON);
    drop(reading);
    drops.abort();
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let backend = Backend::answering(OK);
    let program = limited(&backend, "request_head = \"200ms\"");
    let mut connection = Connection::to(program.address()).await;
    assert_eq!(connection.rest().await, (String::new(), End::Closed));
    assert_eq!(hits(&program, "request_head").await, 1.0);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    let backend = Backend::answering(OK);
    let program = limited(&backend, "client_idle = \"200ms\"");
    let mut connection = Connection::to(program.address()).await;
    assert_eq!(connection.ask(&Request::new("GET", "/")).await.status, 200);
    assert_eq!(connection.rest().await, (String::new(), End::Closed));
    assert_eq!(hits(&program, "client_idle").await, 1.0);
}

#[tokio::test]
async fn a_body_that_stalls_is_408_and_no_request() {
    let backend = Backend::new(|link| {
        assert!(link.request().is_none(), "it is not complete");
    });
    let program = limited(&backend, "client_stall = \"200ms\"");
    for (framing, part) in [("Content-Length: 10", "half"), ("Transfer-Encoding: chunked", "4\r\nha")] {
        let mut connection = Connection::to(program.address()).await;
        connection.write(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{part}").as_bytes()).await;
        let response = connection.read("POST").await;
        assert_eq!((response.status, response.header("connection")), (408, Some("close")), "{framing}");
        assert!(connection.is_closed().await);
    }
    backend.finished(2);
    assert!(backend.requests().is_empty());
    assert_eq!(hits(&program, "client_stall").await, 2.0);
}

#[tokio::test]
async fn a_body_that_trickles_is_not_stalled() {
    let backend = Backend::answering(OK);
    let program = limited(&backend, "client_stall = \"300ms\"");
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n").await;
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        connection.write(b"x").await;
    }
    assert_eq!(connection.read("POST").await.status, 200);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_and_the_backend_is_let_go() {
    let backend = Backend::new(|link| {
        link.request();
        link.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        while link.try_send(&[b'x'; 64 * 1024]) {}
    });
    let program = limited(&backend, "client_stall = \"200ms\"");
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    backend.finished(1);
    assert_eq!(hits(&program, "client_stall").await, 1.0);
}

#[tokio::test]
async fn a_client_that_goes_away_while_the_backend_thinks_is_noticed() {
    let backend = Backend::new(|link| {
        link.request();
        assert_eq!(link.rest(), b"");
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    backend.received(1);
    drop(connection);
    backend.finished(1);
}
