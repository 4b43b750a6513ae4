//! The one body type: of requests from clients, of responses to them, and of both on the way to the upstream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

/// A message body.
#[derive(Default)]
pub enum Body {
    /// No body at all: the message has none, not an empty one that is framed.
    #[default]
    None,
    /// All of it at hand.
    Full(Bytes),
    /// It arrives as it is polled, data frames and at the end perhaps trailers.
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = Broken> + Send + Sync>>),
}

/// The body ended before it was complete; the message must not be completed towards anybody.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The peer closed or reset the connection.
    #[error("the peer closed the connection inside the body")]
    Closed(#[source] Option<std::io::Error>),
    /// The peer sent nothing for too long.
    #[error("the peer stalled inside the body")]
    Stalled,
    /// The peer broke the framing.
    #[error("the body's framing is malformed: {0}")]
    Malformed(&'static str),
    /// More bytes than the reader allows.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
}

impl Body {
    /// A body from bytes at hand.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Body::Full(bytes.into())
    }

    /// A body from anything that streams.
    pub fn stream(body: impl http_body::Body<Data = Bytes, Error = Broken> + Send + Sync + 'static) -> Self {
        Body::Stream(Box::pin(body))
    }

    /// Whether the message has no body, so that no framing header describes it.
    pub fn is_none(&self) -> bool {
        matches!(self, Body::None)
    }

    /// Reads the whole body, at most `limit` bytes of it.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, Broken> {
        if let Body::Full(bytes) = self {
            return if bytes.len() > limit { Err(Broken::TooLarge(limit)) } else { Ok(bytes) };
        }
        let mut all = Vec::new();
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await {
            if let Ok(data) = frame?.into_data() {
                if all.len() + data.len() > limit {
                    return Err(Broken::TooLarge(limit));
                }
                all.extend_from_slice(&data);
            }
        }
        Ok(all.into())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        match this {
            Body::None => Poll::Ready(None),
            Body::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Body::None;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Body::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::None => true,
            Body::Full(bytes) => bytes.is_empty(),
            Body::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::None => SizeHint::with_exact(0),
            Body::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Stream(stream) => stream.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Body::None => "Body::None",
            Body::Full(_) => "Body::Full",
            Body::Stream(_) => "Body::Stream",
        })
    }
}
