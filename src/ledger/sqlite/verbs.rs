//! What the ledger does, each as a statement on one connection. A change is one conditional statement; the look that
//! follows where it changed nothing stands in the same transaction.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, params};
use serde_json::Value;

use super::rows::{self, COLUMNS};
use crate::ledger::{
    Change, Commit, Filter, Issue, Issued, Page, Reached, Rename, Reserve, Round, STRIDE, State,
};

/// Whether there is something to read.
pub(super) fn check(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM tokens)")?.query_one([], |_| Ok(()))
}

/// Issues a token and takes it away again, which needs the room that a real one needs.
pub(super) fn probe(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO tokens (id, operation, invite_type, target, issuer, name, created_at, revoked, idempotency)
             VALUES ('probe', '', '', '', '', 'probe', 0, 0, x'00') RETURNING sequence",
        )?
        .query_one([], |row| row.get::<_, i64>(0))
        .and_then(|sequence| {
            connection.prepare_cached("DELETE FROM tokens WHERE sequence = ?1")?.execute([sequence])
        })
        .map(drop)
}

pub(super) fn issue(connection: &Connection, token: &Issued) -> rusqlite::Result<Issue> {
    let privileges = token.privileges.as_ref().map(|list| Value::from(list.clone()).to_string());
    let inserted = execute(
        connection,
        "INSERT INTO tokens (id, operation, invite_type, target, issuer, name, created_at, privileges, revoked,
             custom_metadata, idempotency)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING",
        params![
            token.id,
            token.operation,
            token.invite_type,
            token.target,
            token.issuer,
            token.name,
            token.created_at.as_microsecond(),
            privileges,
            token.revoked,
            token.custom_metadata.as_ref().map(Value::to_string),
            token.idempotency,
        ],
    )?;
    if inserted {
        return Ok(Issue::Recorded);
    }
    // Nobody else makes the same id: this is our own change, asked for again.
    if get(connection, &token.id)?.is_some() {
        return Ok(Issue::Recorded);
    }
    let earlier = match &token.idempotency {
        Some(hash) => by_idempotency(connection, hash)?,
        None => None,
    };
    if let Some(earlier) = &earlier {
        claim(connection, &earlier.id)?;
    }
    Ok(earlier.map_or(Issue::NameTaken, |earlier| Issue::Repeated(Box::new(earlier))))
}

pub(super) fn get(connection: &Connection, id: &str) -> rusqlite::Result<Option<Issued>> {
    let sql = format!("SELECT {COLUMNS} FROM tokens WHERE id = ?1 AND deleted = 0");
    connection.prepare_cached(&sql)?.query_one([id], rows::read).optional()
}

pub(super) fn look_up(connection: &Connection, id: &str) -> rusqlite::Result<Option<Issued>> {
    let sql = format!("SELECT {COLUMNS} FROM tokens WHERE id = ?1 AND (deleted = 0 OR state = 1)");
    connection.prepare_cached(&sql)?.query_one([id], rows::read).optional()
}

pub(super) fn by_idempotency(connection: &Connection, hash: &[u8]) -> rusqlite::Result<Option<Issued>> {
    let sql = format!("SELECT {COLUMNS} FROM tokens WHERE idempotency = ?1 AND deleted = 0");
    connection.prepare_cached(&sql)?.query_one([hash], rows::read).optional()
}

/// Has a token that nobody has reserved yet be one that is not withdrawn; what is there of it afterwards. A reservation's
/// round is left alone: whoever made it may have to release it.
pub(super) fn claim(connection: &Connection, id: &str) -> rusqlite::Result<Option<Issued>> {
    let sql = "UPDATE tokens SET round = 1 WHERE id = ?1 AND state = 0 AND round = 0 AND deleted = 0";
    execute(connection, sql, [id])?;
    get(connection, id)
}

pub(super) fn withdraw(connection: &Connection, id: &str, now: Timestamp) -> rusqlite::Result<bool> {
    let sql = "UPDATE tokens SET deleted = 1, ended_at = ?2
               WHERE id = ?1 AND state = 0 AND round = 0 AND deleted = 0";
    execute(connection, sql, params![id, now.as_microsecond()])
}

pub(super) fn reserve(
    connection: &Connection,
    id: &str,
    consumer: &str,
    now: Timestamp,
) -> rusqlite::Result<Reserve> {
    let sql = "UPDATE tokens SET state = 1, consumer = ?2, moment = ?3, round = round + 1
               WHERE id = ?1 AND state = 0 AND revoked = 0 AND deleted = 0 RETURNING round";
    let reserved = connection
        .prepare_cached(sql)?
        .query_one(params![id, consumer, now.as_microsecond()], |row| row.get(0))
        .optional()?;
    if let Some(round) = reserved {
        return Ok(Reserve::Fresh(round));
    }
    if adopt(connection, id, consumer)? {
        return Ok(Reserve::Mine);
    }
    let sql = format!("SELECT {COLUMNS} FROM tokens WHERE id = ?1");
    let found = connection.prepare_cached(&sql)?.query_one([id], rows::read).optional()?;
    let Some(token) = found else { return Ok(Reserve::Unknown) };
    // Nothing changes between two statements of one transaction: what can be reserved was.
    Ok(token.obstacle(consumer).unwrap_or(Reserve::Taken))
}

pub(super) fn adopt(connection: &Connection, id: &str, consumer: &str) -> rusqlite::Result<bool> {
    let sql = "UPDATE tokens SET round = round + 1 WHERE id = ?1 AND state = 1 AND consumer = ?2";
    execute(connection, sql, [id, consumer])
}

pub(super) fn commit(
    connection: &Connection,
    id: &str,
    consumer: &str,
    now: Timestamp,
) -> rusqlite::Result<Commit> {
    let sql = "UPDATE tokens SET state = 2, moment = ?3, ended_at = ?3
               WHERE id = ?1 AND state = 1 AND consumer = ?2";
    if execute(connection, sql, params![id, consumer, now.as_microsecond()])? {
        return Ok(Commit::Done);
    }
    let sql = "SELECT 1 FROM tokens WHERE id = ?1 AND state = 2 AND consumer = ?2";
    let used = connection.prepare_cached(sql)?.exists([id, consumer])?;
    Ok(if used { Commit::Before } else { Commit::None })
}

pub(super) fn release(
    connection: &Connection,
    id: &str,
    consumer: &str,
    round: Round,
) -> rusqlite::Result<()> {
    let sql = "UPDATE tokens SET state = 0, consumer = NULL, moment = NULL
               WHERE id = ?1 AND state = 1 AND consumer = ?2 AND round = ?3";
    execute(connection, sql, params![id, consumer, round]).map(drop)
}

pub(super) fn pending(
    connection: &Connection,
    before: Timestamp,
    reached: Option<&Reached>,
    most: u32,
) -> rusqlite::Result<Vec<Issued>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM tokens WHERE state = 1 AND moment < ?1 AND (moment, id) > (?3, ?4)
         ORDER BY moment, id LIMIT ?2"
    );
    let (since, id) = reached.map_or((i64::MIN, ""), |reached| (reached.since.as_microsecond(), &reached.id));
    let parameters = params![before.as_microsecond(), most, since, id];
    connection.prepare_cached(&sql)?.query_map(parameters, rows::read)?.collect()
}

pub(super) fn set_revoked(
    connection: &Connection,
    id: &str,
    revoked: bool,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    execute(
        connection,
        "UPDATE tokens SET revoked = ?2,
             ended_at = CASE WHEN state = 2 THEN ended_at WHEN ?2 THEN COALESCE(ended_at, ?3) END
         WHERE id = ?1 AND deleted = 0",
        params![id, revoked, now.as_microsecond()],
    )
}

pub(super) fn rename(connection: &Connection, id: &str, name: &str) -> rusqlite::Result<Rename> {
    let sql = "UPDATE OR IGNORE tokens SET name = ?2 WHERE id = ?1 AND deleted = 0";
    if execute(connection, sql, [id, name])? {
        return Ok(Rename::Done);
    }
    Ok(if get(connection, id)?.is_some() { Rename::NameTaken } else { Rename::Unknown })
}

pub(super) fn update(
    connection: &Connection,
    id: &str,
    change: &Change,
    now: Timestamp,
) -> rusqlite::Result<Rename> {
    let sql = "UPDATE OR IGNORE tokens SET
                   name = COALESCE(?2, name),
                   custom_metadata = COALESCE(?3, custom_metadata),
                   revoked = COALESCE(?4, revoked),
                   ended_at = CASE WHEN ?4 IS NULL OR state = 2 THEN ended_at
                                   WHEN ?4 THEN COALESCE(ended_at, ?5) END
               WHERE id = ?1 AND deleted = 0";
    let custom_metadata = change.custom_metadata.as_ref().map(ToString::to_string);
    let Change { name, revoked, .. } = change;
    if execute(connection, sql, params![id, name, custom_metadata, revoked, now.as_microsecond()])? {
        return Ok(Rename::Done);
    }
    Ok(if get(connection, id)?.is_some() { Rename::NameTaken } else { Rename::Unknown })
}

pub(super) fn delete(connection: &Connection, id: &str, now: Timestamp) -> rusqlite::Result<bool> {
    let sql = "UPDATE tokens SET deleted = 1, ended_at = ?2 WHERE id = ?1 AND deleted = 0";
    execute(connection, sql, params![id, now.as_microsecond()])
}

pub(super) fn delete_all(connection: &Connection, issuer: &str, now: Timestamp) -> rusqlite::Result<u64> {
    let sql = "UPDATE tokens SET deleted = 1, ended_at = ?2 WHERE issuer = ?1 AND state <> 2 AND deleted = 0";
    let deleted = connection.prepare_cached(sql)?.execute(params![issuer, now.as_microsecond()])?;
    Ok(deleted as u64)
}

pub(super) fn list(connection: &Connection, filter: &Filter) -> rusqlite::Result<Page> {
    let state = match filter.state {
        None => "",
        Some(State::Revoked) => "AND revoked = 1",
        Some(State::Unused) => "AND revoked = 0 AND state = 0",
        Some(State::Reserved) => "AND state = 1",
        Some(State::Used) => "AND state = 2",
    };
    // The records of an issuer are found by an index, reservations of deleted ones by another; so these are two questions.
    let issuer = if filter.issuer.is_some() { "AND issuer = ?4" } else { "AND ?4 IS NULL" };
    let those = |which: &str| {
        format!(
            "SELECT {COLUMNS}, sequence FROM tokens
             WHERE sequence > ?1 AND sequence <= ?2 AND {which} {issuer} {state}"
        )
    };
    let (present, left) = (those("deleted = 0"), those("deleted = 1 AND state = 1"));
    let sql = format!("{present} UNION ALL {left} ORDER BY sequence LIMIT ?3");
    let last = connection
        .prepare_cached("SELECT COALESCE(MAX(sequence), 0) FROM tokens")?
        .query_one([], |row| row.get(0))?;
    let after = filter.after.unwrap_or(0);
    let until = if filter.issuer.is_some() { last } else { after.saturating_add(STRIDE) };
    let parameters = params![after, until, i64::from(filter.most) + 1, filter.issuer];
    let found = connection
        .prepare_cached(&sql)?
        .query_map(parameters, |row| Ok((row.get("sequence")?, rows::read(row)?)))?
        .collect::<Result<_, _>>()?;
    Ok(Page::new(found, filter.most, until, last))
}

pub(super) fn prune(connection: &Connection, before: Timestamp, most: u32) -> rusqlite::Result<u64> {
    let sql = "DELETE FROM tokens WHERE sequence IN (
                   SELECT sequence FROM tokens WHERE ended_at < ?1 AND state <> 1 ORDER BY ended_at LIMIT ?2)";
    let deleted = connection.prepare_cached(sql)?.execute(params![before.as_microsecond(), most])?;
    Ok(deleted as u64)
}

/// Whether the statement changed a row.
fn execute(connection: &Connection, sql: &str, parameters: impl Params) -> rusqlite::Result<bool> {
    Ok(connection.prepare_cached(sql)?.execute(parameters)? > 0)
}
