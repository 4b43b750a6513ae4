//! The way of a span from a thread that serves to the collector: a bounded queue, and one thread with a runtime of its
//! own that sends batches. A thread that serves never waits: what the queue has no room for is dropped, and counted.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::collector::{Collector, Refused};
use super::span::Ended;
use super::{Settings, otlp};
use crate::metrics::Metrics;

/// How many spans wait at most, some 3 MB of them.
const QUEUE: usize = 8192;
/// How many are sent at once.
const BATCH: usize = 512;
/// How long a batch that is not full waits for more, looked at so often.
const LINGER: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(50);
/// How often one batch is sent, with pauses that begin so and double.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// A collector cannot ask for a longer pause than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long what is queued may still take where other settings have taken over.
const GRACE: Duration = Duration::from_secs(10);

/// The handle of the thread. When it is dropped, the thread sends what is queued and ends.
pub(super) struct Exporter {
    queue: mpsc::Sender<Ended>,
    /// Until when all has to be sent, once the end has come.
    closing: watch::Sender<Option<Instant>>,
    /// Closed when the thread has ended.
    ended: watch::Receiver<()>,
    metrics: Arc<Metrics>,
}

impl Exporter {
    pub fn start(settings: &Settings, metrics: Arc<Metrics>) -> io::Result<Self> {
        let (queue, spans) = mpsc::channel(QUEUE);
        let (closing, closes) = watch::channel(None);
        let (running, ended) = watch::channel(());
        let exporting = Exporting {
            spans,
            batch: Vec::new(),
            collector: Collector::new(settings)?,
            service_name: settings.service_name.clone(),
            closing: closes.clone(),
            metrics: Arc::clone(&metrics),
            is_failing: false,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = move || {
            runtime.block_on(exporting.run(closes));
            // Not waited for: a look-up of a name may hang.
            runtime.shutdown_background();
            drop(running);
        };
        thread::Builder::new().name("traces".to_owned()).spawn(work)?;
        Ok(Exporter { queue, closing, ended, metrics })
    }

    /// Hands a span over, or drops it.
    pub fn push(&self, span: Ended) {
        if self.queue.try_send(span).is_err() {
            self.metrics.spans_dropped(1);
        }
    }

    pub async fn finish(&self, limit: Duration) {
        self.closing.send_replace(Some(Instant::now() + limit));
        let mut ended = self.ended.clone();
        // Never changed, only closed.
        while ended.changed().await.is_ok() {}
    }
}

/// The thread's side.
struct Exporting {
    spans: mpsc::Receiver<Ended>,
    /// On its way.
    batch: Vec<Ended>,
    collector: Collector,
    service_name: String,
    closing: watch::Receiver<Option<Instant>>,
    metrics: Arc<Metrics>,
    /// Said once, and not for each batch.
    is_failing: bool,
}

/// Why a batch could not be sent.
enum Failed {
    /// It is worth another attempt, after what the collector asked for.
    Again(String, Option<Duration>),
    Finally(String),
}

impl Exporting {
    async fn run(mut self, closes: watch::Receiver<Option<Instant>>) {
        tokio::select! {
            () = self.export() => {}
            () = too_late(closes) => {}
        }
        self.spans.close();
        let mut left = self.batch.len() as u64;
        while self.spans.try_recv().is_ok() {
            left += 1;
        }
        self.metrics.spans_dropped(left);
    }

    /// Until there is nothing left and nothing can come.
    async fn export(&mut self) {
        loop {
            if self.is_closing() {
                self.spans.close();
            }
            tokio::select! {
                biased;
                count = self.spans.recv_many(&mut self.batch, BATCH) => if count == 0 { return },
                _ = self.closing.changed(), if !self.is_closing() => continue,
            }
            self.linger().await;
            self.send().await;
        }
    }

    fn is_closing(&self) -> bool {
        self.closing.has_changed().is_err() || self.closing.borrow().is_some()
    }

    /// Lets the batch become full, for a while.
    async fn linger(&mut self) {
        let end = Instant::now() + LINGER;
        while self.batch.len() + self.spans.len() < BATCH && Instant::now() < end && !self.is_closing() {
            tokio::time::sleep(LOOK).await;
        }
        while self.batch.len() < BATCH
            && let Ok(span) = self.spans.try_recv()
        {
            self.batch.push(span);
        }
    }

    /// Sends the batch, several times if need be; what cannot be sent is dropped.
    async fn send(&mut self) {
        let body = Bytes::from(otlp::request(&self.batch, &self.service_name));
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=ATTEMPTS {
            let (reason, wanted) = match self.attempt(body.clone()).await {
                Ok(rejected) => return self.sent(rejected),
                Err(Failed::Finally(reason)) => return self.lost(&reason),
                Err(Failed::Again(reason, _)) if attempt == ATTEMPTS => return self.lost(&reason),
                Err(Failed::Again(reason, wanted)) => (reason, wanted),
            };
            tracing::debug!("spans are sent again: {reason}");
            // Spread, so that many proxies do not come back as one.
            let own = pause.mul_f64(0.75 + fastrand::f64() / 2.0);
            tokio::time::sleep(wanted.map_or(own, |wanted| wanted.min(LONGEST_PAUSE).max(own))).await;
            pause *= 2;
        }
    }

    /// How many spans the collector has not taken, though it has taken the batch.
    async fn attempt(&mut self, body: Bytes) -> Result<u64, Failed> {
        match self.collector.post(body).await {
            Ok(answer) => Ok(otlp::rejected(&answer)),
            Err(Refused::Away(reason)) => Err(Failed::Again(reason, None)),
            // OTLP/HTTP, "Retryable Response Codes".
            Err(Refused::Status { status, retry_after }) if [429, 502, 503, 504].contains(&status) => {
                Err(Failed::Again(format!("it answers {status}"), retry_after))
            }
            Err(Refused::Status { status, .. }) => Err(Failed::Finally(format!("it answers {status}"))),
        }
    }

    fn sent(&mut self, rejected: u64) {
        self.batch.clear();
        self.metrics.spans_dropped(rejected);
        if std::mem::take(&mut self.is_failing) {
            tracing::info!("the collector of spans takes them again");
        }
    }

    fn lost(&mut self, reason: &str) {
        self.metrics.spans_dropped(self.batch.len() as u64);
        self.batch.clear();
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(
                "spans are dropped, the collector {} does not take them: {reason}",
                self.collector
            );
        }
    }
}

/// Ends when nothing may be sent any more.
async fn too_late(mut closes: watch::Receiver<Option<Instant>>) {
    let until = loop {
        let until = *closes.borrow_and_update();
        match until {
            Some(until) => break until,
            // Other settings have taken over, where the handle is gone.
            None if closes.changed().await.is_err() => break Instant::now() + GRACE,
            None => {}
        }
    };
    tokio::time::sleep_until(until).await;
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::clock::Clock;
    use crate::metrics::Vocabulary;
    use crate::trace::Endpoint;
    use crate::trace::context::{SpanId, TraceId};
    use crate::trace::span::Kind;

    fn metrics() -> Arc<Metrics> {
        Arc::new(Metrics::new(Clock::Real, &[], Vocabulary::default()))
    }

    fn dropped(metrics: &Metrics) -> u64 {
        let text = metrics.render();
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix("duskgate_spans_dropped_total "));
        value.unwrap().parse().unwrap()
    }

    fn span() -> Ended {
        let (trace, id) = (TraceId::random(), SpanId::random());
        let (name, attributes) = ("GET".to_owned(), Vec::new());
        let (parent, kind, is_error) = (None, Kind::Server, false);
        Ended { trace, id, parent, kind, name, begin: 1, end: 2, attributes, is_error }
    }

    /// To a collector that takes connections and never says a word.
    fn before_a_black_hole(metrics: &Arc<Metrics>) -> (Exporter, TcpListener) {
        let hole = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = hole.local_addr().unwrap().port();
        let endpoint = Endpoint { https: false, host: "127.0.0.1".to_owned(), port, path: String::new() };
        let service_name = "duskgate".to_owned();
        let settings = Settings { endpoint, sample_ratio: 1.0, service_name, roots: None };
        (Exporter::start(&settings, Arc::clone(metrics)).unwrap(), hole)
    }

    #[tokio::test]
    async fn what_the_queue_has_no_room_for_is_dropped_and_counted() {
        let metrics = metrics();
        let (exporter, _hole) = before_a_black_hole(&metrics);
        let pushed = (QUEUE + BATCH + 100) as u64;
        (0..pushed).for_each(|_| exporter.push(span()));
        assert!((100..pushed).contains(&dropped(&metrics)), "{}", dropped(&metrics));
        exporter.finish(Duration::ZERO).await;
        assert_eq!(dropped(&metrics), pushed, "none was sent, and none is left out");
        exporter.push(span());
        assert_eq!(dropped(&metrics), pushed + 1, "nor one that comes late");
    }

    #[tokio::test]
    async fn the_end_waits_no_longer_than_it_may() {
        let metrics = metrics();
        let (exporter, _hole) = before_a_black_hole(&metrics);
        exporter.push(span());
        let begin = std::time::Instant::now();
        exporter.finish(Duration::from_millis(200)).await;
        assert!(begin.elapsed() >= Duration::from_millis(200), "it was tried");
        assert_eq!(dropped(&metrics), 1);
    }
}
