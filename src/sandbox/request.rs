//! A request as the operations see it, and what content negotiation makes of its headers (contract, sections 3 and 5;
//! the grammar is cowlib's).

use http::HeaderMap;
use serde_json::{Map, Value};

use super::auth::Auth;
use super::fault::{self, Fault};

/// A call of an operation, authenticated and read.
pub struct Call<'a> {
    pub auth: &'a Auth,
    /// The values of the path's parameters.
    pub ids: &'a [(&'static str, String)],
    /// The body; an empty object where there is none or it is ignored.
    pub data: Value,
    /// The present moment, in Unix seconds.
    pub now: i64,
}

impl Call<'_> {
    /// The value of a path parameter, empty if the path has none of this name.
    pub fn id(&self, name: &str) -> &str {
        self.ids.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// The body, which must be an object.
    pub fn object(&self) -> Result<&Map<String, Value>, Fault> {
        self.data.as_object().ok_or_else(fault::malformed_data)
    }
}

/// The values of a header field, joined as cowboy joins them. What is not UTF-8 is replaced and so means nothing.
pub fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> =
        headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// Whether the request has a body: by its framing, so that an empty chunked one counts.
pub fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key("transfer-encoding")
        || joined(headers, "content-length").is_some_and(|length| length.parse() != Ok(0_u64))
}

/// What `Accept` says to JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    Accepted,
    Refused,
    Unreadable,
}

/// Judges `Accept` against `application/json`, without parameters. A weight of zero refuses nothing in cowboy.
pub fn accepts_json(headers: &HeaderMap) -> Acceptance {
    let Some(value) = joined(headers, "accept") else { return Acceptance::Accepted };
    let mut verdict = Acceptance::Refused;
    for element in split_outside_quotes(&value, ',') {
        let element = element.trim_matches([' ', '\t']);
        if element.is_empty() {
            continue;
        }
        match media_type(element) {
            None => return Acceptance::Unreadable,
            Some(range) if range.plain && is_json_range(&range) => verdict = Acceptance::Accepted,
            Some(_) => {}
        }
    }
    verdict
}

/// Whether the content type lets the request through: with a body exactly JSON, without one anything readable.
pub fn content_type_fits(headers: &HeaderMap) -> bool {
    let declared = joined(headers, "content-type");
    match (declared.as_deref().map(media_type), has_body(headers)) {
        (None, has_body) => !has_body,
        (Some(None), _) => false,
        (Some(Some(_)), false) => true,
        (Some(Some(declared)), true) => {
            declared.bare && declared.kind == "application" && declared.subtype == "json"
        }
    }
}

struct MediaType {
    kind: String,
    subtype: String,
    /// No parameters other than a weight and what follows it.
    plain: bool,
    /// No parameters at all.
    bare: bool,
}

fn is_json_range(range: &MediaType) -> bool {
    match (range.kind.as_str(), range.subtype.as_str()) {
        ("*", "*") => true,
        ("application", subtype) => subtype == "*" || subtype == "json",
        _ => false,
    }
}

fn media_type(text: &str) -> Option<MediaType> {
    let mut parts = split_outside_quotes(text, ';').into_iter();
    let (kind, subtype) = parts.next()?.trim_matches([' ', '\t']).split_once('/')?;
    if !is_token(kind) || !is_token(subtype) {
        return None;
    }
    let (mut plain, mut bare, mut weighed) = (true, true, false);
    for part in parts {
        let part = part.trim_matches([' ', '\t']);
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (part, None),
        };
        bare = false;
        match value {
            _ if !is_token(name) => return None,
            Some(weight) if !weighed && name.eq_ignore_ascii_case("q") => {
                is_weight(weight).then_some(())?;
                weighed = true;
            }
            Some(value) if !is_token(value) && !is_quoted(value) => return None,
            // An extension after the weight may stand alone; a parameter before it may not.
            None if !weighed => return None,
            _ => plain &= weighed,
        }
    }
    Some(MediaType { kind: kind.to_ascii_lowercase(), subtype: subtype.to_ascii_lowercase(), plain, bare })
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == separator && !quoted => {
                parts.push(&text[start..index]);
                start = index + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn is_quoted(text: &str) -> bool {
    text.len() >= 2 && text.starts_with('"') && text.ends_with('"')
}

/// RFC 9110, section 12.4.2: 0 to 1 with at most three digits after the point.
fn is_weight(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    match whole {
        "0" => fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit()),
        "1" => fraction.len() <= 3 && fraction.bytes().all(|b| b == b'0'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn accept_is_matched_as_cowboy_does() {
        use Acceptance::{Accepted, Refused, Unreadable};
        for (accept, expected) in [
            ("*/*", Accepted),
            ("application/*", Accepted),
            ("application/json", Accepted),
            ("Application/JSON", Accepted),
            ("text/html, application/json;q=0.5", Accepted),
            ("application/json;q=0", Accepted),
            ("application/json;q=1;ext", Accepted),
            ("text/html", Refused),
            ("application/json;charset=utf-8", Refused),
            ("*/json", Refused),
            ("application/x-probe", Refused),
            ("", Refused),
            ("json", Unreadable),
            ("application/json;q=2", Unreadable),
            ("text/html, ???", Unreadable),
        ] {
            assert_eq!(accepts_json(&with("accept", accept)), expected, "{accept}");
        }
        assert_eq!(accepts_json(&HeaderMap::new()), Accepted);
    }

    #[test]
    fn a_body_needs_exactly_json_and_no_body_anything_readable() {
        for (content_type, with_body, without) in [
            ("application/json", true, true),
            ("Application/JSON", true, true),
            ("application/json; charset=utf-8", false, true),
            ("text/plain", false, true),
            ("json", false, false),
            ("", false, false),
        ] {
            let mut headers = with("content-type", content_type);
            assert_eq!(content_type_fits(&headers), without, "{content_type} without a body");
            headers.insert("content-length", "2".parse().unwrap());
            assert_eq!(content_type_fits(&headers), with_body, "{content_type} with a body");
        }
        assert!(content_type_fits(&HeaderMap::new()));
        assert!(content_type_fits(&with("content-length", "0")));
        assert!(!content_type_fits(&with("transfer-encoding", "chunked")));
    }
}
