//! Machines and ledgers that are broken in one way each. The walk must find a broken promise with every one, or it would
//! not find one in ours.

use super::*;

/// A broken machine, or a sound one with a broken ledger.
struct Mutant {
    name: &'static str,
    next: Next,
    rules: Rules,
}

const MUTANTS: [Mutant; 17] = [
    machine("an attempt of unknown outcome is taken for unsent", |redemption, event| {
        redemption.next(match event {
            Event::Add(Attempt::Unknown) => Event::Add(Attempt::NotSent),
            other => other,
        })
    }),
    machine("an attempt of unknown outcome is taken for a success", |redemption, event| {
        redemption.next(match event {
            Event::Add(Attempt::Unknown) => Event::Add(Attempt::Added),
            other => other,
        })
    }),
    machine("the relation that is already there is taken for a refusal", |redemption, event| {
        redemption.next(match event {
            Event::Add(Attempt::AlreadyThere) => Event::Add(Attempt::Refused),
            other => other,
        })
    }),
    machine("an attempt that was not sent is not released", |redemption, event| {
        redemption.next(match event {
            Event::Add(Attempt::NotSent) => Event::Add(Attempt::Unknown),
            other => other,
        })
    }),
    machine("what is another's is taken for one's own", |redemption, event| {
        redemption.next(match event {
            Event::Reserve(Reserve::Taken) => Event::Reserve(Reserve::Mine),
            other => other,
        })
    }),
    machine("what is reserved by oneself is taken for fresh", |redemption, event| {
        redemption.next(match event {
            Event::Reserve(Reserve::Mine) => Event::Reserve(Reserve::Fresh(world::CURRENT)),
            other => other,
        })
    }),
    machine("a lost reservation is taken for fresh", |redemption, event| {
        match (redemption.state.action(), event) {
            (Action::Reserve, Event::Failed) => {
                redemption.next(Event::Reserve(Reserve::Fresh(world::CURRENT)))
            }
            (_, event) => redemption.next(event),
        }
    }),
    machine("the member is added without a reservation", |redemption, event| {
        skip(redemption, event, Action::Reserve, Event::Reserve(Reserve::Fresh(world::CURRENT)))
    }),
    machine("nobody adds the member", |redemption, event| {
        skip(redemption, event, Action::AddMember, Event::Add(Attempt::Added))
    }),
    machine("nobody commits", |redemption, event| {
        skip(redemption, event, Action::Commit, Event::Committed(true))
    }),
    machine("nobody looks whether the consumer is a member", |redemption, event| {
        skip(redemption, event, Action::ReadMembership, Event::Member(false))
    }),
    machine("nobody looks at the token again before repeating the attempt", |redemption, event| {
        skip(redemption, event, Action::CheckAgain, Event::Passed)
    }),
    machine("nobody looks at the issuer's right", |redemption, event| {
        skip(redemption, event, Action::CheckIssuer, Event::Passed)
    }),
    machine("a token that is no longer good is released", |redemption, event| {
        match (redemption.state.action(), event) {
            (Action::CheckAgain, Event::Refused) => {
                redemption.state = State::Releasing(world::CURRENT, Outcome::Refused);
                redemption.state.action()
            }
            (_, event) => redemption.next(event),
        }
    }),
    machine("nobody adopts before going on with a reservation", |redemption, event| {
        skip(redemption, event, Action::Adopt, Event::Adopted(true))
    }),
    ledger("adopting begins no round", Rules { rounds_grow: false, ..Rules::SOUND }),
    ledger("a release is done in any round", Rules { rounds_count: false, ..Rules::SOUND }),
];

const fn machine(name: &'static str, next: Next) -> Mutant {
    Mutant { name, next, rules: Rules::SOUND }
}

const fn ledger(name: &'static str, rules: Rules) -> Mutant {
    Mutant { name, next: NEXT, rules }
}

/// Goes over one action as if this had come of it.
fn skip(redemption: &mut Redemption, event: Event, skipped: Action, as_if: Event) -> Action {
    match redemption.next(event) {
        action if action == skipped => redemption.next(as_if),
        action => action,
    }
}

#[test]
fn every_broken_machine_is_caught() {
    for mutant in &MUTANTS {
        let broken = SCENARIOS.iter().find_map(|scenario| walk(scenario, mutant.next, mutant.rules).broken);
        let Some(broken) = broken else { panic!("nothing was found: {}", mutant.name) };
        println!("{}: {}", mutant.name, broken.promise);
    }
}

#[test]
fn a_ledger_that_reserves_twice_is_caught() {
    let rules = Rules { reserve_is_conditional: false, ..Rules::SOUND };
    assert!(SCENARIOS.iter().any(|scenario| walk(scenario, NEXT, rules).broken.is_some()));
}
