//! Requests that never become one: malformed, too large or too late. The answer has no body and closes the connection.

use http::StatusCode;

use crate::http1::Refused;
use crate::metrics::Metrics;

/// Why, as a status and a word in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    word: &'static str,
    is_limit: bool,
}

impl Refusal {
    /// The client took too long.
    pub fn late(limit: &'static str) -> Self {
        Refusal { status: 408, word: limit, is_limit: true }
    }

    /// The framing of the body is malformed.
    pub fn chunk() -> Self {
        Refusal { status: 400, word: "chunk", is_limit: false }
    }

    /// The client speaks HTTP where TLS is wanted.
    pub fn plain_http() -> Self {
        Refusal { status: 400, word: "plain_http", is_limit: false }
    }

    /// The TLS handshake failed.
    pub fn handshake() -> Self {
        Refusal { status: 400, word: "tls_handshake", is_limit: false }
    }

    /// What is malformed in another framing than that of HTTP/1.1, by its word in metrics.
    pub fn malformed(word: &'static str) -> Self {
        Refusal { status: 400, word, is_limit: false }
    }

    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST)
    }

    pub fn count(self, metrics: &Metrics, listener: usize) {
        if self.is_limit {
            metrics.limit_hit(self.word);
        } else {
            metrics.malformed(listener, self.word);
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let (word, is_limit) = refused.limit().map_or((refused.reason(), false), |limit| (limit, true));
        Refusal { status: refused.status(), word, is_limit }
    }
}
