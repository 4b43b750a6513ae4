//! The way to the collector: what becomes of spans where it is slow, busy, gone, changed or on the other side of TLS, and
//! at the end of the program.

use std::time::{Duration, Instant};

use super::{OK, before};
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::collector::Collector;
use crate::support::http::{Connection, Request};
use crate::support::program::{Program, Setup};

const DROPPED: &str = "duskgate_spans_dropped_total";
const PATIENCE: Duration = Duration::from_secs(20);

fn get() -> Request {
    Request::new("GET", "/")
}

async fn dropped_reaches(program: &Program, count: f64) {
    let begin = Instant::now();
    while program.metric(DROPPED, &[]).await < count {
        assert!(begin.elapsed() < PATIENCE, "no {count} are dropped");
    }
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_no_request() {
    let backend = Backend::answering(OK);
    // It takes the connection and the spans, and says nothing.
    let collector = Collector(Backend::new(|link| {
        link.request();
        link.rest();
    }));
    let program = before(&backend, &collector).start();
    let mut connection = Connection::to(program.address()).await;
    assert_eq!(connection.ask(&get()).await.status, 200);
    // From here on the exporter waits, for ten seconds.
    collector.0.received(1);
    let begin = Instant::now();
    for _ in 0..300 {
        assert_eq!(connection.ask(&get()).await.status, 200);
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "requests waited: {:?}", begin.elapsed());
    assert_eq!(collector.0.requests().len(), 1, "the first batch is still on its way");
}

#[tokio::test]
async fn a_busy_collector_gets_the_same_spans_again() {
    let backend = Backend::answering(OK);
    let collector = Collector::after(|link| {
        if link.number == 0 {
            link.request();
            link.send("HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let program = before(&backend, &collector).start();
    program.ask(&get()).await;
    collector.0.received(2);
    let requests = collector.0.requests();
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(program.metric(DROPPED, &[]).await, 0.0);
}

#[tokio::test]
async fn what_a_collector_refuses_is_dropped_and_counted() {
    let backend = Backend::answering(OK);
    let collector = Collector::after(|link| {
        if link.number == 0 {
            link.request();
            link.send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let program = before(&backend, &collector).start();
    assert_eq!(program.metric(DROPPED, &[]).await, 0.0);
    program.ask(&get()).await;
    dropped_reaches(&program, 2.0).await;
    program.logged(&["WARN", "spans are dropped", "400"]);
    // The next ones are taken.
    program.ask(&get()).await;
    assert_eq!(collector.spans(4).len(), 4);
    program.logged(&["INFO", "takes them again"]);
    assert_eq!(program.metric(DROPPED, &[]).await, 2.0);
}

#[tokio::test]
async fn spans_that_a_collector_rejects_in_part_are_counted() {
    let backend = Backend::answering(OK);
    let collector = Collector(Backend::answering(
        "HTTP/1.1 200 OK\r\ncontent-length: 42\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":\"1\"}}  ",
    ));
    let program = before(&backend, &collector).start();
    program.ask(&get()).await;
    dropped_reaches(&program, 1.0).await;
}

#[tokio::test]
async fn an_orderly_stop_sends_what_there_is() {
    let (backend, collector) = (Backend::answering(OK), Collector::new());
    let mut program = before(&backend, &collector).start();
    program.ask(&get()).await;
    program.signal("TERM");
    assert!(program.ended().success());
    assert_eq!(collector.spans(2).len(), 2);
}

#[tokio::test]
async fn a_stop_waits_for_no_collector_beyond_the_drain_time() {
    let backend = Backend::answering(OK);
    let collector = Collector(Backend::new(|link| {
        link.request();
        link.rest();
    }));
    let mut program = before(&backend, &collector).section("[limits]\ndrain = \"1s\"").start();
    program.ask(&get()).await;
    collector.0.received(1);
    let begin = Instant::now();
    program.signal("TERM");
    assert!(program.ended().success());
    assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_reload_turns_it_on_moves_it_and_turns_it_off() {
    let (backend, first, second) = (Backend::answering(OK), Collector::new(), Collector::new());
    let off = Setup::before(backend.address);
    let program = off.start();
    let reload = async |setup: &Setup| {
        program.configure(setup);
        assert_eq!(program.command("/reload").await.status, 200);
    };
    program.ask(&get()).await;
    assert_eq!(backend.request().field("traceparent"), None);

    reload(&off.clone().section(&first.table())).await;
    program.ask(&get()).await;
    assert_eq!(first.spans(2).len(), 2);
    // What was queued for the old one still goes there.
    program.ask(&get()).await;
    reload(&off.clone().section(&second.table())).await;
    program.ask(&get()).await;
    assert_eq!((first.spans(4).len(), second.spans(2).len()), (4, 2));

    reload(&off).await;
    program.ask(&get()).await;
    assert_eq!(backend.requests().pop().unwrap().field("traceparent"), None);
    assert_eq!(program.metric(DROPPED, &[]).await, 0.0);
}

#[tokio::test]
async fn a_collector_behind_tls_is_verified() {
    let backend = Backend::answering(OK);
    for (name, is_trusted) in [("127.0.0.1", true), ("other.example.org", false)] {
        let authority = Authority::new();
        let collector = Collector::tls(authority.server(name));
        let table = collector.table().replace("http://", "https://") + "\nca_file = \"ca.pem\"";
        let setup = Setup::before(backend.address).section(&table).file("ca.pem", authority.pem.as_str());
        let program = setup.start();
        program.ask(&get()).await;
        if is_trusted {
            assert_eq!(collector.spans(2).len(), 2);
        } else {
            collector.0.finished(2);
            assert!(collector.0.requests().is_empty(), "spans went to a stranger");
        }
    }
}
