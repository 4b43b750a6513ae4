//! A token as a row, both ways.

use std::error::Error;

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Type;
use serde_json::Value;

use crate::ledger::{Issued, Usage};

pub(super) const UNUSED: i64 = 0;
pub(super) const RESERVED: i64 = 1;
pub(super) const USED: i64 = 2;

/// What [`read`] reads, in its order.
pub(super) const COLUMNS: &str = "id, operation, invite_type, target, issuer, name, created_at, privileges, \
                                  revoked, custom_metadata, idempotency, state, consumer, moment, deleted";

/// What is there of a ledger's own, beside those.
pub(super) const OTHER_COLUMNS: &str = "sequence, round, ended_at";

/// The token in a row of [`COLUMNS`].
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Issued> {
    let moment = |column| -> rusqlite::Result<Timestamp> {
        Timestamp::from_microsecond(row.get(column)?).map_err(bad(column, Type::Integer))
    };
    let usage = match row.get::<_, i64>(11)? {
        UNUSED => Usage::Unused,
        RESERVED => Usage::Reserved { consumer: row.get(12)?, since: moment(13)? },
        USED => Usage::Used { consumer: row.get(12)?, at: moment(13)? },
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(11, other)),
    };
    let privileges: Option<String> = row.get(7)?;
    Ok(Issued {
        id: row.get(0)?,
        operation: row.get(1)?,
        invite_type: row.get(2)?,
        target: row.get(3)?,
        issuer: row.get(4)?,
        name: row.get(5)?,
        created_at: moment(6)?,
        privileges: privileges
            .map(|list| serde_json::from_str(&list).map_err(bad(7, Type::Text)))
            .transpose()?,
        revoked: row.get(8)?,
        custom_metadata: row
            .get::<_, Option<String>>(9)?
            .map(|json| serde_json::from_str::<Value>(&json).map_err(bad(9, Type::Text)))
            .transpose()?,
        idempotency: row.get(10)?,
        deleted: row.get(14)?,
        usage,
    })
}

fn bad<E: Error + Send + Sync + 'static>(column: usize, kind: Type) -> impl Fn(E) -> rusqlite::Error {
    move |error| rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
}
