//! How many durable tokens a second are issued, into an empty ledger and into one of ten million tokens, and how long
//! that one takes to open.
//!
//! A token is minted and recorded, as issuing one does; who may issue it is not asked. So many callers at once wait
//! each for its token to be on the disk. What the disk itself can do stands beside it. SQLite, in a directory that is
//! removed afterwards; run it with `cargo bench --bench ledger`.
//!
//! Environment: `BENCH_DIRECTORY` (default: where this is run), `BENCH_SECONDS` of each (default 5), `BENCH_CALLERS`
//! (default 64), `BENCH_TOKENS` in the large ledger (default 10000000).

#![allow(clippy::print_stdout, reason = "figures are this program's output")]

mod filled;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use duskgate::clock::Clock;
use duskgate::ledger::{self, Create, Issue, Issued, Location, Settings, Store, Usage};
use duskgate::token::keys::KeyRing;
use duskgate::token::{Identifier, InviteType, Persistence, Subject, Token, Type};
use support::setting;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A figure, or why there is none.
type Figure<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    support::run(measure)
}

fn measure() -> Figure<()> {
    let seconds = Duration::from_secs(setting("BENCH_SECONDS", 5));
    let (callers, tokens) = (setting("BENCH_CALLERS", 64), setting("BENCH_TOKENS", 10_000_000));
    let parent = std::env::var_os("BENCH_DIRECTORY").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let directory = tempfile::tempdir_in(parent)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    println!("the disk alone, 4 KiB appended and flushed: {:.0}/s", flushes(directory.path(), seconds / 5)?);

    println!("issuing, {callers} callers, {} s of each", seconds.as_secs());
    let settings = settings(&directory.path().join("empty.db"));
    let empty = runtime.block_on(issue(&*ledger::open(&settings, Create::Yes), callers, seconds))?;
    println!("  empty ledger:       {empty} (wanted: at least 20000/s)");

    let large = directory.path().join("large.db");
    filled::create(&large, tokens)?;
    let settings = self::settings(&large);
    let begun = Instant::now();
    let ledger = ledger::open(&settings, Create::Yes);
    runtime.block_on(ledger.check())?;
    println!(
        "  {tokens} tokens, {} MiB: opened in {:.1} ms (wanted: below 1000)",
        mebibytes(&large)?,
        ms(begun)
    );
    let full = runtime.block_on(issue(&*ledger, callers, seconds))?;
    println!("  issuing into it:    {full}");
    println!("  against the empty one: {:.2} (wanted: about 1)", full.rate() / empty.rate());
    Ok(())
}

/// What callers got done.
struct Issuing {
    tokens: u64,
    flushes: u64,
    took: Duration,
}

impl Issuing {
    fn rate(&self) -> f64 {
        self.tokens as f64 / self.took.as_secs_f64()
    }
}

impl std::fmt::Display for Issuing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let flushes = self.flushes as f64 / self.took.as_secs_f64();
        let each = self.tokens as f64 / self.flushes.max(1) as f64;
        write!(f, "{:6.0} tokens/s, {flushes:5.0} flushes/s, {each:4.1} tokens a flush", self.rate())
    }
}

/// Callers that each issue one token after the other.
async fn issue(ledger: &dyn Store, callers: u64, time: Duration) -> Figure<Issuing> {
    let keys = KeyRing::parse(&"5a".repeat(32))?;
    let (before, begun, issued) = (ledger.load(), Instant::now(), AtomicU64::new(0));
    let caller = |number: u64| {
        let (keys, issued) = (&keys, &issued);
        async move {
            while begun.elapsed() < time {
                let (token, _text) = mint(keys, number, issued.fetch_add(1, Ordering::Relaxed));
                if ledger.issue(&token).await? != Issue::Recorded {
                    return Err("a token was not recorded".into());
                }
            }
            Figure::Ok(())
        }
    };
    futures_util::future::try_join_all((0..callers).map(caller)).await?;
    let after = ledger.load();
    Ok(Issuing {
        tokens: after.changes - before.changes,
        flushes: after.transactions - before.transactions,
        took: begun.elapsed(),
    })
}

/// A new token and its text, as the operation that is deprecated gives it.
fn mint(keys: &KeyRing, caller: u64, number: u64) -> (Issued, String) {
    let now = Clock::Real.now();
    let id = keys.mint_id(now);
    let (user, target) = (format!("{caller:032x}ch1a2b"), format!("{:032x}ch3c4d", number % 1000));
    let kind = Type::invite(InviteType::UserJoinGroup, target.clone());
    let identifier = Identifier::new(Persistence::Named, Subject::User(user.clone()), kind, id.clone());
    let secret = keys.secret(&id).expect("the id is of this key");
    let token =
        Token::mint("onezone.example.org", identifier, Vec::new(), secret.as_bytes()).expect("a token");
    let issued = Issued {
        operation: "create_user_group_invite_token".to_owned(),
        invite_type: "userJoinGroup".to_owned(),
        target,
        issuer: format!("usr-{user}"),
        name: format!("user invite to group - developers {}", &id[id.len() - 12..]),
        created_at: now,
        privileges: Some(vec!["group_view".to_owned()]),
        revoked: false,
        custom_metadata: None,
        idempotency: None,
        deleted: false,
        usage: Usage::Unused,
        id,
    };
    (issued, token.serialize())
}

/// How often a second the disk takes a block.
fn flushes(directory: &Path, time: Duration) -> Figure<f64> {
    let mut file = File::create(directory.join("flushes"))?;
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < time {
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

fn settings(file: &Path) -> Settings {
    Settings { timeout: Duration::from_secs(60), ..Settings::at(Location::Sqlite(file.to_owned())) }
}

fn mebibytes(file: &Path) -> Figure<u64> {
    Ok(file.metadata()?.len() >> 20)
}

fn ms(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}
