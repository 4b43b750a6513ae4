//! Spans as OTLP writes them: the JSON form of its protocol buffers, in which ids are hex digits, 64-bit numbers are
//! strings and enumerations are numbers (OTLP 1.x, "JSON Protobuf Encoding").

use serde_json::{Value as Json, json};

use super::span::{Ended, Kind, Value};

/// The body of a request that exports these spans.
pub(super) fn request(spans: &[Ended], service_name: &str) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [
        attribute("service.name", &json!({ "stringValue": service_name })),
        attribute("service.version", &json!({ "stringValue": version })),
    ];
    let scope = json!({ "name": "duskgate", "version": version });
    let spans: Vec<Json> = spans.iter().map(span).collect();
    let body = json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": scope, "spans": spans }],
    }] });
    body.to_string().into_bytes()
}

/// How many of the spans the collector says it has refused, in an answer of success.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let answer: Json = serde_json::from_slice(answer).unwrap_or_default();
    match &answer["partialSuccess"]["rejectedSpans"] {
        Json::String(text) => text.parse().unwrap_or(0),
        other => other.as_u64().unwrap_or(0),
    }
}

fn span(span: &Ended) -> Json {
    // SPAN_FLAGS: sampled; whether the parent is remote is known; it is.
    let flags = 1 | 0x100 | if span.kind == Kind::Server && span.parent.is_some() { 0x200 } else { 0 };
    let mut json = json!({
        "traceId": span.trace.to_hex(),
        "spanId": span.id.to_hex(),
        "flags": flags,
        "name": span.name,
        "kind": match span.kind { Kind::Server => 2, Kind::Client => 3 },
        "startTimeUnixNano": span.begin.to_string(),
        "endTimeUnixNano": span.end.to_string(),
        "attributes": span.attributes.iter().map(|(key, value)| attribute(key, &typed(value))).collect::<Vec<_>>(),
        // STATUS_CODE_ERROR, or unset.
        "status": if span.is_error { json!({ "code": 2 }) } else { json!({}) },
    });
    if let Some(parent) = span.parent {
        json["parentSpanId"] = parent.to_hex().into();
    }
    json
}

fn attribute(key: &str, value: &Json) -> Json {
    json!({ "key": key, "value": value })
}

fn typed(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!({ "stringValue": text }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
    }
}
