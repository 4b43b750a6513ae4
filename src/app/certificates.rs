//! The certificates of the listeners: read at the start and at each reload, and taken up within a second or two when
//! their files change, without a signal. Files that do not make a certificate with its key leave the old one in force.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::Failure;
use crate::certificate::{Files, Lookout, Pair};
use crate::clock::Clock;
use crate::listen::{self, Gate, Terms, Tls};
use crate::metrics::Metrics;

/// The certificates in force.
pub(super) struct Certificates {
    /// By the index of the listener.
    listeners: Mutex<Vec<Listener>>,
}

/// Those of one listener, in the order of its configuration; none where it is plain.
#[derive(Default)]
struct Listener {
    tls: Option<Arc<Tls>>,
    watched: Vec<(Files, Lookout)>,
}

/// Certificates as they were read, to be put in force together.
pub(super) struct Loaded(Vec<Vec<(Files, Lookout, Pair)>>);

impl Loaded {
    /// Reads the certificates of every listener.
    ///
    /// # Errors
    ///
    /// The first that cannot be used.
    pub fn read(settings: &[listen::Settings]) -> Result<Self, Failure> {
        let mut listeners = Vec::new();
        for (index, listener) in settings.iter().enumerate() {
            let mut pairs = Vec::new();
            for files in &listener.tls {
                // Looked at first: what changes from now on is a change.
                let lookout = Lookout::new(files.names());
                let failure =
                    |source| Failure::Certificate { name: format!("listener[{index}].tls"), source };
                pairs.push((files.clone(), lookout, files.read().map_err(failure)?));
            }
            listeners.push(pairs);
        }
        Ok(Loaded(listeners))
    }
}

impl Certificates {
    /// None yet.
    pub fn new() -> Self {
        Certificates { listeners: Mutex::default() }
    }

    /// Puts certificates in force for connections to come, and says what is strange about them. A listener that has had
    /// TLS goes on with its sessions.
    ///
    /// # Errors
    ///
    /// The library refuses; nothing has changed.
    pub fn put_in_force(
        &self,
        loaded: Loaded,
        settings: &[listen::Settings],
        gate: &Gate,
        metrics: &Metrics,
    ) -> Result<(), Failure> {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = Vec::new();
        for (index, pairs) in loaded.0.into_iter().enumerate() {
            let (watched, pairs): (Vec<_>, Vec<_>) =
                pairs.into_iter().map(|(files, lookout, pair)| ((files, lookout), pair)).unzip();
            let known = listeners.get(index).and_then(|listener| listener.tls.clone());
            let tls = match known {
                _ if pairs.is_empty() => None,
                Some(tls) => Some(tls),
                None => Some(Arc::new(Tls::new(pairs.clone()).map_err(Failure::Tls)?)),
            };
            fresh.push((Listener { tls, watched }, pairs));
        }
        listeners.clear();
        for (index, (listener, pairs)) in fresh.into_iter().enumerate() {
            pairs.iter().for_each(|pair| warn_about(index, pair));
            if let Some(tls) = &listener.tls {
                tls.replace(pairs);
            }
            metrics.certificates_end(index, earliest(listener.tls.as_deref()));
            gate.set_terms(index, Terms::new(&settings[index], listener.tls.clone()));
            listeners.push(listener);
        }
        Ok(())
    }

    /// Takes up the certificates whose files have changed since this was last called. Reads files.
    pub fn take_up_changes(&self, metrics: &Metrics) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, Listener { tls, watched }) in listeners.iter_mut().enumerate() {
            let Some(tls) = tls else { continue };
            for (place, (files, lookout)) in watched.iter_mut().enumerate() {
                if lookout.has_changed() {
                    take_up(tls, index, place, files);
                    metrics.certificates_end(index, earliest(Some(tls)));
                }
            }
        }
    }
}

fn take_up(tls: &Tls, listener: usize, place: usize, files: &Files) {
    match files.read() {
        Ok(pair) => {
            let file = files.cert_file.display();
            tracing::info!(
                "listener[{listener}] has a new certificate: {file}, valid until {}",
                pair.not_after
            );
            warn_about(listener, &pair);
            let mut pairs = tls.pairs().to_vec();
            pairs[place] = pair;
            tls.replace(pairs);
        }
        Err(unusable) => {
            tracing::warn!("listener[{listener}] goes on with its old certificate: {unusable}");
        }
    }
}

fn warn_about(listener: usize, pair: &Pair) {
    for warning in pair.warnings(Clock::Real.now()) {
        tracing::warn!("listener[{listener}]: {warning}");
    }
}

fn earliest(tls: Option<&Tls>) -> Option<Timestamp> {
    tls.and_then(Tls::not_after)
}
