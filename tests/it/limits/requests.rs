//! Requests at once: a bounded queue, and 503 beyond it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use super::{OK, PATIENCE, hits};
use crate::support::backend::{Backend, Link};
use crate::support::http::{Connection, Request, Response};
use crate::support::program::{Program, Setup};

const LEGACY: &str = "/api/v3/onezone/groups/g1/users/token";
const IN_FLIGHT: &str = "duskgate_http_requests_in_flight";
const QUEUED: &str = "duskgate_http_requests_queued";

/// A backend that answers each request of `/slow` when it is told to, and all others at once.
fn slow() -> (Backend, Sender<()>) {
    let (go, wait): (Sender<()>, Receiver<()>) = channel();
    let wait = Arc::new(Mutex::new(wait));
    let backend = Backend::new(move |link: &mut Link| {
        while let Some(request) = link.request() {
            if request.line.contains("/slow") {
                let _ = wait.lock().unwrap().recv_timeout(PATIENCE);
            }
            link.send(OK);
        }
    });
    (backend, go)
}

fn get(path: &str) -> Request {
    Request::new("GET", path)
}

async fn begin(program: &Program, request: &Request) -> Connection {
    let mut connection = Connection::to(program.address()).await;
    connection.write(&request.to_bytes()).await;
    connection
}

fn assert_overloaded(response: &Response, retry_after: &str) {
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.header("retry-after"), Some(retry_after));
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    let exposed = response.header("access-control-expose-headers").unwrap();
    assert!(exposed.split(", ").any(|name| name == "Retry-After"), "{exposed}");
    assert_eq!(response.json()["error"]["id"], "overloaded");
}

#[tokio::test]
async fn beyond_the_places_requests_queue_and_beyond_the_queue_they_are_told_to_come_later() {
    let (backend, go) = slow();
    let limits = "[limits]\nconcurrent_requests = 1\nqueue = 1\nqueue_wait = \"60s\"";
    let program = Setup::before(backend.address).deprecation("mode = \"observe\"").section(limits).start();
    let mut first = begin(&program, &get("/slow")).await;
    backend.received(1);
    let mut second = begin(&program, &get("/slow?second")).await;
    program.reaches(QUEUED, &[], 1.0).await;
    assert_eq!(program.metric(IN_FLIGHT, &[]).await, 1.0);

    let mut third = Connection::to(program.address()).await;
    let response = third.ask(&get("/third")).await;
    assert_overloaded(&response, "60");
    assert_eq!(response.header("deprecation"), None);
    // The connection lives on, also behind a body that nobody read.
    let response = third.ask(&Request::new("POST", LEGACY).json("{}")).await;
    assert_overloaded(&response, "60");
    assert_eq!(response.header("deprecation"), Some("@1590969600"));
    assert!(response.json()["error"]["details"]["successors"].is_array(), "{response:?}");
    let response = third.ask(&get("/third").header("Accept", "application/problem+json")).await;
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    assert_eq!(response.json()["id"], "overloaded");
    assert_eq!(backend.requests().len(), 1);

    go.send(()).unwrap();
    assert_eq!(first.read("GET").await.status, 200);
    go.send(()).unwrap();
    assert_eq!(second.read("GET").await.status, 200);
    assert_eq!(third.ask(&get("/third")).await.status, 200);
    assert_eq!(program.metric(IN_FLIGHT, &[]).await, 0.0);
    assert_eq!(program.metric(QUEUED, &[]).await, 0.0);
    assert_eq!(hits(&program, "concurrent_requests").await, 4.0);
    assert_eq!(hits(&program, "queue").await, 3.0);
    assert_eq!(hits(&program, "queue_wait").await, 0.0);
    let labels = [("operation", "create_user_group_invite_token"), ("code", "503")];
    assert_eq!(program.metric("duskgate_deprecated_requests_total", &labels).await, 1.0);
}

#[tokio::test]
async fn nobody_waits_longer_than_the_wait() {
    let (backend, go) = slow();
    let limits = "[limits]\nconcurrent_requests = 1\nqueue = 9\nqueue_wait = \"10ms\"";
    let program = Setup::before(backend.address).section(limits).start();
    let mut first = begin(&program, &get("/slow")).await;
    backend.received(1);
    assert_overloaded(&program.ask(&get("/")).await, "1");
    assert_eq!(hits(&program, "queue_wait").await, 1.0);
    go.send(()).unwrap();
    assert_eq!(first.read("GET").await.status, 200);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_queue() {
    let (backend, go) = slow();
    let limits = "[limits]\nconcurrent_requests = 1\nqueue = 9\nqueue_wait = \"60s\"";
    let program = Setup::before(backend.address).section(limits).start();
    let mut first = begin(&program, &get("/slow")).await;
    backend.received(1);
    let second = begin(&program, &get("/second")).await;
    program.reaches(QUEUED, &[], 1.0).await;
    drop(second);
    program.reaches(QUEUED, &[], 0.0).await;
    go.send(()).unwrap();
    assert_eq!(first.read("GET").await.status, 200);
    assert_eq!(program.ask(&get("/third")).await.status, 200);
    assert_eq!(backend.requests().iter().filter(|request| request.line.contains("second")).count(), 0);
}

#[tokio::test]
async fn neither_a_websocket_nor_a_slow_reader_nor_a_slow_body_holds_a_place() {
    let body = vec![b'x'; 16 << 20];
    let backend = Backend::new(move |link: &mut Link| {
        while let Some(head) = link.head() {
            if head.line.contains("/socket") {
                link.send(
                    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                );
                link.rest();
                return;
            }
            if head.line.contains("/large") {
                link.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()));
                link.send(&body);
                continue;
            }
            if head.line.contains("/upload") {
                link.keep(head);
                link.rest();
                return;
            }
            link.send(OK);
        }
    });
    let limits = "[limits]\nconcurrent_requests = 1\nqueue = 0";
    let program = Setup::before(backend.address).section(limits).start();

    let upgrade = get("/socket")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let mut socket = begin(&program, &upgrade).await;
    assert_eq!(socket.read_head().await.status, 101);
    let mut reader = begin(&program, &get("/large")).await;
    assert_eq!(reader.read_head().await.status, 200);
    let mut upload = Connection::to(program.address()).await;
    upload.write(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nslow").await;
    // The backend has the head: it had a place.
    backend.received(1);
    program.reaches(IN_FLIGHT, &[], 0.0).await;
    assert_eq!(program.ask(&get("/")).await.status, 200);
}

#[tokio::test]
async fn clients_that_drip_their_bodies_cost_only_themselves() {
    const SLOW: usize = 30;
    let backend = Backend::new(|link: &mut Link| {
        while let Some(request) = link.request() {
            assert!(request.body.is_empty() || request.body == b"slow, but complete");
            link.send(OK);
        }
    });
    let limits = format!("[limits]\nconcurrent_requests = 1\nqueue = {}\nqueue_wait = \"60s\"", SLOW + 1);
    let program = Setup::before(backend.address).section(&limits).start();
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let mut connection = Connection::to(program.address()).await;
        connection.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18\r\n\r\nslow, ").await;
        slow.push(connection);
    }
    // They all come first, and hold up who comes last for a moment each.
    backend.connected(SLOW / 2);
    assert_eq!(program.ask(&get("/")).await.status, 200);
    program.reaches(IN_FLIGHT, &[], 0.0).await;
    program.reaches(QUEUED, &[], 0.0).await;
    assert_eq!(program.ask(&get("/")).await.status, 200);
    for mut connection in slow {
        connection.write(b"but complete").await;
        assert_eq!(connection.read("POST").await.status, 200);
    }
}
