//! What a scrape sees: every metric's name, help and labels, filled from the cells at this moment.

use std::sync::atomic::Ordering::Relaxed;

use jiff::Timestamp;
use prometheus::core::Collector as _;
use prometheus::proto;

use super::cells::{BOUNDS, Observed};
use super::usage::{ConsumerCalls, OTHERS, WINDOWS};
use super::{Metrics, Rare, Route, method};
use crate::operation::{Mode, Phase};

/// Renders all metrics in the Prometheus text format.
pub(super) fn render(metrics: &Metrics, now: Timestamp) -> String {
    let mut families = Vec::new();
    requests(metrics, &mut families);
    upstream(metrics, &mut families);
    deprecated(metrics, now, &mut families);
    usage(metrics, &mut families);
    schedules(metrics, now, &mut families);
    tokens(metrics, &mut families);
    own(metrics, &mut families);
    let mut families: Vec<_> = families.into_iter().map(|family| family.0).collect();
    families.extend(metrics.process.collect());
    families.retain(|family| !family.get_metric().is_empty());
    let mut text = String::new();
    // The encoder refuses families without a name or a metric, which there are none of; a String takes all else.
    let _ = prometheus::TextEncoder::new().encode_utf8(&families, &mut text);
    text
}

fn requests(metrics: &Metrics, families: &mut Vec<Family>) {
    let mut total = Family::counter("duskgate_http_requests_total", "Requests answered.");
    let mut seconds = Family::histogram(
        "duskgate_http_request_duration_seconds",
        "Time from the head of a request to its answer.",
    );
    for (route, name) in [(Route::Deprecated, "deprecated"), (Route::Other, "other")] {
        for (index, method) in method::NAMES.into_iter().enumerate() {
            let mut sums = std::collections::BTreeMap::new();
            if method == "GET" || (method == "POST" && route == Route::Deprecated) {
                sums.insert(200, 0);
            }
            for shard in metrics.requests.all() {
                for (code, count) in shard[route as usize].codes[index].counts() {
                    *sums.entry(code).or_insert(0) += count;
                }
            }
            for (code, sum) in sums {
                let labels = [("route", name), ("method", method), ("code", &code.to_string())];
                total.add(&labels, sum as f64);
            }
        }
        let shards = metrics.requests.all().map(|shard| &shard[route as usize].seconds);
        seconds.observed(&[("route", name)], &Observed::sum(shards));
    }
    families.extend([total, seconds]);

    let mut open = Family::gauge("duskgate_connections", "Connections that are open.");
    let mut not_after = Family::gauge(
        "duskgate_tls_certificate_not_after_timestamp_seconds",
        "When the first of a listener's certificates expires, 0 where it has none.",
    );
    for listener in &metrics.listeners {
        let labels = [("listener", listener.text.as_str())];
        // Wrapping sums of unsigned cells: as signed, a moment's race reads as a small negative, hence the floor.
        open.add(&labels, (listener.open.sum() as i64).max(0) as f64);
        not_after.add(&labels, listener.not_after.load(Relaxed) as f64);
    }
    let mut malformed =
        Family::counter("duskgate_http_malformed_total", "Requests refused as malformed or ambiguous.");
    for ((listener, reason), count) in metrics.malformed.snapshot() {
        malformed.add(&[("listener", &metrics.listeners[listener].text), ("reason", reason)], count as f64);
    }
    let mut limits = Family::counter("duskgate_limit_hits_total", "Times that a limit was hit.");
    for ((_, limit), count) in metrics.limits.snapshot() {
        limits.add(&[("limit", limit)], count as f64);
    }
    let (in_flight, waiting) = metrics.crowd.get().map_or((0, 0), |ask| ask());
    let mut served =
        Family::gauge("duskgate_http_requests_in_flight", "Requests that have a place and no answer yet.");
    served.add(&[], in_flight as f64);
    let mut queued = Family::gauge("duskgate_http_requests_queued", "Requests that wait for a place.");
    queued.add(&[], waiting as f64);
    families.extend([open, not_after, malformed, limits, served, queued]);
}

fn upstream(metrics: &Metrics, families: &mut Vec<Family>) {
    let mut seconds = Family::histogram(
        "duskgate_upstream_request_duration_seconds",
        "Time from a request to the head of the backend's answer.",
    );
    let mut errors = Family::counter("duskgate_upstream_errors_total", "Failures of the backend.");
    let mut up = Family::gauge("duskgate_upstream_up", "Whether the backend server can be reached.");
    let mut connections =
        Family::gauge("duskgate_upstream_connections", "Connections to the backend server that are open.");
    let mut ejections = Family::counter(
        "duskgate_upstream_ejections_total",
        "Times that the backend server was left out for a while.",
    );
    let counts = metrics.upstream_errors.snapshot();
    for server in super::lock(&metrics.current_servers).iter() {
        let Some(cells) = metrics.server_cells(*server) else { continue };
        let text = &cells.text;
        seconds.observed(&[("server", text)], &Observed::sum(cells.seconds.all()));
        up.add(&[("server", text)], cells.up.load(Relaxed) as f64);
        connections.add(&[("server", text)], cells.connections.load(Relaxed) as f64);
        ejections.add(&[("server", text)], cells.ejections.load(Relaxed) as f64);
        for (index, kind) in counts.keys() {
            let known = *index == Rare::EVERYWHERE && !counts.contains_key(&(server.0, kind));
            if known || *index == server.0 {
                let count = counts.get(&(server.0, kind)).copied().unwrap_or(0);
                errors.add(&[("server", text), ("kind", kind)], count as f64);
            }
        }
    }
    families.extend([seconds, errors, up, connections, ejections]);
}

fn deprecated(metrics: &Metrics, now: Timestamp, families: &mut Vec<Family>) {
    let mut total =
        Family::counter("duskgate_deprecated_requests_total", "Calls of deprecated operations answered.");
    let mut seconds = Family::histogram(
        "duskgate_deprecated_request_duration_seconds",
        "Time from the head of a call of a deprecated operation to its answer.",
    );
    let mut last = Family::gauge(
        "duskgate_deprecated_last_request_timestamp_seconds",
        "When a deprecated operation was last called, 0 for never.",
    );
    for (operation, watch) in metrics.operations.load().iter() {
        let (expected_mode, expected_code) = watch.facts.expected(now);
        for mode in Mode::ALL {
            for phase in Phase::ALL {
                let mut counts: Vec<_> = watch.calls.codes[mode as usize][phase as usize].counts().collect();
                let expected = mode == expected_mode && phase == watch.facts.phase(now);
                if expected && !counts.iter().any(|(code, _)| *code == expected_code) {
                    counts.push((expected_code, 0));
                }
                for (code, count) in counts {
                    let labels = [
                        ("operation", operation.as_str()),
                        ("mode", mode.name()),
                        ("phase", phase.name()),
                        ("code", &code.to_string()),
                    ];
                    total.add(&labels, count as f64);
                }
            }
            let observed = Observed::sum([&watch.calls.seconds[mode as usize]]);
            if mode == expected_mode || observed.count() > 0 {
                seconds.observed(&[("operation", operation), ("mode", mode.name())], &observed);
            }
        }
        let moment = watch.calls.last().map_or(0.0, |at| at.as_millisecond() as f64 / 1e3);
        last.add(&[("operation", operation)], moment);
    }
    families.extend([total, seconds, last]);
}

fn usage(metrics: &Metrics, families: &mut Vec<Family>) {
    let mut consumers = Family::gauge(
        "duskgate_deprecated_consumers",
        "Consumers of a deprecated operation that are verified and not ignored, as the ledger knows.",
    );
    let mut watched = Family::gauge(
        "duskgate_usage_watched_since_timestamp_seconds",
        "Since when calls of a deprecated operation are counted without a gap, 0 where they are not.",
    );
    let mut safe = Family::gauge(
        "duskgate_operation_safe_to_retire",
        "Whether a deprecated operation is safe to retire, by the verdict of reports.",
    );
    let mut calls = Family::counter(
        "duskgate_deprecated_consumer_requests_total",
        "Calls of a deprecated operation by consumer; other is everybody without a series.",
    );
    let counted = metrics.counted.get().map(|ask| ask()).unwrap_or_default();
    for (operation, watch) in metrics.operations.load().iter() {
        let standing = watch.calls.standing();
        for (window, count) in WINDOWS.into_iter().zip(standing.consumers) {
            consumers.add(&[("operation", operation), ("window", window)], count as f64);
        }
        let since = standing.watched_since.map_or(0.0, |at| at.as_millisecond() as f64 / 1e3);
        watched.add(&[("operation", operation)], since);
        safe.add(&[("operation", operation)], f64::from(u8::from(standing.is_safe)));
        let first = counted.consumers.partition_point(|calls| calls.operation < *operation);
        let own = counted.consumers[first..].iter().take_while(|calls| calls.operation == *operation);
        let mut others = 0;
        for ConsumerCalls { consumer, calls: count, .. } in own {
            match consumer.as_str() {
                OTHERS => others += count,
                consumer => calls.add(&[("operation", operation), ("consumer", consumer)], *count as f64),
            }
        }
        calls.add(&[("operation", operation), ("consumer", OTHERS)], others as f64);
    }
    let mut dropped = Family::counter(
        "duskgate_usage_dropped_total",
        "Calls of deprecated operations that are missing in the ledger because it was away for too long.",
    );
    dropped.add(&[], counted.dropped as f64);
    families.extend([consumers, watched, safe, calls, dropped]);
}

fn schedules(metrics: &Metrics, now: Timestamp, families: &mut Vec<Family>) {
    let mut deprecated = Family::gauge(
        "duskgate_operation_deprecated_timestamp_seconds",
        "When an operation was or will be deprecated.",
    );
    let mut sunset = Family::gauge(
        "duskgate_operation_sunset_timestamp_seconds",
        "When an operation ends, 0 where that is not known.",
    );
    let mut phases =
        Family::gauge("duskgate_operation_phase", "1 for the phase in which an operation is, else 0.");
    for (operation, watch) in metrics.operations.load().iter() {
        let facts = &watch.facts;
        deprecated.add(&[("operation", operation)], facts.deprecated_at.as_second() as f64);
        sunset.add(&[("operation", operation)], facts.sunset_at.map_or(0, Timestamp::as_second) as f64);
        for phase in Phase::ALL {
            let current = f64::from(u8::from(phase == facts.phase(now)));
            phases.add(&[("operation", operation), ("phase", phase.name())], current);
        }
    }
    families.extend([deprecated, sunset, phases]);
}

fn tokens(metrics: &Metrics, families: &mut Vec<Family>) {
    let mut issued =
        Family::counter("duskgate_tokens_issued_total", "Calls for a token of our own module, by their end.");
    for (operation, outcome, count) in metrics.tokens.issuings() {
        issued.add(&[("operation", operation), ("outcome", outcome)], count as f64);
    }
    let mut redeemed = Family::counter(
        "duskgate_tokens_redeemed_total",
        "Joins with a token of our own module, by their end.",
    );
    for (kind, outcome, count) in metrics.tokens.redeemings() {
        redeemed.add(&[("invite_type", kind), ("outcome", outcome)], count as f64);
    }
    let mut up = Family::gauge("duskgate_ledger_up", "Whether the ledger can be read and written.");
    up.add(&[], metrics.tokens.ledger_up());
    families.extend([issued, redeemed, up]);
}

fn own(metrics: &Metrics, families: &mut Vec<Family>) {
    let mut at = Family::gauge(
        "duskgate_config_last_reload_success_timestamp_seconds",
        "When a configuration was last loaded with success.",
    );
    at.add(&[], metrics.reload_success_at.load(Relaxed) as f64);
    let mut successful = Family::gauge(
        "duskgate_config_last_reload_successful",
        "Whether the last attempt to load a configuration succeeded.",
    );
    successful.add(&[], metrics.reload_successful.load(Relaxed) as f64);
    let mut spans = Family::counter(
        "duskgate_spans_dropped_total",
        "Spans that did not reach the collector; 0 where there is none.",
    );
    spans.add(&[], metrics.spans_dropped.load(Relaxed) as f64);
    let mut build = Family::gauge("duskgate_build_info", "The version of this program; always 1.");
    let revision = option_env!("DUSKGATE_REVISION").unwrap_or("unknown");
    build.add(&[("version", env!("CARGO_PKG_VERSION")), ("revision", revision)], 1.0);
    families.extend([at, successful, spans, build]);
}

/// A metric's name, help and type, with its series so far.
struct Family(proto::MetricFamily);

impl Family {
    fn counter(name: &str, help: &str) -> Self {
        Self::new(name, help, proto::MetricType::COUNTER)
    }

    fn gauge(name: &str, help: &str) -> Self {
        Self::new(name, help, proto::MetricType::GAUGE)
    }

    fn histogram(name: &str, help: &str) -> Self {
        Self::new(name, help, proto::MetricType::HISTOGRAM)
    }

    fn new(name: &str, help: &str, kind: proto::MetricType) -> Self {
        let mut family = proto::MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        Family(family)
    }

    /// Adds a series of a counter or a gauge.
    fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        let mut metric = labelled(labels);
        if self.0.get_field_type() == proto::MetricType::COUNTER {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.0.mut_metric().push(metric);
    }

    /// Adds a series of a histogram.
    fn observed(&mut self, labels: &[(&str, &str)], observed: &Observed) {
        let mut histogram = proto::Histogram::default();
        let mut below = 0;
        let cumulative = BOUNDS.iter().zip(observed.buckets).map(|(bound, count)| {
            below += count;
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(below);
            bucket
        });
        histogram.set_bucket(cumulative.collect());
        histogram.set_sample_count(observed.count());
        histogram.set_sample_sum(observed.nanoseconds as f64 / 1e9);
        let mut metric = labelled(labels);
        metric.set_histogram(histogram);
        self.0.mut_metric().push(metric);
    }
}

fn labelled(labels: &[(&str, &str)]) -> proto::Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    proto::Metric::from_label(labels.iter().map(pair).collect())
}
