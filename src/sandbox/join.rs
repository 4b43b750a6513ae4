//! Joining with an invite token (contract, section 10.3), with true consumption: all of it happens under the one lock of
//! the store, so that of any number of joins with a single-use token exactly one succeeds.

use super::answer::Answer;
use super::caveats::{ONEZONE, Setting};
use super::fault::{self, Fault};
use super::privileges::{self, Privileges};
use super::request::Call;
use super::store::Store;
use super::{groups, kinds, tokens, values, verify};
use crate::token::{InviteType, Persistence, Token, Type};

/// Whether the caller may take the group in the path into another one.
pub fn may_take_group(store: &Store, call: &Call) -> bool {
    call.auth.user().is_some_and(|user| {
        store.has_privilege(call.id("id"), user, "group_add_parent")
            || store.is_admin(user, &["oz_groups_add_relationships"])
    })
}

/// `POST /user/groups/join`.
pub fn user_to_group(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let user = call.auth.user().ok_or_else(fault::forbidden)?;
    let group = consume(store, call, InviteType::UserJoinGroup, |store, group, privileges| {
        groups::link_user(store, group, user, privileges)
    })?;
    Ok(Answer::created(Some(format!("/user/groups/{group}")), None))
}

/// `POST /groups/{id}/parents/join`.
pub fn group_to_group(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let child = call.id("id");
    let group = consume(store, call, InviteType::GroupJoinGroup, |store, group, privileges| {
        groups::link_group(store, group, child, privileges)
    })?;
    Ok(Answer::created(Some(format!("/groups/{child}/parents/{group}")), None))
}

fn consume(
    store: &mut Store,
    call: &Call,
    expected: InviteType,
    link: impl FnOnce(&mut Store, &str, Privileges) -> Result<(), Fault>,
) -> Result<String, Fault> {
    let token = values::token(call.object()?, "token")?;
    let target = match &token.id.kind {
        Type::Invite { kind, target, .. } if *kind == expected => target.clone(),
        other => {
            let inner = fault::not_an_invite_token(expected.name(), other);
            return Err(fault::bad_token_value("token", inner));
        }
    };
    let issuer = verified_issuer(store, call, &token, expected)?;
    let (custom, carried) = carried(store, &token, expected)?;
    tokens::invitation_is_valid(store, &issuer, expected, &target, custom)?;
    link(store, &target, carried)?;
    if let Some(invitation) = store.tokens.get_mut(&token.id.id).and_then(|r| r.invitation.as_mut()) {
        invitation.usage_count += 1;
    }
    Ok(target)
}

fn verified_issuer(
    store: &mut Store,
    call: &Call,
    token: &Token,
    expected: InviteType,
) -> Result<crate::token::Subject, Fault> {
    let setting = Setting {
        now: call.now,
        peer: Some(call.auth.peer),
        interface: None,
        service: ONEZONE.to_owned(),
        consumer: call.auth.subject.clone(),
        data_access: false,
        as_identity: false,
    };
    verify::invite_token(store, token, Some(expected), &setting).map_err(|fault| {
        // A blocked issuer is no business of the one who joins.
        if fault == fault::user_blocked() { fault::invite_not_authorized() } else { fault }
    })
}

/// The privileges that the token carries, and whether they are other than the default.
fn carried(store: &Store, token: &Token, kind: InviteType) -> Result<(bool, Privileges), Fault> {
    let default = kinds::default_privileges(kind).map(privileges::set).unwrap_or_default();
    if token.id.persistence != Persistence::Named {
        return Ok((false, default));
    }
    let record = store.tokens.get(&token.id.id).and_then(|record| record.invitation.as_ref());
    let invitation = record.ok_or_else(fault::token_invalid)?;
    if invitation.usage_limit.is_some_and(|limit| invitation.usage_count >= limit) {
        return Err(fault::invite_usage_limit());
    }
    let carried = invitation.privileges.clone().unwrap_or_default();
    Ok((carried != default, carried))
}
