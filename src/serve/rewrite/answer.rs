//! Answers of the backend, read for what they mean and turned into responses.

use http::header::{
    ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap,
    HeaderValue, LAST_MODIFIED, LOCATION, TRANSFER_ENCODING,
};
use http::{Response, StatusCode};
use serde_json::Value;

use crate::body::Body;
use crate::reply;
use crate::upstream::Answer;

/// The error in an answer in Onezone's envelope; null where it is none.
pub(in crate::serve) fn error(answer: &Answer) -> Value {
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body.get_mut("error").map(Value::take).unwrap_or_default()
}

/// Whether the backend has no such route: a JSON 404 is about a resource, an empty one about the route, and so is 405
/// (contract, section 2).
pub(in crate::serve) fn lacks_route(answer: &Answer) -> bool {
    matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) && answer.body.is_empty()
}

/// Whether a resource does not exist, by the answer of its own route.
pub(in crate::serve) fn says_not_found(answer: &Answer) -> bool {
    answer.status == StatusCode::NOT_FOUND && error(answer)["id"] == "notFound"
}

/// Whether a 401 refuses the credentials as such, whatever they are used for (step 3 of the contract's section 3). A
/// caveat may be refused there or, being about the resource, later.
pub(in crate::serve) fn refuses_credentials(answer: &Answer) -> bool {
    let auth_error = &error(answer)["details"]["authError"]["id"];
    answer.status == StatusCode::UNAUTHORIZED
        && auth_error.is_string()
        && auth_error != "tokenCaveatUnverified"
}

/// Whether a 401 says that there are no credentials, and so that nobody is let in without.
pub(in crate::serve) fn wants_credentials(answer: &Answer) -> bool {
    let error = error(answer);
    answer.status == StatusCode::UNAUTHORIZED && error["id"] == "unauthorized" && error["details"].is_null()
}

/// Whether a 401 refuses credentials that are good for being confined to other calls (step 10). Nobody whose credentials
/// are bad gets so far.
pub(in crate::serve) fn refuses_api_caveat(answer: &Answer) -> bool {
    let auth_error = &error(answer)["details"]["authError"];
    answer.status == StatusCode::UNAUTHORIZED
        && auth_error["id"] == "tokenCaveatUnverified"
        && auth_error["details"]["caveat"]["type"] == "api"
}

/// The answer as it is. Where it redirects to the path that was `called`, it is made to redirect to the caller's own.
pub(in crate::serve) fn pass(answer: Answer, called: &str, own: &str) -> Response<Body> {
    let Answer { status, mut headers, body, .. } = answer;
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    if let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok())
        && status.is_redirection()
        && let Some(origin) = location.strip_suffix(called)
        && let Ok(location) = HeaderValue::try_from(format!("{origin}{own}"))
    {
        headers.insert(LOCATION, location);
    }
    let mut response = Response::new(Body::Full(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A reply of ours with the fields of the backend's answer that are not about its content: `date`, `server`, CORS, and
/// what the deployment sets on all answers.
pub(in crate::serve) fn instead(backend: HeaderMap, mut reply: Response<Body>) -> Response<Body> {
    let own = std::mem::replace(reply.headers_mut(), backend);
    let headers = reply.headers_mut();
    for name in
        [ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, LAST_MODIFIED, LOCATION, TRANSFER_ENCODING]
    {
        headers.remove(name);
    }
    for (name, value) in own.iter().filter(|(name, _)| *name != ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers.insert(name, value.clone());
    }
    reply::stands_for_backend(&mut reply);
    reply
}
