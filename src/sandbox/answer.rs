//! What an operation answers, and how answers look on the wire: cowboy's header fields and Onezone's (contract,
//! sections 1 and 3).

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION,
    SERVER,
};
use http::{Response, StatusCode};
use serde_json::Value;

use super::fault::Fault;
use crate::body::Body;

/// The path under which Onezone's REST API stands.
pub const BASE: &str = "/api/v3/onezone";

/// What an operation answers when it succeeds.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The path under [`BASE`] of what was created.
    pub location: Option<String>,
    pub body: Option<Value>,
}

impl Answer {
    pub fn ok(body: Value) -> Self {
        Answer { status: 200, location: None, body: Some(body) }
    }

    pub fn created(location: Option<String>, body: Option<Value>) -> Self {
        Answer { status: 201, location, body }
    }

    pub fn nothing() -> Self {
        Answer { status: 204, location: None, body: None }
    }

    /// The answer as a response; `domain` completes the location.
    pub fn into_response(self, domain: &str) -> Response<Body> {
        let bytes = self.body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let mut response = rest(json_typed(with_body(self.status, bytes)));
        if let Some(path) = self.location {
            set(&mut response, LOCATION, &format!("https://{domain}{BASE}{path}"));
        }
        response
    }
}

/// An error after content negotiation: it carries a content type.
pub fn error(fault: Fault) -> Response<Body> {
    json_typed(error_before_negotiation(fault))
}

/// An error before content negotiation, which is one of authentication: it carries no content type.
pub fn error_before_negotiation(fault: Fault) -> Response<Body> {
    rest(with_body(fault.status, fault.document().to_string().into_bytes()))
}

/// An answer of the REST handler without a body or a content type.
pub fn empty(status: u16) -> Response<Body> {
    rest(bare(status))
}

/// An answer of the REST handler without a body, after content negotiation.
pub fn empty_json(status: u16) -> Response<Body> {
    json_typed(empty(status))
}

/// The path is known and the method is not one of its own.
pub fn method_not_allowed(allow: &str) -> Response<Body> {
    let mut response = rest(bare(405));
    set(&mut response, ALLOW, allow);
    response
}

/// An answer from outside the REST handler: no body, no content type, no CORS.
pub fn bare(status: u16) -> Response<Body> {
    with_body(status, Vec::new())
}

/// The same with an `allow` or `location` field.
pub fn bare_with(status: u16, name: http::HeaderName, value: &str) -> Response<Body> {
    let mut response = bare(status);
    set(&mut response, name, value);
    response
}

/// Makes this the last response of its connection.
pub fn last(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn with_body(status: u16, bytes: Vec<u8>) -> Response<Body> {
    let empty = bytes.is_empty() && status != 204;
    let mut response = Response::new(Body::Full(Bytes::from(bytes)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(SERVER, HeaderValue::from_static("Cowboy"));
    if empty {
        // Answers to HEAD have it as well.
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    response
}

fn rest(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

fn json_typed(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn set(response: &mut Response<Body>, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
