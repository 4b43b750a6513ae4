//! The usage, in statements that may each be asked again: a batch that has been added is not added twice.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio_postgres::Row;

use super::database::Database;
use crate::ledger::usage::{GRACE, RECENT};
use crate::ledger::{Away, Period, Tally, UsageBatch, UsageFilter, Used, UsedDay, Watching};

/// Adds a batch, unless it has been added.
pub(super) async fn record(database: &Database, batch: &UsageBatch) -> Result<(), Away> {
    name(database, batch).await?;
    let rows = &batch.rows;
    let texts = |of: fn(&crate::ledger::Called) -> &str| -> Vec<&str> {
        rows.iter().map(|(called, _)| of(called)).collect()
    };
    let numbers = |of: fn(&Tally) -> i64| -> Vec<i64> { rows.iter().map(|(_, tally)| of(tally)).collect() };
    let days: Vec<i64> = rows.iter().map(|(called, _)| called.day).collect();
    let verified: Vec<bool> = rows.iter().map(|(called, _)| called.verified).collect();
    let last_day = days.iter().max().copied().unwrap_or(0);
    database
        .ask(
            "WITH fresh AS (
                 INSERT INTO duskgate_usage_writers AS w (writer, sequence, day) VALUES ($1, $2, $3)
                 ON CONFLICT (writer) DO UPDATE SET sequence = excluded.sequence, day = excluded.day
                 WHERE w.sequence < excluded.sequence RETURNING writer)
             INSERT INTO duskgate_usage_calls AS u
             SELECT o.id, c.id, b.verified, m.id, s.id, n.id, b.day, b.success, b.refused, b.failed, b.first, b.last
             FROM fresh, unnest($4::TEXT[], $5::TEXT[], $6::BOOLEAN[], $7::TEXT[], $8::TEXT[], $9::TEXT[],
                     $10::BIGINT[], $11::BIGINT[], $12::BIGINT[], $13::BIGINT[], $14::BIGINT[], $15::BIGINT[])
                 AS b (operation, consumer, verified, mode, software, network, day, success, refused, failed, first,
                       last)
             JOIN duskgate_usage_names o ON o.name = b.operation JOIN duskgate_usage_names c ON c.name = b.consumer
             JOIN duskgate_usage_names m ON m.name = b.mode JOIN duskgate_usage_names s ON s.name = b.software
             JOIN duskgate_usage_names n ON n.name = b.network
             ORDER BY 1, 2, 3, 4, 5, 6, 7
             ON CONFLICT (operation, consumer, verified, mode, software, network, day) DO UPDATE SET
                 success = u.success + excluded.success, refused = u.refused + excluded.refused,
                 failed = u.failed + excluded.failed, first = LEAST(u.first, excluded.first),
                 last = GREATEST(u.last, excluded.last)",
            &[
                &&*batch.writer,
                &batch.sequence,
                &last_day,
                &texts(|called| &called.operation),
                &texts(|called| &called.consumer),
                &verified,
                &texts(|called| called.mode),
                &texts(|called| &called.software),
                &texts(|called| &called.network),
                &days,
                &numbers(|tally| signed(tally.success)),
                &numbers(|tally| signed(tally.refused)),
                &numbers(|tally| signed(tally.failed)),
                &numbers(|tally| tally.first.as_microsecond()),
                &numbers(|tally| tally.last.as_microsecond()),
            ],
        )
        .await
        .map(drop)
}

/// Gives every text of a batch a number. In one order everywhere, so that no two replicas wait for each other.
async fn name(database: &Database, batch: &UsageBatch) -> Result<(), Away> {
    let mut days: BTreeMap<&str, i64> = BTreeMap::new();
    for (called, _) in &batch.rows {
        let texts = [&*called.operation, &*called.consumer, called.mode, &*called.software, &*called.network];
        for text in texts {
            let day = days.entry(text).or_insert(called.day);
            *day = called.day.max(*day);
        }
    }
    let (names, days): (Vec<&str>, Vec<i64>) = days.into_iter().unzip();
    let sql = "INSERT INTO duskgate_usage_names AS u (name, day)
               SELECT * FROM unnest($1::TEXT[], $2::BIGINT[])
               ON CONFLICT (name) DO UPDATE SET day = excluded.day WHERE u.day < excluded.day";
    database.ask(sql, &[&names, &days]).await.map(drop)
}

/// Adds up the calls of all days. Most rows are passed by: each sum costs something for each row that it takes, and next to
/// nothing for the others.
pub(super) async fn usage(database: &Database, filter: &UsageFilter) -> Result<Vec<Used>, Away> {
    let [one, seven, thirty] = RECENT.map(|days| filter.today.saturating_sub(days + 1));
    let rows = database
        .ask(
            "SELECT o.name, c.name, g.verified, m.name, s.name, n.name, COALESCE(g.success, 0), COALESCE(g.refused, 0),
                    COALESCE(g.failed, 0), g.first, g.last, COALESCE(g.recent0, 0), COALESCE(g.recent1, 0),
                    COALESCE(g.recent2, 0),
                    COALESCE(CASE WHEN $7::BIGINT = $1::BIGINT THEN g.success + g.refused + g.failed ELSE g.in_window END, 0)
             FROM (SELECT operation, consumer, verified, mode, software, network,
                          (SUM(success) FILTER (WHERE day >= $1))::BIGINT AS success,
                          (SUM(refused) FILTER (WHERE day >= $1))::BIGINT AS refused,
                          (SUM(failed) FILTER (WHERE day >= $1))::BIGINT AS failed,
                          MIN(first) AS first, MAX(last) AS last,
                          (SUM(success + refused + failed) FILTER (WHERE day > $2))::BIGINT AS recent0,
                          (SUM(success + refused + failed) FILTER (WHERE day > $3))::BIGINT AS recent1,
                          (SUM(success + refused + failed) FILTER (WHERE day > $4))::BIGINT AS recent2,
                          (SUM(success + refused + failed) FILTER (WHERE $7::BIGINT <> $1::BIGINT AND day >= $7))::BIGINT AS in_window
                   FROM duskgate_usage_calls
                   WHERE ($5::TEXT IS NULL OR operation = (SELECT id FROM duskgate_usage_names WHERE name = $5))
                     AND ($6::TEXT IS NULL OR consumer = (SELECT id FROM duskgate_usage_names WHERE name = $6))
                   GROUP BY operation, consumer, verified, mode, software, network) AS g
             JOIN duskgate_usage_names o ON o.id = g.operation JOIN duskgate_usage_names c ON c.id = g.consumer
             JOIN duskgate_usage_names m ON m.id = g.mode JOIN duskgate_usage_names s ON s.id = g.software
             JOIN duskgate_usage_names n ON n.id = g.network",
            &[&filter.since, &one, &seven, &thirty, &filter.operation, &filter.consumer, &filter.window],
        )
        .await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Used, Away> {
    let count = |column: usize| Ok::<_, Away>(row.try_get::<_, i64>(column)?.unsigned_abs());
    Ok(Used {
        operation: row.try_get(0)?,
        consumer: row.try_get(1)?,
        verified: row.try_get(2)?,
        mode: row.try_get(3)?,
        software: row.try_get(4)?,
        network: row.try_get(5)?,
        since: Tally {
            success: count(6)?,
            refused: count(7)?,
            failed: count(8)?,
            first: moment(row, 9)?,
            last: moment(row, 10)?,
        },
        recent: [count(11)?, count(12)?, count(13)?],
        window: count(14)?,
    })
}

/// The calls of each day since one.
pub(super) async fn days(database: &Database, since: i64) -> Result<Vec<UsedDay>, Away> {
    let rows = database
        .ask(
            "SELECT o.name, g.day, g.calls
             FROM (SELECT operation, day, SUM(success + refused + failed)::BIGINT AS calls
                   FROM duskgate_usage_calls WHERE day >= $1 GROUP BY operation, day) AS g
             JOIN duskgate_usage_names o ON o.id = g.operation ORDER BY o.name COLLATE \"C\", g.day",
            &[&since],
        )
        .await?;
    let day = |row: &Row| {
        let calls: i64 = row.try_get(2)?;
        Ok(UsedDay { operation: row.try_get(0)?, day: row.try_get(1)?, calls: calls.unsigned_abs() })
    };
    rows.iter().map(day).collect()
}

/// Goes on with the period that reaches so far, or begins one.
pub(super) async fn lose(database: &Database, operations: &[String], until: Timestamp) -> Result<(), Away> {
    let sql = "INSERT INTO duskgate_usage_lost AS l SELECT unnest($1::TEXT[]), $2::BIGINT
               ON CONFLICT (operation) DO UPDATE SET until = GREATEST(l.until, excluded.until)";
    let mut operations = operations.to_vec();
    operations.sort();
    database.ask(sql, &[&operations, &until.as_microsecond()]).await.map(drop)
}

pub(super) async fn watch(database: &Database, watching: &Watching) -> Result<(), Away> {
    let reach = watching.reach;
    let earliest = reach.saturating_sub(GRACE).unwrap_or(reach).as_microsecond();
    let sql = "WITH wanted AS (SELECT unnest($1::TEXT[]) AS operation),
                   extended AS (UPDATE duskgate_usage_watched w SET until = GREATEST(w.until, $3) FROM wanted
                                WHERE w.operation = wanted.operation AND w.until >= $2 AND w.since <= $4
                                RETURNING w.operation)
               INSERT INTO duskgate_usage_watched AS w
               SELECT operation, $4, $3 FROM wanted
               WHERE NOT EXISTS (SELECT 1 FROM extended WHERE extended.operation = wanted.operation)
               ON CONFLICT (operation, since) DO UPDATE SET until = GREATEST(w.until, excluded.until)";
    let mut operations = watching.operations.clone();
    operations.sort();
    let (reach, now) = (reach.as_microsecond(), watching.now.as_microsecond());
    database.ask(sql, &[&operations, &earliest, &now, &reach]).await.map(drop)
}

pub(super) async fn watched(database: &Database) -> Result<Vec<Period>, Away> {
    let sql = "SELECT w.operation, GREATEST(w.since, l.until), w.until
               FROM duskgate_usage_watched w LEFT JOIN duskgate_usage_lost l ON l.operation = w.operation
               WHERE l.until IS NULL OR w.until > l.until
               ORDER BY w.operation COLLATE \"C\", 2";
    let rows = database.ask(sql, &[]).await?;
    let period =
        |row: &Row| Ok(Period { operation: row.try_get(0)?, since: moment(row, 1)?, until: moment(row, 2)? });
    rows.iter().map(period).collect()
}

pub(super) async fn prune(database: &Database, before: i64, until: Timestamp) -> Result<u64, Away> {
    let sql = "WITH calls AS (DELETE FROM duskgate_usage_calls WHERE day < $1 RETURNING 1),
                   names AS (DELETE FROM duskgate_usage_names WHERE day < $1),
                   writers AS (DELETE FROM duskgate_usage_writers WHERE day < $1),
                   watched AS (DELETE FROM duskgate_usage_watched WHERE until < $2)
               SELECT count(*) FROM calls";
    let rows = database.ask(sql, &[&before, &until.as_microsecond()]).await?;
    let count: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    Ok(count.unsigned_abs())
}

fn moment(row: &Row, column: usize) -> Result<Timestamp, Away> {
    Timestamp::from_microsecond(row.try_get(column)?).map_err(|_| Away::Damaged("usage".to_owned()))
}

/// Nobody lives to see the difference.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
