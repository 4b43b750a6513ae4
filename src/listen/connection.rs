//! One connection from a client: a loop of head, handler, answer. Everything a request needs lives in one boxed future
//! for as long as the request does; between requests a connection is a socket and a deadline.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::{Response, StatusCode};
use tokio::io::AsyncWrite as _;

use super::answer::{Answer, Sent};
use super::gate::Pass;
use super::incoming::Failure;
use super::input::Input;
use super::refusal::Refusal;
use super::stream::{Stream, Writer};
use super::{Gate, Handler, Limits, Peer, http2, switch};
use crate::body::Body;
use crate::http1::{Interim, RequestHead, Tunnel, head};
use crate::timer::Deadline;

/// Room for a head; most fit.
const HEAD_ROOM: usize = 4 * 1024;
/// How long a connection that we close is listened to, so that the client reads our answer before a reset.
const LINGER: Duration = Duration::from_secs(2);

/// A connection.
pub(super) struct Connection<H> {
    socket: Writer,
    /// What the socket had no room for when it was tried: the rest of interim responses.
    unsent: BytesMut,
    input: Input,
    /// No request has been read: it may still be HTTP/2.
    is_fresh: bool,
    /// Whose requests these are. Its interim responses are empty between requests.
    peer: Peer,
    deadline: Arc<Deadline>,
    limits: Arc<Limits>,
    handler: Arc<H>,
    gate: Arc<Gate>,
}

/// What becomes of the connection after an exchange.
enum Next {
    Request,
    Close,
    /// Nothing more can be said to the client.
    Drop,
    Tunnel(Tunnel),
    Http2,
}

impl<H: Handler> Connection<H> {
    pub fn new(stream: Stream, peer: Peer, handler: Arc<H>, gate: Arc<Gate>) -> Self {
        let (reading, socket) = stream.into_split();
        let deadline = Arc::new(Deadline::never());
        Connection {
            input: Input::new(reading, Arc::clone(&deadline)),
            socket,
            unsent: BytesMut::new(),
            // Over TLS, ALPN has decided (RFC 9113 section 3.2).
            is_fresh: !peer.secure,
            peer,
            deadline,
            limits: gate.limits(),
            handler,
            gate,
        }
    }

    /// Serves the connection until it ends.
    pub async fn run(mut self, _pass: Pass) {
        self.converse().await;
        // Not shut down but closed: where an answer broke off, the client must see a reset and no orderly end.
        self.socket.forget();
    }

    /// Counts a client that is none of ours, answers it unless it was answered, and closes.
    pub async fn turn_away(mut self, refusal: Refusal, is_answered: bool, _pass: Pass) {
        let next = if is_answered {
            refusal.count(&self.gate.metrics, self.peer.listener);
            Next::Close
        } else {
            self.refuse(refusal).await
        };
        if let Next::Close = next {
            self.close().await;
        }
        self.socket.forget();
    }

    async fn converse(&mut self) {
        let mut patience = self.limits.request_head;
        let mut limit = "request_head";
        while self.wait_for_request(patience, limit).await {
            self.gate.refresh(&mut self.limits);
            (patience, limit) = (self.limits.client_idle, "client_idle");
            match Box::pin(self.exchange()).await {
                Next::Request => {}
                Next::Close => return Box::pin(self.close()).await,
                Next::Drop => return,
                Next::Tunnel(tunnel) => {
                    let Some((reading, early)) = self.input.take() else { return };
                    return Box::pin(switch::run(reading, &mut self.socket, early, tunnel, &self.gate)).await;
                }
                Next::Http2 => {
                    let Some((reading, early)) = self.input.take() else { return };
                    let stream = tokio::io::join(reading, &mut self.socket);
                    let deadline = Arc::clone(&self.deadline);
                    let (handler, gate) = (Arc::clone(&self.handler), Arc::clone(&self.gate));
                    let serve = http2::serve(stream, early, deadline, self.peer.clone(), handler, gate);
                    return Box::pin(serve).await;
                }
            }
        }
        self.socket.say_goodbye();
    }

    /// Waits for the first byte of a request; false if there will be none.
    async fn wait_for_request(&mut self, patience: Duration, limit: &'static str) -> bool {
        if !self.input.buffer.is_empty() {
            return true;
        }
        self.input.release();
        self.deadline.set(patience);
        let mut is_last_call = false;
        let arrived = std::future::poll_fn(|cx| {
            if self.gate.is_closed() && !is_last_call {
                is_last_call = true;
                self.deadline.set(self.gate.last_call().min(patience));
            }
            // That there is something to read is a guess until it is read: a fresh socket counts as readable.
            while self.input.poll_readable(cx).is_ready() {
                match self.input.poll_read(cx, HEAD_ROOM) {
                    Poll::Ready(Ok(1..)) => return Poll::Ready(Some(true)),
                    Poll::Ready(_) => return Poll::Ready(Some(false)),
                    Poll::Pending => self.input.release(),
                }
            }
            self.deadline.poll_over(cx).map(|()| None)
        })
        .await;
        if arrived.is_none() && !is_last_call {
            self.gate.metrics.limit_hit(limit);
        }
        arrived == Some(true)
    }

    /// One request and its answer.
    async fn exchange(&mut self) -> Next {
        let head = match self.read_head().await {
            Ok(Some(head)) => head,
            Ok(None) if self.is_http2() => return Next::Http2,
            Ok(None) => return Next::Drop,
            Err(refusal) => return self.refuse(refusal).await,
        };
        self.is_fresh = false;
        let (version_1_1, expects_continue) = (head.version_1_1, head.expects_continue);
        let wants_to_keep = head.keep_alive;
        let method = head.method.clone();
        let mut peer = self.peer.of_request(&head.headers);
        if !version_1_1 {
            peer.interim = Interim::unwanted();
        }
        let Some(mut response) = self.handle(head, &peer).await else { return Next::Drop };

        match self.input.failure() {
            None => {}
            Some(Failure::Closed) => return Next::Drop,
            Some(Failure::Stalled) => return self.refuse(Refusal::late("client_stall")).await,
            Some(Failure::Malformed) => return self.refuse(Refusal::chunk()).await,
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(tunnel) = response.extensions_mut().remove::<Tunnel>()
        {
            let answer = Answer::switch(self.unsent.split(), &response);
            return if let Sent::Broken = self.send(answer).await {
                Next::Drop
            } else {
                Next::Tunnel(tunnel)
            };
        }
        let keep = wants_to_keep && !self.gate.wants_room() && self.input.can_be_drained(expects_continue);
        let answer = Answer::new(self.unsent.split(), response, &method, version_1_1, keep);
        match self.send(answer).await {
            Sent::Keep if self.input.drain().await => Next::Request,
            Sent::Keep | Sent::Close => Next::Close,
            Sent::Broken => Next::Drop,
        }
    }

    /// Runs the handler; `None` when the client went away meanwhile.
    async fn handle(&mut self, head: RequestHead, peer: &Peer) -> Option<Response<Body>> {
        let request = self.input.request(head, self.limits.client_stall);
        let handler = Arc::clone(&self.handler);
        let mut answering = pin!(handler.handle(request, peer));
        std::future::poll_fn(|cx| {
            let answer = answering.as_mut().poll(cx);
            if let Some(bytes) = peer.interim.take() {
                self.unsent.extend_from_slice(&bytes);
            }
            if !self.unsent.is_empty()
                && let Ok(written) = self.socket.try_write(&self.unsent)
            {
                // What is left goes out with the answer; a socket that fails says so then.
                self.unsent.advance(written);
            }
            match answer {
                Poll::Ready(response) => Poll::Ready(Some(response)),
                Poll::Pending if self.input.has_ended(cx) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    async fn read_head(&mut self) -> Result<Option<RequestHead>, Refusal> {
        self.deadline.set(self.limits.request_head);
        let mut scanned = 0;
        let read = std::future::poll_fn(|cx| self.poll_head(cx, &mut scanned)).await;
        if !self.is_http2() {
            self.deadline.clear();
        }
        read
    }

    /// Whether the client speaks HTTP/2 by prior knowledge: its preface is the first that it sends (RFC 9113 section
    /// 3.3). Its request line decides, which would be refused in HTTP/1.1.
    fn is_http2(&self) -> bool {
        self.is_fresh && self.input.buffer.starts_with(&http2::PREFACE[..http2::TOLD])
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        scanned: &mut usize,
    ) -> Poll<Result<Option<RequestHead>, Refusal>> {
        loop {
            let told = self.input.buffer.len().min(http2::TOLD);
            // What begins otherwise stays HTTP/1.1, also where empty lines are skipped and a preface stands behind them.
            self.is_fresh &= self.input.buffer[..told] == http2::PREFACE[..told];
            if self.is_http2() {
                return Poll::Ready(Ok(None));
            }
            if let Some(head) = head::take_request(&mut self.input.buffer, scanned, &self.limits.head)? {
                return Poll::Ready(Ok(Some(head)));
            }
            match self.input.poll_read(cx, HEAD_ROOM) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(Ok(None)),
                Poll::Pending => {
                    ready!(self.deadline.poll_over(cx));
                    return Poll::Ready(Err(Refusal::late("request_head")));
                }
            }
        }
    }

    /// Writes an answer, as long as the client is there to take it.
    async fn send(&mut self, mut answer: Answer) -> Sent {
        let stall = self.limits.client_stall;
        let sent = std::future::poll_fn(|cx| {
            if let Poll::Ready(sent) = answer.poll_send(&mut self.socket, cx) {
                return Poll::Ready(sent);
            }
            if self.input.has_ended(cx) {
                return Poll::Ready(Sent::Broken);
            }
            if answer.is_blocked() {
                if answer.has_progressed() || !self.deadline.is_set() {
                    self.deadline.set(stall);
                }
                ready!(self.deadline.poll_over(cx));
                self.gate.metrics.limit_hit("client_stall");
                return Poll::Ready(Sent::Broken);
            }
            if !self.input.is_lent() {
                self.deadline.clear();
            }
            Poll::Pending
        })
        .await;
        self.deadline.clear();
        if let Sent::Broken = sent {
            // So that a client that reads until the end takes a broken answer for what it is.
            self.socket.break_off();
        }
        sent
    }

    async fn refuse(&mut self, refusal: Refusal) -> Next {
        refusal.count(&self.gate.metrics, self.peer.listener);
        let answer = Answer::refusal(self.unsent.split(), refusal.status());
        match self.send(answer).await {
            Sent::Broken => Next::Drop,
            Sent::Keep | Sent::Close => Next::Close,
        }
    }

    /// Closes our side, and listens until the client has closed its own.
    async fn close(&mut self) {
        self.input.release();
        self.deadline.set(LINGER);
        let is_closed = std::future::poll_fn(|cx| match Pin::new(&mut self.socket).poll_shutdown(cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome.is_ok()),
            Poll::Pending => self.deadline.poll_over(cx).map(|()| false),
        });
        if !is_closed.await {
            return;
        }
        std::future::poll_fn(|cx| {
            loop {
                self.input.buffer.clear();
                match self.input.poll_read(cx, HEAD_ROOM) {
                    Poll::Ready(Ok(1..)) if !self.deadline.is_over() => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return self.deadline.poll_over(cx),
                }
            }
        })
        .await;
    }
}
