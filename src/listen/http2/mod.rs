//! HTTP/2 from clients (RFC 9113), translated to the requests and answers that a [`Handler`] knows. It is chosen by ALPN,
//! or by the preface on a plain listener (section 3.3); `Upgrade: h2c` is never honoured.
//!
//! h2 frames, compresses and keeps the windows; hyper's server on top of it could neither send interim responses nor
//! drop what a client does to us for nothing. What h2 lets pass is judged here: a head as one of HTTP/1.1
//! ([`crate::http1::translate`]), floods and half-sent heads by a guard at the socket ([`guard`], [`watch`], [`calm`]),
//! stalled streams by their own deadlines ([`incoming`], [`stream`]), and the connection's life by this file.

mod calm;
mod fields;
mod guard;
mod hpack;
mod huffman;
mod incoming;
mod place;
mod request;
mod stream;
mod watch;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::{Builder, SendResponse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Gate, Handler, Limits, Peer};
use crate::http1::HeadLimits;
use crate::timer::{self, Deadline};
pub(super) use fields::REASONS;
use guard::{Guard, Sight};
use watch::Watch;
pub(super) use watch::{PREFACE, TOLD};

/// What a client may send of one request's body before a handler takes it.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same of all its requests.
const WINDOW: u32 = 1024 * 1024;
/// What we keep of one answer when the client takes it slowly.
const SEND_BUFFER: usize = 16 * 1024;
/// What the fields of a head count more for in HTTP/2 than in HTTP/1.1 (RFC 9113 section 6.5.2).
const FIELD_OVERHEAD: usize = 32;
/// What h2 may keep of small DATA frames that nobody has read yet, for each control frame that a client may send: about
/// two of one byte.
const SMALL_DATA: usize = 512;
/// How long a connection that has to go may still begin a request: one may be on its way.
const LAST_CALL: Duration = Duration::from_millis(500);
/// How long a preface may still take when the gate has closed.
const FIRST_CALL: Duration = Duration::from_secs(2);
/// How long a request waits for a place beside the others of its connection.
const PLACE: Duration = Duration::from_secs(10);
/// How long a last GOAWAY may take.
const LINGER: Duration = Duration::from_secs(2);

/// What a client may do on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Streams at once.
    pub streams: u32,
    /// Streams that it may reset, or make us reset; as many are granted again every ten seconds.
    pub resets: u32,
    /// Frames that move nothing, beyond those that belong to requests and bodies; as many again every ten seconds. And
    /// half as many small DATA frames as may wait to be read.
    pub control: u32,
}

/// The words for limits in metrics.
pub(super) const LIMITS: [&str; 3] = ["http2_streams", "http2_resets", "http2_control"];

/// What the streams of one connection share.
struct Shared<H> {
    handler: Arc<H>,
    gate: Arc<Gate>,
    /// Where the connection comes from.
    peer: Peer,
    /// Streams whose answer is not yet handed over to h2.
    active: AtomicUsize,
    /// The place that the connection has of its own: one request can always be served.
    place: Semaphore,
}

/// Serves a connection until it ends. `early` is what was read from it already; the `deadline` is set for the preface.
pub(super) async fn serve<S, H>(
    stream: S,
    early: Bytes,
    deadline: Arc<Deadline>,
    peer: Peer,
    handler: Arc<H>,
    gate: Arc<Gate>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Handler,
{
    let limits = gate.limits();
    // Twice what HTTP/1.1 may send, so that what is a little too large is answered and counted here.
    let listed = limits.head.bytes + FIELD_OVERHEAD * HeadLimits::MOST_FIELDS;
    let sight = Sight::new(Watch::new(&limits.http2, listed));
    let guard = Guard::new(stream, early, sight.clone());
    let mut handshake = pin!(builder(&limits, listed).handshake::<_, Bytes>(guard));
    let mut is_last_call = false;
    let connection = std::future::poll_fn(|cx| {
        if let Poll::Ready(connection) = handshake.as_mut().poll(cx) {
            return Poll::Ready(Some(connection));
        }
        // The preface is on its way, most likely: a client sends it with the end of its TLS handshake.
        if gate.is_closed() && !is_last_call {
            is_last_call = true;
            deadline.set(FIRST_CALL.min(limits.request_head));
        }
        deadline.poll_over(cx).map(|()| {
            if !is_last_call {
                gate.metrics.limit_hit("request_head");
            }
            None
        })
    });
    match connection.await {
        Some(Ok(connection)) => {
            let (active, place) = (AtomicUsize::new(0), Semaphore::new(1));
            let shared = Shared { handler, gate, peer, active, place };
            Connection::new(connection, sight, deadline, limits, Arc::new(shared)).run().await;
        }
        Some(Err(error)) if !error.is_io() => gate.metrics.malformed(peer.listener, "frame"),
        Some(Err(_)) | None => {}
    }
}

fn builder(limits: &Limits, listed: usize) -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_streams(limits.http2.streams)
        .max_header_list_size(u32::try_from(listed).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        // Those are counted with the client's own resets, by the guard.
        .max_local_error_reset_streams(None)
        .data_frame_budget(SMALL_DATA.saturating_mul(limits.http2.control as usize))
        .max_pending_accept_reset_streams(usize::try_from(limits.http2.resets).unwrap_or(usize::MAX));
    builder
}

/// A connection after its preface.
struct Connection<S, H> {
    h2: h2::server::Connection<Guard<S>, Bytes>,
    sight: Sight,
    deadline: Arc<Deadline>,
    limits: Arc<Limits>,
    shared: Arc<Shared<H>>,
    life: Life,
    /// What the deadline is set for.
    waiting: Option<Waiting>,
    /// Since when there is no request, in milliseconds; no frame but a request's moves it.
    idle_since: Option<u64>,
}

/// How far the end of a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Open,
    /// The client was asked to go; what it has begun is served.
    Leaving,
    /// The last GOAWAY is on its way.
    Ending,
}

/// What a connection waits for, so that it does not wait for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// The next request.
    Idle,
    /// The rest of a head, or of the preface.
    Head,
    /// The client to take the end of answers whose tasks are done; the bytes written up to now.
    Taking(u64),
    /// The client to go after it was asked to.
    Leaving,
    /// Our last words.
    Ending,
}

impl<S, H> Connection<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Handler,
{
    fn new(
        h2: h2::server::Connection<Guard<S>, Bytes>,
        sight: Sight,
        deadline: Arc<Deadline>,
        limits: Arc<Limits>,
        shared: Arc<Shared<H>>,
    ) -> Self {
        // The deadline stays as it is for the preface, of which the client's SETTINGS are a part.
        let waiting = Some(Waiting::Head);
        Connection { h2, sight, deadline, limits, shared, life: Life::Open, waiting, idle_since: None }
    }

    async fn run(mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
        self.tell();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.h2.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.begin(request, respond);
                    continue;
                }
                // h2 has told the client, and the guard has seen it.
                Poll::Ready(Some(Err(_))) => return Poll::Ready(()),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            self.tell();
            let alarm = self.sight.look().take_alarm();
            if let Some(alarm) = alarm.filter(|_| self.life != Life::Ending) {
                self.count(alarm.word());
                self.end(alarm.reason());
                continue;
            }
            if self.life == Life::Open && self.shared.gate.is_closed() {
                self.life = Life::Leaving;
                self.h2.graceful_shutdown();
                continue;
            }
            self.wait();
            if self.deadline.poll_over(cx).is_pending() {
                return Poll::Pending;
            }
            if self.over() {
                return Poll::Ready(());
            }
        }
    }

    /// A task for a request.
    fn begin(&mut self, request: http::Request<h2::RecvStream>, respond: SendResponse<Bytes>) {
        self.idle_since = None;
        self.shared.gate.refresh(&mut self.limits);
        let (shared, limits) = (Arc::clone(&self.shared), Arc::clone(&self.limits));
        let (active, sight) = (Active::begin(&self.shared), self.sight.clone());
        tokio::spawn(async move {
            stream::serve(shared, limits, sight, request, respond).await;
            drop(active);
        });
    }

    fn end(&mut self, reason: Reason) {
        self.life = Life::Ending;
        self.sight.look().end();
        self.h2.abrupt_shutdown(reason);
    }

    /// Sets the deadline for what is waited for now.
    fn wait(&mut self) {
        let now = timer::now();
        let idle_since = match self.h2.has_streams() {
            true => None,
            false => Some(self.idle_since.unwrap_or(now)),
        };
        self.idle_since = idle_since;
        let (waiting, since, patience) = {
            let watch = self.sight.look();
            match (self.life, watch.incomplete_since(), idle_since) {
                (Life::Ending, ..) => (Waiting::Ending, now, LINGER),
                (_, Some(since), _) => (Waiting::Head, since, self.limits.request_head),
                (Life::Leaving, _, Some(_)) => (Waiting::Leaving, now, LAST_CALL),
                (Life::Open, _, Some(since)) => (Waiting::Idle, since, self.limits.client_idle),
                _ if self.shared.active.load(Ordering::Acquire) == 0 => {
                    (Waiting::Taking(watch.written()), now, self.limits.client_stall)
                }
                // Each stream has a deadline of its own.
                _ => {
                    self.waiting = None;
                    self.deadline.clear();
                    return;
                }
            }
        };
        if self.waiting != Some(waiting) {
            self.waiting = Some(waiting);
            let passed = Duration::from_millis(now.saturating_sub(since));
            self.deadline.set(patience.saturating_sub(passed));
        }
    }

    /// The deadline has passed; true where there is nothing more to be said.
    fn over(&mut self) -> bool {
        let metrics = &self.shared.gate.metrics;
        match self.waiting.take().unwrap_or(Waiting::Ending) {
            Waiting::Ending => return true,
            Waiting::Idle => {
                metrics.limit_hit("client_idle");
                self.end(Reason::NO_ERROR);
            }
            Waiting::Leaving => self.end(Reason::NO_ERROR),
            Waiting::Head => {
                metrics.limit_hit("request_head");
                self.end(Reason::ENHANCE_YOUR_CALM);
            }
            Waiting::Taking(_) => {
                metrics.limit_hit("client_stall");
                self.end(Reason::ENHANCE_YOUR_CALM);
            }
        }
        false
    }

    /// Counts what was seen at the socket since this was last done.
    fn tell(&self) {
        let (refused, faults) = {
            let mut watch = self.sight.look();
            (watch.take_refused(), watch.take_faults())
        };
        (0..refused).for_each(|_| self.count("http2_streams"));
        faults.into_iter().for_each(|word| self.count(word));
    }

    /// Counts a limit that was hit, or what was malformed.
    fn count(&self, word: &'static str) {
        let metrics = &self.shared.gate.metrics;
        if super::LIMITS.contains(&word) {
            metrics.limit_hit(word);
        } else {
            metrics.malformed(self.shared.peer.listener, word);
        }
    }
}

impl<H> Shared<H> {
    /// A place for one request, which may cost a handle to the backend: the connection's own, or one of those that all
    /// share. It is kept until the answer is handed over.
    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.place.try_acquire().or_else(|_| self.gate.places.try_acquire()) {
            return Some(place);
        }
        let waited = async {
            tokio::select! {
                place = self.place.acquire() => place,
                place = self.gate.places.acquire() => place,
            }
        };
        // Neither is ever closed.
        tokio::time::timeout(PLACE, waited).await.ok()?.ok()
    }
}

/// A stream whose answer is not yet handed over.
struct Active<H>(Arc<Shared<H>>);

impl<H> Active<H> {
    fn begin(shared: &Arc<Shared<H>>) -> Self {
        shared.active.fetch_add(1, Ordering::AcqRel);
        Active(Arc::clone(shared))
    }
}

impl<H> Drop for Active<H> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::AcqRel);
    }
}
