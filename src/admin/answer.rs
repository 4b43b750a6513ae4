//! What the admin listener can be asked for, and how it answers.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, REFERRER_POLICY,
};
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use http_body_util::Full;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::asking::Asked;
use super::page::{self, Sight};
use super::{Health, Panel, api};
use crate::clock::Clock;

impl Panel {
    /// Answers one request.
    pub async fn answer(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let Some(task) = Task::find(uri.path()) else {
            return text(StatusCode::NOT_FOUND, "there is no such page; try /\n");
        };
        if !task.allows(method) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "this method is not allowed here\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(task.allow()));
            return response;
        }
        if task.commands() && comes_from_elsewhere(headers) {
            return text(StatusCode::FORBIDDEN, "refused: the request comes from a page of another origin\n");
        }
        self.perform(task, uri.query().unwrap_or("")).await
    }

    async fn perform(&self, task: Task<'_>, query: &str) -> Response<Full<Bytes>> {
        match task {
            Task::Overview => {
                let sight = self.sight().await;
                html(move || (StatusCode::OK, page::overview(&sight))).await
            }
            Task::Operation(segment) => self.operation(segment, query).await,
            Task::Consumer(segment) => self.consumer(segment).await,
            Task::Metrics => {
                reply(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", self.metrics.render())
            }
            Task::Alive => text(StatusCode::OK, "ok\n"),
            Task::Ready => {
                let health = (self.health)().await;
                let status = if health.ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                json(status, &Readiness { ready: health.ready(), health })
            }
            Task::Operations => json(StatusCode::OK, &(self.operations)()),
            Task::Usage => api::usage(self, query).await,
            Task::Configuration => {
                reply(StatusCode::OK, "application/toml; charset=utf-8", (self.configuration)())
            }
            Task::Reload => match (self.reload)().await {
                Ok(()) => text(StatusCode::OK, "reloaded\n"),
                Err(mistakes) => {
                    let list: String = mistakes.iter().map(|mistake| format!("{mistake}\n")).collect();
                    text(StatusCode::UNPROCESSABLE_ENTITY, list)
                }
            },
            Task::Drain => {
                (self.drain)(true);
                text(StatusCode::OK, "draining: /readyz answers 503, and nothing stops\n")
            }
            Task::Undrain => {
                (self.drain)(false);
                text(StatusCode::OK, "no longer draining\n")
            }
        }
    }

    async fn operation(&self, segment: &str, query: &str) -> Response<Full<Bytes>> {
        let (sight, id, query) = (self.sight().await, decoded(segment), query.to_owned());
        html(move || match id.and_then(|id| page::operation(&sight, &id, &query)) {
            Some(page) => (StatusCode::OK, page),
            None => (StatusCode::NOT_FOUND, page::missing(&sight, "There is no such operation.")),
        })
        .await
    }

    async fn consumer(&self, segment: &str) -> Response<Full<Bytes>> {
        let (sight, name) = (self.sight().await, decoded(segment));
        html(move || {
            if sight.known.is_err() {
                let what = "Nothing is known of this consumer now.";
                return (StatusCode::SERVICE_UNAVAILABLE, page::missing(&sight, what));
            }
            match name.and_then(|name| page::consumer(&sight, &name)) {
                Some(page) => (StatusCode::OK, page),
                None => {
                    let what = "Nobody of this name has called since the beginning of the report.";
                    (StatusCode::NOT_FOUND, page::missing(&sight, what))
                }
            }
        })
        .await
    }

    /// All that a page can show.
    async fn sight(&self) -> Sight {
        let settings = self.usage.settings();
        let rows = (self.operations)();
        let operations = rows.iter().map(|row| row.id.clone()).collect();
        let asked = Asked { settings: (*settings).clone(), operation: None, consumer: None, operations };
        let health = async { tokio::time::timeout(LOOK, (self.health)()).await.unwrap_or(UNHEALTHY) };
        let (health, known) = tokio::join!(health, self.usage.ask(asked));
        Sight { health, rows, known, settings, usage: (self.usage_written)(), now: Clock::Real.now() }
    }

    /// The operations in force.
    pub(super) fn operation_ids(&self) -> Vec<String> {
        (self.operations)().into_iter().map(|row| row.id).collect()
    }
}

/// How long a page waits for a look at how the proxy fares. What has not answered by then does not answer.
const LOOK: Duration = Duration::from_secs(5);
const UNHEALTHY: Health = Health { listening: true, upstream: false, ledger: Some(false), draining: false };

/// The text of a segment of a path.
fn decoded(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// What `/readyz` says.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    #[serde(flatten)]
    health: Health,
}

/// What can be asked for.
#[derive(Clone, Copy)]
enum Task<'p> {
    Overview,
    /// Of this operation, percent-encoded.
    Operation(&'p str),
    /// Of this consumer, percent-encoded.
    Consumer(&'p str),
    Metrics,
    Alive,
    Ready,
    Operations,
    Usage,
    Configuration,
    Reload,
    Drain,
    Undrain,
}

impl<'p> Task<'p> {
    fn find(path: &'p str) -> Option<Self> {
        Some(match path {
            "/" => Task::Overview,
            "/metrics" => Task::Metrics,
            "/healthz" => Task::Alive,
            "/readyz" => Task::Ready,
            "/api/operations" => Task::Operations,
            "/api/usage" => Task::Usage,
            "/api/config" => Task::Configuration,
            "/reload" => Task::Reload,
            "/drain" => Task::Drain,
            "/undrain" => Task::Undrain,
            path => {
                // A name may hold slashes, whether whoever asks has encoded them or not.
                let operation = path.strip_prefix("/operations/").map(Task::Operation);
                let found = operation.or_else(|| path.strip_prefix("/consumers/").map(Task::Consumer));
                return found.filter(|_| !path.ends_with("s/"));
            }
        })
    }

    /// Whether it changes something.
    fn commands(self) -> bool {
        matches!(self, Task::Reload | Task::Drain | Task::Undrain)
    }

    fn allows(self, method: &Method) -> bool {
        if self.commands() { method == Method::POST } else { method == Method::GET || method == Method::HEAD }
    }

    fn allow(self) -> &'static str {
        if self.commands() { "POST" } else { "GET, HEAD" }
    }
}

/// Whether a browser sent this for a page of another origin. Programs send no `Origin`; a browser does with each POST.
fn comes_from_elsewhere(headers: &HeaderMap) -> bool {
    if headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return true;
    }
    let host = headers.get(HOST).map_or(&b""[..], HeaderValue::as_bytes);
    headers.get_all(ORIGIN).iter().any(|origin| {
        let origin = origin.as_bytes();
        let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        authority.is_none_or(|authority| !authority.eq_ignore_ascii_case(host))
    })
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_string_pretty(value) {
        Ok(body) => reply(status, "application/json", body + "\n"),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("this cannot be shown: {error}\n")),
    }
}

/// Answers with a page, which is rendered off this thread: very many may have called.
async fn html(render: impl FnOnce() -> (StatusCode, String) + Send + 'static) -> Response<Full<Bytes>> {
    let Ok((status, page)) = tokio::task::spawn_blocking(render).await else {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made\n");
    };
    let mut response = reply(status, "text/html; charset=utf-8", page);
    if let Ok(policy) = HeaderValue::try_from(page::SECURITY_POLICY.as_str()) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    reply(status, "text/plain; charset=utf-8", body)
}

pub(super) fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
