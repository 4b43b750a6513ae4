//! The trend to zero: the calls of the last 31 days as a small picture drawn here, and the same in words.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::words::{Day, Number, counted};
use crate::ledger::UsedDay;
use crate::ledger::usage::{RECENT, day_of, start_of};

/// How many days it shows: today and the 30 before, as the numbers of 30 days do.
pub(super) const DAYS: usize = RECENT[2] as usize + 1;

/// The calls of each day.
pub(super) struct Trend {
    calls: [u64; DAYS],
    first: i64,
    /// Since when the calls are all there.
    watched: Option<Timestamp>,
}

impl Trend {
    /// Of one operation, or of all.
    pub fn of(days: &[UsedDay], operation: Option<&str>, watched: Option<Timestamp>, now: Timestamp) -> Self {
        let first = day_of(now) - RECENT[2];
        let mut calls = [0; DAYS];
        for day in days.iter().filter(|day| operation.is_none_or(|id| id == day.operation)) {
            let index = usize::try_from(day.day - first).ok();
            if let Some(sum) = index.and_then(|index| calls.get_mut(index)) {
                *sum += day.calls;
            }
        }
        Trend { calls, first, watched }
    }

    /// Where it goes: the last seven whole days beside the seven before.
    pub fn words(&self) -> String {
        let today = DAYS - 1;
        let Some(last) = self.calls.iter().rposition(|calls| *calls > 0) else {
            return "no calls".to_owned();
        };
        let week = |until: usize| self.calls[until - 7..until].iter().sum::<u64>();
        let (now, before) = (week(today), week(today - 7));
        if now == 0 && last < today {
            return format!("none for {} days", today - last);
        }
        let is_whole = self.watched.is_some_and(|since| since <= start_of(self.first + today as i64 - 14));
        if !is_whole {
            return "too early for a trend".to_owned();
        }
        if before == 0 {
            return "new calls".to_owned();
        }
        // Numbers of calls are far from where these are not exact.
        let change = (now as f64 - before as f64) / before as f64 * 100.0;
        match change {
            ..=-5.0 => format!("falling, −{:.0} %", -change),
            5.0.. => format!("rising, +{change:.0} %"),
            _ => "level".to_owned(),
        }
    }

    /// The picture, told to who cannot see it.
    pub fn told(&self) -> String {
        let most = self.calls.iter().copied().max().unwrap_or(0);
        if most == 0 {
            return format!("Calls a day over {DAYS} days: none");
        }
        let at = self.calls.iter().rposition(|calls| *calls == most).unwrap_or(0);
        format!(
            "Calls a day over {DAYS} days: at most {} on {}, {} yesterday, {} today; {}",
            Number(most),
            self.date(at),
            Number(self.calls[DAYS - 2]),
            Number(self.calls[DAYS - 1]),
            self.words()
        )
    }

    /// A picture for a cell of a table.
    pub fn small(&self, out: &mut String) {
        let _ = write!(
            out,
            "<svg class=\"spark\" viewBox=\"0 0 {} 24\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
            DAYS * 4,
            self.told()
        );
        let _ = write!(out, "<path class=\"base\" d=\"M0 23.5H{}\"/><path d=\"", DAYS * 4);
        let most = self.calls.iter().copied().max().unwrap_or(0);
        for (index, calls) in self.calls.iter().enumerate().filter(|(_, calls)| **calls > 0) {
            let height = height(*calls, most, 23.0);
            let _ = write!(out, "M{} 24v-{height:.1}h3v{height:.1}z", index * 4);
        }
        out.push_str("\"/></svg>");
    }

    /// A picture with its scale, and below it all numbers.
    pub fn large(&self, out: &mut String) {
        let most = self.calls.iter().copied().max().unwrap_or(0);
        let _ = write!(
            out,
            "<figure class=\"chart\"><svg viewBox=\"0 0 {} 100\" preserveAspectRatio=\"none\" role=\"img\" \
             aria-label=\"{}\"><path class=\"grid\" d=\"M0 .5H{0}M0 50H{0}\"/><path class=\"base\" d=\"M0 99.5H{0}\"/>",
            DAYS * 20,
            self.told(),
        );
        for (index, calls) in self.calls.iter().enumerate() {
            let height = height(*calls, most, 99.0);
            let _ = write!(
                out,
                "<g><title>{}: {}</title><rect class=\"day\" x=\"{}\" width=\"20\" height=\"100\"/>\
                 <rect x=\"{}\" y=\"{:.1}\" width=\"14\" height=\"{height:.1}\"/></g>",
                self.date(index),
                counted(*calls, "call"),
                index * 20,
                index * 20 + 3,
                100.0 - height,
            );
        }
        let _ = write!(
            out,
            "</svg><span class=\"most\" aria-hidden=\"true\">{}</span><figcaption><span>{}</span><strong>{}</strong>\
             <span>today</span></figcaption></figure>",
            if most == 0 { String::new() } else { Number(most).to_string() },
            Day(start_of(self.first)),
            self.words(),
        );
        out.push_str(
            "<details><summary>Calls of each day</summary><table class=\"days\"><caption class=\"hidden\">Calls of each \
             day, the newest first</caption><thead><tr><th scope=\"col\">Day (UTC)</th><th scope=\"col\" class=\"n\">Calls\
             </th></tr></thead><tbody>",
        );
        for (index, calls) in self.calls.iter().enumerate().rev() {
            let _ = write!(
                out,
                "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td></tr>",
                self.date(index),
                Number(*calls)
            );
        }
        out.push_str("</tbody></table></details>\n");
    }

    fn date(&self, index: usize) -> impl std::fmt::Display + use<> {
        start_of(self.first + index as i64).strftime("%Y-%m-%d").to_string()
    }
}

/// The height of a bar. The smallest can be seen.
fn height(calls: u64, most: u64, full: f64) -> f64 {
    if calls == 0 { 0.0 } else { (calls as f64 / most as f64 * full).max(full / 16.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(calls: &[u64], watched_days: i64) -> Trend {
        let now = start_of(20_000);
        let days = calls.iter().rev().enumerate().map(|(ago, calls)| UsedDay {
            operation: "a".to_owned(),
            day: 20_000 - ago as i64,
            calls: *calls,
        });
        Trend::of(&days.collect::<Vec<_>>(), Some("a"), Some(start_of(20_000 - watched_days)), now)
    }

    #[test]
    fn words_say_where_it_goes() {
        let (many, few) = ([10; 7], [4; 7]);
        let weeks = |one: [u64; 7], other: [u64; 7]| [&one[..], &other[..], &[1]].concat();
        for (calls, watched, words) in [
            (vec![], 40, "no calls"),
            (weeks(many, few), 40, "falling, −60 %"),
            (weeks(few, many), 40, "rising, +150 %"),
            (weeks(many, many), 40, "level"),
            (weeks([0; 7], few), 40, "new calls"),
            (weeks([0; 7], few), 10, "too early for a trend"),
            (vec![0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0], 40, "none for 9 days"),
        ] {
            assert_eq!(trend(&calls, watched).words(), words, "{calls:?}");
        }
    }

    #[test]
    fn a_picture_says_what_it_shows() {
        let trend = trend(&[120, 0, 3], 40);
        assert!(
            trend
                .told()
                .starts_with("Calls a day over 31 days: at most 120 on 2024-10-02, 0 yesterday, 3 today")
        );
        let mut small = String::new();
        trend.small(&mut small);
        assert!(small.contains("M112 24v-23.0h3v23.0z") && small.contains("M120 24v-1.4h3v1.4z"), "{small}");
    }
}
