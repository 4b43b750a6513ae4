//! Clients that go away before their answer have called all the same: counted once, as 499.

use crate::http2::wire::{self, Client};
use crate::support::backend::{Backend, Link};
use crate::support::http::{Connection, Request};
use crate::support::program::{Program, Setup};
use crate::usage::{call, calls, ledger_of, onezone, recorded, used};

const LEGACY: &str = "/api/v3/onezone/groups/g1/users/token";
const REQUESTS: &str = "duskgate_http_requests_total";
const DEPRECATED: &str = "duskgate_deprecated_requests_total";

/// A backend that never answers.
fn silent() -> Backend {
    Backend::new(|link| while link.request().is_some() {})
}

fn before(backend: &Backend, mode: &str) -> Setup {
    Setup::before(backend.address).deprecation(&format!("mode = {mode:?}"))
}

/// The lines of the access log; the program is stopped in order, so that they are all there.
fn access_lines(program: &mut Program) -> Vec<String> {
    program.signal("TERM");
    program.ended();
    program.log_ended();
    program.log().lines().filter(|line| line.contains(" access: ")).map(str::to_owned).collect()
}

async fn begin(program: &Program, request: &[u8]) -> Connection {
    let mut connection = Connection::to(program.address()).await;
    connection.write(request).await;
    connection
}

#[tokio::test]
async fn a_call_whose_client_closes_or_half_closes_is_counted_and_remembered_once() {
    let onezone = onezone().await;
    for mode in ["observe", "rewrite"] {
        let backend = silent();
        let mut program = before(&backend, mode).start();
        let request = call(&onezone, "anna").to_bytes();
        let closing = begin(&program, &request).await;
        backend.received(1);
        drop(closing);
        let counted =
            [("operation", "create_user_group_invite_token"), ("mode", mode), ("phase", "deprecated")];
        program.reaches(DEPRECATED, &counted, 1.0).await;
        // As `nc -N` does.
        let mut half_closing = begin(&program, &request).await;
        backend.received(2);
        half_closing.finish().await;
        assert_eq!(half_closing.rest().await.0, "", "{mode}");
        program.reaches(DEPRECATED, &counted, 2.0).await;

        assert_eq!(program.metric(DEPRECATED, &[("code", "499")]).await, 2.0, "{mode}");
        assert_eq!(program.metric(REQUESTS, &[("route", "deprecated"), ("code", "499")]).await, 2.0);
        assert_eq!(program.metric(REQUESTS, &[("route", "deprecated")]).await, 2.0, "{mode}");
        let operation = [("operation", "create_user_group_invite_token")];
        let last = program.metric("duskgate_deprecated_last_request_timestamp_seconds", &operation).await;
        assert!(last > 1_600_000_000.0, "{last}");
        let ledger = ledger_of(&program);
        recorded(&*ledger, 2).await;
        let used = used(&*ledger).await;
        let anna = format!("user:{}", onezone.fixture.user("anna").id);
        assert_eq!(used.len(), 1, "{mode}: {used:?}");
        assert_eq!((&*used[0].consumer, used[0].verified, &*used[0].mode), (&*anna, false, mode));
        assert_eq!((used[0].since.refused, used[0].since.calls()), (2, 2), "{mode}");
        // What may have been created is being looked for, and nothing answers.
        drop(backend);
        let lines = access_lines(&mut program);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines.iter().all(|line| line.contains(" status=499 ")), "{lines:?}");
    }
}

#[tokio::test]
async fn so_is_any_other_request() {
    let backend = silent();
    let mut program = before(&backend, "observe").section("[log]\naccess = \"all\"").start();
    let mut connection = begin(&program, &Request::new("GET", "/some").to_bytes()).await;
    backend.received(1);
    connection.finish().await;
    program.reaches(REQUESTS, &[("route", "other"), ("method", "GET"), ("code", "499")], 1.0).await;
    // Another method on a deprecated path.
    let connection = begin(&program, &Request::new("GET", LEGACY).to_bytes()).await;
    backend.received(2);
    drop(connection);
    program.reaches(REQUESTS, &[("route", "other"), ("method", "GET"), ("code", "499")], 2.0).await;
    assert_eq!(program.metric(REQUESTS, &[]).await, 2.0);
    let lines = access_lines(&mut program);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains(" path=/some status=499 "), "{lines:?}");
}

#[tokio::test]
async fn a_stream_that_is_reset_and_one_whose_connection_ends_are_counted() {
    let backend = silent();
    let program = before(&backend, "observe").start();
    let fields =
        |method: &str, path: &str| format!(":method {method}|:scheme http|:path {path}|:authority a");
    let mut received = 0;
    for (metric, method, path) in [(DEPRECATED, "POST", LEGACY), (REQUESTS, "GET", "/some")] {
        let gone: &[_] = if metric == DEPRECATED { &[] } else { &[("route", "other")] };
        let mut client = Client::to(program.address()).await;
        client.write(&wire::request(1, &fields(method, path))).await;
        received += 1;
        backend.received(received);
        client.write(&wire::frame(wire::RST_STREAM, 0, 1, &8u32.to_be_bytes())).await;
        program.reaches(metric, gone, 1.0).await;
        client.write(&wire::request(3, &fields(method, path))).await;
        received += 1;
        backend.received(received);
        drop(client);
        program.reaches(metric, gone, 2.0).await;
        assert_eq!(program.metric(metric, &[&[("code", "499")], gone].concat()).await, 2.0);
    }
    assert_eq!(program.metric(REQUESTS, &[("code", "499")]).await, 4.0);
}

#[tokio::test]
async fn who_leaves_the_queue_has_called() {
    let backend = silent();
    let limits = "[limits]\nconcurrent_requests = 1\nqueue = 9\nqueue_wait = \"60s\"";
    let program = before(&backend, "observe").section(limits).start();
    let _first = begin(&program, &Request::new("GET", "/first").to_bytes()).await;
    backend.received(1);
    for (request, route) in
        [(Request::new("POST", LEGACY), "deprecated"), (Request::new("GET", "/"), "other")]
    {
        let waiting = begin(&program, &request.to_bytes()).await;
        program.reaches("duskgate_http_requests_queued", &[], 1.0).await;
        drop(waiting);
        program.reaches(REQUESTS, &[("route", route), ("code", "499")], 1.0).await;
    }
    assert_eq!(program.metric(DEPRECATED, &[("code", "499"), ("mode", "observe")]).await, 1.0);
    assert_eq!(backend.requests().len(), 1);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_call_and_one_that_is_malformed_is_none() {
    for mode in ["observe", "rewrite"] {
        let backend = Backend::new(|link: &mut Link| {
            link.rest();
        });
        let program = before(&backend, mode).start();
        let head = format!("POST {LEGACY} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n");
        let malformed = format!("{head}Transfer-Encoding: chunked\r\n\r\nnonsense\r\n");
        let mut connection = begin(&program, malformed.as_bytes()).await;
        assert_eq!(connection.read("POST").await.status, 400, "{mode}");
        assert_eq!(program.metric(REQUESTS, &[]).await, 0.0, "{mode}");
        let mut leaving = begin(&program, format!("{head}Content-Length: 9\r\n\r\n{{").as_bytes()).await;
        leaving.finish().await;
        program.reaches(DEPRECATED, &[("mode", mode), ("code", "499")], 1.0).await;
        assert_eq!(program.metric(DEPRECATED, &[]).await, 1.0, "{mode}");
    }
    let backend = Backend::new(|link: &mut Link| {
        link.rest();
    });
    let program = before(&backend, "observe").section("[limits]\nclient_stall = \"200ms\"").start();
    let head = format!("POST {LEGACY} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf");
    assert_eq!(begin(&program, head.as_bytes()).await.read("POST").await.status, 408);
    assert_eq!(program.metric(DEPRECATED, &[("code", "408")]).await, 1.0);
    assert_eq!(program.metric(DEPRECATED, &[]).await, 1.0);
}

#[tokio::test]
async fn who_leaves_amid_the_answer_is_counted_once_by_its_status() {
    let backend = Backend::new(|link: &mut Link| {
        link.request();
        link.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        link.rest();
    });
    let mut program = before(&backend, "observe").start();
    let mut connection = begin(&program, &Request::new("POST", LEGACY).to_bytes()).await;
    connection.until("half").await;
    drop(connection);
    backend.finished(1);
    let mut client = Client::to(program.address()).await;
    let fields = format!(":method POST|:scheme http|:path {LEGACY}|:authority a");
    client.write(&wire::request(1, &fields)).await;
    client.until(wire::DATA, 1).await;
    drop(client);
    backend.finished(2);
    assert_eq!(program.metric(DEPRECATED, &[("code", "200")]).await, 2.0);
    assert_eq!(program.metric(REQUESTS, &[]).await, 2.0);
    let lines = access_lines(&mut program);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(calls(&used(&*ledger_of(&program)).await), 2);
}

#[tokio::test]
async fn a_call_that_a_stop_cuts_off_is_remembered() {
    let backend = silent();
    let mut program = before(&backend, "observe").section("[limits]\ndrain = \"200ms\"").start();
    let connection = begin(&program, &Request::new("POST", LEGACY).to_bytes()).await;
    backend.received(1);
    let lines = access_lines(&mut program);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(" status=499 "), "{lines:?}");
    assert_eq!(calls(&used(&*ledger_of(&program)).await), 1);
    drop(connection);
}
