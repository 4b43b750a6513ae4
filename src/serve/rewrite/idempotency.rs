//! Calls that may safely be sent again: one that repeats the `Idempotency-Key` of another is answered with the token that
//! was made then (design, "Rewrite"). Tokens are kept in memory alone, each under a keyed hash of the whole call, so that
//! another credential, operation or target is another call. Only what was handed over is kept: a call that failed, or
//! whose caller went away, is as if it had never been, and the next one with its key is served.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{COOKIE, HeaderMap, HeaderName};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use tokio::sync::OwnedMutexGuard;

use crate::caller::CREDENTIAL_FIELDS;
use crate::operation::Operation;
use crate::route::Call;
use crate::token::Token;
use crate::token::keys::{self, KeyRing, Ours};

/// The request field.
pub(super) const FIELD: HeaderName = HeaderName::from_static("idempotency-key");

/// How long a token is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(1);

/// How many are. Of more, the oldest go.
const MOST: usize = 10_000;

/// The most characters of a key.
const LONGEST: usize = 255;

/// A field that is no key: sent more than once, empty, too long, or not of visible ASCII characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) struct BadKey;

/// The key of a call, if it has one.
pub(in crate::serve) fn key(headers: &HeaderMap) -> Result<Option<&[u8]>, BadKey> {
    let mut values = headers.get_all(&FIELD).iter();
    match (values.next().map(|value| value.as_bytes()), values.next()) {
        (None, _) => Ok(None),
        (Some(key), None) if (1..=LONGEST).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic) => {
            Ok(Some(key))
        }
        (Some(_), _) => Err(BadKey),
    }
}

/// The tokens of calls that may be repeated. Clones share them.
#[derive(Clone)]
pub(in crate::serve) struct Replies {
    shared: Arc<Inner>,
    /// The keys of our own tokens, if there are any: one that none of them verifies is dead.
    keys: Option<Arc<KeyRing>>,
}

struct Inner {
    secret: [u8; 32],
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    slots: HashMap<Digest, Slot>,
    /// When which token goes, the next one first.
    ends: VecDeque<(Timestamp, Digest)>,
}

type Digest = [u8; 32];

/// Whoever holds the lock is serving the call.
type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

struct Kept {
    token: String,
    until: Timestamp,
}

/// Whose turn it is.
pub(in crate::serve) enum Turn {
    /// The call is to be served.
    Serve(Place),
    /// It was, and made this token.
    Repeat(String),
}

/// The right to serve a call. While it is there, repeats wait; dropped, the next of them has it.
pub(in crate::serve) struct Place {
    // Dropped first, so that the seat sees whether anything was kept.
    slot: OwnedMutexGuard<Option<Kept>>,
    seat: Seat,
    now: Timestamp,
}

/// One interest in a call. The last one to leave a call that kept nothing takes it away.
struct Seat {
    replies: Replies,
    call: Digest,
    slot: Slot,
}

impl Replies {
    /// None yet, under a secret that nobody else has.
    pub fn new() -> Self {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).expect("this cannot fail because every system has a source of chance");
        Replies { shared: Arc::new(Inner { secret, calls: Mutex::default() }), keys: None }
    }

    /// The same tokens, where our own are those of these keys.
    pub fn with_keys(&self, keys: Option<Arc<KeyRing>>) -> Self {
        Replies { shared: Arc::clone(&self.shared), keys }
    }

    /// Waits for the turn of a call with a key.
    pub async fn turn(
        &self,
        key: &[u8],
        headers: &HeaderMap,
        operation: &Operation,
        call: &Call,
        now: Timestamp,
    ) -> Turn {
        let seat = self.seat(self.digest(key, headers, operation, call), now);
        let slot = Arc::clone(&seat.slot).lock_owned().await;
        match &*slot {
            Some(kept) if kept.until > now && self.stands(&kept.token) => Turn::Repeat(kept.token.clone()),
            None => Turn::Serve(Place { slot, seat, now }),
            Some(_) => {
                // What takes its place has a time of its own.
                self.lock().ends.retain(|(_, call)| *call != seat.call);
                Turn::Serve(Place { slot, seat, now })
            }
        }
    }

    /// Whether a token is Onezone's, which says itself whether it is good, or one of the keys in force.
    fn stands(&self, token: &str) -> bool {
        let Ok(token) = Token::parse(token) else { return true };
        !keys::has_our_form(&token.id.id)
            || self.keys.as_ref().is_some_and(|keys| keys.is_ours(&token) == Ours::Yes)
    }

    /// Each part goes in with its length, so that no two calls are written the same.
    fn digest(&self, key: &[u8], headers: &HeaderMap, operation: &Operation, call: &Call) -> Digest {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.shared.secret)
            .expect("this cannot fail because HMAC takes keys of any length (RFC 2104, section 2)");
        let mut part = |bytes: &[u8]| {
            mac.update(&(bytes.len() as u64).to_be_bytes());
            mac.update(bytes);
        };
        part(key);
        part(operation.id.as_bytes());
        for (name, _) in &call.ids {
            part(call.encoded_id(name).unwrap_or_default().as_bytes());
        }
        // Cookies change under one credential; where they prove it, the backend asks for them again.
        for name in CREDENTIAL_FIELDS.iter().filter(|name| *name != COOKIE) {
            part(&headers.get_all(name).iter().count().to_be_bytes());
            headers.get_all(name).iter().for_each(|value| part(value.as_bytes()));
        }
        mac.finalize().into_bytes().into()
    }

    fn seat(&self, call: Digest, now: Timestamp) -> Seat {
        let mut calls = self.lock();
        while calls.ends.front().is_some_and(|(until, _)| *until <= now) {
            calls.forget_first();
        }
        let slot = Arc::clone(calls.slots.entry(call).or_default());
        Seat { replies: self.clone(), call, slot }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    fn forget_first(&mut self) {
        if let Some((_, call)) = self.ends.pop_front() {
            self.slots.remove(&call);
        }
    }
}

impl Place {
    /// Keeps the token, which is about to be handed over.
    pub fn keep(mut self, token: String) {
        let until = self.now.saturating_add(KEPT).unwrap_or(Timestamp::MAX);
        *self.slot = Some(Kept { token, until });
        let mut calls = self.seat.replies.lock();
        if calls.ends.len() >= MOST {
            calls.forget_first();
        }
        // It may have been forgotten while it was served.
        calls.slots.insert(self.seat.call, Arc::clone(&self.seat.slot));
        calls.ends.push_back((until, self.seat.call));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut calls = self.replies.lock();
        // One is the map's, one is this one's.
        let is_last = Arc::strong_count(&self.slot) <= 2;
        if is_last && self.slot.try_lock().is_ok_and(|kept| kept.is_none()) {
            calls.slots.remove(&self.call);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderValue, Method};

    use super::*;
    use crate::operation;
    use crate::route::{Found, Table};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    struct World {
        replies: Replies,
        operations: Vec<Operation>,
        table: Table,
    }

    impl World {
        fn new() -> Self {
            let operations = operation::builtin();
            let table = Table::new(&operations).unwrap();
            World { replies: Replies::new(), operations, table }
        }

        async fn turn(
            &self,
            path: &str,
            key: &str,
            headers: &[(&'static str, &str)],
            now: Timestamp,
        ) -> Turn {
            let path = format!("/api/v3/onezone{path}");
            let Found::Call(call) = self.table.find(&Method::POST, &path) else { panic!("no call: {path}") };
            let headers = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
            let operation = &self.operations[call.operation];
            self.replies.turn(key.as_bytes(), &headers.collect(), operation, &call, now).await
        }

        async fn group(&self, key: &str, token: &str, now: Timestamp) -> Turn {
            self.turn("/groups/g/users/token", key, &[("x-auth-token", token)], now).await
        }

        fn count(&self) -> usize {
            self.replies.lock().slots.len()
        }
    }

    fn served(turn: Turn) -> Place {
        match turn {
            Turn::Serve(place) => place,
            Turn::Repeat(_) => panic!("a repeat"),
        }
    }

    fn run(future: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future);
    }

    #[test]
    fn a_key_is_visible_ascii() {
        let with = |values: &[&[u8]]| {
            let values = values.iter().map(|value| (FIELD, HeaderValue::from_bytes(value).unwrap()));
            key(&values.collect()).map(|key| key.map(<[u8]>::to_vec))
        };
        assert_eq!(with(&[]), Ok(None));
        assert_eq!(with(&[b"a"]), Ok(Some(b"a".to_vec())));
        assert_eq!(with(&[&[b'~'; 255]]), Ok(Some(vec![b'~'; 255])));
        for bad in [&[&b""[..]][..], &[&[b'a'; 256]], &[b"a b"], &[b"a\tb"], &[b"\xc5\x82"], &[b"a", b"a"]] {
            assert_eq!(with(bad), Err(BadKey));
        }
    }

    #[test]
    fn the_same_call_is_repeated_for_an_hour_and_no_other_one_is() {
        run(async {
            let world = World::new();
            served(world.group("k", "t", NOW).await).keep("made".to_owned());
            let later = NOW + SignedDuration::from_secs(3599);
            assert!(matches!(world.group("k", "t", later).await, Turn::Repeat(token) if token == "made"));
            let proof = [("x-auth-token", "t"), ("x-onedata-service-token", "s")];
            let cookie = [("x-auth-token", "t"), ("cookie", "c")];
            let path = "/groups/g/users/token";
            assert!(matches!(world.turn(path, "k", &cookie, later).await, Turn::Repeat(_)));
            served(world.turn(path, "k", &proof, later).await);
            served(world.turn(path, "k", &[("macaroon", "t")], later).await);
            served(world.group("K", "t", later).await);
            served(world.group("k", "u", later).await);
            served(world.turn("/groups/h/users/token", "k", &[("x-auth-token", "t")], later).await);
            served(world.turn("/groups/g/children/token", "k", &[("x-auth-token", "t")], later).await);
            assert_eq!(world.count(), 1);
            served(world.group("k", "t", NOW + KEPT).await);
            assert_eq!(world.count(), 0);
        });
    }

    #[test]
    fn a_repeat_waits_for_the_first_and_takes_over_where_that_fails() {
        run(async {
            let world = World::new();
            let first = served(world.group("k", "t", NOW).await);
            let second = world.group("k", "t", NOW);
            let third = world.group("k", "t", NOW);
            tokio::pin!(second, third);
            for repeat in [&mut second, &mut third] {
                assert!(tokio::time::timeout(Duration::from_millis(5), repeat).await.is_err(), "not waiting");
            }
            drop(first);
            let second = served(second.await);
            assert!(tokio::time::timeout(Duration::from_millis(5), &mut third).await.is_err());
            second.keep("made".to_owned());
            assert!(matches!(third.await, Turn::Repeat(token) if token == "made"));
        });
    }

    #[test]
    fn who_goes_away_leaves_nothing() {
        run(async {
            let world = World::new();
            let first = served(world.group("k", "t", NOW).await);
            {
                let second = world.group("k", "t", NOW);
                tokio::pin!(second);
                assert!(tokio::time::timeout(Duration::from_millis(5), &mut second).await.is_err());
                drop(first);
                assert_eq!(world.count(), 1);
            }
            assert_eq!(world.count(), 0);
        });
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        run(async {
            let world = World::new();
            for number in 0..MOST + 10 {
                served(world.group(&number.to_string(), "t", NOW).await).keep(String::new());
            }
            assert_eq!(world.count(), MOST);
            served(world.group("9", "t", NOW).await);
            assert!(matches!(world.group("10", "t", NOW).await, Turn::Repeat(_)));
        });
    }
}
