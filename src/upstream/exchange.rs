//! One request and its response on one connection, as a state machine that is polled inside the task of whoever asked:
//! no task of its own, no channel, no second wake-up. The request's body goes on being sent while the response's head
//! and body are read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Response, StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};
use tokio::io::AsyncWrite;

use super::connect::Connection;
use super::lease::Leased;
use super::{Failure, Settings, hygiene};
use crate::body::{Body, Broken};
use crate::http1::{Decoded, Decoder, Framing, Interim, Outgoing, ResponseHead, Tunnel, framing, head};

/// The smallest and the largest room for a read.
const LEAST: usize = 8 * 1024;
const MOST: usize = 48 * 1024;
/// The largest for a client of HTTP/2: what fits into one frame of most clients leaves there as it came, uncut and
/// uncopied (RFC 9113 section 4.2).
const MOST_FRAMED: usize = 16 * 1024;
/// How many interim responses one request may be given.
const INTERIMS: u32 = 100;

/// An exchange on a connection.
pub(super) struct Exchange {
    /// `None` once the connection is back in the pool, or gone.
    connection: Option<Box<Connection>>,
    out: Outgoing,
    body: Body,
    /// The request is completely written.
    is_sent: bool,
    /// The backend takes no more of the request; its answer may still come.
    is_deaf: bool,
    /// The connection carried a request before.
    is_reused: bool,
    /// A byte of the request was written.
    is_begun: bool,
    /// A byte of the answer was read.
    is_answered: bool,
    keep: bool,
    decoder: Decoder,
    room: usize,
    /// How far the room may grow.
    most: usize,
    waiting: Waiting,
    response_timeout: Duration,
    stall: Duration,
}

/// A request of which no byte was written. What was taken of its body lies in `out`.
pub(super) struct Unsent {
    out: Outgoing,
    body: Body,
}

impl Unsent {
    pub fn new(head: BytesMut, framing: Framing, body: Body) -> Self {
        Unsent { out: Outgoing::new(head, framing), body }
    }
}

/// What the deadline is set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Nothing,
    ToSend,
    ForHead,
    ForBody,
}

impl Exchange {
    /// An exchange for a client that speaks this version.
    pub fn new(
        mut connection: Box<Connection>,
        unsent: Unsent,
        client: Version,
        settings: &Settings,
    ) -> Self {
        let is_reused = connection.requests > 0;
        connection.requests += 1;
        Exchange {
            connection: Some(connection),
            out: unsent.out,
            body: unsent.body,
            is_sent: false,
            is_deaf: false,
            is_reused,
            is_begun: false,
            is_answered: false,
            keep: true,
            decoder: Decoder::Done,
            room: LEAST,
            most: if client == Version::HTTP_2 { MOST_FRAMED } else { MOST },
            waiting: Waiting::Nothing,
            response_timeout: settings.response_timeout,
            stall: settings.stall,
        }
    }

    /// Sends the request and reads the head of its response.
    pub async fn head(
        &mut self,
        method: &Method,
        may_switch: bool,
        interim: &Interim,
    ) -> Result<ResponseHead, Failure> {
        let mut scanned = 0;
        let mut interims = 0;
        loop {
            let mut head = std::future::poll_fn(|cx| self.poll_head(cx, &mut scanned)).await?;
            if head.status.is_informational() {
                // It has no body (RFC 9112 section 6.1), and says no length (RFC 9110 section 8.6).
                if head.headers.contains_key(TRANSFER_ENCODING) {
                    return Err(Failure::Malformed("an interim response with a coded body"));
                }
                head.headers.remove(CONTENT_LENGTH);
            }
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                return if may_switch { Ok(head) } else { Err(Failure::Malformed("a 101 nobody asked for")) };
            }
            if head.status.is_informational() {
                interims += 1;
                if interims > INTERIMS {
                    return Err(Failure::Malformed("too many interim responses"));
                }
                let mut headers = head.headers;
                hygiene::response(&mut headers);
                interim.send(head.status, &headers);
                // The backend is at work.
                self.waiting = Waiting::Nothing;
                continue;
            }
            let framing = framing::of_response(method, head.status, &head.headers, head.version_1_1)
                .map_err(|_| Failure::Malformed("its body has no clear end"))?;
            self.keep = head.keep_alive && framing != Framing::Close;
            self.decoder = Decoder::new(framing);
            self.waiting = Waiting::Nothing;
            std::future::poll_fn(|cx| Poll::Ready(self.look_ahead(cx))).await?;
            return Ok(head);
        }
    }

    /// The request, if it was not begun, to be sent on another connection.
    pub fn unsent(self) -> Option<Unsent> {
        (!self.is_begun && !self.is_answered).then_some(Unsent { out: self.out, body: self.body })
    }

    /// The response, with the rest of the exchange as its body.
    pub fn respond(self, head: ResponseHead) -> Response<Body> {
        let mut response = Response::new(Body::None);
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            self.switch(&mut response);
            return response;
        }
        hygiene::response(response.headers_mut());
        *response.body_mut() = self.into_body();
        response
    }

    fn switch(mut self, response: &mut Response<Body>) {
        let upgrade = response.headers_mut().remove(http::header::UPGRADE);
        hygiene::response(response.headers_mut());
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        if let Some(upgrade) = upgrade {
            response.headers_mut().insert(http::header::UPGRADE, upgrade);
        }
        if let Some(connection) = self.connection.take() {
            let Connection { stream, lease, buffer, .. } = *connection;
            response
                .extensions_mut()
                .insert(Tunnel::new(Box::new(Leased::new(stream, lease)), buffer.freeze()));
        }
    }

    /// A small body that is there already is handed on as it is.
    fn into_body(mut self) -> Body {
        if self.decoder.is_done() && self.is_sent {
            self.release();
            return Body::None;
        }
        if let (Decoder::Length(left), Some(connection), true) =
            (&self.decoder, &mut self.connection, self.is_sent)
            && *left <= connection.buffer.len() as u64
            && let Ok(Decoded::Data(data)) = self.decoder.decode(&mut connection.buffer)
        {
            self.release();
            return Body::Full(data);
        }
        Body::stream(self)
    }

    /// Puts the connection back, if it can be used again.
    fn release(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.keep
            && self.is_sent
            && connection.buffer.is_empty()
        {
            let server = Arc::clone(connection.server());
            server.put(connection);
        }
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        scanned: &mut usize,
    ) -> Poll<Result<ResponseHead, Failure>> {
        loop {
            self.poll_request(cx)?;
            let Some(connection) = &mut self.connection else {
                return Poll::Ready(Err(Failure::Closed { stale: false, source: None }));
            };
            match head::take_response(&mut connection.buffer, scanned) {
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(_) => return Poll::Ready(Err(Failure::Malformed("its head is no HTTP/1.1"))),
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(1..)) => self.is_answered = true,
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(self.closed(None))),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.closed(Some(error)))),
                Poll::Pending => {
                    if self.is_sent || self.is_deaf {
                        self.wait(Waiting::ForHead, self.response_timeout);
                    }
                    ready!(self.poll_deadline(cx));
                    return Poll::Ready(Err(Failure::Timeout));
                }
            }
        }
    }

    /// Looks at what came with the head: where the body is broken there already, there is no answer, and the client can
    /// still be told. Nothing is waited for, nothing copied. A read that filled its room is not looked behind: more came
    /// than a head and a piece of a body, or will be found broken on its way.
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let Connection { stream, buffer, .. } = &mut **connection;
        if self.decoder.is_whole_in(buffer).map_err(Failure::Malformed)? || buffer.len() == buffer.capacity()
        {
            return Ok(());
        }
        match tokio_util::io::poll_read_buf(Pin::new(stream), cx, buffer) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(0)) => Err(self.closed(None)),
            Poll::Ready(Ok(_)) => self.decoder.is_whole_in(buffer).map(|_| ()).map_err(Failure::Malformed),
            Poll::Ready(Err(error)) => Err(self.closed(Some(error))),
        }
    }

    /// Writes as much of the request as there is and the backend takes. An error that matters is the client's; one of
    /// writing is told by what reading says, since an answer may have come before the backend closed.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        while !self.is_sent && !self.is_deaf {
            let is_starved = self.fill(cx)?;
            match self.poll_flush(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => {
                    self.is_deaf = true;
                    self.keep = false;
                    return Ok(());
                }
                Poll::Pending => {
                    self.wait(Waiting::ToSend, self.stall);
                    return Ok(());
                }
            }
            if self.waiting == Waiting::ToSend {
                self.waiting = Waiting::Nothing;
                if let Some(connection) = &self.connection {
                    connection.deadline.clear();
                }
            }
            self.is_sent = self.out.is_finished();
            if is_starved {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes from the request's body until there is enough for a write; says whether it has nothing now.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<bool, Failure> {
        while !self.out.is_finished() && !self.out.is_full() {
            if self.body.is_end_stream() && !self.out.is_chunked() {
                self.out.finish(None);
                break;
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(true),
                Poll::Ready(Some(Ok(frame))) => self.out.push(frame),
                Poll::Ready(None) => self.out.finish(None),
                Poll::Ready(Some(Err(broken))) => {
                    // Cut off, so that the backend cannot take the request for complete.
                    self.connection = None;
                    return Err(Failure::Client(broken));
                }
            }
        }
        Ok(false)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(())) };
        let mut stream = Pin::new(&mut connection.stream);
        while !self.out.is_empty() {
            let written = match self.out.flat() {
                Some(bytes) => stream.as_mut().poll_write(cx, bytes),
                None => stream.as_mut().poll_write_vectored(cx, &self.out.slices()),
            };
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => {
                    self.is_begun = true;
                    self.out.advance(written);
                    if self.waiting == Waiting::ToSend {
                        self.waiting = Waiting::Nothing;
                    }
                }
            }
        }
        stream.poll_flush(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(0)) };
        let room = self.room;
        connection.buffer.reserve(room);
        let stream = Pin::new(&mut connection.stream);
        let read = ready!(tokio_util::io::poll_read_buf(stream, cx, &mut connection.buffer))?;
        self.room = if read >= room { (room * 2).min(self.most) } else { room };
        Poll::Ready(Ok(read))
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if let Err(failure) = self.poll_request(cx) {
                let source = io::Error::other(failure);
                return Poll::Ready(Some(Err(Broken::Closed(Some(source)))));
            }
            let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
            match self.decoder.decode(&mut connection.buffer) {
                Ok(Decoded::Data(data)) => {
                    if self.decoder.is_done() {
                        self.release();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Decoded::Trailers(trailers)) => {
                    self.release();
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Ok(Decoded::End) => {
                    self.release();
                    return Poll::Ready(None);
                }
                Ok(Decoded::Starved) => {}
                Err(text) => return self.fail(Broken::Malformed(text)),
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(1..)) => self.waiting = Waiting::Nothing,
                Poll::Ready(Ok(0)) if self.decoder.close() => {}
                Poll::Ready(Ok(0)) => return self.fail(Broken::Closed(None)),
                Poll::Ready(Err(error)) => return self.fail(Broken::Closed(Some(error))),
                Poll::Pending => {
                    self.wait(Waiting::ForBody, self.stall);
                    ready!(self.poll_deadline(cx));
                    return self.fail(Broken::Stalled);
                }
            }
        }
    }

    fn fail(&mut self, broken: Broken) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(connection) = self.connection.take() {
            let server = connection.server();
            tracing::warn!("the answer of {} broke off: {broken}", server.origin);
            server.broke_off(Failure::kind_of(&broken));
        }
        Poll::Ready(Some(Err(broken)))
    }

    fn closed(&mut self, source: Option<io::Error>) -> Failure {
        Failure::closed(source, self.is_reused, self.is_answered)
    }

    /// Sets the deadline, unless it is set for the same already.
    fn wait(&mut self, waiting: Waiting, limit: Duration) {
        if self.waiting != waiting {
            self.waiting = waiting;
            if let Some(connection) = &self.connection {
                connection.deadline.set(limit);
            }
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.connection {
            Some(connection) if self.waiting != Waiting::Nothing => connection.deadline.poll_over(cx),
            _ => Poll::Pending,
        }
    }
}

impl http_body::Body for Exchange {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.get_mut().poll_body(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.remaining().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
