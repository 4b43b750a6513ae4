//! Reads certificates with their keys: `tls` of a `[[listener]]`, one table or a list of them. The files are read too, so
//! that a bad one is a mistake in the configuration and not a failure later.

use std::path::Path;

use super::file::{Node, Table, Value};
use super::keys;
use super::section::{Findings, Placed, Section, quote};
use crate::certificate::{Files, Part};

/// The certificates of a listener, none where it is plain. Relative paths are relative to `directory`.
pub(super) fn of_listener(listener: &Section<'_>, directory: &Path) -> Vec<Files> {
    let expected = "a table such as { cert_file = \"a.pem\", key_file = \"a.key\" }, or a list of such";
    let read = |node: &Node| match &node.value {
        Value::Table(_) => Ok(vec![(String::new(), node.clone())]),
        Value::List(nodes) if nodes.is_empty() => {
            Err("expected at least one certificate; without tls the listener is plain HTTP".to_owned())
        }
        Value::List(nodes) => Ok(numbered(nodes)),
        other => Err(format!("expected {expected}, found {}", other.describe())),
    };
    let Some(nodes) = listener.nested(keys::TLS.name, read) else { return Vec::new() };
    let (mut files, mut shown) = (Vec::new(), Vec::new());
    for (index, node) in nodes {
        let path = format!("{}.{}{index}", listener.path, keys::TLS.name);
        let Value::Table(table) = &node.value else {
            let message = format!("expected a table, found {}", node.value.describe());
            listener.findings().note_mistake(&path, &node.place, &message);
            continue;
        };
        // What is printed of it is the value of `tls`; its own keys are noted apart, and only the mistakes kept.
        let apart = Findings::default();
        let section = Section::within(table, &path, &keys::TLS, &apart);
        files.extend(pair(&section, directory, ["cert_file", "key_file"], true));
        shown.push(show(table));
        listener.findings().mistakes.borrow_mut().extend(apart.mistakes.into_inner());
    }
    listener.show(&format!("[{}]", shown.join(", ")));
    files
}

/// The certificate and the key that these two keys name. Nothing where neither is there, which is a mistake if they
/// must be, and where one is bad.
pub(super) fn pair(
    section: &Section<'_>,
    directory: &Path,
    [cert_key, key_key]: [&'static str; 2],
    must_be: bool,
) -> Option<Files> {
    let (cert_file, key_file) = (section.text(cert_key), section.text(key_key));
    if must_be || section.has(cert_key) || section.has(key_key) {
        for (key, other) in [(cert_key, key_key), (key_key, cert_key)] {
            if !section.has(key) {
                section.missing(key, &format!("a file in PEM form, which belongs to {other}"));
            }
        }
    }
    let (cert_file, key_file) = (cert_file?, key_file?);
    let file = |placed: &Placed<String>| directory.join(&placed.value);
    let files = Files { cert_file: file(&cert_file), key_file: file(&key_file) };
    if let Err(unusable) = files.read() {
        let (key, file) = match unusable.part {
            Part::Certificate => (cert_key, cert_file),
            Part::Key => (key_key, key_file),
        };
        section.mistake(key, &file.place, unusable.to_string());
        return None;
    }
    Some(files)
}

fn numbered(nodes: &[Node]) -> Vec<(String, Node)> {
    nodes.iter().enumerate().map(|(index, node)| (format!("[{index}]"), node.clone())).collect()
}

/// As it is written.
fn show(table: &Table) -> String {
    let pairs = keys::TLS.keys.iter().filter_map(|key| match &table.get(key)?.value {
        Value::Text(text) | Value::Loose(text) => Some(format!("{key} = {}", quote(text))),
        _ => None,
    });
    format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// The mistakes in a configuration whose listener has this line, each without where it stands.
    fn mistakes(line: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        std::fs::write(directory.path().join("a.pem"), made.cert.pem()).unwrap();
        std::fs::write(directory.path().join("a.key"), made.signing_key.serialize_pem()).unwrap();
        let text = format!(
            "[[listener]]\n{line}\n[upstream]\nservers = [\"http://a\"]\n\
             [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n"
        );
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        match Config::read(&directory.path().join("c.toml"), &text, variables) {
            Ok(config) => {
                let pair = config.listeners[0].tls.first().unwrap();
                assert_eq!(pair.cert_file, directory.path().join("a.pem"));
                Vec::new()
            }
            Err(invalid) => {
                invalid.mistakes.iter().map(|found| format!("{}: {}", found.key, found.message)).collect()
            }
        }
    }

    #[test]
    fn a_certificate_is_a_table_or_one_of_a_list() {
        for line in [
            "tls = { cert_file = \"a.pem\", key_file = \"a.key\" }",
            "tls = [{ cert_file = \"a.pem\", key_file = \"a.key\" }]",
            "[[listener.tls]]\ncert_file = \"a.pem\"\nkey_file = \"a.key\"",
            "[listener.tls]\ncert_file = \"a.pem\"\nkey_file = \"a.key\"",
        ] {
            assert_eq!(mistakes(line, &[]), Vec::<String>::new(), "{line}");
        }
        let variables = [
            ("DUSKGATE__LISTENER__0__TLS__CERT_FILE", "a.pem"),
            ("DUSKGATE__LISTENER__0__TLS__KEY_FILE", "a.key"),
        ];
        assert_eq!(mistakes("", &variables), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_with_it_is_said_at_its_own_key() {
        for (line, key) in [
            ("tls = true", "listener[0].tls: expected a table such as"),
            ("tls = []", "listener[0].tls: expected at least one certificate"),
            ("tls = [\"a.pem\"]", "listener[0].tls[0]: expected a table, found \"a.pem\""),
            ("tls = { cert_file = \"a.pem\" }", "listener[0].tls.key_file: missing: a file in PEM form"),
            ("tls = { key_file = \"a.key\" }", "listener[0].tls.cert_file: missing: a file in PEM form"),
            ("tls = { cert_file = \"a.pem\", key_file = 7 }", "listener[0].tls.key_file: expected a string"),
            (
                "tls = [{ cert_file = \"a.pem\", key_file = \"a.key\" }, { cert_file = \"a.pem\", key_file = \"b\" }]",
                "listener[0].tls[1].key_file: cannot read",
            ),
            (
                "tls = { cert_file = \"a.pem\", key_file = \"a.key\", ca_file = \"a.pem\" }",
                "listener[0].tls.ca_file: unknown key, the nearest is",
            ),
        ] {
            let found = mistakes(line, &[]);
            assert!(found.len() == 1 && found[0].starts_with(key), "{line}: {found:?}");
        }
        let found = mistakes("tls = {}", &[]);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn it_is_printed_as_it_is_written() {
        let table = |text: &str| {
            let (root, _) = super::super::file::parse(text);
            show(&root)
        };
        assert_eq!(table("key_file = \"k\"\ncert_file = \"c\""), "{ cert_file = \"c\", key_file = \"k\" }");
    }
}
