//! What is kept of a client's software and of its address: enough to find it, and no more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::OTHER;

/// The longest name of a product. One that is longer may be anything, a secret too.
const LONGEST_PRODUCT: usize = 40;
/// How much of a version is kept.
const LONGEST_VERSION: usize = 20;

/// The first product of a `User-Agent` (RFC 9110 section 10.1.5), with its version if it has one: `curl/8.5.0`.
pub(super) fn software(user_agent: &[u8]) -> String {
    let first = user_agent.split(|byte| byte.is_ascii_whitespace()).find(|word| !word.is_empty());
    let Some(first) = first.and_then(|word| std::str::from_utf8(word).ok()) else { return OTHER.to_owned() };
    let (product, version) = match first.split_once('/') {
        Some((product, version)) => (product, Some(version)),
        None => (first, None),
    };
    let is_of_name =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | '+');
    if product.is_empty() || product.len() > LONGEST_PRODUCT || !product.chars().all(is_of_name) {
        return OTHER.to_owned();
    }
    let version: String = version
        .unwrap_or_default()
        .chars()
        .take_while(|character| is_of_name(*character))
        .take(LONGEST_VERSION)
        .collect();
    if version.is_empty() { product.to_owned() } else { format!("{product}/{version}") }
}

/// The network around an address: the /24 of an IPv4 one, the /48 of an IPv6 one.
pub(super) fn network(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "unknown".to_owned(),
        Some(IpAddr::V4(address)) => format!("{}/24", Ipv4Addr::from_bits(address.to_bits() & (!0 << 8))),
        Some(IpAddr::V6(address)) => format!("{}/48", Ipv6Addr::from_bits(address.to_bits() & (!0 << 80))),
    }
}
