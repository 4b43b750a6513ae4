//! Where the answer through Duskgate may differ from that of the old route, each with its reason. The README names the
//! same.

use serde_json::json;

use super::cases::Case;
use super::effect::Effect;
use super::worlds::World;

/// A difference that is meant.
pub struct Exception {
    pub name: &'static str,
    pub reason: &'static str,
    /// Whether this difference between the old effect and the new one is it.
    pub permits: fn(&Case, &World, &Effect, &Effect) -> bool,
}

/// All of them.
pub const EXCEPTIONS: &[Exception] = &[CUT, NAMELESS, ALONE, CLIENT_TOKENS_ALONE, PREFLIGHT];

pub const CUT: Exception = Exception {
    name: "names are cut at a character boundary",
    reason: "the old route cuts a long name inside a character, and often refuses what that makes of it",
    permits: cut_at_a_boundary,
};

pub const NAMELESS: Exception = Exception {
    name: "a name that cannot be read is left out",
    reason: "without a service token, nobody reads the target's name for a caller who may invite but not look",
    permits: without_name,
};

pub const ALONE: Exception = Exception {
    name: "a token for the old route alone is refused at once",
    reason: "confined to the old route's own resource it creates no invitation anywhere, and without a service token it \
             cannot be used to find out what the old route would have refused first",
    permits: for_the_old_route_alone,
};

pub const CLIENT_TOKENS_ALONE: Exception = Exception {
    name: "a token for client_tokens alone needs the service token",
    reason: "the newer API wants the same said of named tokens, and only a service that manages tokens (`oz_tokens_manage`) \
             can do there what such a token allowed",
    permits: for_client_tokens_alone,
};

pub const PREFLIGHT: Exception = Exception {
    name: "a preflight passes",
    reason: "the old routes have no answer to it, and it is left to the backend, which may have nothing on such a path",
    permits: preflight,
};

/// The most bytes of a generated name.
const LONGEST: usize = 50;

fn cut_at_a_boundary(case: &Case, world: &World, old: &Effect, new: &Effect) -> bool {
    let Some(prefix) = prefix(case) else { return false };
    let target = target_name(case, world);
    let room = LONGEST - format!("{prefix} -  3fa9c1").len();
    let kept = room.saturating_sub("...".len());
    if target.len() <= room || target.is_char_boundary(kept) {
        return false;
    }
    let end = (0..kept).rev().find(|end| target.is_char_boundary(*end)).unwrap_or_default();
    let expected = format!("{prefix} - {}... ", &target[..end]);
    created_otherwise(old, new, &expected)
        || may_lack_name(case, world) && created_otherwise(old, new, &format!("{prefix} "))
}

fn without_name(case: &Case, world: &World, old: &Effect, new: &Effect) -> bool {
    let Some(prefix) = prefix(case) else { return false };
    may_lack_name(case, world) && created_otherwise(old, new, &format!("{prefix} "))
}

/// Whether the caller may invite and not read, and nobody else reads for it.
fn may_lack_name(case: &Case, world: &World) -> bool {
    let who = case.credential.name.as_str();
    let cannot_look = ["inviter", "recruiter", "registrar"].contains(&who) || who.contains("confined to");
    !world.has_service_token && cannot_look
}

/// How the names of the tokens begin that the operation creates.
fn prefix(case: &Case) -> Option<&'static str> {
    case.row.operation.invite.as_ref().map(|invite| invite.name_prefix.as_str())
}

/// The name that goes into that of the token.
fn target_name(case: &Case, world: &World) -> String {
    let fixture = &world.sandbox.fixture;
    let user = |name: &str| fixture.users.iter().find(|user| user.username == name);
    let user = if case.row.is_under("/users/") {
        user(&case.place)
    } else if case.row.is_under("/user/") {
        user(&case.credential.name)
    } else {
        None
    };
    user.map_or_else(|| case.place.clone(), |user| user.full_name.clone())
}

/// Whether the same was created under this name, or only now, where the old route refused what it made of the name.
fn created_otherwise(old: &Effect, new: &Effect, name: &str) -> bool {
    let [here] = &new.created[..] else { return false };
    if here["name"] != name {
        return false;
    }
    let Some(there) = old.created.first() else {
        return old.status == 400 && old.body["error"]["id"] == "badValueName" && new.status == 200;
    };
    let mut renamed = new.clone();
    renamed.created[0]["name"] = there["name"].clone();
    renamed == *old
}

fn for_the_old_route_alone(case: &Case, world: &World, old: &Effect, new: &Effect) -> bool {
    let said = matches!(old.status, 400 | 403 | 404);
    prefix(case).is_some() && is_alone(case) && !world.has_service_token && is_refused(new) && said
}

fn for_client_tokens_alone(case: &Case, world: &World, old: &Effect, new: &Effect) -> bool {
    let said = matches!(old.status, 200 | 204 | 403 | 404);
    // The old route reads each of the tokens for who may list them.
    let may_list_alone =
        case.row.operation.id == "list_client_tokens" && case.credential.name.contains("confined to both");
    let is_client_tokens = case.row.is_under("/user/client_tokens");
    is_client_tokens
        && (is_alone(case) || may_list_alone)
        && !world.has_service_token
        && is_refused(new)
        && said
}

fn preflight(case: &Case, _: &World, old: &Effect, new: &Effect) -> bool {
    let fields = &case.request.headers;
    let is_preflight = fields.iter().any(|(name, _)| name == "Access-Control-Request-Method");
    is_preflight
        && case.request.method == "OPTIONS"
        && (old.status, new.status) == (500, 200)
        && new.body == ""
}

fn is_alone(case: &Case) -> bool {
    case.credential.name.contains("confined to the old route")
        || case.credential.name.contains("for spare alone")
}

fn is_refused(new: &Effect) -> bool {
    let refusal = &new.body["error"]["details"]["authError"];
    new.status == 401
        && refusal["details"]["caveat"]["type"] == json!("api")
        && new.created.is_empty()
        && new.deleted.is_empty()
}
