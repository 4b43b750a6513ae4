//! A request's body as it arrives. It borrows the connection's reading side and gives it back when it is dropped, so
//! that the connection knows how far the body was read, and whether its framing held.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::stream::Reader;
use crate::body::Broken;
use crate::http1::{Decoded, Decoder};
use crate::timer::Deadline;

/// The largest piece that is read at once.
const MOST: usize = 64 * 1024;
/// The smallest room for a read.
const LEAST: usize = 4 * 1024;

/// The reading side of a connection, inside a request's body.
#[derive(Debug)]
pub(super) struct Reading {
    pub socket: Reader,
    pub buffer: BytesMut,
    pub decoder: Decoder,
    pub deadline: Arc<Deadline>,
    pub stall: Duration,
    /// How reading went wrong, if it did.
    pub failure: Option<Failure>,
    /// How much the next read may take; grows while reads fill it.
    pub room: usize,
}

/// How a body can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Closed,
    Stalled,
    Malformed,
}

/// Where the reading side is put back.
pub(super) type Shelf = Arc<Mutex<Option<Reading>>>;

/// A request's body.
pub(super) struct Incoming {
    /// `None` once it is back on the shelf.
    reading: Option<Reading>,
    shelf: Shelf,
}

impl Incoming {
    pub fn new(reading: Reading, shelf: Shelf) -> Self {
        Incoming { reading: Some(reading), shelf }
    }

    fn give_back(&mut self) {
        if let Some(reading) = self.reading.take() {
            reading.deadline.clear();
            *self.shelf.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let Some(reading) = &mut this.reading else { return Poll::Ready(None) };
        let frame = ready!(reading.poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || reading.decoder.is_done() {
            this.give_back();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.reading.as_ref().is_none_or(|reading| reading.decoder.is_done())
    }

    fn size_hint(&self) -> SizeHint {
        match self.reading.as_ref().map(|reading| reading.decoder.remaining()) {
            Some(Some(left)) => SizeHint::with_exact(left),
            Some(None) => SizeHint::default(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Reading {
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            match self.decoder.decode(&mut self.buffer) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Decoded::Trailers(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::Starved) => {}
                Err(text) => return self.fail(Failure::Malformed, Broken::Malformed(text)),
            }
            match poll_read(&mut self.socket, cx, &mut self.buffer, self.room) {
                Poll::Ready(Ok(0)) => return self.fail(Failure::Closed, Broken::Closed(None)),
                Poll::Ready(Ok(read)) => {
                    self.deadline.clear();
                    self.room = next_room(self.room, read);
                }
                Poll::Ready(Err(error)) => return self.fail(Failure::Closed, Broken::Closed(Some(error))),
                Poll::Pending => {
                    if !self.deadline.is_set() {
                        self.deadline.set(self.stall);
                    }
                    ready!(self.deadline.poll_over(cx));
                    return self.fail(Failure::Stalled, Broken::Stalled);
                }
            }
        }
    }

    fn fail(&mut self, failure: Failure, broken: Broken) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.failure = Some(failure);
        Poll::Ready(Some(Err(broken)))
    }
}

/// Reads what there is behind what `buffer` holds, with room for at least `room` bytes.
pub(super) fn poll_read(
    socket: &mut Reader,
    cx: &mut Context<'_>,
    buffer: &mut BytesMut,
    room: usize,
) -> Poll<io::Result<usize>> {
    buffer.reserve(room);
    tokio_util::io::poll_read_buf(Pin::new(socket), cx, buffer)
}

/// Doubles the room while reads fill it.
pub(super) fn next_room(room: usize, read: usize) -> usize {
    if read >= room { (room * 2).min(MOST) } else { room.max(LEAST) }
}
