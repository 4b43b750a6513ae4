//! Accepting connections on one socket of one thread.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::connection::Connection;
use super::stream::Stream;
use super::{Gate, Handler, Peer, arrival};
use crate::http1::Interim;

/// How long accepting pauses when the process or the system is out of something.
const PAUSE: Duration = Duration::from_millis(100);

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
    let start = |(stream, address): (TcpStream, SocketAddr)| {
        let pass = gate.enter(listener);
        let terms = gate.terms(listener);
        let peer = Peer { address, listener, secure: false, interim: Interim::wanted() };
        let (handler, gate) = (Arc::clone(&handler), Arc::clone(&gate));
        if terms.are_plain() {
            tokio::spawn(Connection::new(Stream::Plain(stream), peer, handler, gate).run(pass));
        } else {
            tokio::spawn(arrival::arrive(stream, peer, Arc::clone(&terms), handler, gate, pass));
        }
    };
    let accept_until_closed = async {
        loop {
            match socket.accept().await {
                Ok(accepted) => start(accepted),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!("cannot accept connections on listener[{listener}], pausing: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = gate.closed() => {}
        () = accept_until_closed => {}
    }
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while let std::task::Poll::Ready(Ok(accepted)) = socket.poll_accept(&mut context) {
        start(accepted);
    }
    Ok(())
}

/// Errors of `accept(2)` that belong to the connection, not to us.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
