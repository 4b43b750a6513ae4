//! What the ledger keeps of a token, and what its verbs answer. Holds no secret: a token's text is derived again from its
//! id, with the key.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

/// How often a token that was issued here can be used.
pub const USAGE_LIMIT: u32 = 1;

/// A token that was issued here.
#[derive(Clone, PartialEq)]
pub struct Issued {
    /// The id in the token, unique.
    pub id: String,
    /// The operation that issued it: `create_user_group_invite_token`.
    pub operation: String,
    /// What it invites to: `userJoinGroup`.
    pub invite_type: String,
    /// The id of the entity that it invites to.
    pub target: String,
    /// The subject who issued it: `usr-…` or `prv-…`.
    pub issuer: String,
    /// Its name, unique among those of its issuer.
    pub name: String,
    /// When it was issued.
    pub created_at: Timestamp,
    /// The privileges that it carries; nothing where its type carries none.
    pub privileges: Option<Vec<String>>,
    /// Whether its issuer has revoked it.
    pub revoked: bool,
    /// What its issuer keeps with it.
    pub custom_metadata: Option<Value>,
    /// A hash of the Idempotency-Key under which it was issued, unique.
    pub idempotency: Option<Vec<u8>>,
    /// Whether it has been ended for good. Of such tokens only those are shown whose reservation is still to be finished.
    pub deleted: bool,
    /// What became of it.
    pub usage: Usage,
}

/// What became of a token's single use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// Nothing yet.
    #[default]
    Unused,
    /// It is being used: bound to this consumer until that is finished or given up.
    Reserved {
        /// Who uses it.
        consumer: String,
        /// When that began.
        since: Timestamp,
    },
    /// It is used up.
    Used {
        /// Who used it.
        consumer: String,
        /// When.
        at: Timestamp,
    },
}

/// What issuing found.
#[derive(Clone, Debug, PartialEq)]
pub enum Issue {
    /// The token is recorded.
    Recorded,
    /// Its issuer has a token of this name: try another.
    NameTaken,
    /// This token was issued under the same Idempotency-Key before; the new one is not recorded. The one before is not
    /// withdrawn any more.
    Repeated(Box<Issued>),
}

/// Where a list of reservations that are to be finished goes on: behind the one that was made then, of this token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// When it was made.
    pub since: Timestamp,
    /// The token's id.
    pub id: String,
}

/// Numbers the times that a token was reserved or its reservation taken over: whoever wants to release it must be the
/// last who did either. Finding a token by its key counts once, if that comes before.
pub type Round = i64;

/// What reserving found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// The use is this consumer's from now on; it can be released as long as this is the round.
    Fresh(Round),
    /// It was this consumer's before, and is to be finished; even if the token was revoked or deleted since. A new round
    /// has begun, so nobody else can release it now.
    Mine,
    /// Another consumer has reserved it.
    Taken,
    /// It is used up.
    Used,
    /// The token is revoked.
    Revoked,
    /// There is no such token.
    Unknown,
}

/// What committing found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// This made the reservation a use.
    Done,
    /// This consumer's use was committed before.
    Before,
    /// The consumer has neither a reservation nor a use.
    None,
}

/// What is changed of a token; what is not said stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Its name.
    pub name: Option<String>,
    /// What its issuer keeps with it.
    pub custom_metadata: Option<Value>,
    /// Whether it is revoked.
    pub revoked: Option<bool>,
}

/// What renaming found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rename {
    /// The token has the name now.
    Done,
    /// Another token of its issuer has it.
    NameTaken,
    /// There is no such token.
    Unknown,
}

/// Which tokens to list. The default is the first hundred of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this issuer.
    pub issuer: Option<String>,
    /// Only those of which this became.
    pub state: Option<State>,
    /// Only those that come behind this page's end.
    pub after: Option<i64>,
    /// At most so many.
    pub most: u32,
}

/// What became of a token, in one word: of its use first, so that no reservation is overlooked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can be used.
    Unused,
    /// It is being used; also when it was revoked or deleted since.
    Reserved,
    /// It is used up; also when it was revoked since.
    Used,
    /// It is revoked. Of a list, whatever became of its use.
    Revoked,
}

/// Some of the tokens that were asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// In the order in which they were issued.
    pub tokens: Vec<Issued>,
    /// Where the next page begins; nothing on the last one.
    pub next: Option<i64>,
}

impl Page {
    /// The page of what was found up to some record, in excess of it by one if there was more; the last record of all is
    /// known as well.
    pub(super) fn new(mut found: Vec<(i64, Issued)>, most: u32, until: i64, last: i64) -> Self {
        let next = match found.get(most as usize) {
            Some(_) => found[..most as usize].last().map(|(sequence, _)| *sequence),
            None => Some(until).filter(|until| *until < last),
        };
        found.truncate(most as usize);
        Page { tokens: found.into_iter().map(|(_, token)| token).collect(), next }
    }
}

impl Issued {
    /// Where the list of reservations goes on behind this one; nothing if it is none.
    pub fn reached(&self) -> Option<Reached> {
        let Usage::Reserved { since, .. } = &self.usage else { return None };
        Some(Reached { since: *since, id: self.id.clone() })
    }

    /// What became of it, in one word.
    pub fn state(&self) -> State {
        match &self.usage {
            Usage::Reserved { .. } => State::Reserved,
            Usage::Used { .. } => State::Used,
            Usage::Unused if self.revoked => State::Revoked,
            Usage::Unused => State::Unused,
        }
    }

    /// What stands against this consumer's reserving it or taking it over, if anything does.
    pub(super) fn obstacle(&self, consumer: &str) -> Option<Reserve> {
        match &self.usage {
            Usage::Reserved { consumer: owner, .. } if owner == consumer => None,
            _ if self.deleted => Some(Reserve::Unknown),
            _ if self.revoked => Some(Reserve::Revoked),
            Usage::Used { .. } => Some(Reserve::Used),
            Usage::Reserved { .. } => Some(Reserve::Taken),
            Usage::Unused => None,
        }
    }
}

impl State {
    /// Every one.
    pub const ALL: [State; 4] = [State::Unused, State::Reserved, State::Used, State::Revoked];

    /// Its word: `unused`.
    pub fn name(self) -> &'static str {
        match self {
            State::Unused => "unused",
            State::Reserved => "reserved",
            State::Used => "used",
            State::Revoked => "revoked",
        }
    }
}

impl Default for Filter {
    fn default() -> Self {
        Filter { issuer: None, state: None, after: None, most: 100 }
    }
}

/// The hash stays out: it says nothing to anyone, and stands for a credential.
impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("id", &self.id)
            .field("operation", &self.operation)
            .field("invite_type", &self.invite_type)
            .field("target", &self.target)
            .field("issuer", &self.issuer)
            .field("name", &self.name)
            .field("created_at", &self.created_at)
            .field("privileges", &self.privileges)
            .field("revoked", &self.revoked)
            .field("custom_metadata", &self.custom_metadata)
            .field("idempotency", &self.idempotency.as_ref().map(|_| "<redacted>"))
            .field("deleted", &self.deleted)
            .field("usage", &self.usage)
            .finish()
    }
}
