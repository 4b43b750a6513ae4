//! One connection to the backend, plain or TLS.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::lease::Lease;
use super::resolve::Address;
use super::server::{Server, milliseconds};
use super::{Failure, Settings, dial};
use crate::timer::{self, Deadline};

/// A connection, and what must be known of its past.
pub(super) struct Connection {
    pub stream: Stream,
    /// What was read and belongs to the next message.
    pub buffer: BytesMut,
    pub deadline: Deadline,
    /// How many requests it has carried.
    pub requests: u32,
    /// When it was last put back, in [`timer::now`]'s milliseconds.
    pub idle_since: u64,
    /// The client whose address it comes from; nothing where that is our own.
    pub from: Option<IpAddr>,
    /// Which of the server's TLS set-ups it was made under.
    pub generation: u64,
    pub lease: Lease,
}

impl Connection {
    pub fn new(stream: Stream, lease: Lease, from: Option<IpAddr>, generation: u64) -> Box<Self> {
        Box::new(Connection {
            stream,
            buffer: BytesMut::new(),
            deadline: Deadline::never(),
            requests: 0,
            idle_since: timer::now(),
            from,
            generation,
            lease,
        })
    }

    /// The server at the other end.
    pub fn server(&self) -> &Arc<Server> {
        self.lease.server()
    }

    /// Whether the other end has said nothing since: an end of the connection, or an answer that nobody asked for,
    /// makes it useless.
    pub fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(std::task::Waker::noop());
        Pin::new(&mut self.stream).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }
}

/// Opens a connection to `server`, with TLS where it wants that, within the time that `settings` give.
pub(super) async fn open(
    server: &Server,
    tls: Option<&Arc<ClientConfig>>,
    settings: &Settings,
    from: Option<IpAddr>,
) -> Result<Stream, Failure> {
    tokio::time::timeout(settings.connect_timeout, async {
        let stream = reach(server, settings, from).await?;
        // A failure costs latency only.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls.filter(|_| server.origin.https) else { return Ok(Stream::Plain(stream)) };
        let name = settings.server_name.as_deref().unwrap_or(&server.origin.host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|error| Failure::Handshake(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let stream =
            TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.map_err(Failure::Handshake)?;
        Ok(Stream::Tls(Box::new(stream)))
    })
    .await
    .unwrap_or_else(|_| {
        // The name may have moved.
        server.addresses.refresh();
        Err(Failure::ConnectTimeout)
    })
}

async fn reach(server: &Server, settings: &Settings, from: Option<IpAddr>) -> Result<TcpStream, Failure> {
    let interval = milliseconds(settings.resolve_interval);
    let known = server.addresses.get(interval).await.map_err(Failure::Connect)?;
    let error = match dial::dial(&of_family(known.clone(), from)?, from).await {
        Ok(stream) => return Ok(stream),
        Err(error) => error,
    };
    if dial::is_ours(&error) {
        return Err(Failure::Connect(error));
    }
    // The name may have moved.
    let others = of_family(server.addresses.others(&known).await, from).unwrap_or_default();
    if others.is_empty() {
        Err(Failure::Connect(error))
    } else {
        dial::dial(&others, from).await.map_err(Failure::Connect)
    }
}

/// Those that a connection from this client's address can go to.
fn of_family(mut addresses: Vec<Arc<Address>>, from: Option<IpAddr>) -> Result<Vec<Arc<Address>>, Failure> {
    let Some(client) = from else { return Ok(addresses) };
    addresses.retain(|address| address.at.is_ipv6() == client.is_ipv6());
    if addresses.is_empty() {
        Err(Failure::Family { client_is_ipv6: client.is_ipv6() })
    } else {
        Ok(addresses)
    }
}

/// The bytes of a connection.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
