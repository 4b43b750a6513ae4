//! The usage, in statements on one connection.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::ledger::usage::{GRACE, RECENT};
use crate::ledger::{Period, Tally, UsageBatch, UsageFilter, Used, UsedDay, Watching};

/// Adds a batch, unless it has been added.
pub(super) fn record(connection: &Connection, batch: &UsageBatch) -> rusqlite::Result<()> {
    let last_day = batch.rows.iter().map(|(called, _)| called.day).max().unwrap_or(0);
    let is_new = connection
        .prepare_cached(
            "INSERT INTO usage_writers (writer, sequence, day) VALUES (?1, ?2, ?3)
             ON CONFLICT (writer) DO UPDATE SET sequence = excluded.sequence, day = excluded.day
             WHERE sequence < excluded.sequence",
        )?
        .execute(params![&*batch.writer, batch.sequence, last_day])?
        > 0;
    if !is_new {
        return Ok(());
    }
    let mut names = HashMap::new();
    let mut add = connection.prepare_cached(
        "INSERT INTO usage_calls VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT DO UPDATE SET success = success + excluded.success, refused = refused + excluded.refused,
             failed = failed + excluded.failed, first = MIN(first, excluded.first), last = MAX(last, excluded.last)",
    )?;
    for (called, tally) in &batch.rows {
        let mut number = |name| number_of(connection, &mut names, name, called.day);
        add.execute(params![
            number(&called.operation)?,
            number(&called.consumer)?,
            called.verified,
            number(called.mode)?,
            number(&called.software)?,
            number(&called.network)?,
            called.day,
            signed(tally.success),
            signed(tally.refused),
            signed(tally.failed),
            tally.first.as_microsecond(),
            tally.last.as_microsecond(),
        ])?;
    }
    Ok(())
}

/// The number of a text, which is given one if it has none.
fn number_of<'b>(
    connection: &Connection,
    names: &mut HashMap<(&'b str, i64), i64>,
    name: &'b str,
    day: i64,
) -> rusqlite::Result<i64> {
    if let Some(number) = names.get(&(name, day)) {
        return Ok(*number);
    }
    connection
        .prepare_cached(
            "INSERT INTO usage_names (name, day) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET day = excluded.day WHERE day < excluded.day",
        )?
        .execute(params![name, day])?;
    let number = connection
        .prepare_cached("SELECT id FROM usage_names WHERE name = ?1")?
        .query_one([name], |row| row.get(0))?;
    names.insert((name, day), number);
    Ok(number)
}

/// Adds up the calls of all days, in one walk along the key.
pub(super) fn usage(connection: &Connection, filter: &UsageFilter) -> rusqlite::Result<Vec<Used>> {
    let mut wanted = Vec::new();
    for (column, name) in [("operation", &filter.operation), ("consumer", &filter.consumer)] {
        let Some(name) = name else { continue };
        let number: Option<i64> = connection
            .prepare_cached("SELECT id FROM usage_names WHERE name = ?1")?
            .query_one([name], |row| row.get(0))
            .optional()?;
        let Some(number) = number else { return Ok(Vec::new()) };
        wanted.push(format!("{column} = {number}"));
    }
    let wanted = if wanted.is_empty() { "TRUE".to_owned() } else { wanted.join(" AND ") };
    // Most rows are passed by: each sum costs something for each row that it takes, and next to nothing for the others.
    let (sum_of_window, in_window) = match filter.window == filter.since {
        true => (String::new(), "g.success + g.refused + g.failed"),
        false => {
            let days = format!("day >= {}", filter.window);
            (format!(", SUM(success + refused + failed) FILTER (WHERE {days}) AS in_window"), "g.in_window")
        }
    };
    let sql = format!(
        "SELECT o.name, c.name, g.verified, m.name, s.name, n.name, COALESCE(g.success, 0), COALESCE(g.refused, 0),
                COALESCE(g.failed, 0), g.first, g.last, COALESCE(g.recent0, 0), COALESCE(g.recent1, 0),
                COALESCE(g.recent2, 0), COALESCE({in_window}, 0)
         FROM (SELECT operation, consumer, verified, mode, software, network,
                      SUM(success) FILTER (WHERE day >= ?1) AS success,
                      SUM(refused) FILTER (WHERE day >= ?1) AS refused,
                      SUM(failed) FILTER (WHERE day >= ?1) AS failed,
                      MIN(first) AS first, MAX(last) AS last,
                      SUM(success + refused + failed) FILTER (WHERE day > ?2) AS recent0,
                      SUM(success + refused + failed) FILTER (WHERE day > ?3) AS recent1,
                      SUM(success + refused + failed) FILTER (WHERE day > ?4) AS recent2{sum_of_window}
               FROM usage_calls WHERE {wanted}
               GROUP BY operation, consumer, verified, mode, software, network) AS g
         JOIN usage_names o ON o.id = g.operation JOIN usage_names c ON c.id = g.consumer
         JOIN usage_names m ON m.id = g.mode JOIN usage_names s ON s.id = g.software
         JOIN usage_names n ON n.id = g.network"
    );
    let [one, seven, thirty] = RECENT.map(|days| filter.today.saturating_sub(days + 1));
    connection.prepare_cached(&sql)?.query_map(params![filter.since, one, seven, thirty], read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<Used> {
    let count = |column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
    let moment = |column: usize| -> rusqlite::Result<Timestamp> {
        let value = row.get(column)?;
        Timestamp::from_microsecond(value)
            .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
    };
    Ok(Used {
        operation: row.get(0)?,
        consumer: row.get(1)?,
        verified: row.get(2)?,
        mode: row.get(3)?,
        software: row.get(4)?,
        network: row.get(5)?,
        since: Tally {
            success: count(6)?,
            refused: count(7)?,
            failed: count(8)?,
            first: moment(9)?,
            last: moment(10)?,
        },
        recent: [count(11)?, count(12)?, count(13)?],
        window: count(14)?,
    })
}

/// The calls of each day since one.
pub(super) fn days(connection: &Connection, since: i64) -> rusqlite::Result<Vec<UsedDay>> {
    connection
        .prepare_cached(
            "SELECT o.name, g.day, g.calls
             FROM (SELECT operation, day, SUM(success + refused + failed) AS calls
                   FROM usage_calls WHERE day >= ?1 GROUP BY operation, day) AS g
             JOIN usage_names o ON o.id = g.operation ORDER BY o.name, g.day",
        )?
        .query_map([since], |row| {
            Ok(UsedDay {
                operation: row.get(0)?,
                day: row.get(1)?,
                calls: row.get::<_, i64>(2)?.unsigned_abs(),
            })
        })?
        .collect()
}

/// Goes on with the period that reaches so far, or begins one.
pub(super) fn lose(connection: &Connection, operations: &[String], until: Timestamp) -> rusqlite::Result<()> {
    for operation in operations {
        connection
            .prepare_cached(
                "INSERT INTO usage_lost VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET until = MAX(until, excluded.until)",
            )?
            .execute(params![operation, until.as_microsecond()])?;
    }
    Ok(())
}

pub(super) fn watch(connection: &Connection, watching: &Watching) -> rusqlite::Result<()> {
    let (reach, now) = (watching.reach, watching.now.as_microsecond());
    let earliest = reach.saturating_sub(GRACE).unwrap_or(reach).as_microsecond();
    for operation in &watching.operations {
        let extended = connection
            .prepare_cached(
                "UPDATE usage_watched SET until = MAX(until, ?3)
                 WHERE operation = ?1 AND until >= ?2 AND since <= ?4",
            )?
            .execute(params![operation, earliest, now, reach.as_microsecond()])?;
        if extended == 0 {
            connection
                .prepare_cached(
                    "INSERT INTO usage_watched VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET until = MAX(until, excluded.until)",
                )?
                .execute(params![operation, reach.as_microsecond(), now])?;
        }
    }
    Ok(())
}

pub(super) fn watched(connection: &Connection) -> rusqlite::Result<Vec<Period>> {
    connection
        .prepare_cached(
            "SELECT w.operation, MAX(w.since, IFNULL(l.until, w.since)), w.until
             FROM usage_watched w LEFT JOIN usage_lost l ON l.operation = w.operation
             WHERE l.until IS NULL OR w.until > l.until
             ORDER BY 1, 2",
        )?
        .query_map([], |row| {
            let moment = |column: usize| -> rusqlite::Result<Timestamp> {
                let value = row.get(column)?;
                Timestamp::from_microsecond(value)
                    .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
            };
            Ok(Period { operation: row.get(0)?, since: moment(1)?, until: moment(2)? })
        })?
        .collect()
}

pub(super) fn prune(connection: &Connection, before: i64, moment: Timestamp) -> rusqlite::Result<u64> {
    let deleted = connection.prepare_cached("DELETE FROM usage_calls WHERE day < ?1")?.execute([before])?;
    connection.prepare_cached("DELETE FROM usage_names WHERE day < ?1")?.execute([before])?;
    connection.prepare_cached("DELETE FROM usage_writers WHERE day < ?1")?.execute([before])?;
    connection
        .prepare_cached("DELETE FROM usage_watched WHERE until < ?1")?
        .execute([moment.as_microsecond()])?;
    Ok(deleted as u64)
}

/// Nobody lives to see the difference.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
