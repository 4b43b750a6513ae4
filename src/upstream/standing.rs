//! What is thought of one server, decided from what happened to it: a state machine without a clock or a socket.
//!
//! Passive ejection is conservative. A server that takes no connection is left out at once, since no request pays for
//! that; one that breaks off, answers nonsense or is silent is left out after several of these in a row, since a single
//! one may be the request's own fault. What it answers does not count, 5xx included: only a health path can tell a sick
//! server from a sick call. Left out means "asked last": where no other server is left, it is asked all the same.
//!
//! The time left out doubles each time. When it is over, a connection is tried beside a request, never by one; if it
//! stands, the server is on trial with one request at a time until one is answered.

/// How long a server is left out the first time, in milliseconds.
const FIRST: u64 = 1_000;

/// When a server is left out, and when it is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// So many broken exchanges in a row leave it out.
    pub eject_after: u32,
    /// The longest time that it is left out at once, in milliseconds.
    pub eject_most: u64,
    /// So many health checks in a row must fail before it is called sick.
    pub fall: u32,
    /// So many must succeed before it is called well again.
    pub rise: u32,
}

/// What went wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It took no connection; nothing was sent.
    Unreachable,
    /// It took one, and then broke off, sent nonsense or nothing.
    Broken,
}

/// Where a server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Among those that are asked.
    In,
    /// Back, for one request at a time.
    OnTrial,
    /// Left out, and due for a try.
    Due,
    /// Left out.
    Out,
}

/// What is known of a server. Times are in milliseconds, of any clock that does not go back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Faults since the last answer.
    faults: u32,
    /// How often it was left out since the last answer.
    ejections: u32,
    out_until: Option<u64>,
    on_trial: bool,
    /// What the health checks say; nothing before the first.
    well: Option<bool>,
    /// Health checks in a row that say otherwise.
    contrary: u32,
}

impl Standing {
    /// Where it stands now.
    pub fn place(&self, now: u64) -> Place {
        match self.out_until {
            _ if self.is_sick() => Place::Out,
            Some(until) if until > now => Place::Out,
            Some(_) => Place::Due,
            None if self.on_trial => Place::OnTrial,
            None => Place::In,
        }
    }

    /// Whether there is nothing that an answer would change.
    pub fn is_spotless(&self) -> bool {
        *self == Standing { well: self.well, contrary: self.contrary, ..Standing::default() }
            && !self.is_sick()
    }

    /// When it stops being left out by itself; nothing while it is not, or while only a health check can end that.
    pub fn out_until(&self) -> Option<u64> {
        self.out_until
    }

    /// Whether health checks call it sick.
    pub fn is_sick(&self) -> bool {
        self.well == Some(false)
    }

    /// Whether it was ever checked.
    pub fn is_checked(&self) -> bool {
        self.well.is_some()
    }

    /// It failed; says for how many milliseconds it is left out, if this is what leaves it out.
    pub fn failed(&mut self, fault: Fault, terms: &Terms, now: u64) -> Option<u64> {
        if self.out_until.is_some_and(|until| until > now) {
            // Of what was under way when it was left out.
            return None;
        }
        self.faults = self.faults.saturating_add(1);
        let is_due = self.out_until.is_some();
        if fault == Fault::Broken && !self.on_trial && !is_due && self.faults < terms.eject_after {
            return None;
        }
        let time = FIRST.saturating_mul(1 << self.ejections.min(32)).min(terms.eject_most);
        self.ejections = self.ejections.saturating_add(1);
        self.on_trial = false;
        self.out_until = Some(now.saturating_add(time));
        Some(time)
    }

    /// It took a connection.
    pub fn connected(&mut self) {
        if self.out_until.take().is_some() {
            self.on_trial = true;
        }
    }

    /// It answered a request. While it is left out, that is an older one and says nothing about the next.
    pub fn answered(&mut self) {
        if self.out_until.is_none() {
            *self = Standing { well: self.well, contrary: self.contrary, ..Standing::default() };
        }
    }

    /// A health check has succeeded or not; says what it is called from now on, if that has changed.
    pub fn checked(&mut self, succeeded: bool, terms: &Terms) -> Option<bool> {
        if succeeded {
            self.connected();
        }
        if self.well == Some(succeeded) {
            self.contrary = 0;
            return None;
        }
        self.contrary += 1;
        let enough = match (self.well, succeeded) {
            (None, _) => 1,
            (_, false) => terms.fall,
            (_, true) => terms.rise,
        };
        if self.contrary < enough {
            return None;
        }
        let was_known = self.well.replace(succeeded).is_some();
        self.contrary = 0;
        (was_known || !succeeded).then_some(succeeded)
    }

    /// No health checks are made any more.
    pub fn unchecked(&mut self) {
        (self.well, self.contrary) = (None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { eject_after: 3, eject_most: 10_000, fall: 3, rise: 2 };

    #[test]
    fn a_server_that_takes_no_connection_is_left_out_at_once() {
        let mut standing = Standing::default();
        assert_eq!(standing.failed(Fault::Unreachable, &TERMS, 500), Some(1_000));
        assert_eq!(standing.place(500), Place::Out);
        assert_eq!(standing.place(1_499), Place::Out);
        assert_eq!(standing.place(1_500), Place::Due);
    }

    #[test]
    fn one_that_breaks_off_is_left_out_after_several_in_a_row() {
        let mut standing = Standing::default();
        assert_eq!(standing.failed(Fault::Broken, &TERMS, 0), None);
        assert_eq!(standing.failed(Fault::Broken, &TERMS, 0), None);
        standing.answered();
        assert!(standing.is_spotless());
        for _ in 0..2 {
            assert_eq!(standing.failed(Fault::Broken, &TERMS, 0), None);
            assert_eq!(standing.place(0), Place::In);
        }
        assert_eq!(standing.failed(Fault::Broken, &TERMS, 0), Some(1_000));
    }

    #[test]
    fn the_time_left_out_doubles_up_to_a_bound() {
        let (mut standing, mut now, mut times) = (Standing::default(), 0, Vec::new());
        for _ in 0..6 {
            let time = standing.failed(Fault::Unreachable, &TERMS, now).unwrap();
            times.push(time);
            now += time;
        }
        assert_eq!(times, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
        let mut patient = Standing { ejections: u32::MAX, ..Standing::default() };
        let terms = Terms { eject_most: u64::MAX, ..TERMS };
        assert!(patient.failed(Fault::Unreachable, &terms, now).is_some());
        assert_eq!(patient.place(now + (1 << 40)), Place::Out);
    }

    #[test]
    fn many_failures_at_one_moment_are_one() {
        let mut standing = Standing::default();
        standing.failed(Fault::Unreachable, &TERMS, 0);
        for _ in 0..100 {
            assert_eq!(standing.failed(Fault::Unreachable, &TERMS, 10), None);
        }
        assert_eq!(standing.place(1_000), Place::Due);
        assert_eq!(standing.failed(Fault::Unreachable, &TERMS, 1_000), Some(2_000));
    }

    #[test]
    fn a_server_is_taken_back_on_trial_and_cleared_by_an_answer() {
        let mut standing = Standing::default();
        standing.failed(Fault::Unreachable, &TERMS, 0);
        standing.connected();
        assert_eq!(standing.place(0), Place::OnTrial);
        assert!(!standing.is_spotless());
        standing.answered();
        assert_eq!((standing.place(0), standing.is_spotless()), (Place::In, true));
        assert_eq!(
            standing.failed(Fault::Unreachable, &TERMS, 0),
            Some(1_000),
            "the back-off has begun anew"
        );
    }

    #[test]
    fn one_fault_ends_a_trial() {
        let mut standing = Standing::default();
        standing.failed(Fault::Unreachable, &TERMS, 0);
        standing.connected();
        assert_eq!(standing.failed(Fault::Broken, &TERMS, 1_000), Some(2_000));
        assert_eq!(standing.place(2_999), Place::Out);
    }

    #[test]
    fn an_older_answer_does_not_take_a_server_back() {
        let mut standing = Standing::default();
        standing.failed(Fault::Unreachable, &TERMS, 0);
        standing.answered();
        assert_eq!(standing.place(999), Place::Out);
    }

    #[test]
    fn health_checks_fell_a_server_slowly_and_the_first_one_at_once() {
        let mut standing = Standing::default();
        assert_eq!(standing.checked(true, &TERMS), None);
        assert_eq!(standing.checked(false, &TERMS), None);
        assert_eq!(standing.checked(false, &TERMS), None);
        assert_eq!(standing.checked(true, &TERMS), None, "which begins the count anew");
        assert_eq!([false; 3].map(|check| standing.checked(check, &TERMS)), [None, None, Some(false)]);
        assert_eq!(standing.place(u64::MAX), Place::Out);
        assert_eq!(standing.checked(true, &TERMS), None);
        assert_eq!(standing.checked(true, &TERMS), Some(true));
        assert_eq!(standing.place(0), Place::In);

        let mut dead = Standing::default();
        assert_eq!(dead.checked(false, &TERMS), Some(false));
        dead.unchecked();
        assert_eq!(dead.place(0), Place::In);
    }

    #[test]
    fn a_health_check_that_succeeds_ends_the_time_left_out() {
        let mut standing = Standing::default();
        standing.checked(true, &TERMS);
        standing.failed(Fault::Unreachable, &TERMS, 0);
        standing.checked(true, &TERMS);
        assert_eq!(standing.place(1), Place::OnTrial);
    }
}
