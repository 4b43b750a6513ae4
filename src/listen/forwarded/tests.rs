use proptest::prelude::*;

use super::*;

const NEAREST: &str = "10.0.0.1:4711";

fn trusted() -> Trusted {
    let networks = ["10.0.0.0/8", "fd00::/8"];
    Trusted::new(networks.iter().map(|network| network.parse().unwrap()).collect())
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn account(lines: &[(&str, &str)]) -> Account {
    read(&headers(lines), NEAREST.parse().unwrap(), &trusted())
}

/// The client and whether it is known; then what goes to the backend.
#[track_caller]
fn assert_client(lines: &[(&str, &str)], client: &str, is_known: bool, addresses: &[&str]) {
    let account = account(lines);
    assert_eq!((account.client, account.is_known), (client.parse().unwrap(), is_known), "{lines:?}");
    let shown: Vec<String> = account.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(shown, addresses, "{lines:?}");
}

#[test]
fn the_client_is_the_first_untrusted_address_from_the_right() {
    for (value, client, addresses) in [
        ("192.0.2.7", "192.0.2.7:0", vec!["192.0.2.7", "10.0.0.1"]),
        ("6.6.6.6, 192.0.2.7", "192.0.2.7:0", vec!["192.0.2.7", "10.0.0.1"]),
        ("192.0.2.7, 10.0.0.3", "192.0.2.7:0", vec!["192.0.2.7", "10.0.0.3", "10.0.0.1"]),
        ("6.6.6.6,192.0.2.7,,fd00::5 ,", "192.0.2.7:0", vec!["192.0.2.7", "fd00::5", "10.0.0.1"]),
        ("garbage, 192.0.2.7", "192.0.2.7:0", vec!["192.0.2.7", "10.0.0.1"]),
        ("192.0.2.7:80", "192.0.2.7:80", vec!["192.0.2.7", "10.0.0.1"]),
        ("2001:db8::7", "[2001:db8::7]:0", vec!["2001:db8::7", "10.0.0.1"]),
        ("[2001:db8::7]", "[2001:db8::7]:0", vec!["2001:db8::7", "10.0.0.1"]),
        ("[2001:db8::7]:443", "[2001:db8::7]:443", vec!["2001:db8::7", "10.0.0.1"]),
        ("::ffff:192.0.2.7", "192.0.2.7:0", vec!["192.0.2.7", "10.0.0.1"]),
        ("192.0.2.7, ::ffff:10.9.9.9", "192.0.2.7:0", vec!["192.0.2.7", "10.9.9.9", "10.0.0.1"]),
        // All are trusted: the farthest.
        ("10.0.0.3, 10.0.0.2", "10.0.0.3:0", vec!["10.0.0.3", "10.0.0.2", "10.0.0.1"]),
        // The proxy on its own behalf.
        ("", "10.0.0.1:4711", vec!["10.0.0.1"]),
    ] {
        assert_client(&[("x-forwarded-for", value)], client, true, &addresses);
    }
}

#[test]
fn several_lines_are_one_list() {
    let lines = [("x-forwarded-for", "6.6.6.6, 192.0.2.7"), ("x-forwarded-for", "10.0.0.3")];
    assert_client(&lines, "192.0.2.7:0", true, &["192.0.2.7", "10.0.0.3", "10.0.0.1"]);
    let lines = [("forwarded", "for=192.0.2.7"), ("forwarded", "for=10.0.0.3, for=10.0.0.2")];
    assert_client(&lines, "192.0.2.7:0", true, &["192.0.2.7", "10.0.0.3", "10.0.0.2", "10.0.0.1"]);
}

#[test]
fn what_cannot_be_read_ends_at_the_last_good_address() {
    for value in [
        "192.0.2.7, unknown",
        "192.0.2.7, _hidden",
        "192.0.2.7, 10.0.0.999",
        "192.0.2.7, 010.0.0.3",
        "192.0.2.7, [10.0.0.3]",
        "192.0.2.7, fe80::1%eth0",
        "192.0.2.7, 10.0.0.3:",
        "192.0.2.7, 10.0.0.3:123456",
        "192.0.2.7, 10.0.0.3:+1",
        "192.0.2.7, [::1]1",
        "192.0.2.7, \"10.0.0.3\"",
        "192.0.2.7 10.0.0.3",
        "-",
    ] {
        assert_client(&[("x-forwarded-for", value)], NEAREST, false, &["10.0.0.1"]);
    }
    assert_client(&[("x-forwarded-for", "x, 10.0.0.3")], "10.0.0.3:0", false, &["10.0.0.3", "10.0.0.1"]);
}

#[test]
fn forwarded_is_read_as_its_rfc_says() {
    for (value, client) in [
        ("for=192.0.2.7", "192.0.2.7:0"),
        ("For=192.0.2.7;Proto=http;by=203.0.113.43", "192.0.2.7:0"),
        ("for=\"192.0.2.7:8080\"", "192.0.2.7:8080"),
        ("for=\"[2001:db8:cafe::17]:4711\"", "[2001:db8:cafe::17]:4711"),
        ("for=\"[2001:db8:cafe::17]\"", "[2001:db8:cafe::17]:0"),
        ("for=\"192.0.2.7:_port\"", "192.0.2.7:0"),
        ("by=_a; host=\"a, b\" ;for=192.0.2.7;;", "192.0.2.7:0"),
        ("for=6.6.6.6, for=192.0.2.7, for=10.0.0.3", "192.0.2.7:0"),
        ("for=192.0.2.7;x=\"a;b,c=d\"", "192.0.2.7:0"),
        // However the client leaves its quotation marks.
        ("for=\"6.6.6.6, for=192.0.2.7", "192.0.2.7:0"),
        ("for=\", for=\"[2001:db8::7]\"", "[2001:db8::7]:0"),
        ("\"\\\", for=\"192.0.2.7:1\"", "192.0.2.7:1"),
    ] {
        let account = account(&[("forwarded", value)]);
        assert_eq!((account.client, account.is_known), (client.parse().unwrap(), true), "{value}");
    }
    for value in [
        "for=unknown",
        "for=_gazonk",
        "for=\"_gazonk:80\"",
        "proto=https",
        "for=2001:db8::7",
        "for=[2001:db8::7]",
        "for=192.0.2.7:80",
        "for=\"192.0.2.7\\:80\"",
        "for=\"2001:db8::7\"",
        "for=192.0.2.7;for=192.0.2.7",
        "for =192.0.2.7",
        "for= 192.0.2.7",
        "for=\"192.0.2.7",
        "for=192.0.2.7\"",
        "192.0.2.7",
        "=192.0.2.7",
    ] {
        assert_client(&[("forwarded", value)], NEAREST, false, &["10.0.0.1"]);
    }
}

#[test]
fn two_fields_count_as_far_as_they_agree() {
    let both = |plain, standard| [("x-forwarded-for", plain), ("forwarded", standard)];
    let agree = both("6.6.6.6, 192.0.2.7, 10.0.0.3", "for=\"192.0.2.7:1\", for=10.0.0.3");
    assert_client(&agree, "192.0.2.7:0", true, &["192.0.2.7", "10.0.0.3", "10.0.0.1"]);
    assert_client(
        &both("192.0.2.7, 10.0.0.3", "for=6.6.6.6, for=10.0.0.3"),
        "10.0.0.3:0",
        false,
        &["10.0.0.3", "10.0.0.1"],
    );
    for (plain, standard) in [
        ("192.0.2.7", "for=6.6.6.6"),
        ("6.6.6.6", "for=192.0.2.7"),
        ("192.0.2.7", ""),
        ("", "for=192.0.2.7"),
        ("192.0.2.7", "for=unknown"),
        ("unknown", "for=unknown"),
    ] {
        assert_client(&both(plain, standard), NEAREST, false, &["10.0.0.1"]);
    }
}

#[test]
fn scheme_and_host_are_those_that_the_client_used() {
    let of = |lines: &[(&str, &str)]| {
        let Account { secure, host, .. } = account(lines);
        (secure, host.map(|host| host.to_str().unwrap().to_owned()))
    };
    let host = |host: &str| Some(host.to_owned());
    assert_eq!(
        of(&[("x-forwarded-proto", "HTTPS"), ("x-forwarded-host", "a.example:8443")]),
        (Some(true), host("a.example:8443"))
    );
    assert_eq!(of(&[("x-forwarded-proto", "https, http"), ("x-forwarded-host", "a, b")]), (None, None));
    assert_eq!(of(&[("x-forwarded-proto", "http"), ("x-forwarded-proto", "https")]), (None, None));
    let standard = "for=6.6.6.6;proto=http;host=evil, for=192.0.2.7;proto=https;host=\"a.example:1\"";
    assert_eq!(of(&[("forwarded", standard)]), (Some(true), host("a.example:1")));
    assert_eq!(of(&[("forwarded", "for=unknown;proto=https")]), (Some(true), None));
}

proptest! {
    /// The client is one of the addresses that stand in the fields or the nearest peer, and every address behind it is
    /// one that is trusted. Never panics.
    #[test]
    fn only_trusted_proxies_are_believed(plain in "[ -~]{0,40}", standard in "[ -~]{0,60}") {
        let account = account(&[("x-forwarded-for", &plain), ("forwarded", &standard)]);
        prop_assert!(account.addresses[1..].iter().all(|address| trusted().contains(*address)));
        prop_assert_eq!(account.addresses[0], account.client.ip());
    }

    /// Whatever a client writes, in front of what the proxy that it called has written of it, changes nothing.
    #[test]
    fn nothing_that_a_client_writes_counts(begin in "[ -~]{0,60}", quoted: bool) {
        let own = if quoted { "for=\"[2001:db8::7]:9\"" } else { "for=192.0.2.7" };
        let alone = account(&[("forwarded", own)]);
        let line = format!("{begin}, {own}");
        prop_assert_eq!(&account(&[("forwarded", &line)]), &alone);
        prop_assert_eq!(&account(&[("forwarded", &begin), ("forwarded", own)]), &alone);
        let own = if quoted { "[2001:db8::7]:9" } else { "192.0.2.7" };
        let alone = account(&[("x-forwarded-for", own)]);
        let line = format!("{begin}, {own}");
        prop_assert_eq!(&account(&[("x-forwarded-for", &line)]), &alone);
    }
}
