//! TLS to the backend: whom we trust, and what we show of ourselves.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::Settings;
use crate::certificate::{self, Lookout, Part};
use crate::clock::Clock;

/// Why TLS to the backend cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The file of trusted certificates cannot be read.
    #[error("cannot read upstream.ca_file {path}: {reason}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Our own certificate cannot be used.
    #[error("upstream.{}: {source}", key_of(.source))]
    Client {
        /// What is wrong with it.
        #[source]
        source: certificate::Unusable,
    },
    /// The system has no trusted certificates.
    #[error("the system has no trusted certificates ({0}): install ca-certificates or set upstream.ca_file")]
    NoSystemRoots(String),
    /// The certificate cannot be checked against this name.
    #[error("upstream.server_name is no host name: {0}")]
    ServerName(String),
    /// Connections may not come from the client's address: neither CAP_NET_ADMIN nor CAP_NET_RAW is there.
    #[error(
        "upstream.source = \"client\" needs the capability CAP_NET_ADMIN or CAP_NET_RAW ({0}): give it to the service \
         (systemd: AmbientCapabilities=CAP_NET_RAW) or to the file (setcap cap_net_raw+ep), or leave upstream.source out"
    )]
    NotTransparent(#[source] io::Error),
    /// The library refused the set-up.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

/// The client side of TLS, if any server wants it. Sessions are resumed: it keeps them.
pub(super) fn client(settings: &Settings) -> Result<Option<Arc<ClientConfig>>, Unusable> {
    if !settings.servers.iter().any(|origin| origin.https) {
        return Ok(None);
    }
    if let Some(name) = &settings.server_name {
        ServerName::try_from(name.as_str()).map_err(|_| Unusable::ServerName(name.clone()))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = if settings.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAnyone(provider)))
    } else {
        builder.with_root_certificates(roots(settings)?)
    };
    let mut config = match &settings.client_certificate {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let pair = files.read().map_err(|source| Unusable::Client { source })?;
            pair.warnings(Clock::Real.now()).iter().for_each(|warning| tracing::warn!("upstream: {warning}"));
            let resolver = SingleCertAndKey::from(rustls::sign::CertifiedKey::clone(&pair.certified));
            builder.with_client_cert_resolver(Arc::new(resolver))
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

/// Whether the files that [`client`] reads have changed.
pub(super) struct Files(Mutex<Lookout>);

impl Files {
    /// Looks at those of `settings` for the first time.
    pub fn of(settings: &Settings) -> Self {
        let own = settings.client_certificate.iter().flat_map(certificate::Files::names);
        Files(Mutex::new(Lookout::new(settings.ca_file.iter().cloned().chain(own))))
    }

    /// Whether they have changed since they were last looked at.
    pub fn have_changed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).has_changed()
    }
}

fn key_of(unusable: &certificate::Unusable) -> &'static str {
    match unusable.part {
        Part::Certificate => "client_cert_file",
        Part::Key => "client_key_file",
    }
}

fn roots(settings: &Settings) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &settings.ca_file else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            return Err(Unusable::NoSystemRoots(reasons.join("; ")));
        }
        return Ok(roots);
    };
    let unusable = |reason: String| Unusable::CaFile { path: path.clone(), reason };
    let pem = std::fs::read(path).map_err(|error: io::Error| unusable(error.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("it holds no certificate in PEM".to_owned()));
    }
    Ok(roots)
}

/// `upstream.insecure_skip_verify`: any certificate will do, though the handshake's signature must still be its own.
#[derive(Debug)]
struct TrustAnyone(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
