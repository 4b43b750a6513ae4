//! The redemption of one of our tokens by one consumer, as a state machine: what to do next, given what happened.
//! Pure, so that `tests.rs` can walk every interleaving of several redemptions with crashes, lost answers and late
//! messages against this very code. It knows no HTTP, no SQL and no time; who performs the actions is a loop:
//!
//! ```text
//! let (mut redemption, mut action) = Redemption::by_caller();
//! loop {
//!     match action {
//!         Action::Answer(outcome) => return outcome,
//!         action => action = redemption.next(perform(action).await),
//!     }
//! }
//! ```
//!
//! Each action is performed once and not repeated by who performs it. Redemptions of one token within a process
//! wait for each other, and so do those of several tokens that would make one member (`turns.rs`), so that of one consumer's
//! concurrent calls only one is told 201 and only one token is used; but nothing is unsafe if they do not. A redemption that is dropped half-way is as good as a crash: nothing is broken by it, and a recovery
//! finishes what it reserved.
//!
//! # The machine
//!
//! | state | its action | event | next |
//! | --- | --- | --- | --- |
//! | Reading | `ReadToken`: the record, and every check of contract 10.3, steps 3 and 4 | free | Checking (free) |
//! | | | mine: reserved by this consumer | Checking (mine) |
//! | | | taken: used, or reserved by another | *usage limit reached* |
//! | | | refused by a check | *refused* |
//! | Checking | `CheckIssuer`: the target exists, the issuer may still invite (step 6) | passed, free | Looking |
//! | | | passed, mine | Adopting |
//! | | | refused | *refused* |
//! | Looking | `ReadMembership` | member | *already a member* |
//! | | | no member | Reserving |
//! | Reserving | `Reserve`: binds the use to this consumer | fresh | Adding (fresh) |
//! | | | mine | Finishing (adopted) |
//! | | | taken | *usage limit reached* |
//! | | | gone: revoked or deleted since | Reading |
//! | Adopting | `Adopt`: the reservation is to be finished by this flow too | done | Finishing (adopted) |
//! | | | gone: finished or released since | Reading; a recovery: *usage limit reached* |
//! | Adding | `AddMember`: the PUT with the service token | added: 201 | Committing |
//! | | | already there: 409 `relationAlreadyExists` | Committing |
//! | | | not sent, or refused, and fresh | Releasing |
//! | | | not sent, or refused, else | *failed*, or *refused*; it stays reserved |
//! | | | unknown, the first time | Finishing (tried) |
//! | | | unknown, the second time | *failed*; it stays reserved |
//! | Finishing | `ReadMembership` | member | Committing |
//! | | | no member | Rechecking (adopted, or tried) |
//! | Rechecking | `CheckAgain`: the record and the issuer, as they are now | passed | Adding (adopted, or tried) |
//! | | | refused | *refused* (adopted), *failed* (tried); it stays reserved |
//! | Committing | `Commit` | done, already done, or failed | by what was seen, below |
//! | Releasing | `Release` | whatever comes | *failed*, or *refused* |
//!
//! Any action that fails, and any event that does not belong to the action, leads to *failed*; what is reserved then
//! stays so. After a commit the caller is told *joined* where this flow added the member, or tried to and now finds it;
//! *already a member* where its first attempt found the relation there; and where it only finished what others had
//! begun, *joined* if it was the one to commit, else *usage limit reached*, as the loser of a race is told.
//!
//! # The promises, and why they hold
//!
//! - *At most one member by a token.* A member is only added under a reservation, and the ledger gives that to one
//!   consumer at a time. It becomes free again only by `Release`, which this machine asks for only while *fresh*: the flow
//!   bound the use itself, and its only attempt was not sent or was refused. Other flows of the same consumer may make
//!   attempts under the same reservation, so the ledger counts its **rounds**: `Reserve` and `Adopt` each begin a new one,
//!   and `Release` is done only in the round in which the flow got its reservation. Whoever adopts thus ends everybody's
//!   right to release, before it makes an attempt; and a release that arrives late finds another round.
//! - *Who saw 201 is a member.* *Joined* is answered only after the backend said 201 or 409, or showed the member.
//! - *A reservation of unknown outcome is finished, never given away.* An unknown attempt leaves *fresh* for ever. A
//!   recovery, or the consumer coming again, adopts, looks and repeats the same PUT until the backend answers.
//! - *The issuer keeps control*: no attempt is begun once the token is revoked or deleted, or its issuer may not invite any
//!   more. `Reserve` refuses such a token, and before a PUT is repeated `CheckAgain` looks. Then nothing is released either:
//!   an attempt from before may still act, and were the token good again, the use would be another's. Whoever is found to be
//!   a member is one by an attempt from before, and that is committed, whatever was made of the token since. A consumer who
//!   comes again on its own reservation passes every check first, like any other.
//! - *Failures are no use.* Whatever fails before `Reserve` has changed nothing; a refused or unsent attempt is released.
//! - *Who was a member before uses nothing up*: looked for before reserving. If somebody adds the consumer between the
//!   look and the PUT, the 409 commits: something on the way may have repeated the PUT, whose first answer was 201.
//! - *Another consumer meanwhile is told that the limit is reached*: taken, from `ReadToken` or from `Reserve`.

#[cfg(test)]
mod tests;

/// One redemption under way: of a caller, or of a recovery that finishes what a caller's left.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Redemption {
    flow: Flow,
    state: State,
}

/// The number with which the ledger marks who may release a reservation: it grows whenever one is made or adopted.
pub type Round = i64;

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read the token's record, and make every check of contract 10.3, steps 3 and 4. Answered by [`Event::Token`],
    /// [`Event::Refused`].
    ReadToken,
    /// See whether the target exists and the issuer may still invite. Answered by [`Event::Passed`], [`Event::Refused`].
    CheckIssuer,
    /// See whether the token is still neither revoked nor deleted, and its issuer may still invite. Answered by
    /// [`Event::Passed`], [`Event::Refused`].
    CheckAgain,
    /// Ask the backend whether the consumer is a member. Answered by [`Event::Member`].
    ReadMembership,
    /// Bind the use to the consumer in the ledger, in a new round. Answered by [`Event::Reserve`].
    Reserve,
    /// Begin a new round of the reservation if it is this consumer's, revoked or not. Answered by [`Event::Adopted`].
    Adopt,
    /// Add the member through the backend, once. Answered by [`Event::Add`].
    AddMember,
    /// Make the consumer's reservation a use. Answered by [`Event::Committed`].
    Commit,
    /// Free the consumer's reservation, if this is still its round. Answered by [`Event::Released`].
    Release(Round),
    /// Tell the caller; there is nothing more to do.
    Answer(Outcome),
}

/// What came of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The token passed the checks, and its use stands so.
    Token(Standing),
    /// The issuer may still invite to the target.
    Passed,
    /// A check refused; who performed it has the answer.
    Refused,
    /// Whether the consumer is a member.
    Member(bool),
    /// What reserving found.
    Reserve(Reserve),
    /// Whether the reservation was this consumer's.
    Adopted(bool),
    /// What became of the attempt to add the member.
    Add(Attempt),
    /// Whether it was this commit that made the reservation a use; `false` if it was one already, or is gone.
    Committed(bool),
    /// The release was done, or was not this flow's to do.
    Released,
    /// There is no telling what came of it: the ledger is away, the backend did not answer a question.
    Failed,
}

/// How the use of a token stands, to one consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Nobody has it.
    Free,
    /// It is reserved by this consumer.
    Mine,
    /// It is used up, by whomever, or reserved by another consumer.
    Taken,
}

/// What reserving found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reserve {
    /// It was free, and is this flow's from this round on.
    Fresh(Round),
    /// It was reserved by this consumer already; a new round has begun.
    Mine,
    /// It is used up, or reserved by another consumer.
    Taken,
    /// The token was revoked or deleted.
    Gone,
}

/// What became of an attempt to add the member. When in doubt, it is [`Attempt::Unknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// 201.
    Added,
    /// 409 `relationAlreadyExists`.
    AlreadyThere,
    /// The backend itself refused, and did nothing: another 4xx that only it gives.
    Refused,
    /// No byte of the request can have been sent.
    NotSent,
    /// Anything else: no answer, half an answer, 5xx, what something on the way may have said.
    Unknown,
}

/// How a redemption ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The consumer is a member by this token: 201.
    Joined,
    /// The consumer was a member before: 409 `relationAlreadyExists`.
    AlreadyMember,
    /// Another has used the token or is about to, or another redemption of the same consumer has: 400
    /// `inviteTokenUsageLimitReached`. To a recovery: nothing was left to do.
    UsageLimitReached,
    /// A check or the backend refused; the last action that was performed has the answer.
    Refused,
    /// The backend or the ledger did not do its part: 502, 503 or 504 by what the last action before a release met. The
    /// consumer may be or become a member, if it reserved.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Flow {
    Caller,
    Recovery,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Reading,
    Checking { mine: bool },
    Looking,
    Reserving,
    Adopting,
    Adding(Claim),
    Finishing(Claim),
    Rechecking(Claim),
    Committing(Seen),
    Releasing(Round, Outcome),
    Ended(Outcome),
}

/// What a flow knows of the attempts under its reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Claim {
    /// It bound the use in this round, and no attempt of its own can have had an effect.
    Fresh(Round),
    /// Others may have made attempts before it.
    Adopted,
    /// It made one itself whose outcome it does not know.
    Tried,
}

/// Why a flow takes the consumer for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Seen {
    /// It added the member, or tried to and now finds it.
    Own,
    /// Its first attempt found the relation there.
    Before,
    /// It finishes what others had begun.
    Found,
}

impl Redemption {
    /// A caller's redemption, and its first action. The caller's own credentials, api caveat and privilege were checked.
    pub fn by_caller() -> (Self, Action) {
        Self::begin(Flow::Caller, State::Reading)
    }

    /// One that finishes a reservation which the ledger lists as pending, for the consumer that it is bound to; and its
    /// first action. It may run beside any other redemption.
    pub fn by_recovery() -> (Self, Action) {
        Self::begin(Flow::Recovery, State::Adopting)
    }

    /// Takes in what came of the last action, and says what to do next.
    pub fn next(&mut self, event: Event) -> Action {
        self.state = self.after(event);
        self.state.action()
    }

    fn begin(flow: Flow, state: State) -> (Self, Action) {
        (Redemption { flow, state }, state.action())
    }

    fn after(&self, event: Event) -> State {
        use State::*;
        match (self.state, event) {
            (Reading, Event::Token(Standing::Free)) => Checking { mine: false },
            (Reading, Event::Token(Standing::Mine)) => Checking { mine: true },
            (Reading, Event::Token(Standing::Taken)) => Ended(Outcome::UsageLimitReached),
            (Checking { mine: false }, Event::Passed) => Looking,
            (Checking { mine: true }, Event::Passed) => Adopting,
            (Reading | Checking { .. }, Event::Refused) => Ended(Outcome::Refused),
            (Looking, Event::Member(true)) => Ended(Outcome::AlreadyMember),
            (Looking, Event::Member(false)) => Reserving,
            (Reserving, Event::Reserve(found)) => match found {
                Reserve::Fresh(round) => Adding(Claim::Fresh(round)),
                Reserve::Mine => Finishing(Claim::Adopted),
                Reserve::Taken => Ended(Outcome::UsageLimitReached),
                Reserve::Gone => Reading,
            },
            (Adopting, Event::Adopted(true)) => Finishing(Claim::Adopted),
            (Adopting, Event::Adopted(false)) => match self.flow {
                Flow::Caller => Reading,
                Flow::Recovery => Ended(Outcome::UsageLimitReached),
            },
            (Adding(claim), Event::Add(attempt)) => after_attempt(claim, attempt),
            (Finishing(claim), Event::Member(true)) => Committing(claim.seen()),
            (Finishing(claim), Event::Member(false)) => Rechecking(claim),
            (Rechecking(claim), Event::Passed) => Adding(claim),
            // What this flow tried itself may still act.
            (Rechecking(Claim::Tried), Event::Refused) => Ended(Outcome::Failed),
            (Rechecking(_), Event::Refused) => Ended(Outcome::Refused),
            (Committing(seen), event) => Ended(after_commit(seen, event)),
            (Releasing(_, outcome) | Ended(outcome), _) => Ended(outcome),
            (_, _) => Ended(Outcome::Failed),
        }
    }
}

impl State {
    fn action(self) -> Action {
        match self {
            State::Reading => Action::ReadToken,
            State::Checking { .. } => Action::CheckIssuer,
            State::Rechecking(_) => Action::CheckAgain,
            State::Looking | State::Finishing(_) => Action::ReadMembership,
            State::Reserving => Action::Reserve,
            State::Adopting => Action::Adopt,
            State::Adding(_) => Action::AddMember,
            State::Committing(_) => Action::Commit,
            State::Releasing(round, _) => Action::Release(round),
            State::Ended(outcome) => Action::Answer(outcome),
        }
    }
}

impl Claim {
    /// What to make of it when the consumer turns out to be a member.
    fn seen(self) -> Seen {
        match self {
            Claim::Fresh(_) => Seen::Before,
            Claim::Adopted => Seen::Found,
            Claim::Tried => Seen::Own,
        }
    }
}

fn after_attempt(claim: Claim, attempt: Attempt) -> State {
    match (attempt, claim) {
        (Attempt::Added, _) => State::Committing(Seen::Own),
        (Attempt::AlreadyThere, _) => State::Committing(claim.seen()),
        (Attempt::Refused, Claim::Fresh(round)) => State::Releasing(round, Outcome::Refused),
        (Attempt::Refused, _) => State::Ended(Outcome::Refused),
        (Attempt::NotSent, Claim::Fresh(round)) => State::Releasing(round, Outcome::Failed),
        (Attempt::NotSent, _) => State::Ended(Outcome::Failed),
        (Attempt::Unknown, Claim::Fresh(_) | Claim::Adopted) => State::Finishing(Claim::Tried),
        (Attempt::Unknown, Claim::Tried) => State::Ended(Outcome::Failed),
    }
}

/// The member is there, whatever the ledger says; it is only a question of what to call it.
fn after_commit(seen: Seen, event: Event) -> Outcome {
    match (seen, event) {
        (Seen::Own, _) | (Seen::Found, Event::Committed(true)) => Outcome::Joined,
        (Seen::Before, _) => Outcome::AlreadyMember,
        (Seen::Found, Event::Committed(false)) => Outcome::UsageLimitReached,
        (Seen::Found, _) => Outcome::Failed,
    }
}
