//! What happened: counted by client and outcome, with the moments at which a loss was to be expected.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::clients::Client;
use crate::support::program::Program;

/// So long after the backend is back somebody may still be told that it was away.
const ECHO: Duration = Duration::from_secs(3);
/// The most losses that are told one by one.
const TOLD: usize = 20;

#[derive(Default)]
pub struct Figures {
    is_over: AtomicBool,
    counts: Mutex<BTreeMap<(Client, String), u64>>,
    failures: Mutex<Vec<Failure>>,
    interruptions: Mutex<Vec<(Instant, Instant)>>,
}

struct Failure {
    client: Client,
    began: Instant,
    ended: Instant,
    what: String,
}

impl Figures {
    /// Whether clients are to end.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// While this runs, the backend is away.
    pub async fn interrupt(&self, away: impl Future<Output = ()>) {
        let began = Instant::now();
        away.await;
        self.interruptions.lock().unwrap().push((began, Instant::now() + ECHO));
    }

    /// It went as it should.
    pub fn good(&self, client: Client, what: &str) {
        *self.counts.lock().unwrap().entry((client, what.to_owned())).or_default() += 1;
    }

    /// It did not; whether that was to be expected shows at the end.
    pub fn bad(&self, client: Client, began: Instant, what: String) {
        let brief: String = what.chars().take(60).collect();
        *self.counts.lock().unwrap().entry((client, brief)).or_default() += 1;
        self.failures.lock().unwrap().push(Failure { client, began, ended: Instant::now(), what });
    }

    /// What failed while the backend was there.
    pub fn lost(&self) -> Vec<String> {
        let interruptions = self.interruptions.lock().unwrap();
        let failures = self.failures.lock().unwrap();
        let expected = |failure: &&Failure| {
            interruptions.iter().any(|&(from, until)| failure.began <= until && failure.ended >= from)
        };
        let lost = failures.iter().filter(|failure| !expected(failure));
        lost.map(|failure| format!("{:?}: {}", failure.client, failure.what)).take(TOLD).collect()
    }

    /// Whether every kind of client got somewhere.
    pub fn is_busy(&self) -> bool {
        let counts = self.counts.lock().unwrap();
        super::CLIENTS.iter().all(|(client, _)| {
            let of_it = counts.iter().filter(|((of, what), _)| of == client && what == client.success());
            of_it.map(|(_, count)| count).sum::<u64>() >= 10
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts.lock().unwrap();
        counts.iter().try_for_each(|((client, what), count)| writeln!(f, "{client:?}: {count} {what}"))?;
        write!(f, "of these to be expected with the backend away: {}", self.failures.lock().unwrap().len())
    }
}

/// Resident memory, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory(u64);

impl Memory {
    pub fn of(program: &Program) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
        Memory(line.trim_end_matches("kB").trim().parse().expect("a number"))
    }

    /// A quarter, or 8 MiB, is what an allocator may keep of a peak.
    pub fn is_no_more_than(self, warm: Memory) -> bool {
        self.0 <= (warm.0 + warm.0 / 4).max(warm.0 + 8 * 1024)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB", self.0)
    }
}
