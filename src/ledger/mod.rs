//! The tokens that were issued here and what became of them, and who called what: one [`Store`], in SQLite for one machine and in PostgreSQL
//! for several that share it.
//!
//! Every change is durable when it returns, and is one conditional statement, so that any number of processes may race:
//! of all that reserve one token, one gets [`Reserve::Fresh`]. A future that is dropped half-way leaves its change done
//! or not done, never in between.
//!
//! Nothing here can forge a token: the ledger holds no secret and no key. It knows nothing of HTTP, of the backend or of
//! rights either, and of the time only what it is told.

mod away;
mod postgres;
mod record;
mod schema;
mod settings;
mod sqlite;
pub mod usage;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;

pub use away::Away;
pub use record::{
    Change, Commit, Filter, Issue, Issued, Page, Reached, Rename, Reserve, Round, State, USAGE_LIMIT, Usage,
};
pub use settings::{BadUrl, DEFAULT_FILE, Location, Server, Settings};
pub use usage::{
    Called, Latest, LatestFilter, Period, Tally, UsageBatch, UsageFilter, Used, UsedDay, Watching,
};

/// What a verb answers, some day.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Away>> + Send + 'a>>;

/// A ledger. Any verb may find it [`Away`]; a change that then may have been made all the same can be asked for again
/// without harm.
///
/// Moments are kept to the microsecond.
pub trait Store: Send + Sync {
    /// Whether the ledger can be read and, as far as is known, changed, and is of this version. Where the last change failed,
    /// this tries one.
    fn check(&self) -> Answer<'_, ()>;

    /// Records a new token, unused.
    fn issue<'a>(&'a self, token: &'a Issued) -> Answer<'a, Issue>;

    /// The token of this id. One that was deleted is none.
    fn get<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Issued>>;

    /// The token of this id, also one that was deleted while its reservation is still to be finished.
    fn look_up<'a>(&'a self, id: &'a str) -> Answer<'a, Option<Issued>>;

    /// Takes the single use for this consumer, unless something stands against it.
    fn reserve<'a>(&'a self, id: &'a str, consumer: &'a str, now: Timestamp) -> Answer<'a, Reserve>;

    /// Takes over this consumer's reservation, to finish it: nobody can release it then. `false` if there is none. Also
    /// when the token was revoked or deleted meanwhile.
    fn adopt<'a>(&'a self, id: &'a str, consumer: &'a str) -> Answer<'a, bool>;

    /// Turns this consumer's reservation into the use. Also when the token was revoked or deleted meanwhile.
    fn commit<'a>(&'a self, id: &'a str, consumer: &'a str, now: Timestamp) -> Answer<'a, Commit>;

    /// Gives up this consumer's reservation, unless somebody else has taken it over since. Only for who got it as
    /// [`Reserve::Fresh`] in this round, and knows that nothing can have come of it.
    fn release<'a>(&'a self, id: &'a str, consumer: &'a str, round: Round) -> Answer<'a, ()>;

    /// The reservations that are older than this moment and are to be finished, the first made first; those of deleted
    /// tokens too. At most `most`, and only those that come behind `reached`, so that all have their turn even if the first
    /// ones are never finished.
    fn pending<'a>(
        &'a self,
        before: Timestamp,
        reached: Option<&'a Reached>,
        most: u32,
    ) -> Answer<'a, Vec<Issued>>;

    /// Revokes a token or takes that back; `false` if there is none.
    fn set_revoked<'a>(&'a self, id: &'a str, revoked: bool, now: Timestamp) -> Answer<'a, bool>;

    /// Gives a token another name, which must be the only one of its kind among its issuer's.
    fn rename<'a>(&'a self, id: &'a str, name: &'a str) -> Answer<'a, Rename>;

    /// Changes a token, all that is said or nothing; its name must stay the only one of its kind among its issuer's.
    fn update<'a>(&'a self, id: &'a str, change: &'a Change, now: Timestamp) -> Answer<'a, Rename>;

    /// Ends a token for good; `false` if there is none. A reservation on it is still to be finished.
    fn delete<'a>(&'a self, id: &'a str, now: Timestamp) -> Answer<'a, bool>;

    /// Ends for good every token of this issuer that is not used up, and says how many those were. A reservation is still to
    /// be finished.
    fn delete_all<'a>(&'a self, issuer: &'a str, now: Timestamp) -> Answer<'a, u64>;

    /// Ends a token that nobody received; `false` if there is none, or it has been reserved or found by its
    /// Idempotency-Key since it was issued.
    fn withdraw<'a>(&'a self, id: &'a str, now: Timestamp) -> Answer<'a, bool>;

    /// Tokens in the order in which they were issued, at most `filter.most` a page; of deleted ones those whose reservation
    /// is still to be finished. A page may hold fewer, or none, and
    /// not be the last: only so many records are looked at for one.
    fn list<'a>(&'a self, filter: &'a Filter) -> Answer<'a, Page>;

    /// The token that was issued under this hash of an Idempotency-Key. Whoever asks has it from now on: it is not
    /// [withdrawn](Store::withdraw) any more.
    fn by_idempotency<'a>(&'a self, hash: &'a [u8]) -> Answer<'a, Option<Issued>>;

    /// Forgets what was used, revoked or deleted before this moment, and says how many those were. Neither a token that
    /// is still good nor a reservation goes.
    fn prune(&self, before: Timestamp) -> Answer<'_, u64>;

    /// Adds calls to the usage. A batch that has been added is not added again.
    fn record_usage(&self, batch: Arc<UsageBatch>) -> Answer<'_, ()>;

    /// The usage, added up over all days that are remembered; in no order.
    fn usage<'a>(&'a self, filter: &'a UsageFilter) -> Answer<'a, Vec<Used>>;

    /// The calls of each operation on each day since one, in order.
    fn usage_days(&self, since: i64) -> Answer<'_, Vec<UsedDay>>;

    /// The latest usage of each of these operations. Costs as much as they were used of late, not as much as is remembered.
    fn usage_latest<'a>(&'a self, filter: &'a LatestFilter) -> Answer<'a, Vec<Latest>>;

    /// Says that calls of these operations may be missing up to a moment: whoever watched before it has not seen all.
    fn lose_usage<'a>(&'a self, operations: &'a [String], until: Timestamp) -> Answer<'a, ()>;

    /// Says that operations are being watched.
    fn watch_usage<'a>(&'a self, watching: &'a Watching) -> Answer<'a, ()>;

    /// When operations were watched, in order.
    fn usage_watched(&self) -> Answer<'_, Vec<Period>>;

    /// Forgets calls of the days before this one, and says how many sums of them there were.
    fn prune_usage(&self, before: i64) -> Answer<'_, u64>;

    /// How many changes were asked for, and how many transactions they took: each of these is one flush to disk.
    fn load(&self) -> Load;
}

/// How many records are looked at for one page of a list.
const STRIDE: i64 = 50_000;

/// What a store has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Changes that are durable.
    pub changes: u64,
    /// Transactions that made them so.
    pub transactions: u64,
}

/// Whether a ledger that does not exist is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// It is.
    Yes,
    /// It is away.
    No,
}

/// Opens a ledger. That never fails: one that cannot be reached is away until it can, and every verb tries again.
pub fn open(settings: &Settings, create: Create) -> Arc<dyn Store> {
    match &settings.location {
        Location::Sqlite(file) => Arc::new(sqlite::Store::open(file, create, settings.timeout)),
        Location::Postgres(server) => Arc::new(postgres::Store::open(server, create, settings)),
    }
}
