//! Reads `[local]`: what our own tokens are made with. What it needs of other tables is checked here.

use std::path::Path;
use std::sync::Arc;

use super::file::{Place, Table};
use super::listeners::shape;
use super::section::{Findings, Placed, Section, quote};
use crate::serve::local::Settings;
use crate::token::key_file;

/// A place where mode `local` is asked for.
pub(super) struct Wanted {
    /// `deprecation.mode`, `operation[0].fallback`.
    pub key: String,
    pub place: Place,
}

/// `[local]`, if it is there. `has_service_token`: whether the backend may be asked in our own name.
pub(super) fn read(
    root: &Table,
    findings: &Findings,
    directory: &Path,
    has_service_token: bool,
    wanted: &[Wanted],
) -> Option<Settings> {
    let section = Section::single(root, shape("local"), findings);
    let domain = section.parse("onezone_domain", DOMAIN, domain, |domain| quote(domain));
    let file = section.text("key_file");
    // An empty table is none: `check --print` writes one.
    if !section.has("onezone_domain") && !section.has("key_file") {
        for Wanted { key, place } in wanted {
            let message = "\"local\" needs a table [local] with onezone_domain and key_file";
            findings.note_mistake(key, place, message);
        }
        return None;
    }
    for (key, what) in [("onezone_domain", DOMAIN), ("key_file", "a file made by duskgate keygen")] {
        if !section.has(key) {
            section.missing(key, what);
        }
    }
    if !has_service_token {
        let message = "needs upstream.service_token_file: members are added with that token";
        findings.note_mistake("local", &section.place, message);
    }
    let Placed { value: file, place } = file?;
    match key_file::read(&directory.join(file)) {
        Ok(keys) => Some(Settings { domain: domain?.value, keys: Arc::new(keys) }),
        Err(bad) => {
            section.mistake("key_file", &place, bad.to_string());
            None
        }
    }
}

const DOMAIN: &str = "the domain of your Onezone, such as \"onezone.example.org\"";

fn domain(text: &str) -> Result<String, String> {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_domain = text.len() <= 253 && text.split('.').all(is_part);
    is_domain.then(|| text.to_ascii_lowercase()).ok_or_else(String::new)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;
    use crate::operation::Mode;

    const WHOLE: &str = "[upstream]\nservers = [\"http://a\"]\nservice_token_file = \"service.token\"\n\
                         [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n";
    const LOCAL: &str = "[local]\nonezone_domain = \"onezone.example.org\"\nkey_file = \"duskgate.key\"\n";
    const INVITE: &str = "[[operation]]\nid = \"create_user_group_invite_token\"\n";

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        crate::token::key_file::create(&directory.path().join("duskgate.key")).unwrap();
        std::fs::write(directory.path().join("service.token"), "t").unwrap();
        std::fs::write(directory.path().join("open.key"), "00".repeat(32)).unwrap();
        directory
    }

    fn read(directory: &Path, text: &str) -> Result<Config, Vec<String>> {
        let config = Config::read(&directory.join("c.toml"), text, []);
        config.map_err(|invalid| {
            let line = |mistake: &crate::config::Mistake| mistake.line(Path::new("c.toml"));
            invalid.mistakes.iter().map(line).collect()
        })
    }

    #[test]
    fn a_whole_token_module_is_read() {
        let directory = directory();
        let config = read(directory.path(), &format!("{WHOLE}mode = \"local\"\n{LOCAL}")).unwrap();
        assert_eq!(config.local.unwrap().domain, "onezone.example.org");
        let local = config.book.entries.iter().filter(|entry| entry.mode == Mode::Local).count();
        assert_eq!((local, config.ledger.location.to_string().as_str()), (9, "sqlite:duskgate.db"));
        let text = format!("{WHOLE}{INVITE}fallback = [\"local\"]\n{LOCAL}[ledger]\nurl = \"sqlite:x.db\"\n");
        let config = read(directory.path(), &text).unwrap();
        let shown = format!("sqlite:{}", directory.path().join("x.db").display());
        assert_eq!(config.ledger.location.to_string(), shown);
    }

    #[test]
    fn what_is_missing_is_said_where_it_is_asked_for() {
        let directory = directory();
        let bare =
            "[upstream]\nservers = [\"http://a\"]\n[deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n";
        for (text, expected) in [
            (
                format!("{WHOLE}mode = \"local\""),
                "c.toml:6:8: deprecation.mode: \"local\" needs a table [local] with onezone_domain and key_file",
            ),
            (
                format!("{WHOLE}{INVITE}fallback = [\"local\"]"),
                "c.toml:8:13: operation[0].fallback: \"local\" needs a table [local] with onezone_domain and key_file",
            ),
            (
                format!("{bare}{LOCAL}"),
                "c.toml:5:1: local: needs upstream.service_token_file: members are added with that token",
            ),
            (
                format!("{WHOLE}{}", LOCAL.replace("onezone.example.org", "https://a")),
                "c.toml:7:18: local.onezone_domain: expected the domain of your Onezone, such as \"onezone.example.org\", found \"https://a\"",
            ),
            (
                format!("{WHOLE}{LOCAL}[[operation]]\nid = \"create_space_support_token\"\nmode = \"local\""),
                "c.toml:11:8: operation[0].mode: create_space_support_token cannot be served in mode \"local\": Oneproviders use these tokens over a WebSocket",
            ),
            (
                format!("{WHOLE}{LOCAL}[[operation]]\nid = \"list_client_tokens\"\nfallback = [\"local\"]"),
                "c.toml:11:13: operation[0].fallback: list_client_tokens cannot be served in mode \"local\": it issues no invite tokens",
            ),
            (
                format!("{WHOLE}{INVITE}fallback = [\"observe\", \"local\"]\n{LOCAL}"),
                "c.toml:8:24: operation[0].fallback: \"local\" is never tried: \"observe\" always answers",
            ),
        ] {
            assert_eq!(read(directory.path(), &text).unwrap_err(), [expected], "{text}");
        }
        let text = format!("{WHOLE}{}", LOCAL.replace("duskgate.key", "open.key"));
        let mistakes = read(directory.path(), &text).unwrap_err();
        assert!(
            mistakes[0].starts_with("c.toml:8:12: local.key_file: ") && mistakes[0].contains("0600")
                || mistakes[0].contains("chmod 600"),
            "{mistakes:?}"
        );
    }
}
