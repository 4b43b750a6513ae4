//! Traces: a span for each request and one for each time that the backend is asked, sent to an OpenTelemetry collector
//! over OTLP/HTTP. Off unless a collector is configured: then there is no [`Tracer`], no field is read, and what a client
//! sends as `traceparent` passes as it is.
//!
//! Why not the `opentelemetry` crates. Their batch processor tells nobody how many spans it has dropped, so there could be
//! no metric; it exports on a thread without a runtime, so the HTTP client would need a second one; and spans of two
//! kinds with a dozen attributes do not need two dozen crates more (0.33: prost, rand 0.9 and futures-executor among them).
//! OTLP's JSON form is a few lines of `serde_json`.
//!
//! What this room deliberately never takes into a span: a path as it came, a query, a field of a message. Tokens can stand
//! in all of them.

mod collector;
pub mod context;
mod export;
mod otlp;
mod span;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request};
use rustls::RootCertStore;

use crate::metrics::Metrics;
use context::{TRACEPARENT, TRACESTATE, TraceId, TraceParent};
use export::Exporter;
pub use span::{Attempt, Span, carried, current, note};

/// Where spans go, and which.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The collector.
    pub endpoint: Endpoint,
    /// The share of the traces begun here that is recorded, 0 to 1. Of those that a client began, the client says.
    pub sample_ratio: f64,
    /// The attribute `service.name` of all spans.
    pub service_name: String,
    /// Whom an `https` endpoint must be certified by; without them by an authority that the system trusts.
    pub roots: Option<Arc<RootCertStore>>,
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        let anchors = |settings: &Settings| settings.roots.as_ref().map(|store| store.roots.clone());
        (&self.endpoint, self.sample_ratio, &self.service_name)
            == (&other.endpoint, other.sample_ratio, &other.service_name)
            && anchors(self) == anchors(other)
    }
}

/// The base address of a collector that speaks OTLP/HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Over TLS.
    pub https: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The port, 4318 as a rule.
    pub port: u16,
    /// What stands before `/v1/traces`, without a slash at its end.
    pub path: String,
}

/// Makes spans and sends them. Lives as long as its settings do.
pub struct Tracer {
    settings: Settings,
    exporter: Exporter,
}

impl Tracer {
    /// Starts the thread that sends spans. Nobody is connected to before there is one.
    ///
    /// # Errors
    ///
    /// The system has no thread for it.
    pub fn start(settings: Settings, metrics: Arc<Metrics>) -> io::Result<Self> {
        let exporter = Exporter::start(&settings, metrics)?;
        Ok(Tracer { settings, exporter })
    }

    /// What it was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The span of a request that has come: in the client's trace, if it is in one, else in a new one. A `tracestate`
    /// without a trace is taken away, and so is what was meant to be a `traceparent`.
    pub fn serve<B>(self: &Arc<Self>, request: &mut Request<B>, is_secure: bool) -> Span {
        let parent = TraceParent::of(request.headers());
        if parent.is_none() {
            forget(request.headers_mut());
        }
        let (trace, is_sampled) = match parent {
            Some(parent) => (parent.trace, parent.is_sampled),
            None => {
                let trace = TraceId::random();
                (trace, trace.lot() < self.settings.sample_ratio)
            }
        };
        let span = Span::new(Arc::clone(self), trace, parent.map(|parent| parent.span), is_sampled);
        span.describe(request.method(), request.version(), is_secure);
        request.extensions_mut().insert(span.clone());
        span
    }

    /// Sends what has ended up to now, within this time. What is left then is dropped, and so is all that comes later.
    pub async fn finish(&self, limit: Duration) {
        self.exporter.finish(limit).await;
    }
}

fn forget(headers: &mut HeaderMap) {
    headers.remove(TRACEPARENT);
    headers.remove(TRACESTATE);
}
