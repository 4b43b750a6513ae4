//! Interim responses (RFC 9110 section 15.2) on their way past the one answer that a handler returns.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::write;

/// Where interim responses are handed in; what reads the request's connection writes them out. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Interim(Option<Arc<Mutex<BytesMut>>>);

impl Interim {
    /// A connection that takes interim responses.
    pub fn wanted() -> Self {
        Interim(Some(Arc::default()))
    }

    /// A client that must not be sent any: HTTP/1.0.
    pub fn unwanted() -> Self {
        Interim(None)
    }

    /// Hands one in.
    pub fn send(&self, status: StatusCode, headers: &HeaderMap) {
        if let Some(pending) = &self.0 {
            write::interim(&mut pending.lock().unwrap_or_else(PoisonError::into_inner), status, headers);
        }
    }

    /// Takes what was handed in since, as bytes to write.
    pub fn take(&self) -> Option<Bytes> {
        let mut pending = self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        (!pending.is_empty()).then(|| pending.split().freeze())
    }
}
