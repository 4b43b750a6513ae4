//! Whose a request is in HTTP/2: a PROXY header before it, and what trusted proxies say of each stream.

use super::wire::Verdict::Status;
use super::wire::{Client, request};
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::program::Setup;

const NAME: &str = "onezone.example.com";
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 127.0.0.1 56789 443\r\n";
/// 192.0.2.7:56789 to 127.0.0.1:443 in version 2.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x7f\0\0\x01\xdd\xd5\x01\xbb";

fn setup(backend: &Backend, trusted: &str) -> Setup {
    let setup = Setup::before(backend.address).section("[log]\naccess = \"all\"");
    setup.listener(&format!("trusted_proxies = [{trusted:?}]"))
}

/// What the backend is told about whose the last request was, and how it came.
fn told(backend: &Backend) -> (String, String) {
    let received = backend.requests().pop().expect("a request");
    let field = |name| received.field(name).expect("a field").to_owned();
    (field("x-forwarded-for"), field("x-forwarded-proto"))
}

#[tokio::test]
async fn a_proxy_header_comes_before_the_preface() {
    let backend = Backend::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let program = setup(&backend, "127.0.0.1").listener("proxy_protocol = true").start();
    for header in [V1, V2] {
        let mut client = Client::after(header, program.address()).await;
        for stream in [1, 3] {
            client.write(&request(stream, "GET|x-forwarded-for 192.0.2.9")).await;
            assert_eq!(client.verdict(stream).await, Status(204), "{:?}", client.seen);
            assert_eq!(
                told(&backend),
                ("192.0.2.7".to_owned(), "http".to_owned()),
                "and is not believed further"
            );
        }
    }
    program.logged(&["path=/ ", "peer=192.0.2.7:56789"]);
    // The preface is no header.
    let mut client = Client::to(program.address()).await;
    assert!(client.frame().await.is_none(), "{:?}", client.seen);
    let missing = [("reason", "proxy_missing")];
    assert_eq!(program.metric("duskgate_http_malformed_total", &missing).await, 1.0);
}

#[tokio::test]
async fn a_proxy_header_comes_before_tls_that_chooses_http_2() {
    let backend = Backend::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let authority = Authority::new();
    let signed = authority.sign(&[NAME]);
    let program = setup(&backend, "127.0.0.1")
        .listener("proxy_protocol = true")
        .file("cert.pem", signed.certificate.as_str())
        .file("key.pem", signed.key.as_str())
        .listener("tls = { cert_file = \"cert.pem\", key_file = \"key.pem\" }")
        .start();
    for header in [V1, V2] {
        let mut client = Client::secure(header, program.address(), NAME, authority.client()).await;
        client.write(&request(1, "GET")).await;
        assert_eq!(client.verdict(1).await, Status(204), "{:?}", client.seen);
        assert_eq!(told(&backend), ("192.0.2.7".to_owned(), "https".to_owned()));
    }
    program.logged(&["path=/ ", "peer=192.0.2.7:56789"]);
}

#[tokio::test]
async fn each_stream_of_a_trusted_proxy_has_its_own_client() {
    let backend = Backend::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let program = setup(&backend, "127.0.0.0/8").start();
    let mut client = Client::to(program.address()).await;
    for (stream, fields, expected) in [
        (1, "x-forwarded-for 192.0.2.1", ("192.0.2.1, 127.0.0.1", "http")),
        (
            3,
            "x-forwarded-for 6.6.6.6, 2001:db8::2|x-forwarded-proto https",
            ("2001:db8::2, 127.0.0.1", "https"),
        ),
        (5, "forwarded for=192.0.2.3;proto=https", ("192.0.2.3, 127.0.0.1", "https")),
        (7, "x-forwarded-for 192.0.2.4, nonsense", ("127.0.0.1", "http")),
        (9, "x-y 1", ("127.0.0.1", "http")),
    ] {
        client.write(&request(stream, &format!("GET|{fields}"))).await;
        assert_eq!(client.verdict(stream).await, Status(204), "{:?}", client.seen);
        let (by, proto) = told(&backend);
        assert_eq!((by.as_str(), proto.as_str()), expected, "{fields}");
    }
    program.logged(&["path=/ ", "peer=2001:db8::2"]);
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let backend = Backend::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let program = setup(&backend, "10.0.0.0/8").start();
    let mut client = Client::to(program.address()).await;
    let claims = "GET|x-forwarded-for 10.0.0.1|forwarded for=10.0.0.1;proto=https|x-forwarded-proto https";
    client.write(&request(1, claims)).await;
    assert_eq!(client.verdict(1).await, Status(204), "{:?}", client.seen);
    assert_eq!(told(&backend), ("127.0.0.1".to_owned(), "http".to_owned()));
    assert_eq!(backend.request().field("forwarded"), None);
}
