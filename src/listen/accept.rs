//! Accepting connections on one socket of one thread.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};

use super::connection::Connection;
use super::gate::Pass;
use super::handles::{handles_are_free, is_out_of_handles};
use super::stream::Stream;
use super::{Gate, Handler, Peer, arrival};
use crate::timer;

/// How long accepting pauses when the process or the system is out of something.
const PAUSE: Duration = Duration::from_millis(100);
/// How long, once the gate is closed, those who wait in the socket's queue wait for room; then they are let in without.
const CROWDED: Duration = Duration::from_secs(5);
/// How often it is told that accepting pauses, in milliseconds.
const TOLD_AGAIN: u64 = 10_000;

/// Accepts connections on `socket` until the gate is closed, and serves each in a task of this thread. Connections
/// that wait in the socket's queue when the gate closes are still served: closing the socket would reset them.
///
/// # Errors
///
/// The socket cannot be registered with the runtime.
pub async fn serve<H: Handler>(
    socket: std::net::TcpListener,
    listener: usize,
    handler: Arc<H>,
    gate: Arc<Gate>,
) -> io::Result<()> {
    let socket = TcpListener::from_std(socket)?;
    let serve = |(stream, address): (TcpStream, SocketAddr), mut pass: Pass| {
        let terms = gate.terms(listener);
        let peer = Peer::new(address, listener, terms.trusted.as_ref());
        // Who has too many is told by nothing: an answer would take what the limit is to save. A trusted proxy stands
        // for many clients.
        if !peer.is_trusted() && !pass.is_within_its_clients(peer.address.ip()) {
            return;
        }
        let (handler, gate) = (Arc::clone(&handler), Arc::clone(&gate));
        if terms.are_plain() {
            tokio::spawn(Connection::new(Stream::Plain(stream), peer, handler, gate).run(pass));
        } else {
            tokio::spawn(arrival::arrive(stream, peer, Arc::clone(&terms), handler, gate, pass));
        }
    };
    // One for which there was no room: it waits here, and those behind it in the socket's queue. So a peak costs time
    // and no errors, as with HAProxy's `maxconn`.
    let mut waiting = None;
    let accept_until_closed = async {
        loop {
            handles_are_free().await;
            match socket.accept().await {
                Ok(accepted) => match gate.enter(listener) {
                    Some(pass) => serve(accepted, pass),
                    None => {
                        waiting = Some(accepted);
                        let pass = gate.enter_later(listener).await;
                        if let Some(accepted) = waiting.take() {
                            serve(accepted, pass);
                        }
                    }
                },
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    out_of_something(&error, listener, &gate);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = gate.closed() => {}
        () = accept_until_closed => {}
    }
    let begin = Instant::now();
    let mut waiting = waiting;
    // Asked of the system itself: the runtime may not have heard of all that wait there.
    let socket = socket.into_std()?;
    loop {
        let accepted = match waiting.take() {
            Some(accepted) => accepted,
            None => match socket.accept() {
                Ok((stream, address)) => {
                    stream.set_nonblocking(true)?;
                    (TcpStream::from_std(stream)?, address)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if concerns_one_connection(&error) => continue,
                Err(error) if begin.elapsed() < CROWDED => {
                    out_of_something(&error, listener, &gate);
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            },
        };
        let pass = match gate.enter(listener) {
            Some(pass) => pass,
            None => {
                let patience = CROWDED.saturating_sub(begin.elapsed());
                let pass = tokio::time::timeout(patience, gate.enter_later(listener)).await;
                pass.unwrap_or_else(|_| gate.squeeze_in(listener))
            }
        };
        serve(accepted, pass);
    }
}

/// Tells of it, at most once in a while: it may go on for long.
fn out_of_something(error: &io::Error, listener: usize, gate: &Gate) {
    if is_out_of_handles(error) {
        gate.metrics.limit_hit("file_handles");
    }
    static TOLD: AtomicU64 = AtomicU64::new(0);
    let (now, told) = (timer::now(), TOLD.load(Ordering::Relaxed));
    if told == 0 || now >= told + TOLD_AGAIN {
        TOLD.store(now.max(1), Ordering::Relaxed);
        tracing::warn!(
            "cannot accept connections on listener[{listener}], pausing and trying again: {error}"
        );
    }
}

/// Errors of `accept(2)` that belong to the connection, not to us.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
