//! Backends that cannot be reached, break off, talk nonsense or say nothing.

use std::time::Duration;

use super::Refusing;
use crate::support::backend::{Backend, Link};
use crate::support::http::{Connection, End, Request, Response};
use crate::support::program::{Program, Setup};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
const UNREACHABLE: &str = r#"{"error":{"id":"backendUnreachable","description":"The service behind this address cannot be reached. Please try again later."}}"#;
const BAD: &str = r#"{"error":{"id":"badGateway","description":"The service behind this address broke off its answer or gave one that could not be understood."}}"#;
const TIMEOUT: &str = r#"{"error":{"id":"backendTimeout","description":"The service behind this address did not answer in time. The request may still have taken effect."}}"#;
const LEGACY: &str = "/api/v3/onezone/groups/g1/users/token";

#[track_caller]
fn assert_failure(response: &Response, status: u16, body: &str) {
    assert_eq!((response.status, response.text().as_str()), (status, body));
    let fields: Vec<&str> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(fields, ["content-type", "access-control-allow-origin", "date", "content-length"]);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
}

/// What was counted against the only server.
async fn errors(program: &Program, kind: &str) -> f64 {
    program.metric("duskgate_upstream_errors_total", &[("kind", kind)]).await
}

#[tokio::test]
async fn a_backend_that_refuses_is_unreachable() {
    let refusing = Refusing::new();
    let program = Setup::before(refusing.address()).start();
    let mut connection = Connection::to(program.address()).await;
    for request in [Request::new("GET", "/"), Request::new("POST", "/").body("x"), Request::new("PUT", "/")] {
        assert_failure(&connection.ask(&request).await, 503, UNREACHABLE);
    }
    assert_eq!(errors(&program, "connect").await, 3.0);
    assert_eq!(program.metric("duskgate_upstream_up", &[]).await, 0.0);
    program.logged(&["WARN", &refusing.address().to_string(), "refused"]);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_unreachable() {
    let program = Setup::before_all(["http://nowhere.invalid".to_owned()]).start();
    assert_failure(&program.ask(&Request::new("GET", "/")).await, 503, UNREACHABLE);
}

#[tokio::test]
async fn a_backend_that_breaks_off_before_its_answer_is_a_bad_gateway() {
    for part in ["", "H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n"] {
        let backend = Backend::new(move |link| {
            link.request();
            link.send(part);
        });
        let program = Setup::before(backend.address).start();
        assert_failure(&program.ask(&Request::new("GET", "/")).await, 502, BAD);
        assert_eq!(errors(&program, "closed").await, 1.0, "{part:?}");
    }
}

#[tokio::test]
async fn nonsense_is_a_bad_gateway() {
    const NONSENSE: &[&str] = &[
        "nonsense\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 999 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX : 1\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n folded\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    let backend = Backend::with(|request| {
        let number: usize = request.line.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        NONSENSE[number].to_owned()
    });
    let program = Setup::before(backend.address).start();
    for (number, nonsense) in NONSENSE.iter().enumerate() {
        let response = program.ask(&Request::new("GET", &format!("/{number}"))).await;
        assert_eq!((response.status, response.text().as_str()), (502, BAD), "{nonsense:?}");
    }
    assert_eq!(errors(&program, "malformed").await, NONSENSE.len() as f64);
    program.logged(&["WARN", "no answer from", "malformed"]);
}

#[tokio::test]
async fn a_head_without_end_is_a_bad_gateway() {
    let backend = Backend::new(|link| {
        link.request();
        link.send("HTTP/1.1 200 OK\r\n");
        while link.try_send(&[b"X: ".as_slice(), &[b'x'; 1000], b"\r\n"].concat()) {}
    });
    let program = Setup::before(backend.address).start();
    assert_failure(&program.ask(&Request::new("GET", "/")).await, 502, BAD);
}

#[tokio::test]
async fn a_silent_backend_is_a_timeout() {
    let backend = Backend::new(|link| {
        link.request();
        link.rest();
    });
    let program = Setup::before(backend.address).upstream("response_timeout = \"200ms\"").start();
    let mut connection = Connection::to(program.address()).await;
    for request in [Request::new("GET", "/"), Request::new("POST", "/").body("x")] {
        assert_failure(&connection.ask(&request).await, 504, TIMEOUT);
    }
    assert_eq!(errors(&program, "timeout").await, 2.0);
    // What may still come on such a connection belongs to nobody.
    backend.finished(2);
}

#[tokio::test]
async fn half_a_head_is_not_an_answer_in_time() {
    let backend = Backend::new(|link| {
        link.request();
        link.send("HTTP/1.1 200 OK\r\ncontent-le");
        link.rest();
    });
    let program = Setup::before(backend.address).upstream("response_timeout = \"200ms\"").start();
    assert_failure(&program.ask(&Request::new("GET", "/")).await, 504, TIMEOUT);
}

#[tokio::test]
async fn a_body_that_stalls_is_cut() {
    let backend = Backend::new(|link| {
        link.request();
        link.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        link.rest();
    });
    let program = Setup::before(backend.address).section("[limits]\nupstream_stall = \"200ms\"").start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    connection.until("half").await;
    assert_eq!(connection.rest().await, (String::new(), End::Reset));
    backend.finished(1);
}

#[tokio::test]
async fn a_backend_that_takes_no_more_of_a_body_is_a_timeout() {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let backend = Backend::new(move |link: &mut Link| {
        link.head();
        // Reads nothing more until the test is over.
        let _ = wait.lock().unwrap().recv_timeout(Duration::from_secs(20));
    });
    let program = Setup::before(backend.address).section("[limits]\nupstream_stall = \"200ms\"").start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n").await;
    let (mut writing, mut reading) = (connection.writer(), connection);
    let body = tokio::spawn(async move { while writing.write(&[b'x'; 64 * 1024]).await {} });
    let response = reading.read("POST").await;
    assert_eq!((response.status, response.text().as_str()), (504, TIMEOUT));
    assert_eq!(response.header("connection"), Some("close"));
    drop((reading, done));
    body.await.unwrap();
}

#[tokio::test]
async fn who_asks_for_problem_details_gets_them() {
    let refusing = Refusing::new();
    let program = Setup::before(refusing.address()).start();
    let response = program.ask(&Request::new("GET", "/").header("Accept", "application/problem+json")).await;
    assert_eq!((response.status, response.header("content-type")), (503, Some("application/problem+json")));
    assert_eq!(
        response.text(),
        r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"The service behind this address cannot be reached. Please try again later.","id":"backendUnreachable"}"#
    );
}

#[tokio::test]
async fn a_head_is_told_the_failure_without_its_body() {
    let refusing = Refusing::new();
    let program = Setup::before(refusing.address()).start();
    let mut connection = Connection::to(program.address()).await;
    for _ in 0..2 {
        let response = connection.ask(&Request::new("HEAD", "/")).await;
        assert_eq!(response.status, 503);
        assert_eq!(response.header("content-length"), Some(UNREACHABLE.len().to_string().as_str()));
    }
}

#[tokio::test]
async fn another_server_is_tried_when_one_refuses() {
    let refusing = Refusing::new();
    let backend = Backend::answering(OK);
    for servers in [[refusing.address(), backend.address], [backend.address, refusing.address()]] {
        let program = Setup::before_all(servers.map(|server| format!("http://{server}"))).start();
        for method in ["GET", "POST", "PUT", "DELETE"] {
            for _ in 0..10 {
                let response = program.ask(&Request::new(method, "/").body("x")).await;
                assert_eq!((response.status, response.text().as_str()), (200, "hi"));
            }
        }
        assert_eq!(program.metric("duskgate_upstream_up", &[]).await, 1.0);
        // Suspected for a moment, it is not asked each time.
        assert!(errors(&program, "connect").await <= 4.0);
    }
    assert_eq!(backend.requests().len(), 80);
}

#[tokio::test]
async fn failures_on_a_deprecated_route_say_that_it_is_deprecated() {
    let refusing = Refusing::new();
    let closing = Backend::new(|link| {
        link.request();
    });
    let silent = Backend::new(|link| {
        link.request();
        link.rest();
    });
    for mode in ["observe", "rewrite"] {
        for (server, status, body) in [
            (refusing.address(), 503, UNREACHABLE),
            (closing.address, 502, BAD),
            (silent.address, 504, TIMEOUT),
        ] {
            let program = Setup::before(server)
                .upstream("response_timeout = \"200ms\"")
                .deprecation(&format!("mode = {mode:?}\nsunset_at = 2099-03-31T00:00:00Z"))
                .start();
            let response = program.ask(&Request::new("POST", LEGACY).token("some")).await;
            assert_eq!(response.status, status, "{mode}");
            let mut answer: serde_json::Value = serde_json::from_str(&response.text()).unwrap();
            let details = answer["error"].as_object_mut().unwrap().remove("details").unwrap();
            assert_eq!(answer, serde_json::from_str::<serde_json::Value>(body).unwrap(), "{mode}");
            // Directions, as every answer of our own on a deprecated route has them.
            assert_eq!(details["operation"], "create_user_group_invite_token", "{mode} {status}");
            assert_eq!(details["sunsetAt"], "2099-03-31T00:00:00Z", "{mode} {status}");
            let body = &details["successors"][0]["body"]["type"]["inviteToken"];
            assert_eq!(body["inviteType"], "userJoinGroup", "{mode} {status}");
            assert_eq!(response.header("deprecation"), Some("@1590969600"), "{mode} {status}");
            assert_eq!(response.header("sunset"), Some("Tue, 31 Mar 2099 00:00:00 GMT"), "{mode} {status}");
            let links = response.all("link");
            for relation in ["deprecation", "successor-version"] {
                let relation = format!("rel=\"{relation}\"");
                assert!(links.iter().any(|link| link.contains(&relation)), "{links:?}");
            }
            assert_eq!(response.header("access-control-expose-headers"), Some("Deprecation, Sunset, Link"));
            let labels = [
                ("operation", "create_user_group_invite_token"),
                ("mode", mode),
                ("phase", "deprecated"),
                ("code", &status.to_string()),
            ];
            let counted = program.metric("duskgate_deprecated_requests_total", &labels).await;
            assert_eq!(counted, 1.0, "{mode} {status}");
        }
    }
}
