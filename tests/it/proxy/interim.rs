//! Interim answers pass, and the backend decides whether a body that waits for `100 Continue` is wanted.

use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::Setup;

const EXPECTING: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";

#[tokio::test]
async fn early_hints_pass_with_their_fields() {
    let backend = Backend::new(|link| {
        link.request();
        link.send(
            "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n",
        );
        link.send("HTTP/1.1 103 Early Hints\r\nLink: </b>; rel=preload\r\n\r\n");
        link.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    });
    let response = Setup::before(backend.address).start().ask(&Request::new("GET", "/")).await;
    assert_eq!((response.status, response.text().as_str()), (200, "hi"));
    let hints: Vec<_> = response.interim.iter().map(|head| (head.status, head.headers.as_slice())).collect();
    let link = |value: &str| [("link".to_owned(), value.to_owned())];
    assert_eq!(hints, [(103, &link("</a>; rel=preload")[..]), (103, &link("</b>; rel=preload")[..])]);
}

#[tokio::test]
async fn interim_answers_say_no_length_and_never_have_a_body() {
    let backend = Backend::new(|link| {
        let request = link.request().unwrap();
        let fields = match request.line.split(' ').nth(1).unwrap() {
            "/length" => "content-length: 5\r\n",
            "/coded" => "transfer-encoding: chunked\r\n",
            _ => "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        };
        link.send(format!("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n{fields}\r\n"));
        link.try_send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    });
    let program = Setup::before(backend.address).start();
    let response = program.ask(&Request::new("GET", "/length")).await;
    assert_eq!((response.status, response.text().as_str()), (200, "hi"));
    assert_eq!(response.interim.len(), 1);
    assert_eq!(response.interim[0].headers, [("link".to_owned(), "</a>".to_owned())]);
    for path in ["/coded", "/both"] {
        let response = program.ask(&Request::new("GET", path)).await;
        assert_eq!((response.status, response.interim.len()), (502, 0), "{path}");
    }
}

#[tokio::test]
async fn an_old_client_is_spared_interim_answers() {
    let backend = Backend::new(|link| {
        link.request();
        link.send(
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        );
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(connection.read_head().await.status, 200);
}

#[tokio::test]
async fn interim_answers_without_end_are_nonsense() {
    let backend = Backend::new(|link| {
        link.request();
        while link.try_send(b"HTTP/1.1 103 Early Hints\r\n\r\n") {}
    });
    let program = Setup::before(backend.address).start();
    assert_eq!(program.ask(&Request::new("GET", "/")).await.status, 502);
}

#[tokio::test]
async fn the_backend_says_continue() {
    let backend = Backend::new(|link| {
        let head = link.head().unwrap();
        assert_eq!((head.field("expect"), head.field("content-length")), (Some("100-continue"), Some("4")));
        link.send("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(link.exactly(4).unwrap(), b"body");
        link.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        link.rest();
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(EXPECTING).await;
    assert_eq!(connection.read_head().await.status, 100);
    connection.write(b"body").await;
    let response = connection.read("POST").await;
    assert_eq!((response.status, response.header("connection")), (200, None));
}

#[tokio::test]
async fn a_refusal_instead_of_continue_closes_the_connection() {
    let backend = Backend::new(|link| {
        link.head();
        link.send("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(link.rest(), b"", "no body and no other request");
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(EXPECTING).await;
    let response = connection.read("POST").await;
    assert_eq!((response.status, response.interim.len()), (401, 0));
    assert_eq!(response.header("connection"), Some("close"));
    // Is this the body or a request? Nobody can know, so it is neither.
    connection.write(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(connection.is_closed().await);
    backend.finished(1);
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn a_client_need_not_wait_for_continue() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(&[EXPECTING, b"body"].concat()).await;
    assert_eq!(connection.read("POST").await.status, 200);
    assert_eq!(backend.request().text(), "body");
}
