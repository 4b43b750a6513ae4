//! One call and all that it takes to serve it: who asks for what, the requests to the backend, and what the old route
//! says to a caller whose token is not for it.

use std::sync::Arc;

use http::header::{ACCEPT, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};

use super::answer::{self, error, instead};
use super::leftover::Leftover;
use super::{Obstacle, Shared, fields_of, request};
use crate::body::Body;
use crate::caller::{CREDENTIAL_FIELDS, Caller, Credential};
use crate::operation::{Entity, Operation};
use crate::reply;
use crate::route::{self, Call};
use crate::token::api::{self, Gri};
use crate::token::{Caveat, Subject};
use crate::upstream::{Answer, Failure};

pub(in crate::serve) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the caller is told.
pub(super) enum Reply {
    /// This.
    Response(Response<Body>),
    /// The token that was made, which somebody must receive.
    Token {
        text: String,
        leftover: Leftover,
        /// The fields of the answer that brought it.
        headers: HeaderMap,
    },
}

impl From<Response<Body>> for Reply {
    fn from(response: Response<Body>) -> Self {
        Reply::Response(response)
    }
}

/// Why there is no answer of the backend's.
pub(super) enum Trouble {
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

/// One call.
pub(super) struct Ask<'a> {
    pub api: &'a Arc<Shared>,
    pub operation: &'a Operation,
    pub call: &'a Call,
    pub caller: &'a Caller,
    /// The path and query that the caller used.
    pub own: &'a str,
    /// The caller's fields that go with each request of ours.
    pub fields: HeaderMap,
}

impl<'a> Ask<'a> {
    pub fn new(
        api: &'a Arc<Shared>,
        operation: &'a Operation,
        call: &'a Call,
        caller: &'a Caller,
        (own, headers): (&'a str, &HeaderMap),
    ) -> Self {
        Ask { api, operation, call, caller, own, fields: fields_of(headers) }
    }

    /// A path of the newer API.
    pub fn path(&self, rest: &str) -> String {
        format!("{}{rest}", self.operation.base)
    }

    /// Whether no credentials were sent.
    pub fn is_anonymous(&self) -> bool {
        self.caller.credential == Credential::None
    }

    /// The user as whom the caller's token acts, by its own account.
    pub fn claimed_user(&self) -> Option<&'a str> {
        match self.caller.token()?.id.subject.as_ref()? {
            Subject::User(id) if is_id(id) => Some(id),
            Subject::User(_) | Subject::Provider(_) => None,
        }
    }

    /// Whether the caller's token is of the version that does not say whose it is, so that it may be a Oneprovider's.
    pub fn is_unclear(&self) -> bool {
        self.caller.token().is_some_and(|token| token.id.subject.is_none())
    }

    /// Asks with the caller's own credentials.
    pub async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.get_with(path, self.fields.clone()).await
    }

    pub async fn get_with(&self, path: &str, fields: HeaderMap) -> Result<Answer, Failure> {
        self.api.upstream.call(request(Method::GET, path, fields, Body::None)).await
    }

    /// The caller's fields with the service token in the place of the caller's credentials.
    pub fn service_fields(&self) -> Option<HeaderMap> {
        let token = self.api.upstream.service_token()?.clone();
        let mut fields = self.fields.clone();
        for name in CREDENTIAL_FIELDS {
            fields.remove(name);
        }
        fields.insert("x-auth-token", token);
        fields.insert(ACCEPT, JSON);
        Some(fields)
    }

    /// Asks whether the caller's credentials are good, and nothing else: no other check comes before the one that this
    /// fails (contract, section 9.1). Returns the path and the answer, which [is proof](is_proof) or not.
    pub async fn prove(&self) -> Result<(String, Answer), Trouble> {
        let path = self.path("/health");
        let mut fields = self.fields.clone();
        fields.insert(ACCEPT, HeaderValue::from_static("application/x-probe"));
        let answer = self.get_with(&path, fields).await?;
        Ok((path, answer))
    }

    /// What the backend says where it cannot answer as `Accept` asks (contract, section 3): 406, or 400 without an error.
    /// Not asked where plain JSON is among what is asked for.
    pub async fn refuse_accept(&self) -> Result<Option<Response<Body>>, Trouble> {
        let mut accepted = self.fields.get_all(ACCEPT).iter();
        let is_plain = |value: &HeaderValue| [&b"*/*"[..], b"application/json"].contains(&value.as_bytes());
        if accepted.all(is_plain) {
            return Ok(None);
        }
        let path = self.path("/health");
        let answer = self.get(&path).await?;
        let is_unreadable = answer.status == StatusCode::BAD_REQUEST && answer::error(&answer).is_null();
        let is_refused = answer.status == StatusCode::NOT_ACCEPTABLE || is_unreadable;
        Ok(is_refused.then(|| answer::pass(answer, &path, self.own)))
    }

    /// The first api caveat of the presented token that does not allow the old route. `user` is the caller's id.
    pub fn unmatched_caveat(&self, user: Option<&str>) -> Option<&'a Caveat> {
        let resource = self.operation.resource.as_ref()?;
        let id = match resource.entity {
            Entity::InPath => self.call.id("id").unwrap_or_default(),
            Entity::Caller => user.unwrap_or_default(),
        };
        let gri = Gri::private(&resource.kind, id, &resource.aspect);
        let parameter = resource.parameter.as_ref().and_then(|name| self.call.id(name));
        let gri = parameter.map_or(gri, |parameter| gri.with(parameter));
        let operation = match self.operation.method {
            Method::GET => "get",
            Method::PATCH => "update",
            Method::DELETE => "delete",
            _ => "create",
        };
        api::unmatched(self.caller.token()?, "ozw", operation, &gri)
    }

    /// Refuses for an api caveat, after everything that comes before that: reading what the old route is about is
    /// refused for the same reasons up to there, and if it does not exist.
    pub async fn refuse_caveat(&self, caveat: &Caveat, path: &str) -> Result<Response<Body>, Trouble> {
        let answer = self.get(path).await?;
        let is_reached = match answer.status {
            StatusCode::OK | StatusCode::FORBIDDEN => true,
            StatusCode::UNAUTHORIZED => answer::refuses_api_caveat(&answer),
            _ => false,
        };
        if !is_reached {
            return self.refusal(answer, path);
        }
        let refusal = reply::token::caveat_unverified(caveat).unauthorized();
        Ok(instead(answer.headers, refusal))
    }

    /// Answers a caller without credentials: 404, or 401, or for what comes before either. Reading what the old route
    /// is about is refused for the same reasons.
    pub async fn refuse_nobody(&self, path: &str) -> Result<Response<Body>, Trouble> {
        let answer = self.get(path).await?;
        if answer.status == StatusCode::OK {
            return Ok(instead(answer.headers, reply::unauthorized()));
        }
        self.refusal(answer, path)
    }

    /// What the backend says if the caller is no user, which all routes of `/user` answer alike.
    pub async fn no_user(&self) -> Result<Option<Response<Body>>, Trouble> {
        let path = self.path("/user");
        let answer = self.get(&path).await?;
        if answer::says_not_found(&answer) { self.refusal(answer, &path).map(Some) } else { Ok(None) }
    }

    /// The answer to a call of `path` that has to be a refusal, as it is. Success where there can be none is nonsense.
    pub fn refusal(&self, answer: Answer, path: &str) -> Result<Response<Body>, Trouble> {
        if answer.status.is_success() {
            return Err(Trouble::Failed(reply::Failure::BadGateway { cause: None }));
        }
        Ok(answer::pass(answer, path, self.own))
    }
}

/// What the backend's answer says where it has such a route at all.
pub(super) fn with_route(answer: Answer) -> Result<Answer, Trouble> {
    if answer::lacks_route(&answer) {
        return Err(Trouble::Obstacle(Obstacle::TokenApiMissing));
    }
    Ok(answer)
}

/// Whether the credentials were good, or there were none.
pub(in crate::serve) fn is_proof(answer: &Answer) -> bool {
    answer.status == StatusCode::NOT_ACCEPTABLE
}

/// Whether an id may stand in a path of ours: a router takes dots away with what is before them.
pub(in crate::serve) fn is_id(id: &str) -> bool {
    !matches!(id, "" | "." | "..")
}

/// A path segment.
pub(super) fn segment(id: &str) -> String {
    route::encode(id.as_bytes())
}

/// Whether an error of this id was answered to a bad request.
pub(super) fn is_refused_as(answer: &Answer, id: &str) -> bool {
    answer.status == StatusCode::BAD_REQUEST && error(answer)["id"] == id
}
