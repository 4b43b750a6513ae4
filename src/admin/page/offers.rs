//! What an operator can paste into the configuration: only keys that this version knows, with values that its `check`
//! accepts, and at the place where they hold.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use crate::admin::{Row, Written};
use crate::escape::Html;
use crate::ledger::usage::{day_of, start_of};
use crate::usage::report::Operation;
use crate::usage::verdict::SAFE;

/// How long callers are given, where a sunset is proposed.
const NOTICE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How many consumers an ignore list on a page may have.
const MOST: usize = 100;

/// A proposal.
pub(super) struct Offer {
    title: &'static str,
    why: String,
    place: String,
    /// What tests go by: `append`, or the table into which it goes.
    into: &'static str,
    toml: String,
}

impl Offer {
    pub fn write(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "<section class=\"offer\"><h3>{}</h3><p>{} {}</p><pre class=\"toml\" data-into=\"{}\" tabindex=\"0\" \
             aria-label=\"TOML: {}\"><code>{}</code></pre></section>",
            self.title,
            self.why,
            self.place,
            self.into,
            self.title,
            // Line breaks are our own here.
            self.toml.lines().map(|line| format!("{}\n", Html(line))).collect::<String>(),
        );
    }
}

/// What can be done about an operation.
pub(super) fn of_operation(row: &Row, operation: Option<&Operation>, now: Timestamp) -> Vec<Offer> {
    let is_safe = operation.is_some_and(|operation| operation.verdict == SAFE);
    let mut offers = Vec::new();
    if is_safe && row.mode != "gone" {
        let no_fallback = if row.falls_back { "\nfallback = []" } else { "" };
        offers.extend(offer(
            row,
            "Retire it",
            "Calls are answered 410 from the next reload on, with directions to what replaces it.",
            format!("mode = \"gone\"{no_fallback}\n"),
        ));
    }
    if row.sunset_at.is_none() && row.mode != "gone" {
        let noticed = now.saturating_add(NOTICE).unwrap_or(now).max(row.deprecated_at);
        let sunset = start_of(day_of(noticed) + 1);
        offers.extend(offer(
            row,
            "Announce its end",
            "Every answer carries <code>Sunset</code> with this moment, and from then on calls are answered 410. \
             Choose your own date.",
            format!("sunset_at = {sunset:.0}\nafter_sunset = \"gone\"\n"),
        ));
    }
    offers
}

fn offer(row: &Row, title: &'static str, why: &str, keys: String) -> Option<Offer> {
    let (place, into, toml) = match &row.written {
        Written::Nowhere => (
            "Append to the configuration:".to_owned(),
            "append",
            format!("[[operation]]\nid = {}\n{keys}", quoted(&row.id)?),
        ),
        Written::File(place) => {
            let place = format!(
                "In its <code>[[operation]]</code> table ({}), in place of keys of the same names:",
                Html(place)
            );
            (place, "operation", keys)
        }
        // What the environment says overrides the file.
        Written::Environment(_) => return None,
    };
    Some(Offer { title, why: why.to_owned(), place, into, toml })
}

/// What can be done about a consumer: it can be put on the ignore list, or taken off.
pub(super) fn of_consumer(
    name: &str,
    ignored: &BTreeSet<String>,
    table: &Written,
    key: &Written,
) -> Option<Offer> {
    let is_ignored = ignored.contains(name);
    if matches!(key, Written::Environment(_)) || ignored.len() > MOST || !(is_ignored || can_be_ignored(name))
    {
        return None;
    }
    let mut list = ignored.clone();
    let (title, why) = if is_ignored {
        list.remove(name);
        ("Count it again", "Its calls stand against retiring an operation again.")
    } else {
        list.insert(name.to_owned());
        (
            "Ignore it",
            "Its calls, those of a scanner of your own say, no longer stand against retiring an operation. They are still \
             counted and shown.",
        )
    };
    let names: Vec<String> = list.iter().map(|name| quoted(name)).collect::<Option<_>>()?;
    let keys = format!("ignore = [{}]\n", names.join(", "));
    let (place, into, toml) = match table {
        Written::File(place) => {
            let place = format!(
                "In the <code>[usage]</code> table ({}), in place of an <code>ignore</code> there:",
                Html(place)
            );
            (place, "usage", keys)
        }
        _ => ("Append to the configuration:".to_owned(), "append", format!("[usage]\n{keys}")),
    };
    Some(Offer { title, why: why.to_owned(), place, into, toml })
}

/// Whether `[usage]` takes it: only who has a name of its own.
fn can_be_ignored(name: &str) -> bool {
    let named = ["user:", "provider:", "basic:"].iter().filter_map(|kind| name.strip_prefix(kind));
    matches!(name, "unknown" | "anonymous") || named.into_iter().any(|name| !name.trim().is_empty())
}

/// A string as TOML writes it; nothing where it holds what the configuration does not take.
fn quoted(text: &str) -> Option<String> {
    let plain = !text.chars().any(char::is_control) && crate::escape::visible(text) == text;
    plain.then(|| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}
