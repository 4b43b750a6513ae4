//! Joining with an invite token (contract, section 10.3), with true consumption: all of it happens under the one lock of
//! the store, so that of any number of joins with a single-use token exactly one succeeds.

use super::answer::Answer;
use super::caveats::{ONEZONE, Setting};
use super::fault::{self, Fault};
use super::kinds::Kind;
use super::privileges::{self, Privileges};
use super::request::Call;
use super::store::Store;
use super::{invites, links, members, tokens, values, verify};
use crate::token::{InviteType, Persistence, Token, Type};

/// Whether the caller may take the group in the path into one of this kind.
pub fn may_take_group(kind: Kind, store: &Store, call: &Call) -> bool {
    is_user_and_may(Kind::Group, store, call, kind.facts().joins)
}

/// Whether the caller may take the space in the path into a harvester.
pub fn may_take_space(_: Kind, store: &Store, call: &Call) -> bool {
    is_user_and_may(Kind::Space, store, call, "space_add_harvester")
}

/// Whether the caller may let the harvester in the path take in a space.
pub fn may_take_harvester(_: Kind, store: &Store, call: &Call) -> bool {
    is_user_and_may(Kind::Harvester, store, call, "harvester_add_space")
}

/// `POST /user/spaces/join`.
pub fn user(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let user = call.auth.user().ok_or_else(fault::forbidden)?;
    let joined = consume(store, call, kind.facts().invites_user, |store, target, privileges| {
        members::link_user(kind, store, target, user, privileges)
    })?;
    Ok(Answer::created(Some(format!("/user/{}/{joined}", kind.facts().plural)), None))
}

/// `POST /groups/{id}/spaces/join`.
pub fn group(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let group = call.id("id");
    let joined = consume(store, call, kind.facts().invites_group, |store, target, privileges| {
        members::link_group(kind, store, target, group, privileges)
    })?;
    Ok(Answer::created(Some(format!("/groups/{group}/{}/{joined}", kind.facts().of_group)), None))
}

/// `POST /spaces/{id}/harvesters/join`.
pub fn space(_: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let space = call.id("id");
    let joined = consume(store, call, InviteType::SpaceJoinHarvester, |store, harvester, _| {
        links::link_source(store, harvester, space)
    })?;
    Ok(Answer::created(Some(format!("/spaces/{space}/harvesters/{joined}")), None))
}

/// `POST /harvesters/{id}/spaces/join`.
pub fn harvester(_: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let harvester = call.id("id");
    let joined = consume(store, call, InviteType::HarvesterJoinSpace, |store, space, _| {
        links::link_source(store, harvester, space)
    })?;
    Ok(Answer::created(Some(format!("/harvesters/{harvester}/spaces/{joined}")), None))
}

fn is_user_and_may(kind: Kind, store: &Store, call: &Call, privilege: &str) -> bool {
    call.auth.user().is_some() && {
        let who = call.auth.subject.as_ref();
        store.may(kind, call.id("id"), who, privilege, &[&kind.oz("add_relationships")])
    }
}

/// Uses up one use of the token in the body, if `link` succeeds, and returns what it leads to.
pub fn consume(
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
    let default = invites::of(kind).default_privileges().map(privileges::set).unwrap_or_default();
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
