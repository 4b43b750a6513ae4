//! Heads that are refused, and odd ones that are not.

use super::Gate;
use super::wire::Verdict::{GoAway, Reset, Status};
use super::wire::{self, Client, Verdict};

/// The fields of a request without a body, what becomes of it, and the word in metrics.
type Case = (&'static str, Verdict, &'static str);

const PSEUDO: &[Case] = &[
    (":scheme http|:path /|:authority a", Reset(1), "pseudo_field"),
    (":method GET|:path /|:authority a", Reset(1), "pseudo_field"),
    (":method GET|:scheme http|:authority a", Reset(1), "pseudo_field"),
    (":method GET|:method GET|:scheme http|:path /|:authority a", Reset(1), "pseudo_field"),
    (":method GET|:method POST|:scheme http|:path /|:authority a", Reset(1), "pseudo_field"),
    ("GET|:path /b", Reset(1), "pseudo_field"),
    (":method GET|:scheme http|:scheme https|:path /|:authority a", Reset(1), "pseudo_field"),
    ("GET|:authority a", Reset(1), "pseudo_field"),
    ("GET|:authority b", Reset(1), "pseudo_field"),
    ("GET|:status 200", Reset(1), "pseudo_field"),
    ("GET|:protocol websocket", Reset(1), "pseudo_field"),
    (":method CONNECT|:scheme http|:path /|:authority a|:protocol websocket", Reset(1), "pseudo_field"),
    (":method CONNECT|:scheme http|:path /|:authority a", Reset(1), "pseudo_field"),
    (":method GET|:scheme http|x y|:path /|:authority a", Reset(1), "pseudo_field"),
    ("GET|x y|:path /", Reset(1), "pseudo_field"),
    ("GET|:unknown x", GoAway(1), "pseudo_field"),
    ("GET|: x", GoAway(1), "pseudo_field"),
    (":method GET|:scheme http|:path |:authority a", Reset(1), "pseudo_field"),
    (":method CONNECT|:authority a:443", Status(501), "connect"),
];

const TARGETS: &[Case] = &[
    (":method GET|:scheme http|:path a|:authority a", Status(400), "target"),
    (":method GET|:scheme http|:path *|:authority a", Status(400), "target"),
    (":method GET|:scheme http|:path http://a/|:authority a", Status(400), "target"),
    (":method GET|:scheme http|:path ?a=b|:authority a", Status(400), "target"),
    (":method GET|:scheme http|:path /#fragment|:authority a", Status(400), "target"),
    (":method GET|:scheme http|:path /a#|:authority a", Status(400), "target"),
    (":method GET|:scheme http|:path #/|:authority a", Status(400), "target"),
    (":method GET|:scheme http|:path /a b|:authority a", Status(400), "target"),
    (":method GET|:scheme http|:path /a HTTP/1.1\r\nX: y|:authority a", Status(400), "target"),
    (":method GET|:scheme http|:path /\t|:authority a", Status(400), "target"),
    (":method GET|:scheme http|:path /\0|:authority a", Status(400), "target"),
    (":method GET|:scheme http|:path /\u{7f}|:authority a", Status(400), "target"),
    (":method GET|:scheme http|:path /\u{e9}|:authority a", Status(400), "target"),
    (":method GET|:scheme ftp|:path /|:authority a", Status(400), "target"),
    (":method GET|:scheme ftp|:path /|host a", Status(400), "target"),
    (":method GET|:scheme h ttp|:path /|:authority a", Status(400), "target"),
    (":method GET|:scheme |:path /|:authority a", Status(400), "target"),
    (":method GET|:scheme http://b/?|:path /|:authority a", Status(400), "target"),
    (":method G T|:scheme http|:path /|:authority a", GoAway(1), "start_line"),
    (":method |:scheme http|:path /|:authority a", GoAway(1), "start_line"),
    (":method GET\r\nX: y|:scheme http|:path /|:authority a", GoAway(1), "start_line"),
];

const HOSTS: &[Case] = &[
    (":method GET|:scheme http|:path /", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority ", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority |host a", Status(400), "host"),
    (":method GET|:scheme http|:path /|host ", Status(400), "host"),
    (":method GET|:scheme http|:path /|host a|host a", Status(400), "host"),
    (":method GET|:scheme http|:path /|host a, b", Status(400), "host"),
    (":method GET|:scheme http|:path /|host a/b", Status(400), "host"),
    ("GET|host b", Status(400), "host"),
    ("GET|host a:80", Status(400), "host"),
    ("GET|host ", Status(400), "host"),
    ("GET|host a|host a", Status(400), "host"),
    ("GET|host a|host b", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority u@a", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority u:p@a", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority a,b", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority a, b", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority a b", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority a/b", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority a?b", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority a#b", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority a:b", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority a:1:2", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority a:99999", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority [::1", Status(400), "host"),
    (":method GET|:scheme http|:path /|:authority a\r\nX: y", Status(400), "host"),
];

const FIELDS: &[Case] = &[
    ("GET|connection close", Reset(1), "connection_field"),
    ("GET|connection keep-alive", Reset(1), "connection_field"),
    ("GET|connection x-a|x-a b", Reset(1), "connection_field"),
    ("GET|keep-alive timeout=5", Reset(1), "connection_field"),
    ("GET|proxy-connection keep-alive", Reset(1), "connection_field"),
    ("GET|transfer-encoding chunked", Reset(1), "connection_field"),
    ("GET|transfer-encoding identity", Reset(1), "connection_field"),
    ("GET|upgrade h2c", Reset(1), "connection_field"),
    ("GET|upgrade websocket", Reset(1), "connection_field"),
    ("GET|te gzip", Reset(1), "connection_field"),
    ("GET|te trailers, gzip", Reset(1), "connection_field"),
    ("GET|X-A b", GoAway(1), "field"),
    ("GET|Host a", GoAway(1), "field"),
    ("GET|x(a b", GoAway(1), "field"),
    ("GET|x:a b", GoAway(1), "field"),
    ("GET|x\ra b", GoAway(1), "field"),
    ("GET|x\u{e9} b", GoAway(1), "field"),
    ("GET|x\0 b", GoAway(1), "field"),
    ("GET| b", GoAway(1), "field"),
    ("GET|x a\rb", GoAway(1), "field"),
    ("GET|x a\nb", GoAway(1), "field"),
    ("GET|x a\r\nTransfer-Encoding: chunked", GoAway(1), "field"),
    ("GET|x a\0b", GoAway(1), "field"),
    ("GET|x a\u{1}b", GoAway(1), "field"),
    ("GET|x a\u{7f}b", GoAway(1), "field"),
    ("GET|x  a", Status(400), "field"),
    ("GET|x a ", Status(400), "field"),
    ("GET|x \ta", Status(400), "field"),
    ("GET|x a\t", Status(400), "field"),
    ("GET|expect 200-maybe", Status(417), "expect"),
    ("GET|expect 100-continue|expect 100-continue", Status(417), "expect"),
];

const LENGTHS: &[Case] = &[
    ("POST|content-length 0|content-length 0", Status(400), "content_length"),
    ("POST|content-length 0|content-length 1", Reset(1), "frame"),
    ("POST|content-length 0, 0", Reset(1), "frame"),
    ("POST|content-length 0,0", Reset(1), "frame"),
    ("POST|content-length +0", Reset(1), "frame"),
    ("POST|content-length -0", Reset(1), "frame"),
    ("POST|content-length 0x0", Reset(1), "frame"),
    ("POST|content-length 0 0", Reset(1), "frame"),
    ("POST|content-length ", Status(400), "content_length"),
    ("POST|content-length 18446744073709551616", Reset(1), "frame"),
    ("POST|content-length 5", Reset(1), "frame"),
    ("GET|content-length 5", Reset(1), "frame"),
];

#[tokio::test]
async fn malformed_pseudo_fields_are_refused() {
    refuses_all(PSEUDO).await;
}

#[tokio::test]
async fn malformed_targets_are_refused() {
    refuses_all(TARGETS).await;
}

#[tokio::test]
async fn malformed_hosts_are_refused() {
    refuses_all(HOSTS).await;
}

#[tokio::test]
async fn malformed_fields_and_those_of_a_connection_are_refused() {
    refuses_all(FIELDS).await;
}

#[tokio::test]
async fn lengths_that_are_doubled_or_none_are_refused() {
    refuses_all(LENGTHS).await;
}

async fn refuses_all(cases: &[Case]) {
    let gate = Gate::new();
    for (fields, verdict, word) in cases {
        gate.refuses(fields, &wire::request(1, fields), *verdict, word).await;
    }
}

#[tokio::test]
async fn every_limit_of_a_head_has_its_status() {
    let gate = Gate::with(|setup| {
        setup.section("[limits]\nhead_bytes = \"2KiB\"\nhead_fields = 10\nrequest_line = \"300B\"")
    });
    let long = "a".repeat(300);
    let line = format!(":method GET|:scheme http|:path /{long}|:authority a");
    gate.refuses("a long line", &wire::request(1, &line), Status(414), "request_line").await;
    let fields = format!("GET{}", "|x y".repeat(10));
    gate.refuses("many fields", &wire::request(1, &fields), Status(431), "head_fields").await;
    let large = format!("GET|x {}", "y".repeat(2100));
    gate.refuses("a large head", &wire::request(1, &large), Status(431), "head_bytes").await;
    let crumbs = format!("GET{}", "|cookie a=b".repeat(20));
    let mut client = Client::to(gate.program.address()).await;
    client.write(&wire::request(1, &crumbs)).await;
    assert_eq!(client.verdict(1).await, Status(200), "crumbs are one field");
}

#[tokio::test]
async fn odd_heads_that_are_clear_pass() {
    let gate = Gate::new();
    for fields in [
        "GET|te trailers",
        "GET|host a",
        "GET|host A",
        "GET|x ",
        "GET|x \u{e9}",
        "GET|http2-settings AAMAAABk",
        ":authority a|:path /|:scheme https|:method GET",
        ":method OPTIONS|:scheme http|:path *|:authority a",
        ":method GET|:scheme http|:path /|host a",
        ":method GET|:scheme http|:path /?a=b?c#".strip_suffix('#').unwrap_or_default(),
        ":method BREW|:scheme http|:path /|:authority a",
    ] {
        let fields = if fields.contains("?c") { format!("{fields}|:authority a") } else { fields.to_owned() };
        let seen = gate.backend.requests().len();
        let mut client = Client::to(gate.program.address()).await;
        client.write(&wire::request(1, &fields)).await;
        assert_eq!(client.verdict(1).await, Status(200), "{fields}: {:?}", client.seen);
        let requests = gate.backend.requests();
        assert_eq!(requests.len() - seen, 1, "{fields}");
        let request = &requests[seen];
        assert_eq!(request.all("host").len(), 1, "{request:?}");
        assert_eq!(request.all("via"), ["2.0 duskgate"], "{request:?}");
    }
}
