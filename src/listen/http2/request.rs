//! A request of HTTP/2 as a handler sees it: one of HTTP/1.1 with its body.

use bytes::Bytes;
use h2::RecvStream;
use http::header::TRAILER;
use http::{Request, Version};

use super::incoming::{Fate, Incoming};
use crate::body::Body;
use crate::http1::{Fields, Framing, Refused, translate};
use crate::listen::Limits;

/// Translates a request, its head checked as one of HTTP/1.1 would have been.
///
/// # Errors
///
/// [`Refused`]: what it is answered with.
pub(super) fn of(
    request: Request<RecvStream>,
    limits: &Limits,
    fate: &Fate,
) -> Result<Request<Body>, Refused> {
    let (parts, stream) = request.into_parts();
    let fields = Fields {
        method: parts.method,
        scheme: parts.uri.scheme_str(),
        authority: parts.uri.authority().map(http::uri::Authority::as_str),
        path: parts.uri.path_and_query(),
    };
    let head = translate(&fields, parts.headers, &limits.head)?;
    let length = match head.framing {
        Framing::Length(length) => Some(length),
        _ => None,
    };
    let body = match length {
        None if stream.is_end_stream() => Body::None,
        Some(0) if stream.is_end_stream() => Body::Full(Bytes::new()),
        _ => {
            // Trailers need chunks on the way to the backend.
            let told = length.filter(|_| !head.headers.contains_key(TRAILER));
            Body::stream(Incoming::new(stream, told, limits.client_stall, fate.clone()))
        }
    };
    let mut translated = Request::new(body);
    *translated.method_mut() = head.method;
    *translated.uri_mut() = head.uri;
    *translated.headers_mut() = head.headers;
    *translated.version_mut() = Version::HTTP_2;
    Ok(translated)
}
