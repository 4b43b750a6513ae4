//! What a request pays for the check of the networks that its tokens are confined to: the one thing that requests pay for
//! which are no calls of deprecated operations. Run it with `cargo bench --bench caveats`.
//!
//! The figure is the median of many short batches, so that what else the machine does hardly shows.

#![allow(clippy::print_stdout, reason = "figures are this program's output")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use duskgate::caller::confinement::unmet;
use duskgate::token::{Caveat, Identifier, Persistence, Subject, Token, Type};
use http::{HeaderMap, HeaderName, HeaderValue};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCHES: usize = 501;
const BATCH: usize = 200;
/// More than are remembered, so that each is new when it comes again.
const MANY: usize = 20_000;
const CLIENT: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));

fn main() {
    // `cargo test --benches` runs this with no intention to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let free = token(0, &[]);
    let confined = token(0, &["ip = 192.0.2.0/24|198.51.100.0/24"]);
    let elsewhere = token(0, &["ip = 198.51.100.0/24"]);
    let bearer = format!("Bearer eyJhbGciOiJSUzI1NiJ9.{}", "x".repeat(900));
    println!("the token has {} characters, the identity provider's {}", free.len(), bearer.len() - 7);
    let measure = |what: &str, all: &[HeaderMap], fits: bool| {
        let mut next = all.iter().cycle();
        self::measure(what, || {
            let unmet = unmet(black_box(next.next().expect("a cycle")), CLIENT, || 0);
            assert_eq!(unmet.is_none(), fits);
        });
    };
    measure("no credential", &[headers("accept", "*/*")], true);
    measure("an identity provider's token", &[headers("authorization", &bearer)], true);
    measure("a token without networks, remembered", &[headers("x-auth-token", &free)], true);
    measure("a token with networks, remembered", &[headers("x-auth-token", &confined)], true);
    measure("a token with networks, refused", &[headers("x-auth-token", &elsewhere)], false);
    let fresh = |caveats: &[&str]| -> Vec<HeaderMap> {
        (0..MANY).map(|number| headers("x-auth-token", &token(number, caveats))).collect()
    };
    measure("a token without networks, new", &fresh(&[]), true);
    measure("a token with networks, new", &fresh(&["ip = 192.0.2.0/24|198.51.100.0/24"]), true);
}

fn token(number: usize, caveats: &[&str]) -> String {
    let subject = Subject::User("fedcba9876543210fedcba9876543210ch3210".to_owned());
    let id = format!("0123456789abcdef0123456789abcdefch{number:04x}");
    let id = Identifier::new(Persistence::Named, subject, Type::ACCESS, id);
    let caveats = caveats.iter().map(|text| Caveat::parse(text.as_bytes())).collect();
    Token::mint("onezone.example.org", id, caveats, b"secret").expect("a token").serialize()
}

/// What a browser sends, and this.
fn headers(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "onezone.example.org"),
        ("user-agent", "curl/7.88.1"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip"),
        ("content-type", "application/json"),
        (name, value),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
    }
    headers
}

/// Nanoseconds of one; printed.
fn measure(what: &str, mut one: impl FnMut()) {
    let mut figures: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            (0..BATCH).for_each(|_| one());
            start.elapsed().as_nanos() as f64 / BATCH as f64
        })
        .collect();
    figures.sort_by(f64::total_cmp);
    println!("  {what:<40}{:8.0} ns", figures[BATCHES / 2]);
}
