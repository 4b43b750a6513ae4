//! What a caller of a route that ignores its body sent with it. Onezone still judges whether it can be read (contract,
//! section 5), so it is judged here by the same rules.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http_body::Body as _;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::body::{Body, Broken};

/// The most bytes that Onezone reads of a body.
const LARGEST: usize = 8_000_000;

/// How long Onezone waits for a body.
const PATIENCE: Duration = Duration::from_secs(15);

/// A request's body, judged.
pub(in crate::serve) enum Payload {
    /// There is none. Onezone looks at the content type nevertheless, whether it can be read at all.
    Absent {
        /// Whether there is no content type, or one that can be read.
        is_type_readable: bool,
    },
    /// It is not declared to be `application/json`; nothing of it was read.
    OtherType(Body),
    /// The route does not look at it.
    Unjudged(Body),
    /// Broken JSON.
    Malformed(Bytes),
    /// JSON, but no object.
    NoObject(Bytes),
    /// A JSON object, whatever is in it.
    Object(Bytes),
    /// Too large, or too slow to arrive.
    Unreadable,
    /// It broke off, or its framing did.
    Broken(Broken),
}

impl Payload {
    /// Reads and judges a body.
    pub async fn read(headers: &HeaderMap, body: Body) -> Payload {
        // A chunked body has no size beforehand, and counts as a body even if it turns out to be empty.
        if body.size_hint().exact() == Some(0) {
            return Payload::Absent {
                is_type_readable: !headers.contains_key(CONTENT_TYPE) || media_type(headers).is_some(),
            };
        }
        match media_type(headers) {
            Some(media) if media.is_json => {}
            _ => return Payload::OtherType(body),
        }
        match tokio::time::timeout(PATIENCE, body.collect(LARGEST)).await {
            Err(_) | Ok(Err(Broken::TooLarge(_) | Broken::Stalled)) => Payload::Unreadable,
            Ok(Err(broken @ (Broken::Closed(_) | Broken::Malformed(_)))) => Payload::Broken(broken),
            Ok(Ok(bytes)) => Payload::judge(bytes),
        }
    }

    /// Whether a call with this body may make a token.
    pub fn may_create(&self) -> bool {
        matches!(self, Payload::Object(_) | Payload::Absent { is_type_readable: true })
    }

    /// The body as it was, for sending it on after all; `None` where it is lost.
    pub fn restore(self) -> Option<Body> {
        match self {
            Payload::Absent { .. } => Some(Body::None),
            Payload::OtherType(body) | Payload::Unjudged(body) => Some(body),
            Payload::Malformed(bytes) | Payload::NoObject(bytes) | Payload::Object(bytes) => {
                Some(Body::Full(bytes))
            }
            Payload::Unreadable | Payload::Broken(_) => None,
        }
    }

    /// An empty body stands for an empty object.
    fn judge(bytes: Bytes) -> Payload {
        let is_json =
            std::str::from_utf8(&bytes).is_ok_and(|text| serde_json::from_str::<Readable>(text).is_ok());
        if !bytes.is_empty() && !is_json {
            return Payload::Malformed(bytes);
        }
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') | None => Payload::Object(bytes),
            Some(_) => Payload::NoObject(bytes),
        }
    }
}

/// Whether a body under these fields is taken for JSON.
pub(in crate::serve) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|media| media.is_json)
}

/// Any JSON of which each value can be had. serde's own `IgnoredAny` passes over strings that are no text and numbers
/// that are none, which Onezone refuses.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Readable)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Readable>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<Readable, Readable>()?.is_some() {}
        Ok(self)
    }
}

/// What is asked of a content type.
struct MediaType {
    /// It is `application/json`, without any parameter.
    is_json: bool,
}

/// Reads the content type as cowboy does, which is stricter than most; `None` for what it cannot read.
fn media_type(headers: &HeaderMap) -> Option<MediaType> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    // Several are joined by a comma, and so can be read no more.
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let value = value.as_bytes().trim_ascii();
    let (kind, rest) = token(value)?;
    let (subtype, mut rest) = token(rest.strip_prefix(b"/")?)?;
    let mut is_json = kind.eq_ignore_ascii_case(b"application") && subtype.eq_ignore_ascii_case(b"json");
    loop {
        rest = skip_blanks(rest);
        if rest.is_empty() {
            return Some(MediaType { is_json });
        }
        rest = parameter(skip_blanks(rest.strip_prefix(b";")?))?;
        is_json = false;
    }
}

/// Reads `name=value` and returns what follows.
fn parameter(text: &[u8]) -> Option<&[u8]> {
    let (name, rest) = token(text)?;
    let rest = rest.strip_prefix(b"=")?;
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        return after_quoted(quoted);
    }
    match token(rest) {
        Some((_, rest)) => Some(rest),
        // The one value that may be empty, by cowboy's own special case.
        None => name.eq_ignore_ascii_case(b"charset").then_some(rest),
    }
}

fn after_quoted(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = match text {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', escaped, rest @ ..] if is_quotable(*escaped) => rest,
            [b'\\', ..] | [] => return None,
            [byte, rest @ ..] if is_quotable(*byte) => rest,
            _ => return None,
        }
    }
}

fn is_quotable(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Splits off a token (RFC 9110, section 5.6.2) of at least one character.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let length = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
    (length > 0).then(|| text.split_at(length))
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &text[blanks..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (CONTENT_TYPE, HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn only_bare_json_is_json_and_only_media_types_can_be_read() {
        for value in ["application/json", "Application/JSON", " application/json\t"] {
            assert!(media_type(&headers(&[value])).is_some_and(|media| media.is_json), "{value}");
        }
        for value in [
            "application/json; charset=utf-8",
            "application/json;charset=\"utf-8\"",
            "application/json ; charset=",
            "application/x-www-form-urlencoded",
            "text/plain;a=b; c=\"d\\\"e\"",
            "application/problem+json",
        ] {
            assert!(media_type(&headers(&[value])).is_some_and(|media| !media.is_json), "{value}");
        }
        for value in [
            "json",
            "",
            "/json",
            "application/",
            "application/json;",
            "a/b;c",
            "a/b;c=",
            "a/b c",
            "a/b;c=\"d",
        ] {
            assert!(media_type(&headers(&[value])).is_none(), "{value}");
        }
        assert!(media_type(&headers(&["application/json", "application/json"])).is_none());
    }

    async fn judged(values: &[&str], body: &'static str) -> &'static str {
        match Payload::read(&headers(values), Body::full(body)).await {
            Payload::Absent { is_type_readable: true } => "absent",
            Payload::Absent { is_type_readable: false } => "absent, type unreadable",
            Payload::OtherType(_) => "other type",
            Payload::Unjudged(_) => "unjudged",
            Payload::Malformed(_) => "malformed",
            Payload::NoObject(_) => "no object",
            Payload::Object(_) => "object",
            Payload::Unreadable => "unreadable",
            Payload::Broken(_) => "broken",
        }
    }

    #[test]
    fn a_body_is_judged_as_onezone_judges_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for (types, body, expected) in [
            (&[][..], "", "absent"),
            (&["text/plain"], "", "absent"),
            (&["json"], "", "absent, type unreadable"),
            (&[], "{}", "other type"),
            (&["text/plain"], "{}", "other type"),
            (&["application/json; charset=utf-8"], "{}", "other type"),
            (&["application/json"], "{}", "object"),
            (&["application/json"], " {\"a\": [1, null]}\n", "object"),
            (&["application/json"], "[]", "no object"),
            (&["application/json"], "\"x\"", "no object"),
            (&["application/json"], "5", "no object"),
            (&["application/json"], "{", "malformed"),
            (&["application/json"], "{}{}", "malformed"),
            (&["application/json"], "  ", "malformed"),
        ] {
            assert_eq!(runtime.block_on(judged(types, body)), expected, "{types:?} {body:?}");
        }
    }
}
