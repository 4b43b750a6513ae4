//! HTTP/1.1 messages as bytes: strict reading and plain writing of heads, and the framing of bodies (RFC 9112). Shared
//! by `listen` (requests in, responses out) and `upstream` (the other way round). Knows no sockets, no paths and no
//! policy.
//!
//! Strict means: whatever two readers could understand differently is refused, never repaired. httparse splits the
//! fields; line ends, framing, `Host` and the target are judged here, since it tolerates more than we may forward.

mod chunked;
pub mod framing;
pub mod head;
mod host;
mod interim;
mod outgoing;
mod target;
mod translated;
mod tunnel;
pub mod write;

pub use chunked::check_trailers;
pub use framing::{Decoded, Decoder, Framing};
pub use head::{RequestHead, ResponseHead};
pub use host::is_valid as is_host;
pub use interim::Interim;
pub use outgoing::Outgoing;
pub use translated::{Fields, translate};
pub use tunnel::{Stream, Tunnel};

/// How large a request's head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// The whole head, in bytes.
    pub bytes: usize,
    /// The number of header fields.
    pub fields: usize,
    /// The request line, in bytes.
    pub line: usize,
}

impl HeadLimits {
    /// The most header fields that any configuration may allow.
    pub const MOST_FIELDS: usize = 256;

    /// What is accepted from an upstream.
    pub const RESPONSE: HeadLimits = HeadLimits { bytes: 64 * 1024, fields: 256, line: 8 * 1024 };
}

/// Why a head was refused. Everything but the three limits is malformed or ambiguous: 400, and the connection is
/// closed, because nobody can say where the next message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The request line is longer than allowed (414).
    #[error("the request line is too long")]
    LineTooLong,
    /// The head is longer than allowed (431).
    #[error("the head is too large")]
    HeadTooLarge,
    /// There are more fields than allowed (431).
    #[error("there are too many header fields")]
    TooManyFields,
    /// The start line is none.
    #[error("the start line is malformed")]
    StartLine,
    /// A bare CR or LF, or a field continued on the next line.
    #[error("a line does not end in CRLF, or is folded")]
    LineEnd,
    /// A header field that is none: a space before the colon, a control character, …
    #[error("a header field is malformed")]
    Field,
    /// Another version than HTTP/1.0 and HTTP/1.1.
    #[error("the version is not HTTP/1.0 or HTTP/1.1")]
    Version,
    /// A target that is no origin, absolute or asterisk form of RFC 9112 section 3.2.
    #[error("the request target is malformed")]
    Target,
    /// No `Host`, several, one that is no host, or one that disagrees with the target.
    #[error("the host is missing, doubled or malformed")]
    Host,
    /// `Content-Length` is doubled or no number.
    #[error("the content length is doubled or malformed")]
    ContentLength,
    /// `Transfer-Encoding` is anything but one `chunked`, or stands in HTTP/1.0.
    #[error("the transfer coding is not exactly chunked")]
    TransferEncoding,
    /// `Content-Length` and `Transfer-Encoding` in one head.
    #[error("both a content length and a transfer coding")]
    BothLengths,
    /// `CONNECT`, which a reverse proxy does not serve.
    #[error("the method CONNECT is not served")]
    Connect,
    /// `Expect` is anything but `100-continue`.
    #[error("the expectation is not 100-continue")]
    Expect,
    /// `Connection` names a field that frames or routes the message.
    #[error("the connection field names a field that must not be dropped")]
    Connection,
}

impl Refused {
    /// Every word that [`Refused::reason`] has for what is malformed, and `chunk` for a body that is.
    pub const REASONS: [&'static str; 13] = [
        "start_line",
        "line_end",
        "field",
        "version",
        "target",
        "host",
        "content_length",
        "transfer_encoding",
        "both_lengths",
        "connect",
        "expect",
        "connection",
        "chunk",
    ];

    /// The word in metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Refused::LineTooLong => "line_too_long",
            Refused::HeadTooLarge => "head_too_large",
            Refused::TooManyFields => "too_many_fields",
            Refused::StartLine => "start_line",
            Refused::LineEnd => "line_end",
            Refused::Field => "field",
            Refused::Version => "version",
            Refused::Target => "target",
            Refused::Host => "host",
            Refused::ContentLength => "content_length",
            Refused::TransferEncoding => "transfer_encoding",
            Refused::BothLengths => "both_lengths",
            Refused::Connect => "connect",
            Refused::Expect => "expect",
            Refused::Connection => "connection",
        }
    }

    /// The limit in metrics, where it was one.
    pub fn limit(self) -> Option<&'static str> {
        match self {
            Refused::LineTooLong => Some("request_line"),
            Refused::HeadTooLarge => Some("head_bytes"),
            Refused::TooManyFields => Some("head_fields"),
            _ => None,
        }
    }

    /// The status that a client is refused with; the answer has no body.
    pub fn status(self) -> u16 {
        match self {
            Refused::LineTooLong => 414,
            Refused::HeadTooLarge | Refused::TooManyFields => 431,
            Refused::Expect => 417,
            Refused::Connect => 501,
            _ => 400,
        }
    }
}

#[cfg(test)]
mod tests;
