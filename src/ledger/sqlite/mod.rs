//! The ledger in one file on this machine. Changes go through one thread that makes many of them durable at once
//! ([`queue`]); reading goes past it, on connections of its own. Other processes may use the file as well.

mod file;
mod latest;
mod queue;
mod rows;
#[cfg(test)]
mod tests;
mod usage;
mod verbs;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;

use file::File;
use queue::Queue;

use super::usage::start_of;
use super::{
    Answer, Away, Change, Commit, Create, Filter, Issue, Issued, Latest, LatestFilter, Load, Page, Period,
    Reached, Rename, Reserve, Round, UsageBatch, UsageFilter, Used, UsedDay, Watching,
};

/// Threads that read. A long list then holds up nobody who asks for one token.
const READERS: usize = 2;
/// What is pruned in one change, so that others get their turn.
const PRUNED_AT_ONCE: u32 = 1000;

/// A ledger in SQLite.
pub struct Store {
    // Closed first, so that the writer tidies up the file.
    readers: Queue,
    writer: Queue,
    timeout: Duration,
}

impl Store {
    /// Starts the threads; they open the file when there is something to do.
    pub fn open(file: &Path, create: Create, timeout: Duration) -> Self {
        let file = Arc::new(File::new(file, create));
        Store { readers: Queue::readers(&file, READERS), writer: Queue::writer(file), timeout }
    }

    fn write<T, F>(&self, work: F) -> Answer<'static, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        Self::answer(self.writer.ask(work), self.timeout)
    }

    fn read<T, F>(&self, work: F) -> Answer<'static, T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        Self::answer(self.readers.ask(work), self.timeout)
    }

    fn answer<T: Send + 'static>(reply: queue::Reply<T>, timeout: Duration) -> Answer<'static, T> {
        Box::pin(async move {
            match tokio::time::timeout(timeout, reply).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(Away::Closed),
                Err(_) => Err(Away::Slow),
            }
        })
    }
}

impl super::Store for Store {
    fn check(&self) -> Answer<'_, ()> {
        // A disk that is full can still be read.
        if self.writer.has_failed() { self.write(verbs::probe) } else { self.read(verbs::check) }
    }

    fn issue<'a>(&'a self, token: &'a Issued) -> Answer<'a, Issue> {
        let token = token.clone();
        self.write(move |connection| verbs::issue(connection, &token))
    }

    fn get<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Issued>> {
        let id = id.to_owned();
        self.read(move |connection| verbs::get(connection, &id))
    }

    fn look_up<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Issued>> {
        let id = id.to_owned();
        self.read(move |connection| verbs::look_up(connection, &id))
    }

    fn reserve<'a>(&'a self, id: &'a str, consumer: &'a str, now: Timestamp) -> Answer<'a, Reserve> {
        let (id, consumer) = (id.to_owned(), consumer.to_owned());
        self.write(move |connection| verbs::reserve(connection, &id, &consumer, now))
    }

    fn adopt<'a>(&'a self, id: &'a str, consumer: &'a str) -> Answer<'a, bool> {
        let (id, consumer) = (id.to_owned(), consumer.to_owned());
        self.write(move |connection| verbs::adopt(connection, &id, &consumer))
    }

    fn commit<'a>(&'a self, id: &'a str, consumer: &'a str, now: Timestamp) -> Answer<'a, Commit> {
        let (id, consumer) = (id.to_owned(), consumer.to_owned());
        self.write(move |connection| verbs::commit(connection, &id, &consumer, now))
    }

    fn release<'a>(&'a self, id: &'a str, consumer: &'a str, round: Round) -> Answer<'a, ()> {
        let (id, consumer) = (id.to_owned(), consumer.to_owned());
        self.write(move |connection| verbs::release(connection, &id, &consumer, round))
    }

    fn pending<'a>(
        &'a self,
        before: Timestamp,
        reached: Option<&'a Reached>,
        most: u32,
    ) -> Answer<'a, Vec<Issued>> {
        let reached = reached.cloned();
        self.read(move |connection| verbs::pending(connection, before, reached.as_ref(), most))
    }

    fn set_revoked<'a>(&'a self, id: &'a str, revoked: bool, now: Timestamp) -> Answer<'a, bool> {
        let id = id.to_owned();
        self.write(move |connection| verbs::set_revoked(connection, &id, revoked, now))
    }

    fn rename<'a>(&'a self, id: &'a str, name: &'a str) -> Answer<'a, Rename> {
        let (id, name) = (id.to_owned(), name.to_owned());
        self.write(move |connection| verbs::rename(connection, &id, &name))
    }

    fn update<'a>(&'a self, id: &'a str, change: &'a Change, now: Timestamp) -> Answer<'a, Rename> {
        let (id, change) = (id.to_owned(), change.clone());
        self.write(move |connection| verbs::update(connection, &id, &change, now))
    }

    fn delete<'a>(&'a self, id: &'a str, now: Timestamp) -> Answer<'a, bool> {
        let id = id.to_owned();
        self.write(move |connection| verbs::delete(connection, &id, now))
    }

    fn delete_all<'a>(&'a self, issuer: &'a str, now: Timestamp) -> Answer<'a, u64> {
        let issuer = issuer.to_owned();
        self.write(move |connection| verbs::delete_all(connection, &issuer, now))
    }

    fn withdraw<'a>(&'a self, id: &'a str, now: Timestamp) -> Answer<'a, bool> {
        let id = id.to_owned();
        self.write(move |connection| verbs::withdraw(connection, &id, now))
    }

    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Page> {
        let filter = filter.clone();
        self.read(move |connection| verbs::list(connection, &filter))
    }

    fn by_idempotency<'a>(&'a self, hash: &'a [u8]) -> Answer<'a, Option<Issued>> {
        let hash = hash.to_vec();
        Box::pin(async move {
            // Most keys are new, and that is found out without a change.
            let found = self.read(move |connection| verbs::by_idempotency(connection, &hash)).await?;
            let Some(Issued { id, .. }) = found else { return Ok(None) };
            self.write(move |connection| verbs::claim(connection, &id)).await
        })
    }

    fn prune(&self, before: Timestamp) -> Answer<'_, u64> {
        Box::pin(async move {
            let mut pruned = 0;
            loop {
                let work = move |connection: &Connection| verbs::prune(connection, before, PRUNED_AT_ONCE);
                let count = self.write(work).await?;
                pruned += count;
                if count < u64::from(PRUNED_AT_ONCE) {
                    return Ok(pruned);
                }
            }
        })
    }

    fn record_usage(&self, batch: Arc<UsageBatch>) -> Answer<'_, ()> {
        self.write(move |connection| usage::record(connection, &batch))
    }

    fn usage<'a>(&'a self, filter: &'a UsageFilter) -> Answer<'a, Vec<Used>> {
        let filter = filter.clone();
        self.read(move |connection| usage::usage(connection, &filter))
    }

    fn usage_days(&self, since: i64) -> Answer<'_, Vec<UsedDay>> {
        self.read(move |connection| usage::days(connection, since))
    }

    fn usage_latest<'a>(&'a self, filter: &'a LatestFilter) -> Answer<'a, Vec<Latest>> {
        let filter = filter.clone();
        self.read(move |connection| latest::latest(connection, &filter))
    }

    fn lose_usage<'a>(&'a self, operations: &'a [String], until: Timestamp) -> Answer<'a, ()> {
        let operations = operations.to_vec();
        self.write(move |connection| usage::lose(connection, &operations, until))
    }

    fn watch_usage<'a>(&'a self, watching: &'a Watching) -> Answer<'a, ()> {
        let watching = watching.clone();
        self.write(move |connection| usage::watch(connection, &watching))
    }

    fn usage_watched(&self) -> Answer<'_, Vec<Period>> {
        self.read(usage::watched)
    }

    fn prune_usage(&self, before: i64) -> Answer<'_, u64> {
        let moment = start_of(before);
        self.write(move |connection| usage::prune(connection, before, moment))
    }

    fn load(&self) -> Load {
        self.writer.load()
    }
}
