//! Named and temporary tokens (contract, section 8).

use serde_json::{Value, json};

use super::answer::Answer;
use super::fault::{self, Fault};
use super::kinds::Kind;
use super::request::Call;
use super::store::{Invitation, Record, Store, random_id, random_secret};
use super::{invites, privileges, values, verify};
use crate::token::{Caveat, Identifier, Persistence, Subject, Token, Type};

/// The longest life of a temporary token, in seconds.
const MAX_TEMPORARY_TTL: i64 = 2_592_000;

/// Whose tokens a route is about.
pub type Owner = fn(&Call) -> Option<Subject>;

/// `/user/tokens/…`: the caller, if it is a user.
pub fn current_user(call: &Call) -> Option<Subject> {
    call.auth.subject.clone().filter(|subject| matches!(subject, Subject::User(_)))
}

/// `/provider/tokens/…`: the caller, if it is a Oneprovider.
pub fn current_provider(call: &Call) -> Option<Subject> {
    call.auth.subject.clone().filter(|subject| matches!(subject, Subject::Provider(_)))
}

/// `/users/{id}/tokens/…`
pub fn user_in_path(call: &Call) -> Option<Subject> {
    Some(Subject::User(call.id("id").to_owned()))
}

/// `/providers/{id}/tokens/…`
pub fn provider_in_path(call: &Call) -> Option<Subject> {
    Some(Subject::Provider(call.id("id").to_owned()))
}

/// Whether the caller may manage the tokens of this owner: for a Oneprovider that takes its cluster to be one's to change.
pub fn may_manage(store: &Store, call: &Call, owner: Option<&Subject>) -> bool {
    let Some(owner) = owner else { return false };
    let has_cluster = match (owner, call.auth.user()) {
        (Subject::Provider(id), Some(user)) => store.has_privilege(Kind::Cluster, id, user, "cluster_update"),
        _ => false,
    };
    call.auth.subject.as_ref() == Some(owner) || has_cluster || is_manager(store, call)
}

/// Whether the caller may manage everybody's tokens.
pub fn is_manager(store: &Store, call: &Call) -> bool {
    call.auth.user().is_some_and(|user| store.is_admin(user, &["oz_tokens_manage"]))
}

/// Whether the token in the path exists.
pub fn exists(store: &Store, call: &Call) -> bool {
    store.tokens.contains_key(call.id("id"))
}

/// Whether the token in the path is the caller's, or the caller manages all.
pub fn may_manage_one(store: &Store, call: &Call) -> bool {
    may_manage(store, call, store.tokens.get(call.id("id")).map(|record| &record.subject))
}

/// A Oneprovider may also ask about the tokens of its users, and the members of its cluster about its own.
pub fn may_view_status(store: &Store, call: &Call) -> bool {
    let record = store.tokens.get(call.id("id"));
    let serves = match (record.map(|record| &record.subject), &call.auth.subject) {
        (Some(Subject::User(user)), Some(Subject::Provider(provider))) => store.serves(provider, user),
        (Some(Subject::Provider(provider)), Some(Subject::User(user))) => {
            store.is_member(Kind::Cluster, provider, user)
        }
        _ => false,
    };
    serves || may_manage_one(store, call)
}

/// `POST …/tokens/named`.
pub fn create_named(store: &mut Store, call: &Call, owner: Owner) -> Result<Answer, Fault> {
    let subject = owner(call).ok_or_else(fault::forbidden)?;
    let (id, token) = create(store, &subject, &call.data, call.now)?;
    let body = json!({ "tokenId": id, "token": token.serialize() });
    Ok(Answer::created(Some(format!("/tokens/named/{id}")), Some(body)))
}

/// Checks what is asked for in Onezone's order and makes the token: an invite type first, then the name, then the other
/// keys alphabetically.
pub fn create(
    store: &mut Store,
    subject: &Subject,
    data: &Value,
    now: i64,
) -> Result<(String, Token), Fault> {
    let data = data.as_object().ok_or_else(fault::malformed_data)?;
    let invited = match data.get("type") {
        Some(Value::Object(_)) => match values::token_type(data)? {
            Some(Type::Invite { kind, target, .. }) => Some((kind, target)),
            _ => None,
        },
        _ => None,
    };
    let name = values::name(data)?.ok_or_else(|| fault::missing_required("name"))?;
    let caveats = values::caveats(data)?.unwrap_or_default();
    let custom = values::custom_metadata(data)?.unwrap_or_else(|| json!({}));
    let possible = invited.as_ref().and_then(|(kind, _)| invites::of(*kind).possible_privileges());
    let given = possible.map_or(Ok(None), |possible| values::privileges(data, "privileges", possible))?;
    let revoked = values::boolean(data, "revoked")?.unwrap_or(false);
    let kind = values::token_type(data)?.unwrap_or(Type::ACCESS);
    let mut invitation = None;
    if let Some((kind, target)) = invited {
        invitation_is_valid(store, subject, kind, &target, given.is_some())?;
        let default = invites::of(kind).default_privileges().map(privileges::set);
        let usage_limit = values::usage_limit(data)?;
        invitation = Some(Invitation { privileges: given.or(default), usage_limit, usage_count: 0 });
    }
    verify::subject_is_fit(store, subject, &kind, &verify::services(&caveats))?;
    if store.token_named(subject, &name).is_some() || store.hooks.refuses_name() {
        return Err(fault::identifier_occupied("name"));
    }
    let record = Record {
        name,
        subject: subject.clone(),
        kind,
        secret: random_secret(),
        caveats,
        created: now,
        custom,
        invitation,
        revoked,
    };
    let id = random_id();
    let token = record.token(&store.domain, &id).ok_or_else(|| fault::bad_data("caveats"))?;
    store.tokens.insert(id.clone(), record);
    Ok((id, token))
}

/// Whether the subject may issue this invitation, and set its privileges if they are its own.
pub fn invitation_is_valid(
    store: &Store,
    subject: &Subject,
    kind: crate::token::InviteType,
    target: &str,
    custom_privileges: bool,
) -> Result<(), Fault> {
    let invite = invites::of(kind);
    if !invite.target_exists(store, target) {
        return Err(fault::invite_target_invalid(target));
    }
    let may_set = || invite.may_set_privileges(store, subject, target);
    if !invite.may_invite(store, subject, target) || custom_privileges && !may_set() {
        return Err(fault::invite_not_authorized());
    }
    Ok(())
}

/// `POST …/tokens/temporary`.
pub fn create_temporary(store: &mut Store, call: &Call, owner: Owner) -> Result<Answer, Fault> {
    let subject = owner(call).ok_or_else(fault::forbidden)?;
    let data = call.object()?;
    let caveats = values::caveats(data)?.unwrap_or_default();
    let kind = values::token_type(data)?.unwrap_or(Type::ACCESS);
    if let Type::Invite { kind, target, .. } = &kind {
        invitation_is_valid(store, &subject, *kind, target, false)?;
    }
    verify::subject_is_fit(store, &subject, &kind, &verify::services(&caveats))?;
    if values::ttl(&caveats, call.now).is_none_or(|ttl| ttl > MAX_TEMPORARY_TTL) {
        return Err(fault::time_caveat_required(MAX_TEMPORARY_TTL));
    }
    let token = temporary(store, &subject, kind, caveats)?;
    Ok(Answer::created(None, Some(json!({ "token": token.serialize() }))))
}

/// A temporary token of the subject's present generation.
pub fn temporary(
    store: &mut Store,
    subject: &Subject,
    kind: Type,
    caveats: Vec<Caveat>,
) -> Result<Token, Fault> {
    let domain = store.domain.clone();
    let generation = store.generation(subject).ok_or_else(fault::token_subject_invalid)?;
    let persistence = Persistence::Temporary { generation: generation.number };
    let identifier = Identifier::new(persistence, subject.clone(), kind, random_id());
    Token::mint(&domain, identifier, caveats, generation.secret.as_bytes())
        .map_err(|_| fault::bad_data("caveats"))
}

/// `GET …/tokens/named`.
pub fn list(store: &mut Store, call: &Call, owner: Owner) -> Result<Answer, Fault> {
    let subject = owner(call).ok_or_else(fault::forbidden)?;
    Ok(Answer::ok(json!({ "tokens": store.tokens_of(&subject) })))
}

/// `GET /tokens/named`.
pub fn list_all(store: &mut Store, _: &Call) -> Result<Answer, Fault> {
    Ok(Answer::ok(json!({ "tokens": store.tokens.keys().collect::<Vec<_>>() })))
}

/// `DELETE …/tokens/named`: all of them.
pub fn delete_all(store: &mut Store, call: &Call, owner: Owner) -> Result<Answer, Fault> {
    let subject = owner(call).ok_or_else(fault::forbidden)?;
    store.tokens.retain(|_, record| record.subject != subject);
    Ok(Answer::nothing())
}

/// `GET …/tokens/named/name/{name}`.
pub fn by_name(store: &mut Store, call: &Call, owner: Owner) -> Result<Answer, Fault> {
    let subject = owner(call).ok_or_else(fault::forbidden)?;
    let id = store.token_named(&subject, call.id("name")).ok_or_else(fault::not_found)?;
    shown(store, id)
}

/// `GET /tokens/named/{id}`.
pub fn get(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    shown(store, call.id("id"))
}

/// `GET /tokens/named/{id}/status`.
pub fn status(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let record = store.tokens.get(call.id("id")).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(json!({ "revoked": record.revoked })))
}

/// `PATCH /tokens/named/{id}`.
pub fn update(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let data = call.object()?;
    let custom = values::custom_metadata(data)?;
    let name = values::name(data)?;
    let revoked = values::boolean(data, "revoked")?;
    if custom.is_none() && name.is_none() && revoked.is_none() {
        return Err(fault::missing_at_least_one(&["customMetadata", "name", "revoked"]));
    }
    let id = call.id("id");
    let subject = &store.tokens.get(id).ok_or_else(fault::not_found)?.subject;
    let holder = name.as_ref().and_then(|name| store.token_named(subject, name));
    if holder.is_some_and(|holder| holder != id) {
        return Err(fault::identifier_occupied("name"));
    }
    let record = store.tokens.get_mut(id).ok_or_else(fault::not_found)?;
    record.name = name.unwrap_or_else(|| record.name.clone());
    record.custom = custom.unwrap_or_else(|| record.custom.clone());
    record.revoked = revoked.unwrap_or(record.revoked);
    Ok(Answer::nothing())
}

/// `DELETE /tokens/named/{id}`.
pub fn delete(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    store.tokens.remove(call.id("id"));
    Ok(Answer::nothing())
}

/// `GET …/tokens/temporary`.
pub fn generation(store: &mut Store, call: &Call, owner: Owner) -> Result<Answer, Fault> {
    let subject = owner(call).ok_or_else(fault::forbidden)?;
    let generation = store.generation(&subject).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(json!({ "generation": generation.number })))
}

/// `DELETE …/tokens/temporary`: none made so far is good any more.
pub fn next_generation(store: &mut Store, call: &Call, owner: Owner) -> Result<Answer, Fault> {
    let subject = owner(call).ok_or_else(fault::forbidden)?;
    let generation = store.generation(&subject).ok_or_else(fault::not_found)?;
    generation.number += 1;
    generation.secret = random_secret();
    Ok(Answer::nothing())
}

fn shown(store: &Store, id: &str) -> Result<Answer, Fault> {
    let record = store.tokens.get(id).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(record.to_json(&store.domain, id)))
}
