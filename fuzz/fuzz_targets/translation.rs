//! What is accepted of the fields of an HTTP/2 request is written so that the strict reader of HTTP/1.1 reads the same
//! head from it: nothing of it can become another request behind us.

#![no_main]

use bytes::BytesMut;
use duskgate::http1::{Fields, HeadLimits, head, translate, write};
use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use libfuzzer_sys::fuzz_target;

const LIMITS: HeadLimits = HeadLimits { bytes: 4096, fields: 20, line: 512 };
/// A length that HTTP/2 leaves out is written as chunks.
const WRITTEN: HeadLimits =
    HeadLimits { bytes: 2 * LIMITS.bytes, fields: LIMITS.fields + 1, line: LIMITS.line };

fuzz_target!(|data: &[u8]| {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let [method, scheme, authority, path, fields @ ..] = &lines[..] else { return };
    let Ok(method) = http::Method::from_bytes(method) else { return };
    let (scheme, authority) = (text(scheme), text(authority));
    let path = text(path).and_then(|path| PathAndQuery::try_from(path).ok());
    let mut headers = HeaderMap::new();
    for field in fields {
        let Some(colon) = field.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) =
            (HeaderName::from_lowercase(&field[..colon]), HeaderValue::from_bytes(&field[colon + 1..]));
        let (Ok(name), Ok(value)) = (name, value) else { continue };
        // Those of a connection, and names that are no token (http takes a quote), are refused before: `listen/http2/fields.rs`.
        let is_of_connection =
            ["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"];
        if !is_of_connection.contains(&name.as_str()) && !name.as_str().contains('"') {
            headers.append(name, value);
        }
    }
    let sent = headers.clone();
    let fields = Fields { method: method.clone(), scheme, authority, path: path.as_ref() };
    let Ok(head) = translate(&fields, headers, &LIMITS) else { return };
    assert_eq!(head.method, method);
    assert_eq!(head.headers.get_all(HOST).iter().count(), 1);
    assert!(head.headers.get_all(COOKIE).iter().count() <= 1);
    for (name, value) in &head.headers {
        assert!(
            name == HOST || name == COOKIE || sent.get_all(name).iter().any(|own| own == value),
            "{name} is new"
        );
    }
    let target = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
    let mut written = BytesMut::new();
    write::request(&mut written, &head.method, target, &unframed(&head.headers), head.framing);
    let again = head::take_request(&mut written, &mut 0, &WRITTEN);
    let again = again.expect("it is not refused").expect("it is complete");
    assert_eq!((&again.method, &again.uri, again.framing), (&head.method, &head.uri, head.framing));
    assert_eq!(unframed(&again.headers), unframed(&head.headers));
    assert_eq!((again.expects_continue, again.upgrade), (head.expects_continue, false));
    assert!(written.is_empty(), "nothing of it is taken for another request");
});

fn text(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(line).ok().filter(|text| !text.is_empty())
}

/// Space around a value is no part of it (RFC 9110 section 5.5): two empty cookies are joined to `; `.
fn unframed(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove(CONTENT_LENGTH);
    if let Some(cookie) = headers.get_mut(COOKIE) {
        *cookie = HeaderValue::from_bytes(cookie.as_bytes().trim_ascii()).expect("a part of a value");
    }
    headers
}
