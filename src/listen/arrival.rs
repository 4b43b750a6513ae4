//! What happens between accepting a connection and its first request, on listeners that are more than plain HTTP/1.1: a
//! TLS handshake, and the choice of the protocol. It lives in a box of its own that is gone when requests begin; a plain
//! connection never comes here.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::connection::Connection;
use super::gate::Pass;
use super::refusal::Refusal;
use super::stream::Stream;
use super::{Gate, Handler, Peer, Settings, Tls};
use crate::timer::Deadline;

/// What a listener wants of its connections before their first request.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// TLS, and with which certificates.
    pub tls: Option<Arc<Tls>>,
}

impl Terms {
    /// The terms of a listener with these settings and, where they want TLS, with its certificates.
    pub fn new(_settings: &Settings, tls: Option<Arc<Tls>>) -> Self {
        Terms { tls }
    }

    /// Whether connections begin with a request.
    pub(super) fn are_plain(&self) -> bool {
        self.tls.is_none()
    }
}

/// How long handshakes may still take when the gate has closed.
const LAST_CALL: Duration = Duration::from_secs(2);
/// How much a TLS session may hold of what the socket does not take: a record.
const UNSENT: usize = 16 * 1024;
/// The first byte of a TLS handshake record (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// Receives a connection as the `terms` say, and serves it until it ends.
pub(super) async fn arrive<H: Handler>(
    socket: TcpStream,
    peer: Peer,
    terms: Arc<Terms>,
    handler: Arc<H>,
    gate: Arc<Gate>,
    pass: Pass,
) {
    match Box::pin(receive(socket, &terms, &gate)).await {
        Received::Stream(stream) => {
            let peer = Peer { secure: terms.tls.is_some(), ..peer };
            // The protocols that are spoken over TLS are told apart here, by what ALPN has chosen.
            Connection::new(stream, peer, handler, gate).run(pass).await;
        }
        Received::Refused { socket, refusal, is_answered } => {
            let connection = Connection::new(Stream::Plain(socket), peer, handler, gate);
            Box::pin(connection.turn_away(refusal, is_answered, pass)).await;
        }
        Received::Late => gate.metrics.limit_hit("tls_handshake"),
        Received::Gone => {}
    }
}

/// What has become of a connection.
enum Received {
    Stream(Stream),
    /// What was said is no handshake, or none that succeeds; `is_answered` where TLS has told the client.
    Refused {
        socket: TcpStream,
        refusal: Refusal,
        is_answered: bool,
    },
    /// It took too long.
    Late,
    /// The client closed.
    Gone,
}

async fn receive(socket: TcpStream, terms: &Terms, gate: &Gate) -> Received {
    let Some(tls) = &terms.tls else { return Received::Stream(Stream::Plain(socket)) };
    let deadline = Deadline::never();
    deadline.set(gate.limits().tls_handshake);
    let mut is_last_call = false;
    let mut handshake = std::pin::pin!(shake_hands(socket, tls));
    std::future::poll_fn(|cx| {
        if gate.is_closed() && !is_last_call {
            is_last_call = true;
            deadline.set(LAST_CALL.min(gate.limits().tls_handshake));
        }
        if let Poll::Ready(received) = handshake.as_mut().poll(cx) {
            return Poll::Ready(received);
        }
        deadline.poll_over(cx).map(|()| if is_last_call { Received::Gone } else { Received::Late })
    })
    .await
}

async fn shake_hands(socket: TcpStream, tls: &Tls) -> Received {
    match first_byte(&socket).await {
        None => return Received::Gone,
        Some(byte) if byte != HANDSHAKE && byte.is_ascii_graphic() => {
            tracing::debug!("a client speaks plain HTTP where TLS is wanted");
            return Received::Refused { socket, refusal: Refusal::plain_http(), is_answered: false };
        }
        Some(_) => {}
    }
    match TlsAcceptor::from(Arc::clone(tls.config())).accept(socket).into_fallible().await {
        Ok(mut stream) => {
            stream.get_mut().1.set_buffer_limit(Some(UNSENT));
            Received::Stream(Stream::Tls(Box::new(stream)))
        }
        Err((error, socket)) => {
            tracing::debug!("a TLS handshake has failed: {error}");
            Received::Refused { socket, refusal: Refusal::handshake(), is_answered: true }
        }
    }
}

/// The first byte that the client sends, left where it is; nothing if it sends none.
async fn first_byte(socket: &TcpStream) -> Option<u8> {
    let mut byte = [0];
    let mut buffer = ReadBuf::new(&mut byte);
    match std::future::poll_fn(|cx| socket.poll_peek(cx, &mut buffer)).await {
        Ok(1..) => Some(byte[0]),
        _ => None,
    }
}
