//! The routes about things with members. Groups, spaces, harvesters, clusters and automation inventories have most of
//! them in common, and spaces and harvesters some of their own.

use super::{Resource, Row};
use crate::sandbox::entities::{self, anyone, exists};
use crate::sandbox::kinds::Kind;
use crate::sandbox::request::Call;
use crate::sandbox::store::Store;
use crate::sandbox::{join, legacy, links, members, users};

/// The rows of all kinds.
pub static ROWS: [&[Row]; 5] = [GROUPS, SPACES, HARVESTERS, CLUSTERS, ATM_INVENTORIES];

/// Rows about one kind: what is called there is told which.
macro_rules! rows {
    ($kind:expr; $($method:ident [$($path:literal)*], ($($resource:literal),*), $exists:path, $allowed:path, $perform:path;)*) => {
        &[$(Row {
            method: stringify!($method),
            path: concat!("/api/v3/onezone", $($path),*),
            resource: Resource($($resource),*),
            exists: |store, call| $exists($kind, store, call),
            allowed: |store, call| $allowed($kind, store, call),
            perform: |store, call| $perform($kind, store, call),
        }),*]
    };
}

/// The rows that all kinds have, and before nearly all of those the kind's own: its name in paths and in resources, its groups in
/// paths and in resources, and where groups keep it.
macro_rules! collection {
    ($kind:expr, $all:literal, $one:literal, $groups:literal, $group:literal, $of_group:literal; $($own:tt)*) => {
        rows! {
            $kind;
            GET ["/" $all "/privileges"], ($one, "", "privileges", "", "private"), anyone, anyone, entities::levels;
            $($own)*
            GET ["/user/" $all], ("user", "{}", $all, "", "private"), current_exists, is_user, members::own;
            POST ["/user/" $all "/join"], ($one, "", "join", "", "private"), anyone, is_user, join::user;
            GET ["/user/" $all "/{id}"], ($one, "{id}", "instance", "", "protected"), members::is_own, is_user, entities::get;
            DELETE ["/user/" $all "/{id}"], ("user", "{}", $one, "{id}", "private"), members::is_directly_own, is_user, members::leave;
            POST ["/groups/{id}/" $of_group "/join"], ($one, "", "join", "", "private"), anyone, join::may_take_group, join::group;

            GET ["/" $all], ($one, "", "list", "", "private"), anyone, entities::may_list_all, entities::list;
            GET ["/" $all "/{id}"], ($one, "{id}", "instance", "", "protected"), exists, entities::may_view, entities::get;
            PATCH ["/" $all "/{id}"], ($one, "{id}", "instance", "", "private"), exists, entities::may_update, entities::update;
            GET ["/" $all "/{id}/users"], ($one, "{id}", "users", "", "private"), exists, members::may_list, members::users;
            PUT ["/" $all "/{id}/users/{uid}"], ($one, "{id}", "user", "{uid}", "private"), exists, members::may_add_user, members::add_user;
            GET ["/" $all "/{id}/users/{uid}"], ("user", "{uid}", "instance", "", "shared"), members::user_exists, members::may_view_user, members::user;
            DELETE ["/" $all "/{id}/users/{uid}"], ($one, "{id}", "user", "{uid}", "private"), members::user_exists, members::may_remove_user, members::remove_user;
            GET ["/" $all "/{id}/users/{uid}/privileges"], ($one, "{id}", "user_privileges", "{uid}", "private"), members::user_exists, members::may_view_privileges, members::user_privileges;
            PATCH ["/" $all "/{id}/users/{uid}/privileges"], ($one, "{id}", "user_privileges", "{uid}", "private"), members::user_exists, members::may_set_privileges, members::set_user_privileges;
            GET ["/" $all "/{id}/effective_users"], ($one, "{id}", "eff_users", "", "private"), exists, members::may_list, members::effective_users;
            GET ["/" $all "/{id}/effective_users/{uid}"], ("user", "{uid}", "instance", "", "shared"), members::effective_user_exists, members::may_view_user, members::user;
            GET ["/" $all "/{id}/effective_users/{uid}/privileges"], ($one, "{id}", "eff_user_privileges", "{uid}", "private"), members::effective_user_exists, members::may_view_privileges, members::effective_privileges;
            GET ["/" $all "/{id}/" $groups], ($one, "{id}", $groups, "", "private"), exists, members::may_list, members::groups;
            PUT ["/" $all "/{id}/" $groups "/{gid}"], ($one, "{id}", $group, "{gid}", "private"), exists, members::may_add_group, members::add_group;
            GET ["/" $all "/{id}/" $groups "/{gid}"], ("group", "{gid}", "instance", "", "shared"), members::group_exists, members::may_list, members::group;
            DELETE ["/" $all "/{id}/" $groups "/{gid}"], ($one, "{id}", $group, "{gid}", "private"), members::group_exists, members::may_remove_group, members::remove_group;
        }
    };
}

#[rustfmt::skip]
static GROUPS: &[Row] = collection! { Kind::Group, "groups", "group", "children", "child", "parents";
    POST ["/user/groups"], ("group", "", "instance", "", "private"), anyone, is_user, entities::create_own;
    POST ["/groups"], ("group", "", "instance", "", "private"), anyone, entities::may_create_for_nobody, entities::create;
    DELETE ["/groups/{id}"], ("group", "{id}", "instance", "", "private"), exists, entities::may_delete, entities::delete;
    POST ["/groups/{id}/users/token"], ("group", "{id}", "invite_user_token", "", "private"), exists, members::may_invite_user, legacy::invite_user;
    POST ["/groups/{id}/children/token"], ("group", "{id}", "invite_group_token", "", "private"), exists, members::may_invite_group, legacy::invite_group;
};

#[rustfmt::skip]
static SPACES: &[Row] = collection! { Kind::Space, "spaces", "space", "groups", "group", "spaces";
    POST ["/user/spaces"], ("space", "", "instance", "", "private"), anyone, is_user, entities::create_own;
    POST ["/spaces"], ("space", "", "instance", "", "private"), anyone, entities::may_create_for_nobody, entities::create;
    DELETE ["/spaces/{id}"], ("space", "{id}", "instance", "", "private"), exists, entities::may_delete, entities::delete;
    POST ["/spaces/{id}/users/token"], ("space", "{id}", "invite_user_token", "", "private"), exists, members::may_invite_user, legacy::invite_user;
    POST ["/spaces/{id}/groups/token"], ("space", "{id}", "invite_group_token", "", "private"), exists, members::may_invite_group, legacy::invite_group;
    GET ["/spaces/{id}/owners"], ("space", "{id}", "owners", "", "private"), exists, members::may_list, links::owners;
    GET ["/spaces/{id}/providers"], ("space", "{id}", "eff_providers", "", "private"), exists, entities::may_view, links::supporters;
    POST ["/spaces/{id}/providers/token"], ("space", "{id}", "space_support_token", "", "private"), exists, links::may_invite_support, legacy::invite_support;
    DELETE ["/spaces/{id}/providers/{pid}"], ("space", "{id}", "provider", "{pid}", "private"), links::support_exists, links::may_remove_support, links::remove_support;
    GET ["/spaces/{id}/providers/{pid}"], ("provider", "{pid}", "instance", "", "protected"), links::support_exists, entities::may_view, links::supporter;
    GET ["/spaces/{id}/harvesters"], ("space", "{id}", "harvesters", "", "private"), exists, members::may_list, links::harvesters;
    POST ["/spaces/{id}/harvesters/join"], ("harvester", "", "join", "", "private"), anyone, join::may_take_space, join::space;
    GET ["/spaces/{id}/harvesters/{hid}"], ("harvester", "{hid}", "instance", "", "shared"), links::harvester_exists, members::may_list, links::harvester;
    DELETE ["/spaces/{id}/harvesters/{hid}"], ("space", "{id}", "harvester", "{hid}", "private"), links::harvester_exists, links::may_remove_harvester, links::remove_harvester;
};

#[rustfmt::skip]
static HARVESTERS: &[Row] = collection! { Kind::Harvester, "harvesters", "harvester", "groups", "group", "harvesters";
    POST ["/user/harvesters"], ("harvester", "", "instance", "", "private"), anyone, is_user, entities::create_own;
    POST ["/harvesters"], ("harvester", "", "instance", "", "private"), anyone, entities::may_create_for_nobody, entities::create;
    DELETE ["/harvesters/{id}"], ("harvester", "{id}", "instance", "", "private"), exists, entities::may_delete, entities::delete;
    POST ["/harvesters/{id}/users/token"], ("harvester", "{id}", "invite_user_token", "", "private"), exists, members::may_invite_user, legacy::invite_user;
    POST ["/harvesters/{id}/groups/token"], ("harvester", "{id}", "invite_group_token", "", "private"), exists, members::may_invite_group, legacy::invite_group;
    GET ["/harvesters/{id}/spaces"], ("harvester", "{id}", "spaces", "", "private"), exists, members::may_list, links::sources;
    POST ["/harvesters/{id}/spaces/token"], ("harvester", "{id}", "invite_space_token", "", "private"), exists, links::may_invite_space, legacy::invite_space;
    POST ["/harvesters/{id}/spaces/join"], ("space", "", "join", "", "private"), anyone, join::may_take_harvester, join::harvester;
    PUT ["/harvesters/{id}/spaces/{sid}"], ("harvester", "{id}", "space", "{sid}", "private"), exists, links::may_add_source, links::add_source;
    GET ["/harvesters/{id}/spaces/{sid}"], ("space", "{sid}", "instance", "", "protected"), links::source_exists, members::may_list, links::source;
    DELETE ["/harvesters/{id}/spaces/{sid}"], ("harvester", "{id}", "space", "{sid}", "private"), links::source_exists, links::may_remove_source, links::remove_source;
};

#[rustfmt::skip]
static CLUSTERS: &[Row] = collection! { Kind::Cluster, "clusters", "cluster", "groups", "group", "clusters";
    POST ["/clusters/{id}/users/token"], ("cluster", "{id}", "invite_user_token", "", "private"), exists, members::may_invite_user, legacy::invite_user;
    POST ["/clusters/{id}/groups/token"], ("cluster", "{id}", "invite_group_token", "", "private"), exists, members::may_invite_group, legacy::invite_group;
};

#[rustfmt::skip]
static ATM_INVENTORIES: &[Row] = collection! { Kind::AtmInventory, "atm_inventories", "atm_inventory", "groups", "group", "atm_inventories";
    POST ["/user/atm_inventories"], ("atm_inventory", "", "instance", "", "private"), anyone, is_user, entities::create_own;
    POST ["/atm_inventories"], ("atm_inventory", "", "instance", "", "private"), anyone, entities::may_create_for_nobody, entities::create;
    DELETE ["/atm_inventories/{id}"], ("atm_inventory", "{id}", "instance", "", "private"), exists, entities::may_delete, entities::delete;
};

fn current_exists(_: Kind, store: &Store, call: &Call) -> bool {
    users::caller_exists(store, call)
}

fn is_user(_: Kind, store: &Store, call: &Call) -> bool {
    users::is_user(store, call)
}
