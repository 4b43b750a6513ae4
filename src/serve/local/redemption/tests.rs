//! The machine against every world of a few redemptions: each interleaving of their actions with crashes, lost answers,
//! late messages and refusals, up to a number of faults. And the same with broken machines and broken ledgers, each of
//! which must be caught, so that the walk is known to see.

mod explore;
mod mutants;
mod world;

use super::*;
use explore::{Walk, explore};
use world::{Consumer, Next, Rules, Start, World};

use Start::{Caller, Recovery};

const A: Consumer = 0;
const B: Consumer = 1;

/// The machine itself.
pub const NEXT: Next = Redemption::next;

/// Who takes part, and how much may go wrong.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    name: &'static str,
    flows: &'static [Start],
    faults: u8,
    /// A is a member before anything begins.
    member_before: bool,
}

const SCENARIOS: [Scenario; 7] = [
    Scenario { name: "two consumers", flows: &[Caller(A), Caller(B)], faults: 4, member_before: false },
    Scenario { name: "a consumer twice", flows: &[Caller(A), Caller(A)], faults: 4, member_before: false },
    Scenario {
        name: "two consumers and a recovery",
        flows: &[Caller(A), Caller(B), Recovery],
        faults: 3,
        member_before: false,
    },
    Scenario {
        name: "two consumers, one of them twice",
        flows: &[Caller(A), Caller(A), Caller(B)],
        faults: 3,
        member_before: false,
    },
    Scenario {
        name: "two consumers, one of them twice, and a recovery",
        flows: &[Caller(A), Caller(A), Caller(B), Recovery],
        faults: 2,
        member_before: false,
    },
    Scenario {
        name: "two consumers and two recoveries",
        flows: &[Caller(A), Caller(B), Recovery, Recovery],
        faults: 2,
        member_before: false,
    },
    Scenario {
        name: "one who was a member before",
        flows: &[Caller(A), Caller(A), Caller(B), Recovery],
        faults: 2,
        member_before: true,
    },
];

fn walk(scenario: &Scenario, next: Next, rules: Rules) -> Walk {
    explore(World::new(scenario.flows, scenario.faults, scenario.member_before), next, rules)
}

#[test]
fn every_promise_holds_in_every_world() {
    for scenario in &SCENARIOS {
        let start = std::time::Instant::now();
        let walk = walk(scenario, NEXT, Rules::SOUND);
        println!("{}: {} worlds, {} ends, {:?}", scenario.name, walk.worlds, walk.ends, start.elapsed());
        if let Some(broken) = walk.broken {
            panic!("{}: {broken}", scenario.name);
        }
        assert!(walk.worlds > 100 && walk.ends > 10, "{}: hardly anything was walked", scenario.name);
    }
}

/// The actions of a redemption to which this happens.
fn actions((mut redemption, first): (Redemption, Action), events: &[Event]) -> Vec<Action> {
    let next = events.iter().map(|event| redemption.next(*event));
    std::iter::once(first).chain(next).collect()
}

/// What happens up to the attempt.
const RESERVED: [Event; 4] =
    [Event::Token(Standing::Free), Event::Passed, Event::Member(false), Event::Reserve(Reserve::Fresh(7))];

fn after_reserving(events: &[Event]) -> Vec<Action> {
    actions(Redemption::by_caller(), &[&RESERVED, events].concat()).split_off(RESERVED.len())
}

#[test]
fn a_redemption_that_meets_no_trouble_takes_six_actions() {
    use Action::*;
    let told = actions(
        Redemption::by_caller(),
        &[&RESERVED[..], &[Event::Add(Attempt::Added), Event::Committed(true)]].concat(),
    );
    let expected =
        [ReadToken, CheckIssuer, ReadMembership, Reserve, AddMember, Commit, Answer(Outcome::Joined)];
    assert_eq!(told, expected);
}

#[test]
fn a_lost_answer_is_looked_after_at_once_and_the_put_repeated_once() {
    use Action::*;
    let lost = Event::Add(Attempt::Unknown);
    let found = [lost, Event::Member(true), Event::Committed(false)];
    assert_eq!(after_reserving(&found), [AddMember, ReadMembership, Commit, Answer(Outcome::Joined)]);
    let again = [lost, Event::Member(false), Event::Passed];
    let repeated = [&again[..], &[Event::Add(Attempt::AlreadyThere), Event::Failed]].concat();
    let expected = [AddMember, ReadMembership, CheckAgain, AddMember, Commit, Answer(Outcome::Joined)];
    assert_eq!(after_reserving(&repeated), expected);
    // Then it is left to a recovery: nothing is released, whatever the second attempt came to.
    for attempt in [Attempt::Unknown, Attempt::NotSent, Attempt::Refused] {
        let told = after_reserving(&[&again[..], &[Event::Add(attempt)]].concat());
        assert!(matches!(told[4], Answer(Outcome::Failed | Outcome::Refused)), "{attempt:?}: {told:?}");
    }
    // Nor is the PUT repeated for a token that is no longer good; the first one may still act.
    let told = after_reserving(&[lost, Event::Member(false), Event::Refused]);
    assert_eq!(told, [AddMember, ReadMembership, CheckAgain, Answer(Outcome::Failed)]);
}

#[test]
fn only_a_first_attempt_without_effect_is_released() {
    use Action::*;
    for (attempt, outcome) in [(Attempt::NotSent, Outcome::Failed), (Attempt::Refused, Outcome::Refused)] {
        for event in [Event::Released, Event::Failed] {
            let told = after_reserving(&[Event::Add(attempt), event]);
            assert_eq!(told, [AddMember, Release(7), Answer(outcome)]);
        }
    }
    let told = after_reserving(&[Event::Add(Attempt::AlreadyThere), Event::Committed(true)]);
    assert_eq!(told, [AddMember, Commit, Answer(Outcome::AlreadyMember)]);
}

#[test]
fn whatever_fails_before_reserving_changes_nothing() {
    for (count, event, outcome) in [
        (0, Event::Refused, Outcome::Refused),
        (0, Event::Token(Standing::Taken), Outcome::UsageLimitReached),
        (1, Event::Refused, Outcome::Refused),
        (2, Event::Member(true), Outcome::AlreadyMember),
        (3, Event::Reserve(Reserve::Taken), Outcome::UsageLimitReached),
        (0, Event::Failed, Outcome::Failed),
        (1, Event::Failed, Outcome::Failed),
        (2, Event::Failed, Outcome::Failed),
        (3, Event::Failed, Outcome::Failed),
    ] {
        let told = actions(Redemption::by_caller(), &[&RESERVED[..count], &[event]].concat());
        assert_eq!(told.last(), Some(&Action::Answer(outcome)), "{event:?} after {count}");
    }
    let told = actions(Redemption::by_caller(), &[&RESERVED[..3], &[Event::Reserve(Reserve::Gone)]].concat());
    assert_eq!(told.last(), Some(&Action::ReadToken), "a token that is gone is looked at again");
}

#[test]
fn a_recovery_adopts_looks_and_repeats_the_put() {
    use Action::*;
    let adopted = Event::Adopted(true);
    let found = [adopted, Event::Member(true), Event::Committed(true)];
    assert_eq!(
        actions(Redemption::by_recovery(), &found),
        [Adopt, ReadMembership, Commit, Answer(Outcome::Joined)]
    );
    let missing =
        [adopted, Event::Member(false), Event::Passed, Event::Add(Attempt::Added), Event::Committed(true)];
    assert_eq!(
        actions(Redemption::by_recovery(), &missing),
        [Adopt, ReadMembership, CheckAgain, AddMember, Commit, Answer(Outcome::Joined)]
    );
    let settled = [Event::Adopted(false)];
    assert_eq!(actions(Redemption::by_recovery(), &settled), [Adopt, Answer(Outcome::UsageLimitReached)]);
    let refused = [adopted, Event::Member(false), Event::Passed, Event::Add(Attempt::Refused)];
    assert_eq!(actions(Redemption::by_recovery(), &refused)[4..], [Answer(Outcome::Refused)]);
    let revoked = [adopted, Event::Member(false), Event::Refused];
    assert_eq!(actions(Redemption::by_recovery(), &revoked)[2..], [CheckAgain, Answer(Outcome::Refused)]);
}

#[test]
fn a_consumer_that_comes_again_passes_the_checks_and_finishes_its_own_reservation() {
    use Action::*;
    let adopted = [Event::Token(Standing::Mine), Event::Passed, Event::Adopted(true), Event::Member(true)];
    for (committed, outcome) in [(true, Outcome::Joined), (false, Outcome::UsageLimitReached)] {
        let told = actions(Redemption::by_caller(), &[&adopted[..], &[Event::Committed(committed)]].concat());
        assert_eq!(told, [ReadToken, CheckIssuer, Adopt, ReadMembership, Commit, Answer(outcome)]);
    }
    let gone = [Event::Token(Standing::Mine), Event::Passed, Event::Adopted(false)];
    assert_eq!(actions(Redemption::by_caller(), &gone), [ReadToken, CheckIssuer, Adopt, ReadToken]);
    for refused in [&[Event::Refused][..], &[Event::Token(Standing::Mine), Event::Refused]] {
        let told = actions(Redemption::by_caller(), refused);
        assert_eq!(told.last(), Some(&Answer(Outcome::Refused)), "{refused:?}");
    }
}

#[test]
fn an_event_that_does_not_belong_to_the_action_fails_and_an_end_is_an_end() {
    let told = actions(Redemption::by_caller(), &[Event::Released, Event::Token(Standing::Free)]);
    assert_eq!(told[1..], [Action::Answer(Outcome::Failed); 2]);
}
