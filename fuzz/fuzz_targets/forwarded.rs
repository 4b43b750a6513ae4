//! Who stands behind trusted proxies is never an address that only an untrusted hop has vouched for: every hop between the
//! client and us is trusted, and what a client writes in front of its proxy's own element changes nothing.

#![no_main]

use std::net::SocketAddr;

use duskgate::listen::forwarded::{self, Account};
use duskgate::listen::network::Trusted;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    // Nothing else can stand in a field.
    if lines.iter().any(|line| HeaderValue::from_bytes(line).is_err()) {
        return;
    }
    let [plain, standard] = [0, 1].map(|parity| {
        let own = lines.iter().enumerate().filter(move |(at, _)| at % 2 == parity);
        own.map(|(_, line)| *line).collect::<Vec<_>>()
    });
    let both = read(&[("x-forwarded-for", &plain), ("forwarded", &standard)]);
    let alone = [read(&[("x-forwarded-for", &plain)]), read(&[("forwarded", &standard)])];
    for account in [&both].into_iter().chain(&alone) {
        assert_eq!(account.addresses.first(), Some(&account.client.ip()));
        assert!(account.addresses[1..].iter().all(|hop| trusted().contains(*hop)), "an untrusted hop vouches");
        assert_eq!(account.client.ip(), account.client.ip().to_canonical());
    }
    // Of two fields either may be the client's own: what is believed is what both say.
    for one in alone.iter().filter(|_| !standard.is_empty()) {
        assert!(one.addresses.ends_with(&both.addresses), "one field alone has said it");
    }
    for (name, own) in [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-for", "[2001:db8::7]:1"),
        ("forwarded", "for=192.0.2.7;proto=https"),
        ("forwarded", "proto=http;host=\"a,;b\";for=\"[2001:db8::7]:1\""),
    ] {
        let clean = read(&[(name, &[own.as_bytes()])]);
        let line = [plain.concat(), b", ".to_vec(), own.as_bytes().to_vec()].concat();
        assert_eq!(read(&[(name, &[&line])]), clean, "a client forges");
        let lines: Vec<&[u8]> = plain.iter().copied().chain([own.as_bytes()]).collect();
        assert_eq!(read(&[(name, &lines)]), clean, "a client forges");
    }
});

fn read(fields: &[(&'static str, &[&[u8]])]) -> Account {
    let mut headers = HeaderMap::new();
    for (name, lines) in fields {
        for value in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    forwarded::read(&headers, SocketAddr::from(([10, 0, 0, 1], 4711)), &trusted())
}

fn trusted() -> Trusted {
    Trusted::new(["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network")).to_vec())
}
