//! Heads that are refused, and odd ones that are not.

use std::time::{Duration, Instant};

use super::{Case, Gate};
use crate::support::backend::Backend;
use crate::support::http::Connection;
use crate::support::program::Setup;

const LINES: &[Case] = &[
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "start_line"),
    ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400, "version"),
    ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "line_end"),
    (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "start_line"),
    ("GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400, "start_line"),
    ("GET /\r\n\r\n", 400, "start_line"),
    ("GET\r\n\r\n", 400, "start_line"),
    ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "start_line"),
    ("G\u{e9}T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "start_line"),
    ("\u{16}\u{3}\u{1}\u{2}\u{0}", 400, "start_line"),
    ("\0GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "start_line"),
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400, "version"),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400, "version"),
    ("GET / http/1.1\r\nHost: a\r\n\r\n", 400, "version"),
    ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400, "line_end"),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "version"),
    ("GET / HTTP/1.1\nHost: a\n\n", 400, "line_end"),
    ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400, "line_end"),
    ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "line_end"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n", 400, "line_end"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\tfolded\r\n\r\n", 400, "line_end"),
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "line_end"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400, "field"),
];

const TARGETS: &[Case] = &[
    ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target"),
    ("GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target"),
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target"),
    ("GET /#fragment HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target"),
    ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target"),
    ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target"),
    ("GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target"),
    ("GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target"),
    ("GET http://a:b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target"),
    ("GET http://a/#f HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target"),
    ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "host"),
    ("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "host"),
    ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501, "connect"),
    ("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "connect"),
];

const FIELDS: &[Case] = &[
    ("GET / HTTP/1.1\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost: [a]\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "host"),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "field"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", 400, "field"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX\t: 1\r\n\r\n", 400, "field"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n", 400, "field"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX(: 1\r\n\r\n", 400, "field"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX\u{e9}: 1\r\n\r\n", 400, "field"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX\0: 1\r\n\r\n", 400, "field"),
    ("GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n", 400, "field"),
    ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400, "field"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400, "field"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\u{1}b\r\n\r\n", 400, "field"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\u{7f}b\r\n\r\n", 400, "field"),
    ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\n\r\n", 417, "expect"),
    ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\r\n", 417, "expect"),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Host\r\n\r\n", 400, "connection"),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 1\r\n\r\na",
        400,
        "connection",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "connection",
    ),
];

const FRAMING: &[Case] = &[
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, "content_length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400, "content_length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", 400, "content_length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1,2\r\n\r\nab", 400, "content_length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400, "content_length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\na", 400, "content_length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na", 400, "content_length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\na", 400, "content_length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\na", 400, "content_length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1.0\r\n\r\na", 400, "content_length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1e1\r\n\r\na", 400, "content_length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \"1\"\r\n\r\na", 400, "content_length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400, "content_length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\na", 400, "content_length"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\na", 400, "field"),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 0\r\n\r\na", 400, "content_length"),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "both_lengths",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        400,
        "both_lengths",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "both_lengths",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        400,
        "transfer_encoding",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        400,
        "transfer_encoding",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        400,
        "transfer_encoding",
    ),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", 400, "transfer_encoding"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400, "transfer_encoding"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, "transfer_encoding"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", 400, "transfer_encoding"),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
        400,
        "transfer_encoding",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
        400,
        "transfer_encoding",
    ),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", 400, "transfer_encoding"),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        400,
        "transfer_encoding",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "transfer_encoding",
    ),
    ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "transfer_encoding"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, "field"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n", 400, "field"),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400, "line_end"),
    ("POST / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "line_end"),
    ("POST / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "field"),
];

#[tokio::test]
async fn malformed_lines_are_refused() {
    Gate::new().refuses_all(LINES).await;
}

#[tokio::test]
async fn malformed_targets_are_refused() {
    Gate::new().refuses_all(TARGETS).await;
}

#[tokio::test]
async fn malformed_fields_are_refused() {
    Gate::new().refuses_all(FIELDS).await;
}

#[tokio::test]
async fn ambiguous_framing_is_refused() {
    Gate::new().refuses_all(FRAMING).await;
}

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
async fn legal_oddities_are_served() {
    let gate = Gate::new();
    for raw in [
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET http://a/b HTTP/1.1\r\nHost: A\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%00%0d%0a HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?a=/?b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost:a\r\nX:\r\nY: \t \r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: caf\u{e9}\r\n\r\n",
        "!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 002\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n0002\r\nab\r\n000\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nab",
    ] {
        for piece in [raw.len(), 1] {
            let seen = gate.backend.requests().len();
            let mut connection = gate.connect(raw.as_bytes(), piece).await;
            assert_eq!(connection.read("GET").await.status, 200, "{raw:?}");
            assert_eq!(gate.backend.requests().len() - seen, 1, "{raw:?}");
        }
    }
    assert_eq!(gate.program.metric("duskgate_http_malformed_total", &[]).await, 0.0);
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
