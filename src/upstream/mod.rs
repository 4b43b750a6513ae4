//! The only door to the backend: connections and their pool, TLS, time limits, hop-by-hop hygiene, and when a request
//! may be sent again. It knows nothing of what is deprecated.
//!
//! Why a client of our own. hyper's client does not say how many bytes of a request were written, so "sent again only
//! if no byte was written" cannot be decided with it; its read buffer grows to 400 KiB; and it was measured to cost
//! more than the rest of the proxy (`benches/`). The framing is [`crate::http1`]'s, shared with the listening side. The
//! rooms above see [`Upstream::send`] and [`Upstream::call`] and nothing behind them.
//!
//! Sending again (RFC 9110 section 9.2.2): a connection that lay in the pool may die under a request. GET, HEAD,
//! OPTIONS and TRACE without a streamed body are sent once more, on a fresh connection, if a reused one dies before the
//! first byte of the answer. Nothing proves that a pooled connection is still alive at the other end, so every other
//! request goes on a fresh connection, and is never sent twice.

mod connect;
mod exchange;
mod failure;
pub mod hygiene;
mod pool;
mod settings;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as _;

use crate::body::Body;
use crate::http1::{Framing, Interim, write};
use crate::metrics::Metrics;
use connect::Connection;
use exchange::Exchange;
pub use failure::{Failure, KINDS};
use pool::Server;
pub use settings::{Origin, Settings};
pub use tls::Unusable;

/// The largest answer that [`Upstream::call`] takes, in bytes.
pub const LARGEST_ANSWER: usize = 1024 * 1024;

/// The backend.
pub struct Upstream {
    settings: Settings,
    service_token: Option<HeaderValue>,
    servers: Vec<Arc<Server>>,
    files: tls::Files,
    next: AtomicUsize,
    metrics: Arc<Metrics>,
}

/// A request as it is sent, perhaps twice; its body comes with each time.
struct Message<'a> {
    parts: &'a Parts,
    framing: Framing,
    interim: &'a Interim,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its end-to-end fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Upstream {
    /// The backend that `settings` describe.
    ///
    /// # Errors
    ///
    /// [`Unusable`]: the certificates cannot be read.
    pub fn new(settings: Settings, metrics: Arc<Metrics>) -> Result<Self, Unusable> {
        // Looked at first: what changes from now on is a change.
        let files = tls::Files::of(&settings);
        let tls = tls::client(&settings)?;
        let names: Vec<String> = settings.servers.iter().map(Origin::to_string).collect();
        let handles = metrics.servers(&names);
        let servers = settings.servers.iter().zip(handles).map(|(origin, handle)| {
            Arc::new(Server::new(origin.clone(), tls.clone(), &settings, handle, Arc::clone(&metrics)))
        });
        let service_token = settings.service_token_value();
        let servers = servers.collect();
        Ok(Upstream { servers, files, next: AtomicUsize::new(0), service_token, settings, metrics })
    }

    /// What it was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes up the files of TLS if they have changed since they were last looked at, for connections to come; those that
    /// are pooled are not used again. Says whether they have. Reads files.
    ///
    /// # Errors
    ///
    /// [`Unusable`]: the old ones stay in force.
    pub fn take_up_changed_files(&self) -> Result<bool, Unusable> {
        if !self.files.have_changed() {
            return Ok(false);
        }
        let tls = tls::client(&self.settings)?;
        self.servers.iter().for_each(|server| server.set_tls(tls.clone()));
        Ok(true)
    }

    /// The service token as a header value, if one is configured.
    pub fn service_token(&self) -> Option<&HeaderValue> {
        self.service_token.as_ref()
    }

    /// Sends a request whose fields are end-to-end ones (see [`hygiene::request`]), and returns the answer once its
    /// head is there; the body streams, and the request's body goes on streaming while it does. Interim responses go
    /// to `interim` (RFC 9110 section 15.2). A switch of protocols, where `Upgrade` asks for one, is a response 101
    /// that carries a [`crate::http1::Tunnel`].
    ///
    /// # Errors
    ///
    /// [`Failure`]: there is no answer.
    pub async fn send(&self, request: Request<Body>, interim: &Interim) -> Result<Response<Body>, Failure> {
        let (mut parts, body) = request.into_parts();
        parts.headers.remove(CONTENT_LENGTH);
        parts.headers.remove(TRANSFER_ENCODING);
        let framing = match (&body, body.size_hint().exact()) {
            (Body::None, _) => Framing::None,
            (_, Some(length)) => Framing::Length(length),
            (_, None) => Framing::Chunked,
        };
        let message = Message { parts: &parts, framing, interim };

        if may_be_sent_again(&parts.method, &body)
            && let Some(connection) = self.pooled()
        {
            let server = Arc::clone(connection.server());
            match self.exchange(connection, &message, again(&body)).await {
                Err(failure) if failure.is_stale() => {
                    tracing::debug!("a pooled connection to {} had died, sending again", server.origin);
                }
                outcome => return outcome,
            }
        }
        let connection = self.connect().await?;
        self.exchange(connection, &message, body).await
    }

    /// Sends a request and reads the whole answer, of at most [`LARGEST_ANSWER`] bytes.
    ///
    /// # Errors
    ///
    /// [`Failure`]: there is no answer, or it is incomplete or too large.
    pub async fn call(&self, request: Request<Body>) -> Result<Answer, Failure> {
        let (parts, body) = self.send(request, &Interim::unwanted()).await?.into_parts();
        let body = body.collect(LARGEST_ANSWER).await.map_err(Failure::answer)?;
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// Whether any server answers now: on the health path, where one is configured, else by accepting a connection.
    pub async fn answers(&self) -> bool {
        for server in &self.servers {
            let answers = match (&self.settings.health_path, server.connect(&self.settings).await) {
                (_, Err(_)) => false,
                (None, Ok(_)) => true,
                (Some(path), Ok(connection)) => self.is_healthy(connection, path).await,
            };
            self.metrics.upstream_up(server.handle, answers);
            if answers {
                return true;
            }
        }
        false
    }

    /// Drops the pooled connections that have idled long enough.
    pub fn reap(&self) {
        self.servers.iter().for_each(|server| server.reap());
    }

    async fn is_healthy(&self, connection: Box<Connection>, path: &str) -> bool {
        let host = connection.server().origin.authority();
        let Ok(request) = Request::get(path).header(HOST, host).body(()) else { return false };
        let interim = Interim::unwanted();
        let message = Message { parts: &request.into_parts().0, framing: Framing::None, interim: &interim };
        let answer = self.exchange(connection, &message, Body::None).await;
        answer.is_ok_and(|response| response.status().is_success())
    }

    /// A pooled connection, to the server whose turn it is.
    fn pooled(&self) -> Option<Box<Connection>> {
        self.in_turn().find_map(|server| server.take())
    }

    /// A fresh connection, to the first server that accepts one.
    async fn connect(&self) -> Result<Box<Connection>, Failure> {
        let mut failure = None;
        // All at once: one that fails now becomes a suspect, and would have another turn among them.
        let servers: Vec<&Arc<Server>> = self.in_turn().collect();
        for server in servers {
            match server.connect(&self.settings).await {
                Ok(connection) => {
                    self.metrics.upstream_up(server.handle, true);
                    return Ok(connection);
                }
                Err(error) => {
                    tracing::warn!("no connection to {}: {error}", server.origin);
                    server.failed(error.kind());
                    self.metrics.upstream_up(server.handle, false);
                    failure = Some(error);
                }
            }
        }
        Err(failure.unwrap_or(Failure::NoServer))
    }

    /// The servers, beginning with another one each time; those that failed lately come last.
    fn in_turn(&self) -> impl Iterator<Item = &Arc<Server>> {
        let count = self.servers.len();
        let first = if count > 1 { self.next.fetch_add(1, Ordering::Relaxed) % count } else { 0 };
        let turn = move || (0..count).map(move |step| &self.servers[(first + step) % count]);
        turn().filter(|server| !server.is_suspect()).chain(turn().filter(|server| server.is_suspect()))
    }

    async fn exchange(
        &self,
        connection: Box<Connection>,
        message: &Message<'_>,
        body: Body,
    ) -> Result<Response<Body>, Failure> {
        let Message { parts, framing, interim } = message;
        let server = Arc::clone(connection.server());
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut head = BytesMut::new();
        write::request(&mut head, &parts.method, target, &parts.headers, *framing);
        let may_switch = parts.headers.contains_key(UPGRADE);
        let begin = Instant::now();
        let mut exchange = Exchange::new(connection, head, *framing, body, &self.settings);
        let outcome = exchange.head(&parts.method, may_switch, interim).await;
        match &outcome {
            Ok(_) => self.metrics.upstream_request(server.handle, begin.elapsed().as_secs_f64()),
            Err(failure) if failure.is_stale() || failure.is_the_clients() => {}
            Err(failure) => {
                tracing::warn!("no answer from {}: {failure}", server.origin);
                server.failed(failure.kind());
            }
        }
        Ok(exchange.respond(outcome?))
    }
}

fn may_be_sent_again(method: &Method, body: &Body) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
        && !matches!(body, Body::Stream(_))
}

/// The same body once more; only of bodies that are at hand.
fn again(body: &Body) -> Body {
    match body {
        Body::Full(bytes) => Body::Full(bytes.clone()),
        Body::None | Body::Stream(_) => Body::None,
    }
}
