//! The time of day, real or fixed. The only place that asks the system for it; everywhere else time is an argument,
//! which is what makes schedules testable and `explain --at` possible.

use jiff::Timestamp;

/// Where "now" comes from.
#[derive(Clone, Copy, Debug, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    Real,
    /// Always this moment.
    Fixed(Timestamp),
}

impl Clock {
    /// The present moment.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::Real => Timestamp::now(),
            Clock::Fixed(moment) => *moment,
        }
    }
}
