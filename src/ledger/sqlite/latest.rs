//! The latest usage, along the index by day: how much is remembered besides makes no difference.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::ledger::usage::RECENT;
use crate::ledger::{Latest, LatestFilter};

/// The rows of an operation (?1) since a day (?2) that are proven and not ignored (?3). Without a word on the index the
/// order of the key would look cheaper, which it is not.
const CALLERS: &str = "FROM usage_calls INDEXED BY usage_calls_by_day
     WHERE operation = ?1 AND day >= ?2 AND verified
       AND consumer NOT IN (SELECT id FROM usage_names WHERE name IN (SELECT value FROM json_each(?3)))";

pub(super) fn latest(connection: &Connection, filter: &LatestFilter) -> rusqlite::Result<Vec<Latest>> {
    filter.operations.iter().map(|operation| of(connection, operation, filter)).collect()
}

fn of(connection: &Connection, operation: &str, filter: &LatestFilter) -> rusqlite::Result<Latest> {
    let mut latest = Latest { operation: operation.to_owned(), ..Latest::default() };
    let number: Option<i64> = connection
        .prepare_cached("SELECT id FROM usage_names WHERE name = ?1")?
        .query_one([operation], |row| row.get(0))
        .optional()?;
    let Some(number) = number else { return Ok(latest) };
    let ignored = serde_json::Value::from(filter.ignore.clone()).to_string();

    let [one, seven, thirty] = RECENT.map(|days| filter.today.saturating_sub(days));
    let sql = format!(
        "SELECT COUNT(*) FILTER (WHERE day >= ?4), COUNT(*) FILTER (WHERE day >= ?5), COUNT(*)
         FROM (SELECT MAX(day) AS day {CALLERS} GROUP BY consumer)"
    );
    latest.consumers =
        connection.prepare_cached(&sql)?.query_one(params![number, thirty, ignored, one, seven], |row| {
            let count = |column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
            Ok([count(0)?, count(1)?, count(2)?])
        })?;

    let more_than = match filter.negligible_calls {
        // The first row will do.
        0 => "AND ?4 = 0",
        _ => "GROUP BY consumer HAVING SUM(success + refused + failed) > ?4",
    };
    latest.is_used =
        connection.prepare_cached(&format!("SELECT EXISTS (SELECT 1 {CALLERS} {more_than})"))?.query_one(
            params![number, filter.window, ignored, super::usage::signed(filter.negligible_calls)],
            |row| row.get(0),
        )?;

    let last: Option<i64> = connection
        .prepare_cached(
            "SELECT MAX(last) FROM usage_calls INDEXED BY usage_calls_by_day
             WHERE operation = ?1 AND day = (
                 SELECT MAX(day) FROM usage_calls INDEXED BY usage_calls_by_day WHERE operation = ?1)",
        )?
        .query_one([number], |row| row.get(0))?;
    let moment = |last: i64| {
        Timestamp::from_microsecond(last).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, last))
    };
    latest.last = last.map(moment).transpose()?;
    Ok(latest)
}
