//! A token as a row.

use jiff::Timestamp;
use tokio_postgres::Row;

use crate::ledger::{Away, Issued, Usage};

/// The token in a row of all the columns.
pub(super) fn read(row: &Row) -> Result<Issued, Away> {
    let id: String = row.try_get("id")?;
    let damaged = || Away::Damaged(id.clone());
    let moment = |column| -> Result<Timestamp, Away> {
        Timestamp::from_microsecond(row.try_get(column)?).map_err(|_| damaged())
    };
    let usage = match row.try_get::<_, i16>("state")? {
        0 => Usage::Unused,
        1 => Usage::Reserved { consumer: row.try_get("consumer")?, since: moment("moment")? },
        2 => Usage::Used { consumer: row.try_get("consumer")?, at: moment("moment")? },
        _ => return Err(damaged()),
    };
    let privileges: Option<String> = row.try_get("privileges")?;
    let custom_metadata: Option<String> = row.try_get("custom_metadata")?;
    Ok(Issued {
        operation: row.try_get("operation")?,
        invite_type: row.try_get("invite_type")?,
        target: row.try_get("target")?,
        issuer: row.try_get("issuer")?,
        name: row.try_get("name")?,
        created_at: moment("created_at")?,
        privileges: privileges.map(|list| serde_json::from_str(&list).map_err(|_| damaged())).transpose()?,
        revoked: row.try_get("revoked")?,
        custom_metadata: custom_metadata
            .map(|json| serde_json::from_str(&json).map_err(|_| damaged()))
            .transpose()?,
        idempotency: row.try_get("idempotency")?,
        deleted: row.try_get("deleted")?,
        usage,
        id,
    })
}
