//! Tokens that nobody will receive: the caller went away, or the backend's answer to the creation was lost. They are
//! deleted in the background, with the credentials that created them, which are held for that alone and not longer than
//! [`LIMIT`]. A token whose id is not known is looked for by its generated name, again and again, since a creation may
//! take effect after it was given up.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use crate::body::Body;
use crate::route;
use crate::upstream::{Answer, Failure, kept};

/// How long a left-over token is looked for.
const LIMIT: Duration = Duration::from_secs(60);

/// The first pause between two attempts; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// A token that may have been created. It is removed when this is dropped, unless it was [kept](Leftover::keep).
pub(super) struct Leftover(Option<Trace>);

/// How to find it.
struct Trace {
    api: Arc<Shared>,
    /// The path under which the REST API lies.
    base: String,
    /// The path of the call that created it, below which its name is known.
    creation: String,
    /// The fields of who created it, credentials among them.
    headers: HeaderMap,
    name: String,
    id: Option<String>,
    /// Where there is none, it is not looked for.
    place: Option<OwnedSemaphorePermit>,
}

impl Leftover {
    /// A token that is about to be created under a name that nothing else has.
    pub fn new(api: &Arc<Shared>, base: &str, creation: String, headers: &HeaderMap, name: &str) -> Self {
        let mut headers = headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let place = Arc::clone(&api.places).try_acquire_owned().ok();
        let trace = Trace {
            api: Arc::clone(api),
            base: base.to_owned(),
            creation,
            headers,
            name: name.to_owned(),
            id: None,
            place,
        };
        Leftover(Some(trace))
    }

    /// Takes in what came of the creation.
    pub fn learn(&mut self, result: &Result<Answer, Failure>) {
        match result {
            Ok(answer) if answer.status.is_success() => {
                if let Some(trace) = &mut self.0 {
                    trace.id = id_in(answer, "tokenId");
                }
            }
            // A server error may hide a token: it is looked for, and most often not found.
            Ok(answer)
                if answer.status.is_server_error() && answer.status != StatusCode::SERVICE_UNAVAILABLE => {}
            Err(failure) if !failure.had_no_effect() => {}
            Ok(_) | Err(_) => self.0 = None,
        }
    }

    /// Somebody has the token, or is sure that there is none.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        let Some(trace) = self.0.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if trace.place.is_none() {
            tracing::warn!(token = trace.name, "a token may be left over: too many others are in the making");
            return;
        }
        runtime.spawn(kept(trace.remove()));
    }
}

/// Where an attempt leads.
enum Step {
    Done,
    Again,
    Hopeless,
}

impl Trace {
    async fn remove(mut self) {
        let attempts = async {
            let mut pause = FIRST_PAUSE;
            loop {
                match self.attempt().await {
                    Step::Done => return true,
                    Step::Hopeless => return false,
                    Step::Again => tokio::time::sleep(pause).await,
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        let is_known = match tokio::time::timeout(LIMIT, attempts).await {
            Ok(true) => return,
            Ok(false) => true,
            Err(_) => self.id.is_some(),
        };
        if is_known {
            tracing::warn!(token = self.name, "a token is left over that could not be deleted");
        }
    }

    async fn attempt(&mut self) -> Step {
        if self.id.is_none() {
            let path = format!("{}/name/{}", self.creation, route::encode(self.name.as_bytes()));
            match self.ask(Method::GET, &path).await {
                Ok(answer) if answer.status == StatusCode::OK => self.id = id_in(&answer, "id"),
                Ok(answer) if is_final(answer.status) => return Step::Hopeless,
                Ok(_) | Err(_) => {}
            }
        }
        let Some(id) = &self.id else { return Step::Again };
        let path = format!("{}/tokens/named/{}", self.base, route::encode(id.as_bytes()));
        match self.ask(Method::DELETE, &path).await {
            Ok(answer) if answer.status.is_success() || answer.status == StatusCode::NOT_FOUND => Step::Done,
            Ok(answer) if is_final(answer.status) => Step::Hopeless,
            Ok(_) | Err(_) => Step::Again,
        }
    }

    async fn ask(&self, method: Method, path: &str) -> Result<Answer, Failure> {
        self.api.upstream.call(super::request(method, path, self.headers.clone(), Body::None)).await
    }
}

/// Whether asking again would be answered the same.
fn is_final(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn id_in(answer: &Answer, key: &str) -> Option<String> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    Some(body.get(key)?.as_str()?.to_owned())
}
