//! Issuing: who is the caller, does the target exist, may the caller invite? The backend is asked, with the caller's own
//! credentials, and refuses as the old route did, in its order of checks (contract, sections 3 and 7.1). Then the token is
//! minted, and is in the ledger before anybody has it.

use std::time::Duration;

use http::header::{COOKIE, DATE, HeaderMap};
use http::{Response, StatusCode};
use jiff::{SignedDuration, Timestamp};

use super::asking::{Asking, Stop, id_in};
use super::invitation::{BASE, Invitation};
use super::ledgered::{self, Ledgered};
use super::rights::{Asker, Judgment, Known, Question};
use super::{Local, names};
use crate::body::Body;
use crate::caller::CREDENTIAL_FIELDS;
use crate::ledger::{Issued, Usage};
use crate::metrics::Issuing;
use crate::operation::{Invite, Operation};
use crate::reply;
use crate::route::{self, Call};
use crate::serve::rewrite::answer::{self, instead};
use crate::serve::rewrite::ask::is_id;
use crate::serve::rewrite::delivery::{self, Delivery};
use crate::serve::rewrite::idempotency::{self, BadKey, Place, Turn};
use crate::serve::rewrite::payload::Payload;
use crate::serve::rewrite::{handing_over, name};
use crate::token::api::Gri;
use crate::token::{Caveat, Identifier, Persistence, Subject, Token, Type};
use crate::upstream::Answer;

/// How long a target's name is waited for, before the token is named without it.
const NAME_PATIENCE: Duration = Duration::from_secs(5);
/// The cluster of Onezone itself, which has no Oneprovider, and what it is called (contract, section 7.2).
const ONEZONE: (&str, &str) = ("onezone", "Onezone");
/// How often another name is tried where one is taken. One in 16 million is.
const ATTEMPTS: usize = 5;
/// For how long a call can be repeated by its `Idempotency-Key`.
const REPEATABLE: SignedDuration = SignedDuration::from_hours(1);

/// One call of an operation that issues invitations.
pub(super) struct Issuance<'a> {
    pub asking: Asking<'a>,
    pub operation: &'a Operation,
    pub invite: &'a Invite,
    pub invitation: &'static Invitation,
    pub call: &'a Call,
    pub payload: Payload,
    pub now: Timestamp,
}

/// A caller who may invite.
struct Issuer {
    subject: Subject,
    /// The fields of an answer of the backend's to it.
    headers: HeaderMap,
}

impl<'a> Issuance<'a> {
    /// Serves the call.
    pub async fn answer(&self, headers: &HeaderMap) -> Result<Response<Body>, Stop> {
        if let Payload::Broken(broken) = &self.payload {
            return Ok(reply::unheard(broken));
        }
        let key = idempotency::key(headers).map_err(|BadKey| reply::bad_data("Idempotency-Key"))?;
        let Some(key) = key.filter(|_| !self.asking.is_anonymous() && self.payload.may_create()) else {
            return self.issue(None, None).await;
        };
        let marks = self.marks(key, headers);
        let replies = self.local().replies();
        match replies.turn(key, headers, self.operation, self.call, self.now).await {
            Turn::Repeat(token) => self.repeat(&token).await,
            Turn::Serve(place) => match self.issued_before(&marks).await? {
                Some(token) => self.repeat(&token).await,
                None => self.issue(marks.into_iter().next(), Some(place)).await,
            },
        }
    }

    /// Issues a token, if the caller may.
    async fn issue(&self, mark: Option<Vec<u8>>, place: Option<Place>) -> Result<Response<Body>, Stop> {
        let issuer = self.admit().await?;
        if let Payload::NoObject(_) = self.payload {
            return Err(instead(issuer.headers, reply::malformed_data()).into());
        }
        let aspect = match issuer.subject {
            Subject::User(_) => "user_named_token",
            Subject::Provider(_) => "provider_named_token",
        };
        let creation = Gri::private("token", "null", aspect).with(id_in(&issuer.subject));
        if let Some(caveat) = self.asking.unmatched("create", &creation) {
            return Err(refusal(caveat, issuer.headers));
        }
        let target_name = self.look_up().await;
        let (token, unclaimed) = self.record(&issuer, target_name.as_deref(), mark).await?;
        self.local().metrics().token_issued(&self.operation.id, Issuing::Issued);
        Ok(handing_over(issuer.headers, Body::stream(Delivery::new(token, unclaimed, place))))
    }

    /// Everything that Onezone looks at before the body's value.
    async fn admit(&self) -> Result<Issuer, Stop> {
        let (subject, is_past_gate) = match self.asking.claimed() {
            Some(subject) => (subject, false),
            None if self.asking.is_anonymous() => return Err(self.refuse_nobody().await?),
            None => (self.asking.find_out(&self.payload).await?, true),
        };
        if !may_exist(self.target()) {
            let path = self.invitation.target_path(self.target());
            let answer = self.first(&path, is_past_gate).await?;
            return Err(instead(answer.headers, reply::not_found()).into());
        }
        match &subject {
            Subject::User(user) => {
                let headers = self.admit_user(user, is_past_gate).await?;
                Ok(Issuer { headers, subject })
            }
            Subject::Provider(provider) => {
                let headers = self.admit_provider(provider, is_past_gate).await?;
                Ok(Issuer { headers, subject })
            }
        }
    }

    async fn admit_user(&self, user: &str, is_past_gate: bool) -> Result<HeaderMap, Stop> {
        let question = Question { invitation: self.invitation, target: self.target(), user };
        let path = question.path();
        let answer = self.first(&path, is_past_gate).await?;
        let headers = without_date(&answer);
        let is_stranger = answer::says_not_found(&answer);
        if is_stranger {
            self.see_target().await?;
        }
        self.check_caveats(&headers)?;
        let judgment = if self.asking.is_confined() {
            // Its credentials are good, and it may invite if the user may; but it may not ask.
            self.asking.prove().await?;
            let service = self.asking.service();
            question.ask(Asker::Service(&service), Known::Nothing).await?
        } else {
            let known = match answer.status {
                StatusCode::OK => Known::Member(answer),
                _ if is_stranger => Known::Stranger,
                _ => return Err(self.asking.pass(answer, &path)),
            };
            question.ask(Asker::User(&self.asking), known).await?
        };
        match judgment {
            Judgment::Allowed => Ok(headers),
            Judgment::NotAllowed | Judgment::NoUser => Err(instead(headers, reply::forbidden()).into()),
            Judgment::NoTarget => Err(instead(headers, reply::not_found()).into()),
        }
    }

    /// A Oneprovider invites to its own cluster, which has its id, and to nothing else.
    async fn admit_provider(&self, provider: &str, is_past_gate: bool) -> Result<HeaderMap, Stop> {
        let path = self.invitation.target_path(self.target());
        let answer = self.first(&path, is_past_gate).await?;
        if answer::says_not_found(&answer) {
            return Err(self.asking.pass(answer, &path));
        }
        let headers = without_date(&answer);
        self.check_caveats(&headers)?;
        if answer::refuses_api_caveat(&answer) {
            self.asking.prove().await?;
        } else if answer.status == StatusCode::UNAUTHORIZED {
            return Err(self.asking.pass(answer, &path));
        }
        if self.invitation.collection == "clusters" && provider == self.target() {
            return Ok(headers);
        }
        Err(instead(headers, reply::forbidden()).into())
    }

    /// The answer to the first question, if it was not another one.
    async fn first(&self, path: &str, is_past_gate: bool) -> Result<Answer, Stop> {
        let answer = self.asking.get(path).await?;
        if is_past_gate { Ok(answer) } else { self.asking.gate(answer, path, &self.payload) }
    }

    /// Refuses a caller without credentials: 404, or 401.
    async fn refuse_nobody(&self) -> Result<Stop, Stop> {
        let path = self.invitation.target_path(self.target());
        let answer = self.first(&path, false).await?;
        Ok(match answer.status {
            StatusCode::OK => instead(answer.headers, reply::unauthorized()).into(),
            _ => self.asking.pass(answer, &path),
        })
    }

    /// Makes sure that the target exists, and learns its name where that is told.
    async fn see_target(&self) -> Result<(), Stop> {
        let path = self.invitation.target_path(self.target());
        let answer = self.asking.get(&path).await?;
        match answer.status {
            StatusCode::OK => {
                self.learn_name(&answer);
                Ok(())
            }
            StatusCode::FORBIDDEN => Ok(()),
            _ if answer::refuses_api_caveat(&answer) => Ok(()),
            _ => Err(self.asking.pass(answer, &path)),
        }
    }

    /// Checks the caveats of the caller's token against the old route's own resource.
    fn check_caveats(&self, headers: &HeaderMap) -> Result<(), Stop> {
        let Some(resource) = &self.operation.resource else { return Ok(()) };
        let route = Gri::private(&resource.kind, self.target(), &resource.aspect);
        match self.asking.unmatched("create", &route) {
            Some(caveat) => Err(refusal(caveat, headers.clone())),
            None => Ok(()),
        }
    }

    /// The target's name: remembered, or with the caller's credentials, or with the service token, or none.
    async fn look_up(&self) -> Option<String> {
        if self.invite.named_in != self.invite.collection && self.target() == ONEZONE.0 {
            return Some(ONEZONE.1.to_owned());
        }
        let path = self.named_at();
        if let Some(name) = self.local().names().get(&path) {
            return Some(name);
        }
        let service = self.asking.service();
        let asking = async {
            if !self.asking.is_confined()
                && let Some(name) =
                    self.asking.get(&path).await.ok().and_then(|answer| self.learn_name(&answer))
            {
                return Some(name);
            }
            service.get(&path).await.ok().and_then(|answer| self.learn_name(&answer))
        };
        tokio::time::timeout(NAME_PATIENCE, asking).await.ok()?
    }

    fn learn_name(&self, answer: &Answer) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
        let name = body.get(&self.invite.name_key)?.as_str()?;
        if answer.status == StatusCode::OK {
            self.local().names().put(&self.named_at(), name);
        }
        Some(name.to_owned())
    }

    fn named_at(&self) -> String {
        format!("{BASE}/{}/{}", self.invite.named_in, route::encode(self.target().as_bytes()))
    }

    /// Mints the token and puts it into the ledger, under a name that no other token of the issuer has.
    async fn record(
        &self,
        issuer: &Issuer,
        target_name: Option<&str>,
        mark: Option<Vec<u8>>,
    ) -> Result<(String, Ledgered), Stop> {
        let local = self.local();
        for _ in 0..ATTEMPTS {
            let id = local.keys().mint_id(self.now);
            let token = mint(local, &issuer.subject, self.invitation, self.target(), &id)
                .ok_or(Stop::Failed(reply::Failure::Internal))?;
            let name = name::compose(&self.invite.name_prefix, target_name, &name::random_suffix());
            if !names::is_valid(&name) {
                return Err(instead(issuer.headers.clone(), reply::value::bad_name()).into());
            }
            let issued = Issued {
                id,
                operation: self.operation.id.clone(),
                invite_type: self.invitation.kind.name().to_owned(),
                target: self.target().to_owned(),
                issuer: issuer.subject.to_string(),
                name,
                created_at: self.now,
                privileges: self.invitation.carried(),
                revoked: false,
                custom_metadata: None,
                idempotency: mark.clone(),
                deleted: false,
                usage: Usage::Unused,
            };
            match ledgered::issue(local, issued).await? {
                ledgered::Outcome::Recorded(unclaimed) => return Ok((token, unclaimed)),
                ledgered::Outcome::Repeated(issued) => {
                    let token = derive(local, &issued);
                    let token = token.ok_or(Stop::Failed(reply::Failure::Internal))?;
                    return Ok((token, Ledgered::kept()));
                }
                ledgered::Outcome::NameTaken => {}
            }
        }
        Err(instead(issuer.headers.clone(), reply::value::temporary_failure()).into())
    }

    /// What the ledger knows a repeat of this call by, the newest key's first. A call is known for an hour, and the hours
    /// are told apart, so that a token of long ago stands in nobody's way; of the newest key the present hour stands first.
    fn marks(&self, key: &[u8], headers: &HeaderMap) -> Vec<Vec<u8>> {
        let hour = self.now.as_second().div_euclid(REPEATABLE.as_secs());
        let encoded = self.call.ids.iter().filter_map(|(name, _)| self.call.encoded_id(name));
        let ids: Vec<String> = encoded.collect();
        let fields = CREDENTIAL_FIELDS;
        let hours = [hour, hour - 1].map(i64::to_be_bytes);
        let mut marks = Vec::new();
        for hour in &hours {
            let mut parts: Vec<&[u8]> = vec![hour, key, self.operation.id.as_bytes()];
            parts.extend(ids.iter().map(String::as_bytes));
            // Cookies change under one credential.
            for field in fields.iter().filter(|field| **field != COOKIE) {
                parts.push(field.as_str().as_bytes());
                parts.extend(headers.get_all(field).iter().map(|value| value.as_bytes()));
            }
            marks.extend(self.local().keys().marks(&parts).into_iter().map(|mark| mark.to_vec()));
        }
        marks
    }

    /// The token of an earlier call that this one repeats.
    async fn issued_before(&self, marks: &[Vec<u8>]) -> Result<Option<String>, Stop> {
        for mark in marks {
            let Some(issued) = self.local().ledger().by_idempotency(mark).await? else { continue };
            if self.now.duration_since(issued.created_at) < REPEATABLE {
                return Ok(derive(self.local(), &issued));
            }
        }
        Ok(None)
    }

    /// Answers with the token of an earlier call, if the caller's credentials still are good.
    async fn repeat(&self, token: &str) -> Result<Response<Body>, Stop> {
        let front = self.asking.pass_gate(&self.payload).await?;
        Ok(handing_over(front.headers, Body::full(delivery::body(token))))
    }

    fn target(&self) -> &'a str {
        self.call.id("id").unwrap_or_default()
    }

    fn local(&self) -> &'a Local {
        self.asking.local
    }
}

/// Whether an id can be that of anything (contract, section 12.1): only such ids can stand in a token.
fn may_exist(target: &str) -> bool {
    const LONGEST: usize = 1000;
    let is_plain = |letter: char| !letter.is_control() && !matches!(letter, '/' | ':');
    is_id(target) && target.len() <= LONGEST && target.chars().all(is_plain)
}

/// The text of a token.
fn mint(local: &Local, subject: &Subject, invitation: &Invitation, target: &str, id: &str) -> Option<String> {
    let secret = local.keys().secret(id)?;
    let kind = Type::invite(invitation.kind, target);
    let identifier = Identifier::new(Persistence::Named, subject.clone(), kind, id);
    let token = Token::mint(&local.settings().domain, identifier, Vec::new(), secret.as_bytes());
    token.ok().map(|token| token.serialize())
}

/// The token of a record, as it was issued; `None` if its key is gone.
pub(super) fn derive(local: &Local, issued: &Issued) -> Option<String> {
    let subject = subject(&issued.issuer)?;
    mint(local, &subject, Invitation::named(&issued.invite_type)?, &issued.target, &issued.id)
}

/// The issuer in a record.
pub(super) fn subject(issuer: &str) -> Option<Subject> {
    match issuer.split_once('-')? {
        ("usr", id) => Some(Subject::User(id.to_owned())),
        ("prv", id) => Some(Subject::Provider(id.to_owned())),
        _ => None,
    }
}

/// 401 for a caveat of the caller's token.
pub(super) fn refusal(caveat: &Caveat, headers: HeaderMap) -> Stop {
    instead(headers, reply::token::caveat_unverified(caveat).unauthorized()).into()
}

/// The fields of an answer, but not when it was given.
fn without_date(answer: &Answer) -> HeaderMap {
    let mut headers = answer.headers.clone();
    headers.remove(DATE);
    headers
}
