//! A place is for work, not for waiting for a slow client: a request whose body has not all arrived after a while gives
//! its place back and goes on without one. Else as many slow clients as there are places would lock everybody out.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;

use super::Place;
use crate::body::{Body, Broken};

/// How long a body may take to arrive before the place goes to another request.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A place that is held until the answer is there, or for [`PATIENCE`] while the body arrives.
pub struct Held {
    /// Together with the body, while it arrives.
    shared: Option<Arc<Shared>>,
    _alone: Option<Place>,
}

type Shared = Mutex<Option<Place>>;

impl Place {
    /// Holds the place for a request with this body. A body that is all there costs nothing.
    pub fn while_arriving(self, body: &mut Body) -> Held {
        self.while_arriving_within(PATIENCE, body)
    }

    pub(super) fn while_arriving_within(self, patience: Duration, body: &mut Body) -> Held {
        if !matches!(body, Body::Stream(_)) {
            return Held { shared: None, _alone: Some(self) };
        }
        let shared = Arc::new(Mutex::new(Some(self)));
        let rest = std::mem::take(body);
        *body = Body::stream(Arriving {
            rest,
            patience: Box::pin(tokio::time::sleep(patience)),
            place: Arc::clone(&shared),
            is_over: false,
        });
        Held { shared: Some(shared), _alone: None }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            give_back(shared);
        }
    }
}

fn give_back(shared: &Shared) {
    drop(shared.lock().unwrap_or_else(PoisonError::into_inner).take());
}

struct Arriving {
    rest: Body,
    patience: Pin<Box<Sleep>>,
    place: Arc<Shared>,
    is_over: bool,
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.rest).poll_frame(cx);
        if !this.is_over && !this.rest.is_end_stream() && this.patience.as_mut().poll(cx).is_ready() {
            this.is_over = true;
            give_back(&this.place);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.size_hint()
    }
}
