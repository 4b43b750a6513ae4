//! Requests hidden in others: what is no request of its own is never served as one.

use super::Gate;
use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::Setup;

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
const GONE: &str = "/api/v3/onezone/groups/g1/users/token";

#[tokio::test]
async fn a_body_is_never_a_request() {
    let gate = Gate::new();
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "POST"] {
        let raw =
            format!("{method} /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{HIDDEN}", HIDDEN.len());
        let mut connection =
            gate.connect(format!("{raw}GET /next HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), 4096).await;
        assert_eq!(connection.read(method).await.status, 200);
        assert_eq!(connection.read("GET").await.text(), "/next");
    }
    assert!(gate.backend.requests().iter().all(|request| !request.line.contains("hidden")));
}

/// A proxy that answers 410 by itself.
fn gone() -> (Backend, Setup) {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let setup = Setup::before(backend.address)
        .section("[[operation]]\nid = \"create_user_group_invite_token\"\nmode = \"gone\"");
    (backend, setup)
}

#[tokio::test]
async fn the_body_of_a_request_that_we_answer_ourselves_is_no_request() {
    let (backend, setup) = gone();
    let program = setup.start();
    for piece in [4096, 1] {
        let mut connection = Connection::to(program.address()).await;
        let length = HIDDEN.len();
        let raw = format!(
            "POST {GONE} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{HIDDEN}\
             GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
        );
        for piece in raw.as_bytes().chunks(piece) {
            connection.write(piece).await;
        }
        assert_eq!(connection.read("POST").await.status, 410);
        assert_eq!(connection.read("GET").await.status, 200);
    }
    let lines: Vec<String> = backend.requests().into_iter().map(|request| request.line).collect();
    assert_eq!(lines, ["GET /next HTTP/1.1", "GET /next HTTP/1.1"]);
}

#[tokio::test]
async fn where_the_end_of_an_unread_body_is_not_clear_the_connection_closes() {
    let (backend, setup) = gone();
    let program = setup.start();
    for (fields, body) in [
        ("Transfer-Encoding: chunked", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "24\r\n"),
        ("Transfer-Encoding: chunked", "nonsense\r\n\r\n"),
        ("Content-Length: 10000000", ""),
        ("Content-Length: 4\r\nExpect: 100-continue", ""),
    ] {
        let mut connection = Connection::to(program.address()).await;
        let raw = format!("POST {GONE} HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}{HIDDEN}");
        connection.write(raw.as_bytes()).await;
        let response = connection.read("POST").await;
        if response.header("connection") == Some("close") {
            assert!(connection.is_closed().await, "{fields}");
        } else {
            // All of the body was there at once, so its end is clear.
            assert_eq!(fields, "Content-Length: 4\r\nExpect: 100-continue");
        }
        assert_eq!(response.status, 410, "{fields}");
    }
    assert!(backend.requests().is_empty(), "{:?}", backend.requests());
}

#[tokio::test]
async fn a_call_that_is_refused_by_its_method_leaves_nothing_behind() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let program = Setup::before(backend.address).deprecation("mode = \"rewrite\"").start();
    let mut connection = Connection::to(program.address()).await;
    let response = connection.ask(&Request::new("PUT", GONE).body(HIDDEN)).await;
    assert_eq!((response.status, response.header("allow")), (405, Some("POST")));
    assert_eq!(connection.ask(&Request::new("GET", "/next")).await.status, 200);
    assert_eq!(backend.request().line, "GET /next HTTP/1.1");
}
