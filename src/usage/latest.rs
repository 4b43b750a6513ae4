//! What the metrics show of each operation: the same numbers as in a report, without the consumers, so that they are cheap
//! enough to be asked for all the time.

use jiff::Timestamp;

use super::verdict::{Verdict, watched_since};
use super::{Settings, days};
use crate::ledger::usage::day_of;
use crate::ledger::{Away, LatestFilter, Store};
use crate::metrics::Standing;

/// Asks the ledger how each of these operations stands.
///
/// # Errors
///
/// The ledger is away.
pub async fn standings(
    ledger: &dyn Store,
    operations: Vec<String>,
    settings: &Settings,
    now: Timestamp,
) -> Result<Vec<(String, Standing)>, Away> {
    let today = day_of(now);
    let filter = LatestFilter {
        operations,
        today,
        window: today.saturating_sub(days(settings.window)),
        ignore: settings.ignore.iter().cloned().collect(),
        negligible_calls: settings.negligible_calls,
    };
    let latest = ledger.usage_latest(&filter).await?;
    let periods = ledger.usage_watched().await?;
    let standing = |latest: crate::ledger::Latest| {
        let watched_since = watched_since(&periods, &latest.operation, now);
        let callers = latest.is_used.then_some(latest.last.unwrap_or(now));
        let verdict = Verdict::of(callers, watched_since, settings.window, now);
        let standing = Standing {
            consumers: latest.consumers,
            last_call: latest.last,
            watched_since,
            is_safe: verdict == Verdict::Safe,
        };
        (latest.operation, standing)
    };
    Ok(latest.into_iter().map(standing).collect())
}
