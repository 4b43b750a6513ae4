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
pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        name: "names are cut at a character boundary",
        reason: "the old route cuts a long group name inside a character, and often refuses what that makes of it",
        permits: cut_at_a_boundary,
    },
    Exception {
        name: "a name that cannot be read is left out",
        reason: "without a service token, nobody reads the group's name for a caller who may invite but not look",
        permits: without_name,
    },
    Exception {
        name: "a token for the old route alone is refused at once",
        reason: "confined to the old route's own resource it creates nothing anywhere, and it cannot be used to find \
                 out what the old route would have refused first",
        permits: for_the_old_route_alone,
    },
];

/// Groups whose names the old route cuts inside a character, and the names that are given instead.
const CUT: &[(&str, &str)] = &[
    ("Groupe qualité été période", "user invite to group - Groupe qualité ... "),
    ("XYZ sœur cœur œuvre æther ßtraße", "user invite to group - XYZ sœur cœur ... "),
    ("量子物理研究所", "user invite to group - 量子物理研... "),
];

fn cut_at_a_boundary(case: &Case, world: &World, old: &Effect, new: &Effect) -> bool {
    let Some((_, expected)) = CUT.iter().find(|(group, _)| *group == case.group) else { return false };
    let expected = if may_lack_name(case, world) { NAMELESS } else { expected };
    let is_refused = old.status == 400 && old.body["error"]["id"] == "badValueName";
    named_otherwise(old, new, expected)
        || is_refused && new.status == 200 && new.created.len() == 1 && new.created[0]["name"] == expected
}

/// The name of a token whose target's name is not known.
const NAMELESS: &str = "user invite to group ";

fn without_name(case: &Case, world: &World, old: &Effect, new: &Effect) -> bool {
    may_lack_name(case, world) && named_otherwise(old, new, NAMELESS)
}

/// Whether the caller may invite and not read, and nobody else reads for it.
fn may_lack_name(case: &Case, world: &World) -> bool {
    let who = case.credential.name.as_str();
    !world.has_service_token && (who == "inviter" || who.starts_with("anna confined to"))
}

fn named_otherwise(old: &Effect, new: &Effect, name: &str) -> bool {
    let mut renamed = new.clone();
    let ([there], [here]) = (&old.created[..], &mut renamed.created[..]) else { return false };
    if here["name"] != name {
        return false;
    }
    here["name"] = there["name"].clone();
    renamed == *old
}

fn for_the_old_route_alone(case: &Case, _: &World, old: &Effect, new: &Effect) -> bool {
    let is_alone = case.credential.name.contains("confined to the old route");
    let refusal = &new.body["error"]["details"]["authError"];
    let is_refused = new.status == 401 && refusal["details"]["caveat"]["type"] == json!("api");
    is_alone && is_refused && new.created.is_empty() && matches!(old.status, 400 | 403)
}
