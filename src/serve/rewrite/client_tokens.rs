//! The routes of `client_tokens`, served by those of named tokens (contract, sections 7.5 and 9.2). They are about the
//! user who calls, so to a Oneprovider they answer 404.
//!
//! A token that is confined to the old routes alone is good for them and for nothing newer. Where a service token is
//! configured, the service does what was asked for, for the user whose credentials were proven, and no more than that.

use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{self, error, instead};
use super::ask::{Ask, JSON, Reply, Trouble, is_id, is_proof, is_refused_as, segment, with_route};
use super::creation::{Creator, Gate, made};
use super::listing;
use super::payload::Payload;
use super::request;
use crate::body::Body;
use crate::operation::ClientTokens;
use crate::reply;
use crate::token::{self, Caveat, Persistence, Token};
use crate::upstream::Answer;

/// How long an access token of the old route lives, in seconds.
const LIFE: i64 = 31_536_000;

/// Serves one call.
pub(super) async fn answer(
    ask: &Ask<'_>,
    task: ClientTokens,
    payload: &Payload,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Reply, Trouble> {
    let gate = match task {
        ClientTokens::Create => Creator::user(ask).gate(payload, headers).await?,
        ClientTokens::List | ClientTokens::Remove => Gate::Open,
    };
    let is_object = match gate {
        Gate::Open => true,
        Gate::NoObject => false,
        Gate::Answered(reply) => return Ok(*reply),
    };
    let user = ask.path("/user");
    if ask.is_anonymous() {
        return Ok(ask.refuse_nobody(&user).await?.into());
    }
    // A Oneprovider may remove tokens of its own by the newer route, though not by this one.
    if ask.caller.is_provider() || ask.is_unclear() && task == ClientTokens::Remove {
        let answer = ask.get(&user).await?;
        if answer.status != StatusCode::OK && !answer::refuses_api_caveat(&answer) {
            return Ok(ask.refusal(answer, &user)?.into());
        }
    }
    let removed = match task {
        ClientTokens::Remove => match named_in_path(ask) {
            Some(id) => Some(id),
            None => return Ok(nothing_there(ask).await?.into()),
        },
        ClientTokens::Create | ClientTokens::List => None,
    };
    if let Some(caveat) = ask.unmatched_caveat(ask.claimed_user()) {
        let path = removed.map_or(user, |id| ask.path(&format!("/tokens/named/{}", segment(&id))));
        return Ok(ask.refuse_caveat(caveat, &path).await?.into());
    }
    match (task, removed) {
        (ClientTokens::Create, _) if is_object => create(ask, now).await,
        (ClientTokens::Create, _) => Ok(refuse_value(ask).await?),
        (ClientTokens::List, _) => listing::answer(ask).await,
        (ClientTokens::Remove, id) => Ok(remove(ask, &id.unwrap_or_default()).await?.into()),
    }
}

async fn create(ask: &Ask<'_>, now: Timestamp) -> Result<Reply, Trouble> {
    let valid_until = now.as_second().saturating_add(LIFE);
    let caveat = Caveat::Time { valid_until }.to_json();
    let token = json!({ "type": { "accessToken": {} }, "caveats": [caveat] });
    let compose = |digits: &str| format!("access token {} {digits}", now.strftime("%Y-%m-%dT%H.%M.%SZ"));

    let creator = Creator::user(ask);
    let (answer, leftover) = creator.create(compose, &token).await?;
    if answer.status.is_success() {
        return made(answer, leftover);
    }
    if answer::refuses_api_caveat(&answer)
        && is_lent_to(ask).await?
        && let Some(service) = Creator::service(ask)
        && let Ok((answer, leftover)) = service.create(compose, &token).await
        && answer.status.is_success()
    {
        return made(answer, leftover);
    }
    if is_refused_as(&answer, "badValueIdentifierOccupied") {
        return creator.refuse(answer);
    }
    or_no_user(ask, answer, &creator.path()).await
}

/// Answers to JSON that is no object: 400, after everything that the caller may be refused for. A creation under no name
/// checks all that and creates nothing. Nothing is checked after the api caveats.
async fn refuse_value(ask: &Ask<'_>) -> Result<Reply, Trouble> {
    let creator = Creator::user(ask);
    let (answer, _leftover) = creator.create_as("", &json!({ "type": { "accessToken": {} } })).await?;
    let answer = with_route(answer)?;
    let is_about_name = answer.status == StatusCode::BAD_REQUEST && error(&answer)["id"].is_string();
    if is_about_name || answer.status.is_success() || answer::refuses_api_caveat(&answer) {
        return Ok(instead(answer.headers, reply::malformed_data()).into());
    }
    or_no_user(ask, answer, &creator.path()).await
}

async fn remove(ask: &Ask<'_>, id: &str) -> Result<Response<Body>, Trouble> {
    let path = ask.path(&format!("/tokens/named/{}", segment(id)));
    let answer = with_route(delete(ask, &path, ask.fields.clone()).await?)?;
    if answer::refuses_api_caveat(&answer)
        && is_lent_to(ask).await?
        && let (Some(fields), Some(user)) = (ask.service_fields(), ask.claimed_user())
    {
        let found = ask.get_with(&path, fields.clone()).await?;
        let body: Value = serde_json::from_slice(&found.body).unwrap_or_default();
        if answer::says_not_found(&found) {
            return Ok(instead(answer.headers, reply::not_found()));
        }
        // The service may remove anybody's.
        if found.status == StatusCode::OK && body["subject"] != json!({ "type": "user", "id": user }) {
            return Ok(instead(answer.headers, reply::forbidden()));
        }
        if found.status == StatusCode::OK {
            let removed = delete(ask, &path, fields).await?;
            if removed.status.is_success() || answer::says_not_found(&removed) {
                return Ok(answer::pass(removed, &path, ask.own));
            }
        }
    }
    if answer.status.is_success() && answer.status != StatusCode::NO_CONTENT {
        return Err(Trouble::Failed(reply::Failure::BadGateway { cause: None }));
    }
    Ok(answer::pass(answer, &path, ask.own))
}

async fn delete(ask: &Ask<'_>, path: &str, fields: HeaderMap) -> Result<Answer, Trouble> {
    Ok(ask.api.upstream.call(request(Method::DELETE, path, fields, Body::None)).await?)
}

/// The id of the named token whose text is in the path. Its signature says nothing to the old route either.
fn named_in_path(ask: &Ask<'_>) -> Option<String> {
    let text = token::strip_service_prefix(ask.call.id("tid")?);
    let id = Token::parse(text).ok()?.id;
    (id.persistence == Persistence::Named && is_id(&id.id)).then_some(id.id)
}

/// Answers where the path names no token: 404, after what comes before that.
async fn nothing_there(ask: &Ask<'_>) -> Result<Response<Body>, Trouble> {
    let path = ask.path("/user");
    let answer = ask.get(&path).await?;
    if answer.status == StatusCode::OK || answer::refuses_api_caveat(&answer) {
        return Ok(instead(answer.headers, reply::not_found()));
    }
    ask.refusal(answer, &path)
}

/// Whether the service may do for the caller what the caller's token is confined to: somebody configured a service token,
/// the token acts as a user, nothing but what was checked already confines it, and the credentials are good.
pub(super) async fn is_lent_to(ask: &Ask<'_>) -> Result<bool, Trouble> {
    let Some(token) = ask.caller.token() else { return Ok(false) };
    let is_checked = |caveat: &Caveat| match caveat {
        Caveat::Time { .. }
        | Caveat::Ip(_)
        | Caveat::Asn(_)
        | Caveat::GeoCountry(..)
        | Caveat::GeoRegion(..)
        | Caveat::Consumer(_)
        | Caveat::Interface(_)
        | Caveat::Api(_) => true,
        // Of a service it cuts the API down, and only Onezone's own may do what is asked for here.
        Caveat::Service(services) => services.iter().all(|service| service.starts_with("ozw-")),
        Caveat::IdentityScope
        | Caveat::DataReadonly
        | Caveat::DataPath(_)
        | Caveat::DataObjectid(_)
        | Caveat::Unknown(_) => false,
    };
    let is_possible = ask.claimed_user().is_some() && ask.api.upstream.service_token().is_some();
    if !is_possible || !token.caveats.iter().all(is_checked) {
        return Ok(false);
    }
    let (_, answer) = ask.prove().await?;
    Ok(is_proof(&answer))
}

/// The backend's answer to a newer call, or what it says to all routes of `/user` where the caller is no user.
pub(super) async fn or_no_user(ask: &Ask<'_>, answer: Answer, path: &str) -> Result<Reply, Trouble> {
    if answer.status == StatusCode::FORBIDDEN
        && let Some(response) = ask.no_user().await?
    {
        return Ok(response.into());
    }
    Ok(ask.refusal(answer, path)?.into())
}

/// All of the tokens.
pub(super) fn tokens(headers: HeaderMap, tokens: &[String]) -> Reply {
    let mut response = Response::new(Body::full(json!({ "tokens": tokens }).to_string()));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    instead(headers, response).into()
}
