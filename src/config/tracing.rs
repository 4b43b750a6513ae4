//! Reads `[tracing]`: where spans are sent, and which.

use std::path::Path;
use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;

use super::backend;
use super::file::{Node, Table, Value};
use super::listeners::shape;
use super::section::{Findings, Placed, Section, quote};
use crate::trace::{Endpoint, Settings};

/// `[tracing]`, if a collector is named there. Relative paths are relative to `directory`.
pub(super) fn read(root: &Table, findings: &Findings, directory: &Path) -> Option<Settings> {
    let section = Section::single(root, shape("tracing"), findings);
    let expected = "a base address such as \"http://127.0.0.1:4318\"";
    let endpoint =
        section.parse("otlp_endpoint", expected, endpoint, |endpoint| quote(&endpoint.to_string()));
    let sample_ratio = section.or_default("sample_ratio", 1.0, ratio, f64::to_string).value;
    let expected = "a name";
    let name = |node: &Node| section.parse_node(node, expected, &|text: &str| Ok(text.to_owned()));
    let service_name =
        section.or_default("service_name", "duskgate".to_owned(), name, |name| quote(name)).value;
    let file = section.text("ca_file");
    let is_https = endpoint.as_ref().is_some_and(|endpoint| endpoint.value.https);
    let mut roots = None;
    if let Some(Placed { value: file, place }) = file {
        match backend::certificates(&directory.join(file)) {
            _ if !is_https && !section.mistaken("otlp_endpoint") => {
                section.mistake("ca_file", &place, "is of no use: otlp_endpoint is not https");
            }
            Ok(found) => roots = Some(Arc::new(found)),
            Err(reason) => section.mistake("ca_file", &place, reason),
        }
    }
    Some(Settings { endpoint: endpoint?.value, sample_ratio, service_name, roots })
}

/// Reads `scheme://host[:port][/path]`. Says why not, without repeating a password.
fn endpoint(text: &str) -> Result<Endpoint, String> {
    let uri: Uri = text.parse().map_err(|_| String::new())?;
    let https = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(scheme) if *scheme == Scheme::HTTP => false,
        Some(_) => return Err("its scheme is neither http nor https".to_owned()),
        None => return Err("it has no scheme".to_owned()),
    };
    let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else { return Err(String::new()) };
    if authority.as_str().contains('@') {
        return Err("it cannot hold a user or a password".to_owned());
    }
    if uri.query().is_some() || text.contains('#') {
        return Err("it cannot have a query or a fragment".to_owned());
    }
    let has_port = authority.as_str().len() > host.len();
    if host.is_empty() || has_port && uri.port_u16().is_none_or(|port| port == 0) {
        return Err("its port is not a number of 1 to 65535".to_owned());
    }
    let path = uri.path().trim_end_matches('/');
    if path.ends_with("/v1/traces") {
        return Err("/v1/traces is added to it".to_owned());
    }
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    Ok(Endpoint { https, host, port, path: path.to_owned() })
}

fn ratio(node: &Node) -> Result<f64, String> {
    let number = match &node.value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(text) | Value::Loose(text) => text.replace('_', "").parse().ok(),
        _ => None,
    };
    number.filter(|number| (0.0..=1.0).contains(number)).ok_or_else(|| {
        let found = node.value.describe();
        format!("expected a number of 0 to 1, found {found}")
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, Invalid};

    const REST: &str =
        "[upstream]\nservers = [\"http://a\"]\n[deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n";

    fn read(tracing: &str) -> Result<Config, Invalid> {
        Config::read(Path::new("c.toml"), &format!("{REST}[tracing]\n{tracing}\n"), [])
    }

    fn mistake(tracing: &str) -> String {
        let invalid = read(tracing).unwrap_err();
        assert_eq!(invalid.mistakes.len(), 1, "{invalid}");
        invalid.mistakes[0].message.clone()
    }

    #[test]
    fn it_is_off_unless_a_collector_is_named() {
        assert!(read("").unwrap().tracing.is_none());
        assert!(read("sample_ratio = 0.5\nservice_name = \"gate\"").unwrap().tracing.is_none());
        let on = read("otlp_endpoint = \"http://127.0.0.1:4318\"").unwrap().tracing.unwrap();
        assert_eq!((on.sample_ratio, on.service_name.as_str()), (1.0, "duskgate"));
        assert_eq!(on.endpoint.to_string(), "http://127.0.0.1:4318");
    }

    #[test]
    fn an_endpoint_is_read_in_all_its_parts() {
        for (text, read_as) in [
            ("https://Collector.example.org", "https://collector.example.org:443"),
            ("http://[::1]:4318/", "http://[::1]:4318"),
            ("http://collector/otlp/", "http://collector:80/otlp"),
        ] {
            let config = read(&format!("otlp_endpoint = {text:?}")).unwrap();
            assert_eq!(config.tracing.unwrap().endpoint.to_string(), read_as);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for (text, reason) in [
            ("collector:4318", ""),
            ("grpc://collector:4317", "its scheme is neither http nor https"),
            ("http://user:hunter2@collector:4318", "it cannot hold a user or a password"),
            ("http://collector:0", "its port is not a number of 1 to 65535"),
            ("http://collector/?a=b", "it cannot have a query or a fragment"),
            ("http://collector:4318/v1/traces", "/v1/traces is added to it"),
        ] {
            let message = mistake(&format!("otlp_endpoint = {text:?}"));
            assert!(message.starts_with("expected a base address such as"), "{message}");
            assert!(message.ends_with(reason) && !message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn a_ratio_is_a_number_of_0_to_1() {
        for (text, ratio) in [("0", 0.0), ("1", 1.0), ("0.25", 0.25), ("1e-3", 0.001)] {
            let config = read(&format!("otlp_endpoint = \"http://a\"\nsample_ratio = {text}")).unwrap();
            assert_eq!(config.tracing.unwrap().sample_ratio, ratio);
        }
        for text in ["1.1", "-0.5", "nan", "\"half\"", "true"] {
            let message = mistake(&format!("sample_ratio = {text}"));
            assert!(message.starts_with("expected a number of 0 to 1, found"), "{message}");
        }
    }

    #[test]
    fn a_ca_file_for_no_tls_is_refused() {
        let message = mistake("otlp_endpoint = \"http://a\"\nca_file = \"a.pem\"");
        assert_eq!(message, "is of no use: otlp_endpoint is not https");
    }
}
