//! Why the ledger could not do what was asked. Says what the operator must know and do; one error may have met many
//! callers at once, so it can be cloned.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;
use tokio_postgres::error::SqlState;

/// The ledger is away. After a change it may have been made or not; asking again does no harm.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Away {
    /// A newer version of this program has been at it.
    #[error(
        "the ledger is of version {found}, this program knows versions up to {known}: use the newer program"
    )]
    Newer {
        /// The ledger's version.
        found: i64,
        /// The program's.
        known: i64,
    },
    /// There is none, and none was to be created.
    #[error("there is no ledger yet: {0}")]
    Missing(String),
    /// What is there is of another program.
    #[error(
        "not a Duskgate ledger: {0} holds the tables of another program; name another place in ledger.url"
    )]
    Foreign(String),
    /// What it is kept in cannot hold every text.
    #[error(
        "not a data base for a ledger: {place} has the encoding {encoding}, which cannot hold every name; create a data base \
         with ENCODING 'UTF8' and name it in ledger.url"
    )]
    Encoding {
        /// Where it is.
        place: String,
        /// What it has.
        encoding: String,
    },
    /// The file cannot be created.
    #[error("cannot create the ledger: {} ({error})", file.display())]
    Create {
        /// Its name.
        file: PathBuf,
        /// Why.
        #[source]
        error: Arc<std::io::Error>,
    },
    /// SQLite failed.
    #[error("{}", sqlite(file, error))]
    Sqlite {
        /// The ledger's file.
        file: Arc<PathBuf>,
        /// How it failed.
        #[source]
        error: Arc<rusqlite::Error>,
    },
    /// PostgreSQL failed, or cannot be reached.
    #[error("{}", postgres(.0))]
    Postgres(#[source] Arc<tokio_postgres::Error>),
    /// What it holds of a token makes no sense.
    #[error("the ledger is damaged: its record of {0} cannot be read")]
    Damaged(String),
    /// The file was taken away while it was in use.
    #[error("the ledger's file is gone: {}: put it back, or restart to begin with an empty ledger", .0.display())]
    Gone(Arc<PathBuf>),
    /// Another file was put in its place, beside the log of the one before, which does not belong to it.
    #[error(
        "the ledger's file was replaced, but the log of the one before lies beside it: move {file}-wal and {file}-shm away",
        file = .0.display()
    )]
    Mismatched(Arc<PathBuf>),
    /// So much waits for it that this was not even begun.
    #[error("too many changes wait for the ledger")]
    Crowded,
    /// No answer came in time.
    #[error("the ledger did not answer in time")]
    Slow,
    /// The ledger was closed while this was asked.
    #[error("the ledger is closed")]
    Closed,
}

impl From<tokio_postgres::Error> for Away {
    fn from(error: tokio_postgres::Error) -> Self {
        // The server's own time limit.
        if error.code() == Some(&SqlState::QUERY_CANCELED) {
            Away::Slow
        } else {
            Away::Postgres(Arc::new(error))
        }
    }
}

impl Away {
    /// Whether waiting cannot help: the operator must act.
    pub fn for_good(&self) -> bool {
        matches!(self, Away::Newer { .. } | Away::Encoding { .. })
    }
}

fn sqlite(file: &Path, error: &rusqlite::Error) -> String {
    let file = file.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => format!("the disk of the ledger is full: {file}"),
        Some(ErrorCode::ReadOnly) => format!("the ledger cannot be written: {file} ({error})"),
        Some(ErrorCode::CannotOpen) => format!("the ledger cannot be opened: {file} ({error})"),
        Some(ErrorCode::NotADatabase) => format!("the file is no ledger: {file}"),
        Some(ErrorCode::DatabaseBusy) => format!("another process holds the ledger for too long: {file}"),
        _ => format!("the ledger failed: {file} ({})", without_sql(error)),
    }
}

/// What went wrong, without the whole statement in which it did.
fn without_sql(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// The errors of this crate leave out their reasons.
fn postgres(error: &tokio_postgres::Error) -> String {
    let what = match error.code() {
        Some(code) if [SqlState::DISK_FULL, SqlState::OUT_OF_MEMORY].contains(code) => {
            "the data base has no room"
        }
        Some(_) => "the data base refused",
        None if error.is_closed() => "the data base closed the connection",
        None => "the data base cannot be reached",
    };
    match error.as_db_error() {
        Some(said) => format!("{what}: {}", said.message()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{what}: {error}: {source}"),
            None => format!("{what}: {error}"),
        },
    }
}
