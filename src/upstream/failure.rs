//! Why there is no answer from the backend.

use std::io;

use crate::body::Broken;
use crate::reply;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection; nothing was sent.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// No connection within the time; nothing was sent.
    #[error("no connection within the time")]
    ConnectTimeout,
    /// The TLS handshake failed, over the certificate perhaps; nothing was sent.
    #[error("the TLS handshake failed: {}", explained(.0))]
    Handshake(#[source] io::Error),
    /// Every server has as many connections as it may have; nothing was sent.
    #[error("every connection that upstream.connections_per_server allows is taken")]
    Full,
    /// A connection from the client's own address needs an address of its family; nothing was sent.
    #[error(
        "upstream.source = \"client\": the client has an {} address, the server has none",
        if *client_is_ipv6 { "IPv6" } else { "IPv4" }
    )]
    Family {
        /// Which it is.
        client_is_ipv6: bool,
    },
    /// No server is configured.
    #[error("no server")]
    NoServer,
    /// The backend closed or reset the connection before its answer was complete.
    #[error("the connection was closed before the answer was complete{}", because(.source.as_ref()))]
    Closed {
        /// The connection came from the pool and no byte of an answer was read.
        stale: bool,
        /// What the system said.
        #[source]
        source: Option<io::Error>,
    },
    /// What it sent is no answer.
    #[error("the answer is malformed: {0}")]
    Malformed(&'static str),
    /// It took too long after the request was sent.
    #[error("no answer within the time")]
    Timeout,
    /// The client's own body broke; the request was not completed.
    #[error("the request's body broke: {0}")]
    Client(#[source] Broken),
}

/// What the system, or TLS, said of it.
fn because(source: Option<&io::Error>) -> String {
    source.map_or_else(String::new, |source| format!(": {source}"))
}

/// What TLS said, in words where its own tell an operator nothing.
fn explained(error: &io::Error) -> String {
    use rustls::{CertificateError, Error};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    if let Some(Error::InvalidCertificate(CertificateError::Other(other))) = inner
        // Its type is that of a crate that rustls does not show.
        && other.0.to_string() == "CaUsedAsEndEntity"
    {
        return "the server's certificate is an authority's certificate, not a server's: issue one without CA:TRUE"
            .to_owned();
    }
    error.to_string()
}

/// The words for failures in metrics.
pub const KINDS: [&str; 7] = ["connect", "tls", "closed", "malformed", "timeout", "full", "health"];

impl Failure {
    /// Whether the backend provably did not see the request.
    pub fn had_no_effect(&self) -> bool {
        matches!(
            self,
            Failure::Connect(_)
                | Failure::ConnectTimeout
                | Failure::Handshake(_)
                | Failure::Full
                | Failure::Family { .. }
                | Failure::NoServer
        )
    }

    /// The connection was closed before its answer was complete. In TLS 1.3 a client is through with the handshake before
    /// the server has looked at its certificate (RFC 8446 section 4.4.2.4): an alert about that stands where the answer
    /// would, and the server has not read the request.
    pub(super) fn closed(source: Option<io::Error>, is_reused: bool, is_answered: bool) -> Self {
        match source {
            Some(error) if !is_reused && !is_answered && is_about_certificates(&error) => {
                Failure::Handshake(error)
            }
            source => Failure::Closed { stale: is_reused && !is_answered, source },
        }
    }

    /// Whether the client's own doing broke the exchange.
    pub fn is_the_clients(&self) -> bool {
        matches!(self, Failure::Client(_))
    }

    /// The word in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Failure::Connect(_) | Failure::ConnectTimeout | Failure::Family { .. } | Failure::NoServer => {
                "connect"
            }
            Failure::Full => "full",
            Failure::Handshake(_) => "tls",
            Failure::Closed { .. } | Failure::Client(_) => "closed",
            Failure::Malformed(_) => "malformed",
            Failure::Timeout => "timeout",
        }
    }

    pub(super) fn is_stale(&self) -> bool {
        matches!(self, Failure::Closed { stale: true, .. })
    }

    /// The word in metrics for an answer whose body broke.
    pub(super) fn kind_of(broken: &Broken) -> &'static str {
        match broken {
            Broken::Closed(_) => "closed",
            Broken::Stalled => "timeout",
            Broken::Malformed(_) | Broken::TooLarge(_) => "malformed",
        }
    }

    /// The answer's body broke.
    pub(super) fn answer(broken: Broken) -> Self {
        match broken {
            Broken::Closed(source) => Failure::Closed { stale: false, source },
            Broken::Stalled => Failure::Timeout,
            Broken::Malformed(text) => Failure::Malformed(text),
            Broken::TooLarge(_) => Failure::Malformed("it is too large"),
        }
    }
}

fn is_about_certificates(error: &io::Error) -> bool {
    use rustls::AlertDescription as Alert;
    let Some(rustls::Error::AlertReceived(alert)) = error.get_ref().and_then(|inner| inner.downcast_ref())
    else {
        return false;
    };
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::DecryptError
            | Alert::AccessDenied
    )
}

impl From<&Failure> for reply::Failure {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Connect(_)
            | Failure::ConnectTimeout
            | Failure::Full
            | Failure::Family { .. }
            | Failure::NoServer => reply::Failure::BackendUnreachable,
            Failure::Handshake(_) | Failure::Closed { .. } | Failure::Malformed(_) | Failure::Client(_) => {
                reply::Failure::BadGateway { cause: None }
            }
            Failure::Timeout => reply::Failure::BackendTimeout,
        }
    }
}
