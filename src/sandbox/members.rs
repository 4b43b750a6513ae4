//! Who is in a group, a space, a harvester, a cluster: users and groups, directly and effectively, and adding them without
//! an invitation (contract, sections 10.1 and 10.2).

use serde_json::json;

use super::answer::Answer;
use super::entities::{self, may, supports};
use super::fault::{self, Fault};
use super::kinds::Kind;
use super::privileges::{self, Privileges};
use super::request::Call;
use super::store::Store;
use super::{users, values};
use crate::token::Subject;

/// Whether the user in the path is a direct member of the entity in the path.
pub fn user_exists(kind: Kind, store: &Store, call: &Call) -> bool {
    store.entity(kind, call.id("id")).is_some_and(|entity| entity.users.contains_key(call.id("uid")))
}

/// Whether the user in the path is an effective member.
pub fn effective_user_exists(kind: Kind, store: &Store, call: &Call) -> bool {
    store.is_member(kind, call.id("id"), call.id("uid"))
}

/// Whether the group in the path is directly in the entity in the path.
pub fn group_exists(kind: Kind, store: &Store, call: &Call) -> bool {
    store.entity(kind, call.id("id")).is_some_and(|entity| entity.groups.contains_key(call.id("gid")))
}

pub fn may_list(kind: Kind, store: &Store, call: &Call) -> bool {
    may(kind, store, call, &kind.privilege("view"), &[&kind.oz("list_relationships")])
        || by_support(kind, store, call)
}

pub fn may_view_user(kind: Kind, store: &Store, call: &Call) -> bool {
    call.auth.user() == Some(call.id("uid"))
        || may(kind, store, call, &kind.privilege("view"), &["oz_users_view"])
        || by_support(kind, store, call)
}

/// One's own privileges always, those of others with a privilege.
pub fn may_view_privileges(kind: Kind, store: &Store, call: &Call) -> bool {
    call.auth.user() == Some(call.id("uid"))
        || may(kind, store, call, &kind.privilege("view_privileges"), &[&kind.oz("view_privileges")])
        || by_support(kind, store, call)
}

pub fn may_set_privileges(kind: Kind, store: &Store, call: &Call) -> bool {
    may(kind, store, call, &kind.privilege("set_privileges"), &[&kind.oz("set_privileges")])
}

/// For the legacy invitation of a user.
pub fn may_invite_user(kind: Kind, store: &Store, call: &Call) -> bool {
    may(kind, store, call, &kind.privilege("add_user"), &[&kind.oz("add_relationships")])
}

/// For the legacy invitation of a group.
pub fn may_invite_group(kind: Kind, store: &Store, call: &Call) -> bool {
    may(kind, store, call, kind.facts().add_group, &[&kind.oz("add_relationships")])
}

pub fn may_remove_user(kind: Kind, store: &Store, call: &Call) -> bool {
    let admin = [&*kind.oz("remove_relationships"), "oz_users_remove_relationships"];
    let owners = store.entity(kind, call.id("id")).map(|entity| &entity.owners);
    match owners.filter(|owners| owners.contains(call.id("uid"))) {
        // Only owners remove owners.
        Some(owners) => {
            call.auth.user().is_some_and(|user| owners.contains(user) || store.is_admin(user, &admin))
        }
        None => may(kind, store, call, &kind.privilege("remove_user"), &admin),
    }
}

pub fn may_remove_group(kind: Kind, store: &Store, call: &Call) -> bool {
    let privilege = kind.facts().add_group.replace("_add_", "_remove_");
    let admin = [&*kind.oz("remove_relationships"), "oz_groups_remove_relationships"];
    may(kind, store, call, &privilege, &admin)
}

/// Without administrative privileges one may add only oneself.
pub fn may_add_user(kind: Kind, store: &Store, call: &Call) -> bool {
    let Some(user) = call.auth.user() else { return by_own_cluster(kind, call) };
    let as_member =
        user == call.id("uid") && may_add_as_member(kind, store, call, user, &kind.privilege("add_user"));
    as_member || may_add_as_admin(kind, store, call, "oz_users_add_relationships")
}

/// A group that one may take there.
pub fn may_add_group(kind: Kind, store: &Store, call: &Call) -> bool {
    let Some(user) = call.auth.user() else { return by_own_cluster(kind, call) };
    let facts = kind.facts();
    let as_member = may_add_as_member(kind, store, call, user, facts.add_group)
        && store.has_privilege(Kind::Group, call.id("gid"), user, facts.joins);
    as_member || may_add_as_admin(kind, store, call, "oz_groups_add_relationships")
}

/// `GET /spaces/{id}/users`.
pub fn users(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let entity = store.entity(kind, call.id("id")).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(json!({ "users": entity.users.keys().collect::<Vec<_>>() })))
}

/// `GET /spaces/{id}/effective_users`.
pub fn effective_users(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    Ok(Answer::ok(json!({ "users": store.members(kind, call.id("id")) })))
}

/// `GET /spaces/{id}/users/{uid}`.
pub fn user(_: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    users::shared(store, call.id("uid"))
}

/// `GET /spaces/{id}/users/{uid}/privileges`.
pub fn user_privileges(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let entity = store.entity(kind, call.id("id"));
    Ok(Answer::ok(json!({ "privileges": entity.and_then(|entity| entity.users.get(call.id("uid"))) })))
}

/// `PATCH /spaces/{id}/users/{uid}/privileges`: `grant` and `revoke`.
pub fn set_user_privileges(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let data = call.object()?;
    let [grant, revoke] = ["grant", "revoke"].map(|key| values::privileges(data, key, kind.facts().admin));
    let (grant, revoke) = (grant?, revoke?);
    if grant.is_none() && revoke.is_none() {
        return Err(fault::missing_at_least_one(&["grant", "revoke"]));
    }
    let entity = store.entity_mut(kind, call.id("id"));
    let held = entity.and_then(|entity| entity.users.get_mut(call.id("uid"))).ok_or_else(fault::not_found)?;
    held.extend(grant.unwrap_or_default());
    held.retain(|privilege| !revoke.as_ref().is_some_and(|revoke| revoke.contains(privilege)));
    Ok(Answer::nothing())
}

/// `GET /spaces/{id}/effective_users/{uid}/privileges`.
pub fn effective_privileges(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    Ok(Answer::ok(json!({ "privileges": store.privileges(kind, call.id("id"), call.id("uid")) })))
}

/// `PUT /spaces/{id}/users/{uid}`.
pub fn add_user(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let (id, user) = (call.id("id"), call.id("uid"));
    if !store.users.contains_key(user) {
        return Err(fault::id_not_found("userId"));
    }
    let privileges = given_or_default(kind, call)?;
    link_user(kind, store, id, user, privileges)?;
    Ok(Answer::created(Some(format!("/{}/{id}/users/{user}", kind.facts().plural)), None))
}

/// `PUT /spaces/{id}/groups/{gid}`.
pub fn add_group(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let (id, group) = (call.id("id"), call.id("gid"));
    if store.entity(Kind::Group, group).is_none() {
        return Err(fault::id_not_found("groupId"));
    }
    let privileges = given_or_default(kind, call)?;
    link_group(kind, store, id, group, privileges)?;
    let facts = kind.facts();
    Ok(Answer::created(Some(format!("/{}/{id}/{}/{group}", facts.plural, facts.groups)), None))
}

/// `DELETE /spaces/{id}/users/{uid}`.
pub fn remove_user(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let entity = store.entity_mut(kind, call.id("id")).ok_or_else(fault::not_found)?;
    entity.users.remove(call.id("uid"));
    entity.owners.remove(call.id("uid"));
    Ok(Answer::nothing())
}

/// `DELETE /spaces/{id}/groups/{gid}`.
pub fn remove_group(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let entity = store.entity_mut(kind, call.id("id")).ok_or_else(fault::not_found)?;
    entity.groups.remove(call.id("gid"));
    Ok(Answer::nothing())
}

/// `GET /spaces/{id}/groups`.
pub fn groups(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let entity = store.entity(kind, call.id("id")).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(json!({ "groups": entity.groups.keys().collect::<Vec<_>>() })))
}

/// `GET /spaces/{id}/groups/{gid}`.
pub fn group(_: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let id = call.id("gid");
    let group = store.entity(Kind::Group, id).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(json!({
        "groupId": id, "name": group.name, "type": group.group_type, "creationTime": group.created,
    })))
}

/// Makes the user a direct member.
pub fn link_user(
    kind: Kind,
    store: &mut Store,
    id: &str,
    user: &str,
    privileges: Privileges,
) -> Result<(), Fault> {
    let members = &mut store.entity_mut(kind, id).ok_or_else(fault::not_found)?.users;
    if members.contains_key(user) {
        return Err(fault::relation_exists(("user", user), (kind.facts().singular, id)));
    }
    members.insert(user.to_owned(), privileges);
    Ok(())
}

/// Puts the group directly into the entity.
pub fn link_group(
    kind: Kind,
    store: &mut Store,
    id: &str,
    group: &str,
    privileges: Privileges,
) -> Result<(), Fault> {
    if kind == Kind::Group && id == group {
        return Err(fault::relation_to_self());
    }
    let groups = &mut store.entity_mut(kind, id).ok_or_else(fault::not_found)?.groups;
    if groups.contains_key(group) {
        return Err(fault::relation_exists(("group", group), (kind.facts().singular, id)));
    }
    groups.insert(group.to_owned(), privileges);
    Ok(())
}

fn given_or_default(kind: Kind, call: &Call) -> Result<Privileges, Fault> {
    let facts = kind.facts();
    let given = values::privileges(call.object()?, "privileges", facts.admin)?;
    Ok(given.unwrap_or_else(|| privileges::set(facts.member)))
}

fn may_add_as_member(kind: Kind, store: &Store, call: &Call, user: &str, privilege: &str) -> bool {
    let custom = call.data.get("privileges").is_some();
    let holds = |privilege| store.has_privilege(kind, call.id("id"), user, privilege);
    holds(privilege) && (!custom || holds(&kind.privilege("set_privileges")))
}

fn may_add_as_admin(kind: Kind, store: &Store, call: &Call, other: &str) -> bool {
    let custom = call.data.get("privileges").is_some();
    let (add, set) = (kind.oz("add_relationships"), kind.oz("set_privileges"));
    let admin = [&*add, other, &*set];
    let needed = if custom { &admin[..] } else { &admin[..2] };
    call.auth.user().is_some_and(|user| store.is_admin(user, needed))
}

/// A Oneprovider may do everything in its own cluster, and reads the spaces that it supports.
fn by_own_cluster(kind: Kind, call: &Call) -> bool {
    let own = matches!(&call.auth.subject, Some(Subject::Provider(id)) if id == call.id("id"));
    kind == Kind::Cluster && own
}

fn by_support(kind: Kind, store: &Store, call: &Call) -> bool {
    match &call.auth.subject {
        Some(Subject::Provider(provider)) => kind == Kind::Space && supports(store, provider, call.id("id")),
        _ => false,
    }
}

/// Whether the caller is an effective member of the entity in the path, for `/user/spaces/{id}`.
pub fn is_own(kind: Kind, store: &Store, call: &Call) -> bool {
    users::caller_exists(store, call)
        && entities::exists(kind, store, call)
        && call.auth.user().is_none_or(|user| store.is_member(kind, call.id("id"), user))
}

/// The same of a direct member, which alone can leave.
pub fn is_directly_own(kind: Kind, store: &Store, call: &Call) -> bool {
    is_own(kind, store, call)
        && call.auth.user().is_none_or(|user| {
            store.entity(kind, call.id("id")).is_some_and(|entity| entity.users.contains_key(user))
        })
}

/// `GET /user/spaces`: those that the caller is a direct member of.
pub fn own(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let user = call.auth.user().unwrap_or_default();
    let of = store.all(kind).iter().filter(|(_, entity)| entity.users.contains_key(user));
    Ok(Answer::ok(json!({ kind.facts().plural: of.map(|(id, _)| id).collect::<Vec<_>>() })))
}

/// `DELETE /user/spaces/{id}`.
pub fn leave(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let user = call.auth.user().unwrap_or_default();
    let entity = store.entity_mut(kind, call.id("id")).ok_or_else(fault::not_found)?;
    entity.owners.remove(user);
    entity.users.remove(user).map(|_| Answer::nothing()).ok_or_else(fault::not_found)
}
