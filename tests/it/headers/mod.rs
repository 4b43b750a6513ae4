//! One loop runs the same test over every way in which a call of a deprecated operation can be answered: the fields about
//! the deprecation are there to the byte, merged with what the backend sent, and the call is counted once under the
//! right labels.

mod dress;
mod scenes;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use duskgate::admission::{self, Admission};
use duskgate::body::Body;
use duskgate::clock::Clock;
use duskgate::config::Config;
use duskgate::ledger::{self, Create};
use duskgate::listen::Peer;
use duskgate::log::{Access, AccessLog, Format, Settings};
use duskgate::metrics::{Metrics, Vocabulary, Watched};
use duskgate::operation::Mode;
use duskgate::pipeline::Pipeline;
use duskgate::policy::{AfterSunset, Book};
use duskgate::upstream::Upstream;
use http::{HeaderMap, Request};

use crate::support::proxy;
use dress::{BACKENDS, Fields, TERMS, Terms};
use scenes::{Module, Scene, scenes};

#[tokio::test]
async fn every_answer_is_dressed_and_counted_once_whoever_made_it() {
    let mut answers = 0;
    for scene in scenes() {
        for terms in TERMS {
            for fields in BACKENDS {
                if scene.takes(terms, fields) {
                    check(&scene, terms, fields).await;
                    answers += 1;
                }
            }
        }
    }
    assert!(answers >= 200, "only {answers} answers");
}

async fn check(scene: &Scene, terms: &Terms, fields: &Fields) {
    let backend = scene.backend(fields);
    let address = backend.as_ref().map_or("127.0.0.1:1".to_owned(), |backend| backend.address.to_string());
    let clock = Clock::Fixed(scene.now.parse().expect("a moment"));
    let directory = tempfile::tempdir().expect("a directory");
    let (pipeline, metrics) = pipeline(&address, scene, terms, clock, directory.path());
    let title = format!("{}, {}, backend with {}", scene.name, terms.name, fields.name);

    let response = pipeline.handle(scene.request(), &peer()).await;
    let (parts, body) = response.into_parts();
    body.collect(1 << 20).await.unwrap_or_else(|broken| panic!("{title}: {broken}"));

    assert_eq!(parts.status, scene.status, "{title}");
    let sent = if scene.shows_backend { fields } else { Fields::OURS };
    let mut expected = dress::expected(scene.operation, terms, sent);
    expected.extend(scene.extra.iter().map(|line| (*line).to_owned()));
    if scene.is_overloaded {
        let exposed = expected.iter_mut().find(|line| line.starts_with("access-control-expose-headers: "));
        exposed.unwrap().push_str(", Retry-After");
    }
    assert_eq!(seen(&parts.headers), expected, "{title}");

    let metrics = proxy::Metrics(metrics.render());
    let labels = format!(
        "operation=\"{}\",mode=\"{}\",phase=\"{}\",code=\"{}\"",
        scene.operation, scene.answered_by, scene.phase, scene.status
    );
    let counted = metrics.counts("duskgate_deprecated_requests_total");
    assert_eq!(counted.into_iter().collect::<Vec<_>>(), [(labels, 1)], "{title}");
    let requests = metrics.counts("duskgate_http_requests_total").into_iter().collect::<Vec<_>>();
    let [(labels, 1)] = &requests[..] else { panic!("{title}: {requests:?}") };
    assert!(labels.contains("route=\"deprecated\""), "{title}: {labels}");
}

/// The fields about the deprecation, in the order of their names, each in the order of its lines.
fn seen(headers: &HeaderMap) -> Vec<String> {
    let line = |name: &str, value: &http::HeaderValue| format!("{name}: {}", value.to_str().unwrap());
    dress::NAMES
        .iter()
        .flat_map(|name| headers.get_all(*name).iter().map(|value| line(name, value)).collect::<Vec<_>>())
        .collect()
}

fn peer() -> Peer {
    let address = SocketAddr::from(([192, 0, 2, 7], 40000));
    Peer::new(address, 0, None)
}

/// The pipeline of a configuration, at a moment. What it keeps is kept in this directory.
fn pipeline(
    backend: &str,
    scene: &Scene,
    terms: &Terms,
    clock: Clock,
    directory: &Path,
) -> (Pipeline, Arc<Metrics>) {
    let (service_token, module) = match scene.module {
        Module::None => ("", String::new()),
        Module::Here | Module::LedgerAway => {
            std::fs::write(directory.join("service.token"), "service").expect("room on the disk");
            ("service_token_file = \"service.token\"", proxy::local_tables(directory))
        }
    };
    if scene.module == Module::LedgerAway {
        std::fs::create_dir(directory.join("ledger.db")).expect("room on the disk");
    }
    let text = format!(
        r#"
        [upstream]
        servers = ["http://{backend}"]
        response_timeout = "{patience}"
        {service_token}
        [deprecation]
        deprecated_at = 2020-06-01T00:00:00Z
        {terms}
        {deprecation}
        [[operation]]
        id = "list_legacy_reports"
        method = "GET"
        path = "/api/v1/reports/{{id}}"
        successor = ["/api/v2/reports/{{id}}"]
        {more}
        {module}
        "#,
        patience = scene.patience(),
        terms = terms.lines,
        deprecation = scene.deprecation,
        more = scene.more,
    );
    let config = Config::read(&directory.join("duskgate.toml"), &text, [])
        .unwrap_or_else(|invalid| panic!("{invalid}"));
    let metrics = Arc::new(Metrics::new(clock, &["127.0.0.1:0".to_owned()], Vocabulary::default()));
    metrics.operations(watched(&config.book));
    let upstream = Arc::new(Upstream::new(config.upstream, Arc::clone(&metrics)).unwrap());
    let silence = Settings { format: Format::Text, access: Access::Off };
    let log = AccessLog::to(silence, std::io::sink());
    let local = config.local.map(|settings| (settings, ledger::open(&config.ledger, Create::Yes)));
    // Without a single place, everybody is turned away.
    let concurrent_requests = if scene.is_overloaded { 0 } else { 1 };
    let limits = admission::Settings { concurrent_requests, queue: 0, queue_wait: Duration::from_millis(1) };
    let admission = Arc::new(Admission::new(limits, Arc::clone(&metrics)));
    (Pipeline::new(config.book, upstream, local, admission, Arc::clone(&metrics), log, clock), metrics)
}

fn watched(book: &Book) -> Vec<Watched> {
    let watch = |entry: &duskgate::policy::Entry| Watched {
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

/// A request of a scene.
fn request(method: &str, path: &str, fields: &[(&str, &str)], body: &'static str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header("host", "onezone.example.com");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let body = if body.is_empty() {
        Body::None
    } else {
        request = request.header("content-length", body.len());
        Body::full(body)
    };
    request.body(body).expect("a request")
}
