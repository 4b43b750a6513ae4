//! What it costs to mint a token of our own and to verify one: the whole of it, from the keys to the text and back.
//! Wanted: under 5 µs each. Run it with `cargo bench --bench token`.
//!
//! The figure is the median of many short batches, so that what else the machine does hardly shows.

#![allow(clippy::print_stdout, reason = "figures are this program's output")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use duskgate::clock::Clock;
use duskgate::token::keys::{KeyRing, Ours};
use duskgate::token::{Caveat, Identifier, InviteType, Persistence, Subject, Token, Type};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCHES: usize = 501;
const BATCH: u32 = 200;
const WANTED: f64 = 5_000.0;

fn main() -> ExitCode {
    // `cargo test --benches` runs this with no intention to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let keys = [KEY, &KEY.replace('0', "1"), &KEY.replace('0', "2")].join("\n");
    let ring = KeyRing::parse(&keys).expect("keys");
    let text = mint(&ring);
    let token = Token::parse(&text).expect("a token");
    let confined = token.confine(Caveat::Time { valid_until: 2_000_000_000 }).expect("a caveat").serialize();
    println!("three keys; the token has {} characters", text.len());
    let figures = [
        measure("mint (id, secret, signature, text)", || drop(black_box(mint(black_box(&ring))))),
        measure("verify (text, secret, signature)", || assert!(verify(&ring, &text) == Ours::Yes)),
        measure("verify one with a caveat", || assert!(verify(&ring, &confined) == Ours::Yes)),
    ];
    let slow = figures.iter().any(|figure| *figure > WANTED);
    if slow { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn mint(ring: &KeyRing) -> String {
    let kind = Type::invite(InviteType::UserJoinGroup, "0123456789abcdef0123456789abcdefch0123");
    let subject = Subject::User("fedcba9876543210fedcba9876543210ch3210".to_owned());
    let id = Identifier::new(Persistence::Named, subject, kind, ring.mint_id(Clock::Real.now()));
    let secret = ring.secret(&id.id).expect("the secret of an own id");
    Token::mint("onezone.example.org", id, Vec::new(), secret.as_bytes()).expect("a token").serialize()
}

fn verify(ring: &KeyRing, text: &str) -> Ours {
    ring.is_ours(&Token::parse(black_box(text)).expect("a token"))
}

/// Nanoseconds of one; printed.
fn measure(what: &str, mut one: impl FnMut()) -> f64 {
    let mut figures: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            (0..BATCH).for_each(|_| one());
            start.elapsed().as_nanos() as f64 / f64::from(BATCH)
        })
        .collect();
    figures.sort_by(f64::total_cmp);
    let median = figures[BATCHES / 2];
    println!("  {what:<36}{median:8.0} ns (wanted: under {WANTED:.0})");
    median
}
