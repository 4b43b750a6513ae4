//! Looking into a body that may have to be passed on as it came.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::body::{Body, Broken};

/// The most that is looked at: a token is at most 1 MiB, and this leaves room for what stands around it.
pub(super) const LARGEST: usize = 1_153_434;

/// A body that was looked into.
pub(super) struct Peeked {
    /// All of it, if there is no more than [`LARGEST`].
    pub whole: Option<Bytes>,
    /// The body as it came.
    pub body: Body,
}

/// Reads a body until its end, or as far as is looked.
pub(super) async fn peek(mut body: Body) -> Result<Peeked, Broken> {
    if let Body::None | Body::Full(_) = body {
        let whole = match &body {
            Body::Full(bytes) if bytes.len() <= LARGEST => Some(bytes.clone()),
            _ => None,
        };
        return Ok(Peeked { whole, body });
    }
    let size = body.size_hint();
    let (mut frames, mut read) = (VecDeque::new(), Vec::new());
    let mut is_whole = size.lower() <= LARGEST as u64;
    while is_whole {
        let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await else { break };
        let frame = frame?;
        if let Some(data) = frame.data_ref() {
            is_whole = read.len() + data.len() <= LARGEST;
            if is_whole {
                read.extend_from_slice(data);
            }
        }
        frames.push_back(frame);
    }
    let whole = is_whole.then(|| Bytes::from(read));
    Ok(Peeked { whole, body: Body::stream(Again { frames, rest: body, size }) })
}

/// What was read of a body, then the rest; framed as it was.
struct Again {
    frames: VecDeque<Frame<Bytes>>,
    rest: Body,
    /// Of all of it.
    size: SizeHint,
}

impl http_body::Body for Again {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        match this.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Pin::new(&mut this.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body of these frames, of unknown length.
    struct Frames(VecDeque<&'static [u8]>);

    impl http_body::Body for Frames {
        type Data = Bytes;
        type Error = Broken;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
            let frame = self.get_mut().0.pop_front();
            Poll::Ready(frame.map(|data| Ok(Frame::data(Bytes::from_static(data)))))
        }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn a_body_that_was_looked_into_is_the_same_as_before() {
        run(async {
            let peeked = peek(Body::stream(Frames([&b"ab"[..], b"c"].into()))).await.unwrap();
            assert_eq!(peeked.whole.as_deref(), Some(&b"abc"[..]));
            assert_eq!(peeked.body.size_hint().exact(), None);
            assert_eq!(peeked.body.collect(10).await.unwrap(), &b"abc"[..]);
        });
    }

    #[test]
    fn no_more_is_read_of_a_large_body_than_is_looked_at() {
        static LARGE: [u8; 1_000_000] = [b'x'; 1_000_000];
        run(async {
            let frames = Frames(std::iter::repeat_n(&LARGE[..], 5).collect());
            let peeked = peek(Body::stream(frames)).await.unwrap();
            assert!(peeked.whole.is_none());
            assert_eq!(peeked.body.collect(10_000_000).await.unwrap().len(), 5_000_000);
        });
    }
}
