//! What should happen to a call, now, and what its answer says about the deprecation. Pure: the time is an argument,
//! there is no network, and only [`headers`] knows header fields.

mod directions;
pub mod headers;
mod link;
mod schedule;

use http::HeaderValue;
use jiff::Timestamp;

pub use directions::directions;
pub use link::BadLink;
pub use schedule::{Schedule, SunsetBeforeDeprecation};

use crate::operation::{Mode, Operation, Phase};
use crate::route::{Conflict, Table};
use link::Target;

/// Every deprecated operation with what was decided about it, and how to find it.
#[derive(Debug, Default)]
pub struct Book {
    /// In the order of the table: [`crate::route::Call::operation`] is a place in here.
    pub entries: Vec<Entry>,
    /// Finds a call's entry.
    pub table: Table,
}

impl Book {
    /// Binds entries and their paths together.
    ///
    /// # Errors
    ///
    /// [`Conflict`] if two entries are the same call, or a path cannot be matched.
    pub fn new(entries: Vec<Entry>) -> Result<Self, Conflict> {
        let operations: Vec<Operation> = entries.iter().map(|entry| entry.operation.clone()).collect();
        Ok(Book { table: Table::new(&operations)?, entries })
    }
}

/// What an operator decided about one operation.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How it is served while it lasts; one that the operation [can](Operation::can) have.
    pub mode: Mode,
    /// The mode that was asked for of all operations, where this one cannot have it.
    pub asked: Option<Mode>,
    /// What is tried, in order, where the mode provably had no effect.
    pub fallback: Vec<Mode>,
    /// When it was deprecated and when it ends.
    pub schedule: Schedule,
    /// What happens then.
    pub after_sunset: AfterSunset,
    /// The address of its documentation; `{operation}` stands for its id.
    pub documentation: Option<String>,
    /// The address of the page that says how and why things end here.
    pub sunset_policy: Option<String>,
}

/// What happens to calls from the sunset date on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterSunset {
    /// They are answered 410.
    #[default]
    Gone,
    /// They are served as before.
    Serve,
}

impl AfterSunset {
    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            AfterSunset::Gone => "gone",
            AfterSunset::Serve => "serve",
        }
    }
}

/// One operation and its terms, with all that can be prepared before a call comes.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The operation.
    pub operation: Operation,
    /// How it is served while it lasts.
    pub mode: Mode,
    /// The mode that was asked for of all operations, where this one cannot have it.
    pub asked: Option<Mode>,
    /// What is tried, in order, where the mode provably had no effect.
    pub fallback: Vec<Mode>,
    /// When it was deprecated and when it ends.
    pub schedule: Schedule,
    /// What happens then.
    pub after_sunset: AfterSunset,
    /// The address of its documentation, with the operation's id filled in.
    pub documentation: Option<String>,
    /// The address of the page that says how and why things end here.
    pub sunset_policy: Option<String>,
    deprecation: HeaderValue,
    sunset: Option<HeaderValue>,
    /// Links that are the same for every call.
    links: Vec<HeaderValue>,
    /// The successors, whose links hold the caller's ids; in the operation's order.
    targets: Vec<Target>,
}

impl Entry {
    /// Prepares an entry.
    ///
    /// # Errors
    ///
    /// [`BadLink`] if an address cannot stand in a `Link` header.
    pub fn new(operation: Operation, terms: Terms) -> Result<Self, BadLink> {
        let documentation = terms
            .documentation
            .map(|text| text.replace("{operation}", &crate::route::encode(operation.id.as_bytes())));
        let mut links = Vec::new();
        if let Some(address) = &documentation {
            links.push(link::fixed("documentation", address, "deprecation")?);
        }
        if let Some(address) = &terms.sunset_policy {
            links.push(link::fixed("sunset_policy", address, "sunset")?);
        }
        Ok(Entry {
            deprecation: headers::deprecation(terms.schedule.deprecated()),
            sunset: terms.schedule.sunset().map(headers::sunset),
            links,
            targets: operation.successors.iter().map(Target::new).collect(),
            operation,
            mode: terms.mode,
            asked: terms.asked,
            fallback: terms.fallback,
            schedule: terms.schedule,
            after_sunset: terms.after_sunset,
            documentation,
            sunset_policy: terms.sunset_policy,
        })
    }
}

/// What policy decided for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Where the operation stands in its schedule.
    pub phase: Phase,
    /// How the call is to be served.
    pub mode: Mode,
}

/// Decides how a call of this entry is served now.
pub fn decide(entry: &Entry, now: Timestamp) -> Verdict {
    let phase = entry.schedule.phase(now);
    let over = phase == Phase::Sunset && entry.after_sunset == AfterSunset::Gone;
    Verdict { phase, mode: if over { Mode::Gone } else { entry.mode } }
}

#[cfg(test)]
mod tests;
