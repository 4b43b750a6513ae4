//! One connection to the backend, plain or TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
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

use super::pool::Server;
use super::{Failure, Origin, Settings};
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
    /// Which of the server's TLS set-ups it was made under.
    pub generation: u64,
    server: Arc<Server>,
}

impl Connection {
    pub fn new(stream: Stream, server: Arc<Server>, generation: u64) -> Box<Self> {
        Box::new(Connection {
            stream,
            buffer: BytesMut::new(),
            deadline: Deadline::never(),
            requests: 0,
            idle_since: timer::now(),
            generation,
            server,
        })
    }

    /// The server at the other end.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Whether the other end has said nothing since: an end of the connection, or an answer that nobody asked for,
    /// makes it useless.
    pub fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(std::task::Waker::noop());
        Pin::new(&mut self.stream).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }
}

/// Opens a connection to `origin`, with TLS where it wants that, within the time that `settings` give.
pub(super) async fn open(
    origin: &Origin,
    tls: Option<&Arc<ClientConfig>>,
    settings: &Settings,
) -> Result<Stream, Failure> {
    tokio::time::timeout(settings.connect_timeout, async {
        let stream = dial(origin).await.map_err(Failure::Connect)?;
        // A failure costs latency only.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls.filter(|_| origin.https) else { return Ok(Stream::Plain(stream)) };
        let name = settings.server_name.as_deref().unwrap_or(&origin.host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|error| Failure::Handshake(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let stream =
            TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.map_err(Failure::Handshake)?;
        Ok(Stream::Tls(Box::new(stream)))
    })
    .await
    .unwrap_or(Err(Failure::ConnectTimeout))
}

async fn dial(origin: &Origin) -> io::Result<TcpStream> {
    if let Ok(address) = origin.host.parse::<IpAddr>() {
        return TcpStream::connect(SocketAddr::new(address, origin.port)).await;
    }
    TcpStream::connect((origin.host.as_str(), origin.port)).await
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
