//! How far back a report looks, as people write it: `30d`, `4w` or a date. Never further than calls are remembered: of the
//! time before, nobody can say that nobody called.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::days;

/// The first day of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// So many days before today, at most 36,500.
    Days(u32),
    /// This UTC day.
    Date(Date),
}

/// Why a text is no beginning of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSince {
    /// It is none of the forms.
    #[error("expected days such as 30d, weeks such as 4w, or a date such as 2027-01-31")]
    Form,
    /// The day has not come yet.
    #[error("it lies in the future")]
    Future,
    /// The calls of its first days are forgotten.
    #[error(
        "{asked} d are longer than usage.retention, {kept} d: what is forgotten cannot be judged; ask for less, or remember \
         calls for longer from now on"
    )]
    Forgotten {
        /// The days that were asked for.
        asked: i64,
        /// The days that are remembered.
        kept: i64,
    },
}

impl FromStr for Since {
    type Err = BadSince;

    fn from_str(text: &str) -> Result<Self, BadSince> {
        let days = |digits: &str, each: u32| {
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            let count = digits.parse::<u32>().ok().filter(|_| is_number);
            count.and_then(|count| count.checked_mul(each)).filter(|days| *days <= 36_500).map(Since::Days)
        };
        let read = match (text.strip_suffix('d'), text.strip_suffix('w')) {
            (Some(digits), _) => days(digits, 1),
            (_, Some(digits)) => days(digits, 7),
            _ => text.parse().ok().map(Since::Date),
        };
        read.ok_or(BadSince::Form)
    }
}

impl Since {
    /// The length of the window that begins then, in whole days, where calls are remembered for `retention`.
    ///
    /// # Errors
    ///
    /// [`BadSince::Future`] or [`BadSince::Forgotten`].
    pub fn window(self, now: Timestamp, retention: Duration) -> Result<Duration, BadSince> {
        let length = match self {
            Since::Days(days) => days.into(),
            Since::Date(date) => {
                let today = TimeZone::UTC.to_datetime(now).date();
                let days = date.until(today).map_or(-1, |span| i64::from(span.get_days()));
                u64::try_from(days).map_err(|_| BadSince::Future)?
            }
        };
        let window = Duration::from_secs(length * 24 * 60 * 60);
        let (asked, kept) = (days(window), days(retention));
        if asked > kept { Err(BadSince::Forgotten { asked, kept }) } else { Ok(window) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn a_time_is_days_weeks_or_a_date() {
        assert_eq!("30d".parse(), Ok(Since::Days(30)));
        assert_eq!("4w".parse(), Ok(Since::Days(28)));
        assert_eq!("2027-01-31".parse(), Ok(Since::Date(Date::constant(2027, 1, 31))));
        for bad in ["", "d", "30", "-1d", "+1d", "99999999999w", "40000d", "yesterday"] {
            assert_eq!(bad.parse::<Since>(), Err(BadSince::Form), "{bad}");
        }
    }

    #[test]
    fn a_window_is_whole_days_and_none_begins_in_the_future() {
        let now = "2027-02-02T13:00:00Z".parse().unwrap();
        for (text, days) in [("0d", Ok(0)), ("2w", Ok(14)), ("2027-01-31", Ok(2)), ("2027-02-02", Ok(0))] {
            let window = text.parse::<Since>().unwrap().window(now, DAY * 14);
            assert_eq!(window.map(|window| window.as_secs() / 86_400), days, "{text}");
        }
        assert_eq!("2027-02-03".parse::<Since>().unwrap().window(now, DAY * 14), Err(BadSince::Future));
    }

    #[test]
    fn no_window_is_longer_than_calls_are_remembered() {
        let now = "2027-02-02T13:00:00Z".parse().unwrap();
        for (text, asked) in [("15d", 15), ("3w", 21), ("2027-01-18", 15)] {
            let window = text.parse::<Since>().unwrap().window(now, DAY * 14);
            assert_eq!(window, Err(BadSince::Forgotten { asked, kept: 14 }), "{text}");
        }
        let said = BadSince::Forgotten { asked: 15, kept: 14 }.to_string();
        assert!(said.starts_with("15 d are longer than usage.retention, 14 d: "), "{said}");
    }
}
