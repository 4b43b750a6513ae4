//! Writing an answer: head and body into one buffer, large pieces beside it, in as few system calls as can be.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::Body as _;
use tokio::io::AsyncWrite;

use super::stream::Writer;
use crate::body::Body;
use crate::clock::Clock;
use crate::http1::{Framing, Outgoing, framing, write};

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is complete and the connection can be used again.
    Keep,
    /// It is complete and the connection is to be closed.
    Close,
    /// It could not be completed: the connection must be cut.
    Broken,
}

/// An answer on its way out.
pub(super) struct Answer {
    out: Outgoing,
    body: Body,
    keep: bool,
    is_complete: bool,
    /// The body broke off; there is no more of it than `out` holds.
    is_broken: bool,
    is_blocked: bool,
    progressed: bool,
}

impl Answer {
    /// An answer to a request by `method` in HTTP/1.1 or 1.0, behind what is already to be written.
    pub fn new(
        mut out: BytesMut,
        response: Response<Body>,
        method: &Method,
        version_1_1: bool,
        keep: bool,
    ) -> Self {
        let (mut parts, body) = response.into_parts();
        let (framing, body) = frame(method, parts.status, &mut parts.headers, body, version_1_1);
        let keep = keep && framing != Framing::Close;
        if !parts.headers.contains_key(DATE) {
            parts.headers.insert(DATE, date());
        }
        let persistence = match (keep, version_1_1) {
            (false, _) => Some("close"),
            (true, false) => Some("keep-alive"),
            (true, true) => None,
        };
        write::response(&mut out, parts.status, &parts.headers, framing, persistence);
        Answer::of(out, body, framing, keep)
    }

    /// The head of a switch of protocols.
    pub fn switch(mut out: BytesMut, response: &Response<Body>) -> Self {
        write::interim(&mut out, response.status(), response.headers());
        Answer::of(out, Body::None, Framing::None, true)
    }

    /// The bare answer to what is no request.
    pub fn refusal(mut out: BytesMut, status: StatusCode) -> Self {
        let headers = HeaderMap::from_iter([(DATE, date())]);
        write::response(&mut out, status, &headers, Framing::Length(0), Some("close"));
        Answer::of(out, Body::None, Framing::None, false)
    }

    fn of(out: BytesMut, body: Body, framing: Framing, keep: bool) -> Self {
        let is_complete = body.is_end_stream() && framing != Framing::Chunked;
        Answer {
            out: Outgoing::new(out, framing),
            body,
            keep,
            is_complete,
            is_broken: false,
            is_blocked: false,
            progressed: false,
        }
    }

    /// Whether it waits for the client to take more; else it waits for the body.
    pub fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Whether the client has taken anything since this was last asked.
    pub fn has_progressed(&mut self) -> bool {
        std::mem::take(&mut self.progressed)
    }

    /// Writes as much as there is and the client takes.
    pub fn poll_send(&mut self, socket: &mut Writer, cx: &mut Context<'_>) -> Poll<Sent> {
        loop {
            self.is_blocked = false;
            let is_starved = self.fill(cx);
            self.is_blocked = true;
            // What there was before the body broke goes out before the connection is cut: so the client has an answer
            // that broke off and not none.
            if ready!(self.poll_flush(socket, cx)).is_err() || self.is_broken {
                return Poll::Ready(Sent::Broken);
            }
            self.is_blocked = false;
            if self.is_complete {
                return Poll::Ready(if self.keep { Sent::Keep } else { Sent::Close });
            }
            if is_starved {
                return Poll::Pending;
            }
        }
    }

    /// Takes from the body until there is enough for a write; says whether the body has nothing now.
    fn fill(&mut self, cx: &mut Context<'_>) -> bool {
        while !self.is_complete && !self.is_broken && !self.out.is_full() {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return true,
                Poll::Ready(Some(Ok(frame))) => self.out.push(frame),
                Poll::Ready(Some(Err(_))) => {
                    self.is_broken = true;
                    return false;
                }
                Poll::Ready(None) => self.out.finish(None),
            }
            self.is_complete = self.out.is_finished() || !self.out.is_chunked() && self.body.is_end_stream();
        }
        false
    }

    fn poll_flush(&mut self, socket: &mut Writer, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let socket = Pin::new(&mut *socket);
            let written = match self.out.flat() {
                Some(bytes) => socket.poll_write(cx, bytes),
                None => socket.poll_write_vectored(cx, &self.out.slices()),
            };
            let Poll::Ready(written) = written else {
                self.out.release();
                return Poll::Pending;
            };
            match written? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => {
                    self.progressed = true;
                    self.out.advance(written);
                }
            }
        }
        // TLS holds what the socket had no room for.
        Pin::new(socket).poll_flush(cx)
    }
}

/// Decides how the body is framed, and clears the fields that would say otherwise.
pub(super) fn frame(
    method: &Method,
    status: StatusCode,
    headers: &mut HeaderMap,
    body: Body,
    version_1_1: bool,
) -> (Framing, Body) {
    headers.remove(TRANSFER_ENCODING);
    if framing::has_no_body(method, status) {
        // To a HEAD or in a 304 the length describes what is not sent; in a 204 it may not stand (RFC 9110 section 8.6).
        if status == StatusCode::NO_CONTENT {
            headers.remove(CONTENT_LENGTH);
        } else if let Body::Full(full) = &body
            && method == Method::HEAD
        {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(full.len()));
        }
        return (Framing::None, Body::None);
    }
    headers.remove(CONTENT_LENGTH);
    let framing = match body.size_hint().exact() {
        Some(length) => Framing::Length(length),
        None if version_1_1 => Framing::Chunked,
        None => Framing::Close,
    };
    (framing, body)
}

/// The `Date` of now, formatted once a second.
pub(super) fn date() -> HeaderValue {
    thread_local! {
        static LAST: RefCell<(i64, HeaderValue)> = const { RefCell::new((0, HeaderValue::from_static(""))) };
    }
    let now = Clock::Real.now();
    LAST.with_borrow_mut(|(second, value)| {
        if *second != now.as_second() {
            *second = now.as_second();
            let text = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            *value = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        }
        value.clone()
    })
}
