//! One server of the backend: where it stands, what it has to do, and its connections. It outlives configurations that
//! name it: what they say of it is set anew, its pool and its standing stay.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::ClientConfig;

use super::connect::{self, Connection};
use super::dial;
use super::lease::{Counts, Lease, Vacancy};
use super::pool::Pool;
use super::resolve::Addresses;
use super::standing::{Fault, Place, Standing, Terms};
use super::{Failure, Origin, Settings};
use crate::metrics::{self, Metrics};
use crate::timer;

/// A standing in one word, so that a request reads it without a lock; every other number is the time until which the
/// server is left out.
const SPOTLESS: u64 = 0;
const IN: u64 = 1;
const ON_TRIAL: u64 = 2;
const SICK: u64 = u64::MAX;

/// One server of the backend.
pub(super) struct Server {
    pub origin: Origin,
    pub handle: metrics::Server,
    pub metrics: Arc<Metrics>,
    pub counts: Counts,
    pub vacancy: Arc<Vacancy>,
    pub addresses: Arc<Addresses>,
    /// A connection is being tried beside requests.
    pub trying: Once,
    /// A health check is under way.
    pub checking: Once,
    /// When the next health check is due, in [`timer::now`]'s milliseconds.
    pub check_at: AtomicU64,
    /// What each request needs of its conditions.
    max_requests: AtomicU32,
    idle_timeout: AtomicU64,
    conditions: ArcSwap<Conditions>,
    tls: ArcSwapOption<ClientConfig>,
    /// How often `tls` has changed: a connection of an earlier one is not used again.
    generation: AtomicU64,
    pool: Pool,
    standing: Mutex<Standing>,
    published: AtomicU64,
    is_retired: AtomicBool,
}

/// What a configuration says of a server.
struct Conditions {
    most_open: usize,
    from_client: bool,
    terms: Terms,
}

impl Conditions {
    fn of(settings: &Settings) -> Self {
        Conditions {
            most_open: settings.connections_per_server.unwrap_or(0),
            from_client: settings.from_client,
            terms: Terms {
                eject_after: settings.eject_after,
                eject_most: milliseconds(settings.eject_most),
                fall: settings.health_fall,
                rise: settings.health_rise,
            },
        }
    }
}

impl Server {
    pub fn new(
        origin: Origin,
        tls: Option<Arc<ClientConfig>>,
        settings: &Settings,
        (handle, metrics): (metrics::Server, &Arc<Metrics>),
        vacancy: Arc<Vacancy>,
    ) -> Arc<Self> {
        Arc::new(Server {
            addresses: Addresses::of(&origin),
            origin,
            handle,
            metrics: Arc::clone(metrics),
            counts: Counts::default(),
            vacancy,
            trying: Once::default(),
            checking: Once::default(),
            check_at: AtomicU64::new(0),
            max_requests: AtomicU32::new(settings.max_requests),
            idle_timeout: AtomicU64::new(milliseconds(settings.idle_timeout)),
            conditions: ArcSwap::from_pointee(Conditions::of(settings)),
            tls: ArcSwapOption::from(tls),
            generation: AtomicU64::new(0),
            pool: Pool::new(),
            standing: Mutex::default(),
            published: AtomicU64::new(SPOTLESS),
            is_retired: AtomicBool::new(false),
        })
    }

    /// Another configuration names it too. Connections that were made under another TLS are not used again.
    pub fn adopt(&self, settings: &Settings, tls: Option<Arc<ClientConfig>>, is_same_tls: bool) {
        self.max_requests.store(settings.max_requests, Ordering::Relaxed);
        self.idle_timeout.store(milliseconds(settings.idle_timeout), Ordering::Relaxed);
        self.conditions.store(Arc::new(Conditions::of(settings)));
        if !is_same_tls {
            self.set_tls(tls);
        }
        if settings.health_path.is_none() {
            self.change(|standing, _| standing.unchecked());
        }
    }

    /// Connections that were made under another TLS are not used again.
    pub fn set_tls(&self, tls: Option<Arc<ClientConfig>>) {
        self.tls.store(tls);
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.pool.clear();
    }

    /// No configuration names it any more: what is in flight ends, and nothing is kept.
    pub fn retire(&self) {
        self.is_retired.store(true, Ordering::SeqCst);
        self.pool.clear();
    }

    /// A fresh connection, from this client's address if it says so. What becomes of it is remembered.
    pub async fn connect(
        self: &Arc<Self>,
        settings: &Settings,
        from: Option<IpAddr>,
    ) -> Result<Box<Connection>, Failure> {
        let lease = self.lease().ok_or(Failure::Full)?;
        let outcome = self.open(settings, from, lease).await;
        match &outcome {
            Ok(_) if self.published.load(Ordering::Relaxed) > ON_TRIAL => {
                self.change(|standing, _| standing.connected());
            }
            Ok(_) => {}
            Err(failure) => self.failed(failure),
        }
        outcome
    }

    /// A fresh connection beside the bound, from our own address, which changes nothing.
    pub async fn connect_beside(self: &Arc<Self>, settings: &Settings) -> Result<Box<Connection>, Failure> {
        self.open(settings, None, Lease::extra(self)).await
    }

    /// Whether it takes a connection now. What becomes of it is remembered.
    pub async fn can_be_reached(self: &Arc<Self>, settings: &Settings) -> bool {
        match self.connect_beside(settings).await {
            Ok(_) => self.change(|standing, _| standing.connected()),
            Err(failure) => {
                tracing::warn!("no connection to {}: {failure}", self.origin);
                self.failed(&failure);
                return false;
            }
        }
        true
    }

    async fn open(
        self: &Arc<Self>,
        settings: &Settings,
        from: Option<IpAddr>,
        lease: Lease,
    ) -> Result<Box<Connection>, Failure> {
        let (tls, generation) = (self.tls.load_full(), self.generation.load(Ordering::SeqCst));
        let stream = connect::open(self, tls.as_ref(), settings, from).await?;
        Ok(Connection::new(stream, lease, from, generation))
    }

    /// A connection of this thread that has been used before.
    pub fn take(&self, from: Option<IpAddr>) -> Option<Box<Connection>> {
        self.pool.take(from, self.idle_timeout.load(Ordering::Relaxed))
    }

    /// Keeps a connection for the next request of this thread, unless it has served its time.
    pub fn put(&self, mut connection: Box<Connection>) {
        connection.lease.end();
        let is_current = connection.generation == self.generation.load(Ordering::Relaxed);
        if !is_current || connection.requests >= self.max_requests.load(Ordering::Relaxed) {
            return;
        }
        self.pool.put(connection);
        if self.is_retired.load(Ordering::SeqCst) {
            // It may have come after the pool was cleared.
            self.pool.clear();
        }
        self.vacancy.tell();
    }

    /// Drops the connections that have idled long enough.
    pub fn reap(&self) {
        self.pool.reap(self.idle_timeout.load(Ordering::Relaxed));
    }

    /// Whether another connection could be opened now.
    pub fn has_room(&self) -> bool {
        let most = self.conditions.load().most_open;
        most == 0 || self.counts.open() < most || !self.pool.is_empty()
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        match self.published.load(Ordering::Relaxed) {
            SPOTLESS | IN => Place::In,
            ON_TRIAL => Place::OnTrial,
            until if until > timer::now() => Place::Out,
            _ => Place::Due,
        }
    }

    /// Whether it is among those that are asked, as far as is known.
    pub fn is_up(&self) -> bool {
        self.published.load(Ordering::Relaxed) <= ON_TRIAL
    }

    /// Whether a health check has said what it thinks.
    pub fn is_known(&self) -> bool {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).is_checked()
    }

    /// It answered a request.
    pub fn answered(&self) {
        if self.published.load(Ordering::Relaxed) != SPOTLESS {
            self.change(|standing, _| standing.answered());
        }
    }

    /// It failed to take a connection or to answer a request.
    pub fn failed(&self, failure: &Failure) {
        self.metrics.upstream_error(self.handle, failure.kind());
        let conditions = self.conditions.load();
        let Some(fault) = fault_of(failure, conditions.from_client) else { return };
        self.blame(fault, &conditions.terms);
    }

    /// An answer has broken off.
    pub fn broke_off(&self, kind: &'static str) {
        self.metrics.upstream_error(self.handle, kind);
        self.blame(Fault::Broken, &self.conditions.load().terms);
    }

    fn blame(&self, fault: Fault, terms: &Terms) {
        if let Some(time) = self.change(|standing, now| standing.failed(fault, terms, now)) {
            self.metrics.upstream_ejected(self.handle);
            tracing::warn!("{} is asked last for {:.1} s", self.origin, time as f64 / 1000.0);
        }
    }

    /// A health check has ended.
    pub fn checked(&self, outcome: &Result<(), String>) {
        let terms = self.conditions.load().terms;
        if outcome.is_err() {
            self.metrics.upstream_error(self.handle, "health");
        }
        match (self.change(|standing, _| standing.checked(outcome.is_ok(), &terms)), outcome) {
            (Some(false), Err(reason)) => tracing::warn!("{} is not well: {reason}", self.origin),
            (Some(true), _) => tracing::info!("{} is well again", self.origin),
            _ => {}
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Standing, u64) -> T) -> T {
        let now = timer::now();
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = change(&mut standing, now);
        let word = match (standing.out_until(), standing.place(now)) {
            _ if standing.is_sick() => SICK,
            (Some(until), _) => until.clamp(ON_TRIAL + 1, SICK - 1),
            (None, Place::OnTrial) => ON_TRIAL,
            _ if standing.is_spotless() => SPOTLESS,
            _ => IN,
        };
        self.published.store(word, Ordering::Relaxed);
        self.metrics.upstream_up(self.handle, self.is_up());
        outcome
    }

    /// A place for another connection; an idle one makes room for it, of whatever thread.
    fn lease(self: &Arc<Self>) -> Option<Lease> {
        let most = self.conditions.load().most_open;
        loop {
            if let Some(lease) = Lease::take(self, most) {
                return Some(lease);
            }
            if !self.pool.evict() {
                return None;
            }
        }
    }
}

/// Something that is done by one at a time.
#[derive(Default)]
pub(super) struct Once(AtomicBool);

/// Done, however it ended, when it is dropped.
pub(super) struct Begun<'a>(&'a AtomicBool);

impl Once {
    pub fn is_free(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }

    /// Begins, unless somebody else has.
    pub fn begin(&self) -> Option<Begun<'_>> {
        (!self.0.swap(true, Ordering::SeqCst)).then(|| Begun(&self.0))
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// What a failure says about the server; nothing where it is not the server's.
fn fault_of(failure: &Failure, from_client: bool) -> Option<Fault> {
    match failure {
        Failure::Connect(error) if dial::is_ours(error) => None,
        Failure::Full | Failure::Family { .. } | Failure::NoServer | Failure::Client(_) => None,
        // It may be the way back to this one client that is missing.
        Failure::ConnectTimeout if from_client => Some(Fault::Broken),
        Failure::Connect(_) | Failure::ConnectTimeout | Failure::Handshake(_) => Some(Fault::Unreachable),
        Failure::Closed { .. } | Failure::Malformed(_) | Failure::Timeout => Some(Fault::Broken),
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
