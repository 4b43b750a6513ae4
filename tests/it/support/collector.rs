//! A collector of spans that speaks OTLP/HTTP, in its JSON form: it decodes what it gets, and refuses what is none.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rustls::ServerConfig;
use serde_json::Value;

use super::backend::{Backend, Link, Received};

const TAKEN: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// A collector; stops when it is dropped.
pub struct Collector(pub Backend);

/// A span as it was exported.
#[derive(Clone, Debug)]
pub struct Span {
    pub name: String,
    pub kind: u64,
    pub trace: String,
    pub id: String,
    /// Empty where there is none.
    pub parent: String,
    pub begin: u64,
    pub end: u64,
    pub is_error: bool,
    /// Each value as text.
    pub attributes: BTreeMap<String, String>,
    /// Those of what made it.
    pub resource: BTreeMap<String, String>,
}

pub const SERVER: u64 = 2;
pub const CLIENT: u64 = 3;

impl Collector {
    pub fn new() -> Self {
        Collector(Backend::answering(TAKEN))
    }

    pub fn tls(config: ServerConfig) -> Self {
        Collector(Backend::tls(config, |link| {
            while link.request().is_some() {
                link.send(TAKEN)
            }
        }))
    }

    /// One that does this first on each connection.
    pub fn after(first: impl Fn(&mut Link) + Send + Sync + 'static) -> Self {
        Collector(Backend::new(move |link| {
            first(link);
            while link.request().is_some() {
                link.send(TAKEN);
            }
        }))
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The table of a configuration that exports to it.
    pub fn table(&self) -> String {
        format!("[tracing]\notlp_endpoint = \"http://{}\"", self.address())
    }

    /// Waits until there are so many spans, and returns all of them.
    #[track_caller]
    pub fn spans(&self, count: usize) -> Vec<Span> {
        loop {
            let requests = self.0.requests();
            let spans: Vec<Span> = requests.iter().flat_map(spans_of).collect();
            if spans.len() >= count {
                return spans;
            }
            self.0.received(requests.len() + 1);
        }
    }

    /// Everything that it was sent.
    pub fn text(&self) -> String {
        self.0.requests().iter().map(Received::text).collect()
    }
}

impl Span {
    #[track_caller]
    pub fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).unwrap_or_else(|| panic!("no {key} in {self:?}"))
    }

    /// As a child of this span says it in `traceparent`.
    pub fn to_traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.id)
    }
}

#[track_caller]
fn spans_of(request: &Received) -> Vec<Span> {
    assert_eq!(request.line, "POST /v1/traces HTTP/1.1");
    assert_eq!(request.field("content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    let mut found = Vec::new();
    for of_resource in list(&body["resourceSpans"]) {
        let resource = attributes(&of_resource["resource"]["attributes"]);
        for of_scope in list(&of_resource["scopeSpans"]) {
            assert_eq!(of_scope["scope"]["name"], "duskgate");
            found.extend(list(&of_scope["spans"]).iter().map(|json| span_of(json, &resource)));
        }
    }
    found
}

#[track_caller]
fn span_of(json: &Value, resource: &BTreeMap<String, String>) -> Span {
    let hex = |key: &str, length: usize| {
        let text = json[key].as_str().unwrap_or_default().to_owned();
        let is_hex = text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(is_hex || length == 16 && key == "parentSpanId" && json[key].is_null(), "{key} in {json}");
        text
    };
    let number = |key: &str| json[key].as_str().expect("64 bits are text").parse().expect("a number");
    Span {
        name: json["name"].as_str().expect("a name").to_owned(),
        kind: json["kind"].as_u64().expect("a kind"),
        trace: hex("traceId", 32),
        id: hex("spanId", 16),
        parent: hex("parentSpanId", 16),
        begin: number("startTimeUnixNano"),
        end: number("endTimeUnixNano"),
        is_error: json["status"]["code"] == 2,
        attributes: attributes(&json["attributes"]),
        resource: resource.clone(),
    }
}

#[track_caller]
fn attributes(json: &Value) -> BTreeMap<String, String> {
    let pairs = list(json).iter().map(|pair| {
        let value = &pair["value"];
        let text = value["stringValue"].as_str().or(value["intValue"].as_str()).expect("a value");
        (pair["key"].as_str().expect("a key").to_owned(), text.to_owned())
    });
    pairs.collect()
}

#[track_caller]
fn list(json: &Value) -> &[Value] {
    json.as_array().unwrap_or_else(|| panic!("no list: {json}"))
}
