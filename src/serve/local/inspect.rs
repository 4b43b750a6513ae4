//! What the token API says about tokens in general, said of ours (contract, section 8): whether an invitation is good,
//! what is in a token, and the same token confined further. These calls are public, but credentials that are sent with
//! them are looked at.

use std::net::{IpAddr, Ipv4Addr};

use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::asking::{Asking, Stop};
use super::caveats::{self, Setting};
use super::invitation::BASE;
use super::issue::refusal;
use super::verify::{subject_fault, verify};
use super::watch::Arrived;
use crate::body::Body;
use crate::listen::Peer;
use crate::reply;
use crate::serve::rewrite::answer::{error, instead};
use crate::serve::rewrite::ask::JSON;
use crate::serve::rewrite::payload::Payload;
use crate::token::api::Gri;
use crate::token::{Caveat, InviteType, Persistence, Subject, Type};

/// What is asked about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Verify,
    Examine,
    Confine,
}

impl Question {
    pub const ALL: [Question; 3] = [Question::Verify, Question::Examine, Question::Confine];

    /// The last segment of its path, and the aspect in api caveats.
    pub fn name(self) -> &'static str {
        match self {
            Question::Verify => "verify_invite_token",
            Question::Examine => "examine",
            Question::Confine => "confine",
        }
    }
}

/// Answers a call about a token of ours.
pub(super) async fn answer(
    asking: &Asking<'_>,
    question: Question,
    arrived: Arrived,
    peer: &Peer,
) -> Result<Response<Body>, Stop> {
    let front = asking.pass_gate(&Payload::Object(Default::default())).await?;
    let resource = Gri { scope: "public", ..Gri::private("token", "null", question.name()) };
    if let Some(caveat) = asking.unmatched("create", &resource) {
        return Err(refusal(caveat, front.headers));
    }
    let answer = match question {
        Question::Verify => verify_invitation(asking, arrived, peer).await,
        Question::Examine => Ok(examine(&arrived)),
        Question::Confine => confine(asking, arrived).await,
    };
    match answer {
        Ok(response) => Ok(instead(front.headers, response)),
        Err(Stop::Reply(response)) => Ok(instead(front.headers, *response)),
        Err(failed) => Err(failed),
    }
}

/// The usage limit, the rights of the issuer and the target do not matter here.
async fn verify_invitation(
    asking: &Asking<'_>,
    arrived: Arrived,
    peer: &Peer,
) -> Result<Response<Body>, Stop> {
    let Arrived { token, is_tampered, data } = arrived;
    let local = asking.local;
    let expected = expected_type(&data)?;
    let peer = presented_from(&data, peer.client())?;
    let consumer = consumer(asking, &data, peer).await?;
    let received = &token.id.kind;
    if !matches!(received, Type::Invite { kind, .. } if expected.is_none_or(|expected| expected == *kind)) {
        return Ok(reply::token::not_an_invite_token(expected, received).reply());
    }
    let Some(issued) = local.ledger().get(&token.id.id).await? else {
        return Ok(reply::token::invalid().reply());
    };
    let now = local.now().as_second();
    let setting = Setting { now, peer, consumer: consumer.as_ref() };
    match verify(&token, is_tampered, &issued, &setting, &asking.service()).await? {
        Some(fault) => Ok(fault.reply()),
        None => Ok(ok(json!({
            "subject": token.id.subject.as_ref().map(Subject::to_json),
            "ttl": caveats::ttl(&token, now),
        }))),
    }
}

/// Nothing is verified.
fn examine(arrived: &Arrived) -> Response<Body> {
    let mut seen = arrived.token.to_json();
    seen["persistence"] = match arrived.token.id.persistence {
        Persistence::Named => "named".into(),
        Persistence::Temporary { .. } => "temporary".into(),
    };
    ok(seen)
}

/// Of the token itself only its subject is looked at.
async fn confine(asking: &Asking<'_>, arrived: Arrived) -> Result<Response<Body>, Stop> {
    let Arrived { mut token, data, .. } = arrived;
    let list = match data.get("caveats") {
        None => return Ok(reply::value::missing("caveats")),
        Some(Value::Array(list)) => list,
        Some(_) => return Ok(reply::bad_data("caveats")),
    };
    let mut caveats = Vec::new();
    for value in list {
        match Caveat::from_json(value) {
            Some(caveat) => caveats.push(caveat),
            None => return Ok(reply::value::no_caveat(value)),
        }
    }
    if let Some(fault) = subject_fault(token.id.subject.as_ref(), &asking.service()).await? {
        return Ok(fault.reply());
    }
    for caveat in caveats {
        let value = caveat.to_json();
        token = match token.confine(caveat) {
            Ok(token) => token,
            Err(_) => return Ok(reply::value::no_caveat(&value)),
        };
    }
    Ok(ok(json!({ "token": token.serialize() })))
}

fn expected_type(data: &Map<String, Value>) -> Result<Option<InviteType>, Stop> {
    let Some(value) = data.get("expectedInviteType") else { return Ok(None) };
    match value.as_str().and_then(InviteType::named) {
        Some(kind) => Ok(Some(kind)),
        None => Err(reply::value::no_invite_type("expectedInviteType").into()),
    }
}

/// The address that the token is said to be presented from; null is none.
fn presented_from(data: &Map<String, Value>, caller: Option<IpAddr>) -> Result<Option<IpAddr>, Stop> {
    match data.get("peerIp") {
        None => Ok(caller),
        Some(Value::Null) => Ok(None),
        Some(value) => match value.as_str().and_then(|text| text.parse::<Ipv4Addr>().ok()) {
            Some(address) => Ok(Some(address.into())),
            None => Err(reply::value::not_an_ipv4_address("peerIp").into()),
        },
    }
}

/// Who is said to present the token: the caller, nobody, or who proves itself by a token that the backend verifies.
async fn consumer(
    asking: &Asking<'_>,
    data: &Map<String, Value>,
    peer: Option<IpAddr>,
) -> Result<Option<Subject>, Stop> {
    let token = match data.get("consumerToken") {
        Some(Value::Null) => return Ok(None),
        Some(token) => token,
        None if asking.is_anonymous() => return Ok(None),
        None => {
            return Ok(match asking.claimed() {
                Some(subject) => Some(subject),
                None => Some(asking.find_out(&Payload::Object(Default::default())).await?),
            });
        }
    };
    let path = format!("{BASE}/tokens/verify_identity_token");
    // Onezone takes no IPv6 address here, and none is in an ip caveat.
    let peer = peer.filter(IpAddr::is_ipv4).map(|address| address.to_string());
    let content = json!({ "token": token, "peerIp": peer });
    let answer = asking.post(&path, &content).await?;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let error = error(&answer);
    match answer.status {
        StatusCode::OK => {
            let id = body["subject"]["id"].as_str().unwrap_or_default().to_owned();
            Ok(Some(match body["subject"]["type"].as_str() {
                Some("oneprovider") => Subject::Provider(id),
                _ => Subject::User(id),
            }))
        }
        StatusCode::BAD_REQUEST if error["id"] == "badValueToken" => {
            let malformed = crate::token::Malformed::Text;
            Err(reply::token::bad_value("consumerToken", reply::token::malformed(malformed)).reply().into())
        }
        StatusCode::BAD_REQUEST if error["id"].is_string() => {
            Err(reply::token::bad_consumer_token(error).reply().into())
        }
        _ => Err(asking.pass(answer, &path)),
    }
}

fn ok(body: Value) -> Response<Body> {
    let mut response = Response::new(Body::full(body.to_string()));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, JSON);
    *response.headers_mut() = headers;
    response
}
