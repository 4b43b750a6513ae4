//! The commands that read a configuration and answer: what goes to stdout, what to stderr, and the exit code.

use std::path::Path;
use std::process::{Command, Output};

const CONFIGURATION: &str = "\
[upstream]
servers = [\"http://onezone\"]
[deprecation]
deprecated_at = 2020-06-01T00:00:00Z
";

/// The program, in a directory of its own and without the environment of whoever runs the tests.
fn duskgate(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_duskgate"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn directory_with(configuration: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("c.toml"), configuration).unwrap();
    directory
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_good_configuration_is_checked_and_resolved() {
    let directory = directory_with(CONFIGURATION);
    let output = duskgate(directory.path(), &["check", "--config", "c.toml"], &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stderr), "");
    let rows: Vec<_> = text(&output.stdout).lines().collect();
    assert_eq!(rows.len(), 22, "{rows:?}");
    assert_eq!(
        rows[1].split_whitespace().collect::<Vec<_>>(),
        [
            "create_user_group_invite_token",
            "rewrite",
            "-",
            "2020-06-01T00:00:00Z",
            "-",
            "-",
            "POST",
            "/api/v3/onezone/groups/{id}/users/token"
        ]
    );
}

#[test]
fn every_mistake_goes_to_stderr_with_its_place_and_the_exit_code_is_2() {
    let directory = directory_with("[upstream]\nserver = 1\n[log]\nformat = 2\n");
    for command in [&["check"][..], &["operations"], &["explain", "GET", "/"]] {
        let output = duskgate(directory.path(), &[command, &["--config", "c.toml"]].concat(), &[]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_eq!(text(&output.stdout), "");
        assert_eq!(
            text(&output.stderr),
            "c.toml:1:1: upstream.servers: missing: a list of strings, each an origin such as \
             \"https://onezone.example.org\"\n\
             c.toml:1:1: deprecation.deprecated_at: missing: a date-time such as 2020-06-01T00:00:00Z\n\
             c.toml:2:1: upstream.server: unknown key, the nearest is \"servers\"\n\
             c.toml:4:10: log.format: expected \"text\" or \"json\", found the integer 2\n\
             error: the configuration has 4 mistakes\n"
        );
    }
}

#[test]
fn the_configuration_is_named_by_option_then_variable_then_habit() {
    let directory = directory_with(CONFIGURATION);
    let code = |arguments: &[&str], variables: &[(&str, &str)]| {
        duskgate(directory.path(), &[&["check"], arguments].concat(), variables).status.code()
    };
    assert_eq!(code(&[], &[]), Some(2), "config/duskgate.toml is not there");
    assert_eq!(code(&[], &[("DUSKGATE_CONFIG", "c.toml")]), Some(0));
    assert_eq!(code(&["--config", "other.toml"], &[("DUSKGATE_CONFIG", "c.toml")]), Some(2));
    std::fs::create_dir(directory.path().join("config")).unwrap();
    std::fs::copy(directory.path().join("c.toml"), directory.path().join("config/duskgate.toml")).unwrap();
    assert_eq!(code(&[], &[("DUSKGATE_CONFIG", "")]), Some(0));
}

#[test]
fn the_effective_configuration_says_where_each_value_came_from_and_no_secret() {
    let directory = directory_with(&format!("{CONFIGURATION}[log]\nformat = \"json\"\n"));
    std::fs::write(directory.path().join("t"), "the-secret").unwrap();
    let output = duskgate(
        directory.path(),
        &["check", "--print", "--config", "c.toml"],
        &[("DUSKGATE__UPSTREAM__VIA", "edge"), ("DUSKGATE__UPSTREAM__SERVICE_TOKEN_FILE", "t")],
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let printed = text(&output.stdout);
    for line in [
        "format = \"json\"  # c.toml:6\n",
        "access = \"deprecated\"  # default\n",
        "via = \"edge\"  # environment DUSKGATE__UPSTREAM__VIA\n",
        "service_token_file = \"t\"  # environment DUSKGATE__UPSTREAM__SERVICE_TOKEN_FILE\n",
    ] {
        assert!(printed.contains(line), "{line} in\n{printed}");
    }
    assert!(!printed.contains("the-secret"));
}

#[test]
fn operations_are_listed_as_json() {
    let directory = directory_with(&format!("{CONFIGURATION}sunset_at = 2021-01-01T00:00:00Z\n"));
    let output = duskgate(directory.path(), &["operations", "--json", "--config", "c.toml"], &[]);
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 21);
    assert_eq!(rows[0]["id"], "create_user_group_invite_token");
    assert_eq!(rows[0]["phase"], "sunset");
    assert_eq!(rows[0]["mode"], "gone");
    assert_eq!(rows[0]["successors"][0], "POST /api/v3/onezone/user/tokens/named");
    assert_eq!(rows[0]["cost"]["usual"], 0);
}

#[test]
fn all_operations_are_listed_with_mode_phase_successor_and_cost() {
    let directory = directory_with(CONFIGURATION);
    let output = duskgate(directory.path(), &["operations", "--config", "c.toml"], &[]);
    let said = text(&output.stdout);
    let mut lines = said.lines();
    let header: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(
        header,
        ["OPERATION", "PHASE", "MODE", "DEPRECATED", "SUNSET", "METHOD", "PATH", "COST", "SUCCESSOR"]
    );
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), 21);
    let of = |id: &str| *lines.iter().find(|line| line.starts_with(&format!("{id} "))).unwrap();
    for (id, parts) in [
        ("create_space_group_token", [" rewrite ", " 1, at most 4 ", "create_named_token_for_current_user"]),
        ("list_client_tokens", [" rewrite ", " 1 + 1 a token, at most 2 + 2 a token ", "list_named_tokens"]),
        ("get_user_space_alias", [" observe ", " 1 ", " -"]),
    ] {
        assert!(parts.iter().all(|part| of(id).contains(part)), "{}", of(id));
    }
}

#[test]
fn a_request_is_explained_at_any_time() {
    let directory = directory_with(CONFIGURATION);
    let path = "/api/v3/onezone/groups/abc/users/token";
    let arguments =
        ["explain", "POST", path, "--at", "2020-01-01", "--consumer", "user:x", "--config", "c.toml"];
    let output = duskgate(directory.path(), &arguments, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.contains("phase:      announced, until 2020-06-01T00:00:00Z\n"), "{said}");
    assert!(said.contains("  deprecation: @1590969600\n"), "{said}");
    assert!(said.contains("consumer:   user:x"), "{said}");
}

#[test]
fn wrong_usage_is_exit_code_2_and_help_is_not() {
    let directory = directory_with(CONFIGURATION);
    for arguments in [
        &["explain", "POST"][..],
        &["explain", "POST", "x"],
        &["explain", "POST", "/", "--at", "tomorrow"],
        &["explain", "POST", "/", "--consumer", "me"],
        &["checks"],
        &[],
    ] {
        let output = duskgate(directory.path(), arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert_eq!(text(&output.stdout), "");
    }
    let help = duskgate(directory.path(), &["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("duskgate explain POST "));
    let version = duskgate(directory.path(), &["--version"], &[]);
    assert_eq!(text(&version.stdout), concat!("duskgate ", env!("CARGO_PKG_VERSION"), "\n"));
}
