//! Reads `[usage]`: what is remembered of who calls, and when an operation is safe to retire.

use std::time::Duration;

use super::file::Table;
use super::listeners::shape;
use super::section::{Findings, Section, quote};
use crate::usage::Settings;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Everything in `[usage]`.
pub(super) fn read(root: &Table, findings: &Findings) -> Settings {
    let section = Section::single(root, shape("usage"), findings);
    let ignore = section.list("ignore", CONSUMER, consumer, |consumer| quote(consumer)).unwrap_or_default();
    let settings = Settings {
        retention: section.duration("retention", 400 * DAY, 7 * DAY..=36_500 * DAY),
        window: section.duration("window", 30 * DAY, DAY..=3650 * DAY),
        ignore: ignore.into_iter().map(|consumer| consumer.value).collect(),
        negligible_calls: section.count("negligible_calls", 0, 0..=1_000_000) as u64,
        claimed_consumers: section.count("claimed_consumers", 1000, 0..=100_000),
        held: section.count("held", 50_000, 1000..=10_000_000),
        consumer_series: section.count("consumer_series", 0, 0..=10_000),
    };
    if settings.retention < settings.window {
        let key = if section.has("window") { "window" } else { "retention" };
        let message = "window cannot be longer than retention: what is forgotten cannot be judged";
        section.mistake(key, &section.place_of(key), message);
    }
    settings
}

const CONSUMER: &str = "a consumer as reports print it, such as \"user:<id>\", \"provider:<id>\", \"basic:<name>\" or \"anonymous\"";

fn consumer(text: &str) -> Result<String, String> {
    let has_name = ["user:", "provider:", "basic:"]
        .iter()
        .any(|kind| text.strip_prefix(kind).is_some_and(|name| !name.trim().is_empty()));
    if has_name || matches!(text, "unknown" | "anonymous") { Ok(text.to_owned()) } else { Err(String::new()) }
}
