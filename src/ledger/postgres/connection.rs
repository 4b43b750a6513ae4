//! One connection: made, set up and found to be of this program's version before anything is asked through it.

use std::collections::HashMap;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

use super::tls::Tls;
use crate::ledger::{Away, Create, Server, schema};

/// Held while a ledger is brought to a newer version: "duskgate" in ASCII.
const LOCK: i64 = 0x6475_736b_6761_7465;

/// A connection, and the statements that it has prepared.
pub(super) struct Connection {
    client: Client,
    statements: HashMap<&'static str, Statement>,
}

impl Connection {
    /// Connects, and creates the ledger or brings it to this version.
    pub async fn new(server: &Server, tls: Tls, create: Create, timeout: Duration) -> Result<Self, Away> {
        let (client, driver) = server.config().connect(tls).await?;
        tokio::spawn(async move {
            // Whoever asks through the connection learns of its end.
            let _ = driver.await;
        });
        let mut connection = Connection { client, statements: HashMap::new() };
        connection.set_up(timeout).await?;
        connection.check_encoding(server.shown()).await?;
        connection.migrate(create, server.shown()).await?;
        Ok(connection)
    }

    /// Whether nothing can be asked any more.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs one statement.
    pub async fn ask(
        &mut self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let statement = match self.statements.get(sql) {
            Some(statement) => statement.clone(),
            None => {
                let statement = self.client.prepare(sql).await?;
                self.statements.insert(sql, statement.clone());
                statement
            }
        };
        self.client.query(&statement, parameters).await
    }

    /// Whatever the server's own settings are: a commit waits for the disk, a lock is not waited for without end, and a
    /// statement that waited for one sees what the other did.
    async fn set_up(&self, timeout: Duration) -> Result<(), Error> {
        let sql = format!(
            "SET default_transaction_isolation TO 'read committed';
             SET default_transaction_read_only TO off;
             SET statement_timeout TO {};
             SELECT set_config('synchronous_commit', 'on', false)
             WHERE current_setting('synchronous_commit') = 'off'",
            timeout.as_millis()
        );
        self.client.batch_execute(&sql).await
    }

    /// Names of consumers and programs are any text, which only UTF-8 holds.
    async fn check_encoding(&self, shown: &str) -> Result<(), Away> {
        let encoding: String = self.client.query_one("SHOW server_encoding", &[]).await?.try_get(0)?;
        if encoding == "UTF8" { Ok(()) } else { Err(Away::Encoding { place: shown.to_owned(), encoding }) }
    }

    async fn migrate(&mut self, create: Create, shown: &str) -> Result<(), Away> {
        let found = version(&self.client).await?;
        if found.is_none() && create == Create::No {
            return Err(Away::Missing(shown.to_owned()));
        }
        if known(found)? == schema::VERSION {
            return Ok(());
        }
        let transaction = self.client.transaction().await?;
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
        // Another replica may have been quicker.
        let found = known(version(transaction.client()).await?)?;
        for step in schema::POSTGRES.iter().skip(usize::try_from(found).unwrap_or(0)) {
            transaction.batch_execute(step).await.map_err(|error| match error.code() {
                Some(code) if *code == SqlState::DUPLICATE_TABLE => Away::Foreign(shown.to_owned()),
                _ => error.into(),
            })?;
        }
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS duskgate_ledger (version BIGINT NOT NULL);
             DELETE FROM duskgate_ledger;
             INSERT INTO duskgate_ledger VALUES ({})",
            schema::VERSION
        );
        transaction.batch_execute(&sql).await?;
        Ok(transaction.commit().await?)
    }
}

/// The version of the ledger that is there, if one is.
async fn version(client: &Client) -> Result<Option<i64>, Error> {
    // A look into the catalogue, because the name alone is remembered to be unknown, whatever others have done since.
    let sql = "SELECT 1 FROM pg_class WHERE relname = 'duskgate_ledger' AND pg_table_is_visible(oid)";
    if client.query_opt(sql, &[]).await?.is_none() {
        return Ok(None);
    }
    let row = client.query_opt("SELECT version FROM duskgate_ledger", &[]).await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// A version that this program can use, 0 where there is no ledger.
fn known(found: Option<i64>) -> Result<i64, Away> {
    let found = found.unwrap_or(0);
    if found > schema::VERSION { Err(Away::Newer { found, known: schema::VERSION }) } else { Ok(found) }
}
