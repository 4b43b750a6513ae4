//! The routes about users, Oneproviders and tokens, and those that Onezone answers about itself.

use super::{Check, Perform, Resource, Row};
use crate::sandbox::answer::Answer;
use crate::sandbox::fault::{self, Fault};
use crate::sandbox::request::Call;
use crate::sandbox::store::Store;
use crate::sandbox::tokens::{self, current_provider, current_user, provider_in_path, user_in_path};
use crate::sandbox::{aliases, client_tokens, legacy, providers, registration, users, verify};

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

struct Owned {
    allowed: Check,
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
pub static ROWS: &[Row] = rows! {
    GET "/user", ("user", "{}", "instance", "", "protected"), users::caller_exists, users::is_user, users::current;
    PATCH "/user", ("user", "{}", "instance", "", "private"), users::caller_exists, users::is_user, unsupported;
    DELETE "/user", ("user", "{}", "instance", "", "private"), users::caller_exists, users::is_user, unsupported;
    GET "/user/effective_privileges", ("user", "{}", "eff_oz_privileges", "", "private"), users::caller_exists, users::is_user, users::effective_privileges;
    POST "/user/clusters/provider_registration_token", ("user", "{}", "provider_registration_token", "", "private"), users::caller_exists, legacy::may_register_for_oneself, legacy::register_for_oneself;
    POST "/users/{id}/clusters/provider_registration_token", ("user", "{id}", "provider_registration_token", "", "private"), users::exists, legacy::may_register_for_user, legacy::register_for_user;
    POST "/user/client_tokens", ("user", "{}", "client_tokens", "", "private"), users::caller_exists, users::is_user, client_tokens::create;
    GET "/user/client_tokens", ("user", "{}", "client_tokens", "", "private"), users::caller_exists, users::is_user, client_tokens::list;
    DELETE "/user/client_tokens/{tid}", ("user", "{}", "client_token", "{tid}", "private"), client_tokens::exists, users::is_user, client_tokens::delete;
    GET "/user/spaces/{sid}/alias", ("user", "{}", "space_alias", "{sid}", "private"), aliases::exists, users::is_user, aliases::get;
    PUT "/user/spaces/{sid}/alias", ("user", "{}", "space_alias", "{sid}", "private"), users::caller_exists, users::is_user, aliases::set;
    DELETE "/user/spaces/{sid}/alias", ("user", "{}", "space_alias", "{sid}", "private"), aliases::exists, users::is_user, aliases::remove;
    GET "/users/{id}", ("user", "{id}", "instance", "", "protected"), users::exists, users::may_view, users::get;
    GET "/users/{id}/effective_privileges", ("user", "{id}", "eff_oz_privileges", "", "private"), users::exists, users::may_view_privileges, users::effective_privileges_of;
    GET "/users/{id}/effective_groups", ("user", "{id}", "eff_groups", "", "private"), users::exists, users::may_list_relationships, users::effective_groups;
    DELETE "/users/{id}", ("user", "{id}", "instance", "", "private"), users::exists, never, unsupported;

    GET "/providers", ("provider", "", "list", "", "private"), always, providers::may_list_all, providers::list;
    POST "/providers", ("provider", "", "instance", "", "private"), always, always, registration::register;
    GET "/providers/{id}", ("provider", "{id}", "instance", "", "protected"), providers::exists, providers::may_view, providers::get;
    GET "/provider", ("provider", "{}", "instance", "", "protected"), providers::caller_exists, providers::is_provider, providers::current;
    PATCH "/provider", ("provider", "{}", "instance", "", "private"), providers::caller_exists, providers::is_provider, unsupported;
    DELETE "/provider", ("provider", "{}", "instance", "", "private"), providers::caller_exists, providers::is_provider, unsupported;
    GET "/provider/spaces", ("provider", "{}", "spaces", "", "private"), providers::caller_exists, providers::is_provider, registration::supported;
    GET "/provider/spaces/{sid}", ("space", "{sid}", "instance", "", "protected"), registration::support_exists, providers::is_provider, registration::space;
    PATCH "/provider/spaces/{sid}", ("provider", "{}", "space", "{sid}", "private"), registration::support_exists, providers::is_provider, registration::resize_support;
    DELETE "/provider/spaces/{sid}", ("provider", "{}", "space", "{sid}", "private"), registration::support_exists, providers::is_provider, registration::revoke_support;
    POST "/provider/public/verify_provider_identity", ("provider", "", "verify_provider_identity", "", "private"), always, always, registration::verify_identity;

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
