//! An answer that breaks off: a 502 where the client has seen nothing of it, else it is cut for the client too, and
//! nothing makes it look complete.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use crate::http2::wire::{self, Client, Verdict};
use crate::support::backend::{Backend, Link};
use crate::support::http::{Connection, End, Request};
use crate::support::program::{Program, Setup};

const LEGACY: &str = "/api/v3/onezone/groups/g1/users/token";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A proxy before a backend that sends this and closes, each time that it is let.
struct Site {
    backend: Backend,
    program: Program,
    go: Sender<()>,
}

impl Site {
    fn new(answer: String) -> Self {
        let (go, let_go) = channel();
        let let_go = Mutex::new(let_go);
        let backend = Backend::new(move |link: &mut Link| {
            link.request();
            let _ = let_go.lock().unwrap().recv_timeout(Duration::from_secs(20));
            link.send(&answer);
        });
        let program = Setup::before(backend.address).deprecation("mode = \"observe\"").start();
        Site { backend, program, go }
    }

    /// Has the backend answer the `number`th request and close while the program looks away: it finds both at once.
    fn answer(&self, number: usize) {
        self.backend.received(number);
        self.program.signal("STOP");
        while !has_stopped(self.program.pid()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.go.send(()).unwrap();
        self.backend.finished(number);
        self.program.signal("CONT");
    }

    async fn begin(&self, request: &str) -> Connection {
        let mut connection = Connection::to(self.program.address()).await;
        connection.write(request.as_bytes()).await;
        connection
    }
}

/// Whether each thread of a process has stopped: the signal takes a moment to reach one that runs.
fn has_stopped(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    tasks.flatten().all(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, stat)| stat.starts_with('T'))
    })
}

#[tokio::test]
async fn what_is_broken_at_once_is_a_bad_gateway() {
    for (rest, kind) in [
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhel", "closed"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "closed"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "closed"),
        ("Transfer-Encoding: chunked\r\n\r\n", "closed"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n", "malformed"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", "malformed"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nHost: a\r\n\r\n", "malformed"),
        ("Content-Length: 10\r\n\r\nhello", "closed"),
        ("Content-Length: 10\r\n\r\n", "closed"),
    ] {
        let site = Site::new(format!("HTTP/1.1 200 OK\r\n{rest}"));
        for (number, (method, target)) in [("GET", "/"), ("POST", LEGACY)].into_iter().enumerate() {
            let mut connection =
                site.begin(&String::from_utf8(Request::new(method, target).to_bytes()).unwrap()).await;
            site.answer(number + 1);
            let response = connection.read(method).await;
            assert_eq!(response.status, 502, "{rest:?}");
            assert_eq!(response.json()["error"]["id"], "badGateway", "{rest:?}");
            assert_eq!(response.header("deprecation").is_some(), method == "POST", "{rest:?}");
        }
        let mut client = Client::to(site.program.address()).await;
        client.write(&wire::request(1, "GET")).await;
        site.answer(3);
        assert_eq!(client.verdict(1).await, Verdict::Status(502), "{rest:?}: {:?}", client.seen);
        let program = &site.program;
        assert_eq!(
            program.metric("duskgate_upstream_errors_total", &[("kind", kind)]).await,
            3.0,
            "{rest:?}"
        );
        assert_eq!(program.metric("duskgate_http_requests_total", &[("code", "502")]).await, 3.0);
        assert_eq!(program.metric("duskgate_http_requests_total", &[]).await, 3.0);
        assert_eq!(program.metric("duskgate_deprecated_requests_total", &[("code", "502")]).await, 1.0);
        program.logged(&["WARN", "no answer from", &site.backend.address.to_string()]);
    }
}

#[tokio::test]
async fn what_is_whole_and_closed_at_once_is_the_answer() {
    for (rest, body) in [
        ("Content-Length: 5\r\n\r\nhello", "hello"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!"),
        ("Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""),
        ("\r\nto the end", "to the end"),
        ("\r\n", ""),
    ] {
        let site = Site::new(format!("HTTP/1.1 200 OK\r\n{rest}"));
        let mut connection = site.begin("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        site.answer(1);
        let response = connection.read("GET").await;
        assert_eq!((response.status, response.text().as_str()), (200, body), "{rest:?}");
    }
    let site = Site::new("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".to_owned());
    let mut connection = site.begin("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    site.answer(1);
    assert_eq!(connection.read("HEAD").await.status, 200);
}

/// The proxy's first read holds 8 KiB, and is not looked behind.
#[tokio::test]
async fn what_breaks_behind_the_first_read_reaches_the_client_broken_and_not_as_nothing() {
    let long = "x".repeat(9000);
    for answer in [
        format!("{CHUNKED}2328\r\n{long}\r\nnonsense\r\n"),
        format!("{CHUNKED}2329\r\n{long}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 9001\r\n\r\n{long}"),
    ] {
        let site = Site::new(answer.clone());
        let mut connection = site.begin("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        site.answer(1);
        let (text, end) = connection.rest().await;
        assert_eq!(end, End::Reset, "{text:?}");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("xxx"), "{text:?}");
        assert!(!text.ends_with("\r\n0\r\n\r\n"), "{text:?}");
        site.program.logged(&["WARN", "broke off", &site.backend.address.to_string()]);

        let mut client = Client::to(site.program.address()).await;
        client.write(&wire::request(1, "GET")).await;
        site.answer(2);
        assert_eq!(client.verdict(1).await, Verdict::Status(200), "{:?}", client.seen);
        let reset = client.until(wire::RST_STREAM, 1).await;
        assert_eq!(wire::code(&reset.payload), 2, "INTERNAL_ERROR: {:?}", client.seen);
    }
}

#[tokio::test]
async fn what_breaks_later_is_cut() {
    for (framing, parts) in [
        ("Transfer-Encoding: chunked", ["5\r\nhello\r\n", ""]),
        ("Transfer-Encoding: chunked", ["5\r\nhello", "0\r\n\r\n"]),
        ("Transfer-Encoding: chunked", ["5\r\nhello\r\n", "nonsense\r\n"]),
        ("Content-Length: 10", ["hello", "hell"]),
    ] {
        for version in ["1.1", "1.0"] {
            let (go, let_go) = channel::<()>();
            let let_go = Mutex::new(let_go);
            let backend = Backend::new(move |link: &mut Link| {
                link.request();
                link.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{}", parts[0]));
                let _ = let_go.lock().unwrap().recv_timeout(Duration::from_secs(20));
                link.send(parts[1]);
            });
            let program = Setup::before(backend.address).start();
            let mut connection = Connection::to(program.address()).await;
            connection.write(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n").as_bytes()).await;
            connection.until("hello").await;
            go.send(()).unwrap();
            // An old client that reads to the end must not take it for the end.
            let (text, end) = connection.rest().await;
            assert_eq!(end, End::Reset, "{framing} {parts:?}: {text:?}");
            assert!(!text.ends_with("0\r\n\r\n"), "{framing} {parts:?}: {text:?}");
            program.logged(&["WARN", "broke off", &backend.address.to_string()]);
        }
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
