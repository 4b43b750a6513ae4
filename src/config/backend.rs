//! Reads `[upstream]`: where the backend is and how it is spoken to. The files that it names are read here, so that a
//! bad one is a mistake in the configuration and not a failure later.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use secrecy::SecretString;

use super::certificates;
use super::section::{Placed, Section, quote};
use crate::upstream::{MOST_SERVERS, Origin, Settings};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Everything in `[upstream]`, and `stall` from `[limits]`. Relative paths are relative to `directory`.
pub(super) fn read(section: &Section<'_>, directory: &Path, stall: Duration) -> Settings {
    let servers = servers(section);
    let ca_file = section.text("ca_file").map(|file| (directory.join(&file.value), file.place));
    let server_name =
        section.parse("server_name", "a host name or an address", server_name, |name| quote(name));
    let insecure = section.flag("insecure_skip_verify", false);
    if let Some((file, place)) = &ca_file
        && let Err(reason) = certificates(file)
    {
        section.mistake("ca_file", place, reason);
    }
    let client_certificate =
        certificates::pair(section, directory, ["client_cert_file", "client_key_file"], false);
    if !servers.is_empty() && servers.iter().all(|server| !server.https) {
        let own = |key: &'static str| section.has(key).then(|| section.place_of(key));
        let (certificate, key) = (own("client_cert_file"), own("client_key_file"));
        let tls_only = [
            ("client_cert_file", certificate.as_ref()),
            ("client_key_file", key.as_ref()),
            ("ca_file", ca_file.as_ref().map(|(_, place)| place)),
            ("server_name", server_name.as_ref().map(|name| &name.place)),
            ("insecure_skip_verify", insecure.value.then_some(&insecure.place)),
        ];
        for (key, place) in tls_only.into_iter().filter_map(|(key, place)| Some((key, place?))) {
            section.mistake(key, place, "is of no use: no server has the scheme https");
        }
    }
    let health_path = section
        .parse("health_path", "a path that begins with a slash", path, |path| quote(path))
        .map(|path| path.value);
    let source = [("own", false), ("client", true)];
    Settings {
        servers,
        ca_file: ca_file.map(|(file, _)| file),
        client_certificate,
        server_name: server_name.map(|name| name.value),
        insecure_skip_verify: insecure.value,
        connect_timeout: section.duration("connect_timeout", 3 * SECOND, MILLISECOND..=HOUR),
        response_timeout: section.duration("response_timeout", 60 * SECOND, MILLISECOND..=24 * HOUR),
        stall,
        service_token: service_token(section, directory),
        health_path,
        health_interval: section.duration("health_interval", 5 * SECOND, 100 * MILLISECOND..=HOUR),
        health_timeout: section.duration("health_timeout", 2 * SECOND, MILLISECOND..=HOUR),
        health_fall: small(section.count("health_fall", 3, 1..=100)),
        health_rise: small(section.count("health_rise", 2, 1..=100)),
        eject_after: small(section.count("eject_after", 3, 1..=1000)),
        eject_most: section.duration("eject_most", 30 * SECOND, SECOND..=HOUR),
        connections_per_server: section.optional_count("connections_per_server", 1..=1_000_000),
        resolve_interval: section.duration("resolve_interval", 30 * SECOND, SECOND..=24 * HOUR),
        from_client: section.choice("source", &source, false),
        max_requests: small(section.count("max_requests", 29, 1..=1_000_000)),
        idle_timeout: section.duration("idle_timeout", 25 * SECOND, MILLISECOND..=24 * HOUR),
        name_cache: section.duration("name_cache", 60 * SECOND, Duration::ZERO..=24 * HOUR),
        check_ip_caveats: section.flag("check_ip_caveats", true).value,
        via: via(section),
    }
}

fn servers(section: &Section<'_>) -> Vec<Origin> {
    let expected = "an origin such as \"https://onezone.example.org\"";
    if !section.has("servers") {
        section.missing("servers", &format!("a list of strings, each {expected}"));
        return Vec::new();
    }
    let place = section.place_of("servers");
    let Some(servers) = section.list("servers", expected, origin, |server| quote(&server.to_string())) else {
        return Vec::new();
    };
    if servers.is_empty() && !section.mistaken("servers") {
        section.mistake("servers", &place, format!("expected at least one server, {expected}"));
    }
    if let Some(server) = servers.get(MOST_SERVERS) {
        section.mistake("servers", &server.place, format!("expected at most {MOST_SERVERS} servers"));
    }
    for (index, server) in servers.iter().enumerate() {
        let earlier = &servers[..index];
        if earlier.iter().any(|other| other.value == server.value) {
            section.mistake("servers", &server.place, format!("listed twice: {}", server.value));
        }
    }
    servers.into_iter().map(|server| server.value).collect()
}

/// Reads `scheme://host[:port]`. Says why not, without repeating a password.
fn origin(text: &str) -> Result<Origin, String> {
    let uri: Uri = text.parse().map_err(|_| String::new())?;
    let https = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(scheme) if *scheme == Scheme::HTTP => false,
        Some(_) => return Err("its scheme is neither http nor https".to_owned()),
        None => return Err("it has no scheme".to_owned()),
    };
    let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else {
        return Err(String::new());
    };
    if authority.as_str().contains('@') {
        return Err("it cannot hold a user or a password".to_owned());
    }
    if uri.path() != "/" || uri.query().is_some() || text.contains('#') {
        return Err("it cannot have a path, a query or a fragment".to_owned());
    }
    if host.is_empty() {
        return Err(String::new());
    }
    let has_port = authority.as_str().len() > host.len();
    if has_port && uri.port_u16().is_none_or(|port| port == 0) {
        return Err("its port is not a number of 1 to 65535".to_owned());
    }
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    Ok(Origin { https, host, port })
}

fn server_name(text: &str) -> Result<String, String> {
    ServerName::try_from(text).map(|_| text.to_owned()).map_err(|_| String::new())
}

fn path(text: &str) -> Result<String, String> {
    let valid = text.starts_with('/') && !text.contains('#') && text.parse::<Uri>().is_ok();
    valid.then(|| text.to_owned()).ok_or_else(String::new)
}

fn small(count: usize) -> u32 {
    u32::try_from(count).expect("this cannot fail because every range fits")
}

/// The pseudonym in `Via`, a token or a host (RFC 9110, section 7.6.3).
fn via(section: &Section<'_>) -> String {
    let read = |text: &str| {
        let valid = text.len() <= 64
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte));
        valid.then(|| text.to_owned()).ok_or_else(String::new)
    };
    let expected = "a name of at most 64 letters, digits and -._~:";
    let read = |node: &_| section.parse_node(node, expected, &read);
    section.or_default("via", "duskgate".to_owned(), read, |via| quote(via)).value
}

/// The token in the file; the file's name may be said, nothing of what is in it.
fn service_token(section: &Section<'_>, directory: &Path) -> Option<SecretString> {
    let Placed { value: file, place } = section.text("service_token_file")?;
    let file: PathBuf = directory.join(file);
    let reason = match std::fs::read_to_string(&file) {
        Err(error) => cannot_read(&file, &error),
        Ok(text) => match text.trim() {
            "" => format!("the file is empty: {}", file.display()),
            token if token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                return Some(token.to_owned().into());
            }
            _ => format!("the file holds more than one token: {}", file.display()),
        },
    };
    section.mistake("service_token_file", &place, reason);
    None
}

/// The certificates in a file.
pub(super) fn certificates(file: &Path) -> Result<RootCertStore, String> {
    let text = std::fs::read(file).map_err(|error| cannot_read(file, &error))?;
    let bad =
        |error: &dyn std::fmt::Display| format!("not certificates in PEM form: {} ({error})", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        roots.add(certificate.map_err(|error| bad(&error))?).map_err(|error| bad(&error))?;
    }
    if roots.is_empty() {
        return Err(format!("no certificate in PEM form in it: {}", file.display()));
    }
    Ok(roots)
}

pub(super) fn cannot_read(file: &Path, error: &std::io::Error) -> String {
    format!("cannot read {}: {error}", file.display())
}
