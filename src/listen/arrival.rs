//! What happens between accepting a connection and its first request, on listeners that are more than plain HTTP/1.1: a
//! PROXY protocol header, a TLS handshake, and the choice of the protocol. It lives in a box of its own that is gone when requests begin; a plain
//! connection never comes here.

use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::connection::Connection;
use super::gate::Pass;
use super::network::Trusted;
use super::refusal::Refusal;
use super::stream::Stream;
use super::{Gate, Handler, Peer, Settings, Tls, UNTRUSTED, http2, proxy_protocol};
use crate::timer::Deadline;

/// What a listener wants of its connections before their first request.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Whether a PROXY protocol header comes first.
    pub proxy_protocol: bool,
    /// Whom to believe; nothing where nobody is.
    pub trusted: Option<Arc<Trusted>>,
    /// TLS, and with which certificates.
    pub tls: Option<Arc<Tls>>,
}

impl Terms {
    /// The terms of a listener with these settings and, where they want TLS, with its certificates.
    pub fn new(settings: &Settings, tls: Option<Arc<Tls>>) -> Self {
        let trusted = (!settings.trusted_proxies.is_empty()).then(|| settings.trusted_proxies.clone());
        Terms { proxy_protocol: settings.proxy_protocol, trusted: trusted.map(Arc::new), tls }
    }

    /// Whether connections begin with a request.
    pub(super) fn are_plain(&self) -> bool {
        self.tls.is_none() && !self.proxy_protocol
    }
}

/// How long handshakes may still take when the gate has closed.
const LAST_CALL: Duration = Duration::from_secs(2);
/// How much a TLS session may hold of what the socket does not take: a record.
const UNSENT: usize = 16 * 1024;

/// Receives a connection as the `terms` say, and serves it until it ends.
pub(super) async fn arrive<H: Handler>(
    socket: TcpStream,
    peer: Peer,
    terms: Arc<Terms>,
    handler: Arc<H>,
    gate: Arc<Gate>,
    mut pass: Pass,
) {
    let peer = if terms.proxy_protocol {
        match Box::pin(introduce(&socket, peer, &gate)).await {
            Some(peer) if !peer.is_named() || pass.is_within_its_clients(peer.address.ip()) => peer,
            _ => return,
        }
    } else {
        peer
    };
    match Box::pin(receive(socket, &peer, &terms, &gate)).await {
        Received::Stream(stream) => {
            let peer = peer.over_tls(terms.tls.is_some());
            if stream.speaks_http2() {
                let deadline = Arc::new(Deadline::never());
                deadline.set(gate.limits().request_head);
                return Box::pin(http2::serve(stream, Bytes::new(), deadline, peer, handler, gate)).await;
            }
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

/// Reads the PROXY header with which a connection begins: who it is from; nothing where it has to be closed, which is
/// counted.
async fn introduce(socket: &TcpStream, peer: Peer, gate: &Gate) -> Option<Peer> {
    let address = peer.connected;
    let refuse = |reason: &'static str, error: &dyn std::fmt::Display| {
        gate.metrics.malformed(peer.listener, reason);
        if gate.notices.may_warn(address.ip(), Instant::now()) {
            tracing::warn!("a connection from {address} to listener[{}] was closed: {error}", peer.listener);
        }
    };
    if !peer.is_trusted() {
        refuse(
            UNTRUSTED,
            &"PROXY protocol headers are wanted there, and its address is none of trusted_proxies",
        );
        return None;
    }
    match in_time(proxy_protocol::read(socket), gate.limits().request_head, gate).await {
        InTime::Yes(Ok(source)) => Some(peer.behind(source)),
        InTime::Yes(Err(proxy_protocol::Failure::Malformed(malformed))) => {
            refuse(malformed.reason(), &malformed);
            None
        }
        InTime::Yes(Err(proxy_protocol::Failure::Ended(error))) => {
            tracing::debug!("{error}");
            None
        }
        InTime::Late => {
            gate.metrics.limit_hit("request_head");
            None
        }
        InTime::Stopping => None,
    }
}

/// What has become of something that a client must do in time.
enum InTime<T> {
    Yes(T),
    Late,
    /// It is late because the gate has closed.
    Stopping,
}

/// Waits at most so long, and not much longer once the gate has closed.
async fn in_time<T>(what: impl Future<Output = T>, limit: Duration, gate: &Gate) -> InTime<T> {
    let deadline = Deadline::never();
    deadline.set(limit);
    let mut is_last_call = false;
    let mut what = std::pin::pin!(what);
    std::future::poll_fn(|cx| {
        if gate.is_closed() && !is_last_call {
            is_last_call = true;
            deadline.set(LAST_CALL.min(limit));
        }
        match what.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(InTime::Yes(done)),
            Poll::Pending if is_last_call => deadline.poll_over(cx).map(|()| InTime::Stopping),
            Poll::Pending => deadline.poll_over(cx).map(|()| InTime::Late),
        }
    })
    .await
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

async fn receive(socket: TcpStream, peer: &Peer, terms: &Terms, gate: &Gate) -> Received {
    let Some(tls) = &terms.tls else { return Received::Stream(Stream::Plain(socket)) };
    match in_time(shake_hands(socket, peer, tls), gate.limits().tls_handshake, gate).await {
        InTime::Yes(received) => received,
        InTime::Late => Received::Late,
        InTime::Stopping => Received::Gone,
    }
}

async fn shake_hands(socket: TcpStream, peer: &Peer, tls: &Tls) -> Received {
    let Peer { address, listener, .. } = peer;
    match first_byte(&socket).await {
        None => return Received::Gone,
        // A method begins so; a record of TLS begins with a small number (RFC 8446 section 5.1).
        Some(byte) if byte.is_ascii_graphic() => {
            tracing::debug!("listener[{listener}] wants TLS, and {address} speaks plain HTTP");
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
            tracing::debug!("listener[{listener}]: a TLS handshake with {address} has failed: {error}");
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
