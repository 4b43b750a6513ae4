//! Frames that break the rules of RFC 9113, and what they end: the stream or the connection.

use super::Gate;
use super::wire::Verdict::{GoAway, Reset, Status};
use super::wire::{
    ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING, PRIORITISED, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, Verdict, WINDOW_UPDATE, block, data, frame, head, last, literal,
    request, setting,
};

#[tokio::test]
async fn frames_that_break_the_connection_end_it() {
    let gate = Gate::new();
    let large = vec![0; 16_385];
    let get = block("GET");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("DATA on the connection", data(0, b"a")),
        ("HEADERS on the connection", frame(HEADERS, END_STREAM | END_HEADERS, 0, &get)),
        ("HEADERS on a stream of ours", request(2, "GET")),
        ("DATA on an idle stream", data(1, b"a")),
        ("RST_STREAM on an idle stream", frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])),
        ("WINDOW_UPDATE on an idle stream", frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 8])),
        ("CONTINUATION without HEADERS", frame(CONTINUATION, END_HEADERS, 1, &get)),
        ("PING inside a head", [frame(HEADERS, END_STREAM, 1, &get), frame(PING, 0, 0, &[0; 8])].concat()),
        ("DATA inside a head", [frame(HEADERS, 0, 1, &get), data(1, b"a")].concat()),
        ("HEADERS inside a head", [frame(HEADERS, END_STREAM, 1, &get), request(3, "GET")].concat()),
        (
            "CONTINUATION of another stream",
            [frame(HEADERS, END_STREAM, 1, &get), frame(CONTINUATION, END_HEADERS, 3, &[])].concat(),
        ),
        ("SETTINGS of five bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[])),
        ("SETTINGS ACK with settings", frame(SETTINGS, ACK, 0, &[0; 6])),
        ("too large an initial window", setting(4, 1 << 31)),
        ("too small a frame size", setting(5, 16_383)),
        ("too large a frame size", setting(5, 1 << 24)),
        ("push neither on nor off", setting(2, 2)),
        ("PING of seven bytes", frame(PING, 0, 0, &[0; 7])),
        ("PING on a stream", frame(PING, 0, 1, &[0; 8])),
        ("RST_STREAM of three bytes", [head(1, "POST"), frame(RST_STREAM, 0, 1, &[0; 3])].concat()),
        ("RST_STREAM on the connection", frame(RST_STREAM, 0, 0, &[0, 0, 0, 8])),
        ("WINDOW_UPDATE of nothing on the connection", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        (
            "WINDOW_UPDATE of nothing on a stream",
            [head(1, "POST"), frame(WINDOW_UPDATE, 0, 1, &[0; 4])].concat(),
        ),
        ("WINDOW_UPDATE of three bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3])),
        ("too large a window", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
        (
            "PUSH_PROMISE",
            [head(1, "POST"), frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2][..], &get].concat())]
                .concat(),
        ),
        ("a frame of more than 16 KiB", [head(1, "POST"), data(1, &large)].concat()),
        ("PRIORITY on the connection", frame(PRIORITY, 0, 0, &[0, 0, 0, 1, 1])),
        ("padding longer than the head", frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, &[200, 0x82])),
        ("padding longer than the data", [head(1, "POST"), frame(DATA, PADDED, 1, &[5, 0, 0])].concat()),
        (
            "a head with a priority cut off",
            frame(HEADERS, END_STREAM | END_HEADERS | PRIORITISED, 1, &[0, 0]),
        ),
        ("an index of nothing", frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0x80])),
        ("an index beyond the table", frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0xff, 0x20])),
        ("a head cut off", frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0x82, 0x86, 0x84, 0x41, 5, b'a'])),
        (
            "a table larger than allowed",
            frame(HEADERS, END_STREAM | END_HEADERS, 1, &[&[0x3f, 0xe2, 0x1f][..], &get].concat()),
        ),
        (
            "a table resized in the middle",
            frame(HEADERS, END_STREAM | END_HEADERS, 1, &[&get[..], &[0x20]].concat()),
        ),
        (
            "a Huffman code padded with zeros",
            frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0x04, 0x81, 0x00]),
        ),
    ];
    let mut ended = 0.0;
    for (name, frames) in cases {
        let seen = gate.backend.requests().len();
        let mut client = Client::to(gate.program.address()).await;
        client.write(&frames).await;
        let verdict = client.verdict(99).await;
        assert!(matches!(verdict, GoAway(1 | 3 | 5 | 6 | 9)), "{name}: {verdict:?} {:?}", client.seen);
        client.end().await;
        assert_eq!(gate.backend.requests().len(), seen, "{name}");
        ended += 1.0;
        gate.counts("frame", ended, name).await;
    }
}

#[tokio::test]
async fn frames_that_break_a_stream_end_only_that() {
    let gate = Gate::new();
    let told = |length: &str| head(1, &format!("POST|content-length {length}"));
    let trailers = |fields: &str| frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(fields));
    let cases: Vec<(&str, Vec<u8>, Verdict, &str)> = vec![
        ("less data than told", [told("5"), last(1, b"abc")].concat(), Reset(1), "frame"),
        ("more data than told", [told("2"), last(1, b"abc")].concat(), Reset(1), "frame"),
        (
            "more data than told, in pieces",
            [told("2"), data(1, b"ab"), last(1, b"c")].concat(),
            Reset(1),
            "frame",
        ),
        ("no data where some was told", [told("2"), last(1, b"")].concat(), Reset(1), "frame"),
        ("data where none was told", [told("0"), last(1, b"a")].concat(), Reset(1), "frame"),
        (
            "less data than told, trailers",
            [told("5"), data(1, b"abc"), trailers("x y")].concat(),
            Reset(1),
            "frame",
        ),
        (
            "trailers that do not end",
            [head(1, "POST"), data(1, b"a"), head(1, "x y")].concat(),
            Reset(1),
            "frame",
        ),
        (
            "a pseudo-header field in trailers",
            [head(1, "POST"), data(1, b"a"), trailers(":path /b")].concat(),
            Status(400),
            "trailer",
        ),
        (
            "a status in trailers",
            [head(1, "POST"), data(1, b"a"), trailers("x y|:status 200")].concat(),
            Status(400),
            "trailer",
        ),
        (
            "a length in trailers",
            [head(1, "POST"), data(1, b"a"), trailers("content-length 1")].concat(),
            Status(400),
            "trailer",
        ),
        (
            "a host in trailers",
            [head(1, "POST"), data(1, b"a"), trailers("host b")].concat(),
            Status(400),
            "trailer",
        ),
        (
            "credentials in trailers",
            [head(1, "POST"), data(1, b"a"), trailers("authorization Basic YTpi")].concat(),
            Status(400),
            "trailer",
        ),
        (
            "a field of a connection in trailers",
            [head(1, "POST"), data(1, b"a"), trailers("transfer-encoding chunked")].concat(),
            Status(400),
            "connection_field",
        ),
        (
            "too large a window",
            [head(1, "POST"), frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff])].concat(),
            Reset(3),
            "frame",
        ),
        (
            "a stream that depends on itself",
            frame(
                HEADERS,
                END_STREAM | END_HEADERS | PRIORITISED,
                1,
                &[&[0, 0, 0, 1, 1][..], &block("GET")].concat(),
            ),
            Reset(1),
            "frame",
        ),
    ];
    for (name, frames, verdict, word) in cases {
        gate.refuses(name, &frames, verdict, word).await;
    }
}

#[tokio::test]
async fn what_is_no_preface_is_closed_or_refused() {
    let gate = Gate::new();
    for bytes in [
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "PRI * HTTP/2.0\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\n",
    ] {
        let mut client = Client::silent(gate.program.address()).await;
        client.write(bytes.as_bytes()).await;
        client.end().await;
    }
    assert!(gate.backend.requests().is_empty());
    let mut client = Client::silent(gate.program.address()).await;
    for byte in super::wire::PREFACE.iter().chain(&setting(1, 0)).chain(&request(1, "GET")) {
        client.write(&[*byte]).await;
    }
    assert_eq!(client.verdict(1).await, Status(200), "byte by byte");
}

#[tokio::test]
async fn a_head_may_be_spread_over_frames_and_padded() {
    let gate = Gate::new();
    let get = block("GET|x y");
    let spread = [
        frame(HEADERS, END_STREAM, 1, &get[..3]),
        frame(CONTINUATION, 0, 1, &get[3..40]),
        frame(CONTINUATION, END_HEADERS, 1, &get[40..]),
    ];
    let padded = [&[3, 0, 0, 0, 0, 1][..], &get, &[0; 3]].concat();
    let padded = frame(HEADERS, END_STREAM | END_HEADERS | PADDED | PRIORITISED, 3, &padded);
    let unknown = frame(0xfe, 0xff, 3, b"anything");
    let mut client = Client::to(gate.program.address()).await;
    // One after the other: answers come in any order.
    client.write(&spread.concat()).await;
    assert_eq!(client.verdict(1).await, Status(200));
    client.write(&[padded, unknown].concat()).await;
    assert_eq!(client.verdict(3).await, Status(200), "{:?}", client.seen);
    assert!(gate.backend.requests().iter().all(|request| request.field("x") == Some("y")));
}

#[tokio::test]
async fn what_the_table_keeps_is_judged_again() {
    let gate = Gate::new();
    // The target is kept in the table with its fragment, and used twice.
    let kept = [&[0x82, 0x86, 0x44, 3][..], b"/#f", &literal(b":authority", b"a")].concat();
    let again = [&[0x82, 0x86, 0xbe][..], &literal(b":authority", b"a")].concat();
    let mut client = Client::to(gate.program.address()).await;
    let frames = [
        frame(HEADERS, END_STREAM | END_HEADERS, 1, &kept),
        frame(HEADERS, END_STREAM | END_HEADERS, 3, &again),
        request(5, "GET"),
    ];
    client.write(&frames.concat()).await;
    assert_eq!(client.verdict(1).await, Status(400));
    assert_eq!(client.verdict(3).await, Status(400));
    assert_eq!(client.verdict(5).await, Status(200));
    assert_eq!(gate.backend.requests().len(), 1);
}
