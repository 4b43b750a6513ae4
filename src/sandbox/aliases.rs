//! The deprecated names that users may give to spaces (contract, section 7.6). They have no effect.

use serde_json::{Value, json};

use super::answer::Answer;
use super::fault::{self, Fault};
use super::kinds::Kind;
use super::request::Call;
use super::store::Store;
use super::users;

/// Whether the caller has named the space in the path. Nobody has nothing to look up.
pub fn exists(store: &Store, call: &Call) -> bool {
    let user = call.auth.user().and_then(|user| store.users.get(user));
    users::caller_exists(store, call) && user.is_none_or(|user| user.aliases.contains_key(call.id("sid")))
}

/// `GET /user/spaces/{sid}/alias`.
pub fn get(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let user = call.auth.user().and_then(|user| store.users.get(user)).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(json!({ "alias": user.aliases.get(call.id("sid")) })))
}

/// `PUT /user/spaces/{sid}/alias`.
pub fn set(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let (id, space) = (call.auth.user().unwrap_or_default(), call.id("sid"));
    if !store.is_member(Kind::Space, space, id) {
        return Err(fault::no_relation(("user", id), ("space", space)));
    }
    let alias = match call.object()?.get("alias") {
        None => return Err(fault::missing_required("alias")),
        Some(Value::String(text)) if text.is_empty() => return Err(fault::empty_value("alias")),
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Bool(value)) => Some(value.to_string()),
        Some(Value::Null) => None,
        Some(_) => return Err(fault::not_a_string("alias")),
    };
    let user = store.users.get_mut(id).ok_or_else(fault::not_found)?;
    user.aliases.insert(space.to_owned(), alias);
    Ok(Answer::nothing())
}

/// `DELETE /user/spaces/{sid}/alias`.
pub fn remove(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let user = call.auth.user().and_then(|user| store.users.get_mut(user)).ok_or_else(fault::not_found)?;
    user.aliases.remove(call.id("sid"));
    Ok(Answer::nothing())
}
