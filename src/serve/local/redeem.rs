//! Redeeming a token of ours on a join. First everything that Onezone looks at before the token, in one question: the
//! caller's own call without any token. What is wrong with the credentials, their caveats or the caller's own right to
//! join is answered by the backend itself; that the token is missing is the one refusal that lets the call go on. So the
//! service token never lends a right that the caller lacks. Then the [machine](super::redemption) runs, in a task of its
//! own that does not end with the caller's connection.

use std::net::IpAddr;

use http::{Response, StatusCode};
use serde_json::json;

use super::asking::{Asking, Service, Stop, id_in, useless};
use super::caveats::Setting;
use super::invitation::{Invitation, Member};
use super::recovery::Ending;
use super::redemption::{Action, Attempt, Event, Outcome, Redemption, Reserve, Standing};
use super::rights::{Asker, Judgment, Known, Question};
use super::turns::Matter;
use super::verify::{subject_fault, verify};
use super::watch::Arrived;
use super::{attempt, created, issue};
use crate::body::Body;
use crate::ledger::{self, Issued, Usage};
use crate::listen::Peer;
use crate::metrics;
use crate::reply;
use crate::reply::token::Fault;
use crate::route::Call;
use crate::serve::rewrite::answer::{self, error, instead};
use crate::serve::rewrite::payload::Payload;
use crate::token::{Subject, Token, Type};
use crate::upstream::{Answer, kept};

/// Answers a join that brought a token of ours.
pub(super) async fn answer(
    asking: &Asking<'_>,
    invitation: &'static Invitation,
    call: &Call,
    arrived: Arrived,
    peer: &Peer,
) -> Result<Response<Body>, Stop> {
    let probe = asking.post_nothing().await?;
    if !misses_token(&probe) {
        return Err(asking.pass(probe, asking.own));
    }
    let consumer = match asking.claimed() {
        Some(subject) => subject,
        None => asking.find_out(&Payload::Object(Default::default())).await?,
    };
    let member = match (invitation.member, &consumer) {
        (Member::User, subject) => id_in(subject).to_owned(),
        (Member::Group | Member::Space, _) => call.id("id").unwrap_or_default().to_owned(),
    };
    let Arrived { token, is_tampered, .. } = arrived;
    let presented = Presented { token, is_tampered, consumer, peer: peer.client() };
    let redeeming = Redeeming::by_caller(asking.service(), invitation, member, presented);
    let running = tokio::spawn(kept(async move {
        let local = redeeming.service.0.clone();
        let _place = local.place();
        // In this order everywhere, so that nobody waits in a circle.
        let _token = local.turns().wait(Matter::Token(redeeming.id.clone())).await;
        let _member = local.turns().wait(redeeming.membership()).await;
        redeeming.run_by_caller().await
    }));
    let response = running.await.map_err(|_| Stop::Failed(reply::Failure::Internal))??;
    Ok(instead(probe.headers, response))
}

/// Whether a join was refused for nothing but its lack of a token.
fn misses_token(answer: &Answer) -> bool {
    let error = error(answer);
    answer.status == StatusCode::BAD_REQUEST
        && error["id"] == "missingRequiredValue"
        && error["details"]["key"] == "token"
}

/// One redemption under way, with all that its actions take.
pub(super) struct Redeeming {
    service: Service,
    invitation: &'static Invitation,
    /// Who is added.
    member: String,
    /// The token's id.
    id: String,
    target: String,
    /// What a caller presented; a recovery has nothing.
    presented: Option<Presented>,
    /// The privileges in the token's record.
    carried: Option<Vec<String>>,
    /// Who issued it.
    issuer: Option<Subject>,
    /// What is answered if the last action is the last.
    stop: Option<Stop>,
}

struct Presented {
    token: Token,
    is_tampered: bool,
    consumer: Subject,
    peer: Option<IpAddr>,
}

impl Redeeming {
    fn by_caller(
        service: Service,
        invitation: &'static Invitation,
        member: String,
        presented: Presented,
    ) -> Self {
        Redeeming {
            service,
            invitation,
            member,
            id: presented.token.id.id.clone(),
            target: match &presented.token.id.kind {
                Type::Invite { target, .. } => target.clone(),
                Type::Access { .. } | Type::Identity => String::new(),
            },
            presented: Some(presented),
            carried: None,
            issuer: None,
            stop: None,
        }
    }

    /// A reservation in the ledger that is to be finished; `None` if this program does not know what it is.
    pub fn by_recovery(service: Service, issued: Issued) -> Option<Self> {
        let invitation = Invitation::named(&issued.invite_type)?;
        let Usage::Reserved { consumer, .. } = &issued.usage else { return None };
        Some(Redeeming {
            service,
            invitation,
            member: consumer.strip_prefix(invitation.member.prefix())?.to_owned(),
            id: issued.id,
            target: issued.target,
            presented: None,
            carried: issued.privileges,
            issuer: issue::subject(&issued.issuer),
            stop: None,
        })
    }

    /// Runs the machine to its end, for a caller.
    async fn run_by_caller(mut self) -> Result<Response<Body>, Stop> {
        let (machine, action) = Redemption::by_caller();
        let outcome = self.run(machine, action).await;
        let kind = self.invitation.kind.name();
        let counted = match outcome {
            Outcome::Joined => metrics::Redeeming::Redeemed,
            Outcome::AlreadyMember | Outcome::UsageLimitReached => metrics::Redeeming::Refused,
            Outcome::Refused if matches!(self.stop, Some(Stop::Reply(_))) => metrics::Redeeming::Refused,
            Outcome::Refused | Outcome::Failed => metrics::Redeeming::Failed,
        };
        self.service.0.metrics().token_redeemed(kind, counted);
        match outcome {
            Outcome::Joined => {
                let path = self.invitation.joined_path(&self.target, &self.member);
                Ok(created(&self.service.0.settings().domain, &path))
            }
            Outcome::AlreadyMember => Ok(self.already_related()),
            Outcome::UsageLimitReached => Ok(reply::token::usage_limit_reached().reply()),
            Outcome::Refused | Outcome::Failed => match self.stop {
                Some(Stop::Reply(response)) => Ok(*response),
                Some(failed) => Err(failed),
                None => Err(Stop::Failed(reply::Failure::Internal)),
            },
        }
    }

    /// Runs the machine to its end, for a reservation that was left.
    pub async fn run_by_recovery(mut self) -> Ending {
        let (machine, action) = Redemption::by_recovery();
        match self.run(machine, action).await {
            Outcome::Joined | Outcome::AlreadyMember | Outcome::UsageLimitReached => Ending::Finished,
            // What is answered to a caller is what was said of the token or the member; else the service was refused.
            Outcome::Refused if matches!(self.stop, Some(Stop::Reply(_))) => Ending::Refused,
            Outcome::Refused | Outcome::Failed => Ending::Failed,
        }
    }

    async fn run(&mut self, mut machine: Redemption, mut action: Action) -> Outcome {
        loop {
            if let Action::Answer(outcome) = action {
                return outcome;
            }
            let event = match self.perform(action).await {
                Ok(event) => event,
                Err(stop) => {
                    self.stop = Some(stop);
                    Event::Failed
                }
            };
            action = machine.next(event);
        }
    }

    /// Performs an action, once. Where a check refuses, its answer is kept.
    async fn perform(&mut self, action: Action) -> Result<Event, Stop> {
        let consumer = self.consumer();
        let (local, now) = (self.service.0.clone(), self.service.0.now());
        let ledger = local.ledger();
        match action {
            Action::ReadToken => self.read_token().await,
            Action::CheckIssuer => self.check_issuer().await,
            Action::CheckAgain => self.check_again().await,
            Action::ReadMembership => Ok(Event::Member(self.is_member().await?)),
            Action::AddMember => Ok(Event::Add(self.add_member().await)),
            Action::Reserve => Ok(Event::Reserve(match ledger.reserve(&self.id, &consumer, now).await? {
                ledger::Reserve::Fresh(round) => Reserve::Fresh(round),
                ledger::Reserve::Mine => Reserve::Mine,
                ledger::Reserve::Taken | ledger::Reserve::Used => Reserve::Taken,
                ledger::Reserve::Revoked | ledger::Reserve::Unknown => Reserve::Gone,
            })),
            Action::Adopt => Ok(Event::Adopted(ledger.adopt(&self.id, &consumer).await?)),
            Action::Commit => {
                let commit = ledger.commit(&self.id, &consumer, now).await?;
                Ok(Event::Committed(commit == ledger::Commit::Done))
            }
            Action::Release(round) => {
                // What the attempt met is what is told; an unreleased reservation is finished by a recovery.
                if let Err(away) = ledger.release(&self.id, &consumer, round).await {
                    tracing::warn!(token = self.id, "a reservation could not be released: {away}");
                }
                Ok(Event::Released)
            }
            Action::Answer(_) => Ok(Event::Failed),
        }
    }

    /// What it makes, by whatever token.
    pub fn membership(&self) -> Matter {
        let (target, member) = (self.target.clone(), self.member.clone());
        Matter::Membership { kind: self.invitation.kind, target, member }
    }

    /// The member, as the ledger writes it.
    fn consumer(&self) -> String {
        format!("{}{}", self.invitation.member.prefix(), self.member)
    }

    /// Checks everything about the token as such, in the order of the contract's section 10.3, steps 2 to 4.
    async fn read_token(&mut self) -> Result<Event, Stop> {
        let Some(presented) = &self.presented else { return Ok(Event::Failed) };
        let (token, expected) = (&presented.token, self.invitation.kind);
        let is_expected = matches!(&token.id.kind, Type::Invite { kind, .. } if *kind == expected);
        if !is_expected {
            let other = reply::token::not_an_invite_token(Some(expected), &token.id.kind);
            return Ok(self.refuse(reply::token::bad_value("token", other)));
        }
        let local = self.service.0.clone();
        let Some(issued) = local.ledger().get(&self.id).await? else {
            return Ok(self.refuse(reply::token::invalid()));
        };
        let standing = match &issued.usage {
            Usage::Unused => Standing::Free,
            Usage::Reserved { consumer, .. } if *consumer == self.consumer() => Standing::Mine,
            Usage::Reserved { .. } | Usage::Used { .. } => Standing::Taken,
        };
        if let Some(fault) = self.fault(&issued).await? {
            return Ok(self.refuse(fault));
        }
        self.issuer = issue::subject(&issued.issuer);
        self.carried = issued.privileges;
        Ok(Event::Token(standing))
    }

    /// What is wrong with the presented token, if anything is.
    async fn fault(&self, issued: &Issued) -> Result<Option<Fault>, Stop> {
        let Some(presented) = &self.presented else { return Ok(None) };
        let (token, service) = (&presented.token, &self.service);
        let consumer = &presented.consumer;
        let setting =
            Setting { now: service.0.now().as_second(), peer: presented.peer, consumer: Some(consumer) };
        if let Some(fault) = verify(token, presented.is_tampered, issued, &setting, service).await? {
            // A blocked issuer is no business of the one who joins.
            let is_blocked = fault == reply::token::user_blocked();
            return Ok(Some(if is_blocked { reply::token::issuer_not_authorized() } else { fault }));
        }
        let is_wrong = self.invitation.member == Member::User && matches!(consumer, Subject::Provider(_));
        Ok(is_wrong.then(|| reply::token::consumer_invalid(consumer)))
    }

    /// Whether the target exists and the issuer may still invite (step 6).
    async fn check_issuer(&mut self) -> Result<Event, Stop> {
        let judgment = match &self.issuer {
            Some(Subject::User(user)) => {
                let question = Question { invitation: self.invitation, target: &self.target, user };
                question.ask(Asker::Service(&self.service), Known::Nothing).await?
            }
            // A cluster is there as long as its Oneprovider, which was just seen.
            Some(Subject::Provider(provider)) if *provider == self.target => Judgment::Allowed,
            _ => Judgment::NotAllowed,
        };
        Ok(match judgment {
            Judgment::Allowed => Event::Passed,
            Judgment::NotAllowed | Judgment::NoUser => self.refuse(reply::token::issuer_not_authorized()),
            Judgment::NoTarget => self.refuse(reply::token::target_invalid(&self.target)),
        })
    }

    /// Whether a token that was reserved is still good: its record, and its issuer's right.
    async fn check_again(&mut self) -> Result<Event, Stop> {
        // What the first attempt met stays the answer.
        let met = self.stop.take();
        let local = self.service.0.clone();
        let fault = match local.ledger().get(&self.id).await? {
            None => Some(reply::token::invalid()),
            Some(issued) if issued.revoked => Some(reply::token::revoked()),
            Some(issued) if self.presented.is_some() => self.fault(&issued).await?,
            Some(_) => subject_fault(self.issuer.as_ref(), &self.service).await?,
        };
        let event = match fault {
            Some(fault) => self.refuse(fault),
            None => self.check_issuer().await?,
        };
        if met.is_some() {
            self.stop = met;
        }
        Ok(event)
    }

    async fn is_member(&self) -> Result<bool, Stop> {
        let path = self.member_path();
        let answer = self.service.get(&path).await?;
        match answer.status {
            StatusCode::OK => Ok(true),
            _ if answer::says_not_found(&answer) => Ok(false),
            _ => Err(useless(&answer, &path)),
        }
    }

    /// Adds the member, once, with what the token carries.
    async fn add_member(&mut self) -> Attempt {
        let is_said = self.invitation.is_explicit || self.carried != self.invitation.carried();
        let content = self.carried.as_ref().filter(|_| is_said).map(|list| json!({ "privileges": list }));
        let path = self.member_path();
        let outcome = self.service.put(&path, content).await;
        let (attempt, stop) = attempt::judge(outcome, &path, &self.target);
        self.stop = stop;
        attempt
    }

    fn member_path(&self) -> String {
        self.invitation.member_path(&self.target, &self.member)
    }

    fn already_related(&self) -> Response<Body> {
        let child = (self.invitation.member.word(), self.member.as_str());
        reply::value::already_related(child, (self.invitation.target, self.target.as_str()))
    }

    fn refuse(&mut self, fault: Fault) -> Event {
        self.stop = Some(fault.reply().into());
        Event::Refused
    }
}
