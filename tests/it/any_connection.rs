//! Whatever a client sends: the backend never gets a request that could be understood differently, nor more of them than
//! are answered; what the client gets are well-formed answers; and its connection waits for more, or ends.

mod model;

use model::{Delivery, World};
use proptest::prelude::*;

/// What connections are made of; bytes of their own stand between them.
const PIECES: [&str; 40] = [
    "GET / HTTP/1.1\r\n",
    "POST /c HTTP/1.1\r\n",
    "HEAD /e HTTP/1.1\r\n",
    "GET /i HTTP/1.0\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "GET http://a/n HTTP/1.1\r\n",
    "POST /api/v3/onezone/groups/g1/users/token HTTP/1.1\r\n",
    "PUT /api/v3/onezone/groups/g1/users/token HTTP/1.1\r\n",
    "DELETE /m HTTP/1.1\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "Host: a\r\n",
    "Host: a\r\n\r\n",
    "Host: a\r\n\r\n",
    "Content-Length: 2\r\n",
    "Content-Length: 2\r\n\r\nok",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\n\r\n",
    "transfer-encoding: identity\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, x\r\n",
    "Connection: upgrade\r\nUpgrade: websocket\r\n",
    "Upgrade: h2c\r\n",
    "Expect: 100-continue\r\n",
    "Max-Forwards: 0\r\n",
    "X-Auth-Token: abc\r\n",
    "Via: 1.1 duskgate\r\n",
    "Trailer: x\r\n",
    "TE: trailers\r\n",
    "x: \t y \r\n",
    "2\r\nok\r\n",
    "3;a=b\r\nabc\r\n",
    "0\r\n\r\n",
    "0\r\nx: 1\r\n\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    " ",
    "\0",
    ":",
];

#[test]
fn what_fuzzing_has_found_does_no_harm() {
    let world = World::new();
    for data in [
        // A preface is the first that a client sends, in whatever pieces empty lines before it arrive.
        "\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    ] {
        for piece in [usize::MAX, 1, 2, 7] {
            for rewrites in [false, true] {
                world.converse(data.as_bytes(), Delivery { piece, rewrites });
            }
        }
    }
}

#[test]
fn any_connection_does_no_harm() {
    let world = World::new();
    let piece = prop_oneof![
        9 => proptest::sample::select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..3),
    ];
    let data = proptest::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(800));
    runner
        .run(&data, |data| {
            world.converse(&data, Delivery::of(data.len()));
            Ok(())
        })
        .unwrap();
}
