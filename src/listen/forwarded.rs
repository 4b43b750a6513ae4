//! Who a request really comes from, where a trusted proxy stands in between: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//! Each proxy writes the address that it was called from behind what it was sent, so both are read from the right, and
//! only as far as the next address is one that a trusted proxy vouches for: the first untrusted one is the client, and
//! whatever stands left of it is only what the client says.
//!
//! Proxies write one of the two fields and mostly pass the other on as it came, and nobody can tell which. So where a
//! request has both, what counts is how far they agree.

mod element;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use super::network::Trusted;
use crate::http1;
use element::{Element, Hop};

/// The addresses a request has come from, nearest last.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The scheme that the client used.
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The host that the client asked for.
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What trusted proxies say of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The client, or the farthest proxy that is known of; port 0 where none was said.
    pub client: SocketAddr,
    /// Whether `client` is the client: a trusted proxy may not know or not say who called it, or say two things.
    pub is_known: bool,
    /// Every address from the client to the nearest proxy: at least one.
    pub addresses: Vec<IpAddr>,
    /// Whether the client used TLS.
    pub secure: Option<bool>,
    /// The host that the client asked for.
    pub host: Option<HeaderValue>,
}

/// What the fields of a request from `nearest`, a trusted proxy, say.
pub fn read(headers: &HeaderMap, nearest: SocketAddr, trusted: &Trusted) -> Account {
    let mut account = Account {
        client: nearest,
        is_known: true,
        addresses: vec![nearest.ip()],
        secure: plain_scheme(headers),
        host: plain_host(headers),
    };
    let mut plain = headers.contains_key(X_FORWARDED_FOR).then(|| element::plain(headers));
    let mut standard = headers.contains_key(FORWARDED).then(|| element::standard(headers));
    while trusted.contains(account.client.ip()) {
        let next = match (&mut plain, &mut standard) {
            (None, None) => break,
            (Some(plain), None) => plain.next(),
            (None, Some(standard)) => standard.next(),
            (Some(plain), Some(standard)) => agreed(plain.next(), standard.next()),
        };
        let Some(Element { hop, secure, host }) = next else { break };
        account.secure = account.secure.or(secure);
        account.host = account.host.or(host);
        let Hop::Address(address) = hop else {
            account.is_known = false;
            break;
        };
        account.client = address;
        account.addresses.push(address.ip());
    }
    account.addresses.reverse();
    account
}

/// The same address from both, or nothing that could be believed.
fn agreed(plain: Option<Element>, standard: Option<Element>) -> Option<Element> {
    let ip = |element: &Element| match element.hop {
        Hop::Address(address) => Some(address.ip()),
        Hop::Hidden => None,
    };
    match (plain, standard) {
        (None, None) => None,
        (Some(plain), Some(standard)) if ip(&plain).is_some() && ip(&plain) == ip(&standard) => {
            Some(Element { hop: plain.hop, ..standard })
        }
        _ => Some(Element { hop: Hop::Hidden, secure: None, host: None }),
    }
}

/// `X-Forwarded-Proto`, where it is one scheme.
fn plain_scheme(headers: &HeaderMap) -> Option<bool> {
    element::scheme(only(headers, &X_FORWARDED_PROTO)?.as_bytes())
}

/// `X-Forwarded-Host`, where it is one host.
fn plain_host(headers: &HeaderMap) -> Option<HeaderValue> {
    only(headers, &X_FORWARDED_HOST).filter(|host| http1::is_host(host.as_bytes())).cloned()
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}
