//! The shipped configurations: each is one that starts, and the reference says the truth about keys and defaults.

use std::path::{Path, PathBuf};

use duskgate::config::Config;

#[test]
fn every_shipped_configuration_loads() {
    let files: Vec<_> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        Config::load(&file, []).unwrap_or_else(|invalid| panic!("{invalid}"));
    }
}

#[test]
fn every_key_of_the_reference_has_its_default() {
    let needed = "[upstream]\nservers = [\"https://onezone.example.org\"]\n\
                  [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n";
    let defaults = Config::read(Path::new("defaults.toml"), needed, []).unwrap();
    let reference = Config::read(Path::new("reference.toml"), &reference(), []).unwrap();
    assert_eq!(without_origins(&reference.print()), without_origins(&defaults.print()));
    // None is there by default only.
    let silent: Vec<_> =
        reference.print().lines().filter(|line| line.ends_with("# default")).map(str::to_owned).collect();
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn the_examples_in_the_comments_of_the_reference_are_true() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("reference.toml");
    let certificate = rcgen::generate_simple_self_signed(["onezone".to_owned()]).unwrap();
    std::fs::write(directory.path().join("onezone-ca.pem"), certificate.cert.pem()).unwrap();
    std::fs::write(directory.path().join("duskgate.pem"), certificate.cert.pem()).unwrap();
    std::fs::write(directory.path().join("duskgate-key.pem"), certificate.signing_key.serialize_pem())
        .unwrap();
    std::fs::write(directory.path().join("client.pem"), certificate.cert.pem()).unwrap();
    std::fs::write(directory.path().join("client-key.pem"), certificate.signing_key.serialize_pem()).unwrap();
    std::fs::write(directory.path().join("service.token"), "token\n").unwrap();
    std::fs::write(directory.path().join("ledger-ca.pem"), certificate.cert.pem()).unwrap();
    std::fs::write(directory.path().join("collector-ca.pem"), certificate.cert.pem()).unwrap();
    std::fs::write(directory.path().join("ledger.password"), "password\n").unwrap();
    duskgate::token::key_file::create(&directory.path().join("duskgate.key")).unwrap();
    // Some keys are of use for a data base only.
    let text =
        uncommented(&reference()).replace("sqlite:duskgate.db", "postgres://duskgate@localhost/duskgate");
    std::fs::write(&file, text).unwrap();

    let config = Config::load(&file, []).unwrap_or_else(|invalid| panic!("{invalid}"));

    let unset: Vec<_> =
        config.print().lines().filter(|line| line.ends_with(" is not set")).map(str::to_owned).collect();
    assert_eq!(unset, Vec::<String>::new(), "these keys are not in the reference");
    assert_eq!(config.book.entries.last().unwrap().operation.id, "list_legacy_reports");
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn reference() -> String {
    std::fs::read_to_string(directory().join("reference.toml")).unwrap()
}

/// What the effective configuration says, without where it came from.
fn without_origins(printed: &str) -> Vec<&str> {
    printed.lines().filter_map(|line| line.split("  # ").next()).collect()
}

/// Takes the `#` from lines that would be keys or tables without it.
fn uncommented(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let key = bare.split(" = ").next().unwrap_or_default();
        let is_key = bare.contains(" = ") && key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let is_table = bare.starts_with('[') && bare.ends_with(']');
        if is_key || is_table { bare } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}
