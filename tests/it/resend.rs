//! Sending again (RFC 9110 section 9.2.2): a pooled connection may die under a request, since Onezone closes after 30
//! requests or 30 s of idling. No request is lost by that, and none that may not be repeated is delivered twice.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::backend::{Backend, Link};
use crate::support::http::{Connection, Request};
use crate::support::program::Setup;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// One client asks 200 times by each method; all are answered, and what the backend took of them is returned: how
/// often each target arrived.
async fn two_hundred_each(script: impl Fn(&mut Link) + Send + Sync + 'static) -> BTreeMap<String, usize> {
    let backend = Backend::new(script);
    let program = Setup::before(backend.address).one_thread().start();
    let mut connection = Connection::to(program.address()).await;
    for number in 0..200 {
        for method in ["GET", "POST"] {
            let request = Request::new(method, &format!("/{number}"));
            let request = if method == "POST" { request.body("x") } else { request };
            let response = connection.ask(&request).await;
            assert_eq!((response.status, response.text().as_str()), (200, "hi"), "{method} {number}");
        }
    }
    let mut times = BTreeMap::new();
    for request in backend.requests() {
        *times.entry(request.line).or_default() += 1;
    }
    times
}

fn assert_each_post_once(times: &BTreeMap<String, usize>) {
    for number in 0..200 {
        let line = format!("POST /{number} HTTP/1.1");
        assert_eq!(times.get(&line), Some(&1), "{line}");
    }
}

#[tokio::test]
async fn nothing_is_lost_to_a_backend_that_closes_on_the_second_request() {
    let times = two_hundred_each(|link| {
        link.request();
        link.send(OK);
        // Read, and closed without an answer.
        link.request();
    })
    .await;
    assert_each_post_once(&times);
    assert!(times.values().any(|&times| times == 2), "no GET met a closing connection: {times:?}");
}

#[tokio::test]
async fn nothing_is_lost_to_a_backend_that_closes_after_each_answer_without_a_word() {
    let times = two_hundred_each(|link| {
        link.request();
        link.send(OK);
    })
    .await;
    assert_each_post_once(&times);
}

#[tokio::test]
async fn nothing_is_lost_to_a_backend_that_resets_after_some_requests() {
    let times = two_hundred_each(|link| {
        for _ in 0..3 {
            if link.request().is_none() {
                return;
            }
            link.send(OK);
        }
        // Closing with something unread is a reset.
        let _ = link.exactly(1);
    })
    .await;
    assert_each_post_once(&times);
}

#[tokio::test]
async fn a_post_goes_on_a_connection_of_its_own() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).one_thread().start();
    let mut connection = Connection::to(program.address()).await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "BREW"] {
        assert_eq!(connection.ask(&Request::new("GET", "/")).await.status, 200);
        assert_eq!(connection.ask(&Request::new(method, "/").body("x")).await.status, 200);
        let requests = backend.requests();
        let [.., get, other] = &requests[..] else { panic!("{requests:?}") };
        assert_ne!(get.connection, other.connection, "{method}");
        assert_eq!(other.connection + 1, backend.connections(), "{method} on a fresh one");
    }
    // Afterwards such a connection serves what may be repeated.
    let connections = backend.connections();
    connection.ask(&Request::new("GET", "/")).await;
    assert_eq!(backend.connections(), connections);
}

#[tokio::test]
async fn gets_share_one_connection() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).one_thread().start();
    for _ in 0..10 {
        program.ask(&Request::new("GET", "/")).await;
    }
    assert_eq!((backend.connections(), backend.requests().len()), (1, 10));
}

#[tokio::test]
async fn a_connection_that_the_backend_announces_to_close_is_not_used_again() {
    let backend = Backend::new(|link| {
        link.request();
        link.send("HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 2\r\n\r\nhi");
        assert_eq!(link.rest(), b"", "another request on a connection that was to close");
    });
    let program = Setup::before(backend.address).one_thread().start();
    let mut connection = Connection::to(program.address()).await;
    for _ in 0..5 {
        assert_eq!(connection.ask(&Request::new("GET", "/")).await.status, 200);
    }
    assert_eq!(backend.connections(), 5);
}

#[tokio::test]
async fn a_connection_of_an_old_backend_is_used_again_only_if_it_says_so() {
    for (answer, connections) in [
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", 3),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi", 1),
    ] {
        let backend = Backend::answering(answer);
        let program = Setup::before(backend.address).one_thread().start();
        let mut connection = Connection::to(program.address()).await;
        for _ in 0..3 {
            assert_eq!(connection.ask(&Request::new("GET", "/")).await.text(), "hi");
        }
        assert_eq!(backend.connections(), connections, "{answer:?}");
    }
}

#[tokio::test]
async fn a_connection_retires_after_max_requests() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).one_thread().upstream("max_requests = 3").start();
    for _ in 0..9 {
        program.ask(&Request::new("GET", "/")).await;
    }
    let connections: Vec<usize> = backend.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
}

#[tokio::test]
async fn a_connection_retires_after_idling() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).one_thread().upstream("idle_timeout = \"100ms\"").start();
    program.ask(&Request::new("GET", "/")).await;
    // It is the passing of time that is tested, by a clock of coarse ticks.
    tokio::time::sleep(Duration::from_millis(300)).await;
    program.ask(&Request::new("GET", "/")).await;
    assert_eq!(backend.connections(), 2);
}

#[tokio::test]
async fn a_request_is_sent_again_once() {
    let backend = Backend::new(|link| {
        if link.number == 0 {
            link.request();
            link.send(OK);
        }
        link.request();
    });
    let program = Setup::before(backend.address).one_thread().start();
    let mut connection = Connection::to(program.address()).await;
    assert_eq!(connection.ask(&Request::new("GET", "/first")).await.status, 200);
    let response = connection.ask(&Request::new("GET", "/second")).await;
    assert_eq!((response.status, &response.json()["error"]["id"]), (502, &"badGateway".into()));
    let lines: Vec<String> = backend.requests().into_iter().map(|request| request.line).collect();
    assert_eq!(lines, ["GET /first HTTP/1.1", "GET /second HTTP/1.1", "GET /second HTTP/1.1"]);
}

#[tokio::test]
async fn a_request_on_a_fresh_connection_is_not_sent_again() {
    let backend = Backend::new(|link| {
        link.request();
    });
    let program = Setup::before(backend.address).start();
    assert_eq!(program.ask(&Request::new("GET", "/")).await.status, 502);
    assert_eq!((backend.connections(), backend.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_request_is_not_sent_again_once_an_answer_has_begun() {
    let backend = Backend::new(|link| {
        link.request();
        link.send(OK);
        link.request();
        link.send("HTTP/1.1 200 O");
    });
    let program = Setup::before(backend.address).one_thread().start();
    let mut connection = Connection::to(program.address()).await;
    assert_eq!(connection.ask(&Request::new("GET", "/first")).await.status, 200);
    assert_eq!(connection.ask(&Request::new("GET", "/second")).await.status, 502);
    assert_eq!(backend.requests().len(), 2);
}

#[tokio::test]
async fn a_body_that_is_streamed_is_not_sent_again() {
    let backend = Backend::new(|link| {
        link.request();
        link.send(OK);
        assert!(link.request().is_none(), "a streamed body on a reused connection");
    });
    let program = Setup::before(backend.address).one_thread().start();
    let mut connection = Connection::to(program.address()).await;
    assert_eq!(connection.ask(&Request::new("GET", "/")).await.status, 200);
    connection.write(b"GET /s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    backend.connected(2);
    connection.write(b"0\r\n\r\n").await;
    assert_eq!(connection.read("GET").await.status, 200);
    assert_eq!(backend.requests()[1].text(), "abc");
}

#[tokio::test]
async fn a_body_that_is_at_hand_is_sent_again_whole() {
    let backend = Backend::new(|link| {
        link.request();
        link.send(OK);
        link.request();
    });
    let program = Setup::before(backend.address).one_thread().start();
    let mut connection = Connection::to(program.address()).await;
    for _ in 0..2 {
        assert_eq!(connection.ask(&Request::new("GET", "/").body("query")).await.status, 200);
    }
    let bodies: Vec<String> = backend.requests().iter().map(|request| request.text()).collect();
    assert_eq!(bodies, ["query", "query", "query"]);
}
