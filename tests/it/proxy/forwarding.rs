//! Requests and responses as a whole: lines, fields, bodies of every framing.

use super::sorted;
use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::Setup;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

#[tokio::test]
async fn a_get_is_forwarded_with_its_own_fields_and_ours() {
    let backend = Backend::answering(
        "HTTP/1.1 201 Created\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nSet-Cookie: a=1\r\nServer: Cowboy\r\n\
         Set-Cookie: b=2\r\nX-Empty:\r\nContent-Length: 5\r\n\r\nhello",
    );
    let program = Setup::before(backend.address).start();
    let request = Request::new("GET", "/a//b/../c;d=%2F%zz?e=f&g?h")
        .token("secret")
        .header("X-Twice", "one")
        .header("x-twice", "two")
        .header("Accept", "*/*");
    let response = program.ask(&request).await;

    let received = backend.request();
    assert_eq!(received.line, "GET /a//b/../c;d=%2F%zz?e=f&g?h HTTP/1.1");
    let expected = [
        "accept: */*",
        "host: onezone.example.com",
        "via: 1.1 duskgate",
        "x-auth-token: secret",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: onezone.example.com",
        "x-forwarded-proto: http",
        "x-twice: one",
        "x-twice: two",
    ];
    assert_eq!(received.sorted(), expected);
    assert_eq!(
        (response.status, response.reason.as_str(), response.text().as_str()),
        (201, "Created", "hello")
    );
    assert_eq!(
        sorted(&response),
        ["content-length: 5", "server: Cowboy", "set-cookie: a=1", "set-cookie: b=2", "x-empty: "]
    );
    assert_eq!(response.header("date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
}

#[tokio::test]
async fn an_answer_without_a_date_is_given_one() {
    let backend = Backend::answering(OK);
    let response = Setup::before(backend.address).start().ask(&Request::new("GET", "/")).await;
    assert!(response.header("date").is_some_and(|date| date.ends_with(" GMT")), "{response:?}");
}

#[tokio::test]
async fn a_body_with_a_length_keeps_it() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    for size in [0, 1, 10_000, 1_000_000] {
        let body = vec![b'x'; size];
        let response = program.ask(&Request::new("POST", "/").body(body.clone())).await;
        assert_eq!((response.status, response.text().as_str()), (200, "hi"));
        let received = backend.requests().pop().unwrap();
        assert_eq!(received.field("content-length"), Some(size.to_string().as_str()));
        assert!(received.body == body, "{size} bytes");
    }
}

#[tokio::test]
async fn a_post_without_a_body_is_forwarded_without_framing() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    program.ask(&Request::new("POST", "/")).await;
    let received = backend.request();
    assert_eq!((received.field("content-length"), received.field("transfer-encoding")), (None, None));
}

#[tokio::test]
async fn chunks_and_trailers_go_both_ways() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
         3;ext=\"1\"\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Sum: 13\r\n\r\n",
    );
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    let raw = "POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Digest\r\nTransfer-Encoding: chunked\r\n\r\n\
               5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-Digest: 11\r\n\r\n";
    connection.write(raw.as_bytes()).await;
    let response = connection.read("POST").await;

    let received = backend.request();
    assert_eq!(received.text(), "hello world");
    assert_eq!(received.field("transfer-encoding"), Some("chunked"));
    assert_eq!(received.field("trailer"), Some("X-Digest"));
    assert_eq!(received.trailers, [("x-digest".to_owned(), "11".to_owned())]);
    assert_eq!(response.text(), "abc0123456789");
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    assert_eq!(response.header("trailer"), Some("X-Sum"));
    assert_eq!(response.trailers, [("x-sum".to_owned(), "13".to_owned())]);
    assert_eq!(connection.ask(&Request::new("GET", "/")).await.status, 200);
}

#[tokio::test]
async fn a_head_keeps_the_length_of_what_is_not_sent() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 12345\r\n\r\n");
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    for _ in 0..2 {
        let response = connection.ask(&Request::new("HEAD", "/")).await;
        assert_eq!((response.status, response.header("content-length")), (200, Some("12345")));
    }
    assert_eq!(backend.requests()[0].line, "HEAD / HTTP/1.1");
}

#[tokio::test]
async fn answers_that_never_have_a_body_have_none() {
    let backend = Backend::with(|request| match request.line.as_str() {
        "GET /204 HTTP/1.1" => "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n".to_owned(),
        "DELETE /204 HTTP/1.1" => "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n".to_owned(),
        _ => "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 99\r\n\r\n".to_owned(),
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    let response = connection.ask(&Request::new("GET", "/204")).await;
    assert_eq!((response.status, sorted(&response)), (204, vec!["x-a: 1".to_owned()]));
    let response = connection.ask(&Request::new("DELETE", "/204")).await;
    assert_eq!((response.status, sorted(&response)), (204, Vec::new()));
    let response = connection.ask(&Request::new("GET", "/304")).await;
    assert_eq!((response.status, response.header("etag")), (304, Some("\"x\"")));
    assert!(response.header("transfer-encoding").is_none(), "{response:?}");
}

#[tokio::test]
async fn an_old_client_is_served_in_its_own_manner() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n",
    );
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"GET /old HTTP/1.0\r\n\r\n").await;
    let response = connection.read("GET").await;
    assert_eq!((response.text().as_str(), response.header("connection")), ("abc", Some("close")));
    assert_eq!((response.header("transfer-encoding"), response.trailers.len()), (None, 0));
    let received = backend.request();
    assert_eq!(received.line, "GET /old HTTP/1.1");
    assert_eq!(received.field("via"), Some("1.0 duskgate"));
    assert_eq!(received.field("host"), Some(backend.address.to_string().as_str()));
}

#[tokio::test]
async fn an_old_client_that_asks_for_it_keeps_its_connection() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    for _ in 0..2 {
        connection.write(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        let response = connection.read("GET").await;
        assert_eq!((response.status, response.header("connection")), (200, Some("keep-alive")));
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let backend = Backend::with(|request| {
        let path = request.line.split(' ').nth(1).unwrap();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{path}", path.len())
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    let requests: String = (0..20)
        .map(|number| match number % 3 {
            0 => format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"),
            1 => format!("POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET "),
            _ => format!(
                "POST /{number} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
            ),
        })
        .collect();
    connection.write(requests.as_bytes()).await;
    for number in 0..20 {
        assert_eq!(connection.read("GET").await.text(), format!("/{number}"));
    }
    assert_eq!(backend.requests().len(), 20);
}

#[tokio::test]
async fn a_client_that_says_close_is_answered_and_closed() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    let response = connection.ask(&Request::new("GET", "/").header("Connection", "close")).await;
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn a_backend_that_closes_after_each_answer_does_not_close_the_client() {
    let backend = Backend::new(|link| {
        link.request();
        link.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    for _ in 0..3 {
        let response = connection.ask(&Request::new("GET", "/")).await;
        assert_eq!((response.text().as_str(), response.header("connection")), ("until the end", None));
    }
    assert_eq!(backend.connections(), 3);
}

#[tokio::test]
async fn unknown_methods_and_statuses_pass() {
    let backend = Backend::answering("HTTP/1.1 499 \r\ncontent-length: 0\r\n\r\n");
    let program = Setup::before(backend.address).start();
    assert_eq!(program.ask(&Request::new("BREW", "/pot")).await.status, 499);
    assert_eq!(program.ask(&Request::new("get", "/pot")).await.status, 499);
    assert_eq!(backend.requests()[0].line, "BREW /pot HTTP/1.1");
    assert_eq!(backend.requests()[1].line, "get /pot HTTP/1.1");
    let unknown =
        program.metric("duskgate_http_requests_total", &[("method", "other"), ("code", "499")]).await;
    assert_eq!(unknown, 2.0);
}
