//! Requests that came in another framing (HTTP/2), in the terms of HTTP/1.1: what its reader checks of a head is checked
//! here of the parts, so that nothing goes to the backend that would have been refused from an HTTP/1.1 client.

use http::header::{COOKIE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::{HeadLimits, Refused, RequestHead, framing, head, host};

/// What the pseudo-header fields of HTTP/2 say (RFC 9113 section 8.3.1).
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// `:method`.
    pub method: Method,
    /// `:scheme`, where it is known.
    pub scheme: Option<&'a str>,
    /// `:authority`.
    pub authority: Option<&'a str>,
    /// `:path`.
    pub path: Option<&'a PathAndQuery>,
}

/// The head of a request in HTTP/1.1: exactly one `Host`, one `Cookie`, a target in origin or asterisk form. The fields
/// must be free of those of a connection, and are else what the client sent.
///
/// # Errors
///
/// [`Refused`], for the same reasons as of an HTTP/1.1 request.
pub fn translate(
    fields: &Fields<'_>,
    mut headers: HeaderMap,
    limits: &HeadLimits,
) -> Result<RequestHead, Refused> {
    let Fields { method, scheme, authority, path } = fields;
    if *method == Method::CONNECT {
        return Err(Refused::Connect);
    }
    let path = path.ok_or(Refused::Target)?;
    let line = method.as_str().len() + path.as_str().len() + "  HTTP/1.1".len();
    if line > limits.line {
        return Err(Refused::LineTooLong);
    }
    if scheme.is_some_and(|scheme| !matches!(scheme, "http" | "https")) {
        return Err(Refused::Target);
    }
    check_target(method, path.as_str().as_bytes())?;
    let uri = Uri::from((*path).clone());
    // A fragment alone, which is dropped when a path is parsed: what is left calls itself `/` and is no path.
    if uri.path().is_empty() {
        return Err(Refused::Target);
    }
    if headers.values().any(|value| has_outer_space(value.as_bytes())) {
        return Err(Refused::Field);
    }
    set_host(&mut headers, *authority)?;
    join_cookies(&mut headers)?;
    if headers.len() > limits.fields {
        return Err(Refused::TooManyFields);
    }
    let size: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum();
    if line + size > limits.bytes {
        return Err(Refused::HeadTooLarge);
    }
    let framing = framing::of_request(&headers, true)?;
    let expects_continue = head::expects_continue(&headers, true)?;
    Ok(RequestHead {
        method: method.clone(),
        uri,
        version_1_1: true,
        headers,
        framing,
        keep_alive: true,
        expects_continue,
        upgrade: false,
    })
}

/// Only the origin form, and `*` for `OPTIONS`.
fn check_target(method: &Method, target: &[u8]) -> Result<(), Refused> {
    let is_clean = target.iter().all(|&byte| (0x21..=0x7e).contains(&byte) && byte != b'#');
    let is_form = target.first() == Some(&b'/') || target == b"*" && method == Method::OPTIONS;
    if is_clean && is_form { Ok(()) } else { Err(Refused::Target) }
}

/// RFC 9113 section 8.2.1: a value that starts or ends with white space is malformed.
fn has_outer_space(value: &[u8]) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    is_space(value.first()) || is_space(value.last())
}

/// RFC 9113 section 8.3.1: the authority takes the place of `Host`, and the two may not disagree.
fn set_host(headers: &mut HeaderMap, authority: Option<&str>) -> Result<(), Refused> {
    let mut all = headers.get_all(HOST).iter();
    let (first, second) = (all.next(), all.next());
    let host = match (authority, first) {
        _ if second.is_some() => return Err(Refused::Host),
        (None, None) => return Err(Refused::Host),
        (Some(authority), Some(host)) if !authority.as_bytes().eq_ignore_ascii_case(host.as_bytes()) => {
            return Err(Refused::Host);
        }
        (Some(authority), _) => HeaderValue::from_str(authority).map_err(|_| Refused::Host)?,
        (None, Some(host)) => host.clone(),
    };
    if !host::is_valid(host.as_bytes()) {
        return Err(Refused::Host);
    }
    headers.insert(HOST, host);
    Ok(())
}

/// RFC 9113 section 8.2.3: cookies may come in crumbs, and HTTP/1.1 knows one field.
fn join_cookies(headers: &mut HeaderMap) -> Result<(), Refused> {
    let mut all = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (all.next(), all.next()) else { return Ok(()) };
    let mut joined = first.as_bytes().to_vec();
    for crumb in [second].into_iter().chain(all) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
    }
    let joined = HeaderValue::from_bytes(&joined).map_err(|_| Refused::Field)?;
    headers.insert(COOKIE, joined);
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use http::header::{CONTENT_LENGTH, HeaderName};
    use proptest::prelude::*;

    use super::*;
    use crate::http1::{Framing, write};

    const LIMITS: HeadLimits = HeadLimits { bytes: 2048, fields: 12, line: 256 };

    /// Names that mean something to a reader of HTTP/1.1, and any other.
    fn name() -> impl Strategy<Value = HeaderName> {
        let known = ["host", "cookie", "content-length", "expect", "te", "x-a", "trailer", "via"];
        let known = prop::sample::select(known.to_vec()).prop_map(HeaderName::from_static);
        let any = "[a-z0-9!#$%&'*+.^_`|~-]{1,12}".prop_map(|name| HeaderName::try_from(name).unwrap());
        // h2 lets none of these pass (RFC 9113 section 8.2.2).
        let of_connections = ["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"];
        prop_oneof![known, any]
            .prop_filter("fields of a connection", move |name| !of_connections.contains(&name.as_str()))
    }

    fn value() -> impl Strategy<Value = HeaderValue> {
        let known =
            prop::sample::select(vec!["", "a", "3", "03", "a, b", "a:80", "100-continue", "trailers"]);
        let known = known.prop_map(|text| text.as_bytes().to_vec());
        let any = prop::collection::vec(any::<u8>(), 0..200);
        prop_oneof![known, any].prop_filter_map("a value", |bytes| HeaderValue::from_bytes(&bytes).ok())
    }

    fn path() -> impl Strategy<Value = PathAndQuery> {
        let bytes = prop_oneof!["[/*][ -~]{0,40}", ".{0,20}", "/[a-z?=&%]{0,300}"];
        bytes.prop_filter_map("a path", |path| PathAndQuery::try_from(path).ok())
    }

    #[test]
    fn a_path_that_is_nothing_but_a_fragment_is_refused() {
        for (path, is_path) in [("/", true), ("#/M:", false), ("#", false), ("?a", false), ("*", false)] {
            let path: PathAndQuery = path.parse().unwrap();
            let (scheme, authority) = (Some("https"), Some("a.example"));
            let fields = Fields { method: Method::POST, scheme, authority, path: Some(&path) };
            let translated = translate(&fields, HeaderMap::new(), &LIMITS);
            assert_eq!(
                translated.map(|head| head.uri).ok(),
                is_path.then(|| Uri::from_static("/")),
                "{path:?}"
            );
        }
    }

    proptest! {
        /// What another reader makes of the bytes is what was meant, to the last field.
        #[test]
        fn a_head_is_refused_or_reads_back_as_the_same(
            method in "(GET|POST|OPTIONS|CONNECT|[A-Z!#$%&'*+.^_`|~-]{1,9})",
            scheme in prop::sample::select(vec![None, Some("http"), Some("https"), Some("ftp")]),
            authority in prop::option::of("(a|a:80|[!-~]{0,12})"),
            path in prop::option::weighted(0.9, path()),
            fields in prop::collection::vec((name(), value()), 0..16),
        ) {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let said = Fields { method, scheme, authority: authority.as_deref(), path: path.as_ref() };
            let Ok(head) = translate(&said, fields.into_iter().collect(), &LIMITS) else { return Ok(()) };

            let mut headers = head.headers.clone();
            headers.remove(CONTENT_LENGTH);
            let mut bytes = BytesMut::new();
            let target = head.uri.path_and_query().unwrap().as_str();
            write::request(&mut bytes, &head.method, target, &headers, head.framing);
            let read = head::take_request(&mut bytes, &mut 0, &LIMITS);
            let Ok(Some(read)) = read else { panic!("{head:?} reads back as {read:?}") };
            prop_assert!(bytes.is_empty());
            prop_assert_eq!(&read.method, &head.method);
            prop_assert_eq!(read.uri.to_string(), target);
            prop_assert_eq!(read.framing, head.framing);
            prop_assert_eq!(read.expects_continue, head.expects_continue);
            prop_assert!(read.keep_alive && !read.upgrade);
            let mut expected = headers;
            if let Framing::Length(length) = head.framing {
                expected.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            // Space around a value is no part of it (RFC 9110 section 5.5): two empty cookies are joined to `; `.
            if let Some(cookie) = expected.get_mut(COOKIE) {
                *cookie = HeaderValue::from_bytes(cookie.as_bytes().trim_ascii()).unwrap();
            }
            prop_assert_eq!(read.headers, expected);
        }
    }
}
