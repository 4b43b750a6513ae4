//! A large ledger, made quickly: past the ledger's own verbs, without its indexes until everything is in.

use std::path::Path;

use duskgate::ledger::{self, Create, Location, Settings};
use rusqlite::Connection;

use super::Figure;

/// Creates a ledger of so many tokens, of a thousand issuers; of ten tokens, seven are used.
pub fn create(file: &Path, tokens: u64) -> Figure<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ledger::open(&Settings::at(Location::Sqlite(file.to_owned())), Create::Yes).check())?;
    let connection = Connection::open(file)?;
    connection
        .execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA cache_size = -1000000")?;
    let indexes = indexes(&connection)?;
    for (name, _) in &indexes {
        connection.execute_batch(&format!("DROP INDEX {name}"))?;
    }
    connection.execute(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
         INSERT INTO tokens (id, operation, invite_type, target, issuer, name, created_at, privileges, revoked,
             state, consumer, moment, ended_at)
         SELECT 'dg11111111' || printf('%08x', ((1700000000000 + n) / 64) & 0xffffffff) || lower(hex(randomblob(12))),
             'create_user_group_invite_token', 'userJoinGroup',
             printf('%032xch3c4d', n % 5000), printf('usr-%032xch5e6f', n % 1000),
             'user invite to group - developers ' || lower(hex(randomblob(6))), 1700000000000000 + n * 1000,
             '[\"group_view\"]', 0, iif(n % 10 < 7, 2, 0), iif(n % 10 < 7, printf('usr-%032xch5e6f', n % 977), NULL),
             iif(n % 10 < 7, 1700000000000000 + n * 1000, NULL), iif(n % 10 < 7, 1700000000000000 + n * 1000, NULL)
         FROM numbers",
        [i64::try_from(tokens)?],
    )?;
    for (_, sql) in &indexes {
        connection.execute_batch(sql)?;
    }
    connection.execute_batch("PRAGMA journal_mode = WAL")?;
    Ok(())
}

fn indexes(connection: &Connection) -> Figure<Vec<(String, String)>> {
    let mut statement =
        connection.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
