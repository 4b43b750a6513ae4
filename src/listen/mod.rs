//! Sockets: accepting connections, reading strict requests of HTTP/1.1 and HTTP/2 from them, writing the answers, and draining. It
//! knows no paths and no policy; what answers is a [`Handler`].
//!
//! How HTTP/1.1 is read, and why by a codec of our own. hyper's server repairs what a proxy must refuse (a length
//! beside a transfer coding, bare line feeds, a fragment in the target), never shows it to a service, cannot send
//! interim responses, answers `Expect` by itself and keeps 20 KiB for an idle connection. The choice was between (a) a
//! guard around the socket that frames every head and body strictly before hyper frames them again, and (b) a codec:
//!
//! - *correctness*: both need the strict framing of heads, lengths, chunks and trailers. (a) must also keep in step
//!   with a second parser that disagrees with it by design, and carry interim responses around it; in (b) there is one
//!   reading of each byte, and what was read is what is forwarded.
//! - *lines*: the strict framing is `http1/` either way, 1,300 lines. (b) adds this room's connection loop, 1,200; (a)
//!   adds the guard, the interleaving of interim responses with hyper's writes, and the bookkeeping of where hyper is.
//! - *CPU*: (b) makes four system calls a small GET, the least there can be, and costs 1.05 of nginx (median of 7
//!   rounds of `cargo bench --bench proxy`, 16 to 20 us each on a shared machine). hyper on both sides was measured
//!   beforehand at 0.97 to 1.13, without any guard.
//! - *memory*: an idle connection of (b) keeps no buffer, 2.3 KiB in the same bench, nginx 1.0. hyper keeps its read
//!   buffer and the whole service, 20 to 34 KiB, and (a) would keep them too.
//!
//! So (b): httparse splits heads, `http1/` judges them, this room owns the connection. hyper serves the admin listener
//! and the sandbox, where its leniency harms nobody.

mod accept;
mod answer;
mod arrival;
mod bind;
mod connection;
pub mod forwarded;
mod frames;
mod gate;
mod handles;
mod http2;
mod incoming;
mod input;
pub mod network;
mod notices;
mod peer;
pub mod proxy_protocol;
mod peers;
mod refusal;
mod stream;
mod switch;
mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response};

use crate::body::Body;
use crate::certificate::Files;
use crate::http1::{HeadLimits, Refused};

pub use accept::serve;
pub use arrival::Terms;
pub use bind::{Bound, adopt, bind};
pub use gate::{Accepting, Gate};
pub use handles::{handles_are_free, is_out_of_handles, want_handles};
pub use http2::Bounds as Http2;
pub use network::peer_key;
pub use peer::Peer;
pub use tls::Tls;

/// One listener, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// The certificates to show, the default first; without one it is plain HTTP.
    pub tls: Vec<Files>,
    /// Whether each connection begins with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Whom to believe where a connection or a request really comes from.
    pub trusted_proxies: network::Trusted,
}

/// What a client may take, in time and in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the connection's start to the end of the TLS handshake.
    pub tls_handshake: Duration,
    /// From a request's first byte (or from the connection's start) to the end of its head.
    pub request_head: Duration,
    /// Without a byte of a body read from the client, or of an answer taken by it.
    pub client_stall: Duration,
    /// Between two requests on one connection.
    pub client_idle: Duration,
    /// How large a head may be.
    pub head: HeadLimits,
    /// Open at once; more wait to be accepted.
    pub connections: Option<usize>,
    /// Open at once from one IPv4 address or one IPv6 /64; more are closed at once.
    pub connections_per_peer: Option<usize>,
    /// What one connection of HTTP/2 may do.
    pub http2: Http2,
    /// Requests served at once on connections of HTTP/2, beside one for each connection.
    pub http2_places: usize,
}

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. The future is dropped when the client goes away meanwhile.
    fn handle(&self, request: Request<Body>, peer: &Peer) -> impl Future<Output = Response<Body>> + Send;
}

/// The words for limits in metrics.
pub const LIMITS: [&str; 13] = [
    "request_line",
    "head_bytes",
    "head_fields",
    "tls_handshake",
    "request_head",
    "client_stall",
    "client_idle",
    "connections",
    "connections_per_peer",
    "file_handles",
    http2::LIMITS[0],
    http2::LIMITS[1],
    http2::LIMITS[2],
];
/// The words for connections that never become HTTP, beside those of malformed requests.
const NO_HTTP: [&str; 2] = ["plain_http", "tls_handshake"];
/// The words for connections that do not begin as the listener wants it, beside those of malformed requests.
const NO_PROXY_HEADER: [&str; 5] =
    ["proxy_missing", "proxy_form", "proxy_too_long", "proxy_checksum", UNTRUSTED];
/// The word for a connection from an address from which no PROXY header is believed.
const UNTRUSTED: &str = "proxy_untrusted";

/// Every word in metrics for what is malformed.
pub fn reasons() -> Vec<&'static str> {
    Refused::REASONS.into_iter().chain(NO_HTTP).chain(NO_PROXY_HEADER).chain(http2::REASONS).collect()
}
