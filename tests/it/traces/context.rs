//! W3C Trace Context: `traceparent` and `tracestate`, in and out.

use super::{OK, PARENT, TRACE, before, traced};
use crate::support::backend::Backend;
use crate::support::collector::Collector;
use crate::support::http::Request;
use crate::support::program::Setup;

#[tokio::test]
async fn without_tracing_a_clients_trace_passes_untouched() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    let good = format!("00-{TRACE}-{PARENT}-01");
    for fields in [
        vec![("traceparent", good.as_str()), ("tracestate", "a=1,b=2"), ("tracestate", "c=3")],
        vec![("traceparent", "no such thing"), ("tracestate", "")],
        vec![("traceparent", good.as_str()), ("traceparent", good.as_str())],
        vec![("tracestate", "a=1")],
        vec![],
    ] {
        let request = Request::new("GET", "/");
        let request = fields.iter().fold(request, |request, (name, value)| request.header(name, value));
        assert_eq!(program.ask(&request).await.status, 200);
        let got = backend.requests().pop().unwrap();
        for name in ["traceparent", "tracestate"] {
            let sent: Vec<&str> =
                fields.iter().filter(|(found, _)| *found == name).map(|(_, value)| *value).collect();
            assert_eq!(got.all(name), sent, "{name}");
        }
    }
    assert_eq!(program.metric("duskgate_spans_dropped_total", &[]).await, 0.0);
}

#[tokio::test]
async fn parents_and_ids_line_up_from_the_client_to_the_backend() {
    let (backend, collector) = (Backend::answering(OK), Collector::new());
    let program = before(&backend, &collector).start();
    let request = traced("GET", "/some/where?token=secret", "01").header("tracestate", "vendor=1, other=2");
    assert_eq!(program.ask(&request).await.status, 200);

    let spans = collector.spans(2);
    let [asking, serving] = &spans[..] else { panic!("two spans: {spans:?}") };
    assert_eq!((serving.trace.as_str(), serving.parent.as_str()), (TRACE, PARENT));
    assert_eq!((&asking.trace, &asking.parent), (&serving.trace, &serving.id));
    let got = backend.request();
    assert_eq!(got.field("traceparent"), Some(asking.to_traceparent().as_str()));
    assert_eq!(got.field("tracestate"), Some("vendor=1, other=2"));
    assert!(serving.begin <= asking.begin && asking.begin <= asking.end && asking.end <= serving.end);
}

#[tokio::test]
async fn what_is_no_trace_begins_one_and_its_state_is_dropped() {
    let (backend, collector) = (Backend::answering(OK), Collector::new());
    let program = before(&backend, &collector).start();
    let good = format!("00-{TRACE}-{PARENT}-01");
    let bad: [&[&str]; 7] = [
        &[],
        &[&good, &good],
        &[&good.to_uppercase()],
        &[&format!("ff{}", &good[2..])],
        &[&format!("{good}-more")],
        &[&good.replace(TRACE, &"0".repeat(32))],
        &[&good.replace(PARENT, &"0".repeat(16))],
    ];
    for (index, fields) in bad.into_iter().enumerate() {
        let request = Request::new("GET", "/").header("tracestate", "a=1");
        let request = fields.iter().fold(request, |request, value| request.header("traceparent", value));
        assert_eq!(program.ask(&request).await.status, 200);
        let spans = collector.spans(2 * index + 2);
        let [.., asking, serving] = &spans[..] else { panic!("two spans: {spans:?}") };
        assert_eq!(serving.parent, "", "{fields:?}");
        assert!(serving.trace != TRACE && asking.trace == serving.trace, "{fields:?}");
        let got = backend.requests().pop().unwrap();
        assert_eq!(got.field("traceparent"), Some(asking.to_traceparent().as_str()), "{fields:?}");
        assert_eq!(got.field("tracestate"), None, "{fields:?}");
    }
}

#[tokio::test]
async fn a_later_version_goes_on_as_ours() {
    let (backend, collector) = (Backend::answering(OK), Collector::new());
    let program = before(&backend, &collector).start();
    let later = format!("cc-{TRACE}-{PARENT}-01-what-comes");
    program.ask(&Request::new("GET", "/").header("traceparent", &later)).await;
    let spans = collector.spans(2);
    assert_eq!((spans[1].trace.as_str(), spans[1].parent.as_str()), (TRACE, PARENT));
    assert_eq!(backend.request().field("traceparent"), Some(spans[0].to_traceparent().as_str()));
}

#[tokio::test]
async fn a_client_that_does_not_record_is_followed() {
    let (backend, collector) = (Backend::answering(OK), Collector::new());
    let program = before(&backend, &collector).start();
    assert_eq!(program.ask(&traced("GET", "/", "00")).await.status, 200);
    let unrecorded = backend.request().field("traceparent").unwrap().to_owned();
    assert!(unrecorded.starts_with(&format!("00-{TRACE}-")) && unrecorded.ends_with("-00"), "{unrecorded}");
    assert!(!unrecorded.contains(PARENT), "the backend's parent is ours");
    // What comes after it is all that is exported.
    program.ask(&Request::new("GET", "/")).await;
    assert!(collector.spans(2).iter().all(|span| span.trace != TRACE));
}

#[tokio::test]
async fn the_ratio_is_of_traces_begun_here() {
    let (backend, collector) = (Backend::answering(OK), Collector::new());
    let table = format!("{}\nsample_ratio = 0", collector.table());
    let program = Setup::before(backend.address).section(&table).start();
    for _ in 0..20 {
        program.ask(&Request::new("GET", "/")).await;
    }
    assert!(backend.requests().iter().all(|got| got.field("traceparent").unwrap().ends_with("-00")));
    program.ask(&traced("GET", "/", "01")).await;
    assert!(collector.spans(2).iter().all(|span| span.trace == TRACE), "the client records");
}

#[tokio::test]
async fn a_request_as_full_as_can_be_goes_without() {
    let (backend, collector) = (Backend::answering(OK), Collector::new());
    let program = before(&backend, &collector).start();
    let request =
        (0..99).fold(Request::new("GET", "/"), |request, number| request.header(&format!("x-{number}"), "y"));
    assert_eq!(program.ask(&request).await.status, 200);
    assert_eq!(backend.request().field("traceparent"), None);
    assert_eq!(backend.request().fields.len(), 100);
}
