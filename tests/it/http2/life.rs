//! How connections end: what is begun is served, and nothing closes on a reload.

use std::sync::mpsc;
use std::time::Duration;

use super::wire::Verdict::Status;
use super::wire::{ACK, Client, END_STREAM, GOAWAY, PING, code, frame, request};
use crate::support::backend::Backend;
use crate::support::program::Setup;

#[tokio::test]
async fn a_stop_lets_streams_end_and_says_goodbye_first() {
    let (release, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let backend = Backend::new(move |link| {
        while link.request().is_some() {
            let _ = held.lock().unwrap().recv_timeout(Duration::from_secs(20));
            link.send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
        }
    });
    let mut program = Setup::before(backend.address).one_thread().start();
    let mut client = Client::to(program.address()).await;
    client.write(&request(1, "GET")).await;
    backend.connected(1);
    backend.received(1);
    program.signal("TERM");
    let goaway = client.until(GOAWAY, 0).await;
    assert_eq!(goaway.payload[..8], [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0], "a warning first");
    // What was sent before the warning came is still taken.
    client.write(&request(3, "GET")).await;
    backend.connected(2);
    let ping = client.until(PING, 0).await;
    client.write(&frame(PING, ACK, 0, &ping.payload)).await;
    let goaway = client.until(GOAWAY, 0).await;
    assert_eq!((goaway.payload[3], code(&goaway.payload[4..])), (3, 0), "the last one that is served");
    release.send(()).unwrap();
    release.send(()).unwrap();
    let mut bodies = 0;
    while let Some(frame) = client.frame().await {
        bodies += usize::from(frame.kind == 0 && frame.flags & END_STREAM != 0);
    }
    assert_eq!(bodies, 2, "{:?}", client.seen);
    assert!(program.ended().success());
}

#[tokio::test]
async fn an_idle_connection_leaves_soon_after_the_stop() {
    let backend = Backend::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let mut program = Setup::before(backend.address).start();
    // This client answers no PING.
    let mut client = Client::to(program.address()).await;
    client.write(&request(1, "GET")).await;
    assert_eq!(client.verdict(1).await, Status(204));
    let begin = std::time::Instant::now();
    program.signal("TERM");
    assert_eq!(client.end().await, Some(0));
    assert!(program.ended().success());
    assert!(begin.elapsed() < Duration::from_secs(15), "not the whole drain time");
}

#[tokio::test]
async fn a_reload_closes_nothing() {
    let backend = Backend::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let setup = Setup::before(backend.address).one_thread();
    let program = setup.start();
    let mut client = Client::to(program.address()).await;
    for round in 0..5 {
        client.write(&request(round * 2 + 1, "GET")).await;
        assert_eq!(client.verdict(round * 2 + 1).await, Status(204));
        program.configure(&setup.clone().section(&format!("[limits]\nhead_fields = {}", 50 + round)));
        assert_eq!(program.command("/reload").await.status, 200);
    }
    assert!(!client.seen.iter().any(|frame| frame.kind == GOAWAY), "{:?}", client.seen);
    assert_eq!(program.metric("duskgate_connections", &[]).await, 1.0);
}
