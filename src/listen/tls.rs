//! TLS of a listener: versions 1.2 and 1.3 with AEAD suites and forward secrecy only, several certificates told apart
//! by the name that the client asks for, and sessions that are resumed. Certificates are replaced under its connections,
//! which do not notice.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls_pki_types::ServerName;

use crate::certificate::Pair;

/// What is offered by ALPN, the most wanted first. A client that offers nothing speaks HTTP/1.1; one that offers only
/// others is refused (RFC 7301 section 3.2).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// How many sessions are kept for clients of TLS 1.2 that take no tickets.
const SESSIONS: usize = 1024;

/// The server side of TLS of one listener.
pub struct Tls {
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
}

impl Tls {
    /// TLS with these certificates; the first is shown to clients that ask for a name of none.
    ///
    /// # Errors
    ///
    /// The library refuses: there is no randomness.
    pub fn new(pairs: Vec<Pair>) -> Result<Self, rustls::Error> {
        let certificates = Arc::new(Certificates(ArcSwap::from_pointee(pairs)));
        // The library's own choice of suites: there are no others in it but AEAD with (EC)DHE.
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        // Tickets under keys of this process that change every six hours.
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        Ok(Tls { config: Arc::new(config), certificates })
    }

    /// Shows these certificates from now on.
    pub fn replace(&self, pairs: Vec<Pair>) {
        self.certificates.0.store(Arc::new(pairs));
    }

    /// The certificates that are shown.
    pub fn pairs(&self) -> Arc<Vec<Pair>> {
        self.certificates.0.load_full()
    }

    /// When the first of them ends to be valid.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.certificates.0.load().iter().map(|pair| pair.not_after).min()
    }

    pub(super) fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// The certificates in force.
#[derive(Debug)]
struct Certificates(ArcSwap<Vec<Pair>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pairs = self.0.load();
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        choose(&pairs, name.as_ref(), |certified| {
            certified.key.choose_scheme(hello.signature_schemes()).is_some()
        })
    }
}

/// The first certificate that is for `name`, of several such the first whose key the client can use; else the first.
fn choose(
    pairs: &[Pair],
    name: Option<&ServerName<'_>>,
    is_usable: impl Fn(&CertifiedKey) -> bool,
) -> Option<Arc<CertifiedKey>> {
    let [first, others @ ..] = pairs else { return None };
    if others.is_empty() {
        return Some(Arc::clone(&first.certified));
    }
    let named = |pair: &&Pair| name.is_some_and(|name| is_for(&pair.certified, name));
    let usable = |pair: &&Pair| is_usable(&pair.certified);
    let mut candidates = pairs.iter().filter(named).peekable();
    let fallback = candidates.peek().copied().unwrap_or(first);
    let chosen = candidates.find(usable).unwrap_or(fallback);
    Some(Arc::clone(&chosen.certified))
}

/// Whether a certificate names `name`, with wildcards as RFC 9525 section 6.3 has them.
fn is_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let leaf = certified.cert.first().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
    leaf.is_some_and(|leaf| verify_server_name(&leaf, name).is_ok())
}
