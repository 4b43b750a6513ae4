//! What a client can make us do for nothing has an end, and clients that are merely slow cost only themselves.

use std::time::{Duration, Instant};

use super::Gate;
use super::wire::Verdict::{GoAway, Status};
use super::wire::{
    ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, RST_STREAM,
    SETTINGS, Verdict, WINDOW_UPDATE, block, code, data, frame, head, literal, request, setting,
};

/// ENHANCE_YOUR_CALM.
const CALM: u32 = 11;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// Sends this again and again, until the proxy has had enough of it; the code that it says.
async fn flood(gate: &Gate, opening: &[u8], mut next: impl FnMut(u32) -> Vec<u8>) -> Option<u32> {
    let mut client = Client::to(gate.program.address()).await;
    client.write(opening).await;
    for round in 0..200 {
        let bytes: Vec<u8> = (0..100).flat_map(|step| next(round * 100 + step)).collect();
        if !client.write(&bytes).await {
            break;
        }
    }
    client.end().await
}

#[tokio::test]
async fn floods_of_frames_that_move_nothing_are_ended() {
    let gate = Gate::new();
    let seen = gate.backend.requests().len();
    let post = head(1, "POST");
    let floods: Vec<(&str, &[u8], Vec<u8>)> = vec![
        ("PING", &[], frame(PING, 0, 0, &[0; 8])),
        ("PING that acknowledges none", &[], frame(PING, ACK, 0, &[0; 8])),
        ("SETTINGS", &[], frame(SETTINGS, 0, 0, &[])),
        ("SETTINGS with a table", &[], setting(1, 0)),
        ("PRIORITY", &[], frame(PRIORITY, 0, 3, &[0, 0, 0, 1, 1])),
        ("WINDOW_UPDATE", &[], frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("unknown", &[], frame(0xfe, 0, 0, b"")),
        ("empty DATA", &post, data(1, b"")),
        ("padded empty DATA", &post, frame(DATA, 8, 1, &[3, 0, 0, 0])),
    ];
    for (name, opening, piece) in floods {
        let counted = gate.counted("http2_control").await;
        let code = flood(&gate, opening, |_| piece.clone()).await;
        assert!(code.is_none_or(|code| code == CALM), "{name}: {code:?}");
        gate.counts("http2_control", counted + 1.0, name).await;
    }
    assert_eq!(gate.backend.requests().len(), seen);
}

#[tokio::test]
async fn rapid_resets_are_ended() {
    let gate = Gate::new();
    let reset =
        |round: u32| [request(round * 2 + 1, "GET"), frame(RST_STREAM, 0, round * 2 + 1, &CANCEL)].concat();
    let code = flood(&gate, &[], reset).await;
    assert!(code.is_none_or(|code| code == CALM), "{code:?}");
    assert!(gate.backend.requests().len() < 1000, "{}", gate.backend.requests().len());
    gate.counts("http2_resets", 1.0, "it").await;
}

#[tokio::test]
async fn making_us_reset_streams_is_ended_too() {
    let gate = Gate::new();
    let broken = |round: u32| {
        [head(round * 2 + 1, "POST"), frame(WINDOW_UPDATE, 0, round * 2 + 1, &[0x7f, 0xff, 0xff, 0xff])]
            .concat()
    };
    let code = flood(&gate, &[], broken).await;
    assert!(code.is_none_or(|code| code == CALM), "{code:?}");
    assert!(gate.backend.connections() < 1000);
    gate.counts("http2_resets", 1.0, "it").await;
}

#[tokio::test]
async fn who_may_reset_more_may_make_us_reset_more() {
    let gate = Gate::with(|setup| setup.section("[limits]\nhttp2_resets = 100000"));
    let mut client = Client::to(gate.program.address()).await;
    for round in 0..300 {
        let stream = round * 2 + 1;
        client
            .write(
                &[head(stream, "POST"), frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff])].concat(),
            )
            .await;
        client.until(RST_STREAM, stream).await;
    }
    client.write(&request(601, "GET")).await;
    assert_eq!(client.verdict(601).await, Status(200));
    assert_eq!(gate.counted("http2_resets").await, 0.0);
}

#[tokio::test]
async fn small_pieces_of_bodies_that_nobody_reads_are_bounded_by_http2_control() {
    // As many as fit into a stream's window many times over; the backend reads nothing but heads.
    let pieces = [head(1, "POST"), data(1, b"a").repeat(10_000)].concat();
    for (control, is_ended) in [(100, true), (100_000, false)] {
        let gate = Gate::with(|setup| setup.section(&format!("[limits]\nhttp2_control = {control}")));
        let mut client = Client::to(gate.program.address()).await;
        client.write(&pieces).await;
        if is_ended {
            assert!(client.end().await.is_none_or(|code| code == CALM));
            gate.counts("http2_control", 1.0, "it").await;
        } else {
            client.write(&super::wire::last(1, b"a")).await;
            assert_eq!(client.verdict(1).await, Status(200));
            assert_eq!(gate.counted("http2_control").await, 0.0);
        }
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_ended() {
    let gate = Gate::new();
    let begin = frame(HEADERS, END_STREAM, 1, &block("GET"));
    let large = literal(b"x", &[b'y'; 8000]);
    for (name, piece) in [
        ("large", frame(CONTINUATION, 0, 1, &large)),
        ("small", frame(CONTINUATION, 0, 1, &literal(b"x", b"y"))),
        ("empty", frame(CONTINUATION, 0, 1, &[])),
    ] {
        let code = flood(&gate, &begin, |_| piece.clone()).await;
        assert!(code.is_none_or(|code| code == CALM || code == 9 || code == 1), "{name}: {code:?}");
    }
    // One entry of the table named again and again: small on the wire, large as a list.
    let bomb = [&block("GET")[..], &[0x40, 1, b'x', 0x7f, 0xa9, 0x1e], &[b'y'; 4008], &[0xbe; 4000]].concat();
    let frames = [frame(HEADERS, END_STREAM | END_HEADERS, 1, &bomb)].concat();
    let mut client = Client::to(gate.program.address()).await;
    client.write(&frames).await;
    assert_eq!(client.verdict(1).await, GoAway(CALM), "{:?}", client.seen);
    assert!(gate.backend.requests().is_empty());
}

#[tokio::test]
async fn a_head_that_is_a_little_too_large_is_answered() {
    let gate = Gate::new();
    // Beyond what the settings allow, and no attack yet.
    let fields = format!("GET{}", format!("|x {}", "y".repeat(8000)).repeat(10));
    let block = block(&fields);
    let mut frames = Vec::new();
    for (at, piece) in block.chunks(16_000).enumerate() {
        let (kind, flags) = if at == 0 { (HEADERS, END_STREAM) } else { (CONTINUATION, 0) };
        let last = if (at + 1) * 16_000 >= block.len() { END_HEADERS } else { 0 };
        frames.extend(frame(kind, flags | last, 1, piece));
    }
    let mut client = Client::to(gate.program.address()).await;
    client.write(&frames).await;
    let verdict = client.verdict(1).await;
    assert!(matches!(verdict, Status(431) | GoAway(CALM)), "{verdict:?}");
    gate.counts("head_bytes", 1.0, "it").await;
    assert!(gate.backend.requests().is_empty());
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_and_the_others_served() {
    let gate = Gate::with(|setup| setup.section("[limits]\nhttp2_streams = 3"));
    let mut client = Client::to(gate.program.address()).await;
    client.write(&[head(1, "POST"), head(3, "POST"), head(5, "POST"), request(7, "GET")].concat()).await;
    assert_eq!(client.verdict(7).await, Verdict::Reset(7), "REFUSED_STREAM");
    gate.counts("http2_streams", 1.0, "it").await;
    client.write(&[super::wire::last(1, b"a"), super::wire::last(3, b"a")].concat()).await;
    assert_eq!(client.verdict(1).await, Status(200));
    gate.backend.received(2);
}

#[tokio::test]
async fn half_a_preface_half_a_head_and_half_a_frame_have_their_time() {
    let gate = Gate::with(|setup| setup.section("[limits]\nrequest_head = \"300ms\""));
    for (name, bytes) in [
        ("half a preface", super::wire::PREFACE[..20].to_vec()),
        ("a preface without its SETTINGS", super::wire::PREFACE.to_vec()),
        (
            "half a head",
            [super::wire::PREFACE, &setting(1, 0), &frame(HEADERS, END_STREAM, 1, &block("GET"))].concat(),
        ),
        ("half a frame", [super::wire::PREFACE, &setting(1, 0), &[0, 0, 8, PING]].concat()),
    ] {
        let counted = gate.counted("request_head").await;
        let mut client = Client::silent(gate.program.address()).await;
        client.write(&bytes).await;
        client.end().await;
        gate.counts("request_head", counted + 1.0, name).await;
    }
    assert!(gate.backend.requests().is_empty());
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_with_a_word() {
    let gate = Gate::with(|setup| setup.section("[limits]\nclient_idle = \"300ms\""));
    let mut client = Client::to(gate.program.address()).await;
    client.write(&request(1, "GET")).await;
    assert_eq!(client.verdict(1).await, Status(200));
    let goaway = client.until(GOAWAY, 0).await;
    assert_eq!(code(&goaway.payload[4..]), 0);
    gate.counts("client_idle", 1.0, "it").await;
}

#[tokio::test]
async fn pings_in_pieces_keep_no_connection_open() {
    let gate = Gate::with(|setup| setup.section("[limits]\nclient_idle = \"1s\""));
    let mut client = Client::to(gate.program.address()).await;
    let ping = frame(PING, ACK, 0, &[0; 8]);
    let begin = Instant::now();
    while client.write(&ping[..4]).await && {
        // So that the pieces come apart.
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.write(&ping[4..]).await
    } {
        assert!(begin.elapsed() < Duration::from_secs(20), "it is still open");
    }
    gate.counts("client_idle", 1.0, "it").await;
}

#[tokio::test]
async fn a_stream_whose_body_or_window_stalls_is_reset_and_others_go_on() {
    let gate = Gate::with(|setup| setup.section("[limits]\nclient_stall = \"500ms\""));
    let mut client = Client::to(gate.program.address()).await;
    client.write(&[head(1, "POST"), data(1, b"a")].concat()).await;
    assert_eq!(client.verdict(1).await, Status(408), "{:?}", client.seen);
    client.write(&[setting(4, 0), request(3, "GET")].concat()).await;
    assert_eq!(client.verdict(3).await, Status(200), "only the body needs a window");
    let reset = client.until(RST_STREAM, 3).await;
    assert_eq!(code(&reset.payload), 8, "CANCEL");
    gate.counts("client_stall", 2.0, "it").await;
    client.write(&[setting(4, 1000), request(5, "GET")].concat()).await;
    assert_eq!(client.verdict(5).await, Status(200));
    assert_eq!(client.body(5).await.as_deref(), Some(&b"/"[..]));
}
