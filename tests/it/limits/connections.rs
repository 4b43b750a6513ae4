//! Connections: in all, and from one client.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{OK, PATIENCE, hits};
use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::Setup;

fn get() -> Request {
    Request::new("GET", "/")
}

#[tokio::test]
async fn beyond_the_limit_connections_wait_and_none_fails() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).section("[limits]\nconnections = 3").start();
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut connection = Connection::to(program.address()).await;
        assert_eq!(connection.ask(&get()).await.header("connection"), None);
        open.push(connection);
    }
    // Those come on top; the kernel takes them, and their requests.
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let mut connection = Connection::to(program.address()).await;
        connection.write(&get().to_bytes()).await;
        waiting.push(connection);
    }
    let begin = Instant::now();
    while hits(&program, "connections").await == 0.0 {
        assert!(begin.elapsed() < PATIENCE, "the limit was not noticed");
    }
    assert_eq!(program.metric("duskgate_connections", &[]).await, 3.0);
    assert_eq!(backend.requests().len(), 3);

    // Who is served while others wait makes room with the answer.
    for mut connection in open {
        assert_eq!(connection.ask(&get()).await.header("connection"), Some("close"));
        assert!(connection.is_closed().await);
    }
    for mut connection in waiting {
        assert_eq!(connection.read("GET").await.status, 200);
    }
}

#[tokio::test]
async fn the_limit_can_be_raised_while_some_wait() {
    let backend = Backend::answering(OK);
    let setup = Setup::before(backend.address).one_thread();
    let program = setup.clone().section("[limits]\nconnections = 1").start();
    let mut first = Connection::to(program.address()).await;
    assert_eq!(first.ask(&get()).await.status, 200);
    let mut second = Connection::to(program.address()).await;
    second.write(&get().to_bytes()).await;
    program.reaches("duskgate_limit_hits_total", &[("limit", "connections")], 1.0).await;
    program.configure(&setup.section("[limits]\nconnections = 2"));
    assert_eq!(program.command("/reload").await.status, 200);
    assert_eq!(second.read("GET").await.status, 200);
}

#[tokio::test]
async fn one_client_has_so_many_and_the_next_is_closed_at_once() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).section("[limits]\nconnections_per_peer = 2").start();
    let mut first = Connection::to(program.address()).await;
    let mut second = Connection::to(program.address()).await;
    assert_eq!(first.ask(&get()).await.status, 200);
    assert_eq!(second.ask(&get()).await.status, 200);

    let mut third = Connection::to(program.address()).await;
    assert!(third.is_closed().await);
    assert_eq!(hits(&program, "connections_per_peer").await, 1.0);
    assert_eq!(hits(&program, "connections").await, 0.0);

    // Another address is another client.
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind(SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
    let mut other = other.connect(program.address()).await.unwrap();
    other.write_all(&get().to_bytes()).await.unwrap();
    let mut start = [0; 12];
    other.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");

    // A place is free again when its connection has gone.
    drop(first);
    program.reaches("duskgate_connections", &[], 2.0).await;
    let mut third = Connection::to(program.address()).await;
    assert_eq!(third.ask(&get()).await.status, 200);
}
