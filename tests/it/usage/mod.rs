//! Who still calls: what the real program remembers of its callers, whatever becomes of it and whatever they do.

mod hostile;
mod keeping;
mod measuring;
mod refusing;
mod reporting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use duskgate::clock::Clock;
use duskgate::ledger::usage::day_of;
use duskgate::ledger::{self, Create, Location, Settings, Store, UsageFilter, Used};
use duskgate::sandbox::{self, Sandbox};

use crate::support::http::Request;
use crate::support::program::{Program, Setup};

/// Nothing that a test waits for takes longer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A Onezone that has everything.
pub async fn onezone() -> Sandbox {
    sandbox::start(sandbox::Settings::default()).await.unwrap()
}

/// A proxy before it that passes deprecated calls on as they are.
pub fn before(onezone: &Sandbox) -> Setup {
    Setup::before(onezone.address).deprecation("mode = \"observe\"")
}

/// The old route, called by a user.
pub fn call(onezone: &Sandbox, who: &str) -> Request {
    let group = &onezone.fixture.group("developers").id;
    Request::new("POST", &format!("/api/v3/onezone/groups/{group}/users/token"))
        .token(&onezone.fixture.user(who).token)
        .header("User-Agent", "nightly-sync/2.1 (cron)")
}

/// The ledger of a program, as another process sees it.
pub fn ledger_of(program: &Program) -> Arc<dyn Store> {
    let file = program.directory().join("duskgate.db");
    let settings = Settings { timeout: Duration::from_secs(60), ..Settings::at(Location::Sqlite(file)) };
    ledger::open(&settings, Create::No)
}

/// All that is in a ledger of today, those with the most calls first.
pub async fn used(ledger: &dyn Store) -> Vec<Used> {
    let today = day_of(Clock::Real.now());
    // The day may have begun amid the test.
    let filter = UsageFilter { today, since: today - 1, window: today - 1, ..UsageFilter::default() };
    let mut used = ledger.usage(&filter).await.unwrap_or_default();
    used.sort_by_key(|used| std::cmp::Reverse(used.since.calls()));
    used
}

pub fn calls(used: &[Used]) -> u64 {
    used.iter().map(|used| used.since.calls()).sum()
}

/// Waits until so many calls are in the ledger, and says how long that took.
pub async fn recorded(ledger: &dyn Store, wanted: u64) -> Duration {
    let begin = Instant::now();
    loop {
        let found = calls(&used(ledger).await);
        if found == wanted {
            return begin.elapsed();
        }
        assert!(begin.elapsed() < PATIENCE, "{found} of {wanted} calls are recorded");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
