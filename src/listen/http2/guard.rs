//! Stands between the socket and h2 and looks at the frames that pass, both ways. It changes none: it counts those that
//! cost us and move nothing, remembers since when a head is incomplete, and when it has seen enough it lets nothing more
//! through, and the [`Watch`] says why; the connection then sends GOAWAY. h2 bounds its memory by itself, but neither the
//! rate of what it answers nor the time that a client takes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::watch::Watch;
use crate::timer::Deadline;

/// How long a connection that we close is listened to, so that the client reads our GOAWAY before a reset.
const LINGER: Duration = Duration::from_secs(2);

/// A socket with a guard.
pub(super) struct Guard<S> {
    stream: S,
    /// What was read from it before this was HTTP/2.
    early: Bytes,
    sight: Sight,
    /// Set once our side is closed.
    lingering: Option<Deadline>,
}

/// What the guard has seen; clones are one.
#[derive(Clone)]
pub(super) struct Sight(Arc<Mutex<Watch>>);

impl Sight {
    pub fn new(watch: Watch) -> Self {
        Sight(Arc::new(Mutex::new(watch)))
    }

    pub fn look(&self) -> MutexGuard<'_, Watch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Guard<S> {
    pub fn new(stream: S, early: Bytes, sight: Sight) -> Self {
        Guard { stream, early, sight, lingering: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.sight.look().is_alarmed() {
            // No waker: whoever polls looks at the alarm next.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        if this.early.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        } else {
            let taken = this.early.len().min(buffer.remaining());
            buffer.put_slice(&this.early[..taken]);
            this.early.advance(taken);
        }
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            this.sight.look().read(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        this.sight.look().wrote(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, slices))?;
        let mut watch = this.sight.look();
        let mut left = written;
        for slice in slices {
            let part = left.min(slice.len());
            watch.wrote(&slice[..part]);
            left -= part;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    /// Closes our side, and listens until the client has closed its own.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let deadline = this.lingering.get_or_insert_with(|| {
            let deadline = Deadline::never();
            deadline.set(LINGER);
            deadline
        });
        let mut thrown = [0; 4096];
        while !deadline.is_over() {
            let mut buffer = ReadBuf::new(&mut thrown);
            match Pin::new(&mut this.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => break,
                Poll::Pending => return deadline.poll_over(cx).map(Ok),
            }
        }
        Poll::Ready(Ok(()))
    }
}
