//! The connections of the admin listener that are open, and which of them has to go when there is no room for another:
//! the one that has been idle longest. So whoever holds connections open and asks nothing keeps nobody out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// All of them.
#[derive(Default)]
pub(super) struct Seats(Mutex<Vec<Arc<Seat>>>);

/// One of them.
pub(super) struct Seat {
    /// Nothing while a request is answered.
    idle_since: Mutex<Option<Instant>>,
    leave: Notify,
}

/// One of them, as long as it is open.
pub(super) struct Taken {
    seats: Arc<Seats>,
    /// This one.
    pub seat: Arc<Seat>,
}

impl Seats {
    /// For a connection that has just come.
    pub fn take(self: &Arc<Self>) -> Taken {
        let seat = Arc::new(Seat { idle_since: Mutex::new(Some(Instant::now())), leave: Notify::new() });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&seat));
        Taken { seats: Arc::clone(self), seat }
    }

    /// Has the one leave that has been idle longest; false if none is idle.
    pub fn clear_one(&self) -> bool {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = seats.iter().enumerate().filter_map(|(index, seat)| Some((seat.idle_since()?, index)));
        let Some((_, index)) = idle.min() else { return false };
        seats.swap_remove(index).leave.notify_one();
        true
    }
}

impl Seat {
    /// A request came.
    pub fn begin(&self) {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It is answered.
    pub fn end(&self) {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Until another needs the room more.
    pub async fn has_to_leave(&self) {
        self.leave.notified().await;
    }

    /// Nothing while a request is answered.
    fn idle_since(&self) -> Option<Instant> {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut seats = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        seats.retain(|seat| !Arc::ptr_eq(seat, &self.seat));
    }
}
