//! What lives on while configurations come and go: the pipeline in force, and how it is replaced.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http::{Request, Response};

use super::certificates::{Certificates, Loaded};
use super::{Failure, Source, handles};
use crate::admin::Asking;
use crate::admission::Admission;
use crate::body::Body;
use crate::clock::Clock;
use crate::config::Config;
use crate::ledger::{self, Away, Create, Store};
use crate::listen::{Gate, Handler, Peer};
use crate::log::AccessLog;
use crate::metrics::{Metrics, Watched};
use crate::operation::Mode;
use crate::pipeline::Pipeline;
use crate::policy::{AfterSunset, Book};
use crate::serve::local;
use crate::trace::Tracer;
use crate::upstream::{Prepared, Upstream};
use crate::usage::Usage;

/// How long the start waits for the ledger.
const OPENING: Duration = Duration::from_secs(3);
/// How long it is believed whether a backend answers.
const BELIEVED: Duration = Duration::from_secs(1);

/// The proxy's inside.
pub struct Live {
    pipeline: ArcSwap<Pipeline>,
    /// The configuration in force; locked while another one is loaded, so that reloads do not overtake each other.
    config: Mutex<Arc<Config>>,
    source: Option<Source>,
    ledger: Arc<dyn Store>,
    usage: Arc<Usage>,
    pub(super) metrics: Arc<Metrics>,
    access: AccessLog,
    gate: Arc<Gate>,
    certificates: Certificates,
    admission: Arc<Admission>,
    told_to_drain: AtomicBool,
    answers: Mutex<Option<(Instant, bool)>>,
}

impl Live {
    pub(super) fn new(
        mut config: Config,
        source: Option<Source>,
        metrics: Arc<Metrics>,
        access: AccessLog,
        gate: Arc<Gate>,
    ) -> Result<Self, Failure> {
        let upstream = Arc::new(Upstream::new(config.upstream.clone(), Arc::clone(&metrics))?);
        let certificates = Certificates::new();
        let loaded = Loaded::read(&config.listeners)?;
        certificates.put_in_force(loaded, &config.listeners, &gate, &metrics)?;
        warn_about(&config);
        tell_of_caveats(&config);
        let book = std::mem::take(&mut config.book);
        metrics.operations(watched(&book));
        let ledger = ledger::open(&config.ledger, Create::Yes);
        let usage = Arc::new(Usage::new(config.usage.clone(), Clock::Real.now()));
        let local = local_of(&config, &ledger);
        let admission = Arc::new(Admission::new(config.admission.clone(), Arc::clone(&metrics)));
        let crowd = Arc::downgrade(&admission);
        metrics.crowd(move || {
            crowd.upgrade().map_or((0, 0), |admission| (admission.in_flight(), admission.queued()))
        });
        let counts = Arc::clone(&usage);
        metrics.counted(move || counts.counted(Clock::Real.now()));
        let (shared, counted) = (Arc::clone(&admission), Arc::clone(&metrics));
        let tracer = tracer_for(&config, None, &metrics)?;
        let pipeline = Pipeline::new(book, upstream, local, shared, counted, access.clone(), Clock::Real)
            .traced_by(tracer)
            .counted_by(Arc::clone(&usage));
        Ok(Live {
            pipeline: ArcSwap::from_pointee(pipeline),
            config: Mutex::new(Arc::new(config)),
            source,
            ledger,
            usage,
            metrics,
            access,
            gate,
            certificates,
            admission,
            told_to_drain: AtomicBool::new(false),
            answers: Mutex::new(None),
        })
    }

    /// The pipeline in force.
    pub fn pipeline(&self) -> Arc<Pipeline> {
        self.pipeline.load_full()
    }

    /// Reads the configuration again and puts it in force, all or nothing.
    ///
    /// # Errors
    ///
    /// Every mistake; the configuration that was in force still is.
    pub fn reload(&self) -> Result<(), Vec<String>> {
        let outcome = self.try_reload();
        self.metrics.reload(outcome.is_ok(), Clock::Real.now());
        match &outcome {
            Ok(()) => tracing::info!("the configuration was reloaded"),
            Err(mistakes) => {
                for mistake in mistakes {
                    tracing::error!("the configuration was not reloaded: {mistake}");
                }
            }
        }
        outcome
    }

    fn try_reload(&self) -> Result<(), Vec<String>> {
        let Some(source) = &self.source else { return Err(vec!["there is no file to reload".to_owned()]) };
        let mut current = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let mut config = source.load().map_err(|invalid| {
            invalid.mistakes.iter().map(|mistake| mistake.line(&source.file)).collect::<Vec<_>>()
        })?;
        let restart_needed = current.restart_needed(&config);
        if !restart_needed.is_empty() {
            return Err(restart_needed);
        }
        let said = |failure: Failure| vec![failure.to_string()];
        let certificates = Loaded::read(&config.listeners).map_err(said)?;
        let prepared = self.upstream_for(&config, &current).map_err(|unusable| vec![unusable])?;
        let tracer = tracer_for(&config, self.pipeline.load().tracer(), &self.metrics).map_err(said)?;
        self.certificates
            .put_in_force(certificates, &config.listeners, &self.gate, &self.metrics)
            .map_err(said)?;
        // From here on nothing fails.
        let upstream = Arc::clone(self.pipeline.load().upstream());
        let upstream = prepared.map_or(upstream.clone(), |prepared| Arc::new(upstream.replaced_by(prepared)));
        if config.upstream.from_client != current.upstream.from_client {
            tell_of_caveats(&config);
        }
        warn_about(&config);
        let book = std::mem::take(&mut config.book);
        self.metrics.operations(watched(&book));
        self.gate.set_limits(handles::settled(config.limits.clone()));
        self.admission.configure(config.admission.clone());
        self.access.configure(config.log);
        self.usage.configure(config.usage.clone());
        let local = local_of(&config, &self.ledger);
        let pipeline = self.pipeline.load().replaced_by(book, upstream, local).traced_by(tracer);
        self.pipeline.store(Arc::new(pipeline));
        *current = Arc::new(config);
        Ok(())
    }

    /// What takes over from the upstream in force, unless nothing about it has changed.
    fn upstream_for(&self, config: &Config, current: &Config) -> Result<Option<Prepared>, String> {
        if config.upstream == current.upstream {
            // The certificates may have changed behind the same name.
            let upstream = Arc::clone(self.pipeline.load().upstream());
            upstream.take_up_changed_files().map_err(|unusable| unusable.to_string())?;
            return Ok(None);
        }
        Prepared::of(config.upstream.clone()).map(Some).map_err(|unusable| unusable.to_string())
    }

    /// Takes up what has changed in the files of certificates. Reads files.
    pub(super) fn take_up_changed_files(&self) {
        self.certificates.take_up_changes(&self.metrics);
        match self.pipeline().upstream().take_up_changed_files() {
            Ok(true) => tracing::info!("the new certificates for TLS with the backend are in use"),
            Ok(false) => {}
            Err(unusable) => {
                tracing::warn!("TLS with the backend goes on with its old certificates: {unusable}");
            }
        }
    }

    /// Tells load balancers to stay away, or to come back.
    pub fn drain(&self, drain: bool) {
        self.told_to_drain.store(drain, Ordering::Relaxed);
    }

    /// Whether new requests are not wanted.
    pub fn is_draining(&self) -> bool {
        self.told_to_drain.load(Ordering::Relaxed) || self.gate.is_closed()
    }

    /// Whether a backend answers, asked at most once a second.
    pub async fn upstream_answers(&self) -> bool {
        let known = *self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, answers)) = known
            && at.elapsed() < BELIEVED
        {
            return answers;
        }
        let answers = self.pipeline().upstream().answers().await;
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), answers));
        answers
    }

    /// Whether the ledger can be read, and the last calls could be recorded in it.
    pub async fn ledger_answers(&self) -> bool {
        let answer = self.ledger.check().await.and_then(|()| self.usage.behind().map_or(Ok(()), Err));
        if let Err(away) = &answer {
            tracing::debug!("{away}");
        }
        self.metrics.ledger_up(answer.is_ok());
        answer.is_ok()
    }

    pub(super) fn ledger(&self) -> &dyn Store {
        &*self.ledger
    }

    pub(super) fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Opens the ledger, so that the log tells at once what is wrong with it. One that is away is
    /// asked again by whoever needs it.
    ///
    /// # Errors
    ///
    /// Waiting cannot help: it is of a newer version.
    pub(super) async fn open_ledger(&self) -> Result<(), Failure> {
        let away = match tokio::time::timeout(OPENING, self.ledger.check()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(away)) if away.for_good() => return Err(Failure::Ledger(away)),
            Ok(Err(away)) => away,
            Err(_) => Away::Slow,
        };
        self.metrics.ledger_up(false);
        tracing::error!(
            "{away}; until it can be used, mode local answers 503 and calls are counted in memory alone"
        );
        Ok(())
    }

    pub(super) fn retention(&self) -> Duration {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).ledger.retention
    }

    /// Asks who calls.
    pub(super) fn asking(&self) -> Asking {
        Asking::new(Arc::clone(&self.usage), Arc::clone(&self.ledger))
    }

    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The effective configuration, without secrets.
    pub fn print(&self) -> String {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).print()
    }

    pub(super) fn drain_limit(&self) -> Duration {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).drain
    }

    pub(super) fn stop(&self, last_call: Duration) {
        self.gate.close(last_call);
    }

    /// Waits until calls that have ended leave nothing to be done.
    pub(super) async fn settled(&self) {
        self.pipeline().settled().await;
    }

    /// Sends the spans that have ended, within this time.
    pub(super) async fn send_spans(&self, limit: Duration) {
        let pipeline = self.pipeline();
        if let Some(tracer) = pipeline.tracer() {
            tracer.finish(limit).await;
        }
    }

    pub(super) fn flush(&self) {
        self.access.flush();
    }
}

impl Handler for Live {
    async fn handle(&self, request: Request<Body>, peer: &Peer) -> Response<Body> {
        // A request sees one configuration from start to finish.
        let pipeline = self.pipeline.load();
        pipeline.handle(request, peer).await
    }
}

/// What the token module is made of, where one is configured.
fn local_of(config: &Config, ledger: &Arc<dyn Store>) -> Option<(local::Settings, Arc<dyn Store>)> {
    Some((config.local.clone()?, Arc::clone(ledger)))
}

/// What makes spans, where they are wanted; the one before where nothing about it has changed. One that is replaced sends
/// what it has, and ends with the last request that it serves.
fn tracer_for(
    config: &Config,
    before: Option<&Arc<Tracer>>,
    metrics: &Arc<Metrics>,
) -> Result<Option<Arc<Tracer>>, Failure> {
    let Some(settings) = &config.tracing else { return Ok(None) };
    if let Some(before) = before.filter(|before| before.settings() == settings) {
        return Ok(Some(Arc::clone(before)));
    }
    let tracer = Tracer::start(settings.clone(), Arc::clone(metrics));
    let tracer = tracer.map_err(|source| Failure::System { what: "start the thread for spans", source })?;
    Ok(Some(Arc::new(tracer)))
}

fn warn_about(config: &Config) {
    if config.upstream.insecure_skip_verify {
        tracing::warn!(
            "upstream.insecure_skip_verify is set: anybody on the way to the backend can read and change everything"
        );
    }
}

/// Says by whose address tokens are judged that are confined to networks.
fn tell_of_caveats(config: &Config) {
    if config.upstream.from_client {
        tracing::info!(
            "connections to the backend come from the client's own address, by which it judges tokens"
        );
        return;
    }
    tracing::info!("connections to the backend come from this host's own address");
    if config.upstream.check_ip_caveats {
        tracing::info!(
            "ip caveats of tokens in header fields are checked here, by the client's address; everything else about \
             networks is judged by the backend, by this host's address"
        );
    } else {
        tracing::warn!(
            "upstream.check_ip_caveats is false: tokens that are confined to this host's network work from anywhere"
        );
    }
}

fn watched(book: &Book) -> Vec<Watched> {
    let watch = |entry: &crate::policy::Entry| Watched {
        operation: entry.operation.id.clone(),
        mode: entry.mode,
        mode_after_sunset: match entry.after_sunset {
            AfterSunset::Gone => Mode::Gone,
            AfterSunset::Serve => entry.mode,
        },
        success: entry.operation.success,
        deprecated_at: entry.schedule.deprecated(),
        sunset_at: entry.schedule.sunset(),
    };
    book.entries.iter().map(watch).collect()
}
