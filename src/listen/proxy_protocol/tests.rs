use proptest::prelude::*;

use super::*;

fn address(text: &str) -> Source {
    Source::Address(text.parse().unwrap())
}

/// A header of version 2.
fn v2(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&BEGIN_V2[..], &[command, family], &length, content].concat()
}

const V4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0xdd, 0xd5, 0x01, 0xbb];

fn v6(source: &str) -> Vec<u8> {
    let source: Ipv6Addr = source.parse().unwrap();
    [&source.octets()[..], &[0; 16], &[0x12, 0x67, 0x01, 0xbb]].concat()
}

/// What the bytes are, and that no beginning of them is anything yet.
#[track_caller]
fn assert_source(bytes: &[u8], source: Source) {
    for end in 0..bytes.len() {
        assert_eq!(parse(&bytes[..end]), Ok(None), "{end} bytes of {bytes:?}");
    }
    assert_eq!(parse(bytes), Ok(Some((bytes.len(), source))), "{bytes:?}");
    let longer = [bytes, b"\r\nGET / HTTP/1.1\r\n"].concat();
    assert_eq!(parse(&longer), Ok(Some((bytes.len(), source))), "with a request behind: {bytes:?}");
}

#[test]
fn version_1_says_the_address() {
    for (line, source) in [
        ("PROXY TCP4 192.0.2.7 10.0.0.1 56789 443\r\n", address("192.0.2.7:56789")),
        ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", address("255.255.255.255:65535")),
        ("PROXY TCP4 192.0.2.7 10.0.0.1 0 0\r\n", address("192.0.2.7:0")),
        ("PROXY TCP6 2001:db8::7 ::1 56789 443\r\n", address("[2001:db8::7]:56789")),
        ("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.0.0.1 56789 443\r\n", address("192.0.2.7:56789")),
        ("PROXY UNKNOWN\r\n", Source::Unknown),
        ("PROXY UNKNOWN whatever this is\r\n", Source::Unknown),
        (
            "PROXY UNKNOWN ffff:f...f:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            Source::Unknown,
        ),
    ] {
        assert_source(line.as_bytes(), source);
    }
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_V1 - 16));
    assert_source(longest.as_bytes(), Source::Unknown);
}

#[test]
fn version_1_is_read_strictly() {
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 56789\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 56789 443 \r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 56789 443 1\r\n",
        "PROXY  TCP4 192.0.2.7 10.0.0.1 56789 443\r\n",
        "PROXY TCP4  192.0.2.7 10.0.0.1 56789 443\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 56789 443\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 56789 443\r\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 56789 443\rX",
        "PROXY TCP4 192.0.2.07 10.0.0.1 56789 443\r\n",
        "PROXY TCP4 192.0.2.256 10.0.0.1 56789 443\r\n",
        "PROXY TCP4 192.0.2 10.0.0.1 56789 443\r\n",
        "PROXY TCP4 ::1 ::1 56789 443\r\n",
        "PROXY TCP4 192.0.2.7 ::1 56789 443\r\n",
        "PROXY TCP6 192.0.2.7 ::1 56789 443\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 56789 443\r\n",
        "PROXY TCP6 [::1] ::1 56789 443\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 +1 443\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 056 443\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 -1 443\r\n",
        "PROXY TCP5 192.0.2.7 10.0.0.1 56789 443\r\n",
        "PROXY tcp4 192.0.2.7 10.0.0.1 56789 443\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \u{e4}\r\n",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(Malformed::Form), "{line:?}");
    }
    for line in ["proxy TCP4", "GET / HTTP/1.1\r\n\r\n", "\r\n\r\nX", "PROXYTCP4", " ", "\x16\x03\x01"] {
        assert_eq!(parse(line.as_bytes()), Err(Malformed::Missing), "{line:?}");
    }
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(LONGEST_V1));
    assert_eq!(parse(endless.as_bytes()), Err(Malformed::TooLong));
    let late = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_V1 - 15));
    assert_eq!(parse(late.as_bytes()), Err(Malformed::TooLong));
}

#[test]
fn version_2_says_the_address() {
    assert_source(&v2(0x21, 0x11, &V4), address("192.0.2.7:56789"));
    assert_source(&v2(0x21, 0x21, &v6("2001:db8::7")), address("[2001:db8::7]:4711"));
    assert_source(&v2(0x21, 0x21, &v6("::ffff:192.0.2.7")), address("192.0.2.7:4711"));
    assert_source(&v2(0x21, 0x31, &[b'/'; 216]), Source::Unknown);
    assert_source(&v2(0x21, 0x00, &[]), Source::Unknown);
    assert_source(&v2(0x21, 0x12, &V4), Source::Unknown);
    // Whatever else it says, it is the proxy's own.
    assert_source(&v2(0x20, 0x00, &[]), Source::Proxy);
    assert_source(&v2(0x20, 0x11, &V4), Source::Proxy);
    assert_source(&v2(0x20, 0x11, &[1, 2, 3]), Source::Proxy);
}

#[test]
fn extensions_are_skipped() {
    let alpn = [1, 0, 2, b'h', b'2'];
    let none = [4, 0, 0];
    assert_source(&v2(0x21, 0x11, &[&V4[..], &alpn, &none].concat()), address("192.0.2.7:56789"));
    assert_source(&v2(0x21, 0x00, &alpn), Source::Unknown);
    let large = [&V4[..], &[0xe0, 0x0f, 0xe1], &vec![0; 0x0fe1]].concat();
    assert_eq!(FIXED_V2 + large.len(), LONGEST);
    assert_source(&v2(0x21, 0x11, &large), address("192.0.2.7:56789"));
    for bad in [&[1][..], &[1, 0], &[1, 0, 3, 0, 0], &[1, 0xff, 0xff], &[3, 0, 3, 1, 2, 3]] {
        let header = v2(0x21, 0x11, &[&V4[..], bad].concat());
        assert_eq!(parse(&header), Err(Malformed::Form), "{bad:?}");
    }
}

#[test]
fn a_checksum_must_be_right() {
    assert_eq!(checksum(b"123456789", 0..0), 0xe306_9283, "the catalogue's check value");
    let mut header = v2(0x21, 0x11, &[&V4[..], &[3, 0, 4, 0, 0, 0, 0], &[4, 0, 1, 7]].concat());
    let at = FIXED_V2 + V4.len() + 3;
    let right = checksum(&header, 0..0).to_be_bytes();
    header[at..at + 4].copy_from_slice(&right);
    assert_source(&header, address("192.0.2.7:56789"));
    for place in [FIXED_V2, at, header.len() - 1] {
        let mut changed = header.clone();
        changed[place] ^= 1;
        assert_eq!(parse(&changed), Err(Malformed::Checksum), "byte {place}");
    }
}

#[test]
fn version_2_is_read_strictly() {
    for (header, what) in [
        (v2(0x22, 0x11, &V4), "an unknown command"),
        (v2(0x11, 0x11, &V4), "another version"),
        (v2(0x21, 0x41, &V4), "an unknown family"),
        (v2(0x21, 0x13, &V4), "an unknown protocol"),
        (v2(0x21, 0x11, &V4[..11]), "an address cut off"),
        (v2(0x21, 0x21, &V4), "an IPv6 address cut off"),
        (v2(0x21, 0x31, &V4), "a path cut off"),
    ] {
        assert_eq!(parse(&header), Err(Malformed::Form), "{what}");
    }
    assert_eq!(parse(&v2(0x21, 0x11, &[0; LONGEST])), Err(Malformed::TooLong));
    assert_eq!(parse(&v2(0x20, 0x00, &[0; LONGEST - FIXED_V2 + 1])), Err(Malformed::TooLong));
}

#[test]
fn each_mistake_has_a_word() {
    let all = [Malformed::Missing, Malformed::Form, Malformed::TooLong, Malformed::Checksum];
    assert_eq!(all.map(Malformed::reason), Malformed::REASONS);
}

proptest! {
    /// What has been decided is not changed by what comes behind, and a decision always comes.
    #[test]
    fn a_verdict_holds(begin in prop::sample::select(vec![&b"PROXY TCP4 "[..], b"PROXY ", BEGIN_V2, b""]),
                       rest in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = [begin, &rest].concat();
        let whole = parse(&bytes);
        for end in 0..bytes.len() {
            match parse(&bytes[..end]) {
                Ok(None) => prop_assert!(end < LONGEST),
                verdict => prop_assert_eq!(verdict, whole),
            }
        }
    }
}
