//! What issuing a token costs through the proxy, beside the requests to the backend that it needs.
//!
//! Duskgate in mode `local`, with one thread that serves, pinned to the first core with its ledger; nginx as a backend that
//! answers at once, and wrk as the load, pinned to the second. Rounds alternate between the old route, which issues a
//! durable token, and a plain request of what the backend is asked for it, which is passed on. The figure is the CPU time
//! of all of Duskgate's threads (kernel included, and so the flushes of the ledger) divided by the requests answered; an
//! issue is compared with as many plain requests as it made of the backend. Needs `nginx`, `wrk` and `taskset`; run it
//! with `cargo bench --bench local`.
//!
//! Environment: `BENCH_ROUNDS` (default 7), `BENCH_SECONDS` of each (default 2), `BENCH_CONNECTIONS` (default 64),
//! `BENCH_DIRECTORY` for the ledger (default: where this is run).

#![allow(clippy::print_stdout, reason = "figures are this program's output")]

mod programs;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use duskgate::token::{Identifier, Persistence, Subject, Token, Type};
use programs::Programs;
use support::setting;

const GROUP: &str = "0123456789abcdef0123456789abcdefch0123";
const USER: &str = "fedcba9876543210fedcba9876543210ch3210";

fn main() -> ExitCode {
    support::run(measure)
}

fn measure() -> Result<(), String> {
    let (rounds, seconds) = (setting("BENCH_ROUNDS", 7), setting("BENCH_SECONDS", 2));
    let connections = setting("BENCH_CONNECTIONS", 64);
    let programs = Programs::start(&access_token()?)?;
    let group = format!("/api/v3/onezone/groups/{GROUP}");
    let plain = format!("{group}/effective_users/{USER}/privileges");
    let route = format!("{group}/users/token");
    // The target's name is looked up once.
    programs.load("POST", &route, 1, 1)?;
    println!("{connections} connections, {rounds} rounds of {seconds} s: CPU time of the proxy");
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let passed = Figure::take(&programs, "GET", &plain, seconds, connections)?;
        let issued = Figure::take(&programs, "POST", &route, seconds, connections)?;
        let ratio = issued.cost() / (passed.cost() * issued.calls());
        println!(
            "  round {round}: a plain request {:6.2} us; a token {:6.2} us, {:.2} requests to the backend, {:5.0}/s; ratio {ratio:.2}",
            passed.cost(),
            issued.cost(),
            issued.calls(),
            issued.answered / seconds as f64,
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("  median ratio {:.2} (wanted: at most 1.20)", ratios[ratios.len() / 2]);
    Ok(())
}

/// What some time of load took.
struct Figure {
    answered: f64,
    nanoseconds: f64,
    asked: f64,
}

impl Figure {
    fn take(
        programs: &Programs,
        method: &str,
        path: &str,
        seconds: usize,
        connections: usize,
    ) -> Result<Self, String> {
        let (time, asked) = (programs.cpu_nanoseconds()?, programs.asked()?);
        let answered = programs.load(method, path, seconds, connections)?;
        let (time, asked) = (programs.cpu_nanoseconds()? - time, programs.asked()? - asked);
        Ok(Figure { answered: answered as f64, nanoseconds: time as f64, asked: asked as f64 })
    }

    /// Microseconds of one.
    fn cost(&self) -> f64 {
        self.nanoseconds / 1_000.0 / self.answered
    }

    /// Requests to the backend for one. Those whose callers had gone at the end are not answered, but were made.
    fn calls(&self) -> f64 {
        (self.asked / self.answered).round()
    }
}

/// What the caller presents.
fn access_token() -> Result<String, String> {
    let subject = Subject::User(USER.to_owned());
    let id = Identifier::new(Persistence::Named, subject, Type::ACCESS, "0123456789abcdef");
    let token = Token::mint("onezone.example.org", id, Vec::new(), b"secret");
    Ok(token.map_err(|error| error.to_string())?.serialize())
}
