//! Oneproviders (contract, section 10.1).

use serde_json::json;

use super::answer::Answer;
use super::fault::{self, Fault};
use super::kinds::Kind;
use super::request::Call;
use super::store::Store;
use crate::token::Subject;

/// Whether the Oneprovider in the path exists.
pub fn exists(store: &Store, call: &Call) -> bool {
    store.providers.contains_key(call.id("id"))
}

/// What a route of the current Oneprovider takes for existing: a user's id is no Oneprovider's, and nobody has none.
pub fn caller_exists(_: &Store, call: &Call) -> bool {
    !matches!(call.auth.subject, Some(Subject::User(_)))
}

/// Whether the caller is a Oneprovider.
pub fn is_provider(_: &Store, call: &Call) -> bool {
    matches!(call.auth.subject, Some(Subject::Provider(_)))
}

/// The id of the Oneprovider that calls, empty if another does.
pub fn own_id<'c>(call: &'c Call) -> &'c str {
    match &call.auth.subject {
        Some(Subject::Provider(id)) => id,
        _ => "",
    }
}

/// Its users and the members of its cluster see it, and Oneproviders see each other.
pub fn may_view(store: &Store, call: &Call) -> bool {
    let id = call.id("id");
    match &call.auth.subject {
        None => false,
        Some(Subject::Provider(_)) => true,
        Some(Subject::User(user)) => {
            store.serves(id, user)
                || store.is_member(Kind::Cluster, id, user)
                || store.is_admin(user, &["oz_providers_view"])
        }
    }
}

pub fn may_list_all(store: &Store, call: &Call) -> bool {
    call.auth.user().is_some_and(|user| store.is_admin(user, &["oz_providers_list"]))
}

/// `GET /providers`.
pub fn list(store: &mut Store, _: &Call) -> Result<Answer, Fault> {
    Ok(Answer::ok(json!({ "providers": store.providers.keys().collect::<Vec<_>>() })))
}

/// `GET /providers/{id}`.
pub fn get(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    shown(store, call.id("id"))
}

/// `GET /provider`.
pub fn current(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    shown(store, own_id(call))
}

/// The Oneprovider as others see it.
pub fn shown(store: &Store, id: &str) -> Result<Answer, Fault> {
    let provider = store.providers.get(id).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(json!({
        "providerId": id,
        "name": provider.name,
        "domain": provider.domain,
        "latitude": 0.0,
        "longitude": 0.0,
        "cluster": id,
        "online": true,
        "creationTime": provider.created,
    })))
}
