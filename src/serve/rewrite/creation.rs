//! Creating named tokens: whose, with which credentials, under which name, and so that none is left over.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::oneshot;

use super::answer::{self, error, instead};
use super::ask::{Ask, JSON, Reply, Trouble, is_id, is_refused_as, segment, with_route};
use super::leftover::Leftover;
use super::payload::Payload;
use super::{name, request};
use crate::body::Body;
use crate::reply;
use crate::token::Subject;
use crate::upstream::{Answer, kept};

/// A body that every check up to the JSON syntax lets pass, and none after.
const MALFORMED: &[u8] = b"{";
/// How often another name is tried where one is taken. One in 16 million is.
const ATTEMPTS: usize = 5;

/// Who creates tokens, and whose.
pub(super) struct Creator<'a> {
    ask: &'a Ask<'a>,
    /// Whose: the path before `/tokens/named`.
    owner: String,
    /// With the credentials of who asks for it.
    fields: HeaderMap,
}

/// What is to be done about a call, its body judged.
pub(super) enum Gate {
    /// What it asks for.
    Open,
    /// Refuse it for its body, but only after everything else that it may be refused for.
    NoObject,
    /// Nothing.
    Answered(Box<Reply>),
}

impl<'a> Creator<'a> {
    /// The caller creates its own tokens.
    pub fn caller(ask: &'a Ask<'a>) -> Self {
        if ask.caller.is_provider() { Creator::provider(ask) } else { Creator::user(ask) }
    }

    /// The caller, being a user, creates its own.
    pub fn user(ask: &'a Ask<'a>) -> Self {
        Creator::owned(ask, "/user")
    }

    /// The caller, being a Oneprovider, creates its own.
    pub fn provider(ask: &'a Ask<'a>) -> Self {
        Creator::owned(ask, "/provider")
    }

    /// The service creates tokens of the subject of the caller's token.
    pub fn service(ask: &'a Ask<'a>) -> Option<Self> {
        let owner = match ask.caller.token()?.id.subject.as_ref()? {
            Subject::User(id) if is_id(id) => format!("/users/{}", segment(id)),
            Subject::Provider(id) if is_id(id) => format!("/providers/{}", segment(id)),
            Subject::User(_) | Subject::Provider(_) => return None,
        };
        Some(Creator { ask, owner, fields: ask.service_fields()? })
    }

    fn owned(ask: &'a Ask<'a>, owner: &str) -> Self {
        Creator { ask, owner: owner.to_owned(), fields: ask.fields.clone() }
    }

    /// The path of the call that creates.
    pub fn path(&self) -> String {
        self.ask.path(&format!("{}/tokens/named", self.owner))
    }

    /// Judges a call by its body. The newer call goes through the same checks in the same order as the old one up to
    /// the body's syntax (steps 3 to 7 of the contract's section 3), so credentials, `Accept`, `Content-Type` and the
    /// circuit breaker are the backend's to judge: it is given the caller's own fields, and where the old route would
    /// have refused the body, a body that cannot create anything.
    pub async fn gate(&self, payload: &Payload, headers: &HeaderMap) -> Result<Gate, Trouble> {
        let types = || headers.get_all(CONTENT_TYPE).iter().cloned().collect();
        let answer = match payload {
            Payload::Object(_) | Payload::Absent { is_type_readable: true } | Payload::Unjudged(_) => {
                return Ok(Gate::Open);
            }
            Payload::NoObject(_) => return Ok(Gate::NoObject),
            Payload::Absent { is_type_readable: false } => {
                let answer = self.probe(Body::None, types()).await?;
                if !is_about_the_head(&answer) {
                    return Ok(Gate::Open);
                }
                answer
            }
            Payload::OtherType(_) => self.probe(Body::full(MALFORMED), types()).await?,
            Payload::Malformed(_) => self.probe(Body::full(MALFORMED), vec![JSON]).await?,
            Payload::Unreadable => {
                let answer = self.probe(Body::full(MALFORMED), vec![JSON]).await?;
                if is_refused_as(&answer, "malformedData") {
                    let crashed = reply::empty_on_route(StatusCode::INTERNAL_SERVER_ERROR);
                    return Ok(Gate::Answered(Box::new(instead(answer.headers, crashed).into())));
                }
                answer
            }
            Payload::Broken(broken) => {
                return Ok(Gate::Answered(Box::new(reply::unheard(broken).into())));
            }
        };
        Ok(Gate::Answered(Box::new(self.refuse(answer)?)))
    }

    /// Asks for a creation that cannot succeed.
    async fn probe(&self, body: Body, content_types: Vec<HeaderValue>) -> Result<Answer, Trouble> {
        let mut fields = self.fields.clone();
        for value in content_types {
            fields.append(CONTENT_TYPE, value);
        }
        let request = request(Method::POST, &self.path(), fields, body);
        with_route(self.ask.api.upstream.call(request).await?)
    }

    /// Asks for the creation of what `token` describes, under a name that `compose` makes of random digits, and under
    /// another one where that is taken.
    pub async fn create(
        &self,
        compose: impl Fn(&str) -> String,
        token: &Value,
    ) -> Result<(Answer, Leftover), Trouble> {
        for attempt in 1.. {
            let (answer, leftover) = self.create_as(&compose(&name::random_suffix()), token).await?;
            let answer = with_route(answer)?;
            if attempt == ATTEMPTS || !is_refused_as(&answer, "badValueIdentifierOccupied") {
                return Ok((answer, leftover));
            }
        }
        Err(Trouble::Failed(reply::Failure::Internal))
    }

    /// Sends one creation, in a task of its own: should the caller go away meanwhile, its answer still tells which
    /// token to delete.
    pub async fn create_as(&self, name: &str, token: &Value) -> Result<(Answer, Leftover), Trouble> {
        let mut body = token.clone();
        body["name"] = name.into();
        let mut fields = self.fields.clone();
        fields.insert(CONTENT_TYPE, JSON);
        let request = request(Method::POST, &self.path(), fields, Body::full(body.to_string()));

        let base = &self.ask.operation.base;
        let mut leftover = Leftover::new(self.ask.api, base, self.path(), &self.fields, name);
        let (sender, receiver) = oneshot::channel();
        let api = Arc::clone(self.ask.api);
        tokio::spawn(kept(async move {
            let result = api.upstream.call(request).await;
            leftover.learn(&result);
            // Where nobody receives it, what is dropped is the left-over as well.
            let _ = sender.send(result.map(|answer| (answer, leftover)));
        }));
        let internal = Trouble::Failed(reply::Failure::Internal);
        receiver.await.map_err(|_| internal)?.map_err(Trouble::from)
    }

    /// The backend's refusal of a creation, as it is.
    pub fn refuse(&self, answer: Answer) -> Result<Reply, Trouble> {
        // Every name that was tried is taken, which chance alone does not bring about.
        if is_refused_as(&answer, "badValueIdentifierOccupied") {
            let description = "Temporary failure - please try again later.";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Ok(reply::onezone(status, "temporaryFailure", description, None).into());
        }
        Ok(self.ask.refusal(answer, &self.path())?.into())
    }
}

/// The token in the answer to a successful creation.
pub(super) fn made(answer: Answer, leftover: Leftover) -> Result<Reply, Trouble> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match body["token"].as_str() {
        Some(token) => Ok(Reply::Token { text: token.to_owned(), leftover, headers: answer.headers }),
        None => Err(Trouble::Failed(reply::Failure::BadGateway { cause: None })),
    }
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
