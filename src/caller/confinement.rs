//! The networks that presented tokens are confined to, judged by the client's real address. Onezone judges them by the
//! address that it is called from, which is ours: without this a token confined to our network would work from anywhere.
//!
//! Nothing is verified: a token that does not fit is refused, all others are Onezone's to judge. What Onezone might read
//! and we cannot is refused too where it may hold such a caveat, lest a token be bent until it slips through.
//!
//! This is the one thing that requests pay for that are no calls of deprecated operations. What a token is confined to
//! is remembered by a keyed hash of it, on each thread, for so many tokens; no token is kept.

use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::IpAddr;
use std::rc::Rc;

use http::header::{HeaderMap, HeaderName};

use super::{access_token, field};
use crate::token::{self, Caveat, Interface, Network, Token, Type};

const SERVICE: HeaderName = HeaderName::from_static("x-onedata-service-token");
const CONSUMER: HeaderName = HeaderName::from_static("x-onedata-consumer-token");

/// How many tokens are remembered on each thread.
const REMEMBERED: usize = 1024;
/// The most networks of a token that is remembered.
const MOST_NETWORKS: usize = 64;

/// A token that may not be used from where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Which token.
    pub carrier: Carrier,
    /// The first of its caveats that does not hold; nothing where it cannot be read.
    pub caveat: Option<Caveat>,
}

/// What a token is presented as, in the order in which Onezone looks at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// It proves which service calls.
    Service,
    /// It proves who the bearer is.
    Consumer,
    /// It authenticates the caller.
    Access,
}

/// The first token of a request that is confined to networks in which `client` is not; an unknown client is in none.
/// `now` is asked for the time, in Unix seconds, if there is one.
pub fn unmet(headers: &HeaderMap, client: Option<IpAddr>, now: impl FnOnce() -> i64) -> Option<Unmet> {
    let access = access_token(headers).filter(|text| may_be_token(text))?;
    // Onezone looks at the other two only beside an access token of its own.
    let others = [(Carrier::Service, SERVICE), (Carrier::Consumer, CONSUMER)];
    // One look at the names there are costs less than two long ones looked up, and few requests have either.
    let are_there = headers.keys().any(|name| name.as_str().starts_with("x-onedata-"));
    for (carrier, name) in others.into_iter().filter(|_| are_there) {
        if let Some(text) = field(headers, &name).filter(|text| may_be_token(text))
            && !fits(carrier, &text, client)
        {
            return Some(Unmet { carrier, caveat: first_unmet(&text, client, now()) });
        }
    }
    let is_fit = fits(Carrier::Access, &access, client);
    (!is_fit).then(|| Unmet { carrier: Carrier::Access, caveat: first_unmet(&access, client, now()) })
}

/// What a token is confined to: each list is a caveat, and one network of each must hold the client.
#[derive(Clone)]
enum Confinement {
    Free,
    Networks(Rc<[Vec<Network>]>),
    /// Nobody fits.
    Unreadable,
}

impl Confinement {
    fn of(carrier: Carrier, text: &[u8]) -> Confinement {
        let Some(token) = parse(text) else {
            let is_suspect = token::may_hold_networks(text);
            return if is_suspect { Confinement::Unreadable } else { Confinement::Free };
        };
        let is_looked_at = match (carrier, &token.id.kind) {
            (Carrier::Access, Type::Access { .. }) => true,
            (Carrier::Access, _) => false,
            (_, kind) => matches!(kind, Type::Identity | Type::Access { session: None }),
        };
        if !is_looked_at {
            return Confinement::Free;
        }
        if token.caveats.iter().any(is_strange) {
            return Confinement::Unreadable;
        }
        let networks = token.caveats.into_iter().filter_map(|caveat| match caveat {
            Caveat::Ip(networks) => Some(networks),
            _ => None,
        });
        let networks: Rc<[Vec<Network>]> = networks.collect();
        if networks.is_empty() { Confinement::Free } else { Confinement::Networks(networks) }
    }

    fn fits(&self, client: Option<IpAddr>) -> bool {
        match self {
            Confinement::Free => true,
            Confinement::Networks(lists) => lists.iter().all(|list| holds(list, client)),
            Confinement::Unreadable => false,
        }
    }

    fn is_small(&self) -> bool {
        match self {
            Confinement::Networks(lists) => lists.iter().map(Vec::len).sum::<usize>() <= MOST_NETWORKS,
            _ => true,
        }
    }
}

/// An ip caveat in a form that we do not write.
fn is_strange(caveat: &Caveat) -> bool {
    matches!(caveat, Caveat::Unknown(text) if text.starts_with(b"ip"))
}

fn holds(list: &[Network], client: Option<IpAddr>) -> bool {
    client.is_some_and(|client| list.iter().any(|network| network.contains(client)))
}

fn parse(text: &[u8]) -> Option<Token> {
    Token::parse(token::strip_service_prefix(std::str::from_utf8(text).ok()?)).ok()
}

/// The first caveat, in Onezone's order, that surely does not hold.
fn first_unmet(text: &[u8], client: Option<IpAddr>, now: i64) -> Option<Caveat> {
    parse(text)?.caveats.into_iter().find(|caveat| match caveat {
        Caveat::Time { valid_until } => now >= *valid_until,
        Caveat::Ip(list) => !holds(list, client),
        Caveat::Interface(interface) => *interface != Interface::Rest,
        Caveat::DataReadonly | Caveat::DataPath(_) | Caveat::DataObjectid(_) => true,
        other => is_strange(other),
    })
}

/// Whether the text can begin with the length of a macaroon's first packet, `0…` or `+…`, for any reader. The tokens of
/// identity providers begin otherwise: `eyJ`, for one.
fn may_be_token(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"opw-").or_else(|| text.strip_prefix(b"opp-")).unwrap_or(text);
    matches!(text.trim_ascii_start().first(), Some(b'M' | b'K'))
}

/// Looks a token up among those that are remembered, and puts it there.
fn fits(carrier: Carrier, text: &[u8], client: Option<IpAddr>) -> bool {
    thread_local! {
        static MEMORY: RefCell<Memory> = RefCell::new(Memory::default());
    }
    MEMORY.with_borrow_mut(|memory| memory.look_up(carrier, text).fits(client))
}

#[derive(Default)]
struct Memory {
    /// Nobody can choose tokens that meet in a place or have one hash.
    key: RandomState,
    /// By the hash's lower bits; a newcomer takes the place of who was there.
    places: Vec<Option<(u64, Confinement)>>,
}

impl Memory {
    fn look_up(&mut self, carrier: Carrier, text: &[u8]) -> Confinement {
        if self.places.is_empty() {
            self.places.resize_with(REMEMBERED, || None);
        }
        let mut hasher = self.key.build_hasher();
        hasher.write_u8(carrier as u8);
        hasher.write(text);
        let hash = hasher.finish();
        let place = &mut self.places[hash as usize % REMEMBERED];
        match place {
            Some((known, confinement)) if *known == hash => confinement.clone(),
            _ => {
                let confinement = Confinement::of(carrier, text);
                if confinement.is_small() {
                    *place = Some((hash, confinement.clone()));
                }
                confinement
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::token::{Identifier, Persistence, Subject};

    const OFFICE: &str = "ip = 192.0.2.0/24|198.51.100.7/32";

    fn token_of(kind: Type, caveats: &[&str]) -> String {
        let id = Identifier::new(Persistence::Named, Subject::User("u".to_owned()), kind, "id");
        let caveats = caveats.iter().map(|text| Caveat::parse(text.as_bytes())).collect();
        Token::mint("onezone.example.org", id, caveats, b"secret").unwrap().serialize()
    }

    fn access(caveats: &[&str]) -> String {
        token_of(Type::ACCESS, caveats)
    }

    /// Which token does not fit, and which caveat: asked twice, so that the second answer is a remembered one.
    fn verdict(fields: &[(&'static str, &str)], client: &str) -> Option<(Carrier, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let client = client.parse().ok();
        let [first, second] = [(); 2].map(|()| unmet(&headers, client, || 1000));
        assert_eq!(first, second);
        first.map(|unmet| {
            (unmet.carrier, unmet.caveat.map_or("unreadable".to_owned(), |caveat| caveat.to_string()))
        })
    }

    fn refused(carrier: Carrier, caveat: &str) -> Option<(Carrier, String)> {
        Some((carrier, caveat.to_owned()))
    }

    #[test]
    fn a_token_fits_in_its_networks_only() {
        let token = access(&[OFFICE]);
        for client in ["192.0.2.9", "198.51.100.7", "::ffff:192.0.2.9"] {
            assert_eq!(verdict(&[("x-auth-token", &token)], client), None, "{client}");
        }
        for client in ["198.51.100.8", "127.0.0.1", "2001:db8::1", "unknown"] {
            let verdict = verdict(&[("x-auth-token", &token)], client);
            assert_eq!(verdict, refused(Carrier::Access, OFFICE), "{client}");
        }
        let twice = access(&[OFFICE, "time < 2000", "ip = 192.0.2.9/32"]);
        assert_eq!(verdict(&[("x-auth-token", &twice)], "192.0.2.9"), None);
        assert_eq!(
            verdict(&[("x-auth-token", &twice)], "192.0.2.8"),
            refused(Carrier::Access, "ip = 192.0.2.9/32")
        );
    }

    #[test]
    fn the_first_caveat_that_does_not_hold_is_named() {
        for first in ["time < 1000", "interface = graphsync", "data.readonly"] {
            let token = access(&[first, OFFICE]);
            assert_eq!(verdict(&[("x-auth-token", &token)], "::1"), refused(Carrier::Access, first));
        }
        for first in ["time < 1001", "interface = rest", "asn = 1", "api = all"] {
            let token = access(&[first, OFFICE]);
            assert_eq!(verdict(&[("x-auth-token", &token)], "::1"), refused(Carrier::Access, OFFICE));
        }
    }

    #[test]
    fn every_carrier_is_looked_at_in_onezones_order() {
        let (free, confined) = (access(&[]), access(&[OFFICE]));
        let bearer = format!("Bearer {confined}");
        let prefixed = format!("opw-{confined}");
        let by_access = refused(Carrier::Access, OFFICE);
        for field in
            [("authorization", bearer.as_str()), ("macaroon", &confined), ("x-auth-token", &prefixed)]
        {
            assert_eq!(verdict(&[field], "::1"), by_access, "{}", field.0);
            assert_eq!(
                verdict(&[("x-auth-token", &free), field], "::1").is_some(),
                field.0 == "x-auth-token"
            );
            assert_eq!(verdict(&[("x-auth-token", ""), field], "::1").is_some(), field.0 != "x-auth-token");
        }
        let identity = token_of(Type::Identity, &[OFFICE]);
        for (name, carrier) in
            [("x-onedata-service-token", Carrier::Service), ("x-onedata-consumer-token", Carrier::Consumer)]
        {
            let fields = [("x-auth-token", confined.as_str()), (name, &identity)];
            assert_eq!(verdict(&fields, "::1"), refused(carrier, OFFICE));
            assert_eq!(verdict(&fields, "192.0.2.1"), None);
            // Without an access token nobody looks at it.
            assert_eq!(verdict(&[(name, &identity)], "::1"), None);
            assert_eq!(verdict(&[("x-auth-token", "eyJ.x.y"), (name, &identity)], "::1"), None);
        }
        // Onezone says that they are of the wrong type.
        assert_eq!(verdict(&[("x-auth-token", &identity)], "::1"), None);
    }

    #[test]
    fn others_pass() {
        for value in ["", "eyJhbGciOi.J9", "MDAx", "Mxyz", "x", "M"] {
            assert_eq!(verdict(&[("x-auth-token", value)], "::1"), None, "{value}");
        }
        assert_eq!(verdict(&[], "::1"), None);
        assert_eq!(verdict(&[("authorization", "Basic dTpw")], "::1"), None);
        assert_eq!(verdict(&[("x-auth-token", &access(&["asn = 1"]))], "::1"), None);
    }

    #[test]
    fn a_token_bent_so_that_only_others_can_read_it_is_refused() {
        let token = access(&[OFFICE]);
        let last = token.len() - 1;
        // Bits behind the last byte, padding in the middle, spaces, capital digits in a packet's length.
        let bent = [
            format!("{}{}", &token[..last], char::from(token.as_bytes()[last] + 1)),
            format!("{token}05x"),
            format!("{} {}", &token[..9], &token[9..]),
            token.replacen("MDAy", "MDAY", 1),
        ];
        for text in bent {
            if parse(text.as_bytes()).is_none() {
                assert_eq!(
                    verdict(&[("x-auth-token", &text)], "192.0.2.1"),
                    refused(Carrier::Access, "unreadable"),
                    "{text}"
                );
            }
        }
        let strange = access(&["ip = 192.0.2.1"]);
        assert_eq!(
            verdict(&[("x-auth-token", &strange)], "192.0.2.1"),
            refused(Carrier::Access, "ip = 192.0.2.1")
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut memory = Memory::default();
        for number in 0..3 * REMEMBERED {
            memory.look_up(Carrier::Access, format!("M{number}").as_bytes());
        }
        assert_eq!(memory.places.len(), REMEMBERED);
        let many: Vec<String> = (0..=MOST_NETWORKS).map(|host| format!("10.0.0.{host}/32")).collect();
        let large = access(&[&format!("ip = {}", many.join("|"))]);
        assert!(matches!(memory.look_up(Carrier::Access, large.as_bytes()), Confinement::Networks(_)));
        let kept = memory.places.iter().flatten();
        assert!(kept.into_iter().all(|(_, confinement)| !matches!(confinement, Confinement::Networks(_))));
    }
}
