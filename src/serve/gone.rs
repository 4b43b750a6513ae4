//! Mode `gone`: the operation is no longer served, and its callers are told what to use instead.

use http::{HeaderMap, Response};

use crate::body::Body;
use crate::policy::{self, Entry};
use crate::reply;
use crate::route::Call;

/// 410 with the caller's own replacement call in its details.
pub fn answer(entry: &Entry, call: &Call, headers: &HeaderMap) -> Response<Body> {
    reply::gone(policy::directions(entry, call), reply::wants_problem(headers))
}
