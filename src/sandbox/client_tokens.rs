//! The deprecated `client_tokens` (contract, section 7.5): access tokens as they were before tokens had names. They are
//! named tokens today, and know nothing of the caveats of whoever makes them.

use serde_json::json;

use super::answer::Answer;
use super::fault::{self, Fault};
use super::request::Call;
use super::store::Store;
use super::{names, tokens, users, values};
use crate::token::api::Gri;
use crate::token::{Caveat, Subject, Type};

/// For how long a new one is good, in seconds: a year.
const LIFE: i64 = 31_536_000;

/// Whether the token in the path (`tid`, its whole text) is on record. Nobody has none to look up.
pub fn exists(store: &Store, call: &Call) -> bool {
    users::caller_exists(store, call)
        && (call.auth.subject.is_none() || id(call).is_some_and(|id| store.tokens.contains_key(&id)))
}

/// `POST /user/client_tokens`.
pub fn create(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let subject = tokens::current_user(call).ok_or_else(fault::forbidden)?;
    let caveat = Caveat::Time { valid_until: call.now + LIFE };
    let data = json!({
        "name": names::of_client_token(call.now, names::random_hex),
        "type": Type::ACCESS.to_json(),
        "caveats": [caveat.to_json()],
    });
    let (_, token) = tokens::create(store, &subject, &data, call.now)?;
    Ok(Answer::ok(json!({ "token": token.serialize() })))
}

/// `GET /user/client_tokens`: all named access tokens of the caller, however they were made. Their list is a second
/// resource that the caller's api caveats must allow.
pub fn list(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let subject = tokens::current_user(call).ok_or_else(fault::forbidden)?;
    let user = call.auth.user().unwrap_or_default();
    call.auth.check("get", &Gri::private("token", "null", "user_named_tokens").with(user))?;
    let texts: Vec<_> = store
        .tokens_of(&subject)
        .iter()
        .filter_map(|id| Some((id, store.tokens.get(id)?)))
        .filter(|(_, record)| matches!(record.kind, Type::Access { .. }))
        .filter_map(|(id, record)| record.token(&store.domain, id))
        .map(|token| token.serialize())
        .collect();
    Ok(Answer::ok(json!({ "tokens": texts })))
}

/// `DELETE /user/client_tokens/{tid}`: whose token it is decides, not its signature.
pub fn delete(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let id = id(call).ok_or_else(fault::not_found)?;
    let owner: Option<&Subject> = store.tokens.get(&id).map(|record| &record.subject);
    if !tokens::may_manage(store, call, owner) {
        return Err(fault::forbidden());
    }
    store.tokens.remove(&id);
    Ok(Answer::nothing())
}

fn id(call: &Call) -> Option<String> {
    values::read_token(call.id("tid")).ok().map(|token| token.id.id)
}
