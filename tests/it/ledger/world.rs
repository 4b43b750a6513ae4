//! A ledger of its own for each test, and tokens to put in.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use duskgate::ledger::{self, Create, Issue, Issued, Location, Reserve, Round, Settings, Store, Usage};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::support::postgres::{self, Server};

/// A place for one ledger.
pub enum World {
    Sqlite(TempDir),
    Postgres { server: Arc<Server>, place: String },
}

impl World {
    pub fn sqlite() -> Self {
        World::Sqlite(tempfile::tempdir().expect("a temporary directory"))
    }

    pub async fn postgres() -> Self {
        let server = postgres::shared();
        let place = server.new_place().await;
        World::Postgres { server, place }
    }

    pub fn url(&self) -> String {
        match self {
            World::Sqlite(directory) => format!("sqlite:{}/duskgate.db", directory.path().display()),
            World::Postgres { server, place } => server.url(place),
        }
    }

    pub fn settings(&self) -> Settings {
        let location = Location::parse(&self.url(), Path::new("")).expect("a URL");
        // The machine may be busy.
        Settings { timeout: Duration::from_secs(60), ..Settings::at(location) }
    }

    /// Opens the ledger, as one more process would.
    pub fn open(&self) -> Arc<dyn Store> {
        ledger::open(&self.settings(), Create::Yes)
    }

    /// Puts in very many tokens, unused.
    pub async fn fill(&self, count: usize) {
        let columns = "id, operation, invite_type, target, issuer, name, created_at, revoked";
        let values = "'filled ' || n, 'operation', 'userJoinGroup', 'group', 'usr-anna', 'filled ' || n, 0";
        match self {
            World::Sqlite(directory) => {
                let connection = rusqlite::Connection::open(directory.path().join("duskgate.db")).unwrap();
                let sql = format!(
                    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
                     INSERT INTO tokens ({columns}) SELECT {values}, 0 FROM numbers"
                );
                connection.execute_batch(&sql).unwrap();
            }
            World::Postgres { server, place } => {
                let numbers = format!("generate_series(1, {count}) AS numbers (n)");
                let sql =
                    format!("INSERT INTO duskgate_tokens ({columns}) SELECT {values}, FALSE FROM {numbers}");
                server.connect(place).await.batch_execute(&sql).await.unwrap();
            }
        }
    }

    /// Makes it a ledger of another version.
    pub async fn set_version(&self, version: i64) {
        match self {
            World::Sqlite(directory) => {
                let connection = rusqlite::Connection::open(directory.path().join("duskgate.db")).unwrap();
                connection.pragma_update(None, "user_version", version).unwrap();
            }
            World::Postgres { server, place } => {
                let sql = format!("UPDATE duskgate_ledger SET version = {version}");
                server.connect(place).await.batch_execute(&sql).await.unwrap();
            }
        }
    }
}

/// Runs a test.
pub fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

/// So many seconds after some moment.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_microsecond(1_800_000_000_123_456 + seconds * 1_000_000).unwrap()
}

/// A token of this id, issued by anna.
pub fn token(id: &str) -> Issued {
    Issued {
        id: id.to_owned(),
        operation: "create_user_group_invite_token".to_owned(),
        invite_type: "userJoinGroup".to_owned(),
        target: "group".to_owned(),
        issuer: "usr-anna".to_owned(),
        name: format!("name of {id}"),
        created_at: at(0),
        privileges: None,
        revoked: false,
        custom_metadata: None,
        idempotency: None,
        deleted: false,
        usage: Usage::Unused,
    }
}

/// Issues a token of this id.
pub async fn issue(ledger: &dyn Store, id: &str) {
    assert_eq!(ledger.issue(&token(id)).await.unwrap(), Issue::Recorded, "{id}");
}

/// Issues a token of this id, and reserves it.
pub async fn issue_reserved(ledger: &dyn Store, id: &str, consumer: &str, seconds: i64) {
    issue(ledger, id).await;
    reserve_fresh(ledger, id, consumer, seconds).await;
}

/// Reserves a token that is free.
pub async fn reserve_fresh(ledger: &dyn Store, id: &str, consumer: &str, seconds: i64) -> Round {
    match ledger.reserve(id, consumer, at(seconds)).await.unwrap() {
        Reserve::Fresh(round) => round,
        other => panic!("{id}: {other:?}"),
    }
}

/// What became of the token of this id.
pub async fn usage(ledger: &dyn Store, id: &str) -> Usage {
    ledger.get(id).await.unwrap().expect("the token is there").usage
}

/// The ids of tokens.
pub fn ids(tokens: &[Issued]) -> Vec<&str> {
    tokens.iter().map(|token| token.id.as_str()).collect()
}
