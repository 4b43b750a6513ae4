//! Where the ledger is, and how long one may take to answer.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Config;

/// The ledger's file where nobody says which.
pub const DEFAULT_FILE: &str = "duskgate.db";

/// What an operator can set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub location: Location,
    /// How long one answer may take.
    pub timeout: Duration,
    /// The most connections to a server; a file needs no limit.
    pub connections: usize,
    /// How long what is spent is kept.
    pub retention: Duration,
}

/// Where a ledger is. Prints without a password.
#[derive(Clone, Debug, PartialEq)]
pub enum Location {
    /// A file on this machine.
    Sqlite(PathBuf),
    /// A data base.
    Postgres(Box<Server>),
}

/// A PostgreSQL server, and the data base there. Prints without a password.
#[derive(Clone)]
pub struct Server {
    config: Config,
    shown: String,
    roots: Option<Arc<RootCertStore>>,
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
    /// A name that SQLite takes for something else than a file.
    #[error(
        "it names no file: a ledger in memory is lost, and what begins with file: is not read as a URI; write sqlite:FILE"
    )]
    Magic,
    /// It is an address of nothing, or with options that do not exist.
    #[error("it is no address of a PostgreSQL data base")]
    Address,
    /// A password where it would be shown.
    #[error("a password cannot stand among the options: use password_file")]
    Password,
}

impl Settings {
    /// The usual ones for this place.
    pub fn at(location: Location) -> Self {
        Settings {
            location,
            timeout: Duration::from_secs(5),
            connections: 8,
            retention: Duration::from_secs(400 * 24 * 60 * 60),
        }
    }

    /// What of them holds for as long as a ledger is open.
    pub fn place(&self) -> impl PartialEq + use<'_> {
        (&self.location, self.timeout, self.connections)
    }
}

impl Location {
    /// Reads `sqlite:FILE`, where a relative file is one in `directory`, or `postgres://USER@HOST:PORT/DATABASE?OPTIONS`
    /// with the options of libpq that tokio-postgres has; a directory of sockets is a host whose slashes are written
    /// `%2F`.
    ///
    /// # Errors
    ///
    /// What is wrong, without a word of the text.
    pub fn parse(url: &str, directory: &Path) -> Result<Self, BadUrl> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Server::parse(url).map(Box::new).map(Location::Postgres);
        }
        match url.strip_prefix("sqlite:").ok_or(BadUrl::Scheme)? {
            "" => Err(BadUrl::NoFile),
            // What SQLite would make of them is a ledger that is gone with the connection.
            magic if magic == ":memory:" || magic.starts_with("file:") => Err(BadUrl::Magic),
            file => Ok(Location::Sqlite(directory.join(file))),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
            Location::Postgres(server) => f.write_str(&server.shown),
        }
    }
}

impl Server {
    fn parse(url: &str) -> Result<Self, BadUrl> {
        if url.contains("?password") || url.contains("&password") {
            return Err(BadUrl::Password);
        }
        let config: Config = url.parse().map_err(|_| BadUrl::Address)?;
        Ok(Server { config, shown: without_password(url), roots: None })
    }

    /// With this password, whatever the URL said.
    #[must_use]
    pub fn with_password(mut self, password: &SecretString) -> Self {
        self.config.password(password.expose_secret());
        self
    }

    /// Trusting these certificates instead of the system's.
    #[must_use]
    pub fn with_roots(mut self, roots: Arc<RootCertStore>) -> Self {
        self.roots = Some(roots);
        self
    }

    /// Giving up on it after so long: on connecting to it, and on bytes that it does not take.
    pub(super) fn with_timeout(mut self, connect: Duration, silence: Duration) -> Self {
        self.config.connect_timeout(connect).tcp_user_timeout(silence);
        if self.config.get_application_name().is_none() {
            self.config.application_name("duskgate");
        }
        self
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn roots(&self) -> Option<Arc<RootCertStore>> {
        self.roots.clone()
    }
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        let roots = |server: &Self| server.roots.as_ref().map(|store| store.roots.clone());
        self.config == other.config && roots(self) == roots(other)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The password may hold anything, so it ends at the last `@`.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let Some((user, place)) = rest.rsplit_once('@') else { return url.to_owned() };
    match user.split_once(':') {
        Some((name, _)) => format!("{scheme}://{name}:<redacted>@{place}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<String, BadUrl> {
        Location::parse(url, Path::new("/etc/duskgate")).map(|location| {
            let (shown, debug) = (location.to_string(), format!("{location:?}"));
            assert!(!debug.contains("hush"), "{debug}");
            shown
        })
    }

    #[test]
    fn a_url_says_where_the_ledger_is_and_prints_no_password() {
        for (url, shown) in [
            ("sqlite:duskgate.db", "sqlite:/etc/duskgate/duskgate.db"),
            ("sqlite:/var/lib/duskgate/a b.db", "sqlite:/var/lib/duskgate/a b.db"),
            ("postgres://db.example.org/duskgate", "postgres://db.example.org/duskgate"),
            (
                "postgresql://me:hush@a:5432,b:5433/duskgate?sslmode=require",
                "postgresql://me:<redacted>@a:5432,b:5433/duskgate?sslmode=require",
            ),
            ("postgres://me:hu?sh:hush@host/db", "postgres://me:<redacted>@host/db"),
            ("postgres://me@%2Frun%2Fpostgresql/d", "postgres://me@%2Frun%2Fpostgresql/d"),
        ] {
            assert_eq!(parse(url).as_deref(), Ok(shown), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_repeating_it() {
        for (url, bad) in [
            ("", BadUrl::Scheme),
            ("duskgate.db", BadUrl::Scheme),
            ("mysql://me:hush@host/db", BadUrl::Scheme),
            ("sqlite:", BadUrl::NoFile),
            ("sqlite::memory:", BadUrl::Magic),
            ("sqlite:file:y.db?mode=memory", BadUrl::Magic),
            ("sqlite:file:/var/lib/y.db", BadUrl::Magic),
            ("postgres://me:hush@host:port/db", BadUrl::Address),
            ("postgres://me@host/db?colour=hush", BadUrl::Address),
            ("postgres://me@host/db?sslmode=disable&password=hush", BadUrl::Password),
        ] {
            assert_eq!(parse(url), Err(bad), "{url}");
            assert!(!bad.to_string().contains("hush"));
        }
    }
}
