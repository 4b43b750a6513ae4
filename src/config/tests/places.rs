//! Where it listens and whom it asks: listeners, servers, and the files that belong to them.

use super::*;

#[test]
fn a_proxy_header_is_wanted_only_of_somebody() {
    let needs = "needs trusted_proxies: a header is believed from them only, all others are turned away";
    let header = "[[listener]]\nproxy_protocol = true";
    check(&[
        (&whole(header, ""), &[&format!("c.toml:2:18: listener[0].proxy_protocol: {needs}")]),
        (
            &whole(&format!("{header}\ntrusted_proxies = []"), ""),
            &[&format!("c.toml:2:18: listener[0].proxy_protocol: {needs}")],
        ),
        (
            &whole(&format!("{header}\ntrusted_proxies = [\"10.0.0.1/8\"]"), ""),
            &[
                "c.toml:3:20: listener[0].trusted_proxies: expected an address or a network such as \"10.0.0.0/8\" or \
               \"2001:db8::/32\", found \"10.0.0.1/8\": the address has bits behind the prefix length, the network is \
               10.0.0.0/8",
            ],
        ),
    ]);
}

#[test]
fn servers_are_origins() {
    let of = |server: &str| mistakes(&format!("[upstream]\nservers = [\"{server}\"]\n{DEPRECATION}"), &[]);
    let message = |found: &str, reason: &str| {
        let expected = "expected an origin such as \"https://onezone.example.org\"";
        vec![format!("c.toml:2:12: upstream.servers: {expected}, found \"{found}\"{reason}")]
    };
    assert_eq!(of("onezone"), message("onezone", ": it has no scheme"));
    assert_eq!(of("onezone:443"), message("onezone:443", ": it has no scheme"));
    assert_eq!(of("ftp://onezone"), message("ftp://onezone", ": its scheme is neither http nor https"));
    assert_eq!(
        of("http://onezone/api"),
        message("http://onezone/api", ": it cannot have a path, a query or a fragment")
    );
    assert_eq!(
        of("http://onezone?a"),
        message("http://onezone?a", ": it cannot have a path, a query or a fragment")
    );
    assert_eq!(
        of("http://me:secret@onezone"),
        message("http://<redacted>@onezone", ": it cannot hold a user or a password")
    );
    for good in ["http://onezone", "https://onezone/", "https://[::1]:8443", "HTTPS://ONEZONE"] {
        assert_eq!(of(good), Vec::<String>::new(), "{good}");
    }
    check(&[
        (
            &format!("[upstream]\nservers = []\n{DEPRECATION}"),
            &[
                "c.toml:2:11: upstream.servers: expected at least one server, an origin such as \"https://onezone.example.org\"",
            ],
        ),
        (
            &format!("[upstream]\nservers = [\"http://a\", \"http://A:80\", \"http://b\"]\n{DEPRECATION}"),
            &["c.toml:2:24: upstream.servers: listed twice: http://a"],
        ),
        (
            &format!("[upstream]\n{DEPRECATION}"),
            &[
                "c.toml:1:1: upstream.servers: missing: a list of strings, each an origin such as \"https://onezone.example.org\"",
            ],
        ),
    ]);
}

#[test]
fn what_is_for_tls_only_is_refused_where_no_server_speaks_it() {
    check(&[(
        &format!("{UPSTREAM}server_name = \"onezone\"\ninsecure_skip_verify = true\n{DEPRECATION}"),
        &[
            "c.toml:3:15: upstream.server_name: is of no use: no server has the scheme https",
            "c.toml:4:24: upstream.insecure_skip_verify: is of no use: no server has the scheme https",
        ],
    )]);
}

#[test]
fn files_are_read_at_once_and_relative_to_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("duskgate.toml");
    std::fs::write(directory.path().join("token"), "  the-token\n").unwrap();
    std::fs::write(directory.path().join("empty"), "\n").unwrap();
    std::fs::write(directory.path().join("two"), "one\ntwo\n").unwrap();
    let load = |token: &str| {
        std::fs::write(&file, format!("{UPSTREAM}service_token_file = {token:?}\n{DEPRECATION}")).unwrap();
        Config::load(&file, [])
    };

    let config = load("token").unwrap();
    assert!(!format!("{config:?}{}", config.print()).contains("the-token"));
    assert_eq!(secrecy::ExposeSecret::expose_secret(&config.upstream.service_token.unwrap()), "the-token");

    for (token, reason) in [
        ("absent", "cannot read "),
        ("empty", "the file is empty: "),
        ("two", "the file holds more than one token: "),
    ] {
        let expected = format!("{}:3:22: upstream.service_token_file: {reason}", file.display());
        let message = load(token).unwrap_err().to_string();
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[test]
fn two_listeners_cannot_share_an_address() {
    check(&[
        (
            &whole("[[listener]]\naddress = \"127.0.0.1:1\"\n[[listener]]\naddress = \"127.0.0.1:1\"", ""),
            &["c.toml:4:11: listener[1].address: 127.0.0.1:1 is already taken by listener[0].address"],
        ),
        (
            &whole("[[listener]]\naddress = \"127.0.0.1:1\"\n[[listener]]\naddress = \"0.0.0.0:1\"", ""),
            &["c.toml:4:11: listener[1].address: 0.0.0.0:1 is already taken by listener[0].address"],
        ),
        (
            &whole("[[listener]]\naddress = \"127.0.0.1:9180\"", ""),
            &["c.toml:2:11: listener[0].address: 127.0.0.1:9180 is already taken by admin.address"],
        ),
        (
            &whole("[admin]\naddress = \"127.0.0.1:9139\"", ""),
            &["c.toml:2:11: admin.address: ports 9100 to 9139 belong to Onezone: 127.0.0.1:9139"],
        ),
        (&whole("[[listener]]\naddress = \"127.0.0.1:0\"\n[[listener]]\naddress = \"127.0.0.1:0\"", ""), &[]),
    ]);
}

#[test]
fn a_port_that_is_none_is_no_origin() {
    for server in ["https://a:99999", "http://a:0", "http://a:", "http://[::1]:65536"] {
        let text =
            format!("upstream.servers = [\"{server}\"]\ndeprecation.deprecated_at = 2020-06-01T00:00:00Z\n");
        let invalid = Config::read(Path::new("d.toml"), &text, []).expect_err(server).to_string();
        assert!(invalid.contains("its port is not a number of 1 to 65535"), "{server}: {invalid}");
    }
}

#[test]
fn what_is_said_of_several_backends_is_read() {
    let text = "[upstream]\nservers = [\"http://a\", \"http://b\"]\nhealth_path = \"/health\"\nhealth_interval = \"100ms\"\n\
                health_timeout = \"1s\"\nhealth_fall = 1\nhealth_rise = 100\neject_after = 1000\neject_most = \"1h\"\n\
                connections_per_server = 7\nresolve_interval = \"24h\"\nsource = \"client\"\n\
                [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n";
    let upstream = Config::read(Path::new("c.toml"), text, []).unwrap().upstream;
    assert_eq!((upstream.health_fall, upstream.health_rise, upstream.eject_after), (1, 100, 1000));
    assert_eq!((upstream.connections_per_server, upstream.from_client), (Some(7), true));
    for (good, bad, said) in [
        ("\"100ms\"", "\"99ms\"", "it can be 100ms to 60m"),
        ("fall = 1\n", "fall = 0\n", "1 to 100"),
        ("eject_most = \"1h\"", "eject_most = \"999ms\"", "it can be 1s to 60m"),
        ("server = 7", "server = 0", "1 to 1000000"),
        ("\"client\"", "\"proxy\"", "expected \"own\" or \"client\", found \"proxy\""),
    ] {
        let invalid = Config::read(Path::new("c.toml"), &text.replace(good, bad), []).unwrap_err();
        let message = &invalid.mistakes[0].message;
        assert!(invalid.mistakes.len() == 1 && message.contains(said), "{bad}: {message}");
    }
    let many: Vec<String> = (0..65).map(|number| format!("http://a{number}")).collect();
    let text = text.replace("[\"http://a\", \"http://b\"]", &format!("{many:?}"));
    let invalid = Config::read(Path::new("c.toml"), &text, []).unwrap_err();
    assert_eq!(invalid.mistakes[0].message, "expected at most 64 servers");
}
