//! Request targets (RFC 9112 section 3.2): which forms are taken, and from which bytes.

use bytes::Bytes;
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
        (Some("http" | "https"), Some(authority)) if host::is_valid(authority.as_str().as_bytes()) => Ok(uri),
        _ => Err(Refused::Target),
    }
}
