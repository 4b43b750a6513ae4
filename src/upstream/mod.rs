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
//! request goes on a fresh connection, and is never sent twice. Another server is tried only while no byte of the request
//! was written to any.
//!
//! Which server: `choice` says it, by what `lease` counts and by where each stands (`standing`). With one server there
//! is no choice, and it is asked whatever is thought of it.

mod behalf;
mod choice;
mod connect;
mod dial;
mod exchange;
mod failure;
pub mod hygiene;
mod lease;
mod pool;
mod resolve;
mod sending;
mod server;
mod settings;
mod sketch;
mod standing;
mod tending;
mod tls;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body as _;

use crate::body::Body;
use crate::http1::{Framing, Interim};
use crate::metrics::Metrics;
use crate::trace;
pub use behalf::{kept, on_behalf};
pub use choice::MOST as MOST_SERVERS;
pub use failure::{Failure, KINDS};
use lease::Vacancy;
use sending::{Message, may_be_sent_again};
use server::Server;
pub use settings::{Origin, Settings};
pub use tending::TENDING;
pub use tls::Unusable;

/// The largest answer that [`Upstream::call`] takes, in bytes.
pub const LARGEST_ANSWER: usize = 1024 * 1024;

/// The backend.
pub struct Upstream {
    settings: Settings,
    service_token: Option<HeaderValue>,
    servers: Vec<Arc<Server>>,
    files: tls::Files,
    vacancy: Arc<Vacancy>,
    metrics: Arc<Metrics>,
}

/// Settings, and all that can fail about them done.
pub struct Prepared {
    settings: Settings,
    files: tls::Files,
    tls: Option<Arc<rustls::ClientConfig>>,
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
    /// [`Unusable`]: the certificates cannot be read, or connections may not come from the client's address.
    pub fn new(settings: Settings, metrics: Arc<Metrics>) -> Result<Self, Unusable> {
        let prepared = Prepared::of(settings)?;
        Ok(Upstream::with(prepared, metrics, Arc::new(Vacancy::default()), None))
    }

    /// The backend of other settings, which takes over from this one. Servers that stay keep their connections and what
    /// is known of them; of those that go, what is in flight ends and nothing is kept.
    pub fn replaced_by(&self, prepared: Prepared) -> Self {
        Upstream::with(prepared, Arc::clone(&self.metrics), Arc::clone(&self.vacancy), Some(self))
    }

    fn with(
        Prepared { settings, files, tls }: Prepared,
        metrics: Arc<Metrics>,
        vacancy: Arc<Vacancy>,
        before: Option<&Upstream>,
    ) -> Self {
        let names: Vec<String> = settings.servers.iter().map(Origin::to_string).collect();
        let handles = metrics.servers(&names);
        let is_same_tls = before
            .is_some_and(|before| before.settings.has_tls_of(&settings) && !before.files.have_changed());
        let known = before.map_or(&[][..], |before| &before.servers);
        let servers = settings.servers.iter().zip(handles).map(|(origin, handle)| {
            let tls = tls.clone().filter(|_| origin.https);
            match known.iter().find(|server| server.origin == *origin) {
                Some(server) => {
                    server.adopt(&settings, tls, is_same_tls || !origin.https);
                    Arc::clone(server)
                }
                None => Server::new(origin.clone(), tls, &settings, (handle, &metrics), Arc::clone(&vacancy)),
            }
        });
        let servers: Vec<Arc<Server>> = servers.collect();
        let is_gone = |server: &&Arc<Server>| servers.iter().all(|stays| !Arc::ptr_eq(stays, server));
        known.iter().filter(is_gone).for_each(|server| server.retire());
        let service_token = settings.service_token_value();
        Upstream { servers, files, service_token, settings, vacancy, metrics }
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
        let over_tls = self.servers.iter().filter(|server| server.origin.https);
        over_tls.for_each(|server| server.set_tls(tls.clone()));
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
        let from = if self.settings.from_client { behalf::client() } else { None };
        let span = parts.extensions.get::<trace::Span>();
        let attempt = |resends| span.map(|span| Box::new(span.attempt(&parts.method, resends)));
        let mut message = Message { parts: &parts, framing, interim, from, attempt: attempt(0) };
        let mut first = self.first_choice(from);
        if may_be_sent_again(&parts.method, &body)
            && let Some(connection) = first.and_then(|server| self.pooled(server, from))
        {
            match self.try_pooled(connection, &message, &body).await {
                Err(failure) if failure.is_stale() => {
                    first = None;
                    message = message.again(&failure, attempt(1));
                }
                outcome => return message.end(outcome),
            }
        }
        // Boxed: rarer, and its future is much larger than that of a pooled connection.
        let outcome = Box::pin(self.send_afresh(&message, body, first)).await;
        message.end(outcome)
    }

    /// Sends a request and reads the whole answer, of at most [`LARGEST_ANSWER`] bytes.
    ///
    /// # Errors
    ///
    /// [`Failure`]: there is no answer, or it is incomplete or too large.
    pub async fn call(&self, mut request: Request<Body>) -> Result<Answer, Failure> {
        if let Some(span) = trace::current() {
            request.extensions_mut().insert(span);
        }
        let (parts, body) = self.send(request, &Interim::unwanted()).await?.into_parts();
        let body = body.collect(LARGEST_ANSWER).await.map_err(Failure::answer)?;
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

impl Prepared {
    /// Reads the certificates that `settings` name, and sees whether the system allows what they want.
    ///
    /// # Errors
    ///
    /// [`Unusable`]: the certificates cannot be read, or connections may not come from the client's address.
    pub fn of(settings: Settings) -> Result<Self, Unusable> {
        // Looked at first: what changes from now on is a change.
        let files = tls::Files::of(&settings);
        let tls = tls::client(&settings)?;
        if settings.from_client {
            may_be_transparent()?;
        }
        Ok(Prepared { settings, files, tls })
    }
}

/// Whether connections may come from addresses that are not ours, of either family that the system has.
fn may_be_transparent() -> Result<(), Unusable> {
    let unspecified =
        [SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))];
    let mut outcome = Ok(());
    for like in unspecified {
        match dial::transparent(like) {
            Ok(_) => return Ok(()),
            Err(error) => outcome = Err(Unusable::NotTransparent(error)),
        }
    }
    outcome
}
