//! What the ledger does, each as a statement. A change is one conditional statement. Between it and the look that
//! follows where it changed nothing, others may act: what then makes no sense is tried again.

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;

use super::database::Database;
use super::rows;
use crate::ledger::{
    Away, Change, Commit, Filter, Issue, Issued, Page, Reached, Rename, Reserve, Round, STRIDE,
};

/// What is pruned in one change.
pub(super) const PRUNED_AT_ONCE: u64 = 1000;
/// How often a reservation is tried where others take and release the token all the time.
const TRIES: usize = 100;

pub(super) async fn check(database: &Database) -> Result<(), Away> {
    database.ask("SELECT 1", &[]).await.map(drop)
}

pub(super) async fn issue(database: &Database, token: &Issued) -> Result<Issue, Away> {
    let privileges = token.privileges.as_ref().map(|list| Value::from(list.clone()).to_string());
    let custom_metadata = token.custom_metadata.as_ref().map(Value::to_string);
    let inserted = database
        .ask(
            "INSERT INTO duskgate_tokens (id, operation, invite_type, target, issuer, name, created_at, privileges,
                 revoked, custom_metadata, idempotency)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING RETURNING id",
            &[
                &token.id,
                &token.operation,
                &token.invite_type,
                &token.target,
                &token.issuer,
                &token.name,
                &token.created_at.as_microsecond(),
                &privileges,
                &token.revoked,
                &custom_metadata,
                &token.idempotency,
            ],
        )
        .await?;
    // Nobody else makes the same id: one that is there is our own change, asked for again.
    if !inserted.is_empty() || get(database, &token.id).await?.is_some() {
        return Ok(Issue::Recorded);
    }
    let earlier = match &token.idempotency {
        Some(hash) => by_idempotency(database, hash).await?,
        None => None,
    };
    Ok(earlier.map_or(Issue::NameTaken, |earlier| Issue::Repeated(Box::new(earlier))))
}

pub(super) async fn get(database: &Database, id: &str) -> Result<Option<Issued>, Away> {
    one(&database.ask("SELECT * FROM duskgate_tokens WHERE id = $1 AND NOT deleted", &[&id]).await?)
}

pub(super) async fn look_up(database: &Database, id: &str) -> Result<Option<Issued>, Away> {
    let sql = "SELECT * FROM duskgate_tokens WHERE id = $1 AND (NOT deleted OR state = 1)";
    one(&database.ask(sql, &[&id]).await?)
}

pub(super) async fn by_idempotency(database: &Database, hash: &[u8]) -> Result<Option<Issued>, Away> {
    let sql = "SELECT * FROM duskgate_tokens WHERE idempotency = $1 AND NOT deleted";
    match one(&database.ask(sql, &[&hash]).await?)? {
        Some(issued) => claim(database, &issued.id).await,
        None => Ok(None),
    }
}

/// Has a token that nobody has reserved yet be one that is not withdrawn; what is there of it afterwards. A reservation's
/// round is left alone: whoever made it may have to release it.
async fn claim(database: &Database, id: &str) -> Result<Option<Issued>, Away> {
    let sql = "UPDATE duskgate_tokens SET round = 1
               WHERE id = $1 AND state = 0 AND round = 0 AND NOT deleted RETURNING id";
    database.ask(sql, &[&id]).await?;
    get(database, id).await
}

pub(super) async fn withdraw(database: &Database, id: &str, now: Timestamp) -> Result<bool, Away> {
    let sql = "UPDATE duskgate_tokens SET deleted = TRUE, ended_at = $2
               WHERE id = $1 AND state = 0 AND round = 0 AND NOT deleted RETURNING id";
    Ok(!database.ask(sql, &[&id, &now.as_microsecond()]).await?.is_empty())
}

pub(super) async fn reserve(
    database: &Database,
    id: &str,
    consumer: &str,
    now: Timestamp,
) -> Result<Reserve, Away> {
    let sql = "UPDATE duskgate_tokens SET state = 1, consumer = $2, moment = $3, round = round + 1
               WHERE id = $1 AND state = 0 AND NOT revoked AND NOT deleted RETURNING round";
    for _ in 0..TRIES {
        let reserved = database.ask(sql, &[&id, &consumer, &now.as_microsecond()]).await?;
        if let Some(row) = reserved.first() {
            return Ok(Reserve::Fresh(row.try_get(0)?));
        }
        let found = database.ask("SELECT * FROM duskgate_tokens WHERE id = $1", &[&id]).await?;
        let Some(row) = found.first() else { return Ok(Reserve::Unknown) };
        if let Some(obstacle) = rows::read(row)?.obstacle(consumer) {
            return Ok(obstacle);
        }
        if adopt(database, id, consumer).await? {
            return Ok(Reserve::Mine);
        }
    }
    Ok(Reserve::Taken)
}

pub(super) async fn adopt(database: &Database, id: &str, consumer: &str) -> Result<bool, Away> {
    let sql = "UPDATE duskgate_tokens SET round = round + 1
               WHERE id = $1 AND state = 1 AND consumer = $2 RETURNING id";
    Ok(!database.ask(sql, &[&id, &consumer]).await?.is_empty())
}

pub(super) async fn commit(
    database: &Database,
    id: &str,
    consumer: &str,
    now: Timestamp,
) -> Result<Commit, Away> {
    let sql = "UPDATE duskgate_tokens SET state = 2, moment = $3, ended_at = $3
               WHERE id = $1 AND state = 1 AND consumer = $2 RETURNING id";
    let moment = now.as_microsecond();
    let answer = database.change(sql, &[&id, &consumer, &moment]).await?;
    if !answer.rows.is_empty() {
        return Ok(Commit::Done);
    }
    let sql = "SELECT moment FROM duskgate_tokens WHERE id = $1 AND state = 2 AND consumer = $2";
    let used = database.ask(sql, &[&id, &consumer]).await?;
    let at = used.first().map(|row| row.try_get::<_, i64>(0)).transpose()?;
    Ok(match at {
        // The moment is the mark of the first try, whose answer was lost.
        Some(at) if answer.was_repeated && at == moment => Commit::Done,
        Some(_) => Commit::Before,
        None => Commit::None,
    })
}

pub(super) async fn release(database: &Database, id: &str, consumer: &str, round: Round) -> Result<(), Away> {
    let sql = "UPDATE duskgate_tokens SET state = 0, consumer = NULL, moment = NULL
               WHERE id = $1 AND state = 1 AND consumer = $2 AND round = $3";
    database.ask(sql, &[&id, &consumer, &round]).await.map(drop)
}

pub(super) async fn pending(
    database: &Database,
    before: Timestamp,
    reached: Option<&Reached>,
    most: u32,
) -> Result<Vec<Issued>, Away> {
    let sql = "SELECT * FROM duskgate_tokens WHERE state = 1 AND moment < $1 AND (moment, id) > ($3, $4)
               ORDER BY moment, id LIMIT $2";
    let (since, id) = reached.map_or((i64::MIN, ""), |reached| (reached.since.as_microsecond(), &reached.id));
    let found = database.ask(sql, &[&before.as_microsecond(), &i64::from(most), &since, &id]).await?;
    found.iter().map(rows::read).collect()
}

pub(super) async fn set_revoked(
    database: &Database,
    id: &str,
    revoked: bool,
    now: Timestamp,
) -> Result<bool, Away> {
    let changed = database
        .ask(
            "UPDATE duskgate_tokens SET revoked = $2,
                 ended_at = CASE WHEN state = 2 THEN ended_at WHEN $2 THEN COALESCE(ended_at, $3) END
             WHERE id = $1 AND NOT deleted RETURNING id",
            &[&id, &revoked, &now.as_microsecond()],
        )
        .await?;
    Ok(!changed.is_empty())
}

pub(super) async fn rename(database: &Database, id: &str, name: &str) -> Result<Rename, Away> {
    let sql = "UPDATE duskgate_tokens SET name = $2 WHERE id = $1 AND NOT deleted RETURNING id";
    match database.ask(sql, &[&id, &name]).await {
        Ok(changed) if changed.is_empty() => Ok(Rename::Unknown),
        Ok(_) => Ok(Rename::Done),
        Err(Away::Postgres(error)) if violates_uniqueness(&error) => Ok(Rename::NameTaken),
        Err(away) => Err(away),
    }
}

pub(super) async fn update(
    database: &Database,
    id: &str,
    change: &Change,
    now: Timestamp,
) -> Result<Rename, Away> {
    let sql = "UPDATE duskgate_tokens SET
                   name = COALESCE($2, name),
                   custom_metadata = COALESCE($3, custom_metadata),
                   revoked = COALESCE($4, revoked),
                   ended_at = CASE WHEN $4 IS NULL OR state = 2 THEN ended_at
                                   WHEN $4 THEN COALESCE(ended_at, $5) END
               WHERE id = $1 AND NOT deleted RETURNING id";
    let custom_metadata = change.custom_metadata.as_ref().map(Value::to_string);
    let Change { name, revoked, .. } = change;
    match database.ask(sql, &[&id, name, &custom_metadata, revoked, &now.as_microsecond()]).await {
        Ok(changed) if changed.is_empty() => Ok(Rename::Unknown),
        Ok(_) => Ok(Rename::Done),
        Err(Away::Postgres(error)) if violates_uniqueness(&error) => Ok(Rename::NameTaken),
        Err(away) => Err(away),
    }
}

pub(super) async fn delete(database: &Database, id: &str, now: Timestamp) -> Result<bool, Away> {
    let sql = "UPDATE duskgate_tokens SET deleted = TRUE, ended_at = $2
               WHERE id = $1 AND NOT deleted RETURNING id";
    let moment = now.as_microsecond();
    let answer = database.change(sql, &[&id, &moment]).await?;
    if !answer.rows.is_empty() || !answer.was_repeated {
        return Ok(!answer.rows.is_empty());
    }
    // The moment is the mark of the first try, whose answer was lost.
    let sql = "SELECT 1 FROM duskgate_tokens WHERE id = $1 AND deleted AND ended_at = $2";
    Ok(!database.ask(sql, &[&id, &moment]).await?.is_empty())
}

pub(super) async fn delete_all(database: &Database, issuer: &str, now: Timestamp) -> Result<u64, Away> {
    let sql = "UPDATE duskgate_tokens SET deleted = TRUE, ended_at = $2
               WHERE issuer = $1 AND state <> 2 AND NOT deleted RETURNING id";
    Ok(database.ask(sql, &[&issuer, &now.as_microsecond()]).await?.len() as u64)
}

pub(super) async fn list(database: &Database, filter: &Filter) -> Result<Page, Away> {
    let last = database.ask("SELECT COALESCE(MAX(sequence), 0) FROM duskgate_tokens", &[]).await?;
    let last = last.first().map_or(Ok(0), |row| row.try_get(0))?;
    let after = filter.after.unwrap_or(0);
    // The records of an issuer are found by an index, reservations of deleted ones by another; so these are two questions.
    let until = if filter.issuer.is_some() { last } else { after.saturating_add(STRIDE) };
    let found = database
        .ask(
            "SELECT * FROM (SELECT * FROM duskgate_tokens WHERE NOT deleted
                            UNION ALL SELECT * FROM duskgate_tokens WHERE deleted AND state = 1) AS shown
             WHERE sequence > $1 AND sequence <= $2
                 AND ($4::TEXT IS NULL OR issuer = $4)
                 AND CASE $5::TEXT WHEN 'unused' THEN state = 0 AND NOT revoked WHEN 'reserved' THEN state = 1
                                   WHEN 'used' THEN state = 2 WHEN 'revoked' THEN revoked ELSE TRUE END
             ORDER BY sequence LIMIT $3",
            &[
                &after,
                &until,
                &(i64::from(filter.most) + 1),
                &filter.issuer,
                &filter.state.map(|state| state.name()),
            ],
        )
        .await?;
    let found = found.iter().map(|row| Ok((row.try_get("sequence")?, rows::read(row)?)));
    Ok(Page::new(found.collect::<Result<_, Away>>()?, filter.most, until, last))
}

pub(super) async fn prune(database: &Database, before: Timestamp) -> Result<u64, Away> {
    let most = i64::try_from(PRUNED_AT_ONCE).unwrap_or(i64::MAX);
    let sql = "DELETE FROM duskgate_tokens WHERE sequence IN (
                   SELECT sequence FROM duskgate_tokens WHERE ended_at < $1 AND state <> 1
                   ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING id";
    Ok(database.ask(sql, &[&before.as_microsecond(), &most]).await?.len() as u64)
}

fn one(found: &[Row]) -> Result<Option<Issued>, Away> {
    found.first().map(rows::read).transpose()
}

fn violates_uniqueness(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&tokio_postgres::error::SqlState::UNIQUE_VIOLATION)
}
