//! What is wrong with a token of ours as such, wherever it is presented: its record, its caveats, its signature, its
//! subject. What it invites to, and whether its use is left, is not looked at here.

use http::StatusCode;

use super::asking::{Service, Stop, useless};
use super::caveats::{self, Setting};
use super::invitation::BASE;
use super::issue;
use crate::ledger::Issued;
use crate::reply;
use crate::reply::token::Fault;
use crate::route;
use crate::serve::rewrite::answer;
use crate::token::{Subject, Token};

/// What is wrong with a token of ours as such, in Onezone's order (contract, section 12.2): its record, its caveats, its
/// signature, its subject.
pub(super) async fn verify(
    token: &Token,
    is_tampered: bool,
    issued: &Issued,
    setting: &Setting<'_>,
    service: &Service,
) -> Result<Option<Fault>, Stop> {
    let issuer = issue::subject(&issued.issuer);
    if issued.revoked {
        return Ok(Some(reply::token::revoked()));
    }
    if token.id.subject != issuer {
        return Ok(Some(reply::token::subject_invalid()));
    }
    if let Some(caveat) = caveats::first_unverified(token, setting, service).await? {
        return Ok(Some(reply::token::caveat_unverified(caveat)));
    }
    if is_tampered {
        return Ok(Some(reply::token::invalid()));
    }
    subject_fault(issuer.as_ref(), service).await
}

/// What is wrong with the subject of a token, if anything is.
pub(super) async fn subject_fault(
    subject: Option<&Subject>,
    service: &Service,
) -> Result<Option<Fault>, Stop> {
    let path = match subject {
        Some(Subject::User(id)) => format!("{BASE}/users/{}", route::encode(id.as_bytes())),
        Some(Subject::Provider(id)) => format!("{BASE}/providers/{}", route::encode(id.as_bytes())),
        None => return Ok(Some(reply::token::subject_invalid())),
    };
    let answer = service.get(&path).await?;
    match answer.status {
        StatusCode::OK => {
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            Ok((body["blocked"] == true).then(reply::token::user_blocked))
        }
        _ if answer::says_not_found(&answer) => Ok(Some(reply::token::subject_invalid())),
        _ => Err(useless(&answer, &path)),
    }
}
