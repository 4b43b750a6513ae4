//! An answer that breaks off is cut for the client too: nothing makes it look complete.

use crate::support::backend::Backend;
use crate::support::http::{Connection, End};
use crate::support::program::{Program, Setup};

/// A proxy in front of a backend that sends this and closes.
fn before(answer: &'static str) -> (Backend, Program) {
    let backend = Backend::new(move |link| {
        link.request();
        link.send(answer);
    });
    let program = Setup::before(backend.address).start();
    (backend, program)
}

/// What a client reads, and how its connection ends.
async fn read(program: &Program, request: &str) -> (String, End) {
    let mut connection = Connection::to(program.address()).await;
    connection.write(request.as_bytes()).await;
    connection.rest().await
}

#[tokio::test]
async fn chunks_that_break_off_are_never_completed() {
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n",
    ] {
        let (backend, program) = before(answer);
        let (text, end) = read(&program, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(end, End::Reset, "{answer:?}: {text:?}");
        assert!(!text.ends_with("0\r\n\r\n"), "{answer:?}: {text:?}");
        program.logged(&["WARN", "broke off", &backend.address.to_string()]);
    }
}

#[tokio::test]
async fn a_body_that_is_shorter_than_its_length_is_cut() {
    let (_backend, program) = before("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    let (text, end) = read(&program, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(end, End::Reset, "{text:?}");
    assert!(text.is_empty() || text.contains("content-length: 10\r\n"), "{text:?}");
    assert_eq!(program.metric("duskgate_upstream_errors_total", &[("kind", "closed")]).await, 1.0);
}

#[tokio::test]
async fn an_old_client_that_reads_to_the_end_sees_a_reset() {
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
    ] {
        let (_backend, program) = before(answer);
        let (text, end) = read(&program, "GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(end, End::Reset, "{answer:?}: {text:?}");
    }
}

#[tokio::test]
async fn what_a_backend_sends_behind_its_answer_reaches_nobody() {
    let backend = Backend::new(|link| {
        while link.request().is_some() {
            link.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad");
        }
    });
    let program = Setup::before(backend.address).one_thread().start();
    let mut connection = Connection::to(program.address()).await;
    for _ in 0..3 {
        connection.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(connection.read("GET").await.text(), "hi");
    }
    assert_eq!(backend.connections(), 3, "such a connection is not used again");
}
