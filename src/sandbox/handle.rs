//! One request, in Onezone's order of checks (contract, section 3). Nothing here decides about a particular operation.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{ALLOW, HOST, LOCATION};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::answer::{self, BASE};
use super::fault::{self, Fault};
use super::hooks::{Hooks, locked};
use super::request::{Acceptance, Call, accepts_json, content_type_fits, joined};
use super::routes::{self, Edition, Found, Row};
use super::store::Store;
use super::{auth, users};
use crate::body::Body;
use crate::clock::Clock;
use crate::route;

/// The most bytes of a body (contract, section 5).
const LARGEST_BODY: usize = 8_000_000;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(15);
/// The most bytes of a request line, of a header value, and the most header fields (contract, section 1).
const LONGEST_LINE: usize = 8000;
const LONGEST_VALUE: usize = 4096;
const MOST_FIELDS: usize = 100;

/// What answers requests.
pub struct Onezone {
    pub store: Mutex<Store>,
    pub hooks: Arc<Hooks>,
    pub clock: Clock,
    pub edition: Edition,
}

impl Onezone {
    /// Answers one request.
    pub async fn handle(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Body> {
        let method = request.method().clone();
        let target = request.uri().path_and_query().map_or("", |target| target.as_str());
        self.hooks.record(format!("{method} {target}"));
        if let Some(response) = refused_by_listener(&request, target) {
            return response;
        }
        let Ok(segments) = route::segments(request.uri().path()) else { return answer::bare(400) };
        if segments.len() == 1 && &*segments[0] == b"configuration" {
            return self.configuration(&method);
        }
        let Some(found) = routes::find(self.edition, &segments) else { return no_such_file(&method) };
        if ![Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&method) {
            return answer::last(answer::bare(500));
        }
        let Some(row) = found.row(method.as_str()) else { return answer::method_not_allowed(&found.allow()) };
        let delay = self.hooks.delay_of(&format!("{method} {}", row.path.trim_start_matches(BASE)));
        let response = self.rest(row, found, request, peer).await;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        response
    }

    async fn rest(
        &self,
        row: &Row,
        found: Found,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Response<Body> {
        let now = self.clock.now().as_second();
        let (head, body) = request.into_parts();
        let auth = match auth::authenticate(&mut locked(&self.store), &head.headers, peer, now) {
            Ok(auth) => auth,
            Err(fault) => return answer::error_before_negotiation(fault),
        };
        match accepts_json(&head.headers) {
            Acceptance::Accepted => {}
            Acceptance::Refused => return answer::empty(406),
            Acceptance::Unreadable => return answer::empty(400),
        }
        let writes = ["POST", "PUT", "PATCH"].contains(&row.method);
        if writes && !content_type_fits(&head.headers) {
            return answer::empty_json(415);
        }
        if self.hooks.circuit_breaker_is_open() {
            return answer::error(fault::service_unavailable());
        }
        let data = match writes {
            true => read(body).await,
            false => Ok(json!({})),
        };
        let data = match data {
            Ok(data) => data,
            Err(Unread::Unreadable) => return answer::empty_json(500),
            Err(Unread::Malformed) => return answer::error(fault::malformed_data()),
        };
        let call = Call { auth: &auth, ids: &found.ids, data, now };
        let mut store = locked(&self.store);
        match operate(&mut store, row, &call) {
            Ok(answer) => answer.into_response(&store.domain),
            Err(fault) => answer::error(fault),
        }
    }

    /// The same document as `B/configuration`, outside the REST API.
    fn configuration(&self, method: &Method) -> Response<Body> {
        if method != Method::GET {
            return answer::bare_with(405, ALLOW, "GET");
        }
        let auth = auth::Auth::anonymous(IpAddr::from([0, 0, 0, 0]));
        let call = Call { auth: &auth, ids: &[], data: json!({}), now: 0 };
        let mut store = locked(&self.store);
        match users::configuration(&mut store, &call) {
            Ok(answer) => answer.into_response(&store.domain),
            Err(fault) => answer::error(fault),
        }
    }
}

/// Existence, api caveats, privileges, the form of the body, the operation itself.
fn operate(store: &mut Store, row: &Row, call: &Call) -> Result<answer::Answer, Fault> {
    if !(row.exists)(store, call) {
        return Err(fault::not_found());
    }
    call.auth.check(row.operation(), &row.resource(call))?;
    if !(row.allowed)(store, call) {
        return Err(match call.auth.subject {
            None => fault::unauthorized(),
            Some(_) => fault::forbidden(),
        });
    }
    call.object()?;
    (row.perform)(store, call)
}

/// What the listener answers before it looks for a handler.
fn refused_by_listener(request: &Request<Incoming>, target: &str) -> Option<Response<Body>> {
    let headers: &HeaderMap = request.headers();
    if request.method().as_str().len() + target.len() + " HTTP/1.1".len() + 1 > LONGEST_LINE {
        return Some(answer::last(answer::bare(414)));
    }
    let too_large = headers.len() > MOST_FIELDS || headers.values().any(|value| value.len() > LONGEST_VALUE);
    if too_large {
        return Some(answer::last(answer::bare(431)));
    }
    let host = joined(headers, HOST.as_str())?;
    let bare_host = host.strip_prefix("www.")?;
    Some(answer::bare_with(301, LOCATION, &format!("https://{bare_host}{target}")))
}

/// What cowboy's file handler answers for a file that does not exist.
fn no_such_file(method: &Method) -> Response<Body> {
    const ALLOWED: &str = "HEAD, GET, OPTIONS";
    match method.as_str() {
        "GET" | "HEAD" => answer::bare(404),
        "OPTIONS" => answer::bare_with(200, ALLOW, ALLOWED),
        "POST" | "PUT" | "PATCH" | "DELETE" | "TRACE" | "CONNECT" => answer::bare_with(405, ALLOW, ALLOWED),
        _ => answer::bare(501),
    }
}

enum Unread {
    /// Too large, too slow or cut off.
    Unreadable,
    /// Not JSON.
    Malformed,
}

async fn read(body: Incoming) -> Result<Value, Unread> {
    let collected = Limited::new(body, LARGEST_BODY).collect();
    let bytes = match tokio::time::timeout(BODY_TIME, collected).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        _ => return Err(Unread::Unreadable),
    };
    if bytes.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(&bytes).map_err(|_| Unread::Malformed)
}
