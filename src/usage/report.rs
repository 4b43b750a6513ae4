//! What the ledger knows, made into one table of operations and their consumers with a verdict for each: the same
//! numbers for the command, the page and the metrics.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::verdict::{NOT_KNOWN, NOT_WATCHED, NOT_YET, SAFE, UNUSED, Verdict, ago, unused, watched_since};
use super::{Settings, days};
use crate::escape::visible;
use crate::ledger::usage::{day_of, start_of};
use crate::ledger::{Away, Period, Store, Tally, UsageFilter, Used};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Question {
    /// This operation only.
    pub operation: Option<String>,
    /// This consumer only: then the verdicts are about it alone.
    pub consumer: Option<String>,
    /// The operations that are reported even if nobody calls them.
    pub operations: Vec<String>,
}

/// Why a text cannot be the name of an operation or a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// There is nothing in it.
    #[error("it is empty; leave it out")]
    Empty,
    /// No ledger holds such a name, and some cannot even be asked for one.
    #[error("it holds a control character, as no name does")]
    Control,
}

/// A text that can be the name of an operation or a consumer.
///
/// # Errors
///
/// [`BadName`].
pub fn name(text: &str) -> Result<String, BadName> {
    if text.is_empty() {
        return Err(BadName::Empty);
    }
    if text.contains(char::is_control) { Err(BadName::Control) } else { Ok(text.to_owned()) }
}

/// The report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// When it was made.
    pub at: Timestamp,
    /// The first moment of the calls in it.
    pub since: Timestamp,
    /// The days of the window that the verdicts go by.
    pub window_days: i64,
    /// `safe`, `not_yet` or `not_watched`, of all operations in it together; about one consumer `unused_by_consumer` instead
    /// of `safe`.
    pub verdict: &'static str,
    /// The same for people.
    pub verdict_line: String,
    /// The operations, those first that are called most urgently.
    pub operations: Vec<Operation>,
}

/// One operation.
#[derive(Clone, Debug, Serialize)]
pub struct Operation {
    /// The operationId.
    pub id: String,
    /// The same of this one.
    pub verdict: &'static str,
    /// The same for people.
    pub verdict_line: String,
    /// Since when it is watched without a gap.
    pub watched_since: Option<Timestamp>,
    /// All calls since the beginning of the report.
    pub calls: u64,
    /// The last call of anybody.
    pub last_call: Option<Timestamp>,
    /// Calls in the last day, 7 and 30 days.
    pub recent_calls: Recent,
    /// Consumers that count against retiring, in the last day, 7 and 30 days.
    pub recent_consumers: Recent,
    /// Who calls, those with the last call first.
    pub consumers: Vec<Consumer>,
}

/// Numbers of the last days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recent {
    /// Today and yesterday: the last 24 hours at least.
    #[serde(rename = "1d")]
    pub day: u64,
    /// Today and the 7 days before.
    #[serde(rename = "7d")]
    pub week: u64,
    /// Today and the 30 days before.
    #[serde(rename = "30d")]
    pub month: u64,
}

/// One consumer of an operation.
#[derive(Clone, Debug, Serialize)]
pub struct Consumer {
    /// Who.
    pub consumer: String,
    /// Whether an answer has proven who it is.
    pub verified: bool,
    /// Whether its calls are on the ignore list.
    pub ignored: bool,
    /// Whether it stands against retiring the operation.
    pub counts: bool,
    /// Calls since the beginning of the report.
    pub calls: u64,
    /// Those answered below 400.
    pub success: u64,
    /// Those answered from 400 to 499.
    pub refused: u64,
    /// Those answered from 500 on.
    pub failed: u64,
    /// The first call that is remembered.
    pub first_seen: Timestamp,
    /// The last.
    pub last_seen: Timestamp,
    /// Calls in the last day, 7 and 30 days.
    pub recent_calls: Recent,
    /// Client software, the most used first.
    pub software: Vec<String>,
    /// Networks.
    pub networks: Vec<String>,
    /// The modes that served it.
    pub modes: Vec<String>,
    /// Its name for people, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// Its e-mail addresses, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<String>,
}

impl Report {
    /// The newest calls could not be recorded: nothing is safe to retire as long as nobody can tell.
    pub fn lacks_newest(&mut self) {
        let line = "not known: the newest calls could not be recorded";
        let operations = self.operations.iter_mut().map(|one| (&mut one.verdict, &mut one.verdict_line));
        for (verdict, verdict_line) in operations.chain([(&mut self.verdict, &mut self.verdict_line)]) {
            if [SAFE, UNUSED].contains(verdict) {
                *verdict = NOT_KNOWN;
                line.clone_into(verdict_line);
            }
        }
    }
}

impl Consumer {
    /// One word for how its calls are taken.
    pub fn standing(&self) -> &'static str {
        match (self.ignored, self.verified, self.counts) {
            (true, ..) => "ignored",
            (_, false, _) => "claimed",
            (_, true, true) => "verified",
            (_, true, false) => "negligible",
        }
    }

    /// Its name and its first e-mail address, as far as they are known.
    pub fn person(&self) -> String {
        let email = self.emails.first().map(|email| format!("<{email}>"));
        let parts: Vec<String> = self.full_name.clone().into_iter().chain(email).collect();
        if parts.is_empty() { "-".to_owned() } else { parts.join(" ") }
    }
}

/// Asks the ledger and makes the report.
///
/// # Errors
///
/// The ledger is away.
pub async fn make(
    ledger: &dyn Store,
    question: &Question,
    settings: &Settings,
    now: Timestamp,
) -> Result<Report, Away> {
    let today = day_of(now);
    let since = today.saturating_sub(days(settings.window));
    let filter = UsageFilter {
        today,
        since,
        window: since,
        operation: question.operation.clone(),
        consumer: question.consumer.clone(),
    };
    let used = ledger.usage(&filter).await?;
    let periods = ledger.usage_watched().await?;
    let (question, settings) = (question.clone(), settings.clone());
    // Off this thread: there may be very many of them.
    let made = tokio::task::spawn_blocking(move || of(&used, &periods, &question, &settings, now)).await;
    made.map_err(|_| Away::Closed)
}

/// The report of what is known.
fn of(used: &[Used], periods: &[Period], question: &Question, settings: &Settings, now: Timestamp) -> Report {
    let mut operations: BTreeMap<&str, BTreeMap<(&str, bool), Vec<&Used>>> = BTreeMap::new();
    let named =
        question.operations.iter().filter(|id| question.operation.as_ref().is_none_or(|it| it == *id));
    for id in named {
        operations.entry(id).or_default();
    }
    for row in used {
        let consumers = operations.entry(&row.operation).or_default();
        consumers.entry((&row.consumer, row.verified)).or_default().push(row);
    }
    let one = question.consumer.as_deref();
    let since = start_of(day_of(now).saturating_sub(days(settings.window)));
    let mut operations: Vec<Operation> = operations
        .into_iter()
        .map(|(id, consumers)| {
            let consumers = consumers
                .into_iter()
                .map(|((name, verified), rows)| consumer(name, verified, &rows, settings));
            let watched_since = watched_since(periods, id, now);
            operation(id, consumers.collect(), watched_since, one, settings, now)
        })
        .collect();
    operations
        .sort_by_key(|operation| std::cmp::Reverse((operation.verdict == NOT_YET, operation.last_call)));
    let window_days = days(settings.window);
    let (verdict, verdict_line) = of_all(&operations, one, window_days, now);
    Report { at: now, since, window_days, verdict, verdict_line, operations }
}

/// One verdict for all: as good as that of the worst.
fn of_all(
    operations: &[Operation],
    one: Option<&str>,
    window_days: i64,
    now: Timestamp,
) -> (&'static str, String) {
    let all = operations.len();
    let of = |verdict: &str| operations.iter().filter(|operation| operation.verdict == verdict).count();
    let (called, unknown) = (of(NOT_YET), of(NOT_WATCHED));
    if called > 0 {
        let counting = || operations.iter().flat_map(|operation| &operation.consumers).filter(|it| it.counts);
        let consumers: BTreeSet<&str> = counting().map(|consumer| &*consumer.consumer).collect();
        let last = counting().map(|consumer| consumer.last_seen).max().unwrap_or(now);
        let by = one.map_or_else(|| counted(consumers.len(), "consumer"), visible);
        let line = format!(
            "not yet: {called} of {} called, by {by}, last call {} ago",
            counted(all, "operation"),
            ago(now, last)
        );
        return (NOT_YET, line);
    }
    if unknown > 0 || all == 0 {
        let calls =
            one.map_or_else(|| "calls".to_owned(), |who| format!("calls by {} that count", visible(who)));
        let line = format!(
            "not known yet: no {calls}, but {unknown} of {} not watched for {window_days} d",
            counted(all, "operation")
        );
        return (NOT_WATCHED, line);
    }
    match one {
        None => (SAFE, "safe to retire".to_owned()),
        Some(who) => (UNUSED, unused(who, operations.iter().any(|operation| operation.calls > 0))),
    }
}

/// A number and what it is of.
fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn operation(
    id: &str,
    mut consumers: Vec<Consumer>,
    watched_since: Option<Timestamp>,
    one: Option<&str>,
    settings: &Settings,
    now: Timestamp,
) -> Operation {
    consumers
        .sort_by(|one, other| other.last_seen.cmp(&one.last_seen).then(one.consumer.cmp(&other.consumer)));
    let callers = consumers.iter().filter(|consumer| consumer.counts).map(|consumer| consumer.last_seen);
    let verdict = Verdict::of(callers, watched_since, settings.window, now);
    let (mut recent_calls, mut recent_consumers) = (Recent::default(), Recent::default());
    for consumer in &consumers {
        recent_calls.add(consumer.recent_calls, |calls| calls);
        if consumer.verified && !consumer.ignored {
            recent_consumers.add(consumer.recent_calls, |calls| u64::from(calls > 0));
        }
    }
    let calls = consumers.iter().map(|consumer| consumer.calls).sum();
    let (verdict, verdict_line) = match one {
        None => (verdict.name(), verdict.line(settings.window, now)),
        Some(who) => (verdict.name_for_one(), verdict.line_for_one(who, calls > 0, settings.window, now)),
    };
    let last_call = consumers.first().map(|consumer| consumer.last_seen);
    Operation {
        id: id.to_owned(),
        verdict,
        verdict_line,
        watched_since,
        calls,
        last_call,
        recent_calls,
        recent_consumers,
        // Who has not called since the beginning of the report is not in it.
        consumers: consumers.into_iter().filter(|consumer| consumer.calls > 0 || consumer.counts).collect(),
    }
}

fn consumer(name: &str, verified: bool, rows: &[&Used], settings: &Settings) -> Consumer {
    let mut sum: Option<Tally> = None;
    let mut recent = [0; 3];
    let [mut software, mut networks, mut modes] = [(); 3].map(|()| BTreeMap::new());
    for row in rows {
        match &mut sum {
            Some(sum) => sum.add(&row.since),
            None => sum = Some(row.since),
        }
        recent.iter_mut().zip(row.recent).for_each(|(sum, count)| *sum += count);
        let calls = row.since.calls();
        for (map, text) in
            [(&mut software, &row.software), (&mut networks, &row.network), (&mut modes, &row.mode)]
        {
            if calls > 0 {
                *map.entry(text.clone()).or_insert(0) += calls;
            }
        }
    }
    let nothing = Tally {
        success: 0,
        refused: 0,
        failed: 0,
        first: Timestamp::UNIX_EPOCH,
        last: Timestamp::UNIX_EPOCH,
    };
    let sum = sum.unwrap_or(nothing);
    let in_window: u64 = rows.iter().map(|row| row.window).sum();
    let ignored = settings.ignore.contains(name);
    Consumer {
        consumer: name.to_owned(),
        verified,
        ignored,
        counts: verified && !ignored && in_window > settings.negligible_calls,
        calls: sum.calls(),
        success: sum.success,
        refused: sum.refused,
        failed: sum.failed,
        first_seen: sum.first,
        last_seen: sum.last,
        recent_calls: Recent { day: recent[0], week: recent[1], month: recent[2] },
        software: by_use(software),
        networks: by_use(networks),
        modes: by_use(modes),
        full_name: None,
        emails: Vec::new(),
    }
}

/// The most used first.
fn by_use(counts: BTreeMap<String, u64>) -> Vec<String> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.into_iter().map(|(text, _)| text).collect()
}

impl Recent {
    fn add(&mut self, other: Recent, of: impl Fn(u64) -> u64) {
        self.day += of(other.day);
        self.week += of(other.week);
        self.month += of(other.month);
    }
}
