//! Opens the ledger's file: durable to the last change, of this program's version, or not at all.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, MAIN_DB, OpenFlags, TransactionBehavior, ffi};

use crate::ledger::{Away, Create, schema};

/// How long another process may hold the ledger.
const BUSY: Duration = Duration::from_secs(4);
/// What a connection may keep of the file in memory, in KiB.
const CACHE: i64 = 32 * 1024;
/// Pages in the write-ahead log before they are moved to their places: enough that a page that changes all the time is
/// moved seldom, and little enough to be read through when the program starts.
const LOG_PAGES: i64 = 8192;
/// Statements that are kept prepared: more than there are.
const STATEMENTS: usize = 64;

/// The file of a ledger.
pub(super) struct File {
    name: Arc<PathBuf>,
    create: Create,
}

impl File {
    pub(super) fn new(name: &Path, create: Create) -> Self {
        File { name: Arc::new(name.to_owned()), create }
    }

    /// Opens it for changes, and brings it to this version.
    pub(super) fn open_writer(&self) -> Result<Connection, Away> {
        self.create()?;
        let connection = self.open()?;
        self.migrate(connection).map_err(|failure| match failure {
            Failure::Newer(found) => Away::Newer { found, known: schema::VERSION },
            Failure::Sqlite(error) => self.away(error),
        })
    }

    /// Opens it for reading, once a writer has.
    pub(super) fn open_reader(&self) -> Result<Connection, Away> {
        let connection = self.open()?;
        connection.pragma_update(None, "query_only", true).map_err(|error| self.away(error))?;
        Ok(connection)
    }

    /// An error with the name of the file.
    pub(super) fn away(&self, error: rusqlite::Error) -> Away {
        Away::Sqlite { file: Arc::clone(&self.name), error: Arc::new(error) }
    }

    /// Who calls is nobody else's business: the file, and with it those that SQLite puts beside it, are for the owner and
    /// the group.
    fn create(&self) -> Result<(), Away> {
        let file = &*self.name;
        if self.create == Create::No {
            return if file.exists() { Ok(()) } else { Err(Away::Missing(file.display().to_string())) };
        }
        match OpenOptions::new().write(true).create_new(true).mode(0o640).open(file) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(Away::Create { file: file.clone(), error: Arc::new(error) })
            }
            _ => Ok(()),
        }
    }

    fn open(&self) -> Result<Connection, Away> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(&*self.name, flags)?;
            // SQLite goes on with a file that it may only read, and puts a log beside it that may not be written either, even
            // when the file may be again. Who only looks gets along with that.
            if self.create == Create::Yes && connection.is_readonly(MAIN_DB)? {
                let error = ffi::Error::new(ffi::SQLITE_READONLY);
                return Err(rusqlite::Error::SqliteFailure(error, Some("it may only be read".to_owned())));
            }
            connection.busy_timeout(BUSY)?;
            connection.pragma_update(None, "cache_size", -CACHE)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            Ok(connection)
        };
        open().map_err(|error| self.away(error))
    }

    fn migrate(&self, mut connection: Connection) -> Result<Connection, Failure> {
        // Looked at before anything is changed, even the kind of its log.
        version(&connection)?;
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        if version(&connection)? < schema::VERSION {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another process may have been quicker.
            let found = version(&transaction)?;
            for step in schema::SQLITE.iter().skip(usize::try_from(found).unwrap_or(0)) {
                transaction.execute_batch(step)?;
            }
            transaction.pragma_update(None, "user_version", schema::VERSION)?;
            transaction.commit()?;
        }
        Ok(connection)
    }
}

enum Failure {
    Newer(i64),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sqlite(error)
    }
}

fn version(connection: &Connection) -> Result<i64, Failure> {
    let found = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > schema::VERSION { Err(Failure::Newer(found)) } else { Ok(found) }
}
