//! The ledger in a PostgreSQL data base, where several replicas share it. Every change is one statement, and so one
//! transaction; the server flushes many of those at once by itself.

mod connection;
mod database;
mod latest;
mod rows;
mod tls;
mod usage;
mod verbs;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use super::usage::start_of;
use super::{
    Answer, Change, Commit, Create, Filter, Issue, Issued, Latest, LatestFilter, Load, Page, Period, Reached,
    Rename, Reserve, Round, Server, Settings, UsageBatch, UsageFilter, Used, UsedDay, Watching,
};
use database::Database;

/// A ledger in PostgreSQL.
pub struct Store {
    database: Database,
    changes: AtomicU64,
}

impl Store {
    /// Connects when there is something to do.
    pub fn open(server: &Server, create: Create, settings: &Settings) -> Self {
        Store { database: Database::new(server, create, settings), changes: AtomicU64::new(0) }
    }

    /// Counts a change that has been made.
    fn changed<T>(&self, answer: T) -> T {
        self.changes.fetch_add(1, Ordering::Relaxed);
        answer
    }
}

impl super::Store for Store {
    fn check(&self) -> Answer<'_, ()> {
        Box::pin(verbs::check(&self.database))
    }

    fn issue<'a>(&'a self, token: &'a Issued) -> Answer<'a, Issue> {
        Box::pin(async { Ok(self.changed(verbs::issue(&self.database, token).await?)) })
    }

    fn get<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Issued>> {
        Box::pin(verbs::get(&self.database, id))
    }

    fn look_up<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Issued>> {
        Box::pin(verbs::look_up(&self.database, id))
    }

    fn reserve<'a>(&'a self, id: &'a str, consumer: &'a str, now: Timestamp) -> Answer<'a, Reserve> {
        Box::pin(async move { Ok(self.changed(verbs::reserve(&self.database, id, consumer, now).await?)) })
    }

    fn adopt<'a>(&'a self, id: &'a str, consumer: &'a str) -> Answer<'a, bool> {
        Box::pin(async move { Ok(self.changed(verbs::adopt(&self.database, id, consumer).await?)) })
    }

    fn commit<'a>(&'a self, id: &'a str, consumer: &'a str, now: Timestamp) -> Answer<'a, Commit> {
        Box::pin(async move { Ok(self.changed(verbs::commit(&self.database, id, consumer, now).await?)) })
    }

    fn release<'a>(&'a self, id: &'a str, consumer: &'a str, round: Round) -> Answer<'a, ()> {
        Box::pin(async move {
            verbs::release(&self.database, id, consumer, round).await?;
            self.changed(());
            Ok(())
        })
    }

    fn pending<'a>(
        &'a self,
        before: Timestamp,
        reached: Option<&'a Reached>,
        most: u32,
    ) -> Answer<'a, Vec<Issued>> {
        Box::pin(verbs::pending(&self.database, before, reached, most))
    }

    fn set_revoked<'a>(&'a self, id: &'a str, revoked: bool, now: Timestamp) -> Answer<'a, bool> {
        Box::pin(async move { Ok(self.changed(verbs::set_revoked(&self.database, id, revoked, now).await?)) })
    }

    fn rename<'a>(&'a self, id: &'a str, name: &'a str) -> Answer<'a, Rename> {
        Box::pin(async move { Ok(self.changed(verbs::rename(&self.database, id, name).await?)) })
    }

    fn update<'a>(&'a self, id: &'a str, change: &'a Change, now: Timestamp) -> Answer<'a, Rename> {
        Box::pin(async move { Ok(self.changed(verbs::update(&self.database, id, change, now).await?)) })
    }

    fn delete<'a>(&'a self, id: &'a str, now: Timestamp) -> Answer<'a, bool> {
        Box::pin(async move { Ok(self.changed(verbs::delete(&self.database, id, now).await?)) })
    }

    fn delete_all<'a>(&'a self, issuer: &'a str, now: Timestamp) -> Answer<'a, u64> {
        Box::pin(async move { Ok(self.changed(verbs::delete_all(&self.database, issuer, now).await?)) })
    }

    fn withdraw<'a>(&'a self, id: &'a str, now: Timestamp) -> Answer<'a, bool> {
        Box::pin(async move { Ok(self.changed(verbs::withdraw(&self.database, id, now).await?)) })
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Page> {
        Box::pin(verbs::list(&self.database, filter))
    }

    fn by_idempotency<'a>(&'a self, hash: &'a [u8]) -> Answer<'a, Option<Issued>> {
        Box::pin(verbs::by_idempotency(&self.database, hash))
    }

    fn prune(&self, before: Timestamp) -> Answer<'_, u64> {
        Box::pin(async move {
            let mut pruned = 0;
            loop {
                let count = self.changed(verbs::prune(&self.database, before).await?);
                pruned += count;
                if count < verbs::PRUNED_AT_ONCE {
                    return Ok(pruned);
                }
            }
        })
    }

    fn record_usage(&self, batch: Arc<UsageBatch>) -> Answer<'_, ()> {
        Box::pin(async move {
            usage::record(&self.database, &batch).await?;
            self.changed(());
            Ok(())
        })
    }

    fn usage<'a>(&'a self, filter: &'a UsageFilter) -> Answer<'a, Vec<Used>> {
        Box::pin(usage::usage(&self.database, filter))
    }

    fn usage_days(&self, since: i64) -> Answer<'_, Vec<UsedDay>> {
        Box::pin(usage::days(&self.database, since))
    }

    fn usage_latest<'a>(&'a self, filter: &'a LatestFilter) -> Answer<'a, Vec<Latest>> {
        Box::pin(latest::latest(&self.database, filter))
    }

    fn lose_usage<'a>(&'a self, operations: &'a [String], until: Timestamp) -> Answer<'a, ()> {
        Box::pin(usage::lose(&self.database, operations, until))
    }

    fn watch_usage<'a>(&'a self, watching: &'a Watching) -> Answer<'a, ()> {
        Box::pin(async move {
            usage::watch(&self.database, watching).await?;
            self.changed(());
            Ok(())
        })
    }

    fn usage_watched(&self) -> Answer<'_, Vec<Period>> {
        Box::pin(usage::watched(&self.database))
    }

    fn prune_usage(&self, before: i64) -> Answer<'_, u64> {
        Box::pin(
            async move { Ok(self.changed(usage::prune(&self.database, before, start_of(before)).await?)) },
        )
    }

    fn load(&self) -> Load {
        let changes = self.changes.load(Ordering::Relaxed);
        Load { changes, transactions: changes }
    }
}
