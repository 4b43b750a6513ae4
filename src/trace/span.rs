//! Spans in the making: one for a request, and below it one for each time that the backend is asked for it. The names of
//! attributes are those of OpenTelemetry's semantic conventions for HTTP (1.23 and later), and our own begin with
//! `duskgate.`. The conventions also want `url.path` and `url.full`, which are left out: a token may stand there.

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http::{HeaderMap, Method, StatusCode, Version};
use jiff::Timestamp;

use super::Tracer;
use super::context::{SpanId, TRACEPARENT, TraceId, TraceParent};
use crate::clock::Clock;

/// The most fields that Onezone takes (contract, section 1). A request that has so many goes without a new one.
const MOST_FIELDS: usize = 100;

tokio::task_local! {
    static CURRENT: Span;
}

/// The span of a request. Clones are the same span, which ends when [`Span::around`] does.
#[derive(Clone)]
pub struct Span(Arc<Inside>);

struct Inside {
    tracer: Arc<Tracer>,
    trace: TraceId,
    id: SpanId,
    parent: Option<SpanId>,
    is_sampled: bool,
    begin: Begin,
    facts: Mutex<Facts>,
}

/// What is known of a request so far.
#[derive(Default)]
pub struct Facts {
    method: &'static str,
    scheme: &'static str,
    version: &'static str,
    /// The template of the path, where it is that of a deprecated operation.
    pub route: Option<String>,
    /// The operation's id.
    pub operation: Option<String>,
    /// The mode that made the answer.
    pub mode: Option<&'static str>,
    /// The operation's phase.
    pub phase: Option<&'static str>,
}

/// One time that the backend is asked. Where nobody says how it ended, it was given up.
pub struct Attempt {
    span: Span,
    id: SpanId,
    method: &'static str,
    resends: u32,
    begin: Begin,
    /// Found on the way: host and port.
    server: Mutex<Option<(String, u16)>>,
    is_over: bool,
}

/// A span that is over, as it is exported.
pub(super) struct Ended {
    pub trace: TraceId,
    pub id: SpanId,
    pub parent: Option<SpanId>,
    pub kind: Kind,
    pub name: String,
    /// Nanoseconds of Unix time.
    pub begin: i128,
    pub end: i128,
    pub attributes: Vec<(&'static str, Value)>,
    pub is_error: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Client,
}

pub(super) enum Value {
    Text(Cow<'static, str>),
    Number(i64),
}

/// A moment, by the clock and for measuring.
struct Begin(Timestamp, Instant);

/// What the client did not wait for.
const GIVEN_UP: &str = "cancelled";

impl Span {
    pub(super) fn new(tracer: Arc<Tracer>, trace: TraceId, parent: Option<SpanId>, is_sampled: bool) -> Self {
        let (id, begin, facts) = (SpanId::random(), Begin::now(), Mutex::default());
        Span(Arc::new(Inside { tracer, trace, id, parent, is_sampled, begin, facts }))
    }

    pub(super) fn describe(&self, method: &Method, version: Version, is_secure: bool) {
        self.learn(|facts| {
            facts.method = name_of(method);
            facts.scheme = if is_secure { "https" } else { "http" };
            facts.version = match version {
                Version::HTTP_10 => "1.0",
                Version::HTTP_2 => "2",
                _ => "1.1",
            };
        });
    }

    /// Does the work of the request within its span, which ends with it. `status` says how it was answered, or that
    /// nobody hears the answer.
    pub async fn around<T>(
        self,
        work: impl Future<Output = T>,
        status: impl FnOnce(&T) -> Option<StatusCode>,
    ) -> T {
        let mut guard = Unended { span: self.clone(), status: None };
        let outcome = CURRENT.scope(self, work).await;
        guard.status = status(&outcome);
        outcome
    }

    /// The span for asking the backend, for the `resends`th time again.
    pub fn attempt(&self, method: &Method, resends: u32) -> Attempt {
        Attempt {
            span: self.clone(),
            id: SpanId::random(),
            method: name_of(method),
            resends,
            begin: Begin::now(),
            server: Mutex::default(),
            is_over: false,
        }
    }

    fn learn(&self, learn: impl FnOnce(&mut Facts)) {
        learn(&mut self.0.facts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn end(&self, status: Option<StatusCode>) {
        if !self.0.is_sampled {
            return;
        }
        let facts = std::mem::take(&mut *self.0.facts.lock().unwrap_or_else(PoisonError::into_inner));
        let mut attributes = vec![
            ("http.request.method", Value::from(facts.method)),
            ("url.scheme", Value::from(facts.scheme)),
            ("network.protocol.version", Value::from(facts.version)),
        ];
        let is_error = answer(status.ok_or(GIVEN_UP), StatusCode::is_server_error, &mut attributes);
        let name = named(facts.method, facts.route.as_deref());
        let texts = [("http.route", facts.route), ("duskgate.operation", facts.operation)];
        attributes.extend(texts.into_iter().filter_map(|(key, text)| Some((key, Value::from(text?)))));
        let words = [("duskgate.mode", facts.mode), ("duskgate.phase", facts.phase)];
        attributes.extend(words.into_iter().filter_map(|(key, word)| Some((key, Value::from(word?)))));
        self.export(self.0.id, self.0.parent, Kind::Server, name, &self.0.begin, attributes, is_error);
    }

    #[allow(clippy::too_many_arguments, reason = "a span has so many parts")]
    fn export(
        &self,
        id: SpanId,
        parent: Option<SpanId>,
        kind: Kind,
        name: String,
        begin: &Begin,
        attributes: Vec<(&'static str, Value)>,
        is_error: bool,
    ) {
        let trace = self.0.trace;
        let (begin, end) = begin.to_nanoseconds();
        let ended = Ended { trace, id, parent, kind, name, begin, end, attributes, is_error };
        self.0.tracer.exporter.push(ended);
    }
}

/// Notes what is found out about the request that this task serves, if it has a span.
pub fn note(learn: impl FnOnce(&mut Facts)) {
    let _ = CURRENT.try_with(|span| span.learn(learn));
}

/// The span of the request that this task serves.
pub fn current() -> Option<Span> {
    CURRENT.try_with(Clone::clone).ok()
}

/// The same work in a task of its own: what is made here and spawned goes on for the same request.
pub fn carried<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let span = current();
    async move {
        match span {
            Some(span) => CURRENT.scope(span, work).await,
            None => work.await,
        }
    }
}

impl Attempt {
    /// The fields of the request, in the trace.
    pub fn fields(&self, headers: &HeaderMap) -> HeaderMap {
        let mut headers = headers.clone();
        headers.remove(TRACEPARENT);
        if headers.len() < MOST_FIELDS {
            let Inside { trace, is_sampled, .. } = *self.span.0;
            headers.insert(TRACEPARENT, TraceParent { trace, span: self.id, is_sampled }.to_value());
        }
        headers
    }

    /// The server that is asked; the last one counts.
    pub fn server(&self, host: &str, port: u16) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some((host.to_owned(), port));
    }

    /// It ended with an answer of this status, or for this reason without.
    pub fn end(mut self, outcome: Result<StatusCode, &'static str>) {
        self.export(outcome);
    }

    fn export(&mut self, outcome: Result<StatusCode, &'static str>) {
        self.is_over = true;
        let inside = &self.span.0;
        if !inside.is_sampled {
            return;
        }
        let mut attributes = vec![("http.request.method", Value::from(self.method))];
        if let Some((host, port)) = self.server.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            attributes.push(("server.address", Value::from(host)));
            attributes.push(("server.port", Value::Number(port.into())));
        }
        if self.resends > 0 {
            attributes.push(("http.request.resend_count", Value::Number(self.resends.into())));
        }
        let is_bad = |status: &StatusCode| status.is_client_error() || status.is_server_error();
        let is_error = answer(outcome, is_bad, &mut attributes);
        let (name, parent) = (named(self.method, None), Some(inside.id));
        self.span.export(self.id, parent, Kind::Client, name, &self.begin, attributes, is_error);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.is_over {
            self.export(Err(GIVEN_UP));
        }
    }
}

/// Ends a span also where the client goes away and the work is dropped.
struct Unended {
    span: Span,
    status: Option<StatusCode>,
}

impl Drop for Unended {
    fn drop(&mut self) {
        self.span.end(self.status);
    }
}

impl Begin {
    fn now() -> Self {
        Begin(Clock::Real.now(), Instant::now())
    }

    /// Begin, and end now, whatever was done to the clock meanwhile.
    fn to_nanoseconds(&self) -> (i128, i128) {
        let begin = self.0.as_nanosecond();
        (begin, begin + i128::try_from(self.1.elapsed().as_nanos()).unwrap_or(0))
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

/// Adds what became of it, and says whether that is an error.
fn answer(
    outcome: Result<StatusCode, &'static str>,
    is_bad: impl FnOnce(&StatusCode) -> bool,
    attributes: &mut Vec<(&'static str, Value)>,
) -> bool {
    match outcome {
        Ok(status) => {
            attributes.push(("http.response.status_code", Value::Number(status.as_u16().into())));
            let is_error = is_bad(&status);
            if is_error {
                attributes.push(("error.type", Value::from(status.as_str().to_owned())));
            }
            is_error
        }
        Err(reason) => {
            attributes.push(("error.type", Value::from(reason)));
            true
        }
    }
}

/// The name of a span: method and template. A method that is none is `HTTP` there.
fn named(method: &'static str, route: Option<&str>) -> String {
    let method = if method == OTHER { "HTTP" } else { method };
    route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
}

const OTHER: &str = "_OTHER";

/// A method of the conventions, or the word for another one: what a client makes up is not exported.
fn name_of(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or(OTHER)
}
