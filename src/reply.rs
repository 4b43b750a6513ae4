//! Answers that Duskgate writes itself, and the only place that picks their status: Onezone's error envelope (contract,
//! section 6), or RFC 9457 for who asks for it. It does not log, and knows no operation.

pub mod token;
pub mod value;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CACHE_CONTROL, CONTENT_TYPE,
    HeaderMap, HeaderValue, RETRY_AFTER,
};
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::body::{Body, Broken};

/// Why a call got no answer of the backend's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection to any backend: 503 `backendUnreachable`.
    BackendUnreachable,
    /// The backend broke off or answered nonsense: 502 `badGateway`.
    BadGateway {
        /// What exactly, where a caller can use it: `details.cause`.
        cause: Option<&'static str>,
    },
    /// The backend was too slow: 504 `backendTimeout`.
    BackendTimeout,
    /// The request has come back to us: 508 `loopDetected`.
    Loop,
    /// The ledger of our own tokens cannot be read or written: 503 `ledgerUnavailable`.
    LedgerAway,
    /// Too many requests at once: 503 `overloaded`.
    Overloaded {
        /// Whole seconds after which to try again: `Retry-After`.
        retry_after: u32,
    },
    /// Our own fault: 500 `internalServerError`.
    Internal,
}

impl Failure {
    /// The status that a caller sees.
    pub fn status(self) -> StatusCode {
        match self {
            Failure::BackendUnreachable | Failure::LedgerAway | Failure::Overloaded { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Failure::BadGateway { .. } => StatusCode::BAD_GATEWAY,
            Failure::BackendTimeout => StatusCode::GATEWAY_TIMEOUT,
            Failure::Loop => StatusCode::LOOP_DETECTED,
            Failure::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The id in the envelope.
    pub fn id(self) -> &'static str {
        match self {
            Failure::BackendUnreachable => "backendUnreachable",
            Failure::BadGateway { .. } => "badGateway",
            Failure::BackendTimeout => "backendTimeout",
            Failure::Loop => "loopDetected",
            Failure::LedgerAway => "ledgerUnavailable",
            Failure::Overloaded { .. } => "overloaded",
            Failure::Internal => "internalServerError",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Failure::BackendUnreachable => {
                "The service behind this address cannot be reached. Please try again later."
            }
            Failure::BadGateway { cause: Some(TOKEN_API_MISSING) } => {
                "The service behind this address lacks the newer API that this operation needs."
            }
            Failure::BadGateway { cause: Some(SERVICE_TOKEN_REFUSED) } => {
                "The service behind this address does not let this proxy do its part of the operation."
            }
            Failure::BadGateway { .. } => {
                "The service behind this address broke off its answer or gave one that could not be understood."
            }
            Failure::BackendTimeout => {
                "The service behind this address did not answer in time. The request may still have taken effect."
            }
            Failure::Loop => {
                "This request has passed through this proxy before: the service behind this address leads back to it."
            }
            Failure::LedgerAway => {
                "The ledger of tokens that were issued here is out of reach. Please try again later."
            }
            Failure::Overloaded { .. } => "There are too many requests at once. Please try again later.",
            Failure::Internal => "The server has encountered an error while processing this request.",
        }
    }
}

/// The cause of a `badGateway` where the backend lacks the newer token API.
pub const TOKEN_API_MISSING: &str = "tokenApiMissing";
/// The cause of a `badGateway` where the backend refuses the service token what it is needed for.
pub const SERVICE_TOKEN_REFUSED: &str = "serviceTokenRefused";

/// The answer to a call that failed. It carries the failure as an extension, so that directions can be added where the
/// operation is known.
pub fn failure(failure: &Failure, wants_problem: bool) -> Response<Body> {
    let mut response = failure_with(failure, json!({}), wants_problem);
    if response.headers().contains_key(RETRY_AFTER) {
        // For scripts of other origins, who may read it only where it is named.
        let names = HeaderValue::from_static("Retry-After");
        response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, names);
    }
    response.extensions_mut().insert(*failure);
    response
}

/// The answer to a call of a deprecated operation that failed, with directions in its details.
pub fn failure_with(failure: &Failure, mut details: Value, wants_problem: bool) -> Response<Body> {
    if let Failure::BadGateway { cause: Some(cause) } = failure {
        details["cause"] = json!(cause);
    }
    let details = details.as_object().is_some_and(|details| !details.is_empty()).then_some(details);
    let error = Error::new(failure.id(), failure.description(), details);
    let mut response = own(failure.status(), error, wants_problem);
    if let Failure::Overloaded { retry_after } = failure {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*retry_after));
    }
    response
}

/// The code under which a request is counted whose client has gone away before its answer. It is never sent; nginx
/// has the same for it.
pub const CLIENT_GONE: u16 = 499;

/// The answer to a request whose body broke. It was not heard to its end, so nothing of this is sent: the connection to
/// the client knows what was wrong, and answers or not.
pub fn unheard(broken: &Broken) -> Response<Body> {
    let mut response = empty(StatusCode::BAD_REQUEST);
    response.extensions_mut().insert(Unheard(match broken {
        Broken::Closed(_) => Some(CLIENT_GONE),
        Broken::Stalled => Some(StatusCode::REQUEST_TIMEOUT.as_u16()),
        Broken::Malformed(_) | Broken::TooLarge(_) => None,
    }));
    response
}

/// The code under which a request with this answer is counted; none where it was malformed, and so no request.
pub fn counted_as(response: &Response<Body>) -> Option<u16> {
    match response.extensions().get::<Unheard>() {
        None => Some(response.status().as_u16()),
        Some(Unheard(code)) => *code,
    }
}

/// Whether this answers a request that was not heard to its end.
pub fn is_unheard(response: &Response<Body>) -> bool {
    response.extensions().get::<Unheard>().is_some()
}

/// With the code that is counted instead of the status.
#[derive(Clone, Copy)]
struct Unheard(Option<u16>);

/// Says that this answer of ours stands for one that the backend gave to the same credentials.
pub fn stands_for_backend(response: &mut Response<Body>) {
    response.extensions_mut().remove::<Ours>();
}

/// Whether an answer was made here, without one of the backend that it stands for.
pub fn is_ours(response: &Response<Body>) -> bool {
    response.extensions().get::<Ours>().is_some()
}

#[derive(Clone, Copy)]
struct Ours;

/// 410 `operationGone` with directions in its details. It must not be cached, lest it outlive a change of mind.
pub fn gone(details: Value, wants_problem: bool) -> Response<Body> {
    let description = "This operation is no longer available. The details say what to use instead.";
    let error = Error::new("operationGone", description, Some(details));
    let mut response = own(StatusCode::GONE, error, wants_problem);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer in Onezone's envelope.
pub fn onezone(status: StatusCode, id: &str, description: &str, details: Option<Value>) -> Response<Body> {
    own(status, Error::new(id, description, details), false)
}

/// An error as it stands inside an envelope's details: `authError`, `tokenError`.
pub fn nested(id: &str, description: &str, details: Option<Value>) -> Value {
    let mut error = json!({ "id": id, "description": description });
    if let Some(details) = details {
        error["details"] = details;
    }
    error
}

/// Onezone's 404 for a resource that does not exist.
pub fn not_found() -> Response<Body> {
    onezone(StatusCode::NOT_FOUND, "notFound", "The resource could not be found.", None)
}

/// Onezone's 403.
pub fn forbidden() -> Response<Body> {
    let description = "You are not authorized to perform this operation.";
    onezone(StatusCode::FORBIDDEN, "forbidden", description, None)
}

/// Onezone's 401 to a caller without credentials.
pub fn unauthorized() -> Response<Body> {
    let description = "You must authenticate yourself to perform this operation.";
    onezone(StatusCode::UNAUTHORIZED, "unauthorized", description, None)
}

/// Onezone's 401 to credentials that were understood but do not allow this call (step 10 of the contract's section
/// 3, hence with a content type; the answer to bad credentials is the backend's own and has none).
pub fn unauthorized_because(auth_error: Value) -> Response<Body> {
    let description = "Provided authentication is not valid (see details).";
    let details = json!({ "authError": auth_error });
    onezone(StatusCode::UNAUTHORIZED, "unauthorized", description, Some(details))
}

/// Onezone's 400 to a body that is no JSON, or no object.
pub fn malformed_data() -> Response<Body> {
    let description = "Provided data could not be understood by the server.";
    onezone(StatusCode::BAD_REQUEST, "malformedData", description, None)
}

/// Onezone's 400 to a value that is not in the form of its key.
pub fn bad_data(key: &str) -> Response<Body> {
    let description = format!(
        "Bad value: provided \"{key}\" has an invalid format or is incomprehensible in the context of this operation."
    );
    onezone(StatusCode::BAD_REQUEST, "badData", &description, Some(json!({ "key": key })))
}

/// A bare status: `content-length: 0` and nothing else.
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Full(Bytes::new()));
    *response.status_mut() = status;
    response.extensions_mut().insert(Ours);
    response
}

/// A bare status as Onezone gives it on a REST route: readable from any origin, and with a content type although there
/// is no content once the type is negotiated. 406 and 400 (an `Accept` that cannot be read) are that negotiation's
/// failures and come before it; cowboy sets the header after.
pub fn empty_on_route(status: StatusCode) -> Response<Body> {
    let mut response = empty(status);
    if !matches!(status, StatusCode::NOT_ACCEPTABLE | StatusCode::BAD_REQUEST) {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// 405 as Onezone gives it on a path that has a route: methods in alphabetical order, with comma and space.
pub fn method_not_allowed(allow: &str) -> Response<Body> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Ok(allow) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// Whether a request asks for problem details (RFC 9457) by naming their media type in `Accept`, and not rather for
/// plain JSON by a higher weight.
pub fn wants_problem(headers: &HeaderMap) -> bool {
    // Hardly any request does, and each is asked: its media type has a plus.
    if !headers.get_all(ACCEPT).iter().any(|value| value.as_bytes().contains(&b'+')) {
        return false;
    }
    let mut problem = 0.0;
    let mut json: f32 = 0.0;
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in ranges.flat_map(|value| value.split(',')) {
        let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
        match name.trim() {
            name if name.eq_ignore_ascii_case(PROBLEM) => problem = weight(parameters),
            name if name.eq_ignore_ascii_case(JSON) => json = weight(parameters),
            _ => {}
        }
    }
    problem > 0.0 && problem >= json
}

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// `q` (RFC 9110, section 12.4.2); one that cannot be read counts as absent.
fn weight(parameters: &str) -> f32 {
    let q = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let q = q.filter(|(name, _)| name.trim().eq_ignore_ascii_case("q")).map(|(_, value)| value.trim()).next();
    q.and_then(|value| value.parse().ok()).unwrap_or(1.0)
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    id: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

/// RFC 9457. Its `type` is `about:blank`, so that the title is the status in words (section 4.2.1); what tells causes
/// apart is `id`, as in the envelope.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

impl<'a> Error<'a> {
    fn new(id: &'a str, description: &'a str, details: Option<Value>) -> Self {
        Error { id, description, details }
    }
}

fn own(status: StatusCode, error: Error<'_>, wants_problem: bool) -> Response<Body> {
    let (media_type, text) = if wants_problem {
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: error.description,
            id: error.id,
            details: error.details,
        };
        (PROBLEM, serde_json::to_vec(&problem))
    } else {
        (JSON, serde_json::to_vec(&Envelope { error }))
    };
    let text = text.expect("this cannot fail because these are strings and JSON values");
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response.extensions_mut().insert(Ours);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Caveat, Interface};

    fn text(response: Response<Body>) -> String {
        match response.into_body() {
            Body::Full(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn headers(response: &Response<Body>) -> Vec<String> {
        response
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect()
    }

    #[test]
    fn a_failure_is_an_error_in_onezones_envelope() {
        let response = failure(&Failure::BackendUnreachable, false);
        assert_eq!(response.status(), 503);
        assert_eq!(headers(&response), ["content-type: application/json", "access-control-allow-origin: *"]);
        assert_eq!(
            text(response),
            r#"{"error":{"id":"backendUnreachable","description":"The service behind this address cannot be reached. Please try again later."}}"#
        );
    }

    #[test]
    fn each_cause_has_its_status_and_id() {
        for (cause, status, id) in [
            (Failure::BackendUnreachable, 503, "backendUnreachable"),
            (Failure::BadGateway { cause: None }, 502, "badGateway"),
            (Failure::BackendTimeout, 504, "backendTimeout"),
            (Failure::LedgerAway, 503, "ledgerUnavailable"),
            (Failure::Internal, 500, "internalServerError"),
        ] {
            let response = failure(&cause, false);
            assert_eq!(response.status(), status);
            let body: Value = serde_json::from_str(&text(response)).unwrap();
            assert_eq!(body["error"]["id"], id);
            assert!(body["error"].get("details").is_none());
        }
        let response = failure(&Failure::BadGateway { cause: Some(TOKEN_API_MISSING) }, false);
        let body: Value = serde_json::from_str(&text(response)).unwrap();
        assert_eq!(body["error"]["details"], json!({"cause": "tokenApiMissing"}));
    }

    #[test]
    fn gone_carries_its_directions_and_is_not_cached() {
        let response = gone(json!({"operation": "x"}), false);
        assert_eq!(response.status(), 410);
        assert_eq!(
            headers(&response),
            ["content-type: application/json", "access-control-allow-origin: *", "cache-control: no-store"]
        );
        assert_eq!(
            text(response),
            r#"{"error":{"id":"operationGone","description":"This operation is no longer available. The details say what to use instead.","details":{"operation":"x"}}}"#
        );
    }

    #[test]
    fn who_asks_for_problem_details_gets_them() {
        let response = gone(json!({"operation": "x"}), true);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(
            text(response),
            r#"{"type":"about:blank","title":"Gone","status":410,"detail":"This operation is no longer available. The details say what to use instead.","id":"operationGone","details":{"operation":"x"}}"#
        );
    }

    #[test]
    fn asking_for_problem_details_is_naming_them() {
        let asks = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT, HeaderValue::from_str(value).unwrap());
            }
            wants_problem(&headers)
        };
        assert!(asks(&["application/problem+json"]));
        assert!(asks(&["text/html, Application/Problem+JSON ; q=0.5"]));
        assert!(asks(&["application/json", "application/problem+json"]));
        assert!(asks(&["application/json;q=0.2, application/problem+json;q=0.9"]));
        assert!(!asks(&["application/json, application/problem+json;q=0.9"]));
        assert!(!asks(&["application/problem+json; q=0"]));
        assert!(!asks(&["*/*"]));
        assert!(!asks(&["application/*", "application/json"]));
        assert!(!asks(&[]));
    }

    #[test]
    fn onezones_own_errors_read_as_onezone_writes_them() {
        assert_eq!(
            text(not_found()),
            r#"{"error":{"id":"notFound","description":"The resource could not be found."}}"#
        );
        assert_eq!(
            text(forbidden()),
            r#"{"error":{"id":"forbidden","description":"You are not authorized to perform this operation."}}"#
        );
        assert_eq!(
            text(unauthorized()),
            r#"{"error":{"id":"unauthorized","description":"You must authenticate yourself to perform this operation."}}"#
        );
        assert_eq!(
            text(malformed_data()),
            r#"{"error":{"id":"malformedData","description":"Provided data could not be understood by the server."}}"#
        );
        let because = "unverified interface caveat: this token can only be used in the 'graphsync' interface";
        let caveat = Caveat::Interface(Interface::Graphsync);
        let response = token::caveat_unverified(&caveat).unauthorized();
        let caveat = caveat.to_json();
        assert_eq!(response.status(), 401);
        assert_eq!(headers(&response), ["content-type: application/json", "access-control-allow-origin: *"]);
        let body: Value = serde_json::from_str(&text(response)).unwrap();
        assert_eq!(
            body,
            json!({"error": {
                "id": "unauthorized",
                "description": "Provided authentication is not valid (see details).",
                "details": {"authError": {
                    "id": "tokenCaveatUnverified",
                    "description": format!("Provided token is not valid - {because}."),
                    "details": {"caveat": caveat},
                }},
            }})
        );
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones_and_nothing_else() {
        let response = method_not_allowed("GET, POST");
        assert_eq!(response.status(), 405);
        assert_eq!(headers(&response), ["access-control-allow-origin: *", "allow: GET, POST"]);
        assert_eq!(text(response), "");
        let refused = empty_on_route(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(headers(&refused), ["content-type: application/json", "access-control-allow-origin: *"]);
        assert_eq!(headers(&empty_on_route(StatusCode::NOT_ACCEPTABLE)), ["access-control-allow-origin: *"]);
        assert!(headers(&empty(StatusCode::INTERNAL_SERVER_ERROR)).is_empty());
    }
}
