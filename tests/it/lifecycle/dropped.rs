//! Nothing is dropped: not by reloads, not by a stop, not by an upgrade, under constant load.

use std::io::{Read as _, Write as _};
use std::time::Instant;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::backend::{Backend, Link};
use crate::support::http::Request;
use crate::support::load::{Tally, Target, under_load};
use crate::support::program::{Program, Setup};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
/// The close frame that a backend gets, unmasked.
const GOING_AWAY: [u8; 2] = [3, 233];

/// Answers requests, and echoes the first frame of a WebSocket; then expects to be told that we go away.
fn backend() -> Backend {
    Backend::new(|link: &mut Link| {
        while let Some(request) = link.request() {
            let Some(key) = request.field("sec-websocket-key") else {
                link.send(OK);
                continue;
            };
            let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
            link.send(format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            ));
            loop {
                let Some(frame) = link.exactly(2 + 4 + 2) else { return };
                let text: Vec<u8> = (0..2).map(|at| frame[6 + at] ^ frame[2 + at]).collect();
                if frame[0] == 0x88 {
                    assert_eq!((frame[1], &text[..]), (0x82, &GOING_AWAY[..]));
                    return;
                }
                link.send([b"\x81\x02".as_slice(), &text].concat());
            }
        }
    })
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn socket(program: &Program) -> Socket {
    let url = format!("ws://{}/graph_sync/gui", program.address());
    let mut socket = tokio_tungstenite::connect_async(url).await.unwrap().0;
    echo(&mut socket).await;
    socket
}

async fn echo(socket: &mut Socket) {
    socket.send(Message::text("hi")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hi"));
}

/// The next thing that a WebSocket hears is that the other side goes away.
async fn goes_away(socket: &mut Socket) {
    let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else { panic!("no close frame") };
    assert_eq!(frame.code, CloseCode::Away);
}

#[track_caller]
pub(super) fn assert_nothing_failed(tally: &Tally) {
    let failed = tally.failed.borrow();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), tally.answered.get() + failed.len());
}

/// A process that has taken over; killed when it is dropped.
pub(super) struct Successor(String);

impl Successor {
    pub(super) fn of(program: &Program) -> Self {
        let line = program.logged(&["has taken over"]);
        let pid = line.split("process ").nth(1).unwrap().split(' ').next().unwrap();
        Successor(pid.to_owned())
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &self.0]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        let _ = std::process::Command::new("kill").args(["-KILL", &self.0]).output();
    }
}

#[tokio::test]
async fn reloads_fail_nothing_and_close_nothing() {
    let backend = backend();
    let setup = Setup::before(backend.address);
    let program = setup.start();
    let mut socket = socket(&program).await;
    let tally = under_load(Target::plain(program.address()), async |tally| {
        for round in 0..6 {
            tally.more(20).await;
            // Each changes something, once also the connections to the backend.
            let other = setup.clone().section("[limits]\nclient_idle = \"70s\"");
            program.configure(if round % 2 == 0 { &other } else { &setup });
            if round == 3 {
                program.configure(&setup.clone().upstream("connect_timeout = \"4s\""));
            }
            assert_eq!(program.command("/reload").await.status, 200);
        }
        tally.more(20).await;
    });
    let tally = tally.await;
    assert_nothing_failed(&tally);
    assert_eq!(tally.told.get(), 0);
    echo(&mut socket).await;
}

#[tokio::test]
async fn a_stop_answers_what_has_begun_and_tells_websockets() {
    let backend = backend();
    let mut program = Setup::before(backend.address).section("[limits]\ndrain = \"1s\"").start();
    let mut socket = socket(&program).await;
    let tally = under_load(Target::plain(program.address()), async |tally| {
        tally.more(100).await;
        // From here on nothing begins any more; what has begun ends.
        tally.stop();
        program.signal("TERM");
    });
    let tally = tally.await;
    assert_nothing_failed(&tally);
    goes_away(&mut socket).await;
    assert_eq!(program.ended().code(), Some(0));
}

#[tokio::test]
async fn an_upgrade_hands_the_sockets_over_and_nothing_fails() {
    let backend = backend();
    let setup = Setup::before(backend.address).listeners(2).section("[limits]\ndrain = \"8s\"");
    let mut program = setup.clone().section("[runtime]\nthreads = 3").start();
    let mut socket = socket(&program).await;
    let tally = under_load(Target::plain(program.address()), async |tally| {
        tally.more(50).await;
        // The successor has fewer threads than there are sockets.
        program.configure(&setup.clone().section("[runtime]\nthreads = 2"));
        program.signal("USR2");
        let begin = Instant::now();
        while !program.log().contains("has taken over") {
            assert!(begin.elapsed().as_secs() < 60, "nobody takes over");
            tally.more(1).await;
        }
        tally.more(200).await;
    });
    let tally = tally.await;
    let first = Successor::of(&program);
    assert_nothing_failed(&tally);
    assert!(tally.told.get() > 0, "no kept connection was told");
    assert_ne!(first.0, program.pid().to_string());
    echo(&mut socket).await;
    goes_away(&mut socket).await;
    assert_eq!(program.ended().code(), Some(0));

    // The successor has everything, the admin listener too, and can be followed itself.
    for listener in program.listeners.clone() {
        let response = crate::support::http::ask(listener, &Request::new("GET", "/")).await;
        assert_eq!(response.status, 200);
    }
    let effective = program.admin("/api/config").await.text();
    assert!(effective.contains("threads = 2"), "{effective}");
    first.signal("TERM");
}

#[tokio::test]
async fn an_upgrade_that_fails_changes_nothing_and_says_why() {
    let backend = backend();
    let setup = Setup::before(backend.address);
    let program = setup.start();
    let tally = under_load(Target::plain(program.address()), async |tally| {
        program.configure(&setup.clone().upstream("nonsense = 1"));
        program.signal("USR2");
        let begin = Instant::now();
        while !program.log().contains("the upgrade has failed, this process goes on") {
            assert!(begin.elapsed().as_secs() < 60, "it does not fail");
            tally.more(1).await;
        }
        tally.more(50).await;
    });
    let tally = tally.await;
    assert_nothing_failed(&tally);
    assert_eq!(tally.told.get(), 0);
    program.logged(&["ERROR", "exit status: 2"]);
    program.logged(&["upstream.nonsense"]);
}

/// So many requests that the process cannot have seen yet: it is stopped when they are sent, and told to end.
fn queue(address: std::net::SocketAddr, count: usize) -> Vec<std::net::TcpStream> {
    let connect = |_| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        stream
    };
    (0..count).map(connect).collect()
}

fn assert_all_answered(queued: Vec<std::net::TcpStream>) {
    for (number, mut stream) in queued.into_iter().enumerate() {
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        assert!(read.is_ok() && answer.ends_with("\r\n\r\nhi"), "{number}: {read:?} {answer:?}");
    }
}

#[test]
fn a_stop_answers_what_waits_to_be_accepted() {
    let backend = backend();
    for round in 0..4 {
        let mut program = Setup::before(backend.address).section("[runtime]\nthreads = 2").start();
        program.signal("STOP");
        let queued = queue(program.address(), 40);
        program.signal("TERM");
        program.signal("CONT");
        assert_all_answered(queued);
        assert_eq!(program.ended().code(), Some(0), "{round}");
    }
}

#[test]
fn a_successor_answers_what_waits_to_be_accepted_when_it_is_stopped_itself() {
    let backend = backend();
    let mut program = Setup::before(backend.address).section("[runtime]\nthreads = 2").start();
    program.signal("USR2");
    let successor = Successor::of(&program);
    assert_eq!(program.ended().code(), Some(0));
    successor.signal("STOP");
    let queued = queue(program.address(), 40);
    successor.signal("TERM");
    successor.signal("CONT");
    assert_all_answered(queued);
}

#[test]
fn a_stop_answers_what_waits_for_room() {
    let backend = backend();
    let setup = Setup::before(backend.address).section("[limits]\nconnections = 4");
    let mut program = setup.start();
    program.signal("STOP");
    let queued = queue(program.address(), 60);
    program.signal("TERM");
    program.signal("CONT");
    assert_all_answered(queued);
    assert_eq!(program.ended().code(), Some(0));
}
