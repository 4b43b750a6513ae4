//! A PROXY header is told from its own bytes: whatever stands behind it, and in whatever pieces it arrives, the verdict is
//! the same; it comes within the longest header; and an address in it is canonical and, in version 1, the one written.

#![no_main]

use std::net::SocketAddr;

use duskgate::listen::proxy_protocol::{LONGEST, Source, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check(data);
    check(&[b"PROXY ", data].concat());
    check(&[b"PROXY TCP6 ", data].concat());
    check(&[&b"\r\n\r\n\0\r\nQUIT\n"[..], data].concat());
});

fn check(bytes: &[u8]) {
    let whole = parse(bytes);
    for end in 0..bytes.len().min(LONGEST + 1) {
        let begun = parse(&bytes[..end]);
        assert!(begun == Ok(None) || begun == whole, "a verdict is changed by what comes behind");
    }
    match whole {
        Ok(Some((length, source))) => {
            assert!(length <= bytes.len() && length <= LONGEST);
            assert_eq!(parse(&bytes[..length]), whole, "the header is its own bytes");
            if let Source::Address(address) = source {
                assert_eq!(address.ip(), address.ip().to_canonical());
                if bytes.starts_with(b"PROXY") {
                    assert_eq!(address, written(&bytes[..length]));
                }
            }
        }
        Ok(None) => assert!(bytes.len() < LONGEST, "a verdict comes in time"),
        Err(_) => {}
    }
}

/// The source in a line of version 1.
fn written(line: &[u8]) -> SocketAddr {
    let words: Vec<&str> = std::str::from_utf8(line).expect("a line").trim_end().split(' ').collect();
    let address: std::net::IpAddr = words[2].parse().expect("an address");
    SocketAddr::new(address.to_canonical(), words[4].parse().expect("a port"))
}
