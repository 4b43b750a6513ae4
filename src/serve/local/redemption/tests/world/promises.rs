//! What must hold in a world: the promises of the machine, each in words that a failing walk prints.

use super::*;

impl World {
    /// What must hold in every world.
    pub fn check(&self, next: Next, rules: Rules) -> Result<(), &'static str> {
        if self.members.iter().all(|member| *member == Membership::Joined) {
            return Err("a token is used by at most one member");
        }
        for consumer in [A, B] {
            let joining = self.late.contains(&(consumer, Action::AddMember));
            let joined = self.members[consumer] == Membership::Joined;
            if (joined || joining) && !self.is_bound_to(consumer) {
                return Err("a reservation of unknown outcome stays bound to its consumer");
            }
        }
        match self.usage {
            Usage::Used(consumer) if self.members[consumer] == Membership::No => {
                return Err("what is used has made a member");
            }
            Usage::Reserved(A) | Usage::Used(A) if self.member_before => {
                return Err("who was a member before does not use the token up");
            }
            _ => {}
        }
        self.check_recovery(next, rules)?;
        let ended = |flow: &Flow| matches!(flow, Flow::Ended { .. } | Flow::Crashed);
        if self.flows.iter().all(ended) { self.check_end() } else { Ok(()) }
    }

    /// If everybody vanished now and the backend answered, a recovery would finish what is reserved; unless that takes an
    /// attempt and the token is no longer good, when it leaves everything as it is.
    fn check_recovery(&self, next: Next, rules: Rules) -> Result<(), &'static str> {
        let Usage::Reserved(consumer) = self.usage else { return Ok(()) };
        let mut world = World { flows: Vec::new(), late: Vec::new(), ..*self };
        let no_good = (self.revoked || self.barred) && self.members[consumer] == Membership::No;
        let (mut redemption, mut action) = Redemption::by_recovery();
        for _ in 0..10 {
            if no_good && action == Action::AddMember {
                return Err("a recovery adds nobody by a token that is no longer good");
            }
            if matches!(action, Action::Answer(_)) {
                return match world.usage {
                    Usage::Used(owner) if owner == consumer && !no_good => Ok(()),
                    Usage::Reserved(owner) if owner == consumer && no_good => Ok(()),
                    _ if no_good => Err("a recovery leaves a reservation that cannot be finished as it is"),
                    _ => Err("a recovery finishes what is reserved"),
                };
            }
            let event = world.perform(consumer, action, rules);
            action = next(&mut redemption, event);
        }
        Err("a recovery ends")
    }

    /// What must hold when every flow has ended.
    fn check_end(&self) -> Result<(), &'static str> {
        let outcomes = |wanted| {
            let told = move |flow: &&Flow| **flow == Flow::Ended { outcome: wanted };
            self.flows.iter().filter(told).count()
        };
        let joined = self.members.contains(&Membership::Joined);
        if joined && !self.uncertain && outcomes(Outcome::Joined) != 1 {
            return Err("one of all is told 201");
        }
        if !self.uncertain && matches!(self.usage, Usage::Reserved(_)) {
            return Err("no reservation is left where nothing is unknown");
        }
        let added = self.members[A] == Membership::Otherwise;
        if !self.uncertain && !joined && !added && self.usage != Usage::Free {
            return Err("failures do not count as a use");
        }
        let troubled = outcomes(Outcome::Failed) + outcomes(Outcome::Refused) > 0;
        if !joined && !self.uncertain && !troubled && !self.troubled && !added {
            return Err("somebody joins where nothing fails");
        }
        Ok(())
    }
}
