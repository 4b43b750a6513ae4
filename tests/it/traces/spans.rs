//! What a span says, and what never stands in one.

use serde_json::json;

use super::{OK, PARENT, TRACE, before, traced};
use crate::support::backend::Backend;
use crate::support::collector::{CLIENT, Collector, SERVER, Span};
use crate::support::http::{Connection, Request};
use crate::support::program::Setup;

fn attributes(span: &Span) -> Vec<String> {
    span.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

#[tokio::test]
async fn a_proxied_request_has_these_attributes_and_no_path() {
    let (backend, collector) = (Backend::answering(OK), Collector::new());
    let program = before(&backend, &collector).start();
    let request = traced("GET", "/user/client_tokens/secret?token=secret", "01").token("secret");
    program.ask(&request.header("user-agent", "secret").header("tracestate", "a=secret")).await;
    let spans = collector.spans(2);
    assert_eq!((spans[0].name.as_str(), spans[0].kind, spans[0].is_error), ("GET", CLIENT, false));
    assert_eq!(
        attributes(&spans[0]),
        [
            "http.request.method=GET".to_owned(),
            "http.response.status_code=200".to_owned(),
            "server.address=127.0.0.1".to_owned(),
            format!("server.port={}", backend.address.port()),
        ]
    );
    assert_eq!((spans[1].name.as_str(), spans[1].kind, spans[1].is_error), ("GET", SERVER, false));
    assert_eq!(
        attributes(&spans[1]),
        [
            "http.request.method=GET",
            "http.response.status_code=200",
            "network.protocol.version=1.1",
            "url.scheme=http"
        ]
    );
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let resource = [("service.name", "duskgate".to_owned()), ("service.version", version)];
    assert_eq!(spans[1].resource, resource.map(|(key, value)| (key.to_owned(), value)).into());
    assert!(!collector.text().contains("secret"), "{}", collector.text());
}

#[tokio::test]
async fn each_request_of_a_rewritten_call_is_a_child() {
    let backend = Backend::with(|request| {
        let (status, body) = match request.line.split(' ').next() {
            Some("POST") => ("201 Created", json!({ "tokenId": "secretid", "token": "secrettoken" })),
            _ => ("200 OK", json!({ "name": "secretgroup" })),
        };
        let body = body.to_string();
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    });
    let collector = Collector::new();
    let table = format!("{}\nservice_name = \"gate\"", collector.table());
    let program = Setup::before(backend.address).section(&table).start();
    let request = traced("POST", "/api/v3/onezone/groups/secretgroup/users/token", "01").token("secret");
    let response = program.ask(&request.header("tracestate", "vendor=1")).await;
    assert_eq!((response.status, response.json()), (200, json!({ "token": "secrettoken" })));

    let asked = backend.requests();
    assert!(asked.len() > 1, "{asked:?}");
    let spans = collector.spans(asked.len() + 1);
    let serving = spans.iter().find(|span| span.kind == SERVER).unwrap();
    assert_eq!(serving.name, "POST /api/v3/onezone/groups/{id}/users/token");
    for (key, value) in [
        ("http.route", "/api/v3/onezone/groups/{id}/users/token"),
        ("http.response.status_code", "200"),
        ("duskgate.operation", "create_user_group_invite_token"),
        ("duskgate.mode", "rewrite"),
        ("duskgate.phase", "deprecated"),
    ] {
        assert_eq!(serving.attribute(key), value);
    }
    assert_eq!(serving.resource["service.name"], "gate");
    for got in &asked {
        let parent = got.field("traceparent").unwrap();
        let child = spans.iter().find(|span| span.to_traceparent() == parent);
        assert_eq!(child.map(|child| (child.kind, &child.parent)), Some((CLIENT, &serving.id)), "{got:?}");
        assert_eq!(got.field("tracestate"), Some("vendor=1"));
    }
    assert!(!collector.text().contains("secret"), "{}", collector.text());
}

#[tokio::test]
async fn a_request_that_is_sent_again_has_a_span_each_time() {
    let backend = Backend::new(|link| {
        link.request();
        link.send(OK);
        // Read, and closed without an answer.
        link.request();
    });
    let collector = Collector::new();
    let program = before(&backend, &collector).start();
    program.ask(&Request::new("GET", "/")).await;
    let first = collector.spans(2);
    assert_eq!(first.len(), 2);
    program.ask(&Request::new("GET", "/")).await;
    let spans = collector.spans(5);
    let [lost, again, serving] = &spans[2..] else { panic!("three more spans: {spans:?}") };
    assert_eq!((lost.is_error, lost.attribute("error.type")), (true, "closed"));
    assert_eq!(again.attribute("http.request.resend_count"), "1");
    assert!(!lost.attributes.contains_key("http.request.resend_count"));
    assert_eq!((&lost.parent, &again.parent), (&serving.id, &serving.id));
    let sent: Vec<_> =
        backend.requests().iter().map(|got| got.field("traceparent").unwrap().to_owned()).collect();
    assert_eq!(sent[1..], [lost.to_traceparent(), again.to_traceparent()]);
}

#[tokio::test]
async fn a_backend_that_is_away_is_an_error_of_both() {
    let (nobody, collector) = (std::net::TcpListener::bind("127.0.0.1:0").unwrap(), Collector::new());
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let program = Setup::before(address).section(&collector.table()).start();
    assert_eq!(program.ask(&Request::new("GET", "/")).await.status, 503);
    let spans = collector.spans(2);
    assert_eq!((spans[0].is_error, spans[0].attribute("error.type")), (true, "connect"));
    assert_eq!(spans[0].attribute("server.port"), address.port().to_string());
    assert_eq!((spans[1].is_error, spans[1].attribute("error.type")), (true, "503"));
    assert_eq!(spans[1].attribute("http.response.status_code"), "503");
}

#[tokio::test]
async fn a_refusal_is_an_error_of_who_asked_and_not_of_who_answered() {
    let backend = Backend::answering("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    let collector = Collector::new();
    let program = before(&backend, &collector).start();
    program.ask(&Request::new("FANCY", "/")).await;
    let spans = collector.spans(2);
    assert_eq!((spans[0].is_error, spans[0].attribute("error.type")), (true, "404"));
    assert!(!spans[1].is_error && !spans[1].attributes.contains_key("error.type"), "{spans:?}");
    // What a client makes up is not repeated.
    assert_eq!((spans[1].name.as_str(), spans[1].attribute("http.request.method")), ("HTTP", "_OTHER"));
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_spans() {
    let backend = Backend::new(|link| {
        link.request();
        link.rest();
    });
    let collector = Collector::new();
    let program = before(&backend, &collector).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(&Request::new("GET", "/").to_bytes()).await;
    backend.received(1);
    drop(connection);
    let spans = collector.spans(2);
    for span in &spans {
        assert_eq!((span.is_error, span.attribute("error.type")), (true, "cancelled"));
        assert!(!span.attributes.contains_key("http.response.status_code"));
    }
}

#[tokio::test]
async fn a_stream_of_http_2_is_a_request_like_any_other() {
    let (backend, collector) = (Backend::answering(OK), Collector::new());
    let program = before(&backend, &collector).start();
    let stream = tokio::net::TcpStream::connect(program.address()).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://onezone.example.com/")
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .body(())
        .unwrap();
    let (answer, _) = sender.ready().await.unwrap().send_request(request, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    let spans = collector.spans(2);
    assert_eq!((spans[1].trace.as_str(), spans[1].parent.as_str()), (TRACE, PARENT));
    assert_eq!(spans[1].attribute("network.protocol.version"), "2");
    assert_eq!(backend.request().field("traceparent"), Some(spans[0].to_traceparent().as_str()));
    connection.abort();
}
