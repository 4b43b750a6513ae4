//! What the issuer of a token does with it afterwards: looking at it, renaming and revoking it, ending it (contract,
//! section 8), and asking whether it is revoked. The issuer may, who manages the cluster of a Oneprovider that is the issuer, and who manages all tokens.

use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::asking::{Asking, Stop, lists};
use super::invitation::{BASE, Invitation};
use super::issue::{self, refusal};
use super::rights::{Asker, holds};
use super::{Local, names};
use crate::body::Body;
use crate::ledger::{Change, Issued, Rename, USAGE_LIMIT, Usage};
use crate::reply;
use crate::route;
use crate::serve::rewrite::answer::{self, instead};
use crate::serve::rewrite::handing_over;
use crate::serve::rewrite::payload::Payload;
use crate::token::api::Gri;
use crate::token::{Subject, Type};
use crate::upstream::Answer;

/// What is done with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Show,
    Change,
    End,
    /// Is it revoked?
    Status,
}

impl Verb {
    pub const ALL: [Verb; 4] = [Verb::Show, Verb::Change, Verb::End, Verb::Status];

    /// The path of a token, below the base.
    pub fn path(self) -> &'static str {
        match self {
            Verb::Status => "/tokens/named/{id}/status",
            Verb::Show | Verb::Change | Verb::End => "/tokens/named/{id}",
        }
    }

    pub fn method(self) -> Method {
        match self {
            Verb::Show | Verb::Status => Method::GET,
            Verb::Change => Method::PATCH,
            Verb::End => Method::DELETE,
        }
    }

    /// What api caveats call it.
    fn operation(self) -> &'static str {
        match self {
            Verb::Show | Verb::Status => "get",
            Verb::Change => "update",
            Verb::End => "delete",
        }
    }

    /// The resource of a token that api caveats are matched with.
    fn resource(self, id: &str) -> Gri<'_> {
        let instance = Gri::private("token", id, "instance");
        if self == Verb::Status { Gri { scope: "shared", ..instance } } else { instance }
    }
}

/// Answers a call about the token of this id, which has the form of ours.
pub(super) async fn answer(
    asking: &Asking<'_>,
    verb: Verb,
    id: &str,
    payload: &Payload,
) -> Result<Response<Body>, Stop> {
    if let Payload::Broken(broken) = payload {
        return Ok(reply::unheard(broken));
    }
    let front = asking.pass_gate(payload).await?;
    match perform(asking, verb, id, payload).await {
        Ok(response) => Ok(instead(front.headers, response)),
        Err(Stop::Reply(response)) => Ok(instead(front.headers, *response)),
        Err(failed) => Err(failed),
    }
}

async fn perform(
    asking: &Asking<'_>,
    verb: Verb,
    id: &str,
    payload: &Payload,
) -> Result<Response<Body>, Stop> {
    let local = asking.local;
    let Some(issued) = local.ledger().get(id).await? else { return Ok(reply::not_found()) };
    // A token that no key verifies is none, whatever the ledger has of it.
    let Some(text) = issue::derive(local, &issued) else { return Ok(reply::not_found()) };
    if let Some(caveat) = asking.unmatched(verb.operation(), &verb.resource(id)) {
        return Err(refusal(caveat, Default::default()));
    }
    if asking.is_anonymous() {
        return Ok(reply::unauthorized());
    }
    if !may(asking, verb, &issued, payload).await? {
        return Ok(reply::forbidden());
    }
    match verb {
        Verb::Show => match object(&issued, &text) {
            Some(object) => Ok(handing_over(Default::default(), Body::full(object.to_string()))),
            None => Ok(reply::not_found()),
        },
        Verb::Status => {
            let status = json!({ "revoked": issued.revoked });
            Ok(handing_over(Default::default(), Body::full(status.to_string())))
        }
        Verb::Change => change(local, id, payload).await,
        Verb::End => match local.ledger().delete(id, local.now()).await? {
            true => Ok(done()),
            false => Ok(reply::not_found()),
        },
    }
}

/// Whether the caller may do this. A member of the cluster of the Oneprovider that is the issuer may ask for the status, who
/// may change the cluster may do anything. A Oneprovider that a user has to do with may ask Onezone for the status of the
/// user's tokens; here it may not, because no call tells whether it has.
async fn may(asking: &Asking<'_>, verb: Verb, issued: &Issued, payload: &Payload) -> Result<bool, Stop> {
    let caller = match asking.claimed() {
        Some(subject) => subject,
        None => asking.find_out(payload).await?,
    };
    let issuer = issue::subject(&issued.issuer);
    if issuer.as_ref() == Some(&caller) {
        return Ok(true);
    }
    let Subject::User(user) = &caller else { return Ok(false) };
    let service = asking.service();
    let asker = if asking.is_confined() { Asker::Service(&service) } else { Asker::User(asking) };
    if let Some(Subject::Provider(provider)) = &issuer
        && is_in_cluster(asker, provider, user, verb).await?
    {
        return Ok(true);
    }
    Ok(holds(asker, user, "oz_tokens_manage").await? == Some(true))
}

async fn is_in_cluster(asker: Asker<'_>, cluster: &str, user: &str, verb: Verb) -> Result<bool, Stop> {
    let [cluster, user] = [cluster, user].map(|id| route::encode(id.as_bytes()));
    let path = format!("{BASE}/clusters/{cluster}/effective_users/{user}/privileges");
    let answer: Answer = asker.get(&path).await?;
    match answer.status {
        StatusCode::OK => Ok(verb == Verb::Status || lists(&answer, "privileges", "cluster_update")),
        _ if answer::says_not_found(&answer) => Ok(false),
        _ => Err(asker.useless(answer, &path)),
    }
}

/// Changes name, metadata and revocation, all that is said or nothing.
async fn change(local: &Local, id: &str, payload: &Payload) -> Result<Response<Body>, Stop> {
    let Payload::Object(bytes) = payload else { return Ok(reply::malformed_data()) };
    let data: Map<String, Value> = serde_json::from_slice(bytes).unwrap_or_default();
    let change = match read_change(&data) {
        Ok(change) => change,
        Err(refusal) => return Ok(*refusal),
    };
    if change == Change::default() {
        return Ok(reply::value::missing_all(&["customMetadata", "name", "revoked"]));
    }
    Ok(match local.ledger().update(id, &change, local.now()).await? {
        Rename::Done => done(),
        Rename::NameTaken => reply::value::occupied("name"),
        Rename::Unknown => reply::not_found(),
    })
}

/// The keys in the order in which Onezone looks at them.
fn read_change(data: &Map<String, Value>) -> Result<Change, Box<Response<Body>>> {
    let custom_metadata = match data.get("customMetadata") {
        None => None,
        Some(value @ Value::Object(_)) => Some(value.clone()),
        Some(_) => return Err(Box::new(reply::value::not_json("customMetadata"))),
    };
    let name = match data.get("name") {
        None => None,
        Some(Value::String(name)) => Some(name.clone()),
        // Onezone takes atoms for strings.
        Some(Value::Bool(value)) => Some(value.to_string()),
        Some(Value::Null) => return Err(Box::new(reply::value::bad_name())),
        Some(_) => return Err(Box::new(reply::value::not_a_string("name"))),
    };
    if name.as_ref().is_some_and(|name| !names::is_valid(name)) {
        return Err(Box::new(reply::value::bad_name()));
    }
    let revoked = match data.get("revoked") {
        None => None,
        Some(Value::Bool(value)) => Some(*value),
        Some(_) => return Err(Box::new(reply::value::not_a_boolean("revoked"))),
    };
    Ok(Change { name, custom_metadata, revoked })
}

/// The token object of `GET /tokens/named/{id}`.
fn object(issued: &Issued, text: &str) -> Option<Value> {
    let kind = Invitation::named(&issued.invite_type)?.kind;
    let used = matches!(issued.usage, Usage::Used { .. });
    Some(json!({
        "id": issued.id,
        "name": issued.name,
        "subject": issue::subject(&issued.issuer)?.to_json(),
        "type": Type::invite(kind, &issued.target).to_json(),
        "caveats": [],
        "metadata": {
            "creationTime": issued.created_at.as_second(),
            "custom": issued.custom_metadata.clone().unwrap_or_else(|| json!({})),
            "privileges": issued.privileges,
            "usageLimit": USAGE_LIMIT,
            "usageCount": u32::from(used),
        },
        "revoked": issued.revoked,
        "token": text,
    }))
}

/// 204 as Onezone gives it, with a content type and without a length.
fn done() -> Response<Body> {
    let mut response = reply::empty_on_route(StatusCode::NO_CONTENT);
    *response.body_mut() = Body::None;
    response
}
