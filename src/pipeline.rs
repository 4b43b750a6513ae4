//! One request from start to finish. Most are not deprecated and are passed on; a deprecated one is decided upon, served,
//! dressed and counted, whatever becomes of it.

mod count;

use std::sync::Arc;
use std::time::Instant;

use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, EXPECT, HOST, MAX_FORWARDS, SERVER, USER_AGENT, VIA,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};

use crate::admission::{Admission, Overloaded, Place};
use crate::body::Body;
use crate::caller::confinement;
use crate::clock::Clock;
use crate::ledger::Store;
use crate::listen::Peer;
use crate::log::AccessLog;
use crate::metrics::Metrics;
use crate::operation::Mode;
use crate::policy::{self, Book};
use crate::reply::{self, CLIENT_GONE};
use crate::route::{Call, Found};
use crate::serve;
use crate::serve::local::{self, Local, Task};
use crate::serve::rewrite::TokenApi;
use crate::trace::{self, Tracer};
use crate::upstream::{Failure, Upstream, hygiene, on_behalf};
use crate::usage::{self, Usage};
use count::{Calling, unless_answered};

/// Everything that a request needs, built from one checked configuration and never changed.
pub struct Pipeline {
    book: Book,
    upstream: Arc<Upstream>,
    token_api: TokenApi,
    /// The token module, if it is configured.
    local: Option<Local>,
    admission: Arc<Admission>,
    metrics: Arc<Metrics>,
    log: AccessLog,
    clock: Clock,
    /// Makes spans, where they are wanted.
    tracer: Option<Arc<Tracer>>,
    /// Who counts who calls, if anybody.
    usage: Option<Arc<Usage>>,
}

/// What lives on while configurations come and go.
struct Lasting {
    admission: Arc<Admission>,
    metrics: Arc<Metrics>,
    log: AccessLog,
    clock: Clock,
    usage: Option<Arc<Usage>>,
}

impl Pipeline {
    /// A pipeline over these rooms, with a token module where there is something to make it of.
    pub fn new(
        book: Book,
        upstream: Arc<Upstream>,
        local: Option<(local::Settings, Arc<dyn Store>)>,
        admission: Arc<Admission>,
        metrics: Arc<Metrics>,
        log: AccessLog,
        clock: Clock,
    ) -> Self {
        let token_api = TokenApi::new(Arc::clone(&upstream));
        let lasting = Lasting { admission, metrics, log, clock, usage: None };
        Pipeline::with(None, book, upstream, token_api, local, lasting)
    }

    /// The pipeline of another configuration, which takes over from this one.
    pub fn replaced_by(
        &self,
        book: Book,
        upstream: Arc<Upstream>,
        local: Option<(local::Settings, Arc<dyn Store>)>,
    ) -> Self {
        let token_api = if Arc::ptr_eq(&upstream, &self.upstream) {
            self.token_api.clone()
        } else {
            self.token_api.behind(Arc::clone(&upstream))
        };
        let lasting = Lasting {
            admission: Arc::clone(&self.admission),
            metrics: Arc::clone(&self.metrics),
            log: self.log.clone(),
            clock: self.clock,
            usage: self.usage.clone(),
        };
        Pipeline::with(self.local.as_ref(), book, upstream, token_api, local, lasting)
    }

    /// The same pipeline, whose calls are counted here as well.
    pub fn counted_by(self, usage: Arc<Usage>) -> Self {
        Pipeline { usage: Some(usage), ..self }
    }

    fn with(
        before: Option<&Local>,
        book: Book,
        upstream: Arc<Upstream>,
        token_api: TokenApi,
        local: Option<(local::Settings, Arc<dyn Store>)>,
        Lasting { admission, metrics, log, clock, usage }: Lasting,
    ) -> Self {
        let keys = local.as_ref().map(|(settings, _)| Arc::clone(&settings.keys));
        let token_api = token_api.with_keys(keys);
        let local = local.map(|(settings, ledger)| {
            Local::new(before, settings, token_api.clone(), ledger, Arc::clone(&metrics), clock)
        });
        Pipeline { book, upstream, token_api, local, admission, metrics, log, clock, tracer: None, usage }
    }

    /// The same pipeline, with spans of its requests or without.
    pub fn traced_by(self, tracer: Option<Arc<Tracer>>) -> Self {
        Pipeline { tracer, ..self }
    }

    /// Makes spans, where they are wanted.
    pub fn tracer(&self) -> Option<&Arc<Tracer>> {
        self.tracer.as_ref()
    }

    /// The token module, if it is configured.
    pub fn local(&self) -> Option<&Local> {
        self.local.as_ref()
    }

    /// The operations in force.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The backend.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Waits until calls that have ended leave nothing to be done.
    pub async fn settled(&self) {
        self.token_api.settled().await;
    }

    /// Answers one request. Never fails: whatever goes wrong becomes a reply.
    pub async fn handle(&self, request: Request<Body>, peer: &Peer) -> Response<Body> {
        if let Some(tracer) = &self.tracer {
            // Boxed, so that nobody else's connection is larger for it.
            return Box::pin(self.answer_in_trace(tracer, request, peer)).await;
        }
        if self.upstream.settings().from_client {
            return Box::pin(on_behalf(peer.address.ip(), self.answer(request, peer))).await;
        }
        self.answer(request, peer).await
    }

    async fn answer_in_trace(
        &self,
        tracer: &Arc<Tracer>,
        mut request: Request<Body>,
        peer: &Peer,
    ) -> Response<Body> {
        let span = tracer.serve(&mut request, peer.secure);
        let heard = |response: &Response<Body>| (!reply::is_unheard(response)).then(|| response.status());
        let answer = self.answer(request, peer);
        if self.upstream.settings().from_client {
            return span.around(on_behalf(peer.address.ip(), answer), heard).await;
        }
        span.around(answer, heard).await
    }

    async fn answer(&self, mut request: Request<Body>, peer: &Peer) -> Response<Body> {
        let begin = Instant::now();
        let place = match self.admission.try_enter() {
            Some(place) => place,
            None => match Box::pin(self.wait_for_place(&request, peer, begin)).await {
                Ok(place) => place,
                Err(overloaded) => return self.turn_away(&request, peer, begin, overloaded),
            },
        };
        let _held = place.while_arriving(request.body_mut());
        match self.book.table.find(request.method(), request.uri().path()) {
            Found::Other => match self.watched(&request) {
                None => self.pass_on(request, peer, begin).await,
                Some((local, task)) => Box::pin(self.watch(local, task, request, peer, begin)).await,
            },
            // Boxed: rare, and their futures are much larger than that of passing on.
            Found::Call(call) => Box::pin(self.serve(request, peer, begin, &call)).await,
            Found::OtherMethod { operations } => {
                Box::pin(self.serve_other_method(request, peer, begin, &operations)).await
            }
        }
    }

    async fn wait_for_place(
        &self,
        request: &Request<Body>,
        peer: &Peer,
        begin: Instant,
    ) -> Result<Place, Overloaded> {
        let gone = unless_answered(|| self.count_unserved(request, peer, begin, CLIENT_GONE));
        let place = self.admission.wait().await;
        gone.answered();
        place
    }

    async fn pass_on(&self, request: Request<Body>, peer: &Peer, begin: Instant) -> Response<Body> {
        let method = request.method().clone();
        let path = self.log.wants_all().then(|| request.uri().path().to_owned());
        let gone = unless_answered(|| self.count_other(&method, path.as_deref(), CLIENT_GONE, peer, begin));
        let response = self.forward(request, peer).await;
        gone.answered();
        self.answered_other(&method, path.as_deref(), &response, peer, begin);
        response
    }

    /// Whether a request may be about a token of our own.
    fn watched(&self, request: &Request<Body>) -> Option<(&Local, Task)> {
        let local = self.local.as_ref()?;
        Some((local, local.watches(request.method(), request.uri().path())?))
    }

    async fn watch(
        &self,
        local: &Local,
        task: Task,
        mut request: Request<Body>,
        peer: &Peer,
        begin: Instant,
    ) -> Response<Body> {
        let method = request.method().clone();
        let path = self.log.wants_all().then(|| request.uri().path().to_owned());
        let gone = unless_answered(|| self.count_other(&method, path.as_deref(), CLIENT_GONE, peer, begin));
        let response = match self.prepare(&mut request, peer).or_else(|| self.refuse_confined(&request, peer))
        {
            Some(reply) => reply,
            None => local.watch(task, request, peer, async |request| self.send(request, peer).await).await,
        };
        gone.answered();
        self.answered_other(&method, path.as_deref(), &response, peer, begin);
        response
    }

    async fn serve(
        &self,
        mut request: Request<Body>,
        peer: &Peer,
        begin: Instant,
        call: &Call,
    ) -> Response<Body> {
        let entry = &self.book.entries[call.operation];
        let prepared = self.prepare(&mut request, peer);
        // Who calls is read from what the backend gets: fields that `Connection` names end here, credentials too.
        let now = self.clock.now();
        let verdict = policy::decide(entry, now);
        let calling = Calling::of(request.headers(), verdict.phase, now, begin);
        let wants_problem = reply::wants_problem(request.headers());
        let gone = unless_answered(|| {
            self.count_call(entry, &calling, verdict.mode, CLIENT_GONE, false, peer);
        });
        let refused = prepared.or_else(|| match verdict.mode {
            // Nobody's credentials are looked at.
            Mode::Gone => None,
            _ => self.refuse_confined(&request, peer),
        });
        let mut served = match refused {
            Some(reply) => serve::Served { response: reply, mode: verdict.mode },
            None => {
                if verdict.mode.keeps_route() {
                    continue_now(&mut request, peer);
                }
                let forward = async |request| self.send(request, peer).await;
                let modes = serve::Modes { token_api: &self.token_api, local: self.local.as_ref() };
                modes.serve(entry, verdict.mode, call, &calling.caller, now, request, forward).await
            }
        };
        let is_heard = !reply::is_unheard(&served.response);
        if let Some(failure) = served.response.extensions_mut().remove::<reply::Failure>() {
            served.response = reply::failure_with(&failure, policy::directions(entry, call), wants_problem);
        }
        let verified = is_heard && self.usage.is_some() && usage::proof::proves(&mut served.response).await;
        gone.answered();
        policy::headers::dress(served.response.headers_mut(), entry, call);
        if let Some(code) = reply::counted_as(&served.response) {
            self.count_call(entry, &calling, served.mode, code, verified, peer);
        }
        served.response
    }

    /// The answer where too many requests are served. It is dressed and counted as any other.
    fn turn_away(
        &self,
        request: &Request<Body>,
        peer: &Peer,
        begin: Instant,
        overloaded: Overloaded,
    ) -> Response<Body> {
        let failure = reply::Failure::Overloaded { retry_after: overloaded.retry_after };
        let wants_problem = reply::wants_problem(request.headers());
        let response = match self.book.table.find(request.method(), request.uri().path()) {
            Found::Call(call) => {
                let entry = &self.book.entries[call.operation];
                let directions = policy::directions(entry, &call);
                let mut response = reply::failure_with(&failure, directions, wants_problem);
                policy::headers::dress(response.headers_mut(), entry, &call);
                response
            }
            Found::OtherMethod { .. } | Found::Other => reply::failure(&failure, wants_problem),
        };
        self.count_unserved(request, peer, begin, response.status().as_u16());
        response
    }

    /// Another method on the path of deprecated operations. Where one of them is served here now, the backend may have
    /// dropped the route, and the answer is that of a Onezone that has it (contract, sections 2 and 3).
    async fn serve_other_method(
        &self,
        request: Request<Body>,
        peer: &Peer,
        begin: Instant,
        operations: &[usize],
    ) -> Response<Body> {
        let entries = || operations.iter().map(|&operation| &self.book.entries[operation]);
        let now = self.clock.now();
        let is_kept = entries().any(|entry| policy::decide(entry, now).mode.keeps_route());
        let is_preflight = request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let template = entries().next().map(|entry| entry.operation.template.as_str());
        trace::note(|facts| facts.route = template.map(str::to_owned));
        let method = request.method().clone();
        let gone = unless_answered(|| self.count_other(&method, template, CLIENT_GONE, peer, begin));
        let mut response = match method {
            _ if !is_kept || is_preflight => self.forward(request, peer).await,
            Method::GET | Method::POST | Method::PUT | Method::PATCH | Method::DELETE => {
                let mut allowed: Vec<&str> = entries().map(|entry| entry.operation.method.as_str()).collect();
                allowed.sort_unstable();
                allowed.dedup();
                reply::method_not_allowed(&allowed.join(", "))
            }
            _ => reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
        };
        if is_kept && !is_preflight {
            // As the Onezone that is spoken for (contract, section 1).
            response.headers_mut().insert(SERVER, HeaderValue::from_static("Cowboy"));
        }
        gone.answered();
        self.answered_other(&method, template, &response, peer, begin);
        response
    }

    /// Passes a request on as it is.
    async fn forward(&self, mut request: Request<Body>, peer: &Peer) -> Response<Body> {
        match self.prepare(&mut request, peer).or_else(|| self.refuse_confined(&request, peer)) {
            None => self.send(request, peer).await,
            Some(reply) => reply,
        }
    }

    /// Makes a request fit to go to the backend; the reply, where it must not go there.
    fn prepare(&self, request: &mut Request<Body>, peer: &Peer) -> Option<Response<Body>> {
        // Taken out, so that the rest of the request can be read while they change.
        let mut headers = std::mem::take(request.headers_mut());
        let is_last_hop = hygiene::ends_here(request.method(), &mut headers);
        let settings = self.upstream.settings();
        let otherwise = || settings.servers.first().map(|origin| origin.authority()).unwrap_or_default();
        let passed = if is_last_hop {
            Ok(())
        } else {
            hygiene::request(&mut headers, request.version(), peer, &settings.via)
        };
        hygiene::set_host(&mut headers, request.uri(), otherwise);
        *request.headers_mut() = headers;
        if is_last_hop {
            return Some(last_hop(request));
        }
        passed.err().map(|error| {
            tracing::warn!("{error}: upstream.servers leads back here");
            reply::failure(&reply::Failure::Loop, reply::wants_problem(request.headers()))
        })
    }

    /// The refusal of a request whose tokens are confined to networks in which its client is not.
    fn refuse_confined(&self, request: &Request<Body>, peer: &Peer) -> Option<Response<Body>> {
        if !self.upstream.settings().check_ip_caveats {
            return None;
        }
        let unmet = confinement::unmet(request.headers(), peer.client(), || self.clock.now().as_second())?;
        Some(reply::token::unmet(&unmet).unauthenticated())
    }

    async fn send(&self, request: Request<Body>, peer: &Peer) -> Response<Body> {
        let wants_problem = reply::wants_problem(request.headers());
        match self.upstream.send(request, &peer.interim).await {
            Ok(response) => response,
            Err(Failure::Client(broken)) => reply::unheard(&broken),
            Err(failure) => reply::failure(&reply::Failure::from(&failure), wants_problem),
        }
    }
}

/// The body of a call that is served here is read by us, so nobody else tells the client to send it.
fn continue_now(request: &mut Request<Body>, peer: &Peer) {
    let is_waiting = request.headers_mut().remove(EXPECT).is_some();
    if is_waiting && matches!(request.body(), Body::Stream(_)) {
        peer.interim.send(StatusCode::CONTINUE, &HeaderMap::new());
    }
}

/// The answer to an OPTIONS or TRACE that may be forwarded no further (RFC 9110 sections 7.6.2, 9.3.7 and 9.3.8). Of
/// a TRACE only fields that cannot hold a secret are shown.
fn last_hop(request: &Request<Body>) -> Response<Body> {
    let mut response = reply::empty(StatusCode::OK);
    if request.method() == Method::TRACE {
        let mut seen = format!("TRACE {} HTTP/1.1\r\n", request.uri().path());
        for name in [HOST, MAX_FORWARDS, USER_AGENT, VIA] {
            for value in request.headers().get_all(&name).iter().filter_map(|value| value.to_str().ok()) {
                seen.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        *response.body_mut() = Body::full(seen + "\r\n");
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("message/http"));
    }
    response
}
