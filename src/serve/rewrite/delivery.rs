//! A body that carries a token to its caller. Until it is taken for writing, the token counts as left over.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::leftover::Leftover;
use crate::body::Broken;

/// The bytes of an answer with a token in it.
pub(super) struct Delivery {
    bytes: Bytes,
    leftover: Option<Leftover>,
}

impl Delivery {
    /// The token is kept when these bytes are taken, and removed if they never are.
    pub fn new(bytes: impl Into<Bytes>, leftover: Leftover) -> Self {
        Delivery { bytes: bytes.into(), leftover: Some(leftover) }
    }
}

impl http_body::Body for Delivery {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let Some(leftover) = this.leftover.take() else { return Poll::Ready(None) };
        leftover.keep();
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.leftover.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
