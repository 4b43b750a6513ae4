//! Interim responses (RFC 9110 section 15.2) on their way past the one answer that a handler returns.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::write;

/// Where interim responses are handed in; what reads the request's connection writes them out. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Interim(Option<Arc<Mutex<Pending>>>);

/// What was handed in and not yet taken.
#[derive(Debug)]
enum Pending {
    /// As HTTP/1.1 writes them, so that a connection that takes many keeps one buffer.
    Written(BytesMut),
    /// As they were handed in.
    Kept(Vec<(StatusCode, HeaderMap)>),
}

impl Interim {
    /// A connection that takes interim responses as bytes of HTTP/1.1.
    pub fn wanted() -> Self {
        Interim(Some(Arc::new(Mutex::new(Pending::Written(BytesMut::new())))))
    }

    /// A connection that frames interim responses by itself.
    pub fn kept() -> Self {
        Interim(Some(Arc::new(Mutex::new(Pending::Kept(Vec::new())))))
    }

    /// A client that must not be sent any: HTTP/1.0.
    pub fn unwanted() -> Self {
        Interim(None)
    }

    /// Hands one in.
    pub fn send(&self, status: StatusCode, headers: &HeaderMap) {
        let Some(pending) = &self.0 else { return };
        match &mut *pending.lock().unwrap_or_else(PoisonError::into_inner) {
            Pending::Written(bytes) => write::interim(bytes, status, headers),
            Pending::Kept(all) => all.push((status, headers.clone())),
        }
    }

    /// Takes what was handed in since, as bytes to write.
    pub fn take(&self) -> Option<Bytes> {
        match &mut *self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner) {
            Pending::Written(bytes) => (!bytes.is_empty()).then(|| bytes.split().freeze()),
            Pending::Kept(_) => None,
        }
    }

    /// Takes what was handed in since, of [`Interim::kept`].
    pub fn take_kept(&self) -> Vec<(StatusCode, HeaderMap)> {
        let Some(pending) = &self.0 else { return Vec::new() };
        match &mut *pending.lock().unwrap_or_else(PoisonError::into_inner) {
            Pending::Written(_) => Vec::new(),
            Pending::Kept(all) => std::mem::take(all),
        }
    }
}
