//! A connection that has left HTTP: what follows a 101 is bytes, both ways.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The upstream's side of a switched connection; travels as an extension of the 101 response. Clones are one, and the
/// first to [`Tunnel::take`] it has it.
#[derive(Clone)]
pub struct Tunnel(Arc<Mutex<Option<Ends>>>);

/// The stream and what was read from it beyond the 101.
pub type Ends = (Box<dyn Stream>, Bytes);

impl Tunnel {
    /// Wraps the upstream's stream and what it sent after its 101.
    pub fn new(stream: Box<dyn Stream>, early: Bytes) -> Self {
        Tunnel(Arc::new(Mutex::new(Some((stream, early)))))
    }

    /// Takes the stream out.
    pub fn take(&self) -> Option<Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
