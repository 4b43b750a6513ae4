//! A body that carries a token to its caller. Until it is taken for writing, the token counts as left over, and a repeat of
//! the call waits.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use serde_json::json;

use super::idempotency::Place;
use super::leftover::Leftover;
use crate::body::Broken;

/// A token that is removed when this is dropped, unless somebody has it.
pub(in crate::serve) trait Unclaimed: Send + Sync + Unpin + 'static {
    /// Somebody has it.
    fn keep(self);
}

impl Unclaimed for Leftover {
    fn keep(self) {
        Leftover::keep(self);
    }
}

/// The bytes of an answer with a token in it.
pub(in crate::serve) struct Delivery<U> {
    bytes: Bytes,
    cargo: Option<Cargo<U>>,
}

/// What depends on the token's being taken.
struct Cargo<U> {
    token: String,
    leftover: U,
    place: Option<Place>,
}

impl<U: Unclaimed> Delivery<U> {
    /// The token is kept when these bytes are taken, and removed if they never are.
    pub fn new(token: String, leftover: U, place: Option<Place>) -> Self {
        let bytes = body(&token).into();
        Delivery { bytes, cargo: Some(Cargo { token, leftover, place }) }
    }
}

/// The body of an answer with a token in it.
pub(in crate::serve) fn body(token: &str) -> String {
    json!({ "token": token }).to_string()
}

impl<U: Unclaimed> http_body::Body for Delivery<U> {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let Some(cargo) = this.cargo.take() else { return Poll::Ready(None) };
        cargo.leftover.keep();
        if let Some(place) = cargo.place {
            place.keep(cargo.token);
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.cargo.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
