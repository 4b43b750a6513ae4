//! Reads `[ledger]`: where issued tokens are kept. The files that it names are read here, so that a bad one is a mistake
//! in the configuration and not a failure later.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use secrecy::SecretString;

use super::backend;
use super::file::{Node, Value};
use super::section::{Placed, Section, quote};
use crate::ledger::{DEFAULT_FILE, Location, Settings};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Everything in `[ledger]`. Relative paths are relative to `directory`; without `url` the ledger is a file in `state`,
/// else in the working directory.
pub(super) fn read(section: &Section<'_>, directory: &Path, state: Option<&Path>) -> Settings {
    let location = location(section, directory, state);
    Settings {
        timeout: section.duration("timeout", 5 * SECOND, Duration::from_millis(100)..=3600 * SECOND),
        connections: section.count("connections", 8, 1..=1000),
        retention: section.duration("retention", 400 * DAY, DAY..=36_500 * DAY),
        ..Settings::at(location)
    }
}

fn location(section: &Section<'_>, directory: &Path, state: Option<&Path>) -> Location {
    let file = state.unwrap_or(Path::new("")).join(DEFAULT_FILE);
    let default = Url { shown: format!("sqlite:{}", file.display()), location: Location::Sqlite(file) };
    let url = section.or_default("url", default, |node| url(node, directory), |url| quote(&url.shown));
    let password = password(section, directory);
    let roots = roots(section, directory);
    match url.value.location {
        Location::Postgres(mut server) => {
            if let Some(Placed { value, .. }) = password {
                *server = server.with_password(&value);
            }
            if let Some(Placed { value, .. }) = roots {
                *server = server.with_roots(value);
            }
            Location::Postgres(server)
        }
        file @ Location::Sqlite(_) => {
            let places =
                [("password_file", password.map(|it| it.place)), ("ca_file", roots.map(|it| it.place))];
            for (key, place) in places.into_iter().filter_map(|(key, place)| Some((key, place?))) {
                if !section.mistaken("url") {
                    section.mistake(key, &place, "is of no use: the ledger is a file");
                }
            }
            file
        }
    }
}

/// Where the ledger is, and what may be shown of how that was written.
struct Url {
    location: Location,
    shown: String,
}

/// What is wrong with a URL is said without repeating it: it may hold a password.
fn url(node: &Node, directory: &Path) -> Result<Url, String> {
    let expected = "expected \"sqlite:FILE\" or \"postgres://USER@HOST/DATABASE\"";
    let (Value::Text(text) | Value::Loose(text)) = &node.value else {
        return Err(format!("{expected}, found {}", node.value.describe()));
    };
    if text.contains(char::is_control) {
        return Err(expected.to_owned());
    }
    let location = Location::parse(text, directory).map_err(|bad| format!("{expected}: {bad}"))?;
    let shown = match &location {
        Location::Sqlite(_) => text.clone(),
        Location::Postgres(_) => location.to_string(),
    };
    Ok(Url { location, shown })
}

/// The password in the file; the file's name may be said, nothing of what is in it.
fn password(section: &Section<'_>, directory: &Path) -> Option<Placed<SecretString>> {
    let Placed { value: file, place } = section.text("password_file")?;
    let file: PathBuf = directory.join(file);
    let reason = match std::fs::read_to_string(&file) {
        Err(error) => backend::cannot_read(&file, &error),
        Ok(text) => match text.trim_end_matches(['\r', '\n']) {
            "" => format!("the file is empty: {}", file.display()),
            password => return Some(Placed { value: password.to_owned().into(), place }),
        },
    };
    section.mistake("password_file", &place, reason);
    None
}

fn roots(section: &Section<'_>, directory: &Path) -> Option<Placed<Arc<RootCertStore>>> {
    let Placed { value: file, place } = section.text("ca_file")?;
    match backend::certificates(&directory.join(file)) {
        Ok(roots) => Some(Placed { value: Arc::new(roots), place }),
        Err(reason) => {
            section.mistake("ca_file", &place, reason);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, Invalid};

    const REST: &str =
        "[upstream]\nservers = [\"http://a\"]\n[deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n";

    fn read(file: &Path, ledger: &str, variable: Option<(&str, &str)>) -> Result<Config, Invalid> {
        let variable = variable.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Config::read(file, &format!("{ledger}\n{REST}"), variable)
    }

    fn mistake(ledger: &str, variable: Option<(&str, &str)>) -> String {
        read(Path::new("c.toml"), ledger, variable).unwrap_err().to_string()
    }

    #[test]
    fn the_ledger_is_a_file_beside_the_state_unless_it_is_said_to_be_elsewhere() {
        for (state, shown) in [
            (None, "sqlite:duskgate.db"),
            (Some(""), "sqlite:duskgate.db"),
            (Some("/var/lib/duskgate"), "sqlite:/var/lib/duskgate/duskgate.db"),
            (Some("/a:/b"), "sqlite:/a/duskgate.db"),
        ] {
            let state = state.map(|state| ("STATE_DIRECTORY", state));
            let config = read(Path::new("/etc/c.toml"), "", state).unwrap();
            assert_eq!(config.ledger.location.to_string(), shown);
            assert!(config.print().contains(&format!("url = \"{shown}\"  # default\n")));
        }
        let config = read(Path::new("/etc/c.toml"), "[ledger]\nurl = \"sqlite:a/b.db\"", None).unwrap();
        assert_eq!(config.ledger.location.to_string(), "sqlite:/etc/a/b.db");
        assert!(config.print().contains("url = \"sqlite:a/b.db\"  # /etc/c.toml:2\n"));
    }

    #[test]
    fn the_password_of_a_ledger_is_never_printed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("password"), "hush-two\n").unwrap();
        let ledger = "[ledger]\nurl = \"postgres://me:hush@host/db\"\npassword_file = \"password\"";
        let config = read(&directory.path().join("c.toml"), ledger, None).unwrap();
        let said = format!("{config:?}{}", config.print());
        assert!(said.contains("url = \"postgres://me:<redacted>@host/db\""), "{said}");
        assert!(!said.contains("hush"), "{said}");

        for url in ["postgres://me:hush@host:port/db", "mysql://me:hush@host", "hush"] {
            let said = mistake(&format!("[ledger]\nurl = \"{url}\""), None);
            assert!(said.starts_with("c.toml:2:7: ledger.url: expected \"sqlite:FILE\" or "), "{said}");
            assert!(!said.contains("hush"), "{said}");
            let said = mistake("", Some(("DUSKGATE__LEDGER__URL", url)));
            assert!(said.starts_with("DUSKGATE__LEDGER__URL: expected \"sqlite:FILE\" or "), "{said}");
            assert!(!said.contains("hush"), "{said}");
        }
    }

    #[test]
    fn every_mistake_says_what_to_do() {
        let expected = "expected \"sqlite:FILE\" or \"postgres://USER@HOST/DATABASE\"";
        for (ledger, said) in [
            ("url = \"sqlite:\"", format!("2:7: ledger.url: {expected}: it names no file")),
            (
                "url = \"sqlite::memory:\"",
                format!(
                    "2:7: ledger.url: {expected}: it names no file: a ledger in memory is lost, and what begins with \
                     file: is not read as a URI; write sqlite:FILE"
                ),
            ),
            ("url = 7", format!("2:7: ledger.url: {expected}, found the integer 7")),
            (
                "url = \"postgres://me@host/db?password=x\"",
                format!(
                    "2:7: ledger.url: {expected}: a password cannot stand among the options: use password_file"
                ),
            ),
            (
                "url = \"postgres://host\"\npassword_file = \"nowhere\"",
                "3:17: ledger.password_file: cannot read nowhere: No such file or directory (os error 2)"
                    .to_owned(),
            ),
            (
                "ca_file = \"Cargo.toml\"",
                "2:11: ledger.ca_file: no certificate in PEM form in it: Cargo.toml".to_owned(),
            ),
            (
                "password_file = \"Cargo.toml\"",
                "2:17: ledger.password_file: is of no use: the ledger is a file".to_owned(),
            ),
        ] {
            assert_eq!(mistake(&format!("[ledger]\n{ledger}"), None), format!("c.toml:{said}"));
        }
    }
}
