//! Users (contract, section 10.1), and what Onezone says of itself to anybody.

use serde_json::json;

use super::answer::Answer;
use super::fault::{self, Fault};
use super::request::Call;
use super::store::{Store, User};
use crate::token::Subject;

/// What a route of the current user takes for existing: a Oneprovider's id is no user's, and nobody has none to look up.
pub fn caller_exists(_: &Store, call: &Call) -> bool {
    !matches!(call.auth.subject, Some(Subject::Provider(_)))
}

/// Whether the caller is a user.
pub fn is_user(_: &Store, call: &Call) -> bool {
    call.auth.user().is_some()
}

/// Whether the user in the path exists.
pub fn exists(store: &Store, call: &Call) -> bool {
    store.users.contains_key(call.id("id"))
}

pub fn may_view(store: &Store, call: &Call) -> bool {
    let user = call.auth.user();
    user == Some(call.id("id")) || user.is_some_and(|user| store.is_admin(user, &["oz_users_view"]))
}

pub fn may_view_privileges(store: &Store, call: &Call) -> bool {
    is_oneself_or(store, call, "oz_view_privileges")
}

pub fn may_list_relationships(store: &Store, call: &Call) -> bool {
    is_oneself_or(store, call, "oz_users_list_relationships")
}

/// `GET /user`.
pub fn current(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    protected(store, call.auth.user().unwrap_or_default())
}

/// `GET /users/{id}`.
pub fn get(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    protected(store, call.id("id"))
}

/// `GET /user/effective_privileges`.
pub fn effective_privileges(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    Ok(Answer::ok(json!({ "privileges": found(store, call.auth.user().unwrap_or_default())?.oz_privileges })))
}

/// `GET /users/{id}/effective_privileges`.
pub fn effective_privileges_of(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    Ok(Answer::ok(json!({ "privileges": found(store, call.id("id"))?.oz_privileges })))
}

/// `GET /users/{id}/effective_groups`.
pub fn effective_groups(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    Ok(Answer::ok(json!({ "groups": store.groups_of(call.id("id")) })))
}

/// The user as its fellow members see it.
pub fn shared(store: &Store, id: &str) -> Result<Answer, Fault> {
    let user = found(store, id)?;
    Ok(Answer::ok(json!({
        "userId": id,
        "fullName": user.full_name,
        "username": user.username,
        "creationTime": user.created,
        "name": user.full_name,
        "login": user.username,
        "alias": user.username,
    })))
}

/// `GET /health`.
pub fn health(_: &mut Store, _: &Call) -> Result<Answer, Fault> {
    Ok(Answer::ok(json!({ "status": "healthy" })))
}

/// `GET /configuration`.
pub fn configuration(store: &mut Store, _: &Call) -> Result<Answer, Fault> {
    let restricted = store.hooks.registration_is_restricted();
    Ok(Answer::ok(json!({
        "name": "Sandbox",
        "domain": store.domain,
        "version": "21.02.7",
        "build": "sandbox",
        "compatibilityRegistryRevision": 2_024_101_600,
        "providerRegistrationPolicy": if restricted { "restricted" } else { "open" },
    })))
}

fn is_oneself_or(store: &Store, call: &Call, privilege: &str) -> bool {
    let user = call.auth.user();
    user == Some(call.id("id")) || user.is_some_and(|user| store.is_admin(user, &[privilege]))
}

fn protected(store: &Store, id: &str) -> Result<Answer, Fault> {
    let user = found(store, id)?;
    let emails = [format!("{}@example.org", user.username)];
    Ok(Answer::ok(json!({
        "userId": id,
        "fullName": user.full_name,
        "username": user.username,
        "emails": emails,
        "linkedAccounts": [],
        "basicAuthEnabled": user.password.is_some(),
        "blocked": user.blocked,
        "creationTime": user.created,
        "name": user.full_name,
        "login": user.username,
        "alias": user.username,
        "emailList": emails,
    })))
}

fn found<'s>(store: &'s Store, id: &str) -> Result<&'s User, Fault> {
    store.users.get(id).ok_or_else(fault::not_found)
}
