//! What a proxy takes from a message's fields and adds to them (RFC 9110 section 7.6): hop-by-hop fields go, our name
//! and the client's address come.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{
    CONNECTION, FORWARDED, HOST, HeaderName, MAX_FORWARDS, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};

use super::sketch::Sketch;
use crate::listen::Peer;
use crate::listen::forwarded::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO};

/// The largest field value that Onezone takes, in bytes (contract, section 1).
const LONGEST_VALUE: usize = 4096;
/// The most fields that Onezone takes.
const MOST_FIELDS: usize = 100;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// Of one connection even where `Connection` does not name it (RFC 7540 section 3.2.1).
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
/// Fields in which only a trusted proxy may say who a request is from.
const SAID_BY_PROXIES: [HeaderName; 2] =
    [HeaderName::from_static("x-real-ip"), HeaderName::from_static("x-forwarded-port")];

/// The request has passed through us before: `Via` names us (answered 508).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request has passed through this proxy before")]
pub struct Loop;

/// Makes a client's request fit to be forwarded: strips the hop-by-hop fields and those that `Connection` names, then
/// adds `X-Forwarded-*` and `Via`. An upgrade to a WebSocket is kept; `listen` lets no other pass.
///
/// # Errors
///
/// [`Loop`]: our own name is in `Via`.
pub fn request(headers: &mut HeaderMap, version: Version, peer: &Peer, via: &str) -> Result<(), Loop> {
    let sketch = Sketch::of(headers);
    if sketch.may_have(&VIA) && has_passed(headers, via) {
        return Err(Loop);
    }
    let is_1_1 = version == Version::HTTP_11;
    let upgrade = if is_1_1 && sketch.may_have(&UPGRADE) { headers.remove(UPGRADE) } else { None };
    let takes_trailers = sketch.may_have(&TE) && names(headers, TE, b"trailers");
    strip(headers, sketch);
    sketch.remove(headers, &PROXY_AUTHORIZATION);
    if let Some(upgrade) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, upgrade);
    } else if takes_trailers {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    introduce(headers, sketch, peer);
    let received = match version {
        Version::HTTP_10 => "1.0 ",
        Version::HTTP_2 => "2.0 ",
        _ => "1.1 ",
    };
    append(headers, sketch, VIA, [received, via].concat());
    Ok(())
}

/// Says who the request is from, and nothing of what only the client says: `X-Forwarded-For` begins with the client's
/// address, behind it stand the trusted proxies that it came through. What `Forwarded` said stands there too.
fn introduce(headers: &mut HeaderMap, sketch: Sketch, peer: &Peer) {
    let account = peer.account.as_deref();
    if account.is_none() {
        for name in &SAID_BY_PROXIES {
            sketch.remove(headers, name);
        }
    }
    sketch.remove(headers, &FORWARDED);
    let addresses = match account {
        None => text_of(peer.address.ip()),
        Some(account) => {
            let addresses: Vec<String> = account.addresses.iter().map(ToString::to_string).collect();
            shortened(addresses.join(", ").as_bytes()).to_vec()
        }
    };
    match HeaderValue::from_maybe_shared(Bytes::from(addresses)) {
        Ok(addresses) => set(headers, X_FORWARDED_FOR, addresses),
        Err(_) => drop(headers.remove(X_FORWARDED_FOR)),
    }
    let is_secure = account.and_then(|account| account.secure).unwrap_or(peer.secure);
    let scheme = HeaderValue::from_static(if is_secure { "https" } else { "http" });
    set(headers, X_FORWARDED_PROTO, scheme);
    match account.and_then(|account| account.host.clone()).or_else(|| headers.get(HOST).cloned()) {
        Some(host) => set(headers, X_FORWARDED_HOST, host),
        None => drop(headers.remove(X_FORWARDED_HOST)),
    }
}

/// An address as text; IPv4 without the detour over the formatting machinery, as every request has one.
fn text_of(address: IpAddr) -> Vec<u8> {
    let IpAddr::V4(address) = address else { return address.to_string().into_bytes() };
    let mut text = Vec::with_capacity("255.255.255.255".len());
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            text.push(b'.');
        }
        text.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
    }
    text
}

/// Makes a response fit to be forwarded.
pub fn response(headers: &mut HeaderMap) {
    let sketch = Sketch::of(headers);
    strip(headers, sketch);
    for name in [&UPGRADE, &PROXY_AUTHENTICATE] {
        sketch.remove(headers, name);
    }
}

/// What `Max-Forwards` says to an OPTIONS or TRACE (RFC 9110 section 7.6.2): true where the request ends here. Else
/// the number is one less for whoever is next.
pub fn ends_here(method: &Method, headers: &mut HeaderMap) -> bool {
    if !matches!(*method, Method::OPTIONS | Method::TRACE) {
        return false;
    }
    let Some(value) = headers.get(MAX_FORWARDS) else { return false };
    match value.to_str().ok().and_then(|text| text.parse::<u32>().ok()) {
        Some(0) => true,
        Some(forwards) => {
            headers.insert(MAX_FORWARDS, HeaderValue::from(forwards - 1));
            false
        }
        None => false,
    }
}

/// The host that a request is for: `Host`, or that of an absolute target (RFC 9112 section 3.2.2: the target's wins).
pub fn set_host(headers: &mut HeaderMap, uri: &Uri, otherwise: impl FnOnce() -> String) {
    let host = match uri.authority() {
        Some(authority) => authority.to_string(),
        None if headers.contains_key(HOST) => return,
        None => otherwise(),
    };
    if let Ok(host) = HeaderValue::from_str(&host) {
        headers.insert(HOST, host);
    }
}

fn has_passed(headers: &HeaderMap, via: &str) -> bool {
    headers.get_all(VIA).iter().any(|value| {
        value.as_bytes().split(|&byte| byte == b',').any(|hop| {
            let mut words = hop.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
            words.nth(1).is_some_and(|name| name.eq_ignore_ascii_case(via.as_bytes()))
        })
    })
}

/// `Trailer` stays: it announces what is forwarded, and is end-to-end since RFC 9110 section 6.6.2.
fn strip(headers: &mut HeaderMap, sketch: Sketch) {
    if sketch.may_have(&CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [&KEEP_ALIVE, &PROXY_CONNECTION, &HTTP2_SETTINGS, &TE, &TRANSFER_ENCODING] {
        sketch.remove(headers, name);
    }
}

fn names(headers: &HeaderMap, field: HeaderName, word: &[u8]) -> bool {
    let mut values = headers.get_all(field).into_iter();
    values.any(|value| {
        value.as_bytes().split(|&byte| byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(word))
    })
}

/// Sets a field, where the backend would still take so many.
fn set(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    if headers.len() >= MOST_FIELDS || value.len() > LONGEST_VALUE {
        headers.remove(&name);
    }
    if headers.len() < MOST_FIELDS && value.len() <= LONGEST_VALUE {
        headers.insert(name, value);
    }
}

/// Appends an item to a list that may stand on several lines; a list that gets too long loses its oldest items.
fn append(headers: &mut HeaderMap, sketch: Sketch, name: HeaderName, item: String) {
    let mut list = Vec::new();
    if sketch.may_have(&name) {
        for value in headers.get_all(&name) {
            list.extend_from_slice(value.as_bytes());
            list.extend_from_slice(b", ");
        }
    }
    let list = if list.is_empty() {
        item.into_bytes()
    } else {
        list.extend_from_slice(item.as_bytes());
        shortened(&list).to_vec()
    };
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(list)) {
        set(headers, name, value);
    }
}

/// A list without the oldest items that make it too long.
fn shortened(mut list: &[u8]) -> &[u8] {
    while list.len() > LONGEST_VALUE {
        match list.iter().position(|&byte| byte == b',') {
            Some(comma) => list = list[comma + 1..].trim_ascii_start(),
            None => return &[],
        }
    }
    list
}
