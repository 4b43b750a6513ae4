//! Bodies pass while they are made: nobody waits for a whole one.

use crate::support::backend::Backend;
use crate::support::http::{Connection, End, Request};
use crate::support::program::Setup;

#[tokio::test]
async fn the_backend_has_the_first_bytes_before_the_client_sends_the_last() {
    let backend = Backend::new(|link| {
        let head = link.head().unwrap();
        assert_eq!(head.field("transfer-encoding"), Some("chunked"));
        assert_eq!(link.until("\r\nfirst\r\n").unwrap(), "5\r\nfirst\r\n");
        // The client sends more only when it has seen this.
        link.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ngot\r\n");
        assert_eq!(link.until("0\r\n\r\n").unwrap(), "4\r\nlast\r\n0\r\n\r\n");
        link.send("3\r\nall\r\n0\r\n\r\n");
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
    assert_eq!(connection.read_head().await.status, 200);
    assert_eq!(connection.until("got\r\n").await, "3\r\ngot\r\n");
    connection.write(b"4\r\nlast\r\n0\r\n\r\n").await;
    assert_eq!(connection.until("0\r\n\r\n").await, "3\r\nall\r\n0\r\n\r\n");
    backend.finished(1);
}

#[tokio::test]
async fn a_body_with_a_length_streams_too() {
    let backend = Backend::new(|link| {
        assert_eq!(link.head().unwrap().field("content-length"), Some("10"));
        assert_eq!(link.exactly(5).unwrap(), b"first");
        link.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ngot");
        assert_eq!(link.exactly(5).unwrap(), b" last");
        link.send("all");
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst").await;
    assert_eq!(connection.read_head().await.status, 200);
    assert_eq!(connection.until("got").await, "got");
    connection.write(b" last").await;
    assert_eq!(connection.until("all").await, "all");
    backend.finished(1);
}

#[tokio::test]
async fn an_answer_that_is_too_early_for_the_body_passes_and_the_connection_lives_on() {
    let backend = Backend::new(|link| {
        link.head();
        link.send("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\ncontent-length: 0\r\n\r\n");
        link.rest();
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nGET").await;
    let response = connection.read("POST").await;
    assert_eq!((response.status, response.header("connection")), (413, None));
    // The rest of the body is no request.
    connection.write(b" /a h").await;
    assert_eq!(connection.ask(&Request::new("POST", "/").body("")).await.status, 413);
}

#[tokio::test]
async fn after_an_early_answer_a_body_without_an_end_in_sight_closes_the_connection() {
    let backend = Backend::new(|link| {
        link.head();
        link.send("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\ncontent-length: 0\r\n\r\n");
        link.rest();
    });
    let program = Setup::before(backend.address).start();
    for framing in ["Content-Length: 10000000", "Transfer-Encoding: chunked"] {
        let mut connection = Connection::to(program.address()).await;
        connection.write(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n").as_bytes()).await;
        let response = connection.read("POST").await;
        assert_eq!((response.status, response.header("connection")), (413, Some("close")), "{framing}");
        assert_eq!(connection.rest().await, (String::new(), End::Closed), "{framing}");
    }
}

#[tokio::test]
async fn large_bodies_pass_whole_both_ways() {
    const SIZE: usize = 8 << 20;
    let backend = Backend::new(|link| {
        let head = link.head().unwrap();
        let chunked = head.field("transfer-encoding").is_some();
        let body = if chunked { link.until("\r\n0\r\n\r\n").unwrap() } else { String::new() };
        let length = if chunked { body.matches('y').count() } else { link.exactly(SIZE).unwrap().len() };
        assert_eq!(length, SIZE);
        link.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
        link.send(vec![b'z'; SIZE]);
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    let response = connection.ask(&Request::new("POST", "/").body(vec![b'y'; SIZE])).await;
    assert!(response.body == vec![b'z'; SIZE], "{} bytes", response.body.len());
    backend.finished(1);
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_request_along() {
    let backend = Backend::new(|link| {
        link.head();
        link.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        assert_eq!(link.rest(), b"", "the end of the connection");
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(connection.until("abc\r\n").await.lines().last(), Some("abc"));
    drop(connection);
    backend.finished(1);
}

#[tokio::test]
async fn a_client_that_breaks_off_its_body_completes_no_request() {
    for (framing, part) in [("Content-Length: 10", "half"), ("Transfer-Encoding: chunked", "4\r\nhalf\r\n")] {
        let backend = Backend::new(|link| {
            assert!(link.request().is_none(), "it is not complete");
        });
        let program = Setup::before(backend.address).start();
        let mut connection = Connection::to(program.address()).await;
        connection.write(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{part}").as_bytes()).await;
        connection.finish().await;
        assert!(connection.is_closed().await);
        backend.finished(1);
        assert!(backend.requests().is_empty(), "{framing}");
    }
}
