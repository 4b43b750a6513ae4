//! What a server has to do: how many connections to it are open, and how many of them carry a request. A connection
//! holds a lease for as long as it is open, whatever becomes of it, a WebSocket included.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::connect::Stream;
use super::server::Server;

/// The counts of one server.
#[derive(Default)]
pub(super) struct Counts {
    /// Connections that are open, or being opened.
    open: AtomicUsize,
    /// Of these, the ones that carry a request; they are counted only while there is a choice of servers.
    busy: AtomicUsize,
}

impl Counts {
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// A connection's place among those of its server.
pub(super) struct Lease {
    server: Arc<Server>,
    is_counted: bool,
    is_busy: bool,
}

impl Lease {
    /// A place, if fewer than `most` are taken; 0 is no bound.
    pub fn take(server: &Arc<Server>, most: usize) -> Option<Self> {
        let open = &server.counts.open;
        let add = |open: usize| (most == 0 || open < most).then_some(open + 1);
        open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).ok()?;
        server.metrics.upstream_connection_opened(server.handle);
        Some(Lease { server: Arc::clone(server), is_counted: true, is_busy: false })
    }

    /// A place beside the others, for a health check.
    pub fn extra(server: &Arc<Server>) -> Self {
        Lease { server: Arc::clone(server), is_counted: false, is_busy: false }
    }

    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The connection carries a request from now on.
    pub fn begin(&mut self) {
        if !self.is_busy {
            self.is_busy = true;
            self.server.counts.busy.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It has been answered.
    pub fn end(&mut self) {
        if self.is_busy {
            self.is_busy = false;
            self.server.counts.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end();
        if self.is_counted {
            self.server.counts.open.fetch_sub(1, Ordering::SeqCst);
            self.server.metrics.upstream_connection_closed(self.server.handle);
            self.server.vacancy.tell();
        }
    }
}

/// Tells those who wait for a connection that there may be one.
#[derive(Default)]
pub(super) struct Vacancy {
    waiting: AtomicUsize,
    notify: Notify,
}

impl Vacancy {
    /// There is one now; costs a load where nobody waits.
    pub fn tell(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.notify.notify_one();
        }
    }

    /// Waits until there may be one, at most so long. What `is_there` says is asked once waiting has begun, so that
    /// none is missed.
    pub async fn wait(&self, limit: Duration, is_there: impl Fn() -> bool) {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        let mut told = std::pin::pin!(self.notify.notified());
        told.as_mut().enable();
        if !is_there() {
            let _ = tokio::time::timeout(limit, told).await;
        }
    }
}

/// A stream that has left HTTP, and the place that it still takes.
pub(super) struct Leased {
    stream: Stream,
    _lease: Lease,
}

impl Leased {
    pub fn new(stream: Stream, lease: Lease) -> Self {
        Leased { stream, _lease: lease }
    }
}

impl AsyncRead for Leased {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Leased {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_for_a_connection_misses_none() {
        let vacancy = Arc::new(Vacancy::default());
        vacancy.tell();
        vacancy.wait(Duration::from_secs(3600), || true).await;
        let waiting = Arc::clone(&vacancy);
        let waiter = tokio::spawn(async move { waiting.wait(Duration::from_secs(3600), || false).await });
        while vacancy.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        vacancy.tell();
        waiter.await.unwrap();
        assert_eq!(vacancy.waiting.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_the_limit() {
        Vacancy::default().wait(Duration::from_millis(1), || false).await;
    }
}
