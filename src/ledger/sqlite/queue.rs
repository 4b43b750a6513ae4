//! Threads that work on the ledger's file. The one that writes takes all the changes that wait, makes them in one
//! transaction, and answers when that is on the disk: the flush that one change needs serves all of them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::oneshot;

use super::file::{File, Opened};
use crate::ledger::{Away, Load};

/// The most changes in one transaction, so that the first of them does not wait for ever.
const BATCH: usize = 1024;

/// The longest that changes wait for others to join them.
const PATIENCE: Duration = Duration::from_millis(2);

/// The most that may wait. Whoever comes then is told at once, instead of in vain later.
pub(super) const WAITING: usize = 8192;

/// Where the answer will be.
pub(super) type Reply<T> = oneshot::Receiver<Result<T, Away>>;

/// One or more threads with work to do. Dropping it finishes the work and ends them.
pub(super) struct Queue {
    jobs: Option<SyncSender<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
    counts: Arc<Counts>,
}

impl Queue {
    /// One thread, for changes.
    pub(super) fn writer(file: Arc<File>) -> Self {
        let (sender, jobs) = mpsc::sync_channel(WAITING);
        let counts = Arc::new(Counts::default());
        let mut writer = Writer::new(file, Arc::clone(&counts));
        let thread = spawn("ledger-writer", move || writer.run(&jobs));
        Queue { jobs: Some(sender), threads: thread.into_iter().collect(), counts }
    }

    /// Some threads, for reading.
    pub(super) fn readers(file: &Arc<File>, count: usize) -> Self {
        let (sender, jobs) = mpsc::sync_channel(WAITING);
        let jobs = Arc::new(Mutex::new(jobs));
        let threads = (0..count).filter_map(|_| {
            let (file, jobs) = (Arc::clone(file), Arc::clone(&jobs));
            spawn("ledger-reader", move || Reader { file, opened: None }.run(&jobs))
        });
        Queue { jobs: Some(sender), threads: threads.collect(), counts: Arc::default() }
    }

    /// Has this done, unless nobody waits for the answer any more when its turn comes.
    pub(super) fn ask<T, F>(&self, work: F) -> Reply<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (sender, reply) = oneshot::channel();
        let task = Task { work: Some(work), result: None, sender };
        // A queue without threads drops the task, and with it the sender: the ledger is closed.
        if let Some(jobs) = &self.jobs
            && let Err(TrySendError::Full(job)) = jobs.try_send(Box::new(task))
        {
            job.answer(Err(Away::Crowded));
        }
        reply
    }

    /// Whether the last change could not be made.
    pub(super) fn has_failed(&self) -> bool {
        self.counts.has_failed.load(Ordering::Relaxed)
    }

    pub(super) fn load(&self) -> Load {
        Load {
            changes: self.counts.changes.load(Ordering::Relaxed),
            transactions: self.counts.transactions.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[derive(Default)]
struct Counts {
    changes: AtomicU64,
    transactions: AtomicU64,
    has_failed: AtomicBool,
}

/// Something to do, and who waits for it.
trait Job: Send {
    /// Does it. An error is one of the connection, not of this job.
    fn run(&mut self, connection: &Connection, file: &File) -> rusqlite::Result<()>;
    /// Says what came of it, or what went wrong for everybody.
    fn answer(self: Box<Self>, outcome: Result<(), Away>);
}

struct Task<T, F> {
    work: Option<F>,
    result: Option<Result<T, Away>>,
    sender: oneshot::Sender<Result<T, Away>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, connection: &Connection, file: &File) -> rusqlite::Result<()> {
        let Some(work) = self.work.take() else { return Ok(()) };
        // Who gave up was told that the ledger is away, and counts on nothing.
        if self.sender.is_closed() {
            return Ok(());
        }
        self.result = Some(match work(connection) {
            Err(error @ rusqlite::Error::SqliteFailure(..)) => return Err(error),
            result => result.map_err(|error| file.away(error)),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), Away>) {
        let Task { result, sender, .. } = *self;
        let _ = sender.send(outcome.and_then(|()| result.unwrap_or(Err(Away::Closed))));
    }
}

struct Writer {
    file: Arc<File>,
    opened: Option<Opened>,
    counts: Arc<Counts>,
    /// How many changes the last transaction had, and how long it took.
    last: (usize, Duration),
}

impl Writer {
    fn new(file: Arc<File>, counts: Arc<Counts>) -> Self {
        Writer { file, opened: None, counts, last: (0, Duration::ZERO) }
    }

    fn run(&mut self, jobs: &Receiver<Box<dyn Job>>) {
        while let Ok(first) = jobs.recv() {
            let mut batch = vec![first];
            self.gather(jobs, &mut batch);
            let begun = Instant::now();
            let outcome = self.transact(&mut batch);
            self.counts.has_failed.store(outcome.is_err(), Ordering::Relaxed);
            self.last = (batch.len(), begun.elapsed());
            for job in batch {
                job.answer(outcome.clone());
            }
        }
    }

    /// Takes what waits. Those who got their answers a moment ago are about to ask for more, and would else have to wait
    /// for the flush after the next: so as many as last time are waited for, as long as that costs little beside a flush.
    fn gather(&self, jobs: &Receiver<Box<dyn Job>>, batch: &mut Vec<Box<dyn Job>>) {
        batch.extend(jobs.try_iter().take(BATCH - 1));
        let (expected, took) = self.last;
        let end = Instant::now() + (took / 4).min(PATIENCE);
        while batch.len() < expected {
            match jobs.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(job) => batch.push(job),
                Err(_) => return,
            }
        }
    }

    fn transact(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Away> {
        let mut opened = match in_place(&self.file, &mut self.opened)? {
            Some(opened) => opened,
            None => self.file.open_writer()?,
        };
        let outcome = transact(&mut opened.connection, &self.file, batch);
        let is_in_place = self.file.is_in_place(&opened);
        if outcome.as_ref().map_or_else(keeps_connection, |()| true) {
            self.opened = Some(opened);
        }
        outcome.map_err(|error| self.file.away(error))?;
        // What was written may have gone with the file meanwhile.
        if !is_in_place? {
            return Err(self.file.gone());
        }
        self.counts.changes.fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.counts.transactions.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// All of it or nothing.
fn transact(connection: &mut Connection, file: &File, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in batch {
        job.run(&transaction, file)?;
    }
    transaction.commit()
}

/// What was opened, if it is in its place. If nothing is there, it is kept: the file may be put back.
fn in_place(file: &File, opened: &mut Option<Opened>) -> Result<Option<Opened>, Away> {
    let Some(before) = opened.take() else { return Ok(None) };
    match file.is_in_place(&before) {
        Ok(true) => Ok(Some(before)),
        Ok(false) => Ok(None),
        Err(away) => {
            *opened = Some(before);
            Err(away)
        }
    }
}

struct Reader {
    file: Arc<File>,
    opened: Option<Opened>,
}

impl Reader {
    fn run(&mut self, jobs: &Mutex<Receiver<Box<dyn Job>>>) {
        loop {
            // Whoever waits for work holds the lock, the others wait for that.
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(mut job) = job else { return };
            let outcome = self.read(&mut *job);
            job.answer(outcome);
        }
    }

    fn read(&mut self, job: &mut dyn Job) -> Result<(), Away> {
        let opened = match in_place(&self.file, &mut self.opened)? {
            Some(opened) => opened,
            None => self.file.open_reader()?,
        };
        let outcome = job.run(&opened.connection, &self.file);
        if outcome.as_ref().map_or_else(keeps_connection, |()| true) {
            self.opened = Some(opened);
        }
        outcome.map_err(|error| self.file.away(error))
    }
}

/// Whether a connection can be used again after this error. After others the file is opened anew, in case that it was
/// replaced or its disk came back.
fn keeps_connection(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Option<JoinHandle<()>> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.inspect_err(|error| tracing::error!("cannot start a thread for the ledger: {error}")).ok()
}
