//! Every route of the sandbox, one row each, in the order in which Onezone's router tries them: the resource that api
//! caveats are checked against, when it exists for the caller, who may call it and what it does. The first path that
//! matches decides, and its rows are the methods that it has (contract, section 2).

use std::borrow::Cow;

use super::answer::Answer;
use super::fault::{self, Fault};
use super::request::Call;
use super::store::Store;
use super::tokens::{self, current_provider, current_user, provider_in_path, user_in_path};
use super::{groups, join, legacy, users, verify};
use crate::token::api::Gri;

/// One method of one path.
pub struct Row {
    pub method: &'static str,
    pub path: &'static str,
    resource: Resource,
    pub exists: fn(&Store, &Call) -> bool,
    pub allowed: fn(&Store, &Call) -> bool,
    pub perform: fn(&mut Store, &Call) -> Result<Answer, Fault>,
}

/// Type, id, aspect, parameter and scope of a resource. Id and parameter are `{name}` for a path parameter, `{}` for the
/// caller's id, or empty.
struct Resource(&'static str, &'static str, &'static str, &'static str, &'static str);

/// Which routes there are.
#[derive(Clone, Copy, Debug)]
pub struct Edition {
    /// The deprecated routes.
    pub legacy: bool,
    /// The token API, newer than the deprecated routes.
    pub token_api: bool,
}

/// What a path leads to.
pub struct Found {
    rows: Vec<&'static Row>,
    pub ids: Vec<(&'static str, String)>,
}

impl Found {
    /// The row of this method.
    pub fn row(&self, method: &str) -> Option<&'static Row> {
        self.rows.iter().find(|row| row.method == method).copied()
    }

    /// The methods of the path, as `allow` lists them.
    pub fn allow(&self) -> String {
        let mut methods: Vec<_> = self.rows.iter().map(|row| row.method).collect();
        methods.sort_unstable();
        methods.join(", ")
    }
}

impl Row {
    /// What api caveats call the operation.
    pub fn operation(&self) -> &'static str {
        match self.method {
            "GET" => "get",
            "PATCH" => "update",
            "DELETE" => "delete",
            _ => "create",
        }
    }

    /// The resource of this call.
    pub fn resource<'c>(&self, call: &'c Call) -> Gri<'c> {
        let Resource(kind, id, aspect, parameter, scope) = self.resource;
        let filled = |template: &'static str| match template.strip_prefix('{') {
            Some("}") => call.auth.subject.as_ref().map_or("", super::kinds::subject_id),
            Some(name) => call.id(name.trim_end_matches('}')),
            None => template,
        };
        let id = if id.is_empty() { "null" } else { filled(id) };
        let parameter = (!parameter.is_empty()).then(|| filled(parameter));
        Gri { kind, id, aspect, parameter, scope }
    }

    fn is_in(&self, edition: Edition) -> bool {
        let legacy = self.path.ends_with("/token");
        let token_api = self.path.contains("/tokens/") && !legacy;
        (edition.legacy || !legacy) && (edition.token_api || !token_api)
    }
}

/// The path of these segments, if it is a known one. An empty segment is no value of a parameter.
pub fn find(edition: Edition, segments: &[Cow<'_, [u8]>]) -> Option<Found> {
    let mut found: Option<(&'static str, Found)> = None;
    for row in ROWS.iter().filter(|row| row.is_in(edition)) {
        match &mut found {
            Some((path, found)) if *path == row.path => found.rows.push(row),
            Some(_) => {}
            None => {
                found = matched(row.path, segments).map(|ids| (row.path, Found { rows: vec![row], ids }));
            }
        }
    }
    found.map(|(_, found)| found)
}

fn matched(path: &'static str, segments: &[Cow<'_, [u8]>]) -> Option<Vec<(&'static str, String)>> {
    let parts: Vec<&'static str> = path[1..].split('/').collect();
    if parts.len() != segments.len() {
        return None;
    }
    let mut ids = Vec::new();
    for (part, segment) in parts.into_iter().zip(segments) {
        match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(_) if segment.is_empty() => return None,
            Some(name) => ids.push((name, String::from_utf8_lossy(segment).into_owned())),
            None if part.as_bytes() == &**segment => {}
            None => return None,
        }
    }
    Some(ids)
}

fn always(_: &Store, _: &Call) -> bool {
    true
}

fn never(_: &Store, _: &Call) -> bool {
    false
}

/// A method that Onezone has and the sandbox does not.
fn unsupported(_: &mut Store, _: &Call) -> Result<Answer, Fault> {
    Err(fault::not_supported())
}

macro_rules! rows {
    ($($method:ident $path:literal, ($($resource:literal),*), $exists:expr, $allowed:expr, $perform:expr;)*) => {
        &[$(Row {
            method: stringify!($method),
            path: concat!("/api/v3/onezone", $path),
            resource: Resource($($resource),*),
            exists: $exists,
            allowed: $allowed,
            perform: $perform,
        }),*]
    };
}

/// The operations on the tokens of one owner.
macro_rules! owned {
    ($owner:expr) => {{
        const OWNER: tokens::Owner = $owner;
        Owned {
            allowed: |store, call| tokens::may_manage(store, call, OWNER(call).as_ref()),
            create: |store, call| tokens::create_named(store, call, OWNER),
            list: |store, call| tokens::list(store, call, OWNER),
            delete_all: |store, call| tokens::delete_all(store, call, OWNER),
            by_name: |store, call| tokens::by_name(store, call, OWNER),
            create_temporary: |store, call| tokens::create_temporary(store, call, OWNER),
            generation: |store, call| tokens::generation(store, call, OWNER),
            next_generation: |store, call| tokens::next_generation(store, call, OWNER),
        }
    }};
}

type Perform = fn(&mut Store, &Call) -> Result<Answer, Fault>;

struct Owned {
    allowed: fn(&Store, &Call) -> bool,
    create: Perform,
    list: Perform,
    delete_all: Perform,
    by_name: Perform,
    create_temporary: Perform,
    generation: Perform,
    next_generation: Perform,
}

const MINE: Owned = owned!(current_user);
const USERS: Owned = owned!(user_in_path);
const OURS: Owned = owned!(current_provider);
const PROVIDERS: Owned = owned!(provider_in_path);

#[rustfmt::skip]
static ROWS: &[Row] = rows! {
    GET "/user", ("user", "{}", "instance", "", "protected"), users::caller_exists, users::is_user, users::current;
    PATCH "/user", ("user", "{}", "instance", "", "private"), users::caller_exists, users::is_user, unsupported;
    DELETE "/user", ("user", "{}", "instance", "", "private"), users::caller_exists, users::is_user, unsupported;
    GET "/user/effective_privileges", ("user", "{}", "eff_oz_privileges", "", "private"), users::caller_exists, users::is_user, users::effective_privileges;
    GET "/user/groups", ("user", "{}", "groups", "", "private"), users::caller_exists, users::is_user, users::groups;
    POST "/user/groups", ("group", "", "instance", "", "private"), always, users::is_user, groups::create_own;
    POST "/user/groups/join", ("group", "", "join", "", "private"), always, users::is_user, join::user_to_group;
    GET "/user/groups/{id}", ("group", "{id}", "instance", "", "protected"), users::is_in_group, users::is_user, groups::get;
    DELETE "/user/groups/{id}", ("user", "{}", "group", "{id}", "private"), users::is_in_group, users::is_user, users::leave_group;
    GET "/users/{id}", ("user", "{id}", "instance", "", "protected"), users::exists, users::may_view, users::get;
    DELETE "/users/{id}", ("user", "{id}", "instance", "", "private"), users::exists, never, unsupported;

    GET "/groups", ("group", "", "list", "", "private"), always, groups::may_list_all, groups::list;
    POST "/groups", ("group", "", "instance", "", "private"), always, groups::may_create_for_nobody, groups::create;
    GET "/groups/privileges", ("group", "", "privileges", "", "private"), always, always, groups::levels;
    GET "/groups/{id}", ("group", "{id}", "instance", "", "protected"), groups::exists, groups::may_view, groups::get;
    PATCH "/groups/{id}", ("group", "{id}", "instance", "", "private"), groups::exists, groups::may_update, groups::update;
    DELETE "/groups/{id}", ("group", "{id}", "instance", "", "private"), groups::exists, groups::may_delete, groups::delete;
    GET "/groups/{id}/users", ("group", "{id}", "users", "", "private"), groups::exists, groups::may_list_members, groups::members;
    POST "/groups/{id}/users/token", ("group", "{id}", "invite_user_token", "", "private"), groups::exists, groups::may_invite_user, legacy::invite_user_to_group;
    PUT "/groups/{id}/users/{uid}", ("group", "{id}", "user", "{uid}", "private"), groups::exists, groups::may_add_user, groups::add_user;
    GET "/groups/{id}/users/{uid}", ("user", "{uid}", "instance", "", "shared"), groups::member_exists, groups::may_view_member, groups::member;
    DELETE "/groups/{id}/users/{uid}", ("group", "{id}", "user", "{uid}", "private"), groups::member_exists, groups::may_remove_user, groups::remove_user;
    GET "/groups/{id}/users/{uid}/privileges", ("group", "{id}", "user_privileges", "{uid}", "private"), groups::member_exists, groups::may_view_privileges, groups::member_privileges;
    PATCH "/groups/{id}/users/{uid}/privileges", ("group", "{id}", "user_privileges", "{uid}", "private"), groups::member_exists, never, unsupported;
    GET "/groups/{id}/effective_users", ("group", "{id}", "eff_users", "", "private"), groups::exists, groups::may_list_members, groups::effective_members;
    GET "/groups/{id}/effective_users/{uid}", ("user", "{uid}", "instance", "", "shared"), groups::effective_member_exists, groups::may_view_member, groups::member;
    GET "/groups/{id}/effective_users/{uid}/privileges", ("group", "{id}", "eff_user_privileges", "{uid}", "private"), groups::effective_member_exists, groups::may_view_privileges, groups::effective_privileges;
    POST "/groups/{id}/parents/join", ("group", "", "join", "", "private"), always, join::may_take_group, join::group_to_group;
    GET "/groups/{id}/children", ("group", "{id}", "children", "", "private"), groups::exists, groups::may_list_members, groups::children;
    POST "/groups/{id}/children/token", ("group", "{id}", "invite_group_token", "", "private"), groups::exists, groups::may_invite_group, legacy::invite_group_to_group;
    PUT "/groups/{id}/children/{cid}", ("group", "{id}", "child", "{cid}", "private"), groups::exists, groups::may_add_child, groups::add_child;
    GET "/groups/{id}/children/{cid}", ("group", "{cid}", "instance", "", "shared"), groups::child_exists, groups::may_list_members, groups::child;
    DELETE "/groups/{id}/children/{cid}", ("group", "{id}", "child", "{cid}", "private"), groups::child_exists, groups::may_remove_child, groups::remove_child;

    POST "/tokens/examine", ("token", "", "examine", "", "public"), always, always, verify::examine;
    POST "/tokens/confine", ("token", "", "confine", "", "public"), always, always, verify::confine;
    POST "/tokens/verify_access_token", ("token", "", "verify_access_token", "", "public"), always, always, verify::access;
    POST "/tokens/verify_identity_token", ("token", "", "verify_identity_token", "", "public"), always, always, verify::identity;
    POST "/tokens/verify_invite_token", ("token", "", "verify_invite_token", "", "public"), always, always, verify::invite;
    GET "/tokens/named", ("token", "", "list", "", "private"), always, tokens::is_manager, tokens::list_all;
    GET "/tokens/named/{id}", ("token", "{id}", "instance", "", "private"), tokens::exists, tokens::may_manage_one, tokens::get;
    PATCH "/tokens/named/{id}", ("token", "{id}", "instance", "", "private"), tokens::exists, tokens::may_manage_one, tokens::update;
    DELETE "/tokens/named/{id}", ("token", "{id}", "instance", "", "private"), tokens::exists, tokens::may_manage_one, tokens::delete;
    GET "/tokens/named/{id}/status", ("token", "{id}", "instance", "", "shared"), tokens::exists, tokens::may_view_status, tokens::status;

    POST "/users/{id}/tokens/temporary", ("token", "", "user_temporary_token", "{id}", "private"), always, USERS.allowed, USERS.create_temporary;
    GET "/users/{id}/tokens/temporary", ("temporary_token_secret", "{id}", "user", "", "shared"), users::exists, USERS.allowed, USERS.generation;
    DELETE "/users/{id}/tokens/temporary", ("token", "", "user_temporary_tokens", "{id}", "private"), always, USERS.allowed, USERS.next_generation;
    POST "/users/{id}/tokens/named", ("token", "", "user_named_token", "{id}", "private"), always, USERS.allowed, USERS.create;
    GET "/users/{id}/tokens/named", ("token", "", "user_named_tokens", "{id}", "private"), always, USERS.allowed, USERS.list;
    DELETE "/users/{id}/tokens/named", ("token", "", "user_named_tokens", "{id}", "private"), always, USERS.allowed, USERS.delete_all;
    GET "/users/{id}/tokens/named/name/{name}", ("token", "{name}", "user_named_token", "{id}", "private"), always, USERS.allowed, USERS.by_name;
    POST "/user/tokens/temporary", ("token", "", "user_temporary_token", "{}", "private"), always, MINE.allowed, MINE.create_temporary;
    GET "/user/tokens/temporary", ("temporary_token_secret", "{}", "user", "", "shared"), users::caller_exists, MINE.allowed, MINE.generation;
    DELETE "/user/tokens/temporary", ("token", "", "user_temporary_tokens", "{}", "private"), always, MINE.allowed, MINE.next_generation;
    POST "/user/tokens/named", ("token", "", "user_named_token", "{}", "private"), always, MINE.allowed, MINE.create;
    GET "/user/tokens/named", ("token", "", "user_named_tokens", "{}", "private"), always, MINE.allowed, MINE.list;
    DELETE "/user/tokens/named", ("token", "", "user_named_tokens", "{}", "private"), always, MINE.allowed, MINE.delete_all;
    GET "/user/tokens/named/name/{name}", ("token", "{name}", "user_named_token", "{}", "private"), always, MINE.allowed, MINE.by_name;
    POST "/providers/{id}/tokens/temporary", ("token", "", "provider_temporary_token", "{id}", "private"), always, PROVIDERS.allowed, PROVIDERS.create_temporary;
    GET "/providers/{id}/tokens/temporary", ("temporary_token_secret", "{id}", "provider", "", "shared"), always, PROVIDERS.allowed, PROVIDERS.generation;
    DELETE "/providers/{id}/tokens/temporary", ("token", "", "provider_temporary_tokens", "{id}", "private"), always, PROVIDERS.allowed, PROVIDERS.next_generation;
    POST "/providers/{id}/tokens/named", ("token", "", "provider_named_token", "{id}", "private"), always, PROVIDERS.allowed, PROVIDERS.create;
    GET "/providers/{id}/tokens/named", ("token", "", "provider_named_tokens", "{id}", "private"), always, PROVIDERS.allowed, PROVIDERS.list;
    DELETE "/providers/{id}/tokens/named", ("token", "", "provider_named_tokens", "{id}", "private"), always, PROVIDERS.allowed, PROVIDERS.delete_all;
    GET "/providers/{id}/tokens/named/name/{name}", ("token", "{name}", "provider_named_token", "{id}", "private"), always, PROVIDERS.allowed, PROVIDERS.by_name;
    POST "/provider/tokens/temporary", ("token", "", "provider_temporary_token", "{}", "private"), always, OURS.allowed, OURS.create_temporary;
    GET "/provider/tokens/temporary", ("temporary_token_secret", "{}", "provider", "", "shared"), always, OURS.allowed, OURS.generation;
    DELETE "/provider/tokens/temporary", ("token", "", "provider_temporary_tokens", "{}", "private"), always, OURS.allowed, OURS.next_generation;
    POST "/provider/tokens/named", ("token", "", "provider_named_token", "{}", "private"), always, OURS.allowed, OURS.create;
    GET "/provider/tokens/named", ("token", "", "provider_named_tokens", "{}", "private"), always, OURS.allowed, OURS.list;
    DELETE "/provider/tokens/named", ("token", "", "provider_named_tokens", "{}", "private"), always, OURS.allowed, OURS.delete_all;
    GET "/provider/tokens/named/name/{name}", ("token", "{name}", "provider_named_token", "{}", "private"), always, OURS.allowed, OURS.by_name;

    GET "/configuration", ("oz_worker", "", "configuration", "", "private"), always, always, users::configuration;
    GET "/health", ("oz_worker", "", "health", "", "private"), always, always, users::health;
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route;

    const ALL: Edition = Edition { legacy: true, token_api: true };

    fn allow(edition: Edition, path: &str) -> Option<String> {
        let path = format!("/api/v3/onezone{path}");
        find(edition, &route::segments(&path).unwrap()).map(|found| found.allow())
    }

    #[test]
    fn the_legacy_route_stands_before_the_member() {
        assert_eq!(allow(ALL, "/groups/G/users/token").as_deref(), Some("POST"));
        assert_eq!(allow(ALL, "/groups/G/users/U").as_deref(), Some("DELETE, GET, PUT"));
    }

    #[test]
    fn without_the_legacy_routes_the_path_is_a_member() {
        let newer = Edition { legacy: false, ..ALL };
        assert_eq!(allow(newer, "/groups/G/users/token").as_deref(), Some("DELETE, GET, PUT"));
        assert_eq!(allow(newer, "/groups/G/children/token").as_deref(), Some("DELETE, GET, PUT"));
    }

    #[test]
    fn an_older_onezone_has_no_token_api() {
        let older = Edition { token_api: false, ..ALL };
        assert_eq!(allow(older, "/user/tokens/named"), None);
        assert_eq!(allow(older, "/groups/G/users/token").as_deref(), Some("POST"));
    }

    #[test]
    fn an_empty_segment_is_no_id() {
        assert_eq!(allow(ALL, "/groups//users/token"), None);
        assert_eq!(allow(ALL, "/groups/G/users/token/").as_deref(), Some("POST"));
        assert_eq!(allow(ALL, "/groups/G/users/token//"), None);
    }
}
