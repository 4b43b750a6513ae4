//! Request targets (RFC 9112 section 3.2): which forms are taken, and from which bytes.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, Uri};

use super::{Refused, host};

/// Reads a request target. The origin form for all, the absolute form for all but `*`, the asterisk form for `OPTIONS`.
/// A fragment, a character that RFC 3986 has no place for, user information or an unknown scheme is refused.
pub fn parse(method: &Method, raw: Bytes) -> Result<Uri, Refused> {
    if raw.iter().any(|&byte| !(0x21..=0x7e).contains(&byte) || byte == b'#') {
        return Err(Refused::Target);
    }
    if raw.first() == Some(&b'/') {
        return Uri::from_maybe_shared(raw).map_err(|_| Refused::Target);
    }
    if &raw[..] == b"*" {
        return if method == Method::OPTIONS { Ok(Uri::from_static("*")) } else { Err(Refused::Target) };
    }
    let uri = Uri::from_maybe_shared(raw).map_err(|_| Refused::Target)?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if host::is_valid(authority.as_str().as_bytes()) => {
            with_a_path(uri)
        }
        _ => Err(Refused::Target),
    }
}

/// `http://a?b` has an empty path, which is `/` (RFC 9110 section 4.2.3): as an origin form it needs that slash.
fn with_a_path(uri: Uri) -> Result<Uri, Refused> {
    let Some(query) = uri.path_and_query().map(PathAndQuery::as_str).filter(|target| target.starts_with('?'))
    else {
        return Ok(uri);
    };
    let target = format!("/{query}").parse().map_err(|_| Refused::Target)?;
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).map_err(|_| Refused::Target)
}
