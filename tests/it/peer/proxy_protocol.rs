//! A PROXY header says who a connection is from, if it comes from an address that is believed.

use std::time::Duration;

use super::{OK, expecting, fronts, get, seen, trusting};
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::Setup;

const LOOPBACK: &[&str] = &["127.0.0.1"];

/// A header of version 2: command, family and protocol, content.
fn v2(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &length, content].concat()
}

/// 192.0.2.7:56789 to 127.0.0.1:443.
const V4: [u8; 12] = [192, 0, 2, 7, 127, 0, 0, 1, 0xdd, 0xd5, 0x01, 0xbb];

/// [2001:db8::7]:4711 to [::1]:443.
fn v6() -> Vec<u8> {
    let source: std::net::Ipv6Addr = "2001:db8::7".parse().unwrap();
    [&source.octets()[..], &std::net::Ipv6Addr::LOCALHOST.octets(), &[0x12, 0x67, 0x01, 0xbb]].concat()
}

/// Every way to say who it is, and who that is.
fn headers() -> Vec<(Vec<u8>, &'static str)> {
    let with_extensions = [&V4[..], &[1, 0, 2, b'h', b'2'], &[4, 0, 0]].concat();
    vec![
        (b"PROXY TCP4 192.0.2.7 127.0.0.1 56789 443\r\n".to_vec(), "192.0.2.7:56789"),
        (b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n".to_vec(), "[2001:db8::7]:4711"),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 56789 443\r\n".to_vec(), "192.0.2.7:56789"),
        (v2(0x21, 0x11, &V4), "192.0.2.7:56789"),
        (v2(0x21, 0x11, &with_extensions), "192.0.2.7:56789"),
        (v2(0x21, 0x21, &v6()), "[2001:db8::7]:4711"),
    ]
}

fn ip(address: &str) -> Option<String> {
    Some(address.parse::<std::net::SocketAddr>().unwrap().ip().to_string())
}

#[tokio::test]
async fn a_header_says_who_the_client_is() {
    let backend = Backend::answering(OK);
    let program = expecting(backend.address, LOOPBACK).start();
    for (number, (header, client)) in headers().into_iter().enumerate() {
        // Header and request in one segment.
        let request = Request::new("GET", &format!("/{number}")).to_bytes();
        let bytes = [header, request].concat();
        assert_eq!(seen(program.address(), &backend, &bytes).await, ip(client), "{client}");
        program.logged(&[&format!("path=/{number} "), &format!("peer={client}")]);
    }
}

#[tokio::test]
async fn a_header_may_come_in_single_bytes_and_holds_for_all_requests() {
    let backend = Backend::answering(OK);
    let program = expecting(backend.address, LOOPBACK).start();
    for (header, client) in headers() {
        let mut connection = Connection::to(program.address()).await;
        for byte in [header, get().to_bytes()].concat() {
            connection.write(&[byte]).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(connection.read("GET").await.status, 200, "{client}");
        assert_eq!(connection.ask(&get()).await.status, 200, "{client}");
        let requests = backend.requests();
        let last_two = requests[requests.len() - 2..].iter();
        assert!(last_two.clone().all(|request| request.field("x-forwarded-for") == ip(client).as_deref()));
    }
}

#[tokio::test]
async fn who_is_not_named_is_the_proxy_and_not_believed_further() {
    let backend = Backend::answering(OK);
    let program = expecting(backend.address, LOOPBACK).start();
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n".to_vec(),
        v2(0x20, 0, &[]),
        v2(0x20, 0x11, &V4),
        v2(0x21, 0, &[]),
        v2(0x21, 0x31, &[b'/'; 216]),
    ] {
        let request = get().header("X-Forwarded-For", "192.0.2.9").to_bytes();
        let bytes = [header.clone(), request].concat();
        let client = seen(program.address(), &backend, &bytes).await;
        assert_eq!(client.as_deref(), Some("127.0.0.1"), "{header:?}");
    }
}

#[tokio::test]
async fn what_does_not_begin_with_a_header_is_closed_and_counted() {
    let backend = Backend::answering(OK);
    let program = expecting(backend.address, LOOPBACK).start();
    let mut corrupt = v2(0x21, 0x11, &[&V4[..], &[3, 0, 4, 0, 0, 0, 0]].concat());
    corrupt.extend(get().to_bytes());
    let endless = [b"PROXY UNKNOWN ", &[b'x'; 100][..]].concat();
    for (reason, bytes) in [
        ("proxy_missing", get().to_bytes()),
        ("proxy_missing", b"\x16\x03\x01\x02\x00\x01".to_vec()),
        ("proxy_form", b"PROXY TCP4 192.0.2.7 127.0.0.1 56789\r\n".to_vec()),
        ("proxy_form", b"PROXY TCP4 192.0.2.7 127.0.0.1 56789 443\nGET / HTTP/1.1\r\n".to_vec()),
        ("proxy_form", v2(0x2f, 0x11, &V4)),
        ("proxy_too_long", endless),
        ("proxy_too_long", v2(0x21, 0x11, &[0; 5000])),
        ("proxy_checksum", corrupt),
    ] {
        let labels = [("reason", reason)];
        let before = program.metric("duskgate_http_malformed_total", &labels).await;
        let mut connection = Connection::to(program.address()).await;
        connection.write(&bytes).await;
        assert_eq!(connection.rest().await.0, "", "{reason}: no answer");
        let after = program.metric("duskgate_http_malformed_total", &labels).await;
        assert_eq!(after - before, 1.0, "{reason}");
    }
    assert!(backend.requests().is_empty());
    program.logged(&[
        "WARN",
        "a connection from 127.0.0.1:",
        "it does not begin with a PROXY protocol header",
    ]);
    assert_eq!(program.log().matches("was closed").count(), 1, "one warning a minute");
}

#[tokio::test]
async fn an_untrusted_address_is_never_believed() {
    let backend = Backend::answering(OK);
    let program = expecting(backend.address, &["192.0.2.0/24", "::/0"]).start();
    let labels = [("reason", "proxy_untrusted")];
    for count in [1.0, 2.0] {
        let mut connection = Connection::to(program.address()).await;
        connection
            .write(b"PROXY TCP4 192.0.2.7 127.0.0.1 56789 443\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await;
        assert_eq!(connection.rest().await.0, "");
        assert_eq!(program.metric("duskgate_http_malformed_total", &labels).await, count);
    }
    assert!(backend.requests().is_empty());
    program.logged(&["WARN", "listener[0] was closed", "none of trusted_proxies"]);
    assert_eq!(program.log().matches("was closed").count(), 1, "one warning a minute");
}

#[tokio::test]
async fn a_header_must_come_in_time() {
    let backend = Backend::answering(OK);
    let limits = "[limits]\nrequest_head = \"300ms\"";
    let program = expecting(backend.address, LOOPBACK).section(limits).start();
    let mut silent = Connection::to(program.address()).await;
    let mut slow = Connection::to(program.address()).await;
    slow.write(b"PROXY TCP4 192.0.2.7").await;
    assert_eq!((silent.rest().await.0, slow.rest().await.0), (String::new(), String::new()));
    assert_eq!(program.metric("duskgate_limit_hits_total", &[("limit", "request_head")]).await, 2.0);
    // Who closes by itself has hit nothing.
    Connection::to(program.address()).await.finish().await;
    let header = b"PROXY TCP4 192.0.2.7 127.0.0.1 56789 443\r\n".to_vec();
    let bytes = [header, get().to_bytes()].concat();
    assert_eq!(seen(program.address(), &backend, &bytes).await.as_deref(), Some("192.0.2.7"));
    assert_eq!(program.metric("duskgate_limit_hits_total", &[]).await, 2.0);
}

#[tokio::test]
async fn a_header_that_is_waited_for_does_not_keep_the_program_from_stopping() {
    let backend = Backend::answering(OK);
    let mut program = expecting(backend.address, LOOPBACK).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"PROXY TCP4").await;
    while program.metric("duskgate_connections", &[]).await < 1.0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    program.signal("TERM");
    assert!(program.ended().success());
    assert!(!program.log().contains("the drain time is over"), "{}", program.log());
}

#[tokio::test]
async fn the_connections_of_a_client_are_counted_behind_its_proxy() {
    let backend = Backend::answering(OK);
    let limit = "[limits]\nconnections_per_peer = 1";
    let program = expecting(backend.address, LOOPBACK).section(limit).start();
    let begin = |client: u8| format!("PROXY TCP4 192.0.2.{client} 127.0.0.1 56789 443\r\n").into_bytes();
    let mut kept = Vec::new();
    for client in 1..4 {
        let mut connection = Connection::to(program.address()).await;
        connection.write(&begin(client)).await;
        assert_eq!(connection.ask(&get()).await.status, 200, "the proxy itself has no limit");
        kept.push(connection);
    }
    let mut second = Connection::to(program.address()).await;
    second.write(&begin(2)).await;
    assert_eq!(second.rest().await.0, "");
    let hits = [("limit", "connections_per_peer")];
    assert_eq!(program.metric("duskgate_limit_hits_total", &hits).await, 1.0);
    assert_eq!(kept[1].ask(&get()).await.status, 200);
}

#[tokio::test]
async fn whom_to_believe_can_change_while_running() {
    let backend = Backend::answering(OK);
    let program = trusting(backend.address, &["192.0.2.0/24"]).start();
    let plain = get().header("X-Forwarded-For", "192.0.2.9").to_bytes();
    assert_eq!(seen(program.address(), &backend, &plain).await.as_deref(), Some("127.0.0.1"));
    program.configure(&trusting(backend.address, LOOPBACK));
    assert_eq!(program.command("/reload").await.status, 200);
    assert_eq!(seen(program.address(), &backend, &plain).await.as_deref(), Some("192.0.2.9, 127.0.0.1"));
    program.configure(&expecting(backend.address, LOOPBACK));
    assert_eq!(program.command("/reload").await.status, 200);
    let bytes = [v2(0x21, 0x11, &V4), plain].concat();
    assert_eq!(seen(program.address(), &backend, &bytes).await.as_deref(), Some("192.0.2.7"));
}

#[test]
fn a_header_is_wanted_only_where_somebody_is_believed() {
    let setup = Setup::before_all(["http://127.0.0.1:1".to_owned()]);
    let (code, log) = setup.clone().listener("proxy_protocol = true").fail();
    assert_eq!(code, Some(2));
    assert!(log.contains("listener[0].proxy_protocol") && log.contains("needs trusted_proxies"), "{log}");
    let (code, log) = setup.listener("trusted_proxies = [\"10.0.0.1/8\", \"proxy\"]").fail();
    assert_eq!(code, Some(2));
    assert!(log.contains("the network is 10.0.0.0/8"), "{log}");
    assert!(log.contains("expected an address or a network such as \"10.0.0.0/8\""), "{log}");
}

#[tokio::test]
async fn haproxy_in_front_says_who_called_it() {
    let backend = Backend::answering(OK);
    let program = expecting(backend.address, LOOPBACK).start();
    for options in ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"] {
        let front = fronts::haproxy(program.address(), options);
        let mut connection = Connection::from([127, 0, 0, 7].into(), front.address).await;
        assert_eq!(connection.ask(&get()).await.status, 200, "{options}");
        let client = backend.requests().pop().unwrap().field("x-forwarded-for").map(str::to_owned);
        assert_eq!(client.as_deref(), Some("127.0.0.7"), "{options}");
    }
}

#[tokio::test]
async fn a_header_comes_before_tls() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let signed = authority.sign(&["onezone.example.com"]);
    let program = expecting(backend.address, LOOPBACK)
        .file("cert.pem", signed.certificate.as_str())
        .file("key.pem", signed.key.as_str())
        .listener("tls = { cert_file = \"cert.pem\", key_file = \"key.pem\" }")
        .start();
    let config = std::sync::Arc::new(authority.client());
    for (header, client) in headers() {
        let connected =
            Connection::secure_after(&header, program.address(), "onezone.example.com", &config).await;
        let mut connection = connected.expect("a TLS connection");
        for _ in 0..2 {
            assert_eq!(connection.ask(&get()).await.status, 200, "{client}");
            let received = backend.requests().pop().unwrap();
            assert_eq!(received.field("x-forwarded-for"), ip(client).as_deref());
            assert_eq!(received.field("x-forwarded-proto"), Some("https"));
        }
    }
    // TLS first is no header.
    assert!(
        Connection::secure(program.address(), "onezone.example.com", &config).await.is_err(),
        "without a header"
    );
    let missing = [("reason", "proxy_missing")];
    assert_eq!(program.metric("duskgate_http_malformed_total", &missing).await, 1.0);
}
