//! Serving a deprecated operation by calling the newer API with the caller's own credentials, and translating the
//! answer back to what the old route said (contract, section 9). One file a family of operations; what the families
//! share stands beside them. It does not know why it was asked, nor what is tried if it cannot serve.

pub(super) mod answer;
pub(super) mod ask;
mod client_tokens;
mod creation;
pub(super) mod delivery;
pub(super) mod idempotency;
mod invite;
mod leftover;
mod listing;
pub(super) mod name;
pub(super) mod payload;
pub(super) mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderName, RANGE, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{Request, Response};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::Body;
use crate::caller::{CREDENTIAL_FIELDS, Caller};
use crate::operation::{Family, Operation};
use crate::reply;
use crate::route::Call;
use crate::token::keys::KeyRing;
use crate::upstream::{self, Upstream};
use ask::{Ask, Reply, Trouble};
use delivery::Delivery;
use idempotency::{Place, Replies, Turn};
use payload::Payload;

/// What came of a rewrite.
#[derive(Debug)]
pub enum Outcome {
    /// The call was answered.
    Answered(Response<Body>),
    /// It was not, and nothing has had any effect, so that something else may be tried.
    NotServed {
        /// Why.
        obstacle: Obstacle,
        /// The call as it came; `None` where its body is lost.
        request: Option<Request<Body>>,
    },
}

/// Why a rewrite cannot serve a call.
#[derive(Debug)]
pub enum Obstacle {
    /// The backend has no such API.
    TokenApiMissing,
    /// No byte reached a backend.
    Unreachable(upstream::Failure),
}

impl Obstacle {
    /// What a caller is told where there is nothing else to try.
    pub fn to_reply(&self) -> reply::Failure {
        match self {
            Obstacle::TokenApiMissing => reply::Failure::BadGateway { cause: Some(reply::TOKEN_API_MISSING) },
            Obstacle::Unreachable(failure) => reply::Failure::from(failure),
        }
    }
}

/// The newer token API of the backend, and what is remembered between calls of it. Clones share all of it.
#[derive(Clone)]
pub struct TokenApi(Arc<Shared>);

struct Shared {
    upstream: Arc<Upstream>,
    names: Arc<target::Names>,
    /// Places for tokens that are being created, delivered, or removed again.
    places: Arc<Semaphore>,
    replies: Replies,
}

/// How many tokens may be in the making at once; more of them could not be removed should nobody receive them.
const PLACES: u32 = 10_000;

impl TokenApi {
    /// The token API behind `upstream`.
    pub fn new(upstream: Arc<Upstream>) -> Self {
        let places = Arc::new(Semaphore::new(PLACES as usize));
        TokenApi::with(upstream, places, Replies::new())
    }

    fn with(upstream: Arc<Upstream>, places: Arc<Semaphore>, replies: Replies) -> Self {
        let names = Arc::new(target::Names::new(upstream.settings().name_cache));
        TokenApi(Arc::new(Shared { upstream, names, places, replies }))
    }

    /// The token API behind another upstream, when a configuration is replaced: what was remembered of the one before is
    /// forgotten, but its tokens in the making are still waited for, and calls can be repeated as before.
    pub fn behind(&self, upstream: Arc<Upstream>) -> Self {
        TokenApi::with(upstream, Arc::clone(&self.0.places), self.0.replies.clone())
    }

    /// The same, where our own tokens are those of these keys: what was remembered of others is no answer any more.
    pub fn with_keys(&self, keys: Option<Arc<KeyRing>>) -> Self {
        let Shared { upstream, names, places, replies } = &*self.0;
        let (upstream, names, places) = (Arc::clone(upstream), Arc::clone(names), Arc::clone(places));
        TokenApi(Arc::new(Shared { upstream, names, places, replies: replies.with_keys(keys) }))
    }

    /// The backend.
    pub(super) fn upstream(&self) -> &Arc<Upstream> {
        &self.0.upstream
    }

    /// The names of targets.
    pub(super) fn names(&self) -> &target::Names {
        &self.0.names
    }

    /// The tokens of calls that may be repeated.
    pub(super) fn replies(&self) -> &Replies {
        &self.0.replies
    }

    /// A place that the end of the program waits for, unless there are too many.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.places).try_acquire_owned().ok()
    }

    /// Waits until no token is in the making and none is left over to be removed. For the end of the program: no call
    /// may come meanwhile.
    pub async fn settled(&self) {
        // The semaphore is never closed.
        let _ = self.0.places.acquire_many(PLACES).await;
    }

    /// Serves a call of an operation that has a rewrite. The request's fields are those that may be passed on.
    pub async fn serve(
        &self,
        operation: &Operation,
        call: &Call,
        caller: &Caller,
        now: Timestamp,
        request: Request<Body>,
    ) -> Outcome {
        let Some(family) = operation.rewrite else {
            // An operation that has no rewrite is not configured to be rewritten.
            return Outcome::NotServed { obstacle: Obstacle::TokenApiMissing, request: Some(request) };
        };
        let (parts, body) = request.into_parts();
        let own = parts.uri.path_and_query().map_or("", |own| own.as_str());
        let ask = Ask::new(&self.0, operation, call, caller, (own, &parts.headers));
        let key = match idempotency::key(&parts.headers) {
            Ok(key) => key.filter(|_| family.creates()),
            Err(_) if !family.creates() => None,
            Err(idempotency::BadKey) => return Outcome::Answered(reply::bad_data("Idempotency-Key")),
        };
        let payload = match family.creates() {
            true => Payload::read(&parts.headers, body).await,
            false => Payload::Unjudged(body),
        };
        let answer = async {
            let is_repeatable = !ask.is_anonymous() && payload.may_create();
            let Some(key) = key.filter(|_| is_repeatable) else {
                let reply = answer_family(&ask, family, &payload, &parts.headers, now).await?;
                return Ok(deliver(reply, None));
            };
            match self.0.replies.turn(key, &parts.headers, operation, call, now).await {
                Turn::Repeat(token) => repeat(&ask, &token).await,
                Turn::Serve(place) => {
                    let reply = answer_family(&ask, family, &payload, &parts.headers, now).await?;
                    Ok(deliver(reply, Some(place)))
                }
            }
        };
        match answer.await {
            Ok(response) => Outcome::Answered(response),
            Err(Trouble::Failed(failure)) => {
                Outcome::Answered(reply::failure(&failure, reply::wants_problem(&parts.headers)))
            }
            Err(Trouble::Obstacle(obstacle)) => Outcome::NotServed {
                obstacle,
                request: payload.restore().map(|body| Request::from_parts(parts, body)),
            },
        }
    }
}

async fn answer_family(
    ask: &Ask<'_>,
    family: Family,
    payload: &Payload,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Reply, Trouble> {
    match (family, &ask.operation.invite) {
        (Family::Invite, Some(invite)) => invite::answer(ask, invite, payload, headers).await,
        (Family::ClientTokens(task), _) => client_tokens::answer(ask, task, payload, headers, now).await,
        // Every operation of this family says what it invites to.
        (Family::Invite, None) => Err(Trouble::Failed(reply::Failure::Internal)),
    }
}

/// The response of a reply; a token in it is left over until it is written, and then kept for repeats.
fn deliver(reply: Reply, place: Option<Place>) -> Response<Body> {
    match reply {
        Reply::Response(response) => response,
        Reply::Token { text, leftover, headers } => {
            handing_over(headers, Body::stream(Delivery::new(text, leftover, place)))
        }
    }
}

/// Answers the repeat of a call with the token of the first, if the caller's credentials still are good.
async fn repeat(ask: &Ask<'_>, token: &str) -> Result<Response<Body>, Trouble> {
    let (path, answer) = ask.prove().await?;
    if ask::is_proof(&answer) {
        if let Some(refusal) = ask.refuse_accept().await? {
            return Ok(refusal);
        }
        return Ok(handing_over(answer.headers, Body::full(delivery::body(token))));
    }
    ask.refusal(answer, &path)
}

pub(super) fn handing_over(headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, ask::JSON);
    answer::instead(headers, response)
}

/// The caller's fields that go with a request of ours: all but those about a body, a part or a version of something,
/// about a coding of the answer, which is to be read here, and about repeats.
pub(super) fn fields_of(headers: &HeaderMap) -> HeaderMap {
    const LEFT_OUT: [HeaderName; 9] = [
        ACCEPT_ENCODING,
        CONNECTION,
        EXPECT,
        idempotency::FIELD,
        RANGE,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    let goes_along = |name: &HeaderName| {
        let text = name.as_str();
        !LEFT_OUT.contains(name) && !text.starts_with("content-") && !text.starts_with("if-")
    };
    let fields: HeaderMap = pick(headers, goes_along);
    if fields.len() <= MOST_FIELDS {
        return fields;
    }
    pick(&fields, |name| *name == HOST || *name == ACCEPT || CREDENTIAL_FIELDS.contains(name))
}

/// How many fields of the caller's go along. Onezone takes 100 (contract, section 1), and ours are a body's type and
/// length; where there are more, only those go along that decide the answer.
const MOST_FIELDS: usize = 98;

fn pick(headers: &HeaderMap, is_wanted: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let fields = headers.iter().filter(|(name, _)| is_wanted(name));
    fields.map(|(name, value)| (name.clone(), value.clone())).collect()
}

pub(super) fn request(method: http::Method, path: &str, headers: HeaderMap, body: Body) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    // Paths are made of literals and encoded segments, which a URI takes.
    *request.uri_mut() = path.parse().unwrap_or_default();
    *request.headers_mut() = headers;
    request
}
