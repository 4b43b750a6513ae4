//! Whether a token is good, in Onezone's order (contract, sections 10.3 and 12.2): its record, its caveats one after the
//! other, its signature, its subject. And the operations of the token API that only ask that.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::caveats::{ONEZONE, Setting, first_unverified};
use super::fault::{self, Fault};
use super::kinds::Kind;
use super::request::Call;
use super::store::Store;
use super::{values, wording};
use crate::token::{Caveat, InviteType, Persistence, Subject, Token, Type};

/// `POST /tokens/examine`.
pub fn examine(_: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let token = values::token(call.object()?, "token")?;
    let persistence = match token.id.persistence {
        Persistence::Named => "named",
        Persistence::Temporary { .. } => "temporary",
    };
    Ok(Answer::ok(json!({
        "onezoneDomain": token.location,
        "id": token.id.id,
        "persistence": persistence,
        "subject": wording::subject_json(token.id.subject.as_ref()),
        "type": token.id.kind.to_json(),
        "caveats": token.caveats.iter().map(Caveat::to_json).collect::<Vec<_>>(),
    })))
}

/// `POST /tokens/confine`.
pub fn confine(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let data = call.object()?;
    let caveats = values::caveats(data)?.ok_or_else(|| fault::missing_required("caveats"))?;
    let mut token = values::token(data, "token")?;
    if let Some(subject) = &token.id.subject {
        subject_is_fit(store, subject, &token.id.kind, &services(&caveats))?;
    }
    for caveat in caveats {
        let refused = fault::bad_caveat(&caveat.to_json());
        token = token.confine(caveat).map_err(|_| refused)?;
    }
    Ok(Answer::ok(json!({ "token": token.serialize() })))
}

/// `POST /tokens/verify_access_token`.
pub fn access(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let data = call.object()?;
    let token = values::token(data, "token")?;
    let data_access = values::boolean(data, "allowDataAccessCaveats")?.unwrap_or(false);
    let mut setting = presented(store, call, data)?;
    setting.data_access = data_access;
    if let Some(text) = data.get("serviceToken").filter(|value| !value.is_null()) {
        setting.service = service(store, text.as_str().unwrap_or_default(), &setting)?;
    }
    let subject = access_token(store, &token, &setting)?;
    Ok(verified(&subject, &token, call.now))
}

/// `POST /tokens/verify_identity_token`.
pub fn identity(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let data = call.object()?;
    let token = values::token(data, "token")?;
    let setting = presented(store, call, data)?;
    let subject = identity_token(store, &token, &setting)?;
    Ok(verified(&subject, &token, call.now))
}

/// `POST /tokens/verify_invite_token`.
pub fn invite(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let data = call.object()?;
    let token = values::token(data, "token")?;
    let expected = values::invite_type(data)?;
    let setting = presented(store, call, data)?;
    let subject = invite_token(store, &token, expected, &setting)?;
    Ok(verified(&subject, &token, call.now))
}

/// The subject of a good access token.
pub fn access_token(store: &mut Store, token: &Token, setting: &Setting) -> Result<Subject, Fault> {
    match token.id.kind {
        Type::Access { .. } => good(store, token, setting),
        _ => Err(fault::not_an_access_token(&token.id.kind)),
    }
}

/// The subject of a good identity token. A Oneprovider's access token counts as one, a user's never does.
pub fn identity_token(store: &mut Store, token: &Token, setting: &Setting) -> Result<Subject, Fault> {
    let refused = || Err(fault::not_an_identity_token(&token.id.kind));
    match token.id.kind {
        Type::Identity => good(store, token, setting),
        Type::Access { session: None } => {
            match good(store, token, &Setting { as_identity: true, ..setting.clone() })? {
                subject @ Subject::Provider(_) => Ok(subject),
                Subject::User(_) => refused(),
            }
        }
        _ => refused(),
    }
}

/// The subject of a good invite token, of the expected kind if one is expected.
pub fn invite_token(
    store: &mut Store,
    token: &Token,
    expected: Option<InviteType>,
    setting: &Setting,
) -> Result<Subject, Fault> {
    match &token.id.kind {
        Type::Invite { kind, .. } if expected.is_none_or(|expected| expected == *kind) => {
            good(store, token, setting)
        }
        other => Err(fault::not_an_invite_token(expected.map_or("any", InviteType::name), other)),
    }
}

/// The service that proves itself with an identity token, as `opw-<id>`; the prefix of the text says which of a
/// Oneprovider's two services it is.
pub fn service(store: &mut Store, text: &str, setting: &Setting) -> Result<String, Fault> {
    let token = values::read_token(text).map_err(fault::bad_service_token)?;
    match identity_token(store, &token, setting).map_err(fault::bad_service_token)? {
        Subject::Provider(id) if text.starts_with("opp-") => Ok(format!("opp-{id}")),
        Subject::Provider(id) => Ok(format!("opw-{id}")),
        Subject::User(_) => Err(fault::bad_service_token(fault::token_invalid())),
    }
}

/// The consumer that proves itself with an identity token.
pub fn consumer(store: &mut Store, text: &str, setting: &Setting) -> Result<Subject, Fault> {
    let token = values::read_token(text).map_err(fault::bad_consumer_token)?;
    identity_token(store, &token, setting).map_err(fault::bad_consumer_token)
}

/// Whether the subject may act with a token of this type, towards these services.
pub fn subject_is_fit(
    store: &Store,
    subject: &Subject,
    kind: &Type,
    services: &[String],
) -> Result<(), Fault> {
    match subject {
        Subject::User(id) if store.users.get(id).is_some_and(|user| user.blocked) => {
            return Err(fault::user_blocked());
        }
        subject if !store.exists(subject) => return Err(fault::token_subject_invalid()),
        _ => {}
    }
    match kind {
        // The sandbox has no browser sessions, so that none can match.
        Type::Access { session: Some(_) } => Err(fault::token_session_invalid()),
        Type::Access { session: None } => services.iter().try_for_each(|service| {
            let allowed = service_allowed(store, subject, service);
            if allowed { Ok(()) } else { Err(fault::token_service_forbidden(service)) }
        }),
        _ => Ok(()),
    }
}

/// The services that service caveats name; without any, Onezone.
pub fn services(caveats: &[Caveat]) -> Vec<String> {
    let mut named: Vec<String> = Vec::new();
    for caveat in caveats {
        if let Caveat::Service(list) = caveat {
            named.extend(list.iter().cloned());
        }
    }
    if named.is_empty() { vec![ONEZONE.to_owned()] } else { named }
}

fn good(store: &mut Store, token: &Token, setting: &Setting) -> Result<Subject, Fault> {
    let (subject, secret) = match token.id.persistence {
        Persistence::Named => named(store, token)?,
        Persistence::Temporary { generation } => temporary(store, token, generation)?,
    };
    if let Some(caveat) = first_unverified(store, token, setting) {
        return Err(match caveat {
            Caveat::Unknown(_) => fault::caveat_unknown(&caveat.to_string()),
            known => fault::caveat_unverified(known),
        });
    }
    if !token.verify(secret.as_bytes()) {
        return Err(fault::token_invalid());
    }
    subject_is_fit(store, &subject, &token.id.kind, std::slice::from_ref(&setting.service))?;
    Ok(subject)
}

/// The subject and the secret in the record of a named token. Version 1 tokens do not say whose they are.
fn named(store: &Store, token: &Token) -> Result<(Subject, String), Fault> {
    let record = store.tokens.get(&token.id.id).ok_or_else(fault::token_invalid)?;
    if record.revoked {
        return Err(fault::token_revoked());
    }
    if token.id.subject.as_ref().is_some_and(|subject| *subject != record.subject) {
        return Err(fault::token_subject_invalid());
    }
    Ok((record.subject.clone(), record.secret.clone()))
}

fn temporary(store: &mut Store, token: &Token, generation: u64) -> Result<(Subject, String), Fault> {
    let subject = token.id.subject.clone().ok_or_else(fault::token_subject_invalid)?;
    let present = store.generation(&subject).ok_or_else(fault::token_subject_invalid)?;
    match present.number.cmp(&generation) {
        std::cmp::Ordering::Equal => Ok((subject, present.secret.clone())),
        std::cmp::Ordering::Greater => Err(fault::token_revoked()),
        std::cmp::Ordering::Less => Err(fault::token_invalid()),
    }
}

fn service_allowed(store: &Store, subject: &Subject, service: &str) -> bool {
    let Some((kind, id)) = service.split_once('-') else { return false };
    match (subject, kind) {
        (_, "ozw") => id == "onezone" || id == "*",
        (Subject::Provider(_), _) => false,
        (Subject::User(_), _) if id == "*" => true,
        (Subject::User(user), "opw") => store.serves(id, user),
        (Subject::User(user), "opp" | "ozp") => store.is_member(Kind::Cluster, id, user),
        _ => false,
    }
}

/// The setting that a `verify_*` call describes: by default the caller is the peer and the consumer.
pub fn presented(store: &mut Store, call: &Call, data: &Map<String, Value>) -> Result<Setting, Fault> {
    let mut setting = Setting {
        now: call.now,
        peer: values::peer_ip(data, call.auth.peer)?,
        interface: values::interface(data)?,
        service: ONEZONE.to_owned(),
        consumer: None,
        data_access: false,
        as_identity: false,
    };
    setting.consumer = match data.get("consumerToken") {
        None => call.auth.subject.clone(),
        Some(Value::Null) => None,
        Some(_) => {
            let token = values::token(data, "consumerToken")?;
            Some(identity_token(store, &token, &setting).map_err(fault::bad_consumer_token)?)
        }
    };
    Ok(setting)
}

fn verified(subject: &Subject, token: &Token, now: i64) -> Answer {
    Answer::ok(json!({ "subject": subject.to_json(), "ttl": values::ttl(&token.caveats, now) }))
}
