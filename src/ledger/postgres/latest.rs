//! The latest usage, along the index by day: how much is remembered besides makes no difference.

use std::collections::HashMap;

use jiff::Timestamp;
use tokio_postgres::Row;

use super::database::Database;
use crate::ledger::usage::RECENT;
use crate::ledger::{Away, Latest, LatestFilter};

pub(super) async fn latest(database: &Database, filter: &LatestFilter) -> Result<Vec<Latest>, Away> {
    let [one, seven, thirty] = RECENT.map(|days| filter.today.saturating_sub(days));
    let rows = database
        .ask(
            "SELECT o.name, c.day, c.week, c.month,
                    CASE WHEN $7::BIGINT = 0 THEN EXISTS (
                        SELECT 1 FROM duskgate_usage_calls u
                        WHERE u.operation = o.id AND u.day >= $6 AND u.verified AND NOT u.consumer = ANY (i.ids))
                    ELSE EXISTS (
                        SELECT 1 FROM duskgate_usage_calls u
                        WHERE u.operation = o.id AND u.day >= $6 AND u.verified AND NOT u.consumer = ANY (i.ids)
                        GROUP BY u.consumer HAVING SUM(u.success + u.refused + u.failed) > $7::BIGINT) END,
                    (SELECT MAX(u.last) FROM duskgate_usage_calls u
                     WHERE u.operation = o.id AND u.day = (
                         SELECT MAX(d.day) FROM duskgate_usage_calls d WHERE d.operation = o.id))
             FROM duskgate_usage_names o
             CROSS JOIN (SELECT ARRAY(SELECT id FROM duskgate_usage_names WHERE name = ANY ($2)) AS ids) i
             CROSS JOIN LATERAL (
                 SELECT COUNT(*) FILTER (WHERE day >= $3) AS day, COUNT(*) FILTER (WHERE day >= $4) AS week,
                        COUNT(*) AS month
                 FROM (SELECT MAX(u.day) AS day FROM duskgate_usage_calls u
                       WHERE u.operation = o.id AND u.day >= $5 AND u.verified AND NOT u.consumer = ANY (i.ids)
                       GROUP BY u.consumer) AS callers) c
             WHERE o.name = ANY ($1)",
            &[
                &filter.operations,
                &filter.ignore,
                &one,
                &seven,
                &thirty,
                &filter.window,
                &super::usage::signed(filter.negligible_calls),
            ],
        )
        .await?;
    let known = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut known: HashMap<_, _> =
        known.into_iter().map(|latest| (latest.operation.clone(), latest)).collect();
    // Of what nobody has ever called there is no row.
    let of = |operation: &String| {
        known.remove(operation).unwrap_or(Latest { operation: operation.clone(), ..Latest::default() })
    };
    Ok(filter.operations.iter().map(of).collect())
}

fn read(row: &Row) -> Result<Latest, Away> {
    let count = |column: usize| Ok::<_, Away>(row.try_get::<_, i64>(column)?.unsigned_abs());
    let last: Option<i64> = row.try_get(5)?;
    let moment = |last| Timestamp::from_microsecond(last).map_err(|_| Away::Damaged("usage".to_owned()));
    Ok(Latest {
        operation: row.try_get(0)?,
        consumers: [count(1)?, count(2)?, count(3)?],
        is_used: row.try_get(4)?,
        last: last.map(moment).transpose()?,
    })
}
