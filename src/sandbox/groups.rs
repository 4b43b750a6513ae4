//! Groups and their members (contract, section 10).

use serde_json::{Value, json};

use super::answer::Answer;
use super::fault::{self, Fault};
use super::privileges::{self, GROUP_ADMIN, GROUP_MANAGER, GROUP_MEMBER};
use super::request::Call;
use super::store::{Group, Store, random_id};
use super::{kinds, users, values};

const KINDS: &[&str] = &["organization", "unit", "team", "role_holders"];

/// Whether the group in the path exists.
pub fn exists(store: &Store, call: &Call) -> bool {
    store.groups.contains_key(call.id("id"))
}

/// Whether the group exists and the user in the path is a direct member.
pub fn member_exists(store: &Store, call: &Call) -> bool {
    store.groups.get(call.id("id")).is_some_and(|group| group.users.contains_key(call.id("uid")))
}

/// Whether the group exists and the user in the path is an effective member.
pub fn effective_member_exists(store: &Store, call: &Call) -> bool {
    store.is_member(call.id("id"), call.id("uid"))
}

/// Whether the child group in the path is a direct child.
pub fn child_exists(store: &Store, call: &Call) -> bool {
    store.groups.get(call.id("id")).is_some_and(|group| group.children.contains_key(call.id("cid")))
}

pub fn may_view(store: &Store, call: &Call) -> bool {
    call.auth
        .user()
        .is_some_and(|user| store.is_member(call.id("id"), user) || store.is_admin(user, &["oz_groups_view"]))
}

pub fn may_list_members(store: &Store, call: &Call) -> bool {
    holds(store, call, "group_view", &["oz_groups_list_relationships"])
}

pub fn may_view_member(store: &Store, call: &Call) -> bool {
    call.auth.user() == Some(call.id("uid")) || holds(store, call, "group_view", &["oz_users_view"])
}

/// One's own privileges always, those of others with a privilege.
pub fn may_view_privileges(store: &Store, call: &Call) -> bool {
    call.auth.user() == Some(call.id("uid"))
        || holds(store, call, "group_view_privileges", &["oz_groups_view_privileges"])
}

pub fn may_update(store: &Store, call: &Call) -> bool {
    holds(store, call, "group_update", &["oz_groups_update"])
}

pub fn may_delete(store: &Store, call: &Call) -> bool {
    holds(store, call, "group_delete", &["oz_groups_delete"])
}

pub fn may_invite_user(store: &Store, call: &Call) -> bool {
    holds(store, call, "group_add_user", &["oz_groups_add_relationships"])
}

pub fn may_invite_group(store: &Store, call: &Call) -> bool {
    holds(store, call, "group_add_child", &["oz_groups_add_relationships"])
}

pub fn may_remove_user(store: &Store, call: &Call) -> bool {
    let admin = ["oz_groups_remove_relationships", "oz_users_remove_relationships"];
    holds(store, call, "group_remove_user", &admin)
}

pub fn may_remove_child(store: &Store, call: &Call) -> bool {
    holds(store, call, "group_remove_child", &["oz_groups_remove_relationships"])
}

/// Without administrative privileges one may add only oneself (contract, section 10.2).
pub fn may_add_user(store: &Store, call: &Call) -> bool {
    let Some(user) = call.auth.user() else { return false };
    let (group, custom) = (call.id("id"), call.data.get("privileges").is_some());
    let as_member = user == call.id("uid")
        && store.has_privilege(group, user, "group_add_user")
        && (!custom || store.has_privilege(group, user, "group_set_privileges"));
    let mut admin = vec!["oz_groups_add_relationships", "oz_users_add_relationships"];
    admin.extend(custom.then_some("oz_groups_set_privileges"));
    as_member || store.is_admin(user, &admin)
}

/// A group that one may move under another.
pub fn may_add_child(store: &Store, call: &Call) -> bool {
    let Some(user) = call.auth.user() else { return false };
    let (group, custom) = (call.id("id"), call.data.get("privileges").is_some());
    let as_member = store.has_privilege(group, user, "group_add_child")
        && (!custom || store.has_privilege(group, user, "group_set_privileges"))
        && store.has_privilege(call.id("cid"), user, "group_add_parent");
    let mut admin = vec!["oz_groups_add_relationships"];
    admin.extend(custom.then_some("oz_groups_set_privileges"));
    as_member || store.is_admin(user, &admin)
}

pub fn may_list_all(store: &Store, call: &Call) -> bool {
    call.auth.user().is_some_and(|user| store.is_admin(user, &["oz_groups_list"]))
}

pub fn may_create_for_nobody(store: &Store, call: &Call) -> bool {
    call.auth.user().is_some_and(|user| store.is_admin(user, &["oz_groups_create"]))
}

/// `GET /groups`.
pub fn list(store: &mut Store, _: &Call) -> Result<Answer, Fault> {
    Ok(Answer::ok(json!({ "groups": store.groups.keys().collect::<Vec<_>>() })))
}

/// `POST /groups`: a group without members.
pub fn create(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let (id, _) = add(store, call)?;
    Ok(Answer::created(Some(format!("/groups/{id}")), None))
}

/// `POST /user/groups`: a group that the caller administers.
pub fn create_own(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let (id, group) = add(store, call)?;
    if let Some(user) = call.auth.user() {
        group.users.insert(user.to_owned(), privileges::set(GROUP_ADMIN));
    }
    Ok(Answer::created(Some(format!("/user/groups/{id}")), None))
}

/// `GET /groups/privileges`.
pub fn levels(_: &mut Store, _: &Call) -> Result<Answer, Fault> {
    Ok(Answer::ok(json!({ "member": GROUP_MEMBER, "manager": GROUP_MANAGER, "admin": GROUP_ADMIN })))
}

/// `GET /groups/{id}`.
pub fn get(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let id = call.id("id");
    let group = store.groups.get(id).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(json!({
        "groupId": id,
        "name": group.name,
        "type": group.kind,
        "creator": kinds::subject_json(group.creator.as_ref()),
        "creationTime": group.created,
    })))
}

/// `PATCH /groups/{id}`.
pub fn update(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let name = values::name(call.object()?)?;
    let kind = kind(call)?;
    if name.is_none() && kind.is_none() {
        return Err(fault::missing_at_least_one(&["name", "type"]));
    }
    let group = store.groups.get_mut(call.id("id")).ok_or_else(fault::not_found)?;
    group.name = name.unwrap_or_else(|| group.name.clone());
    group.kind = kind.unwrap_or_else(|| group.kind.clone());
    Ok(Answer::nothing())
}

/// `DELETE /groups/{id}`.
pub fn delete(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    store.groups.remove(call.id("id"));
    for group in store.groups.values_mut() {
        group.children.remove(call.id("id"));
    }
    Ok(Answer::nothing())
}

/// `GET /groups/{id}/users`.
pub fn members(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let group = store.groups.get(call.id("id")).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(json!({ "users": group.users.keys().collect::<Vec<_>>() })))
}

/// `GET /groups/{id}/effective_users`.
pub fn effective_members(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    Ok(Answer::ok(json!({ "users": store.members(call.id("id")) })))
}

/// `GET /groups/{id}/users/{uid}`.
pub fn member(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    users::shared(store, call.id("uid"))
}

/// `GET /groups/{id}/users/{uid}/privileges`.
pub fn member_privileges(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let group = store.groups.get(call.id("id"));
    Ok(Answer::ok(json!({ "privileges": group.and_then(|group| group.users.get(call.id("uid"))) })))
}

/// `GET /groups/{id}/effective_users/{uid}/privileges`.
pub fn effective_privileges(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    Ok(Answer::ok(json!({ "privileges": store.privileges(call.id("id"), call.id("uid")) })))
}

/// `PUT /groups/{id}/users/{uid}`.
pub fn add_user(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let (group, user) = (call.id("id"), call.id("uid"));
    if !store.users.contains_key(user) {
        return Err(fault::id_not_found("userId"));
    }
    let given = values::privileges(call.object()?, GROUP_ADMIN)?;
    link_user(store, group, user, given.unwrap_or_else(|| privileges::set(GROUP_MEMBER)))?;
    Ok(Answer::created(Some(format!("/groups/{group}/users/{user}")), None))
}

/// `PUT /groups/{id}/children/{cid}`.
pub fn add_child(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let (group, child) = (call.id("id"), call.id("cid"));
    if !store.groups.contains_key(child) {
        return Err(fault::id_not_found("groupId"));
    }
    let given = values::privileges(call.object()?, GROUP_ADMIN)?;
    link_group(store, group, child, given.unwrap_or_else(|| privileges::set(GROUP_MEMBER)))?;
    Ok(Answer::created(Some(format!("/groups/{group}/children/{child}")), None))
}

/// `DELETE /groups/{id}/users/{uid}`.
pub fn remove_user(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let group = store.groups.get_mut(call.id("id")).ok_or_else(fault::not_found)?;
    group.users.remove(call.id("uid"));
    Ok(Answer::nothing())
}

/// `DELETE /groups/{id}/children/{cid}`.
pub fn remove_child(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let group = store.groups.get_mut(call.id("id")).ok_or_else(fault::not_found)?;
    group.children.remove(call.id("cid"));
    Ok(Answer::nothing())
}

/// `GET /groups/{id}/children`.
pub fn children(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let group = store.groups.get(call.id("id")).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(json!({ "groups": group.children.keys().collect::<Vec<_>>() })))
}

/// `GET /groups/{id}/children/{cid}`.
pub fn child(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let id = call.id("cid");
    let group = store.groups.get(id).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(json!({
        "groupId": id, "name": group.name, "type": group.kind, "creationTime": group.created,
    })))
}

/// Makes the user a direct member.
pub fn link_user(
    store: &mut Store,
    group: &str,
    user: &str,
    privileges: privileges::Privileges,
) -> Result<(), Fault> {
    let members = &mut store.groups.get_mut(group).ok_or_else(fault::not_found)?.users;
    if members.contains_key(user) {
        return Err(fault::relation_exists(("user", user), ("group", group)));
    }
    members.insert(user.to_owned(), privileges);
    Ok(())
}

/// Makes the group a direct child.
pub fn link_group(
    store: &mut Store,
    group: &str,
    child: &str,
    privileges: privileges::Privileges,
) -> Result<(), Fault> {
    if group == child {
        return Err(fault::relation_to_self());
    }
    let children = &mut store.groups.get_mut(group).ok_or_else(fault::not_found)?.children;
    if children.contains_key(child) {
        return Err(fault::relation_exists(("group", child), ("group", group)));
    }
    children.insert(child.to_owned(), privileges);
    Ok(())
}

fn holds(store: &Store, call: &Call, privilege: &str, admin: &[&str]) -> bool {
    call.auth.user().is_some_and(|user| {
        store.has_privilege(call.id("id"), user, privilege) || store.is_admin(user, admin)
    })
}

fn add<'s>(store: &'s mut Store, call: &Call) -> Result<(String, &'s mut Group), Fault> {
    let name = values::name(call.object()?)?.ok_or_else(|| fault::missing_required("name"))?;
    let group = Group {
        name,
        kind: kind(call)?.unwrap_or_else(|| "team".to_owned()),
        creator: call.auth.subject.clone(),
        created: call.now,
        users: Default::default(),
        children: Default::default(),
    };
    let id = random_id();
    let group = store.groups.entry(id.clone()).or_insert(group);
    Ok((id, group))
}

fn kind(call: &Call) -> Result<Option<String>, Fault> {
    match call.data.get("type") {
        None => Ok(None),
        Some(Value::String(kind)) if KINDS.contains(&kind.as_str()) => Ok(Some(kind.clone())),
        Some(Value::String(_)) => Err(fault::value_not_allowed("type", KINDS)),
        Some(_) => Err(fault::not_a_string("type")),
    }
}
