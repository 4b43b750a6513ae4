//! The header fields of a deprecated operation's answer, whoever made it and whatever its status.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, HeaderMap,
    HeaderName, HeaderValue, LINK, RETRY_AFTER,
};
use jiff::Timestamp;

use super::Entry;
use crate::route::Call;

/// RFC 9745.
pub const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
/// RFC 8594.
pub const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// Dresses an answer. Doing it twice is the same as doing it once.
///
/// - `Deprecation` and `Sunset` replace what the backend sent; without a sunset date the backend's own stays.
/// - Each link is a `Link` line of its own behind the backend's; one that is there already is not repeated.
/// - Where the answer carries CORS headers, `Access-Control-Expose-Headers` names the above besides what it named.
pub fn dress(headers: &mut HeaderMap, entry: &Entry, call: &Call) {
    headers.insert(DEPRECATION, entry.deprecation.clone());
    if let Some(sunset) = &entry.sunset {
        headers.insert(SUNSET, sunset.clone());
    }
    let successors = entry.targets.iter().filter_map(|target| target.link(call));
    for link in entry.links.iter().cloned().chain(successors) {
        if !headers.get_all(LINK).iter().any(|known| *known == link) {
            headers.append(LINK, link);
        }
    }
    if headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        expose(headers);
    }
}

/// `@` and whole Unix seconds (a structured field date, RFC 9651, section 3.3.7).
pub(super) fn deprecation(moment: Timestamp) -> HeaderValue {
    HeaderValue::from_str(&format!("@{}", moment.as_second()))
        .expect("this cannot fail because a sign and digits are ASCII")
}

/// An IMF-fixdate (RFC 9110, section 5.6.7).
pub(super) fn sunset(moment: Timestamp) -> HeaderValue {
    let date = moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::from_str(&date).expect("this cannot fail because names of days and digits are ASCII")
}

/// Lets scripts of other origins read the fields. `*` names them all, unless credentials are allowed: then it is
/// the name of a field called `*` (Fetch standard, "CORS-exposed header-name list").
fn expose(headers: &mut HeaderMap) {
    let credentials = headers.get(ACCESS_CONTROL_ALLOW_CREDENTIALS).is_some_and(|value| value == "true");
    let known: Vec<&str> = headers
        .get_all(ACCESS_CONTROL_EXPOSE_HEADERS)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if known.contains(&"*") && !credentials {
        return;
    }
    let ours =
        [(DEPRECATION, "Deprecation"), (SUNSET, "Sunset"), (LINK, "Link"), (RETRY_AFTER, "Retry-After")];
    let mut missing = ours
        .into_iter()
        .filter(|(name, _)| headers.contains_key(name))
        .map(|(_, name)| name)
        .filter(|name| !known.iter().any(|known| known.eq_ignore_ascii_case(name)))
        .peekable();
    if missing.peek().is_none() {
        return;
    }
    let all: Vec<&str> = known.iter().copied().chain(missing).collect();
    if let Ok(value) = HeaderValue::from_str(&all.join(", ")) {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, value);
    }
}
