//! Opens the ledger's file: durable to the last change, of this program's version, or not at all. What is opened is the
//! ledger only as long as it is in its place: what is written into a file that was taken away is lost at its closing.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, TransactionBehavior, ffi};

use super::rows::{COLUMNS, OTHER_COLUMNS};
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
    /// The files that were opened last.
    known: Mutex<Option<Known>>,
    is_gone: AtomicBool,
}

/// The device and the number of a file on it: what of a file its name is not.
type Identity = (u64, u64);

/// A ledger's file, and those that SQLite puts beside it.
#[derive(Clone, Copy, PartialEq)]
struct Known {
    file: Identity,
    beside: [Option<Identity>; 2],
}

/// A connection, and the file that it is to.
pub(super) struct Opened {
    pub connection: Connection,
    file: Identity,
}

impl File {
    pub(super) fn new(name: &Path, create: Create) -> Self {
        File {
            name: Arc::new(name.to_owned()),
            create,
            known: Mutex::default(),
            is_gone: AtomicBool::new(false),
        }
    }

    /// Opens it for changes, and brings it to this version.
    pub(super) fn open_writer(&self) -> Result<Opened, Away> {
        self.create()?;
        self.open(|connection| self.migrate(connection))
    }

    /// Opens it for reading, and creates it or brings it to this version where that is to be done. Who only looks changes
    /// nothing.
    pub(super) fn open_reader(&self) -> Result<Opened, Away> {
        match self.create {
            // Whoever comes first does, reader or writer.
            Create::Yes => drop(self.open_writer()?),
            Create::No => self.create()?,
        }
        self.open(|connection| {
            // With something read, the log is there and is known.
            self.found(connection)?;
            Ok(connection.pragma_update(None, "query_only", true)?)
        })
    }

    /// Whether the file that was opened is the one in its place; if not, another one is.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(super) fn is_in_place(&self, opened: &Opened) -> Result<bool, Away> {
        let found = identity(&self.name);
        if found.is_some() == self.is_gone.load(Ordering::Relaxed) {
            self.is_gone.store(found.is_none(), Ordering::Relaxed);
            match found {
                None => tracing::error!("{}", self.gone()),
                Some(_) => tracing::info!("the ledger's file is back: {}", self.name.display()),
            }
        }
        match found {
            None => Err(self.gone()),
            Some(found) => Ok(found == opened.file),
        }
    }

    /// The error that it is not in its place.
    pub(super) fn gone(&self) -> Away {
        Away::Gone(Arc::clone(&self.name))
    }

    /// An error with the name of the file.
    pub(super) fn away(&self, error: rusqlite::Error) -> Away {
        Away::Sqlite { file: Arc::clone(&self.name), error: Arc::new(error) }
    }

    /// Who calls is nobody else's business: the file, and with it those that SQLite puts beside it, are for the owner and
    /// the group.
    fn create(&self) -> Result<(), Away> {
        let file = &*self.name;
        // Whoever took it away may put it back, and an empty one would then be in the way.
        if self.known().is_some() {
            return if file.exists() { Ok(()) } else { Err(self.gone()) };
        }
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

    /// Opens what is in the file's place, and sets the connection up.
    fn open(&self, set_up: impl FnOnce(&mut Connection) -> Result<(), Failure>) -> Result<Opened, Away> {
        // Where there is none, SQLite says best why.
        let file = identity(&self.name);
        if let Some(file) = file {
            self.check_log(file)?;
        }
        let mut connection = self.connect()?;
        set_up(&mut connection).map_err(|failure| match failure {
            Failure::Newer(found) => Away::Newer { found, known: schema::VERSION },
            Failure::Foreign => Away::Foreign(self.name.display().to_string()),
            Failure::Missing => Away::Missing(self.name.display().to_string()),
            Failure::Sqlite(error) => self.away(error),
        })?;
        let Some(file) = file.filter(|file| identity(&self.name) == Some(*file)) else {
            return Err(self.gone());
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Known { file, beside: self.beside() });
        Ok(Opened { connection, file })
    }

    /// A log is of the file beside which it was written: with another one it makes a ledger that never was.
    fn check_log(&self, file: Identity) -> Result<(), Away> {
        let Some(known) = self.known().filter(|known| known.file != file) else { return Ok(()) };
        let is_left =
            self.beside().iter().zip(known.beside).any(|(found, known)| found.is_some() && *found == known);
        if is_left { Err(Away::Mismatched(Arc::clone(&self.name))) } else { Ok(()) }
    }

    fn known(&self) -> Option<Known> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log, and the memory that connections share.
    fn beside(&self) -> [Option<Identity>; 2] {
        ["-wal", "-shm"].map(|end| {
            let mut name = OsString::from(&*self.name);
            name.push(end);
            identity(Path::new(&name))
        })
    }

    fn connect(&self) -> Result<Connection, Away> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            // A name that does not begin with a letter is a file's to SQLite, whatever it is.
            let connection = Connection::open_with_flags(Path::new(".").join(&*self.name), flags)?;
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

    /// The version of the ledger that is there, 0 where none is yet and one may be made.
    fn found(&self, connection: &Connection) -> Result<i64, Failure> {
        // All of one moment: another process may be about to make it.
        let moment = connection.unchecked_transaction()?;
        let found = version(&moment)?;
        match found {
            0 if moment.prepare("SELECT 1 FROM sqlite_schema")?.exists([])? => Err(Failure::Foreign),
            0 if self.create == Create::No => Err(Failure::Missing),
            0 => Ok(0),
            // Whether it can be asked for what is asked of a ledger.
            _ => match moment.prepare(&format!("SELECT {COLUMNS}, {OTHER_COLUMNS} FROM tokens")) {
                Ok(_) => Ok(found),
                Err(error) if is_about_the_statement(&error) => Err(Failure::Foreign),
                Err(error) => Err(error.into()),
            },
        }
    }

    fn migrate(&self, connection: &mut Connection) -> Result<(), Failure> {
        // Looked at before anything is changed, even the kind of its log.
        self.found(connection)?;
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        if version(connection)? < schema::VERSION {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another process may have been quicker.
            let found = version(&transaction)?;
            for step in schema::SQLITE.iter().skip(usize::try_from(found).unwrap_or(0)) {
                transaction.execute_batch(step)?;
            }
            transaction.pragma_update(None, "user_version", schema::VERSION)?;
            transaction.commit()?;
        }
        Ok(())
    }
}

fn identity(file: &Path) -> Option<Identity> {
    fs::metadata(file).ok().map(|found| (found.dev(), found.ino()))
}

/// No such table, no such column.
fn is_about_the_statement(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqlInputError { .. })
        || error.sqlite_error_code() == Some(ErrorCode::Unknown)
}

enum Failure {
    Newer(i64),
    Foreign,
    Missing,
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
