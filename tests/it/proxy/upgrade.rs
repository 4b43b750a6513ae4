//! Upgrades: WebSockets are tunnelled once the backend has agreed, nothing else is.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;

use crate::support::backend::{Backend, Received};
use crate::support::http::{Connection, End, Request};
use crate::support::program::Setup;

const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn upgrade(protocol: &str) -> Request {
    Request::new("GET", "/graph_sync/gui")
        .header("Connection", "keep-alive, Upgrade")
        .header("Upgrade", protocol)
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

#[tokio::test]
async fn bytes_go_both_ways_after_the_backend_has_agreed() {
    let backend = Backend::new(|link| {
        let head = link.head().unwrap();
        assert_eq!((head.field("connection"), head.field("upgrade")), (Some("upgrade"), Some("websocket")));
        assert_eq!(head.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
        // The first bytes come with the agreement.
        link.send(format!("{AGREED}welcome"));
        assert_eq!(link.until("ping").unwrap(), "ping");
        link.send("pong\0\r\n\r\n");
        assert_eq!(link.rest(), b"bye");
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    let response = connection.ask(&upgrade("websocket")).await;
    assert_eq!((response.status, response.header("upgrade")), (101, Some("websocket")));
    assert_eq!(response.header("connection").map(str::to_ascii_lowercase).as_deref(), Some("upgrade"));
    assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!((response.header("content-length"), response.header("transfer-encoding")), (None, None));
    assert_eq!(connection.until("welcome").await, "welcome");
    connection.write(b"ping").await;
    assert_eq!(connection.until("\r\n\r\n").await, "pong\0\r\n\r\n");
    connection.write(b"bye").await;
    connection.finish().await;
    assert_eq!(connection.rest().await, (String::new(), End::Closed));
    backend.finished(1);
}

#[tokio::test]
async fn what_a_client_sends_before_the_agreement_is_not_lost() {
    let backend = Backend::new(|link| {
        link.head();
        link.send(AGREED);
        assert_eq!(link.until("later").unwrap(), "early later");
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(&[&upgrade("websocket").to_bytes()[..], b"early "].concat()).await;
    assert_eq!(connection.read_head().await.status, 101);
    connection.write(b"later").await;
    backend.finished(1);
}

#[tokio::test]
async fn a_real_websocket_works() {
    let backend = Backend::new(|link| {
        let head = link.head().unwrap();
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(
            head.field("sec-websocket-key").unwrap().as_bytes(),
        );
        link.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ));
        // A masked text frame of five bytes: header, mask, text.
        let frame = link.exactly(2 + 4 + 5).unwrap();
        let text: Vec<u8> = (0..5).map(|at| frame[6 + at] ^ frame[2 + at % 4]).collect();
        link.send([b"\x81\x05".as_slice(), &text].concat());
        link.rest();
    });
    let program = Setup::before(backend.address).start();
    let url = format!("ws://{}/graph_sync/gui", program.address());
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
}

#[tokio::test]
async fn a_backend_that_does_not_agree_answers_as_always() {
    let backend = Backend::answering("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    for _ in 0..2 {
        let response = connection.ask(&upgrade("websocket")).await;
        assert_eq!((response.status, response.text().as_str()), (403, "no"));
    }
}

#[tokio::test]
async fn no_other_upgrade_is_offered_to_the_backend() {
    fn names_none(request: &Received) -> String {
        assert_eq!((request.field("upgrade"), request.field("connection")), (None, None), "{request:?}");
        assert_eq!(request.field("http2-settings"), None, "{request:?}");
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned()
    }
    let backend = Backend::with(names_none);
    let program = Setup::before(backend.address).start();
    for request in [
        Request::new("GET", "/")
            .header("Connection", "Upgrade, HTTP2-Settings")
            .header("Upgrade", "h2c")
            .header("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
        // Its settings not named by Connection.
        upgrade("h2c").header("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
        upgrade("h2c, websocket"),
        upgrade("websocket").header("Upgrade", "h2c"),
        upgrade("TLS/1.0"),
        // Not named by Connection.
        Request::new("GET", "/").header("Upgrade", "websocket"),
        Request::new("POST", "/").header("Connection", "upgrade").header("Upgrade", "websocket").body("x"),
    ] {
        assert_eq!(program.ask(&request).await.status, 200, "{request:?}");
    }
}

#[tokio::test]
async fn an_old_client_cannot_upgrade() {
    let backend = Backend::with(|request| {
        assert_eq!((request.field("upgrade"), request.field("connection")), (None, None), "{request:?}");
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned()
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    assert_eq!(connection.read("GET").await.status, 200);
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_nonsense() {
    let backend = Backend::new(|link| {
        link.request();
        link.send(format!("{AGREED}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
        link.rest();
    });
    let program = Setup::before(backend.address).start();
    for request in [Request::new("GET", "/"), upgrade("h2c")] {
        let response = program.ask(&request).await;
        assert_eq!((response.status, &response.json()["error"]["id"]), (502, &"badGateway".into()));
    }
}

#[tokio::test]
async fn a_tunnel_ends_with_either_side() {
    let backend = Backend::new(|link| {
        link.head();
        link.send(format!("{AGREED}bye"));
    });
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    assert_eq!(connection.ask(&upgrade("websocket")).await.status, 101);
    assert_eq!(connection.until("bye").await, "bye");
    connection.finish().await;
    assert!(connection.is_closed().await);
}
