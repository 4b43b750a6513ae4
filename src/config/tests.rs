mod operations;
mod places;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::operation::Mode;

const UPSTREAM: &str = "[upstream]\nservers = [\"http://onezone:8080\"]\n";
const DEPRECATION: &str = "[deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n";

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, Invalid> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(Path::new("c.toml"), text, variables)
}

/// A configuration that is whole but for what is put before and behind it.
fn whole(before: &str, behind: &str) -> String {
    format!("{before}\n{UPSTREAM}{DEPRECATION}{behind}")
}

fn mistakes(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    match read(text, variables) {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.to_string().lines().map(str::to_owned).collect(),
    }
}

/// Each case: what to read, and every line of what is said of it.
fn check(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        assert_eq!(mistakes(text, &[]), *expected, "of the configuration:\n{text}");
    }
}

#[test]
fn a_backend_and_a_date_are_enough() {
    let config = read(&whole("", ""), &[]).unwrap();
    assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin.address.to_string(), "127.0.0.1:9180");
    assert_eq!(config.threads, None);
    assert_eq!(config.drain, Duration::from_secs(30));
    assert_eq!(config.upstream.max_requests, 29);
    assert_eq!(config.upstream.via, "duskgate");
    assert_eq!(config.upstream.servers[0].to_string(), "http://onezone:8080");
}

#[test]
fn unknown_keys_are_named_with_their_place_and_the_nearest_known_key() {
    check(&[
        (
            &whole("[admin]\nadress = \"127.0.0.1:1\"", ""),
            &["c.toml:2:1: admin.adress: unknown key, the nearest is \"address\""],
        ),
        (
            &whole("[[listener]]\nadres = 1", ""),
            &["c.toml:2:1: listener[0].adres: unknown key, the nearest is \"address\""],
        ),
        (
            &whole("threads = 1", ""),
            &["c.toml:1:1: threads: unknown key, the nearest is \"threads\" in [runtime]"],
        ),
        (&whole("[upstreams]", ""), &["c.toml:1:2: upstreams: unknown key, the nearest is \"upstream\""]),
        (
            &whole("", "successor = []"),
            &[
                "c.toml:6:1: deprecation.successor: unknown key, the nearest is \"successor\" in [[operation]]",
            ],
        ),
        (
            &whole("[log]\n\"fo rmat\" = \"x\"", ""),
            &["c.toml:2:1: log.fo rmat: unknown key, the nearest is \"format\""],
        ),
    ]);
}

#[test]
fn a_feature_that_does_not_exist_yet_is_refused_by_name() {
    for (before, behind, key) in [
        ("[[brownout]]", "", "1:3: brownout:"),
        ("[[exemption]]", "", "1:3: exemption:"),
        ("", "warning = true", "6:1: deprecation.warning:"),
        ("", "mode = \"rehearse\"", "6:8: deprecation.mode: \"rehearse\""),
        (
            "",
            "[[operation]]\nid = \"create_user_group_invite_token\"\nfallback = [\"rehearse\"]",
            "8:13: operation[0].fallback: \"rehearse\"",
        ),
    ] {
        let text = match before.strip_prefix("upstream.") {
            // A table cannot be both dotted and written with a header.
            Some(_) => format!("{before}\nupstream.servers = [\"http://a\"]\n{DEPRECATION}"),
            None => whole(before, behind),
        };
        assert_eq!(
            mistakes(&text, &[]),
            [format!("c.toml:{key} is not available yet in this version")],
            "{text}"
        );
    }
}

#[test]
fn values_of_the_wrong_type_say_what_is_expected() {
    check(&[
        (
            &whole("[runtime]\nthreads = \"2\"", ""),
            &["c.toml:2:11: runtime.threads: expected a whole number of 1 to 1024, found \"2\""],
        ),
        (
            &whole("[runtime]\nthreads = 0", ""),
            &["c.toml:2:11: runtime.threads: expected a whole number of 1 to 1024, found the integer 0"],
        ),
        (
            &whole("[runtime]\nthreads = 1.5", ""),
            &["c.toml:2:11: runtime.threads: expected a whole number of 1 to 1024, found the number 1.5"],
        ),
        (
            &whole("[limits]\ndrain = 30", ""),
            &[
                "c.toml:2:9: limits.drain: expected a duration such as \"30s\" (units: ms, s, m, h, d), found the integer 30",
            ],
        ),
        (
            &whole("[limits]\ndrain = \"30\"", ""),
            &[
                "c.toml:2:9: limits.drain: expected a duration such as \"30s\" (units: ms, s, m, h, d), found \"30\"",
            ],
        ),
        (
            &whole("[limits]\nclient_idle = \"0s\"", ""),
            &[
                "c.toml:2:15: limits.client_idle: expected a duration such as \"30s\" (units: ms, s, m, h, d), found \"0s\": it can be 1ms to 24h",
            ],
        ),
        (
            &whole("[limits]\nhead_bytes = \"64KB\"", ""),
            &[
                "c.toml:2:14: limits.head_bytes: expected a size such as \"64KiB\" (units: B, KiB, MiB, GiB), found \"64KB\"",
            ],
        ),
        (
            &whole("[limits]\nhead_bytes = \"2MiB\"", ""),
            &[
                "c.toml:2:14: limits.head_bytes: expected a size such as \"64KiB\" (units: B, KiB, MiB, GiB), found \"2MiB\": it can be 1KiB to 1MiB",
            ],
        ),
        (
            &whole("[log]\nformat = \"xml\"", ""),
            &["c.toml:2:10: log.format: expected \"text\" or \"json\", found \"xml\""],
        ),
        (
            &whole("[log]\naccess = true", ""),
            &["c.toml:2:10: log.access: expected \"deprecated\", \"all\" or \"off\", found the boolean true"],
        ),
        (
            &whole("[[listener]]\naddress = \"localhost:80\"", ""),
            &[
                "c.toml:2:11: listener[0].address: expected an address and a port such as \"127.0.0.1:8080\" or \"[::]:8080\", found \"localhost:80\"",
            ],
        ),
        (&whole("log = \"json\"", ""), &["c.toml:1:7: log: expected a table, written [log], found \"json\""]),
        (
            &whole("[listener]", ""),
            &["c.toml:1:1: listener: expected a list of tables, written [[listener]], found a table"],
        ),
        (
            &whole("operation = [1]", ""),
            &[
                "c.toml:1:14: operation[0]: expected a list of tables, written [[operation]], found the integer 1",
            ],
        ),
        (&whole("listener = []", ""), &["c.toml:1:12: listener: expected at least one listener"]),
        (
            &whole("", "sunset_at = \"2027-03-31T00:00:00Z\""),
            &[
                "c.toml:6:13: deprecation.sunset_at: expected a date-time such as 2027-03-31T00:00:00Z, without quotes, found \"2027-03-31T00:00:00Z\"",
            ],
        ),
        (
            &whole("", "sunset_at = 2027-03-31"),
            &[
                "c.toml:6:13: deprecation.sunset_at: expected a date-time with an offset, such as 2027-03-31T00:00:00Z, found the date-time 2027-03-31",
            ],
        ),
    ]);
}

#[test]
fn every_mistake_is_said_at_once_in_the_order_of_the_file() {
    let text = "[deprecation]\nmood = 1\nsunset_at = 3\n[log]\nformat = 1\n[upstream]\nservers = [1]\n";
    check(&[(
        text,
        &[
            "c.toml:1:1: deprecation.deprecated_at: missing: a date-time such as 2020-06-01T00:00:00Z",
            "c.toml:2:1: deprecation.mood: unknown key, the nearest is \"mode\"",
            "c.toml:3:13: deprecation.sunset_at: expected a date-time such as 2027-03-31T00:00:00Z, without quotes, found the integer 3",
            "c.toml:5:10: log.format: expected \"text\" or \"json\", found the integer 1",
            "c.toml:7:12: upstream.servers: expected an origin such as \"https://onezone.example.org\", found the integer 1",
        ],
    )]);
}

#[test]
fn mistakes_in_the_syntax_are_all_said_and_do_not_hide_others() {
    let text = "[log\n[deprecation]\nmode = \nmood = 1\nmode = \"observe\"\n";
    check(&[(
        text,
        &[
            "c.toml:1:5: unclosed table, expected `]`",
            "c.toml:3:8: string values must be quoted, expected literal string",
            "c.toml:4:1: deprecation.mood: unknown key, the nearest is \"mode\"",
            "c.toml:5:1: duplicate key",
        ],
    )]);
}

#[test]
fn columns_count_characters() {
    let text = format!("{UPSTREAM}health_path = \"/\" # é\nvia = [\"é\", 1]\n{DEPRECATION}");
    assert_eq!(
        mistakes(&text, &[]),
        ["c.toml:4:7: upstream.via: expected a name of at most 64 letters, digits and -._~:, found a list"]
    );
    let text = format!("upstream = {{ via = \"é\", max = 1, servers = [\"http://a\"] }}\n{DEPRECATION}");
    let expected = "c.toml:1:25: upstream.max: unknown key, the nearest is \"via\"";
    assert!(mistakes(&text, &[]).contains(&expected.to_owned()), "{:?}", mistakes(&text, &[]));
}

#[test]
fn a_file_that_cannot_be_read_is_a_mistake_of_its_own() {
    let message = Config::load(Path::new("/nowhere/c.toml"), []).unwrap_err().to_string();
    assert!(message.starts_with("/nowhere/c.toml: cannot read the configuration: "), "{message}");

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"# \xff").unwrap();
    let message = Config::load(file.path(), []).unwrap_err().to_string();
    assert_eq!(message, format!("{}:1:3: not UTF-8", file.path().display()));
}

#[test]
fn the_environment_overrides_any_value() {
    let text = whole("[[listener]]\naddress = \"127.0.0.1:1\"", "sunset_at = 2027-03-31T00:00:00Z");
    let config = read(
        &text,
        &[
            ("DUSKGATE__LISTENER__0__ADDRESS", "127.0.0.1:2"),
            ("DUSKGATE__LISTENER__1__ADDRESS", "127.0.0.1:3"),
            ("DUSKGATE__RUNTIME__THREADS", "3"),
            ("DUSKGATE__UPSTREAM__SERVERS", "https://a, https://b:1"),
            ("DUSKGATE__UPSTREAM__INSECURE_SKIP_VERIFY", "true"),
            ("DUSKGATE__DEPRECATION__SUNSET_AT", "2028-01-01T00:00:00Z"),
            ("DUSKGATE__OPERATION__0__ID", "create_user_group_invite_token"),
            ("DUSKGATE__OPERATION__0__MODE", "gone"),
            ("DUSKGATE_CONFIG", "elsewhere.toml"),
            ("DUSKGATE_PORT", "tcp://10.0.0.1:80"),
        ],
    )
    .unwrap();
    let listeners: Vec<_> = config.listeners.iter().map(|listener| listener.address.to_string()).collect();
    assert_eq!(listeners, ["127.0.0.1:2", "127.0.0.1:3"]);
    assert_eq!(config.threads, Some(3));
    let servers: Vec<_> = config.upstream.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["https://a", "https://b:1"]);
    assert!(config.upstream.insecure_skip_verify);
    let entry = &config.book.entries[0];
    assert_eq!((entry.operation.id.as_str(), entry.mode), ("create_user_group_invite_token", Mode::Gone));
    assert!(config.print().contains("threads = 3  # environment DUSKGATE__RUNTIME__THREADS\n"));
    assert!(
        config
            .print()
            .contains("sunset_at = 2028-01-01T00:00:00Z  # environment DUSKGATE__DEPRECATION__SUNSET_AT\n")
    );
}

#[test]
fn unknown_names_and_bad_values_in_the_environment_name_the_variable() {
    for (variable, value, message) in [
        ("DUSKGATE__UPSTREAM__SERVER", "a", "unknown name, the nearest is DUSKGATE__UPSTREAM__SERVERS"),
        ("DUSKGATE__LISTENER__0__ADRESS", "a", "unknown name, the nearest is DUSKGATE__LISTENER__0__ADDRESS"),
        ("DUSKGATE__SERVERS", "a", "unknown name, the nearest is DUSKGATE__UPSTREAM__SERVERS"),
        ("DUSKGATE__UPSTREAMS__X", "a", "unknown name, the nearest begins with DUSKGATE__UPSTREAM__"),
        ("DUSKGATE__", "a", "unknown name, a part of it is empty"),
        (
            "DUSKGATE__UPSTREAM__SERVERS__0",
            "a",
            "unknown name, it must end in a key; the values of a list are separated by commas",
        ),
        ("DUSKGATE__LISTENER__7__ADDRESS", "a", "there is no listener[7], the next one to add is 0"),
        (
            "DUSKGATE__LISTENER__ADDRESS",
            "a",
            "expected a list of tables, set one key of one: DUSKGATE__LISTENER__0__ADDRESS",
        ),
        ("DUSKGATE__UPSTREAM", "a", "expected a table, set one key of it: DUSKGATE__UPSTREAM__SERVERS"),
        ("DUSKGATE__RUNTIME__THREADS", "two", "expected a whole number of 1 to 1024, found \"two\""),
        ("DUSKGATE__LIMITS__QUEUE", "many", "expected a whole number of 0 to 1000000, found \"many\""),
        ("DUSKGATE__DEPRECATION__WARNING", "true", "is not available yet in this version"),
    ] {
        assert_eq!(mistakes(&whole("", ""), &[(variable, value)]), [format!("{variable}: {message}")]);
    }
}

#[test]
fn what_needs_a_restart_is_named() {
    let old = read(&whole("", ""), &[]).unwrap();
    let same = read(&whole("[log]\naccess = \"all\"", ""), &[]).unwrap();
    assert_eq!(old.restart_needed(&same), Vec::<String>::new());

    let new = "[[listener]]\naddress = \"[::1]:1\"\n[[listener]]\naddress = \"[::1]:2\"\n[admin]\naddress = \"[::1]:3\"\n[ledger]\nurl = \"sqlite:other.db\"\n[runtime]\nthreads = 1";
    let new = read(&whole(new, ""), &[]).unwrap();
    assert_eq!(
        old.restart_needed(&new),
        [
            "listener[0].address changed; restart needed",
            "listener[1] added; restart needed",
            "admin.address changed; restart needed",
            "ledger changed; restart needed",
            "runtime.threads changed; restart needed",
        ]
    );
}

#[test]
fn what_is_printed_is_read_again_as_the_same_configuration() {
    let text = whole(
        "[[listener]]\naddress = \"127.0.0.1:0\"\nproxy_protocol = true\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n[limits]\nclient_stall = \"1500ms\"\nhead_bytes = \"1025B\"\nrequest_line = \"1KiB\"",
        "sunset_at = 2027-03-31T02:00:00+02:00\n[[operation]]\nid = \"create_user_group_invite_token\"\nfallback = [\"observe\"]\n",
    );
    let printed = read(&text, &[]).unwrap().print();
    let listener = "[[listener]]\naddress = \"127.0.0.1:0\"  # c.toml:2\n# tls is not set\n\
                    proxy_protocol = true  # c.toml:3\n\
                    trusted_proxies = [\"10.0.0.0/8\", \"::1/128\"]  # c.toml:4\n\n[admin]\n";
    assert!(printed.starts_with(listener), "{printed}");
    let without_origins = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split("  # ").next().unwrap_or_default().to_owned()).collect()
    };
    let again = read(&printed, &[]).unwrap().print();
    assert_eq!(without_origins(&again), without_origins(&printed));
}

#[test]
fn a_mistake_is_one_line_whatever_was_written() {
    check(&[(&whole("\"a\\nb\" = 1", ""), &["c.toml:1:1: a\u{fffd}b: unknown key, the nearest is \"log\""])]);
    let long = "x".repeat(1000);
    let said = mistakes(&whole(&format!("[log]\nformat = \"{long}\""), ""), &[]);
    assert!(said.len() == 1 && said[0].len() < 300, "{said:?}");
}

proptest! {
    #[test]
    fn a_damaged_file_is_refused_or_read_but_never_a_panic(
        at in 0usize..6000,
        length in 0usize..40,
        with in "[\\[\\]{}\"'=.,# \n0-9a-zé-]{0,8}",
    ) {
        let text: Vec<char> = include_str!("../../config/reference.toml").chars().collect();
        let (start, end) = (at.min(text.len()), (at + length).min(text.len()));
        let damaged: String = text[..start].iter().copied().chain(with.chars()).chain(text[end..].iter().copied()).collect();
        if let Err(invalid) = read(&damaged, &[]) {
            prop_assert!(!invalid.mistakes.is_empty());
            prop_assert_eq!(invalid.to_string().lines().count(), invalid.mistakes.len());
        }
    }
}
