//! What is asked of the backend: with the caller's own credentials, so that a refusal is its own and is passed on; or with
//! the service token, so that a refusal is a fault of ours.

use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use serde_json::Value;

use super::Local;
use super::invitation::BASE;
use crate::body::Body;
use crate::caller::{Caller, Credential};
use crate::ledger::Away;
use crate::reply;
use crate::serve::rewrite::answer::{self, error, instead};
use crate::serve::rewrite::ask::{JSON, is_id, is_proof};
use crate::serve::rewrite::payload::Payload;
use crate::serve::rewrite::{fields_of, request};
use crate::token::api::{self, Gri};
use crate::token::{Caveat, Subject};
use crate::upstream::{self, Answer};

/// A call ends here.
pub(super) enum Stop {
    /// With this answer.
    Reply(Box<Response<Body>>),
    /// Because somebody else did not do their part.
    Failed(reply::Failure),
}

impl Stop {
    /// The answer.
    pub fn into_response(self, wants_problem: bool) -> Response<Body> {
        match self {
            Stop::Reply(response) => *response,
            Stop::Failed(failure) => reply::failure(&failure, wants_problem),
        }
    }
}

impl From<Response<Body>> for Stop {
    fn from(response: Response<Body>) -> Self {
        Stop::Reply(Box::new(response))
    }
}

impl From<upstream::Failure> for Stop {
    fn from(failure: upstream::Failure) -> Self {
        Stop::Failed(reply::Failure::from(&failure))
    }
}

impl From<Away> for Stop {
    fn from(away: Away) -> Self {
        tracing::error!("{away}");
        Stop::Failed(reply::Failure::LedgerAway)
    }
}

/// One caller, who asks with its own credentials.
pub(super) struct Asking<'a> {
    pub local: &'a Local,
    pub caller: &'a Caller,
    /// The path and query that the caller used.
    pub own: &'a str,
    /// The caller's fields that go with each request of ours.
    pub fields: HeaderMap,
}

impl<'a> Asking<'a> {
    pub fn new(local: &'a Local, caller: &'a Caller, own: &'a str, headers: &HeaderMap) -> Self {
        Asking { local, caller, own, fields: fields_of(headers) }
    }

    pub async fn get(&self, path: &str) -> Result<Answer, Stop> {
        self.ask(Method::GET, path, self.fields.clone(), Body::None).await
    }

    /// Makes the caller's own call with a body that is an empty object.
    pub async fn post_nothing(&self) -> Result<Answer, Stop> {
        let mut fields = self.fields.clone();
        fields.insert(CONTENT_TYPE, JSON);
        self.ask(Method::POST, self.own, fields, Body::full("{}")).await
    }

    pub async fn post(&self, path: &str, content: &Value) -> Result<Answer, Stop> {
        let mut fields = self.fields.clone();
        fields.insert(CONTENT_TYPE, JSON);
        self.ask(Method::POST, path, fields, Body::full(content.to_string())).await
    }

    async fn ask(&self, method: Method, path: &str, fields: HeaderMap, body: Body) -> Result<Answer, Stop> {
        Ok(self.local.upstream().call(request(method, path, fields, body)).await?)
    }

    /// The backend's answer to the caller.
    pub fn pass(&self, answer: Answer, path: &str) -> Stop {
        if answer::lacks_route(&answer) {
            return Stop::Failed(reply::Failure::BadGateway { cause: None });
        }
        answer::pass(answer, path, self.own).into()
    }

    /// Whether no credentials were sent.
    pub fn is_anonymous(&self) -> bool {
        self.caller.credential == Credential::None
    }

    /// Whose the caller's token says it is.
    pub fn claimed(&self) -> Option<Subject> {
        let subject = self.caller.token()?.id.subject.as_ref()?;
        is_id(id_in(subject)).then(|| subject.clone())
    }

    /// Whether the caller's token is good for certain calls only, and so may not be good for those that are made here.
    pub fn is_confined(&self) -> bool {
        let caveats = self.caller.token().map(|token| token.caveats.as_slice()).unwrap_or_default();
        caveats.iter().any(|caveat| matches!(caveat, Caveat::Api(_)))
    }

    /// The first caveat of the caller's token that stands against a call (contract, section 4.1). Operations about tokens
    /// and invitations are for no service but Onezone itself.
    pub fn unmatched(&self, operation: &str, resource: &Gri<'_>) -> Option<&'a Caveat> {
        let token = self.caller.token()?;
        let for_others = |caveat: &&Caveat| match caveat {
            Caveat::Service(list) => !list.iter().any(|service| service.starts_with("ozw-")),
            _ => false,
        };
        api::unmatched(token, "ozw", operation, resource).or_else(|| token.caveats.iter().find(for_others))
    }

    /// Takes the answer to the first thing that is asked, which tells what Onezone says before it looks at a resource, and
    /// judges the body in its place among that (steps 3 to 7 of the contract's section 3). What comes through is about
    /// the resource, and of a caller whose credentials are good, or who has none.
    pub fn gate(&self, answer: Answer, path: &str, payload: &Payload) -> Result<Answer, Stop> {
        let is_open = match answer.status {
            StatusCode::OK | StatusCode::FORBIDDEN => true,
            StatusCode::NOT_FOUND => answer::says_not_found(&answer),
            // Who is asked for credentials has none in the backend's eyes, whatever was read here.
            StatusCode::UNAUTHORIZED => {
                answer::refuses_api_caveat(&answer)
                    || self.claimed().is_none() && answer::wants_credentials(&answer)
            }
            _ => false,
        };
        let is_broken =
            answer.status == StatusCode::SERVICE_UNAVAILABLE && error(&answer)["id"] == "serviceUnavailable";
        let refusal = match payload {
            Payload::OtherType(_) | Payload::Absent { is_type_readable: false } if is_open || is_broken => {
                reply::empty_on_route(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            _ if !is_open => return Err(self.pass(answer, path)),
            Payload::Malformed(_) => reply::malformed_data(),
            Payload::Unreadable => reply::empty_on_route(StatusCode::INTERNAL_SERVER_ERROR),
            _ => return Ok(answer),
        };
        Err(instead(answer.headers, refusal).into())
    }

    /// Asks something that stands against nobody, for what comes before the resource; for calls about tokens of ours,
    /// which the backend cannot be asked about.
    pub async fn pass_gate(&self, payload: &Payload) -> Result<Answer, Stop> {
        let path = format!("{BASE}/health");
        self.gate(self.get(&path).await?, &path, payload)
    }

    /// Makes sure of the caller's credentials, and of nothing else (contract, section 9.1).
    pub async fn prove(&self) -> Result<Answer, Stop> {
        let path = format!("{BASE}/health");
        let mut fields = self.fields.clone();
        fields.insert(ACCEPT, HeaderValue::from_static("application/x-probe"));
        let answer = self.ask(Method::GET, &path, fields, Body::None).await?;
        if is_proof(&answer) {
            return Ok(answer);
        }
        if answer.status.is_success() {
            return Err(Stop::Failed(reply::Failure::BadGateway { cause: None }));
        }
        Err(self.pass(answer, &path))
    }

    /// Who the caller is, whose token does not say so, if it may know. `payload` is judged with the first answer.
    pub async fn find_out(&self, payload: &Payload) -> Result<Subject, Stop> {
        let path = format!("{BASE}/user");
        let answer = self.gate(self.get(&path).await?, &path, payload)?;
        if answer.status == StatusCode::OK {
            return Ok(Subject::User(text_in(&answer, "userId")?));
        }
        if !answer::says_not_found(&answer) {
            return Err(self.pass(answer, &path));
        }
        // Its id is no user's.
        let path = format!("{BASE}/provider");
        let answer = self.get(&path).await?;
        match answer.status {
            StatusCode::OK => Ok(Subject::Provider(text_in(&answer, "providerId")?)),
            _ => Err(self.pass(answer, &path)),
        }
    }

    /// The service, for this caller.
    pub fn service(&self) -> Service {
        Service(self.local.clone())
    }
}

/// The service, which asks with its own token.
#[derive(Clone)]
pub(super) struct Service(pub Local);

impl Service {
    pub async fn get(&self, path: &str) -> Result<Answer, upstream::Failure> {
        self.0.upstream().call(request(Method::GET, path, self.fields(), Body::None)).await
    }

    /// Creates what the path names; without `content` with no body.
    pub async fn put(&self, path: &str, content: Option<Value>) -> Result<Answer, upstream::Failure> {
        let mut fields = self.fields();
        let body = content.map_or(Body::None, |content| {
            fields.insert(CONTENT_TYPE, JSON);
            Body::full(content.to_string())
        });
        self.0.upstream().call(request(Method::PUT, path, fields, body)).await
    }

    /// Nothing of the caller's goes along.
    fn fields(&self) -> HeaderMap {
        let mut fields = HeaderMap::new();
        if let Ok(domain) = HeaderValue::from_str(&self.0.settings().domain) {
            fields.insert(HOST, domain);
        }
        fields.insert(ACCEPT, JSON);
        if let Some(token) = self.0.upstream().service_token() {
            fields.insert("x-auth-token", token.clone());
        }
        fields
    }
}

/// An answer to the service that helps nobody.
pub(super) fn useless(answer: &Answer, path: &str) -> Stop {
    let status = answer.status;
    let cause = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            tracing::error!(%status, path, "the backend refuses the service token: it lacks a privilege, or is no good");
            Some(reply::SERVICE_TOKEN_REFUSED)
        }
        _ => {
            tracing::warn!(%status, path, "the backend does not answer the service's question");
            None
        }
    };
    Stop::Failed(reply::Failure::BadGateway { cause })
}

/// Who a caller is whose token does not say so, where the backend tells.
pub(super) async fn subject_of(asking: &Asking<'_>) -> Option<Subject> {
    asking.find_out(&Payload::Unjudged(Body::None)).await.ok()
}

/// The text under a key of an answer.
fn text_in(answer: &Answer, key: &str) -> Result<String, Stop> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = body[key].as_str().filter(|text| is_id(text)).map(str::to_owned);
    text.ok_or(Stop::Failed(reply::Failure::BadGateway { cause: None }))
}

/// Whether the list under a key of an answer holds this text.
pub(super) fn lists(answer: &Answer, key: &str, text: &str) -> bool {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body[key].as_array().is_some_and(|list| list.iter().any(|item| item == text))
}

/// The id of a subject.
pub(super) fn id_in(subject: &Subject) -> &str {
    match subject {
        Subject::User(id) | Subject::Provider(id) => id,
    }
}
