//! One element of `X-Forwarded-For` or `Forwarded`, and the elements of a field from the last to the first.
//!
//! An element is cut out at the commas around it, looked for from the right: whatever the client wrote before, an open
//! quotation mark for one, the elements that proxies have put behind it are read as they were written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use super::X_FORWARDED_FOR;
use crate::http1;

/// What one proxy says of the request that it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    pub hop: Hop,
    pub secure: Option<bool>,
    pub host: Option<HeaderValue>,
}

/// Where that request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// From this address, canonical; port 0 where none is said.
    Address(SocketAddr),
    /// The proxy does not know, does not say, or says what cannot be read.
    Hidden,
}

impl Element {
    const HIDDEN: Element = Element { hop: Hop::Hidden, secure: None, host: None };
}

/// The elements of `X-Forwarded-For`, from the last to the first.
pub fn plain(headers: &HeaderMap) -> impl Iterator<Item = Element> {
    let elements = from_right(headers, X_FORWARDED_FOR, false);
    elements.map(|text| Element { hop: plain_hop(text), ..Element::HIDDEN })
}

/// The elements of `Forwarded`, from the last to the first.
pub fn standard(headers: &HeaderMap) -> impl Iterator<Item = Element> {
    from_right(headers, FORWARDED, true).map(|text| pairs(text).unwrap_or(Element::HIDDEN))
}

/// Whether this scheme is the one of TLS.
pub fn scheme(text: &[u8]) -> Option<bool> {
    if text.eq_ignore_ascii_case(b"https") {
        Some(true)
    } else {
        text.eq_ignore_ascii_case(b"http").then_some(false)
    }
}

/// A field's elements. Empty ones are passed over (RFC 9110 section 5.6.1.2).
fn from_right(headers: &HeaderMap, name: HeaderName, quoted: bool) -> impl Iterator<Item = &[u8]> {
    // A header map gives the lines of one name from the first to the last only.
    let lines: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
    let elements =
        lines.into_iter().rev().flat_map(move |line| FromRight { rest: Some(line.as_bytes()), quoted });
    elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

struct FromRight<'h> {
    rest: Option<&'h [u8]>,
    /// Whether a comma may stand in quotes.
    quoted: bool,
}

impl<'h> Iterator for FromRight<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        let rest = self.rest?;
        let mut is_inside = false;
        for (at, byte) in rest.iter().enumerate().rev() {
            match byte {
                b'"' if self.quoted => is_inside = !is_inside,
                b',' if !is_inside => {
                    self.rest = Some(&rest[..at]);
                    return Some(&rest[at + 1..]);
                }
                _ => {}
            }
        }
        self.rest = None;
        Some(rest)
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn plain_hop(text: &[u8]) -> Hop {
    let Ok(text) = std::str::from_utf8(text) else { return Hop::Hidden };
    match text.parse::<Ipv6Addr>() {
        Ok(address) => shown(address.into(), 0),
        Err(_) => node(text).unwrap_or(Hop::Hidden),
    }
}

/// One element of `Forwarded`: pairs with semicolons between them, none twice.
fn pairs(element: &[u8]) -> Option<Element> {
    let element = std::str::from_utf8(element).ok()?;
    let (mut hop, mut secure, mut host) = (None, None, None);
    let mut seen: Vec<&str> = Vec::new();
    for pair in outside_quotes(element) {
        let pair = pair.trim_matches([' ', '\t']);
        if pair.is_empty() {
            continue;
        }
        let (name, value) = pair.split_once('=')?;
        let value = value_of(value)?;
        if !is_token(name) || seen.iter().any(|seen| seen.eq_ignore_ascii_case(name)) {
            return None;
        }
        seen.push(name);
        match name {
            _ if name.eq_ignore_ascii_case("for") => hop = node(value),
            _ if name.eq_ignore_ascii_case("proto") => secure = scheme(value.as_bytes()),
            _ if name.eq_ignore_ascii_case("host") => {
                host = HeaderValue::from_str(value).ok().filter(|host| http1::is_host(host.as_bytes()));
            }
            _ => {}
        }
    }
    Some(Element { hop: hop.unwrap_or(Hop::Hidden), secure, host })
}

/// The parts between semicolons that stand in no quotes.
fn outside_quotes(text: &str) -> impl Iterator<Item = &str> {
    let mut is_inside = false;
    text.split(move |character| {
        is_inside ^= character == '"';
        character == ';' && !is_inside
    })
}

/// A token, or what stands between quotation marks. Nothing that is read here needs an escape, so there is none.
fn value_of(text: &str) -> Option<&str> {
    match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').filter(|inner| !inner.contains(['"', '\\'])),
        None => is_token(text).then_some(text),
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A node (RFC 7239 section 6): an IPv4 address, or an IPv6 address in brackets, each with or without a port. `unknown`
/// and obfuscated names (`_gazonk`) are none that could be read.
fn node(text: &str) -> Option<Hop> {
    let (address, port): (IpAddr, _) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (address.parse::<Ipv6Addr>().ok()?.into(), port)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            (text[..end].parse::<Ipv4Addr>().ok()?.into(), &text[end..])
        }
    };
    Some(match port.strip_prefix(':') {
        None if port.is_empty() => shown(address, 0),
        // The address counts also where its port is hidden.
        Some(port) if port.starts_with('_') && is_obfuscated(port) => shown(address, 0),
        Some(port) if port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            shown(address, port.parse().ok()?)
        }
        _ => return None,
    })
}

fn is_obfuscated(text: &str) -> bool {
    text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn shown(address: IpAddr, port: u16) -> Hop {
    Hop::Address(SocketAddr::new(address.to_canonical(), port))
}
