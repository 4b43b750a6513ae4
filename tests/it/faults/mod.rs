//! The promises of mode `local` while everything fails: thousands of redemptions, several consumers after each token at
//! the same time at every program, while programs are killed, the ledger's server crashes, and the backend's answers are
//! lost after it has acted.
//!
//! By hand, with other numbers: `FAULTS_TOKENS=20000 FAULTS_SEED=7 cargo test --test it faults::`. The seed decides what
//! happens to which request, as far as the order in which they arrive is the same.

mod clients;
mod relay;
mod site;
mod verdict;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use duskgate::sandbox::{self, Sandbox};

use clients::{Clients, TRIES};
use relay::Relay;
use site::Site;

/// Tokens that are redeemed, each tried [`TRIES`] times at once: ten thousand redemptions.
const TOKENS: usize = 2500;
/// Tokens that are redeemed at the same time: 64 clients.
const TABLES: usize = 64 / TRIES;
/// How often a program is killed while that goes on.
const KILLS: usize = 12;
/// How often the ledger's server is.
const RESTARTS: usize = 3;
/// Groups to which the tokens lead.
const GROUPS: usize = 50;

#[tokio::test]
async fn two_programs_on_one_postgres_keep_every_promise_whatever_fails() {
    let (onezone, relay) = backend().await;
    let site = Site::on_postgres(relay.address, &onezone.fixture.user("keeper").token).await;
    abuse("two programs on PostgreSQL", onezone, relay, site).await;
}

#[tokio::test]
async fn one_program_on_sqlite_keeps_every_promise_whatever_fails() {
    let (onezone, relay) = backend().await;
    let site = Site::on_sqlite(relay.address, &onezone.fixture.user("keeper").token).await;
    abuse("one program on SQLite", onezone, relay, site).await;
}

async fn backend() -> (Sandbox, Relay) {
    let settings = sandbox::Settings { legacy: false, token_api: false, ..Default::default() };
    let onezone = sandbox::start(settings).await.unwrap();
    let relay = Relay::start(onezone.address).await;
    (onezone, relay)
}

async fn abuse(name: &str, onezone: Sandbox, relay: Relay, site: Site) {
    let begun = Instant::now();
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seed = number("FAULTS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let tokens = number("FAULTS_TOKENS").map_or(TOKENS, |count| usize::try_from(count).unwrap());
    say(&format!("{name}: seed {seed}"));
    relay.seed(seed);
    let clients = Arc::new(Clients::new(&onezone, tokens, GROUPS));
    let mut tables = tokio::task::JoinSet::new();
    for table in 0..TABLES {
        tables.spawn(Arc::clone(&clients).sit_down(table, site.lines()));
    }
    let all_done = async {
        while let Some(done) = tables.join_next().await {
            done.unwrap()
        }
    };
    tokio::join!(all_done, disturb(&site, &clients, tokens, seed));

    relay.calm_down();
    wait_until("late requests are delivered", async || relay.is_done()).await;
    let working = begun.elapsed();
    let verdict = verdict::reach(&onezone, &site, &clients).await;
    let (kills, restarts) = (site.kills.load(Ordering::SeqCst), site.restarts.load(Ordering::SeqCst));
    say(&format!(
        "{name}: seed {seed}\n  {clients}\n  {kills} programs killed, {restarts} crashes of the ledger's server\n  {relay}\n  \
         {verdict}\n  {working:.0?} under faults, {:.0?} in all",
        begun.elapsed()
    ));
    assert!(kills >= KILLS && relay.lost() > 0, "nothing failed");
    assert!(verdict.faults.is_empty(), "seed {seed}: {:#?}", verdict.faults);
}

/// Kills programs and crashes the server at intervals, measured by what has been done.
async fn disturb(site: &Site, clients: &Clients, tokens: usize, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    for number in 1..=KILLS {
        // The last time when the last tokens are on the tables.
        let due = tokens.saturating_sub(TABLES) * number / KILLS;
        clients.wait_for(due).await;
        let program = random.usize(..site.programs());
        if number % (KILLS / RESTARTS) == 0 {
            tokio::join!(site.restart_ledger(), site.kill(program));
        } else {
            site.kill(program).await;
        }
    }
}

/// Waits for a condition, however slow the machine is.
async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(240), waiting).await.is_ok(), "in vain: {what}");
}

/// Prints even where the output of tests is kept back.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
