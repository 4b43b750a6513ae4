//! Where the ledger is, and how long one may take to answer.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The ledger's file where nobody says which.
pub const DEFAULT_FILE: &str = "duskgate.db";

/// What an operator can set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub location: Location,
    /// How long one answer may take.
    pub timeout: Duration,
    /// How long what is spent is kept.
    pub retention: Duration,
}

/// Where a ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file on this machine.
    Sqlite(PathBuf),
}

/// Text that does not say where a ledger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Neither SQLite nor PostgreSQL.
    #[error("it begins with neither sqlite: nor postgres://")]
    Scheme,
    /// No file is named.
    #[error("it names no file")]
    NoFile,
}

impl Settings {
    /// The usual ones for this place.
    pub fn at(location: Location) -> Self {
        Settings {
            location,
            timeout: Duration::from_secs(5),
            retention: Duration::from_secs(400 * 24 * 60 * 60),
        }
    }
}

impl Location {
    /// Reads `sqlite:FILE`; a relative file is one in `directory`.
    ///
    /// # Errors
    ///
    /// What is wrong, without a word of the text.
    pub fn parse(url: &str, directory: &Path) -> Result<Self, BadUrl> {
        let file = url.strip_prefix("sqlite:").ok_or(BadUrl::Scheme)?;
        if file.is_empty() {
            return Err(BadUrl::NoFile);
        }
        Ok(Location::Sqlite(directory.join(file)))
    }
}
