//! The addresses of a server. A name is looked up when it is first needed, again beside a request when what is known
//! has become old, and at once when no address answers; never on the thread that serves (the runtime has threads for
//! what blocks), and never twice at a time. Where a look-up fails, what was known stays.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::Origin;
use crate::timer;

/// How long an address that took no connection is tried last, in milliseconds.
const AVOIDED: u64 = 30_000;

/// What is known of a server's addresses.
pub(super) struct Addresses {
    host: String,
    port: u16,
    is_name: bool,
    known: ArcSwap<Vec<Arc<Address>>>,
    /// When they were looked up, in [`timer::now`]'s milliseconds.
    at: AtomicU64,
    /// The look-up that is under way.
    lookup: Mutex<Option<watch::Receiver<Option<Failed>>>>,
    turn: AtomicUsize,
}

/// One address.
pub(super) struct Address {
    pub at: SocketAddr,
    avoid_until: AtomicU64,
}

/// How a look-up ended: nothing, or why not.
type Failed = Option<Arc<io::Error>>;

impl Address {
    fn new(at: SocketAddr) -> Arc<Self> {
        Arc::new(Address { at, avoid_until: AtomicU64::new(0) })
    }

    /// It took no connection.
    pub fn failed(&self) {
        self.avoid_until.store(timer::now().saturating_add(AVOIDED), Ordering::Relaxed);
    }

    /// It did.
    pub fn answered(&self) {
        self.avoid_until.store(0, Ordering::Relaxed);
    }

    fn is_avoided(&self, now: u64) -> bool {
        self.avoid_until.load(Ordering::Relaxed) > now
    }
}

impl Addresses {
    pub fn of(origin: &Origin) -> Arc<Self> {
        let literal = origin.host.parse::<IpAddr>().ok();
        let known = literal.map(|address| Address::new(SocketAddr::new(address, origin.port)));
        Arc::new(Addresses {
            host: origin.host.clone(),
            port: origin.port,
            is_name: literal.is_none(),
            known: ArcSwap::from_pointee(known.into_iter().collect()),
            at: AtomicU64::new(0),
            lookup: Mutex::new(None),
            turn: AtomicUsize::new(0),
        })
    }

    /// The addresses, in the order in which they should be tried. What is older than `interval`, in milliseconds, is
    /// looked up again beside; what is much older is waited for.
    ///
    /// # Errors
    ///
    /// None is known, and the look-up has failed.
    pub async fn get(self: &Arc<Self>, interval: u64) -> io::Result<Vec<Arc<Address>>> {
        let age = timer::now().saturating_sub(self.at.load(Ordering::Relaxed));
        if self.known.load().is_empty() {
            self.look_up().await?;
        } else if self.is_name && age > interval.saturating_mul(10) {
            let _ = self.look_up().await;
        } else if self.is_name && age > interval {
            self.refresh();
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Ok(in_order(&self.known.load(), turn, timer::now()))
    }

    /// Whether a connection from this client's address can go to one of them, as far as they are known.
    pub fn suits(&self, from: Option<IpAddr>) -> bool {
        let Some(client) = from else { return true };
        let known = self.known.load();
        known.is_empty() || known.iter().any(|address| address.at.is_ipv6() == client.is_ipv6())
    }

    /// The addresses that a look-up finds now and that are not among `tried`.
    pub async fn others(self: &Arc<Self>, tried: &[Arc<Address>]) -> Vec<Arc<Address>> {
        if !self.is_name || self.look_up().await.is_err() {
            return Vec::new();
        }
        let mut found = in_order(&self.known.load(), 0, timer::now());
        found.retain(|address| tried.iter().all(|tried| tried.at != address.at));
        found
    }

    /// Looks a name up again, beside what is being done.
    pub fn refresh(self: &Arc<Self>) {
        if self.is_name {
            drop(self.begin());
        }
    }

    async fn look_up(self: &Arc<Self>) -> io::Result<()> {
        let mut lookup = self.begin();
        let outcome = lookup.wait_for(Option::is_some).await;
        // Neither fails unless the runtime ends.
        let outcome = outcome.map_err(io::Error::other)?.clone();
        match outcome.flatten() {
            None => Ok(()),
            Some(error) => Err(io::Error::new(error.kind(), error)),
        }
    }

    /// The look-up that is under way, or a new one.
    fn begin(self: &Arc<Self>) -> watch::Receiver<Option<Failed>> {
        let mut current = lock(&self.lookup);
        if let Some(lookup) = &*current {
            // Its task was dropped with its runtime where there is no end and nobody to bring one.
            if lookup.has_changed().is_ok() {
                return lookup.clone();
            }
        }
        let (sender, receiver) = watch::channel(None);
        *current = Some(receiver.clone());
        let addresses = Arc::clone(self);
        tokio::spawn(async move {
            let outcome = tokio::net::lookup_host((addresses.host.as_str(), addresses.port)).await;
            let failed = match outcome.map(|found| addresses.learn(found.collect())) {
                Ok(()) => None,
                Err(error) => {
                    tracing::warn!("cannot look up {}: {error}", addresses.host);
                    Some(Arc::new(error))
                }
            };
            *lock(&addresses.lookup) = None;
            sender.send_replace(Some(failed));
        });
        receiver
    }

    fn learn(&self, found: Vec<SocketAddr>) {
        let known = self.known.load();
        let keep = |at: SocketAddr| {
            let same = known.iter().find(|address| address.at == at);
            same.map_or_else(|| Address::new(at), Arc::clone)
        };
        let found: Vec<Arc<Address>> = found.into_iter().map(keep).collect();
        if !found.is_empty() {
            self.known.store(Arc::new(found));
            self.at.store(timer::now(), Ordering::Relaxed);
        }
    }
}

/// The order of RFC 8305, section 4: families in turn, the preferred one first. Within it another address is first each
/// time, so that all are used; those that took no connection lately come last.
fn in_order(known: &[Arc<Address>], turn: usize, now: u64) -> Vec<Arc<Address>> {
    let Some(preferred) = known.first().map(|address| address.at.is_ipv6()) else { return Vec::new() };
    let family = |is_ipv6: bool| {
        let mut family: Vec<_> = known.iter().filter(|address| address.at.is_ipv6() == is_ipv6).collect();
        let count = family.len().max(1);
        family.rotate_left(turn % count);
        family
    };
    let (mut one, mut other) = (family(preferred).into_iter(), family(!preferred).into_iter());
    let mut ordered = Vec::with_capacity(known.len());
    loop {
        let (next, then) = (one.next(), other.next());
        if next.is_none() && then.is_none() {
            break;
        }
        ordered.extend(next.into_iter().chain(then).map(Arc::clone));
    }
    ordered.sort_by_key(|address| address.is_avoided(now));
    ordered
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Arc<Address>> {
        texts.iter().map(|text| Address::new(SocketAddr::new(text.parse().unwrap(), 80))).collect()
    }

    fn shown(addresses: &[Arc<Address>]) -> Vec<String> {
        addresses.iter().map(|address| address.at.ip().to_string()).collect()
    }

    #[test]
    fn families_take_turns_and_the_preferred_one_begins() {
        let known = addresses(&["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1"]);
        let order = ["2001:db8::1", "192.0.2.1", "2001:db8::2", "2001:db8::3"];
        assert_eq!(shown(&in_order(&known, 0, 0)), order);
        let order = ["2001:db8::2", "192.0.2.1", "2001:db8::3", "2001:db8::1"];
        assert_eq!(shown(&in_order(&known, 1, 0)), order);
        let known = addresses(&["192.0.2.1", "2001:db8::1"]);
        assert_eq!(shown(&in_order(&known, 0, 0)), ["192.0.2.1", "2001:db8::1"]);
        assert!(in_order(&[], 3, 0).is_empty());
    }

    #[test]
    fn an_address_that_took_no_connection_comes_last_for_a_while() {
        let known = addresses(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        known[0].failed();
        for turn in 0..3 {
            let order = shown(&in_order(&known, turn, timer::now()));
            assert_eq!(order.last().unwrap(), "192.0.2.1", "{order:?}");
        }
        known[0].answered();
        assert_eq!(shown(&in_order(&known, 0, timer::now()))[0], "192.0.2.1");
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_and_then_remembered() {
        let origin = Origin { https: false, host: "localhost".into(), port: 80 };
        let addresses = Addresses::of(&origin);
        let (one, other) = tokio::join!(addresses.get(60_000), addresses.get(60_000));
        assert_eq!(one.unwrap().len(), other.unwrap().len());
        let known = addresses.known.load_full();
        assert!(known.iter().all(|address| address.at.ip().is_loopback()), "{:?}", shown(&known));
        addresses.get(60_000).await.unwrap();
        assert!(Arc::ptr_eq(&known, &addresses.known.load_full()), "looked up again");
        // What was learned of an address outlives the next look-up.
        known[0].failed();
        addresses.look_up().await.unwrap();
        assert!(addresses.known.load().iter().any(|address| Arc::ptr_eq(address, &known[0])));
    }

    #[tokio::test]
    async fn a_failed_look_up_leaves_what_was_known() {
        let origin = Origin { https: false, host: "nowhere.invalid".into(), port: 80 };
        let nowhere = Addresses::of(&origin);
        assert!(nowhere.get(60_000).await.is_err());
        nowhere.learn(vec![SocketAddr::from(([192, 0, 2, 1], 80))]);
        assert!(nowhere.look_up().await.is_err());
        assert_eq!(shown(&nowhere.get(60_000).await.unwrap()), ["192.0.2.1"]);
    }

    #[tokio::test]
    async fn an_address_is_never_looked_up() {
        let literal = Addresses::of(&Origin { https: false, host: "2001:db8::1".into(), port: 80 });
        let known = literal.get(0).await.unwrap();
        assert_eq!(shown(&known), ["2001:db8::1"]);
        assert!(literal.others(&known).await.is_empty());
    }
}
