//! A place is for work, not for waiting for a slow client: a request that has waited a moment for its own client's body
//! gives its place back and goes on without one; when the body is complete it takes one again, if one is free. Else a
//! few slow clients, coming again and again, would lock everybody out.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};

use super::Place;
use crate::body::{Body, Broken};

/// How long, in all, a request waits for its client's body before the place goes to another. Enough for a body that is
/// sent right behind its head.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// A place that is held until the answer is there, but for the time in which the body does not arrive.
pub struct Held {
    /// Together with the body, while it arrives.
    shared: Option<Arc<Shared>>,
    _alone: Option<Place>,
}

type Shared = Mutex<State>;

enum State {
    Held {
        _place: Place,
    },
    /// Until the body is complete.
    GivenBack,
    /// The answer is there.
    Answered,
}

impl Place {
    /// Holds the place for a request with this body. A body that is all there costs nothing.
    pub fn while_arriving(self, body: &mut Body) -> Held {
        self.while_arriving_within(PATIENCE, body)
    }

    pub(super) fn while_arriving_within(self, patience: Duration, body: &mut Body) -> Held {
        if !matches!(body, Body::Stream(_)) {
            return Held { shared: None, _alone: Some(self) };
        }
        let places = Arc::clone(self.permit.semaphore());
        let shared = Arc::new(Mutex::new(State::Held { _place: self }));
        let rest = std::mem::take(body);
        *body = Body::stream(Arriving {
            rest,
            patience,
            since: None,
            alarm: Box::pin(tokio::time::sleep(patience)),
            places,
            shared: Arc::clone(&shared),
        });
        Held { shared: Some(shared), _alone: None }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            *shared.lock().unwrap_or_else(PoisonError::into_inner) = State::Answered;
        }
    }
}

struct Arriving {
    rest: Body,
    /// What is left of it.
    patience: Duration,
    /// Since when there is nothing to read.
    since: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
    places: Arc<Semaphore>,
    shared: Arc<Shared>,
}

impl Arriving {
    fn wait(&mut self, cx: &mut Context<'_>) {
        if self.patience.is_zero() {
            return;
        }
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            self.alarm.as_mut().reset(now + self.patience);
        }
        if self.alarm.as_mut().poll(cx).is_ready() {
            self.patience = Duration::ZERO;
            self.give_back();
        }
    }

    fn give_back(&self) {
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Held { .. }) {
            *state = State::GivenBack;
        }
    }

    /// Does not wait for a place that is not there: the backend has most of the request already.
    fn take_again(&self) {
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::GivenBack)
            && let Ok(permit) = Arc::clone(&self.places).try_acquire_owned()
        {
            *state = State::Held { _place: Place { permit } };
        }
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.rest).poll_frame(cx) else {
            this.wait(cx);
            return Poll::Pending;
        };
        if let Some(since) = this.since.take() {
            this.patience = this.patience.saturating_sub(since.elapsed());
            if this.patience.is_zero() {
                this.give_back();
            }
        }
        if frame.is_none() || this.rest.is_end_stream() {
            this.take_again();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.size_hint()
    }
}
