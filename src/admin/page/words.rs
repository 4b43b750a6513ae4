//! The words and signs of which all pages are made: verdicts, moments, numbers, names. Everything that others chose is
//! escaped here.

use std::fmt::{self, Write as _};

use jiff::{SignedDuration, Timestamp};

use crate::escape::Html;
use crate::route;
use crate::usage::verdict::{NOT_WATCHED, NOT_YET, SAFE, ago};

/// The class of a verdict, whose colour says again what the words say.
pub(super) fn class(verdict: &str) -> &'static str {
    match verdict {
        NOT_YET => "bad",
        SAFE => "good",
        _ => "wait",
    }
}

/// The sign of a verdict. It is told apart by its form, and nothing to a screen reader, which has the words.
pub(super) fn sign(verdict: &str) -> &'static str {
    match verdict {
        NOT_YET => concat!(
            "<svg class=\"sign\" viewBox=\"0 0 20 20\" aria-hidden=\"true\"><circle cx=\"10\" cy=\"10\" r=\"10\"/>",
            "<path d=\"M6.5 6.5l7 7M13.5 6.5l-7 7\"/></svg>"
        ),
        SAFE => concat!(
            "<svg class=\"sign\" viewBox=\"0 0 20 20\" aria-hidden=\"true\"><rect width=\"20\" height=\"20\" rx=\"5\"/>",
            "<path d=\"M5 10.5l3.5 3.5L15 7\"/></svg>"
        ),
        _ => concat!(
            "<svg class=\"sign\" viewBox=\"0 0 20 20\" aria-hidden=\"true\"><path class=\"area\" d=\"M10 0l10 10-10 10L0 10z\"/>",
            "<path d=\"M10 5.5v5.5M10 14v.5\"/></svg>"
        ),
    }
}

/// The verdict in one or two words.
pub(super) fn heading(verdict: &str) -> &'static str {
    match verdict {
        NOT_YET => "Not yet",
        SAFE => "Safe to retire",
        _ => "Not known yet",
    }
}

/// What a group of operations of the same verdict is called.
pub(super) fn group(verdict: &str) -> &'static str {
    match verdict {
        NOT_YET => "Still called",
        SAFE => "Safe to retire",
        NOT_WATCHED => "Not called, but not watched for long enough",
        _ => "Not known",
    }
}

/// The line of a verdict with its first words made strong.
pub(super) fn verdict_line(out: &mut String, verdict: &str, line: &str) {
    let (words, rest) = line.split_once(": ").unwrap_or((line, ""));
    let _ = write!(
        out,
        "<span class=\"verdict {}\">{}<span><strong>{}</strong>",
        class(verdict),
        sign(verdict),
        Html(words)
    );
    if !rest.is_empty() {
        let _ = write!(out, ": {}", Html(rest));
    }
    out.push_str("</span></span>");
}

/// A moment, as how long ago it is, with the moment itself for programs and for who points at it.
pub(super) struct Ago {
    pub now: Timestamp,
    pub then: Timestamp,
}

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ago = ago(self.now, self.then);
        write!(f, "<time datetime=\"{0:.0}\" title=\"{0:.0}\">{ago} ago</time>", self.then)
    }
}

/// A moment, as its UTC day and minute.
pub(super) struct Moment(pub Timestamp);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minute = self.0.strftime("%Y-%m-%d %H:%M");
        write!(f, "<time datetime=\"{0:.0}\" title=\"{0:.0}\">{minute}</time>", self.0)
    }
}

/// A moment, as its UTC day.
pub(super) struct Day(pub Timestamp);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<time datetime=\"{0:.0}\" title=\"{0:.0}\">{1}</time>",
            self.0,
            self.0.strftime("%Y-%m-%d")
        )
    }
}

/// How long it is until a sunset.
pub(super) fn until(sunset: Timestamp, now: Timestamp) -> String {
    let left = sunset.duration_since(now);
    if left <= SignedDuration::ZERO {
        return format!("passed {} ago", ago(now, sunset));
    }
    match left.as_hours() {
        0..48 => format!("in {} h", left.as_hours()),
        hours => format!("in {} days", hours / 24),
    }
}

/// A number with its thousands apart.
pub(super) struct Number(pub u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_char(',')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// `1 call`, `2 calls`.
pub(super) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", Number(number), if number == 1 { "" } else { "s" })
}

/// An operationId that may be broken behind its underscores.
pub(super) struct Id<'t>(pub &'t str);

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Html(self.0).to_string().replace('_', "_<wbr>"))
    }
}

/// A path that may be broken before its slashes.
pub(super) struct Path<'t>(pub &'t str);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Html(self.0).to_string().replace('/', "<wbr>/"))
    }
}

/// The address of an operation's page.
pub(super) fn operation_path(id: &str) -> String {
    format!("/operations/{}", route::encode(id.as_bytes()))
}

/// The address of a consumer's page.
pub(super) fn consumer_path(name: &str) -> String {
    format!("/consumers/{}", route::encode(name.as_bytes()).replace("%3A", ":"))
}

/// Some texts and how many more there are, each in a direction of its own.
pub(super) fn some(out: &mut String, texts: &[String], most: usize) {
    if texts.is_empty() {
        out.push('–');
    }
    for (index, text) in texts.iter().take(most).enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        let _ = write!(out, "{separator}<bdi>{}</bdi>", Html(text));
    }
    if texts.len() > most {
        let _ = write!(out, " and {} more", texts.len() - most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lengths_are_for_people() {
        for (number, shown) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(Number(number).to_string(), shown);
        }
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        for (sunset, shown) in [
            ("2027-03-31T00:00:00Z", "in 126 days"),
            ("2026-11-25T12:00:00Z", "in 24 h"),
            ("2026-11-24T12:00:00Z", "passed 0 s ago"),
            ("2026-10-24T12:00:00Z", "passed 31 d ago"),
        ] {
            assert_eq!(until(sunset.parse().unwrap(), now), shown);
        }
    }

    #[test]
    fn a_name_is_one_segment_of_a_path() {
        assert_eq!(
            consumer_path("basic:../a b?#%\"<é>"),
            "/consumers/basic:..%2Fa%20b%3F%23%25%22%3C%C3%A9%3E"
        );
        assert_eq!(Id("a_<b>").to_string(), "a_<wbr>&lt;b&gt;");
    }
}
