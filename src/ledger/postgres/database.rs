//! The data base as one thing to ask: takes a connection from the pool, asks through it in time, and asks once more
//! where a connection that had been idle turns out to be dead. That is no risk: to ask for a change again does no harm.

use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::connection::Connection;
use super::tls::Tls;
use crate::ledger::{Away, Create, Server, Settings};

/// How long connecting may take, where an answer may take longer.
const CONNECT: Duration = Duration::from_secs(3);

/// What a statement gave.
pub(super) struct Changed {
    pub rows: Vec<Row>,
    /// It was run before, and nobody knows what came of that.
    pub was_repeated: bool,
}

pub(super) struct Database {
    pool: Pool<Connector>,
    timeout: Duration,
}

impl Database {
    pub fn new(server: &Server, create: Create, settings: &Settings) -> Self {
        let timeout = settings.timeout;
        let server = server.clone().with_timeout(timeout.min(CONNECT), timeout);
        let tls = Tls::new(server.roots());
        let connector = Connector { server, tls, create, timeout };
        let pool = Pool::builder(connector)
            .max_size(settings.connections)
            .build()
            .expect("this cannot fail because the pool has no time-outs of its own");
        Database { pool, timeout }
    }

    /// Runs one statement.
    pub async fn ask(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Away> {
        Ok(self.change(sql, parameters).await?.rows)
    }

    /// Runs one statement whose repetition would say something else than its first run.
    pub async fn change(
        &self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Changed, Away> {
        let end = Instant::now() + self.timeout;
        let mut again = true;
        loop {
            let mut connection = self.connection(end).await?;
            let fresh = Object::metrics(&connection).recycle_count == 0;
            let error = match timeout_at(end, connection.ask(sql, parameters)).await {
                Ok(Ok(rows)) => return Ok(Changed { rows, was_repeated: !again }),
                Ok(Err(error)) => error,
                Err(_) => {
                    // Its answer may still come, or never.
                    drop(Object::take(connection));
                    return Err(Away::Slow);
                }
            };
            if !lost(&error) {
                return Err(error.into());
            }
            // Those that are idle will have gone the same way.
            drop(Object::take(connection));
            self.pool.retain(|_, _| false);
            if fresh || !again {
                return Err(error.into());
            }
            again = false;
        }
    }

    async fn connection(&self, end: Instant) -> Result<Object<Connector>, Away> {
        match timeout_at(end, self.pool.get()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(PoolError::Backend(away))) => Err(away),
            Ok(Err(PoolError::Closed)) => Err(Away::Closed),
            Ok(Err(_)) | Err(_) => Err(Away::Slow),
        }
    }
}

/// Whether an error is one of the connection, and another one may do better.
fn lost(error: &Error) -> bool {
    match error.code() {
        None => true,
        Some(code) => {
            [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW].contains(code)
        }
    }
}

/// Makes connections for the pool.
pub(super) struct Connector {
    server: Server,
    tls: Tls,
    create: Create,
    timeout: Duration,
}

impl Manager for Connector {
    type Type = Connection;
    type Error = Away;

    async fn create(&self) -> Result<Connection, Away> {
        Connection::new(&self.server, self.tls.clone(), self.create, self.timeout).await
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Away> {
        if connection.is_closed() { Err(RecycleError::message("closed")) } else { Ok(()) }
    }
}
