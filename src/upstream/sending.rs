//! One request on its way to one of the servers: which, on what connection, and whether another one may be tried.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use http::header::UPGRADE;
use http::request::Parts;
use http::{HeaderMap, Method, Response};

use super::choice::{self, Set};
use super::connect::Connection;
use super::exchange::{Exchange, Unsent};
use super::server::Server;
use super::standing::Place;
use super::{Failure, Upstream};
use crate::body::Body;
use crate::http1::{Framing, Interim, write};
use crate::trace::Attempt;

/// A request as it is sent, perhaps twice; its body comes with each time.
pub(super) struct Message<'a> {
    pub parts: &'a Parts,
    pub framing: Framing,
    pub interim: &'a Interim,
    /// The client whose address it comes from.
    pub from: Option<IpAddr>,
    /// The span of this time, where there are spans.
    pub attempt: Option<Box<Attempt>>,
}

impl Message<'_> {
    fn unsent(&self, body: Body) -> Unsent {
        let target = self.parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut head = BytesMut::new();
        write::request(&mut head, &self.parts.method, target, &self.fields(), self.framing);
        Unsent::new(head, self.framing, body)
    }

    fn fields(&self) -> Cow<'_, HeaderMap> {
        match &self.attempt {
            None => Cow::Borrowed(&self.parts.headers),
            Some(attempt) => Cow::Owned(attempt.fields(&self.parts.headers)),
        }
    }

    fn asks(&self, server: &Server) {
        if let Some(attempt) = &self.attempt {
            attempt.server(&server.origin.host, server.origin.port);
        }
    }

    /// The same for another time, after a failure.
    pub fn again(self, failure: &Failure, attempt: Option<Box<Attempt>>) -> Self {
        if let Some(attempt) = self.attempt {
            attempt.end(Err(failure.kind()));
        }
        Message { attempt, ..self }
    }

    /// The outcome, noted in the span.
    pub fn end(self, outcome: Result<Response<Body>, Failure>) -> Result<Response<Body>, Failure> {
        if let Some(attempt) = self.attempt {
            attempt.end(outcome.as_ref().map(Response::status).map_err(Failure::kind));
        }
        outcome
    }
}

/// What has become of the servers for one request.
#[derive(Default)]
struct Tried {
    /// They failed.
    failed: Set,
    /// They have as many connections as they may have.
    full: Set,
    /// They had, at some time.
    were_full: Set,
}

impl Upstream {
    /// The server that a request should go to.
    pub(super) fn first_choice(&self, from: Option<IpAddr>) -> Option<usize> {
        self.choose(&Tried::default(), from)
    }

    /// A pooled connection to this server.
    pub(super) fn pooled(&self, server: usize, from: Option<IpAddr>) -> Option<Box<Connection>> {
        let mut connection = self.servers[server].take(from)?;
        if self.servers.len() > 1 {
            connection.lease.begin();
        }
        Some(connection)
    }

    /// Sends a request that may be sent again on a pooled connection.
    pub(super) async fn try_pooled(
        &self,
        connection: Box<Connection>,
        message: &Message<'_>,
        body: &Body,
    ) -> Result<Response<Body>, Failure> {
        let server = Arc::clone(connection.server());
        let outcome = self.exchange(connection, message, message.unsent(again(body))).await;
        outcome.map_err(|(failure, _)| {
            if failure.is_stale() {
                tracing::debug!("a pooled connection to {} had died, sending again", server.origin);
            }
            failure
        })
    }

    /// Sends a request on a fresh connection, to one server after the other until one has got a byte of it; to `first`
    /// before any other.
    pub(super) async fn send_afresh(
        &self,
        message: &Message<'_>,
        body: Body,
        mut first: Option<usize>,
    ) -> Result<Response<Body>, Failure> {
        let begin = Instant::now();
        let mut tried = Tried::default();
        let mut unsent = message.unsent(body);
        let mut failure = Failure::NoServer;
        loop {
            let Some(index) = first.take().or_else(|| self.choose(&tried, message.from)) else {
                let left = self.settings.connect_timeout.saturating_sub(begin.elapsed());
                if tried.full.is_empty() || left.is_zero() {
                    if matches!(failure, Failure::Full) {
                        tracing::warn!("a request was not sent: {failure}");
                    }
                    return Err(failure);
                }
                let has_room = || self.each(|index, server| tried.full.has(index) && server.has_room());
                self.vacancy.wait(left, has_room).await;
                tried.full = Set::default();
                continue;
            };
            let server = &self.servers[index];
            let mut connection = match server.connect(&self.settings, message.from).await {
                Ok(connection) => connection,
                Err(Failure::Full) => {
                    tried.full.add(index);
                    if !tried.were_full.has(index) {
                        tried.were_full.add(index);
                        self.metrics.upstream_error(server.handle, Failure::Full.kind());
                    }
                    // What another server said is worth more.
                    if matches!(failure, Failure::NoServer) {
                        failure = Failure::Full;
                    }
                    continue;
                }
                Err(error) => {
                    message.asks(server);
                    tracing::warn!("no connection to {}: {error}", server.origin);
                    tried.failed.add(index);
                    failure = error;
                    continue;
                }
            };
            if self.servers.len() > 1 {
                connection.lease.begin();
            }
            match self.exchange(connection, message, unsent).await {
                Ok(response) => return Ok(response),
                Err((error, None)) => return Err(error),
                Err((error, Some(again))) => {
                    tried.failed.add(index);
                    (unsent, failure) = (again, error);
                }
            }
        }
    }

    /// One exchange. Where it fails, the request comes back if no byte of it was written and it is not the client's
    /// doing.
    async fn exchange(
        &self,
        connection: Box<Connection>,
        message: &Message<'_>,
        unsent: Unsent,
    ) -> Result<Response<Body>, (Failure, Option<Unsent>)> {
        let server = Arc::clone(connection.server());
        message.asks(&server);
        let may_switch = message.parts.headers.contains_key(UPGRADE);
        let begin = Instant::now();
        let mut exchange = Exchange::new(connection, unsent, message.parts.version, &self.settings);
        match exchange.head(&message.parts.method, may_switch, message.interim).await {
            Ok(head) => {
                self.metrics.upstream_request(server.handle, begin.elapsed().as_secs_f64());
                server.answered();
                Ok(exchange.respond(head))
            }
            Err(failure) if failure.is_stale() || failure.is_the_clients() => Err((failure, None)),
            Err(failure) => {
                tracing::warn!("no answer from {}: {failure}", server.origin);
                server.failed(&failure);
                Err((failure, exchange.unsent()))
            }
        }
    }

    /// The server for a request: one of those that are asked, else one of those that are left out. Those that failed or
    /// are full already are not chosen again.
    fn choose(&self, tried: &Tried, from: Option<IpAddr>) -> Option<usize> {
        let is_new = |index| !tried.failed.has(index) && !tried.full.has(index);
        if self.servers.len() == 1 {
            return is_new(0).then_some(0);
        }
        let (mut good, mut left_out, mut is_any_due) = (Set::default(), Set::default(), false);
        for (index, server) in self.servers.iter().enumerate() {
            let place = server.place();
            is_any_due |= place == Place::Due;
            match place {
                _ if !is_new(index) => {}
                // Asked last, so that somebody says why.
                _ if !server.addresses.suits(from) => left_out.add(index),
                Place::In => good.add(index),
                Place::OnTrial if server.counts.busy() == 0 => good.add(index),
                Place::OnTrial | Place::Due | Place::Out => left_out.add(index),
            }
        }
        if good.is_empty() {
            good = left_out;
        } else if is_any_due {
            self.try_due(from);
        }
        choice::choose(good, fastrand::u64(..), |index| self.servers[index].counts.busy())
    }

    /// Tries a connection to each server whose time has come, beside the request that goes to another one. It is kept
    /// for the next, so that nothing is sent that no client asked for.
    fn try_due(&self, from: Option<IpAddr>) {
        let due =
            self.servers.iter().filter(|server| server.place() == Place::Due && server.trying.is_free());
        for server in due {
            let (server, settings) = (Arc::clone(server), self.settings.clone());
            tokio::spawn(async move {
                let Some(_only) = server.trying.begin() else { return };
                match server.connect(&settings, from).await {
                    Ok(mut connection) => {
                        // It may die in the pool like one that has been used.
                        connection.requests += 1;
                        server.put(connection);
                    }
                    Err(failure) => tracing::debug!("still no connection to {}: {failure}", server.origin),
                }
            });
        }
    }

    fn each(&self, is_so: impl Fn(usize, &Server) -> bool) -> bool {
        self.servers.iter().enumerate().any(|(index, server)| is_so(index, server))
    }
}

/// Whether a request may be sent twice (RFC 9110, section 9.2.2), and can be.
pub(super) fn may_be_sent_again(method: &Method, body: &Body) -> bool {
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
