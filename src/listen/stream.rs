//! The bytes of a connection, plain or TLS. Above it nobody asks which.
//!
//! A plain socket splits into halves that share nothing but a reference. A TLS session cannot be split: what is read may
//! have to be answered, so both halves hold it, behind a lock that is never waited for, since one task polls both.

use std::io::{self, BufRead as _, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::server::TlsStream;

/// A connection's bytes, both ways.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The reading side.
#[derive(Debug)]
pub(super) enum Reader {
    Plain(OwnedReadHalf),
    Tls(Arc<Session>),
}

/// The writing side. What it has taken may lie in the session until it is flushed.
#[derive(Debug)]
pub(super) enum Writer {
    Plain(OwnedWriteHalf),
    Tls(Arc<Session>),
}

/// A TLS session and its socket.
#[derive(Debug)]
pub(super) struct Session(Mutex<TlsStream<TcpStream>>);

impl Stream {
    /// Whether ALPN has chosen HTTP/2 (RFC 9113 section 3.2).
    pub fn speaks_http2(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            Stream::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    /// The two sides, for one task.
    pub fn into_split(self) -> (Reader, Writer) {
        match self {
            Stream::Plain(socket) => {
                let (reading, writing) = socket.into_split();
                (Reader::Plain(reading), Writer::Plain(writing))
            }
            Stream::Tls(stream) => {
                let session = Arc::new(Session(Mutex::new(*stream)));
                (Reader::Tls(Arc::clone(&session)), Writer::Tls(session))
            }
        }
    }
}

impl Reader {
    /// Ready when there is something to read, or the end, or perhaps nothing after all; no buffer is needed to wait.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Reader::Plain(socket) => socket.as_ref().poll_read_ready(cx).map(|_| ()),
            Reader::Tls(session) => {
                let mut stream = session.lock();
                let (socket, session) = stream.get_mut();
                match session.reader().fill_buf() {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    _ => return Poll::Ready(()),
                }
                socket.poll_read_ready(cx).map(|_| ())
            }
        }
    }
}

impl Writer {
    /// Writes what fits now.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Writer::Plain(socket) => socket.try_write(bytes),
            Writer::Tls(session) => {
                let mut context = Context::from_waker(Waker::noop());
                match session.pin(|stream| stream.poll_write(&mut context, bytes)) {
                    Poll::Ready(written) => written,
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
        }
    }

    /// Says that this is the end, where the protocol has a word for that, as far as it can be said without waiting.
    pub fn say_goodbye(&mut self) {
        if let Writer::Tls(session) = self {
            let mut context = Context::from_waker(Waker::noop());
            let _ = session.pin(|stream| stream.poll_shutdown(&mut context));
        }
    }

    /// Lets the connection end in a reset, and a TLS session without its closing alert: a client that reads until the
    /// end must not take what it has for complete.
    pub fn break_off(&self) {
        let linger = Some(Duration::ZERO);
        let _ = match self {
            Writer::Plain(socket) => SockRef::from(socket.as_ref()).set_linger(linger),
            Writer::Tls(session) => SockRef::from(session.lock().get_ref().0).set_linger(linger),
        };
    }

    /// Drops this side without shutting it down.
    pub fn forget(self) {
        if let Writer::Plain(socket) = self {
            socket.forget();
        }
    }
}

impl Session {
    fn lock(&self) -> MutexGuard<'_, TlsStream<TcpStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pin<T>(&self, work: impl FnOnce(Pin<&mut TlsStream<TcpStream>>) -> T) -> T {
        work(Pin::new(&mut *self.lock()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_read(cx, into),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Reader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Reader::Plain(socket) => Pin::new(socket).poll_read(cx, into),
            Reader::Tls(session) => session.pin(|stream| stream.poll_read(cx, into)),
        }
    }
}

impl AsyncWrite for Writer {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Writer::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Writer::Tls(session) => session.pin(|stream| stream.poll_write(cx, bytes)),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Writer::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Writer::Tls(session) => session.pin(|stream| stream.poll_write_vectored(cx, slices)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Writer::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Writer::Tls(session) => session.pin(|stream| stream.poll_flush(cx)),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Writer::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Writer::Tls(session) => session.pin(|stream| stream.poll_shutdown(cx)),
        }
    }
}
