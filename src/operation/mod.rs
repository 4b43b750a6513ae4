//! The deprecated operations, one row each. The rows of Onezone are built in, from `deprecated-operations.json`; a
//! configuration adds rows for any other API. Facts only: no dates, no modes chosen, no paths matched.

mod catalogue;

use std::fmt;

use http::Method;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

pub use catalogue::builtin;

/// How a call of an operation is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Forward the call as it is.
    Observe,
    /// Call the newer API and translate the answer.
    Rewrite,
    /// Serve it from our own token module.
    Local,
    /// Answer 410 with directions.
    Gone,
}

impl Mode {
    /// Every mode that exists.
    pub const ALL: [Mode; 4] = [Mode::Observe, Mode::Rewrite, Mode::Local, Mode::Gone];

    /// The word in configuration, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Observe => "observe",
            Mode::Rewrite => "rewrite",
            Mode::Local => "local",
            Mode::Gone => "gone",
        }
    }

    /// Whether the call is answered here although the backend may have dropped its route.
    pub fn keeps_route(self) -> bool {
        matches!(self, Mode::Rewrite | Mode::Local)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where an operation stands in its schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Before its deprecation date.
    Announced,
    /// From its deprecation date on.
    Deprecated,
    /// From its sunset date on.
    Sunset,
}

impl Phase {
    /// Every phase, in the order of time.
    pub const ALL: [Phase; 3] = [Phase::Announced, Phase::Deprecated, Phase::Sunset];

    /// The word in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Announced => "announced",
            Phase::Deprecated => "deprecated",
            Phase::Sunset => "sunset",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One deprecated operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The operationId, unique, also the label in metrics.
    pub id: String,
    /// The exact method that is deprecated.
    pub method: Method,
    /// The whole path, with `{parameter}` for a segment that varies: `/api/v3/onezone/groups/{id}/users/token`.
    pub template: String,
    /// The path under which Onezone's REST API lies (`/api/v3/onezone`), empty for an operation of another API.
    pub base: String,
    /// What to call instead, best first.
    pub successors: Vec<Successor>,
    /// The status of a successful answer.
    pub success: u16,
    /// The resource that it checks api caveats against, where that is known.
    pub resource: Option<Resource>,
    /// What kind of invitation it makes, if it makes one.
    pub invite: Option<Invite>,
    /// How the newer API serves it, if it can be rewritten.
    pub rewrite: Option<Family>,
}

impl Operation {
    /// Whether this operation can be served in `mode`.
    pub fn can(&self, mode: Mode) -> bool {
        match mode {
            Mode::Observe | Mode::Gone => true,
            Mode::Rewrite => self.rewrite.is_some(),
            Mode::Local => self.invite.as_ref().is_some_and(|invite| invite.consumed_elsewhere().is_none()),
        }
    }

    /// Why it cannot be served in `mode`; nothing if it can.
    pub fn why_not(&self, mode: Mode) -> Option<&'static str> {
        if self.can(mode) {
            return None;
        }
        Some(match (mode, &self.invite) {
            (Mode::Local, Some(invite)) => invite.consumed_elsewhere().unwrap_or_default(),
            (Mode::Local, None) => "it issues no invite tokens",
            _ => "the newer API has no form of it that is known here",
        })
    }

    /// How many requests to the backend a call costs that is served in `mode`.
    pub fn cost(&self, mode: Mode) -> Cost {
        match (mode, self.rewrite) {
            (Mode::Rewrite, Some(family)) => family.cost(),
            (Mode::Gone, _) => Cost { usual: 0, most: 0, per_token: 0 },
            (Mode::Local, _) => Cost { usual: 1, most: 6, per_token: 0 },
            (Mode::Observe | Mode::Rewrite, _) => Cost { usual: 1, most: 1, per_token: 0 },
        }
    }
}

/// How many requests to the backend one call takes, without those sent again and further names where one is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// In the common case: the names that it takes are known, and nothing confines the caller.
    pub usual: u8,
    /// In the worst case.
    pub most: u8,
    /// For each token that the caller has; at worst twice that.
    pub per_token: u8,
}

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cost = serializer.serialize_struct("Cost", 4)?;
        cost.serialize_field("usual", &self.usual)?;
        cost.serialize_field("most", &self.most)?;
        cost.serialize_field("per_token", &self.per_token)?;
        cost.serialize_field("most_per_token", &(2 * self.per_token))?;
        cost.end()
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.usual)?;
        if self.per_token > 0 {
            write!(f, " + {} a token", self.per_token)?;
        }
        if self.most > self.usual {
            write!(f, ", at most {}", self.most)?;
        }
        if self.per_token > 0 {
            write!(f, " + {} a token", 2 * self.per_token)?;
        }
        Ok(())
    }
}

/// A call that replaces a deprecated one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    /// Its operationId, where it is known.
    pub operation: Option<String>,
    /// Its method, where it is known.
    pub method: Option<Method>,
    /// Its whole path; `{parameter}` stands for the caller's own id of that name.
    pub path: String,
    /// What a caller should know about it.
    pub note: Option<String>,
}

/// The families of rewrites; each is one file in `serve/rewrite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A route that makes an invite token becomes the creation of a named token (contract, section 9).
    Invite,
    /// A route of `client_tokens` becomes one of named access tokens (contract, section 9.2).
    ClientTokens(ClientTokens),
}

/// What is done with a user's access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientTokens {
    /// One more is made.
    Create,
    /// All of them are listed.
    List,
    /// One is removed.
    Remove,
}

impl Family {
    /// Whether each call makes a token.
    pub fn creates(self) -> bool {
        matches!(self, Family::Invite | Family::ClientTokens(ClientTokens::Create))
    }

    fn cost(self) -> Cost {
        match self {
            Family::Invite => Cost { usual: 1, most: 4, per_token: 0 },
            Family::ClientTokens(ClientTokens::Create) => Cost { usual: 1, most: 3, per_token: 0 },
            Family::ClientTokens(ClientTokens::List) => Cost { usual: 1, most: 2, per_token: 1 },
            Family::ClientTokens(ClientTokens::Remove) => Cost { usual: 1, most: 4, per_token: 0 },
        }
    }
}

/// The resource that an operation acts on, as api caveats name it: `group.{id}.invite_user_token:private` (contract,
/// section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The type of the entity: `group`.
    pub kind: String,
    /// The entity.
    pub entity: Entity,
    /// The aspect: `invite_user_token`.
    pub aspect: String,
    /// The path parameter whose value is the aspect's parameter, where it has one.
    pub parameter: Option<String>,
}

/// Whom or what an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// Whose id stands in the path, as `{id}`.
    InPath,
    /// The user who calls.
    Caller,
}

/// What an operation that makes an invite token creates (contract, sections 7.1 and 7.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The `inviteType` of the newer API: `userJoinGroup`.
    pub kind: String,
    /// The key of the target's id beside it: `groupId`.
    pub target_key: String,
    /// The target.
    pub target: Entity,
    /// The collection in which the target lies, below the base: `groups`.
    pub collection: String,
    /// How the generated token name begins: `user invite to group`.
    pub name_prefix: String,
    /// The collection that knows the target's name: that of the target, or `providers` for clusters, which have none.
    pub named_in: String,
    /// The key of the name there: `name`, or `fullName` of a user.
    pub name_key: String,
}

impl Invite {
    /// Where its tokens are used, if that is where a proxy cannot see it, so that nobody but Onezone can issue them
    /// (contract, section 12.6).
    pub fn consumed_elsewhere(&self) -> Option<&'static str> {
        match self.kind.as_str() {
            "supportSpace" => Some("Oneproviders use these tokens over a WebSocket"),
            "registerOneprovider" => Some(
                "Onezone makes the Oneprovider that such a token registers, and nobody can do that in its place",
            ),
            _ => None,
        }
    }
}
