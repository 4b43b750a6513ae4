//! When an operation was deprecated and when it ends.

use jiff::Timestamp;

use crate::operation::Phase;

/// A deprecation date and perhaps a sunset date, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    deprecated: Timestamp,
    sunset: Option<Timestamp>,
}

/// RFC 9745, section 4: a sunset must not be earlier than the deprecation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sunset, {sunset}, is before the deprecation, {deprecated}")]
pub struct SunsetBeforeDeprecation {
    /// The deprecation date.
    pub deprecated: Timestamp,
    /// The sunset date before it.
    pub sunset: Timestamp,
}

impl Schedule {
    /// A schedule; without a sunset the operation never ends.
    ///
    /// # Errors
    ///
    /// [`SunsetBeforeDeprecation`]; the same moment is fine.
    pub fn new(deprecated: Timestamp, sunset: Option<Timestamp>) -> Result<Self, SunsetBeforeDeprecation> {
        match sunset {
            Some(sunset) if sunset < deprecated => Err(SunsetBeforeDeprecation { deprecated, sunset }),
            _ => Ok(Schedule { deprecated, sunset }),
        }
    }

    /// The deprecation date.
    pub fn deprecated(&self) -> Timestamp {
        self.deprecated
    }

    /// The sunset date.
    pub fn sunset(&self) -> Option<Timestamp> {
        self.sunset
    }

    /// Where the schedule stands at a moment. Each date itself belongs to the phase that it opens.
    pub fn phase(&self, now: Timestamp) -> Phase {
        match self.sunset {
            Some(sunset) if now >= sunset => Phase::Sunset,
            _ if now >= self.deprecated => Phase::Deprecated,
            _ => Phase::Announced,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_date_opens_its_phase() {
        let schedule = Schedule::new(at(100), Some(at(200))).unwrap();
        for (now, phase) in [
            (99, Phase::Announced),
            (100, Phase::Deprecated),
            (199, Phase::Deprecated),
            (200, Phase::Sunset),
            (i64::from(i32::MAX), Phase::Sunset),
        ] {
            assert_eq!(schedule.phase(at(now)), phase, "{now}");
        }
        assert_eq!(Schedule::new(at(100), None).unwrap().phase(at(1_000_000)), Phase::Deprecated);
        assert_eq!(Schedule::new(at(100), Some(at(100))).unwrap().phase(at(100)), Phase::Sunset);
    }

    #[test]
    fn a_sunset_before_the_deprecation_is_refused() {
        let error = Schedule::new(at(100), Some(at(99))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the sunset, 1970-01-01T00:01:39Z, is before the deprecation, 1970-01-01T00:01:40Z"
        );
    }

    proptest! {
        #[test]
        fn phases_only_move_forward(
            deprecated in 0i64..4_000_000_000,
            length in prop::option::of(0i64..1_000_000_000),
            first in 0i64..6_000_000_000,
            later in 0i64..1_000_000_000,
        ) {
            let sunset = length.map(|length| at(deprecated + length));
            let schedule = Schedule::new(at(deprecated), sunset).unwrap();
            prop_assert!(schedule.phase(at(first)) <= schedule.phase(at(first + later)));
        }
    }
}
