//! Limits of heads, and heads that are refused before they are complete.

use std::time::{Duration, Instant};

use super::Gate;
use crate::support::backend::Backend;
use crate::support::http::Connection;
use crate::support::program::Setup;

#[tokio::test]
async fn every_limit_of_a_head_has_its_status() {
    let gate = Gate::new();
    let line = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(8192));
    gate.refuses(&line, 0, 414, "request_line").await;
    let value = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(66_000));
    gate.refuses(&value, 0, 431, "head_bytes").await;
    let fields = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(100));
    gate.refuses(&fields, 0, 431, "head_fields").await;
}

#[tokio::test]
async fn limits_are_those_of_the_configuration() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let limits = "[limits]\nrequest_line = \"256B\"\nhead_bytes = \"1KiB\"\nhead_fields = 5";
    let program = Setup::before(backend.address).section(limits).start();
    for (raw, status) in [
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(200)), 200),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(256)), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(900)), 200),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(1000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(4)), 200),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(5)), 431),
    ] {
        let mut connection = Connection::to(program.address()).await;
        connection.write(raw.as_bytes()).await;
        assert_eq!(connection.read("GET").await.status, status, "{raw:?}");
    }
}

#[tokio::test]
async fn what_cannot_become_a_request_is_refused_before_it_is_complete() {
    let gate = Gate::new();
    for raw in
        [&b"\x16\x03\x01"[..], b"GET / HTTP/1.1\nHost", b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded"]
    {
        let begin = Instant::now();
        let mut connection = gate.connect(raw, raw.len()).await;
        assert_eq!(connection.read("GET").await.status, 400, "{raw:?}");
        assert!(begin.elapsed() < Duration::from_secs(5), "only when the time was over: {raw:?}");
    }
}
