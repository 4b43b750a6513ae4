//! A request's body in HTTP/2. What was handed on is given back to the client's window when more is asked for, so that a
//! slow backend slows the client and nothing piles up here.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Frame, SizeHint};

use super::guard::Sight;
use crate::body::Broken;
use crate::http1::check_trailers;
use crate::timer::Deadline;

/// A request's body.
pub(super) struct Incoming {
    stream: RecvStream,
    /// What was handed on and not yet given back to the window.
    lent: usize,
    /// What the client said would still come.
    left: Option<u64>,
    /// The piece that makes the body as long as was said, until the stream has ended well. The backend would else have a
    /// whole request whose client is told that it was none.
    last: Bytes,
    is_done: bool,
    stall: Duration,
    /// There is one as soon as the client lets us wait.
    deadline: Option<Deadline>,
    fate: Fate,
}

/// How the body has gone wrong, if it did; whoever answers wants to know. Clones are one.
#[derive(Clone)]
pub(super) struct Fate {
    failure: Arc<AtomicU8>,
    stream: u32,
    sight: Sight,
}

/// How a body can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Closed = 1,
    Stalled = 2,
    Malformed = 3,
}

impl Fate {
    pub fn new(stream: u32, sight: Sight) -> Self {
        Fate { failure: Arc::default(), stream, sight }
    }

    /// Whether the trailers were found to have what h2 drops.
    fn has_bad_trailers(&self) -> bool {
        self.sight.look().finding(self.stream).is_some()
    }

    pub fn failure(&self) -> Option<Failure> {
        match self.failure.load(Ordering::Relaxed) {
            1 => Some(Failure::Closed),
            2 => Some(Failure::Stalled),
            3 => Some(Failure::Malformed),
            _ => None,
        }
    }

    pub fn set(&self, failure: Failure) {
        self.failure.store(failure as u8, Ordering::Relaxed);
    }
}

impl Incoming {
    pub fn new(stream: RecvStream, length: Option<u64>, stall: Duration, fate: Fate) -> Self {
        Incoming {
            stream,
            lent: 0,
            left: length,
            last: Bytes::new(),
            is_done: false,
            stall,
            deadline: None,
            fate,
        }
    }

    fn give_back(&mut self) {
        let lent = std::mem::take(&mut self.lent);
        if lent > 0 {
            // It fails for a stream that is gone, whose window concerns nobody.
            let _ = self.stream.flow_control().release_capacity(lent);
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        while let Some(data) = ready!(self.stream.poll_data(cx)) {
            let data = match data {
                Ok(data) => data,
                Err(error) => return self.fail(error),
            };
            self.lent += data.len();
            if let Some(left) = &mut self.left {
                *left = left.saturating_sub(data.len() as u64);
            }
            if self.left == Some(0) && self.last.is_empty() && !self.stream.is_end_stream() {
                self.last = data;
            } else if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Err(error) => self.fail(error),
            Ok(trailers) => {
                self.is_done = true;
                let last = std::mem::take(&mut self.last);
                let last = (!last.is_empty()).then(|| Ok(Frame::data(last)));
                let Some(trailers) = trailers else { return Poll::Ready(last) };
                let bad = self.fate.has_bad_trailers().then_some("trailers have a pseudo-header field");
                if let Some(text) = bad.or(check_trailers(&trailers).err()) {
                    self.fate.set(Failure::Malformed);
                    return Poll::Ready(Some(Err(Broken::Malformed(text))));
                }
                // Behind a body whose length was told there is no place for trailers in HTTP/1.1.
                Poll::Ready(last.or_else(|| (!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers)))))
            }
        }
    }

    /// The stream or the connection broke. Where it was h2 that found the framing wrong, it has told the client.
    fn fail(&mut self, error: h2::Error) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.is_done = true;
        self.fate.set(Failure::Closed);
        let is_malformed = error.is_reset() && error.is_library();
        Poll::Ready(Some(Err(match is_malformed {
            true => Broken::Malformed("frames that do not belong together"),
            false => Broken::Closed(Some(std::io::Error::other(error))),
        })))
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        this.give_back();
        if let Poll::Ready(frame) = this.poll_next(cx) {
            if let Some(deadline) = &this.deadline {
                deadline.clear();
            }
            return Poll::Ready(frame);
        }
        let deadline = this.deadline.get_or_insert_with(Deadline::never);
        if !deadline.is_set() {
            deadline.set(this.stall);
        }
        ready!(deadline.poll_over(cx));
        this.is_done = true;
        this.fate.set(Failure::Stalled);
        Poll::Ready(Some(Err(Broken::Stalled)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_done || self.last.is_empty() && self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.left.map(|left| left + self.last.len() as u64);
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.give_back();
    }
}
