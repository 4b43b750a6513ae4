//! The reading side of a connection between and during requests: lent to the body of a request that streams, taken back
//! when the body is dropped, and drained where the body was not read to its end.

use std::io;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Request;

use super::incoming::{Failure, Incoming, Reading, Shelf, poll_read};
use super::stream::Reader;
use crate::body::Body;
use crate::http1::{Decoder, Framing, RequestHead};
use crate::timer::Deadline;

/// A body of at most so many bytes that came with its head is handed on whole.
const WHOLE: u64 = 32 * 1024;
/// What a client may send ahead while a request of its is served.
const AHEAD: usize = 16 * 1024;
/// So much of an unread body is read and thrown away for the sake of keeping the connection.
const DRAINED: u64 = 256 * 1024;
/// Room for a read.
const ROOM: usize = 4 * 1024;

/// The reading side.
pub(super) struct Input {
    /// What was read and not yet used.
    pub buffer: BytesMut,
    /// `None` while it is lent.
    socket: Option<Reader>,
    deadline: Arc<Deadline>,
    shelf: Shelf,
    /// The length of the body, where its framing told it.
    length: Option<u64>,
    /// A body that was given back before its end.
    unfinished: Option<Reading>,
}

impl Input {
    pub fn new(socket: Reader, deadline: Arc<Deadline>) -> Self {
        Input {
            buffer: BytesMut::new(),
            socket: Some(socket),
            deadline,
            shelf: Shelf::default(),
            length: None,
            unfinished: None,
        }
    }

    /// Gives the memory of the buffer back.
    pub fn release(&mut self) {
        self.buffer = BytesMut::new();
    }

    /// The request as a handler sees it. A body that is not all there takes the reading side along.
    pub fn request(&mut self, head: RequestHead, stall: Duration) -> Request<Body> {
        let body = match head.framing {
            Framing::None => Body::None,
            Framing::Length(length) if length <= WHOLE && length <= self.buffer.len() as u64 => {
                Body::Full(self.buffer.split_to(length as usize).freeze())
            }
            framing => match self.lend(framing, stall) {
                Some(incoming) => Body::stream(incoming),
                None => Body::None,
            },
        };
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = head.uri;
        *request.headers_mut() = head.headers;
        // An upgrade to anything but a WebSocket is none of ours to offer the backend.
        if !head.upgrade {
            request.headers_mut().remove(http::header::UPGRADE);
        }
        *request.version_mut() =
            if head.version_1_1 { http::Version::HTTP_11 } else { http::Version::HTTP_10 };
        request
    }

    /// Reads into the buffer; nothing more comes while the reading side is lent.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Some(socket) => poll_read(socket, cx, &mut self.buffer, room),
            None => Poll::Ready(Ok(0)),
        }
    }

    /// Ready when there is something to read, or the end; no buffer is needed to wait.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.socket {
            Some(socket) => socket.poll_readable(cx),
            None => Poll::Ready(()),
        }
    }

    /// Takes the reading side out, with what was read and not used.
    pub fn take(&mut self) -> Option<(Reader, Bytes)> {
        Some((self.socket.take()?, self.buffer.split().freeze()))
    }

    /// Whether a request's body has the reading side now.
    pub fn is_lent(&mut self) -> bool {
        self.settle();
        self.socket.is_none()
    }

    /// How the request's body went wrong, if it did.
    pub fn failure(&mut self) -> Option<Failure> {
        self.settle();
        self.unfinished.as_ref().and_then(|reading| reading.failure)
    }

    /// Whether the client has closed its side. A client that closes has lost interest in the answer (hyper and nginx
    /// take it so too). What it sends ahead is kept, up to a bound.
    pub fn has_ended(&mut self, cx: &mut Context<'_>) -> bool {
        self.settle();
        let Some(socket) = &mut self.socket else { return false };
        while self.buffer.len() < AHEAD {
            match poll_read(socket, cx, &mut self.buffer, ROOM) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return true,
                Poll::Pending => break,
            }
        }
        false
    }

    /// Whether the rest of the body, if any, is small enough to be read for the sake of the connection. A client that
    /// waits for `100 Continue` may or may not send its body after a final answer: nobody can know where the next
    /// request begins.
    pub fn can_be_drained(&mut self, expects_continue: bool) -> bool {
        self.settle();
        let left = match &self.unfinished {
            // Its borrower may give up at any time, so all of it may be left.
            None if self.socket.is_none() => self.length,
            None => return true,
            Some(reading) => reading.decoder.remaining(),
        };
        !expects_continue && left.is_some_and(|left| left <= DRAINED)
    }

    /// Reads the rest of the body; false if the connection cannot be used any more.
    pub async fn drain(&mut self) -> bool {
        self.settle();
        let Some(mut reading) = self.unfinished.take() else { return self.socket.is_some() };
        let mut drained = 0;
        while drained <= DRAINED {
            match std::future::poll_fn(|cx| reading.poll_frame(cx)).await {
                Some(Ok(frame)) => drained += frame.data_ref().map_or(0, |data| data.len() as u64),
                Some(Err(_)) => return false,
                None => {
                    self.take_back(reading);
                    return true;
                }
            }
        }
        false
    }

    /// Nothing can be lent twice: a request begins after the one before has given back.
    fn lend(&mut self, framing: Framing, stall: Duration) -> Option<Incoming> {
        let socket = self.socket.take()?;
        self.length = match framing {
            Framing::Length(length) => Some(length),
            _ => None,
        };
        let reading = Reading {
            socket,
            buffer: std::mem::take(&mut self.buffer),
            decoder: Decoder::new(framing),
            deadline: Arc::clone(&self.deadline),
            stall,
            failure: None,
            room: ROOM,
        };
        Some(Incoming::new(reading, Arc::clone(&self.shelf)))
    }

    /// Takes the reading side back if its borrower is done with it.
    fn settle(&mut self) {
        if self.socket.is_some() || self.unfinished.is_some() {
            return;
        }
        let returned = self.shelf.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(reading) = returned else { return };
        if reading.decoder.is_done() && reading.failure.is_none() {
            self.take_back(reading);
        } else {
            self.unfinished = Some(reading);
        }
    }

    fn take_back(&mut self, reading: Reading) {
        self.deadline.clear();
        self.buffer = reading.buffer;
        self.socket = Some(reading.socket);
    }
}
