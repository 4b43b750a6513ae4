//! Certificates with their keys, from files: read, checked so far as a file can be checked, and looked at again for
//! changes. Whom they are shown to, and when, is known by the rooms above.

mod lookout;
mod validity;

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

pub use lookout::Lookout;

/// Where a certificate and its key stand, in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate, followed by those that lead to its authority.
    pub cert_file: PathBuf,
    /// Its private key, not encrypted.
    pub key_file: PathBuf,
}

/// A certificate and its key, which belong together.
#[derive(Clone, Debug)]
pub struct Pair {
    /// As TLS takes it.
    pub certified: Arc<CertifiedKey>,
    /// When the certificate ends to be valid.
    pub not_after: Timestamp,
    /// Everybody on this machine can read the key's file.
    is_open: bool,
    files: Files,
}

/// Which of two files is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The one with the certificate.
    Certificate,
    /// The one with the key.
    Key,
}

/// Why a certificate cannot be used. Holds nothing of what is in the file.
#[derive(Debug, thiserror::Error)]
pub struct Unusable {
    /// Which file is at fault.
    pub part: Part,
    reason: String,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Files {
    /// Reads and checks both.
    ///
    /// # Errors
    ///
    /// [`Unusable`]: a file cannot be read, holds no certificate or no key in the clear, or the two do not belong
    /// together. That a certificate has expired is no error, but one of [`Pair::warnings`].
    pub fn read(&self) -> Result<Pair, Unusable> {
        let chain = self.chain()?;
        let key = self.key()?;
        let key = aws_lc_rs::default_provider().key_provider.load_private_key(key).map_err(|error| {
            Unusable::key(format!("TLS has no use for this key: {} ({error})", self.key_file.display()))
        })?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Unusable::key(format!(
                "not the key of the first certificate in {}: {}",
                self.cert_file.display(),
                self.key_file.display()
            )),
            error => self.bad_certificate(&error),
        })?;
        let not_after = certified.cert.first().and_then(|leaf| validity::not_after(leaf));
        let not_after = not_after.ok_or_else(|| self.bad_certificate(&"it does not say until when"))?;
        let mode = std::fs::metadata(&self.key_file).map(|file| file.permissions().mode());
        let is_open = mode.is_ok_and(|mode| mode & 0o004 != 0);
        Ok(Pair { certified: Arc::new(certified), not_after, is_open, files: self.clone() })
    }

    /// Both names.
    pub fn names(&self) -> [PathBuf; 2] {
        [self.cert_file.clone(), self.key_file.clone()]
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, Unusable> {
        let file = &self.cert_file;
        let text = std::fs::read(file).map_err(|error| Unusable::certificate(cannot_read(file, &error)))?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let chain = chain.map_err(|error| self.bad_certificate(&error))?;
        if chain.is_empty() {
            let reason = format!("no certificate in PEM form in it: {}", file.display());
            return Err(Unusable::certificate(reason));
        }
        Ok(chain)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, Unusable> {
        let file = &self.key_file;
        let text = std::fs::read(file).map(Zeroizing::new);
        let text = text.map_err(|error| Unusable::key(cannot_read(file, &error)))?;
        let reason = match PrivateKeyDer::from_pem_slice(&text) {
            Ok(key) => return Ok(key),
            // Either form says so in clear: the label of PKCS #8, the header of the older ones.
            Err(_) if text.windows(9).any(|word| word == b"ENCRYPTED") => format!(
                "the key is encrypted, and nobody is there to type its password: {} (`openssl pkey` writes it in clear)",
                file.display()
            ),
            Err(pem::Error::NoItemsFound) => {
                format!("no private key in PEM form in it: {}", file.display())
            }
            Err(error) => format!("no private key in PEM form: {} ({error})", file.display()),
        };
        Err(Unusable::key(reason))
    }

    fn bad_certificate(&self, why: &dyn fmt::Display) -> Unusable {
        Unusable::certificate(format!("not certificates in PEM form: {} ({why})", self.cert_file.display()))
    }
}

impl Pair {
    /// What the operator should know about the files.
    pub fn warnings(&self, now: Timestamp) -> Vec<String> {
        let Files { cert_file, key_file } = &self.files;
        let expired = (self.not_after <= now)
            .then(|| format!("the certificate in {} has expired: {}", cert_file.display(), self.not_after));
        let open = self
            .is_open
            .then(|| format!("everybody on this machine can read the private key in {}", key_file.display()));
        expired.into_iter().chain(open).collect()
    }
}

impl Unusable {
    fn certificate(reason: String) -> Self {
        Unusable { part: Part::Certificate, reason }
    }

    fn key(reason: String) -> Self {
        Unusable { part: Part::Key, reason }
    }
}

fn cannot_read(file: &Path, error: &io::Error) -> String {
    format!("cannot read {}: {error}", file.display())
}
