//! A world of one token: the ledger, the backend, messages that may still arrive, and the redemptions, with everything
//! that can happen next and what must hold. A redemption of the model is the real [`Redemption`].
//!
//! Few kinds of step say it all. A lost answer: the flow is told [`Event::Failed`] or [`Attempt::Unknown`], and the message
//! is on its way: it may arrive at once, at any later time, or never. A crash: the flow takes no more steps; what it sent
//! last may have been lost before. Answers and the looks at the issuer's right happen at once, and a flow hears of an action
//! when it is performed, for between that and its next action nobody sees a difference. So an attempt is begun when the
//! flow hears of what came before it, and acts then or later.
//!
//! Of rounds, only whether one is the current one can matter: that is [`CURRENT`], every other [`PAST`].

mod promises;

use super::*;

pub type Consumer = usize;

/// The round of the reservation as it is.
pub const CURRENT: Round = 1;
/// Any earlier one.
const PAST: Round = 0;

/// The machine under test, sound or broken.
pub type Next = fn(&mut Redemption, Event) -> Action;

/// How the ledger of the model behaves: soundly, or broken in one way.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Adopting, and reserving what is reserved already, begin a new round.
    pub rounds_grow: bool,
    /// A release is done in its own round only.
    pub rounds_count: bool,
    /// A token is bound only if it is free.
    pub reserve_is_conditional: bool,
}

impl Rules {
    pub const SOUND: Rules = Rules { rounds_grow: true, rounds_count: true, reserve_is_conditional: true };
}

/// Who a redemption is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Caller(Consumer),
    /// It takes whatever reservation it finds when it begins.
    Recovery,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    usage: Usage,
    /// The token is revoked now.
    revoked: bool,
    /// The issuer may not invite now.
    barred: bool,
    /// Whether either was ever so.
    troubled: bool,
    members: [Membership; 2],
    /// Messages that were sent, and whose sender gave up waiting.
    late: Vec<(Consumer, Action)>,
    flows: Vec<Flow>,
    /// How much may still go wrong.
    faults: u8,
    /// Somebody crashed, an answer was lost, or a reservation was adopted: a reservation may be left over.
    uncertain: bool,
    /// A was a member from the beginning.
    member_before: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Usage {
    Free,
    Reserved(Consumer),
    Used(Consumer),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Membership {
    No,
    /// By the token.
    Joined,
    /// Without it.
    Otherwise,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Flow {
    Recovery,
    Running {
        consumer: Consumer,
        redemption: Redemption,
        action: Action,
        /// The issuer's right was found good, and no attempt was made since.
        vouched: bool,
    },
    Ended {
        outcome: Outcome,
    },
    Crashed,
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A recovery finds a reservation pending, or none.
    Find { flow: usize },
    /// A flow's action is performed, and answered.
    Do { flow: usize },
    /// A flow's attempt is not sent, or the backend refuses it.
    Attempt { flow: usize, attempt: Attempt },
    /// A flow's attempt succeeds, and is repeated by something on the way that did not see the answer; the flow hears what
    /// came of the second.
    Repeat { flow: usize },
    /// A flow's question is not answered.
    Fail { flow: usize },
    /// A flow's message is sent, and the flow never hears of it.
    Lose { flow: usize },
    /// A flow vanishes.
    Crash { flow: usize },
    /// A message that somebody gave up waiting for arrives.
    Arrive { message: usize },
    /// The issuer revokes the token, or takes that back.
    Revoke,
    /// The issuer loses the right to invite, or gets it back.
    Bar,
    /// Somebody makes A a member without the token.
    Add,
}

impl World {
    pub fn new(starts: &[Start], faults: u8, member_before: bool) -> Self {
        let flows = starts.iter().map(|start| match start {
            Start::Recovery => Flow::Recovery,
            Start::Caller(consumer) => {
                let (redemption, action) = Redemption::by_caller();
                Flow::Running { consumer: *consumer, redemption, action, vouched: false }
            }
        });
        let a = if member_before { Membership::Otherwise } else { Membership::No };
        World {
            usage: Usage::Free,
            revoked: false,
            barred: false,
            troubled: false,
            members: [a, Membership::No],
            late: Vec::new(),
            flows: flows.collect(),
            faults,
            uncertain: false,
            member_before,
        }
    }

    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (flow, state) in self.flows.iter().enumerate() {
            match state {
                Flow::Recovery => steps.push(Step::Find { flow }),
                Flow::Running { action, .. } => self.steps_of(flow, *action, &mut steps),
                Flow::Ended { .. } | Flow::Crashed => {}
            }
        }
        steps.extend((0..self.late.len()).map(|message| Step::Arrive { message }));
        if self.faults > 0 {
            steps.extend([Step::Revoke, Step::Bar]);
        }
        if self.faults > 0 && self.members[A] == Membership::No {
            steps.push(Step::Add);
        }
        steps
    }

    fn steps_of(&self, flow: usize, action: Action, steps: &mut Vec<Step>) {
        steps.push(Step::Do { flow });
        if self.faults == 0 {
            return;
        }
        steps.push(Step::Crash { flow });
        steps.push(if is_read(action) { Step::Fail { flow } } else { Step::Lose { flow } });
        if action == Action::AddMember {
            let attempts = [Attempt::NotSent, Attempt::Refused];
            steps.extend(attempts.map(|attempt| Step::Attempt { flow, attempt }));
            steps.push(Step::Repeat { flow });
        }
    }

    /// Lets a step happen; says which promise that breaks.
    pub fn take(&mut self, step: Step, next: Next, rules: Rules) -> Result<(), &'static str> {
        let fault = !matches!(step, Step::Do { .. } | Step::Find { .. } | Step::Arrive { .. });
        self.faults -= u8::from(fault);
        match step {
            Step::Find { flow } => {
                self.flows[flow] = match self.usage {
                    Usage::Reserved(consumer) => {
                        let (redemption, action) = Redemption::by_recovery();
                        Flow::Running { consumer, redemption, action, vouched: false }
                    }
                    // It looks again later; here, another recovery does.
                    Usage::Free | Usage::Used(_) => Flow::Crashed,
                };
            }
            Step::Do { flow } => {
                let (consumer, action) = self.running(flow);
                let limit = self.is_anothers(consumer);
                let event = self.perform(consumer, action, rules);
                self.tell(flow, event, next)?;
                if limit && matches!(event, Event::Token(_) | Event::Reserve(_)) && !self.met_limit(flow) {
                    return Err("another consumer meanwhile is told that the limit is reached");
                }
            }
            Step::Attempt { flow, attempt } => self.tell(flow, Event::Add(attempt), next)?,
            Step::Repeat { flow } => {
                self.uncertain = true;
                let (consumer, action) = self.running(flow);
                self.perform(consumer, action, rules);
                let event = self.perform(consumer, action, rules);
                self.tell(flow, event, next)?;
            }
            Step::Fail { flow } => self.tell(flow, Event::Failed, next)?,
            Step::Lose { flow } => {
                self.uncertain = true;
                let (consumer, action) = self.running(flow);
                self.late.push((consumer, action));
                let attempt = action == Action::AddMember;
                self.tell(flow, if attempt { Event::Add(Attempt::Unknown) } else { Event::Failed }, next)?;
            }
            Step::Crash { flow } => {
                self.uncertain = true;
                self.flows[flow] = Flow::Crashed;
            }
            Step::Arrive { message } => {
                let (consumer, action) = self.late.remove(message);
                self.perform(consumer, action, rules);
            }
            Step::Revoke => {
                self.revoked = !self.revoked;
                self.troubled = true;
            }
            Step::Bar => {
                self.barred = !self.barred;
                self.troubled = true;
            }
            Step::Add => self.members[A] = Membership::Otherwise,
        }
        // Their order says nothing, and an attempt that cannot change anything is none.
        self.late.retain(|(consumer, action)| {
            *action != Action::AddMember || self.members[*consumer] == Membership::No
        });
        self.late.sort_by_key(|(consumer, action)| (*consumer, order(*action)));
        Ok(())
    }

    fn running(&self, flow: usize) -> (Consumer, Action) {
        match &self.flows[flow] {
            Flow::Running { consumer, action, .. } => (*consumer, *action),
            other => panic!("it does not run: {other:?}"),
        }
    }

    /// Tells a flow what came of its action, and sees it to its next one or its end.
    fn tell(&mut self, flow: usize, event: Event, next: Next) -> Result<(), &'static str> {
        let (revoked, barred) = (self.revoked, self.barred);
        let Flow::Running { redemption, action, vouched, .. } = &mut self.flows[flow] else {
            panic!("it does not run")
        };
        let was_attempt = *action == Action::AddMember;
        *vouched &= !was_attempt;
        *action = next(redemption, event);
        while let Action::CheckIssuer | Action::CheckAgain = *action {
            let refused = barred || revoked && *action == Action::CheckAgain;
            *vouched = !refused;
            *action = next(redemption, if refused { Event::Refused } else { Event::Passed });
        }
        match *action {
            Action::Answer(outcome) => self.end(flow, outcome),
            Action::AddMember if revoked => {
                Err("nobody is added by an attempt begun after the token was revoked")
            }
            Action::AddMember if !*vouched => Err("the issuer's right is looked at before each attempt"),
            _ => Ok(()),
        }
    }

    fn met_limit(&self, flow: usize) -> bool {
        matches!(self.flows[flow], Flow::Ended { outcome: Outcome::UsageLimitReached, .. })
    }

    /// Whether a token is used up, or reserved by another than this consumer.
    fn is_anothers(&self, consumer: Consumer) -> bool {
        match self.usage {
            Usage::Free => false,
            Usage::Reserved(owner) => owner != consumer && !self.revoked,
            Usage::Used(_) => !self.revoked,
        }
    }

    /// What the ledger and the backend make of a message, whenever it arrives.
    fn perform(&mut self, consumer: Consumer, action: Action, rules: Rules) -> Event {
        let mine = self.usage == Usage::Reserved(consumer);
        match action {
            Action::ReadToken if self.revoked => Event::Refused,
            Action::ReadToken => Event::Token(match self.usage {
                Usage::Free => Standing::Free,
                _ if mine => Standing::Mine,
                _ => Standing::Taken,
            }),
            Action::CheckIssuer if self.barred => Event::Refused,
            Action::CheckAgain if self.barred || self.revoked => Event::Refused,
            Action::CheckIssuer | Action::CheckAgain => Event::Passed,
            Action::ReadMembership => Event::Member(self.members[consumer] != Membership::No),
            Action::Reserve if mine => {
                self.adopt(rules);
                Event::Reserve(Reserve::Mine)
            }
            Action::Reserve if self.revoked => Event::Reserve(Reserve::Gone),
            Action::Reserve if self.usage == Usage::Free || !rules.reserve_is_conditional => {
                self.usage = Usage::Reserved(consumer);
                self.begin_round();
                Event::Reserve(Reserve::Fresh(CURRENT))
            }
            Action::Reserve => Event::Reserve(Reserve::Taken),
            Action::Adopt => {
                if mine {
                    self.adopt(rules);
                }
                Event::Adopted(mine)
            }
            Action::AddMember if self.members[consumer] == Membership::No => {
                self.members[consumer] = Membership::Joined;
                Event::Add(Attempt::Added)
            }
            Action::AddMember => Event::Add(Attempt::AlreadyThere),
            Action::Commit => {
                if mine {
                    self.usage = Usage::Used(consumer);
                }
                Event::Committed(mine)
            }
            Action::Release(round) => {
                if mine && (round == CURRENT || !rules.rounds_count) {
                    self.usage = Usage::Free;
                }
                Event::Released
            }
            Action::Answer(_) => panic!("an answer is no message"),
        }
    }

    fn adopt(&mut self, rules: Rules) {
        self.uncertain = true;
        if rules.rounds_grow {
            self.begin_round();
        }
    }

    /// Every round that anybody knows of is past.
    fn begin_round(&mut self) {
        for (_, action) in &mut self.late {
            *action = with_past_round(*action);
        }
        for flow in &mut self.flows {
            if let Flow::Running { redemption, action, .. } = flow {
                *action = with_past_round(*action);
                redemption.state = match redemption.state {
                    State::Adding(Claim::Fresh(_)) => State::Adding(Claim::Fresh(PAST)),
                    State::Releasing(_, outcome) => State::Releasing(PAST, outcome),
                    other => other,
                };
            }
        }
    }

    /// A flow tells its caller.
    fn end(&mut self, flow: usize, outcome: Outcome) -> Result<(), &'static str> {
        let (consumer, _) = self.running(flow);
        self.flows[flow] = Flow::Ended { outcome };
        let member = self.members[consumer] != Membership::No;
        match outcome {
            Outcome::Joined if !member => Err("who saw 201 is a member"),
            Outcome::Joined if !self.is_bound_to(consumer) => Err("who saw 201 has used the token"),
            Outcome::AlreadyMember if !member => Err("who saw 409 is a member"),
            Outcome::Joined if self.member_before && consumer == A => {
                Err("who was a member before is not told 201")
            }
            _ => Ok(()),
        }
    }

    fn is_bound_to(&self, consumer: Consumer) -> bool {
        matches!(self.usage, Usage::Reserved(owner) | Usage::Used(owner) if owner == consumer)
    }
}

/// Whether losing the answer to it is as good as never asking.
fn is_read(action: Action) -> bool {
    matches!(action, Action::ReadToken | Action::CheckIssuer | Action::CheckAgain | Action::ReadMembership)
}

fn with_past_round(action: Action) -> Action {
    match action {
        Action::Release(_) => Action::Release(PAST),
        other => other,
    }
}

/// Any order will do.
fn order(action: Action) -> (u8, Round) {
    match action {
        Action::Reserve => (0, PAST),
        Action::Adopt => (1, PAST),
        Action::AddMember => (2, PAST),
        Action::Commit => (3, PAST),
        Action::Release(round) => (4, round),
        _ => (5, PAST),
    }
}
