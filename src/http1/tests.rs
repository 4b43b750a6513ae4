use bytes::BytesMut;

use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 64 * 1024, fields: 100, line: 8192 };

fn read(raw: &str) -> Result<Option<RequestHead>, Refused> {
    head::take_request(&mut BytesMut::from(raw), &mut 0, &LIMITS)
}

fn refusal(raw: &str) -> Refused {
    match read(raw) {
        Err(refused) => refused,
        Ok(read) => panic!("not refused: {raw:?} read as {read:?}"),
    }
}

#[test]
fn a_plain_request_is_read() {
    let head = read("GET /a?b=c HTTP/1.1\r\nHost: example.org:8080\r\nX-A: 1\r\n\r\n").unwrap().unwrap();
    assert_eq!(head.uri.path_and_query().unwrap().as_str(), "/a?b=c");
    assert_eq!(head.framing, Framing::None);
    assert!(head.keep_alive && head.version_1_1 && !head.upgrade);
}

#[test]
fn a_head_may_arrive_byte_by_byte() {
    let raw = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let (mut buffer, mut scanned) = (BytesMut::new(), 0);
    for (at, &byte) in raw.iter().enumerate() {
        buffer.extend_from_slice(&[byte]);
        if let Some(head) = head::take_request(&mut buffer, &mut scanned, &LIMITS).unwrap() {
            assert_eq!(head.framing, Framing::Length(3));
            assert_eq!(at, raw.len() - 4);
            return;
        }
    }
    panic!("the head was never complete");
}

#[test]
fn every_ambiguous_or_malformed_head_is_refused_with_its_reason() {
    let cases = [
        ("GET / HTTP/1.1\nHost: a\n\n", Refused::LineEnd),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", Refused::LineEnd),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", Refused::LineEnd),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Refused::Field),
        ("GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", Refused::Field),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", Refused::Field),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", Refused::Field),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Refused::StartLine),
        ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", Refused::Version),
        ("GET /\r\nHost: a\r\n\r\n", Refused::StartLine),
        ("\u{16}\u{3}\u{1}", Refused::StartLine),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Refused::Version),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", Refused::Version),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Refused::Target),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", Refused::Target),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", Refused::Target),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Refused::Target),
        ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", Refused::Target),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", Refused::Host),
        ("GET / HTTP/1.1\r\n\r\n", Refused::Host),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Refused::Host),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Refused::Host),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Refused::Host),
        ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", Refused::Host),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Refused::Host),
        ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", Refused::Host),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", Refused::Host),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            Refused::ContentLength,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", Refused::ContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", Refused::ContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", Refused::ContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", Refused::ContentLength),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
            Refused::ContentLength,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            Refused::BothLengths,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n\r\n", Refused::TransferEncoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", Refused::TransferEncoding),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            Refused::TransferEncoding,
        ),
        ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Refused::TransferEncoding),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", Refused::Connect),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", Refused::Expect),
        ("POST / HTTP/1.1\r\nHost: a\r\nConnection: close, content-length\r\n\r\n", Refused::Connection),
    ];
    for (raw, expected) in cases {
        assert_eq!(refusal(raw), expected, "{raw:?}");
    }
}

#[test]
fn a_line_may_be_as_long_as_its_limit_without_its_end_also_byte_by_byte_and_as_that_of_http2() {
    for (length, is_taken) in [(LIMITS.line, true), (LIMITS.line + 1, false)] {
        let path = format!("/{}", "a".repeat(length - "GET / HTTP/1.1".len()));
        let line = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(read(&line).is_ok_and(|head| head.is_some()), is_taken, "{length}");
        let (mut buffer, mut scanned, mut taken) = (BytesMut::new(), 0, Ok(None));
        for byte in line.bytes() {
            buffer.extend_from_slice(&[byte]);
            taken = head::take_request(&mut buffer, &mut scanned, &LIMITS);
            if taken.is_err() {
                break;
            }
        }
        assert_eq!(taken.is_ok_and(|head| head.is_some()), is_taken, "{length}, byte by byte");
        let path = http::uri::PathAndQuery::try_from(path).unwrap();
        let fields = Fields {
            method: http::Method::GET,
            scheme: Some("http"),
            authority: Some("a"),
            path: Some(&path),
        };
        assert_eq!(translate(&fields, http::HeaderMap::new(), &LIMITS).is_ok(), is_taken, "{length}, HTTP/2");
    }
}

#[test]
fn every_limit_of_the_head_holds() {
    let line = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(8200));
    assert_eq!(refusal(&line), Refused::LineTooLong);
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(70_000));
    assert_eq!(refusal(&head), Refused::HeadTooLarge);
    let fields = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(101));
    assert_eq!(refusal(&fields), Refused::TooManyFields);
}

#[test]
fn legal_oddities_are_taken() {
    for raw in [
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET http://a/b HTTP/1.1\r\nHost: A\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        "FOO / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nX: caf\u{e9}\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n",
    ] {
        assert!(read(raw).unwrap().is_some(), "{raw:?}");
    }
}

#[test]
fn a_web_socket_is_an_upgrade_and_nothing_else_is() {
    let with =
        |fields: &str| read(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).unwrap().unwrap().upgrade;
    assert!(with("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"));
    assert!(!with("Upgrade: websocket\r\n"));
    assert!(!with("Connection: Upgrade\r\nUpgrade: h2c\r\n"));
    assert!(!with("Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n"));
}

fn decode(raw: &str) -> Result<(Vec<u8>, Decoder, BytesMut), &'static str> {
    let mut decoder = Decoder::new(Framing::Chunked);
    let mut buffer = BytesMut::from(raw);
    let mut body = Vec::new();
    loop {
        match decoder.decode(&mut buffer)? {
            Decoded::Data(data) => body.extend_from_slice(&data),
            _ => return Ok((body, decoder, buffer)),
        }
    }
}

#[test]
fn chunks_are_joined_and_what_follows_is_left() {
    let (body, decoder, rest) = decode("3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\nGET").unwrap();
    assert_eq!(body, b"abc0123456789");
    assert!(decoder.is_done());
    assert_eq!(&rest[..], b"GET");
}

#[test]
fn malformed_chunks_are_refused() {
    for raw in [
        "3\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n",
        "\r\nabc\r\n",
        "3\r\nabcd\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
        "3;a\u{1}b\r\nabc\r\n0\r\n\r\n",
        "0\r\nContent-Length: 3\r\n\r\n",
        "0\r\nX : 3\r\n\r\n",
        "0\r\nX: 3\n\r\n",
        "g\r\n",
    ] {
        assert!(decode(raw).is_err(), "{raw:?}");
    }
}

#[test]
fn looking_at_chunks_says_what_decoding_them_says() {
    for raw in [
        "3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\nGET",
        "1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n",
        "3\r\nabc\r\n0\r\nHost: a\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabc\r0\r\n\r\n",
        "3\r\nabc\r\nnonsense\r\n",
    ] {
        for end in 0..=raw.len() {
            let seen = Decoder::new(Framing::Chunked).is_whole_in(&raw.as_bytes()[..end]);
            let decoded = decode(&raw[..end]).map(|(_, decoder, _)| decoder.is_done());
            assert_eq!(seen, decoded, "{:?}", &raw[..end]);
        }
    }
}

#[test]
fn trailers_are_kept() {
    let mut decoder = Decoder::new(Framing::Chunked);
    let mut buffer = BytesMut::from("0\r\nX-Checksum: 1\r\n\r\n");
    let Decoded::Trailers(trailers) = decoder.decode(&mut buffer).unwrap() else { panic!("no trailers") };
    assert_eq!(trailers["x-checksum"], "1");
}

#[test]
fn a_written_chunk_is_read_back() {
    for size in [1, 15, 16, 255, 256, 70_000] {
        let mut out = BytesMut::new();
        write::chunk(&mut out, &vec![b'a'; size]);
        write::last_chunk(&mut out, None);
        let (body, decoder, _) = decode(std::str::from_utf8(&out).unwrap()).unwrap();
        assert_eq!(body.len(), size);
        assert!(decoder.is_done());
    }
}

#[test]
fn a_response_with_two_ways_to_end_is_nonsense() {
    let read = |raw: &str| {
        let head = head::take_response(&mut BytesMut::from(raw), &mut 0).unwrap().unwrap();
        framing::of_response(&http::Method::GET, head.status, &head.headers, head.version_1_1)
    };
    assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), Ok(Framing::Length(3)));
    assert_eq!(read("HTTP/1.1 200\r\n\r\n"), Ok(Framing::Close));
    assert_eq!(read("HTTP/1.1 204 No Content\r\n\r\n"), Ok(Framing::None));
    assert_eq!(
        read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Err(Refused::BothLengths)
    );
}
