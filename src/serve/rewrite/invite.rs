//! The routes that make invite tokens, served by the creation of a named token. What the newer call does differently is
//! made up for here: a missing target is 404 before anything that the caller may not do, the old route's own api caveat
//! is checked (contract, section 4.1), and answers are translated (section 9).

use std::time::Duration;

use http::StatusCode;
use http::header::HeaderMap;
use serde_json::{Value, json};

use super::answer::{self, error, instead};
use super::ask::{Ask, Reply, Trouble, is_id, is_refused_as, segment};
use super::creation::{Creator, Gate, made};
use super::leftover::Leftover;
use super::name;
use super::payload::Payload;
use crate::operation::{Entity, Invite};
use crate::reply;
use crate::upstream::Answer;

/// How long a target's name is waited for, before the token is named without it.
const NAME_PATIENCE: Duration = Duration::from_secs(5);
/// The cluster of Onezone itself, which has no Oneprovider, and what it is called (contract, section 7.2).
const ONEZONE: (&str, &str) = ("onezone", "Onezone");

/// Serves one call.
pub(super) async fn answer(
    ask: &Ask<'_>,
    invite: &Invite,
    payload: &Payload,
    headers: &HeaderMap,
) -> Result<Reply, Trouble> {
    let creator = Creator::caller(ask);
    let is_object = match creator.gate(payload, headers).await? {
        Gate::Open => true,
        Gate::NoObject => false,
        Gate::Answered(reply) => return Ok(*reply),
    };
    let (target, user) = match find_target(ask, invite).await? {
        Ok(found) => found,
        Err(reply) => return Ok(reply),
    };
    if ask.is_anonymous() {
        return Ok(ask.refuse_nobody(&target.path).await?.into());
    }
    if let Some(caveat) = ask.unmatched_caveat(user.as_deref()) {
        return Ok(ask.refuse_caveat(caveat, &target.path).await?.into());
    }
    let invitation = Invitation { ask, invite, creator, target };
    if is_object { invitation.issue().await } else { invitation.refuse_value().await }
}

/// What is invited to.
struct Target {
    id: String,
    /// Where the caller reads it.
    path: String,
    /// Where the caller reads its name.
    named_at: String,
    /// Where everybody reads its name, and by which it is remembered.
    remembered_at: String,
    /// The name, and that the target was just seen, where finding it told both.
    name: Option<String>,
    is_seen: bool,
}

/// Finds out what is invited to, and which user calls where that is needed for it. The reply, where that is the answer
/// to the call already.
async fn find_target(
    ask: &Ask<'_>,
    invite: &Invite,
) -> Result<Result<(Target, Option<String>), Reply>, Trouble> {
    let remembered_at = |id: &str| ask.path(&format!("/{}/{}", invite.named_in, segment(id)));
    match (invite.target, ask.claimed_user()) {
        (Entity::InPath, _) => {
            let id = ask.call.id("id").unwrap_or_default().to_owned();
            let named_at = remembered_at(&id);
            let path = ask.path(&format!("/{}/{}", invite.collection, segment(&id)));
            let name =
                (invite.named_in != invite.collection && id == ONEZONE.0).then(|| ONEZONE.1.to_owned());
            let remembered_at = named_at.clone();
            Ok(Ok((Target { id, path, named_at, remembered_at, name, is_seen: false }, None)))
        }
        (Entity::Caller, claimed) => {
            let path = ask.path("/user");
            let mut target = Target {
                id: claimed.unwrap_or_default().to_owned(),
                named_at: path.clone(),
                remembered_at: remembered_at(claimed.unwrap_or_default()),
                path,
                name: None,
                is_seen: false,
            };
            if claimed.is_none() && !ask.is_anonymous() {
                let answer = super::ask::with_route(ask.get(&target.path).await?)?;
                let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                if answer.status != StatusCode::OK {
                    return Ok(Err(ask.refusal(answer, &target.path)?.into()));
                }
                let Some(id) = body["userId"].as_str().filter(|id| is_id(id)) else {
                    return Err(Trouble::Failed(reply::Failure::BadGateway { cause: None }));
                };
                target.id = id.to_owned();
                target.remembered_at = remembered_at(id);
                target.name = body[invite.name_key.as_str()].as_str().map(str::to_owned);
                target.is_seen = true;
            }
            let user = Some(target.id.clone());
            Ok(Ok((target, user)))
        }
    }
}

/// One invitation to be made.
struct Invitation<'a> {
    ask: &'a Ask<'a>,
    invite: &'a Invite,
    creator: Creator<'a>,
    target: Target,
}

impl Invitation<'_> {
    /// Creates the token, if the caller may.
    async fn issue(&self) -> Result<Reply, Trouble> {
        let (name, is_seen) = match self.look_up().await {
            Looked::Settled(answer) => {
                return Ok(self.ask.refusal(answer, &self.target.named_at)?.into());
            }
            Looked::Up { name, is_seen } => (name, is_seen),
        };
        let (answer, leftover) = self.create(name.as_deref(), 1).await?;
        if answer.status.is_success() {
            return made(answer, leftover);
        }
        if let Some(judgment) = self.judge_as_service(&answer).await {
            return Ok(match judgment {
                Judgment::NoTarget => instead(answer.headers, reply::not_found()).into(),
                Judgment::NotAllowed => instead(answer.headers, reply::forbidden()).into(),
                Judgment::Allowed => self.creator.refuse(answer)?,
            });
        }
        if is_refused_as(&answer, "badValueName") {
            // The old route looks at the name last, the newer call first.
            let (verdict, _leftover) = self.create(None, 0).await?;
            if !verdict.status.is_success() && !is_refused_as(&verdict, "badValueTooLow") {
                return self.translate(verdict, is_seen).await;
            }
        }
        self.translate(answer, is_seen).await
    }

    /// Answers to JSON that is no object: 400, but only after everything that the caller or the target may be refused
    /// for. A creation with a usage limit of 0 checks all that and creates nothing (contract, section 9.1).
    async fn refuse_value(&self) -> Result<Reply, Trouble> {
        let (answer, _leftover) = self.create(None, 0).await?;
        // Where a backend takes the 0 after all, dropping `_leftover` deletes what it made of it.
        let is_allowed = answer.status.is_success() || is_refused_as(&answer, "badValueTooLow");
        let judgment =
            if is_allowed { Some(Judgment::Allowed) } else { self.judge_as_service(&answer).await };
        Ok(match judgment {
            Some(Judgment::Allowed) => instead(answer.headers, reply::malformed_data()).into(),
            Some(Judgment::NotAllowed) => instead(answer.headers, reply::forbidden()).into(),
            Some(Judgment::NoTarget) => instead(answer.headers, reply::not_found()).into(),
            None => return self.translate(answer, self.target.is_seen).await,
        })
    }

    /// What the old route would have said where the newer call refused.
    async fn translate(&self, answer: Answer, is_seen: bool) -> Result<Reply, Trouble> {
        let error = error(&answer);
        let is_about_target = match answer.status {
            StatusCode::UNAUTHORIZED => !answer::refuses_credentials(&answer),
            StatusCode::FORBIDDEN => true,
            StatusCode::BAD_REQUEST => match error["id"].as_str() {
                Some("inviteTokenTargetIdInvalid") => {
                    return Ok(instead(answer.headers, reply::not_found()).into());
                }
                Some("inviteTokenSubjectNotAuthorized") => {
                    return Ok(instead(answer.headers, reply::forbidden()).into());
                }
                // The old route says these as well; without an id it is about `Accept`.
                Some("badValueName" | "badValueIdentifierOccupied" | "malformedData") | None => false,
                // An id that is no id may be refused by other words. If that is not it, the words stand.
                Some(_) => true,
            },
            _ => false,
        };
        if is_about_target && !is_seen {
            let path = &self.target.path;
            let target = self.ask.get(path).await?;
            if answer::says_not_found(&target) {
                return Ok(self.ask.refusal(target, path)?.into());
            }
        }
        self.creator.refuse(answer)
    }

    /// Asks for the creation, of a token for so many uses.
    async fn create(&self, name: Option<&str>, uses: u8) -> Result<(Answer, Leftover), Trouble> {
        let token = self.token(uses);
        let (answer, leftover) = self.creator.create(|digits| self.compose(name, digits), &token).await?;
        // A token that does not say whose it is may be a Oneprovider's, who has no tokens of a user.
        if answer.status == StatusCode::FORBIDDEN && self.ask.is_unclear() {
            let provider = Creator::provider(self.ask);
            return provider.create(|digits| self.compose(name, digits), &token).await;
        }
        Ok((answer, leftover))
    }

    fn token(&self, uses: u8) -> Value {
        let mut kind = json!({ "inviteType": self.invite.kind });
        kind[self.invite.target_key.as_str()] = self.target.id.as_str().into();
        json!({ "type": { "inviteToken": kind }, "usageLimit": uses })
    }

    fn compose(&self, target: Option<&str>, digits: &str) -> String {
        name::compose(&self.invite.name_prefix, target, digits)
    }

    /// A token that is good for the old route and not for creating tokens is refused by both, but the old route says
    /// first what else speaks against the call. The service may ask that in the caller's name, whose credentials the
    /// `refusal` has just proven. `None`: that is not what the refusal is, or nobody can ask.
    async fn judge_as_service(&self, refusal: &Answer) -> Option<Judgment> {
        if !answer::refuses_api_caveat(refusal) {
            return None;
        }
        let creator = Creator::service(self.ask)?;
        let (answer, _leftover) =
            creator.create(|digits| self.compose(None, digits), &self.token(0)).await.ok()?;
        let error = error(&answer);
        match (answer.status, error["id"].as_str()) {
            (StatusCode::BAD_REQUEST, Some("badValueTooLow")) => Some(Judgment::Allowed),
            (StatusCode::BAD_REQUEST, Some("inviteTokenTargetIdInvalid")) => Some(Judgment::NoTarget),
            (StatusCode::BAD_REQUEST, Some("inviteTokenSubjectNotAuthorized")) => Some(Judgment::NotAllowed),
            _ => None,
        }
    }

    /// Finds the target's name: remembered, or with the caller's credentials, or with the service token, or not.
    async fn look_up(&self) -> Looked {
        let Target { named_at, remembered_at, name, is_seen, .. } = &self.target;
        if name.is_some() || *is_seen {
            return Looked::Up { name: name.clone(), is_seen: *is_seen };
        }
        if let Some(name) = self.ask.api.names.get(remembered_at) {
            return Looked::Up { name: Some(name), is_seen: false };
        }
        let Some(answer) = self.get_soon(named_at, self.ask.fields.clone()).await else {
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
        let answer = self.get_soon(&self.target.remembered_at, self.ask.service_fields()?).await?;
        if answer.status == StatusCode::OK { self.learn_name(&answer) } else { None }
    }

    fn learn_name(&self, answer: &Answer) -> Option<String> {
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        let name = body.get(&self.invite.name_key)?.as_str()?;
        self.ask.api.names.put(&self.target.remembered_at, name);
        Some(name.to_owned())
    }

    async fn get_soon(&self, path: &str, fields: HeaderMap) -> Option<Answer> {
        tokio::time::timeout(NAME_PATIENCE, self.ask.get_with(path, fields)).await.ok()?.ok()
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

/// What the old route would have found.
enum Judgment {
    NoTarget,
    NotAllowed,
    Allowed,
}
