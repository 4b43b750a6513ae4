//! However a request is cut into pieces by the network, it is read as the same head and the same body, or refused. What
//! was read is written so that it is read as the same again: nobody behind us can understand it differently.

#![no_main]

use bytes::BytesMut;
use duskgate::http1::{Decoded, Decoder, Framing, HeadLimits, RequestHead, head, write};
use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use libfuzzer_sys::fuzz_target;

const LIMITS: HeadLimits = HeadLimits { bytes: 2048, fields: 20, line: 256 };
/// What we write has a space after each colon, so it may be longer than what we read.
const WRITTEN: HeadLimits = HeadLimits { bytes: 4096, ..LIMITS };

fuzz_target!(|data: &[u8]| {
    let whole = read(data, data.len().max(1), &LIMITS);
    for piece in [1, 7] {
        let pieces = read(data, piece, &LIMITS);
        match (&whole, &pieces) {
            (Outcome::Request(head, body), Outcome::Request(other, other_body)) => {
                assert_same(head, other);
                assert_eq!(body, other_body);
            }
            (Outcome::Request(..), _) | (_, Outcome::Request(..)) => {
                panic!("in pieces of {piece}: {}, else {}", pieces.name(), whole.name())
            }
            // What is refused may be refused later when it comes in pieces.
            (Outcome::Refused | Outcome::Unfinished, Outcome::Refused | Outcome::Unfinished) => {}
        }
    }
    if let Outcome::Request(head, body) = whole {
        assert_survives_forwarding(&head, &body);
    }
});

enum Outcome {
    /// A head and as much of the body as there is.
    Request(Box<RequestHead>, Body),
    Refused,
    Unfinished,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Body {
    data: Vec<u8>,
    trailers: HeaderMap,
    end: Option<Result<(), ()>>,
    /// What stands behind it on the connection: the next request.
    rest: Vec<u8>,
}

impl Outcome {
    fn name(&self) -> &'static str {
        match self {
            Outcome::Request(..) => "a request",
            Outcome::Refused => "refused",
            Outcome::Unfinished => "unfinished",
        }
    }
}

/// Reads a request that arrives in pieces of this size.
fn read(data: &[u8], piece: usize, limits: &HeadLimits) -> Outcome {
    let mut pieces = data.chunks(piece);
    let (mut buffer, mut scanned) = (BytesMut::new(), 0);
    let head = loop {
        match head::take_request(&mut buffer, &mut scanned, limits) {
            Ok(Some(head)) => break head,
            Err(_) => return Outcome::Refused,
            Ok(None) => match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None => return Outcome::Unfinished,
            },
        }
    };
    let mut decoder = Decoder::new(head.framing);
    let mut body = Body::default();
    while body.end.is_none() {
        match decoder.decode(&mut buffer) {
            Ok(Decoded::Starved) => match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None => break,
            },
            Ok(Decoded::Data(data)) => body.data.extend_from_slice(&data),
            Ok(Decoded::Trailers(trailers)) => {
                body.trailers = trailers;
                body.end = Some(Ok(()));
            }
            Ok(Decoded::End) => body.end = Some(Ok(())),
            Err(_) => body.end = Some(Err(())),
        }
    }
    // After a malformed body nobody reads on.
    if body.end == Some(Ok(())) {
        body.rest = buffer.iter().chain(pieces.flatten()).copied().collect();
    }
    Outcome::Request(Box::new(head), body)
}

fn assert_same(one: &RequestHead, other: &RequestHead) {
    assert_eq!(one.method, other.method);
    assert_eq!(one.uri, other.uri);
    assert_eq!(one.version_1_1, other.version_1_1);
    assert_eq!(one.headers, other.headers);
    assert_eq!(one.framing, other.framing);
    assert_eq!(one.keep_alive, other.keep_alive);
    assert_eq!(one.expects_continue, other.expects_continue);
    assert_eq!(one.upgrade, other.upgrade);
}

fn assert_survives_forwarding(head: &RequestHead, body: &Body) {
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    // HTTP/1.0 needs no host, and an absolute target is written otherwise.
    if !head.version_1_1 || head.uri.authority().is_some() {
        return;
    }
    let mut written = BytesMut::new();
    write::request(&mut written, &head.method, target, &unframed(&head.headers), head.framing);
    match head.framing {
        Framing::Chunked => {
            if !body.data.is_empty() {
                write::chunk(&mut written, &body.data);
            }
            if body.end == Some(Ok(())) {
                write::last_chunk(&mut written, Some(&body.trailers));
            }
        }
        _ => written.extend_from_slice(&body.data),
    }
    let (mut buffer, mut scanned) = (written.clone(), 0);
    let again = head::take_request(&mut buffer, &mut scanned, &WRITTEN);
    let again = again.expect("it is not refused").expect("it is complete");
    assert_eq!(again.method, head.method);
    assert_eq!(again.uri, head.uri);
    assert_eq!(again.framing, head.framing);
    assert_eq!(unframed(&again.headers), unframed(&head.headers));
    if body.end == Some(Ok(())) {
        let Outcome::Request(_, read) = read(&written, written.len(), &WRITTEN) else {
            panic!("it is a request")
        };
        assert_eq!((&read.data, &read.trailers, read.end), (&body.data, &body.trailers, body.end));
        assert!(read.rest.is_empty(), "nothing of it is taken for another request");
    }
}

fn unframed(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    headers
}
