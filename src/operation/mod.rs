//! The deprecated operations, one row each. The rows of Onezone are built in, from `deprecated-operations.json`; a
//! configuration adds rows for any other API. Facts only: no dates, no modes chosen, no paths matched.

mod catalogue;

use std::fmt;

use http::Method;

pub use catalogue::builtin;

/// How a call of an operation is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Forward the call as it is.
    Observe,
    /// Call the newer API and translate the answer.
    Rewrite,
    /// Answer 410 with directions.
    Gone,
}

impl Mode {
    /// Every mode that exists.
    pub const ALL: [Mode; 3] = [Mode::Observe, Mode::Rewrite, Mode::Gone];

    /// The word in configuration, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Observe => "observe",
            Mode::Rewrite => "rewrite",
            Mode::Gone => "gone",
        }
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
        }
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
    /// An invite-token route becomes the creation of a named token (contract, section 9).
    Invite,
}

/// What an invite-token operation creates (contract, section 7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The `inviteType` of the newer API: `userJoinGroup`.
    pub kind: String,
    /// The key of the target's id beside it: `groupId`.
    pub target_key: String,
    /// How the generated token name begins: `user invite to group`.
    pub name_prefix: String,
    /// The collection in which the target lies, below the base: `groups`.
    pub collection: String,
    /// The target's type in a GRI: `group`.
    pub gri_type: String,
    /// The aspect in a GRI that the legacy route checks api caveats against: `invite_user_token`.
    pub gri_aspect: String,
}
