//! What is about tokens of somebody else passes to the backend byte for byte, also while the ledger is away.

use serde_json::json;

use super::World;
use crate::support::backend::Backend;
use crate::support::http::{Connection, Request, ask};
use crate::support::proxy::{Proxy, Setup};

const JOIN: &str = "/api/v3/onezone/user/groups/join";
const ANSWER: &str = "HTTP/1.1 400 Bad Request\r\nx-own: 1\r\ncontent-length: 2\r\n\r\n{}";

async fn proxy(backend: &Backend, ledger: &std::path::Path) -> Proxy {
    let backend = format!("http://{}", backend.address);
    let setup = Setup {
        backend: &backend,
        service_token: Some("service"),
        mode: "local",
        local: Some(ledger),
        ..Setup::default()
    };
    Proxy::with(setup).await
}

#[tokio::test]
async fn what_holds_no_token_of_ours_passes_as_it_came() {
    let (backend, directory) = (Backend::answering(ANSWER), tempfile::tempdir().unwrap());
    // A directory stands where the ledger should.
    std::fs::create_dir(directory.path().join("ledger.db")).unwrap();
    let proxy = proxy(&backend, directory.path()).await;
    let onezone = World::old().await;
    let token = onezone.issue("anna", &onezone.group_route()).await;
    let large = format!("{{\"token\":\"{token}\",\"x\":\"{}\"}}", "x".repeat(1_200_000));
    let bodies = [
        json!({ "token": token }).to_string(),
        format!(" {{ \"a\" : 1.50, \"token\" : \"{token}\" }} "),
        "{\"token\":\"\"}".to_owned(),
        "{\"token\":5}".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        "{".to_owned(),
        large,
    ];
    for (number, body) in bodies.iter().enumerate() {
        let response = ask(proxy.address, &Request::new("POST", JOIN).token("a").json(body)).await;
        assert_eq!((response.status, response.text().as_str()), (400, "{}"), "{number}");
        assert_eq!(response.header("x-own"), Some("1"));
        let requests = backend.requests();
        assert_eq!(requests.len(), number + 1);
        let request = &requests[number];
        assert_eq!(request.line, format!("POST {JOIN} HTTP/1.1"));
        assert!(request.text() == *body, "{number}: another body");
        assert_eq!(request.field("x-auth-token"), Some("a"));
    }
    for (method, path) in [
        ("GET", "/tokens/named/4b1d2bd2c4e5b7a1d0b3d2c4e5b7a1d0ch1234"),
        ("DELETE", "/tokens/named/dgx"),
        ("PATCH", "/tokens/named/4b1d"),
        ("GET", "/user/groups/join"),
    ] {
        let request = Request::new(method, &format!("/api/v3/onezone{path}"));
        assert_eq!(ask(proxy.address, &request).await.header("x-own"), Some("1"), "{method} {path}");
    }
    proxy.stop().await;
    onezone.stop().await;
}

#[tokio::test]
async fn chunks_and_trailers_pass_and_so_does_a_body_that_is_waited_for() {
    let (backend, directory) = (Backend::answering(ANSWER), tempfile::tempdir().unwrap());
    let proxy = proxy(&backend, directory.path()).await;
    let mut connection = Connection::to(proxy.address).await;
    let head = format!(
        "POST {JOIN} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\
         trailer: x-end\r\nexpect: 100-continue\r\n\r\n"
    );
    connection.write(head.as_bytes()).await;
    assert!(connection.until("\r\n\r\n").await.starts_with("HTTP/1.1 100 "));
    connection.write(b"5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\nx-end: 1\r\n\r\n").await;
    assert_eq!(connection.read("POST").await.status, 400);
    let request = backend.request();
    assert_eq!(request.text(), "{\"a\":1}");
    assert_eq!(request.trailers, [("x-end".to_owned(), "1".to_owned())]);
    assert_eq!((request.field("expect"), request.field("content-length")), (None, None));
    proxy.stop().await;
}
