//! Whether an operation can be retired. Pure: what it goes by is handed to it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::escape::visible;
use crate::ledger::Period;
use crate::ledger::usage::GRACE;

/// The word of [`Verdict::Safe`].
pub const SAFE: &str = "safe";
/// The word of [`Verdict::NotYet`].
pub const NOT_YET: &str = "not_yet";
/// The word of [`Verdict::NotWatched`].
pub const NOT_WATCHED: &str = "not_watched";
/// The word of [`Verdict::Safe`] where only one consumer was looked at: others may call.
pub const UNUSED: &str = "unused_by_consumer";
/// The word of what would be safe if the newest calls were known. Only people are told it.
pub const NOT_KNOWN: &str = "not_known";

/// What an operator is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody has called for the whole window, and that was watched.
    Safe,
    /// Somebody still calls.
    NotYet {
        /// How many consumers count.
        consumers: usize,
        /// When the last of them called.
        last: Timestamp,
    },
    /// Nobody has called, but nobody has looked for long enough.
    NotWatched {
        /// Since when somebody looks; nothing where nobody does.
        since: Option<Timestamp>,
    },
}

impl Verdict {
    /// Decides. `callers`: of each consumer that counts the last call. `watched`: since when calls are counted without
    /// a gap.
    pub fn of(
        callers: impl IntoIterator<Item = Timestamp>,
        watched: Option<Timestamp>,
        window: Duration,
        now: Timestamp,
    ) -> Self {
        let (mut consumers, mut last) = (0, None);
        for call in callers {
            consumers += 1;
            last = last.max(Some(call));
        }
        if let Some(last) = last {
            return Verdict::NotYet { consumers, last };
        }
        let window = SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX);
        match watched {
            Some(since) if now.duration_since(since) >= window => Verdict::Safe,
            since => Verdict::NotWatched { since },
        }
    }

    /// One word for programs: `safe`, `not_yet` or `not_watched`.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Safe => SAFE,
            Verdict::NotYet { .. } => NOT_YET,
            Verdict::NotWatched { .. } => NOT_WATCHED,
        }
    }

    /// The line for people: *safe to retire*, *not yet: 3 consumers, last call 2 h ago*.
    pub fn line(self, window: Duration, now: Timestamp) -> String {
        let days = super::days(window);
        match self {
            Verdict::Safe => "safe to retire".to_owned(),
            Verdict::NotYet { consumers: 1, last } => {
                format!("not yet: 1 consumer, last call {} ago", ago(now, last))
            }
            Verdict::NotYet { consumers, last } => {
                format!("not yet: {consumers} consumers, last call {} ago", ago(now, last))
            }
            Verdict::NotWatched { since: None } => "not known: nobody is watching".to_owned(),
            Verdict::NotWatched { since: Some(since) } => {
                format!("not known yet: no calls, but watched for {} of {days} d only", ago(now, since))
            }
        }
    }
}

/// The verdicts of a report about one consumer. They say so, and none says that anything is safe.
impl Verdict {
    /// One word for programs: `unused_by_consumer`, `not_yet` or `not_watched`.
    pub fn name_for_one(self) -> &'static str {
        if self == Verdict::Safe { UNUSED } else { self.name() }
    }

    /// The line for people: *not used by user:a*. `has_called`: with calls that stand against nothing.
    pub fn line_for_one(self, who: &str, has_called: bool, window: Duration, now: Timestamp) -> String {
        let days = super::days(window);
        match self {
            Verdict::Safe => unused(who, has_called),
            Verdict::NotYet { last, .. } => {
                format!("not yet: used by {}, last call {} ago", visible(who), ago(now, last))
            }
            Verdict::NotWatched { since: None } => self.line(window, now),
            Verdict::NotWatched { since: Some(since) } => format!(
                "not known yet: no calls by {} that count, but watched for {} of {days} d only",
                visible(who),
                ago(now, since)
            ),
        }
    }
}

/// That one consumer stands against nothing.
pub(super) fn unused(who: &str, has_called: bool) -> String {
    let who = visible(who);
    if has_called {
        format!("not held up by {who}: its calls do not count")
    } else {
        format!("not used by {who}")
    }
}

/// Since when an operation is watched without a gap that reaches to now.
pub fn watched_since(periods: &[Period], operation: &str, now: Timestamp) -> Option<Timestamp> {
    let mut own: Vec<_> = periods.iter().filter(|period| period.operation == operation).collect();
    own.sort_unstable_by_key(|period| std::cmp::Reverse(period.until));
    let mut since: Option<Timestamp> = None;
    // From now backwards, through periods that follow each other or overlap.
    for period in own {
        let reached = since.unwrap_or(now);
        if period.until.saturating_add(GRACE).is_ok_and(|end| end < reached) {
            break;
        }
        since = Some(since.map_or(period.since, |since| since.min(period.since)));
    }
    since
}

/// How long ago, in the largest unit that says enough.
pub fn ago(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
