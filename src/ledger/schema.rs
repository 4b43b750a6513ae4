//! The shape of the ledger, as the steps that lead to it: step n makes version n out of the one before. A step that was
//! ever released is never changed, a change is a new one; both stores have as many.

/// The version of this program.
pub(super) const VERSION: i64 = SQLITE.len() as i64;

/// For SQLite.
pub(super) const SQLITE: [&str; 4] = [
    include_str!("schema/sqlite/0001.sql"),
    include_str!("schema/sqlite/0002.sql"),
    include_str!("schema/sqlite/0003.sql"),
    include_str!("schema/sqlite/0004.sql"),
];

/// For PostgreSQL.
pub(super) const POSTGRES: [&str; SQLITE.len()] = [
    include_str!("schema/postgres/0001.sql"),
    include_str!("schema/postgres/0002.sql"),
    include_str!("schema/postgres/0003.sql"),
    include_str!("schema/postgres/0004.sql"),
];
