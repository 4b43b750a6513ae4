//! Where the backend is and how long it may take.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::certificate::Files;

/// The backend, as configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// One or more origins, which are one backend.
    pub servers: Vec<Origin>,
    /// Certificates in PEM that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// What we show to a backend that asks who we are.
    pub client_certificate: Option<Files>,
    /// The name that the backend's certificate must have, instead of the origin's host.
    pub server_name: Option<String>,
    /// Takes any certificate.
    pub insecure_skip_verify: bool,
    /// To a connection, TLS included.
    pub connect_timeout: Duration,
    /// From the end of the request to the response's head.
    pub response_timeout: Duration,
    /// Without a byte sent to or received from the backend inside a message.
    pub stall: Duration,
    /// An Onezone access token of an administrator, opaque.
    pub service_token: Option<SecretString>,
    /// A path that answers 2xx while the backend is well. Without it the backend is sent nothing of our own accord.
    pub health_path: Option<String>,
    /// Between two health checks of a server.
    pub health_interval: Duration,
    /// To the whole head of a health check's answer.
    pub health_timeout: Duration,
    /// So many health checks in a row must fail before a server is called sick.
    pub health_fall: u32,
    /// So many must succeed before it is called well again.
    pub health_rise: u32,
    /// So many broken exchanges in a row leave a server out.
    pub eject_after: u32,
    /// The longest time that a server is left out at once.
    pub eject_most: Duration,
    /// The most connections to one server, from all threads; nothing is no bound.
    pub connections_per_server: Option<usize>,
    /// How long the addresses of a name are believed.
    pub resolve_interval: Duration,
    /// Connections come from the client's own address instead of ours.
    pub from_client: bool,
    /// A connection is retired after so many requests.
    pub max_requests: u32,
    /// A connection is retired after idling so long.
    pub idle_timeout: Duration,
    /// How long the name of a target is remembered.
    pub name_cache: Duration,
    /// Whether the ip caveats of presented tokens are judged here, by the client's address.
    pub check_ip_caveats: bool,
    /// Our name in `Via` (RFC 9110 section 7.6.3).
    pub via: String,
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        let plain = |settings: &Settings| Settings { service_token: None, ..settings.clone() };
        let secret = |settings: &Settings| {
            settings.service_token.as_ref().map(|token| token.expose_secret().to_owned())
        };
        format!("{:?}", plain(self)) == format!("{:?}", plain(other)) && secret(self) == secret(other)
    }
}

impl Settings {
    /// The defaults for these servers.
    pub fn new(servers: Vec<Origin>) -> Self {
        Settings {
            servers,
            ca_file: None,
            client_certificate: None,
            server_name: None,
            insecure_skip_verify: false,
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::from_secs(60),
            stall: Duration::from_secs(60),
            service_token: None,
            health_path: None,
            health_interval: Duration::from_secs(5),
            health_timeout: Duration::from_secs(2),
            health_fall: 3,
            health_rise: 2,
            eject_after: 3,
            eject_most: Duration::from_secs(30),
            connections_per_server: None,
            resolve_interval: Duration::from_secs(30),
            from_client: false,
            max_requests: 29,
            idle_timeout: Duration::from_secs(25),
            name_cache: Duration::from_secs(60),
            check_ip_caveats: true,
            via: "duskgate".to_owned(),
        }
    }

    /// Whether TLS is set up in the same way, as far as the names of the files go.
    pub(super) fn has_tls_of(&self, other: &Settings) -> bool {
        self.ca_file == other.ca_file
            && self.client_certificate == other.client_certificate
            && self.server_name == other.server_name
            && self.insecure_skip_verify == other.insecure_skip_verify
    }

    pub(super) fn service_token_value(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(self.service_token.as_ref()?.expose_secret()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// The scheme, host and port of one backend server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Over TLS.
    pub https: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// Host and port as in `Host`; the port only where it is not the scheme's own.
    pub fn authority(&self) -> String {
        let bracketed = self.host.contains(':');
        let host = if bracketed { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.https, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.authority())
    }
}
