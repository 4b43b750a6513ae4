//! The deprecated routes that create tokens, wrappers over named tokens since 20.02: invitations to a group, a space, a
//! harvester or a cluster (contract, section 7.1) and of Oneproviders (7.4).

use serde_json::json;

use super::answer::Answer;
use super::fault::{self, Fault};
use super::kinds::Kind;
use super::request::Call;
use super::store::Store;
use super::{invites, names, tokens, users};
use crate::token::api::Gri;
use crate::token::{InviteType, Subject, Type};

/// `POST /spaces/{id}/users/token`.
pub fn invite_user(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    create(store, call, kind.facts().invites_user, call.id("id"))
}

/// `POST /spaces/{id}/groups/token`.
pub fn invite_group(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    create(store, call, kind.facts().invites_group, call.id("id"))
}

/// `POST /spaces/{id}/providers/token`.
pub fn invite_support(_: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    create(store, call, InviteType::SupportSpace, call.id("id"))
}

/// `POST /harvesters/{id}/spaces/token`.
pub fn invite_space(_: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    create(store, call, InviteType::SpaceJoinHarvester, call.id("id"))
}

/// `POST /user/clusters/provider_registration_token`.
pub fn register_for_oneself(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    create(store, call, InviteType::RegisterOneprovider, call.auth.user().unwrap_or_default())
}

/// `POST /users/{id}/clusters/provider_registration_token`.
pub fn register_for_user(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    create(store, call, InviteType::RegisterOneprovider, call.id("id"))
}

pub fn may_register_for_oneself(store: &Store, call: &Call) -> bool {
    users::is_user(store, call) && may_register(store, call, call.auth.user().unwrap_or_default())
}

pub fn may_register_for_user(store: &Store, call: &Call) -> bool {
    may_register(store, call, call.id("id"))
}

fn may_register(store: &Store, call: &Call, user: &str) -> bool {
    let subject = call.auth.subject.as_ref();
    subject.is_some_and(|who| invites::of(InviteType::RegisterOneprovider).may_invite(store, who, user))
}

fn create(store: &mut Store, call: &Call, kind: InviteType, target: &str) -> Result<Answer, Fault> {
    let subject = call.auth.subject.clone().ok_or_else(fault::unauthorized)?;
    let invite = invites::of(kind);
    let target_name = invite.target_name(store, target).ok_or_else(fault::not_found)?;
    let name = names::generated(invite.prefix, &target_name, names::random_hex);
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
