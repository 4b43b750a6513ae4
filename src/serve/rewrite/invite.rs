//! The invite-token routes, served by `POST /user/tokens/named`. That call goes through the same checks in the same
//! order as the old one up to the body's syntax (steps 3 to 7 of the contract's section 3), so credentials, `Accept`,
//! `Content-Type` and the circuit breaker are the backend's to judge: it is given the caller's own fields, and where
//! the old route would have refused the body, a body that cannot create anything.
//!
//! What the newer call does differently is made up for here: a missing target is 404 before anything that the caller
//! may not do, the old route's own api caveat is checked (section 4.1), and answers are translated (section 9).

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::answer::{self, error, instead};
use super::delivery::Delivery;
use super::leftover::Leftover;
use super::payload::Payload;
use super::{Obstacle, Outcome, Shared, fields_of, name, request};
use crate::body::Body;
use crate::caller::Caller;
use crate::operation::{Invite, Operation};
use crate::reply;
use crate::route::{self, Call};
use crate::token::Caveat;
use crate::token::api::{self, Gri};
use crate::upstream::{Answer, Failure};

/// A body that every check up to the JSON syntax lets pass, and none after.
const MALFORMED: &[u8] = b"{";
/// How often another name is tried where one is taken. One in 16 million is.
const ATTEMPTS: usize = 5;
/// How long a target's name is waited for, before the token is named without it.
const NAME_PATIENCE: Duration = Duration::from_secs(5);

/// Serves one call.
pub(super) async fn serve(
    api: &Arc<Shared>,
    operation: &Operation,
    invite: &Invite,
    call: &Call,
    caller: &Caller,
    request: Request<Body>,
) -> Outcome {
    let (parts, body) = request.into_parts();
    let target = call.ids.first().map_or("", |(_, id)| id.as_str());
    let ask = Ask {
        api,
        invite,
        caller,
        target,
        base: &operation.base,
        creation: format!("{}/user/tokens/named", operation.base),
        path: format!("{}/{}/{}", operation.base, invite.collection, route::encode(target.as_bytes())),
        own: parts.uri.path_and_query().map_or("", |own| own.as_str()),
        fields: fields_of(&parts.headers),
    };
    let payload = Payload::read(&parts.headers, body).await;
    match ask.answer(&payload, &parts.headers).await {
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

/// Why there is no answer of the backend's.
enum Trouble {
    /// Nothing has had any effect.
    Obstacle(Obstacle),
    /// Something may have had.
    Failed(reply::Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        if failure.had_no_effect() {
            return Trouble::Obstacle(Obstacle::Unreachable(failure));
        }
        Trouble::Failed(reply::Failure::from(&failure))
    }
}

/// One call and all that it takes to serve it.
struct Ask<'a> {
    api: &'a Arc<Shared>,
    invite: &'a Invite,
    caller: &'a Caller,
    /// The id of what is invited to.
    target: &'a str,
    base: &'a str,
    /// The path of the newer call.
    creation: String,
    /// The path of the target.
    path: String,
    /// The path and query that the caller used.
    own: &'a str,
    /// The caller's fields that go with each request of ours.
    fields: HeaderMap,
}

impl Ask<'_> {
    async fn answer(&self, payload: &Payload, headers: &HeaderMap) -> Result<Response<Body>, Trouble> {
        match payload {
            Payload::Object(_) | Payload::Absent { is_type_readable: true } => self.issue().await,
            Payload::NoObject(_) => self.refuse_value().await,
            Payload::Absent { is_type_readable: false } => {
                let answer = self.probe(Body::None, types_of(headers)).await?;
                if is_about_the_head(&answer) { Ok(self.pass(answer)) } else { self.issue().await }
            }
            Payload::OtherType(_) => {
                let answer = self.probe(Body::full(MALFORMED), types_of(headers)).await?;
                Ok(self.pass(answer))
            }
            Payload::Malformed(_) => Ok(self.pass(self.probe(Body::full(MALFORMED), vec![JSON]).await?)),
            Payload::Unreadable => {
                let answer = self.probe(Body::full(MALFORMED), vec![JSON]).await?;
                let is_left =
                    answer.status == StatusCode::BAD_REQUEST && error(&answer)["id"] == "malformedData";
                let crashed = || reply::empty_on_route(StatusCode::INTERNAL_SERVER_ERROR);
                Ok(if is_left { instead(answer.headers, crashed()) } else { self.pass(answer) })
            }
            Payload::Broken => Ok(reply::empty(StatusCode::BAD_REQUEST)),
        }
    }

    /// Creates the token, if the caller may.
    async fn issue(&self) -> Result<Response<Body>, Trouble> {
        if let Some(caveat) = self.unmatched_caveat() {
            return self.refuse_caveat(caveat).await;
        }
        let (name, is_seen) = match self.look_up().await {
            Looked::Settled(answer) => return Ok(answer::pass(answer, &self.path, self.own)),
            Looked::Up { name, is_seen } => (name, is_seen),
        };
        let Some((answer, leftover)) = self.create(name.as_deref(), 1).await? else {
            return Ok(no_name_left());
        };
        if !answer.status.is_success() {
            return self.translate(answer, is_seen).await;
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(token) = body["token"].as_str() else {
            return Err(Trouble::Failed(reply::Failure::BadGateway { cause: None }));
        };
        let text = json!({ "token": token }).to_string();
        let mut response = Response::new(Body::stream(Delivery::new(text, leftover)));
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        Ok(instead(answer.headers, response))
    }

    /// Answers to JSON that is no object: 400, but only after everything that the caller or the target may be refused
    /// for. A creation with a usage limit of 0 checks all that and creates nothing (contract, section 9.1).
    async fn refuse_value(&self) -> Result<Response<Body>, Trouble> {
        if let Some(caveat) = self.unmatched_caveat() {
            return self.refuse_caveat(caveat).await;
        }
        let Some((answer, _leftover)) = self.create(None, 0).await? else { return Ok(no_name_left()) };
        // Where a backend takes the 0 after all, dropping `_leftover` deletes what it made of it.
        if answer.status.is_success() || is_refused_as(&answer, "badValueTooLow") {
            return Ok(instead(answer.headers, reply::malformed_data()));
        }
        self.translate(answer, false).await
    }

    /// What the old route would have said where the newer call refused.
    async fn translate(&self, answer: Answer, is_seen: bool) -> Result<Response<Body>, Trouble> {
        let error = error(&answer);
        let is_about_target = match answer.status {
            StatusCode::UNAUTHORIZED => !answer::refuses_credentials(&answer),
            StatusCode::FORBIDDEN => true,
            StatusCode::BAD_REQUEST => match error["id"].as_str() {
                Some("inviteTokenTargetIdInvalid") => return Ok(instead(answer.headers, reply::not_found())),
                Some("inviteTokenSubjectNotAuthorized") => {
                    return Ok(instead(answer.headers, reply::forbidden()));
                }
                // The old route says these as well; without an id it is about `Accept`.
                Some("badValueName" | "malformedData") | None => false,
                // An id that is no id may be refused by other words. If that is not it, the words stand.
                Some(_) => true,
            },
            _ => false,
        };
        if is_about_target && !is_seen {
            let target = self.get(&self.fields).await?;
            if answer::says_not_found(&target) {
                return Ok(answer::pass(target, &self.path, self.own));
            }
        }
        Ok(self.pass(answer))
    }

    /// The first api caveat of the presented token that does not allow the old route.
    fn unmatched_caveat(&self) -> Option<&Caveat> {
        let gri = Gri::private(&self.invite.gri_type, self.target, &self.invite.gri_aspect);
        api::unmatched(self.caller.token()?, "ozw", "create", &gri)
    }

    /// Refuses for an api caveat, after everything that comes before that. Reading the target is refused for the same
    /// reasons up to there, a missing target included.
    async fn refuse_caveat(&self, caveat: &Caveat) -> Result<Response<Body>, Trouble> {
        let answer = self.get(&self.fields).await?;
        let is_reached = match answer.status {
            StatusCode::OK | StatusCode::FORBIDDEN => true,
            StatusCode::UNAUTHORIZED => {
                let auth_error = &error(&answer)["details"]["authError"];
                auth_error["id"] == "tokenCaveatUnverified"
                    && auth_error["details"]["caveat"]["type"] == "api"
            }
            _ => false,
        };
        if !is_reached {
            return Ok(answer::pass(answer, &self.path, self.own));
        }
        let allowed = match caveat {
            Caveat::Api(entries) => entries.join(" or "),
            _ => String::new(),
        };
        let text = format!(
            "unverified API caveat: this token can only be used for API calls that match the following spec: '{allowed}'"
        );
        let refusal = reply::unauthorized_because(reply::token_caveat_unverified(caveat.to_json(), &text));
        Ok(instead(answer.headers, refusal))
    }

    /// Finds the target's name: remembered, or with the caller's credentials, or with the service token, or not.
    async fn look_up(&self) -> Looked {
        if let Some(name) = self.api.names.get(&self.path) {
            return Looked::Up { name: Some(name), is_seen: false };
        }
        let Some(answer) = self.get_soon(&self.fields).await else {
            return Looked::Up { name: None, is_seen: false };
        };
        match answer.status {
            StatusCode::OK => Looked::Up { name: self.learn_name(&answer), is_seen: true },
            // Reading it is refused for these reasons exactly where creating the token would be.
            StatusCode::NOT_FOUND if answer::says_not_found(&answer) => Looked::Settled(answer),
            StatusCode::UNAUTHORIZED if answer::refuses_credentials(&answer) => Looked::Settled(answer),
            StatusCode::UNAUTHORIZED if answer::wants_credentials(&answer) => Looked::Settled(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Looked::Up { name: self.look_up_as_service().await, is_seen: true }
            }
            _ => Looked::Up { name: None, is_seen: false },
        }
    }

    async fn look_up_as_service(&self) -> Option<String> {
        let token = self.api.upstream.service_token()?.clone();
        let mut fields = self.fields.clone();
        for name in crate::caller::CREDENTIAL_FIELDS {
            fields.remove(name);
        }
        fields.insert("x-auth-token", token);
        fields.insert(http::header::ACCEPT, JSON);
        let answer = self.get_soon(&fields).await.filter(|answer| answer.status == StatusCode::OK)?;
        self.learn_name(&answer)
    }

    fn learn_name(&self, answer: &Answer) -> Option<String> {
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let name = body.get("name")?.as_str()?;
        self.api.names.put(&self.path, name);
        Some(name.to_owned())
    }

    async fn get_soon(&self, fields: &HeaderMap) -> Option<Answer> {
        tokio::time::timeout(NAME_PATIENCE, self.get(fields)).await.ok()?.ok()
    }

    async fn get(&self, fields: &HeaderMap) -> Result<Answer, Failure> {
        self.api.upstream.call(request(Method::GET, &self.path, fields.clone(), Body::None)).await
    }

    /// Asks for a creation that cannot succeed.
    async fn probe(&self, body: Body, content_types: Vec<HeaderValue>) -> Result<Answer, Trouble> {
        let mut fields = self.fields.clone();
        for value in content_types {
            fields.append(CONTENT_TYPE, value);
        }
        let answer = self.api.upstream.call(request(Method::POST, &self.creation, fields, body)).await?;
        if answer::lacks_route(&answer) {
            return Err(Trouble::Obstacle(Obstacle::TokenApiMissing));
        }
        Ok(answer)
    }

    /// Asks for the creation, under another name where one is taken. `None`: all of them were.
    async fn create(&self, target: Option<&str>, uses: u8) -> Result<Option<(Answer, Leftover)>, Trouble> {
        for _ in 0..ATTEMPTS {
            let name = name::compose(&self.invite.name_prefix, target, &name::random_suffix());
            let (answer, leftover) = self.create_as(&name, uses).await?;
            if answer::lacks_route(&answer) {
                return Err(Trouble::Obstacle(Obstacle::TokenApiMissing));
            }
            if !is_refused_as(&answer, "badValueIdentifierOccupied") {
                return Ok(Some((answer, leftover)));
            }
        }
        Ok(None)
    }

    /// Sends one creation, in a task of its own: should the caller go away meanwhile, its answer still tells which
    /// token to delete.
    async fn create_as(&self, name: &str, uses: u8) -> Result<(Answer, Leftover), Trouble> {
        let invite = self.invite;
        let mut kind = json!({ "inviteType": invite.kind });
        kind[invite.target_key.as_str()] = self.target.into();
        let body = json!({ "name": name, "type": { "inviteToken": kind }, "usageLimit": uses }).to_string();
        let mut fields = self.fields.clone();
        fields.insert(CONTENT_TYPE, JSON);
        let request = request(Method::POST, &self.creation, fields, Body::full(body));

        let mut leftover = Leftover::new(self.api, self.base, &self.fields, name);
        let (sender, receiver) = oneshot::channel();
        let api = Arc::clone(self.api);
        tokio::spawn(async move {
            let result = api.upstream.call(request).await;
            leftover.learn(&result);
            // Where nobody receives it, what is dropped is the left-over as well.
            let _ = sender.send(result.map(|answer| (answer, leftover)));
        });
        let internal = Trouble::Failed(reply::Failure::Internal);
        receiver.await.map_err(|_| internal)?.map_err(Trouble::from)
    }

    fn pass(&self, answer: Answer) -> Response<Body> {
        answer::pass(answer, &self.creation, self.own)
    }
}

/// What looking up the target's name came to.
enum Looked {
    /// The call is answered: this is what the old route would have said.
    Settled(Answer),
    Up {
        name: Option<String>,
        /// Whether the target was just seen to exist.
        is_seen: bool,
    },
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn types_of(headers: &HeaderMap) -> Vec<HeaderValue> {
    headers.get_all(CONTENT_TYPE).iter().cloned().collect()
}

/// Whether an answer to a creation without a body is about the request's head, and so the old route's as well.
fn is_about_the_head(answer: &Answer) -> bool {
    match answer.status {
        StatusCode::UNAUTHORIZED => answer::refuses_credentials(answer),
        StatusCode::BAD_REQUEST => error(answer).is_null(),
        StatusCode::FORBIDDEN => false,
        status => !status.is_success(),
    }
}

fn is_refused_as(answer: &Answer, id: &str) -> bool {
    answer.status == StatusCode::BAD_REQUEST && error(answer)["id"] == id
}

/// Every name that was tried is taken, which chance alone does not bring about.
fn no_name_left() -> Response<Body> {
    let description = "Temporary failure - please try again later.";
    reply::onezone(StatusCode::SERVICE_UNAVAILABLE, "temporaryFailure", description, None)
}
