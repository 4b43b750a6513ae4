//! The deprecated invite-token routes (contract, section 7.1), wrappers over named tokens since 20.02.

use serde_json::json;

use super::answer::Answer;
use super::fault::{self, Fault};
use super::request::Call;
use super::store::Store;
use super::{names, tokens};
use crate::token::api::Gri;
use crate::token::{InviteType, Subject, Type};

/// `POST /groups/{id}/users/token`.
pub fn invite_user_to_group(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    invite(store, call, InviteType::UserJoinGroup, "user invite to group")
}

/// `POST /groups/{id}/children/token`.
pub fn invite_group_to_group(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    invite(store, call, InviteType::GroupJoinGroup, "group invite to group")
}

fn invite(store: &mut Store, call: &Call, kind: InviteType, prefix: &str) -> Result<Answer, Fault> {
    let subject = call.auth.subject.clone().ok_or_else(fault::unauthorized)?;
    let target = call.id("id");
    let group = store.groups.get(target).ok_or_else(fault::not_found)?;
    let name = names::generated(prefix, &group.name, names::random_hex);
    let (aspect, id) = match &subject {
        Subject::User(id) => ("user_named_token", id),
        Subject::Provider(id) => ("provider_named_token", id),
    };
    // The new token is a second resource that the caller's api caveats must allow.
    call.auth.check("create", &Gri::private("token", "null", aspect).with(id))?;
    let data = json!({ "name": name, "type": Type::invite(kind, target).to_json(), "usageLimit": 1 });
    let (_, token) = tokens::create(store, &subject, &data, call.now)?;
    Ok(Answer::ok(json!({ "token": token.serialize() })))
}
