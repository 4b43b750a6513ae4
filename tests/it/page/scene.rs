//! A proxy whose ledger remembers many consumers: some that matter, some that do not, and some with hostile names.

use duskgate::clock::Clock;
use duskgate::ledger::usage::{day_of, start_of};
use duskgate::ledger::{Called, Tally, Watching};
use jiff::{SignedDuration, Timestamp};

use crate::ledger::usage::batch;
use crate::support::program::{Program, Setup};
use crate::usage::{before, ledger_of, onezone};

/// The operation that most call.
pub const OPERATION: &str = "create_user_group_invite_token";
/// One that nobody calls any more.
pub const RETIRED: &str = "create_space_support_token";
/// How many consumers of the first have proven nothing.
pub const CLAIMED: usize = 2300;

/// Names that would do harm if they were not escaped, as the ledger can hold them.
pub const HOSTILE: [&str; 7] = [
    "basic:\"><script>alert(1)</script>",
    "basic:'onmouseover=alert(1) x='",
    "basic:../../operations/x?y#z%41&amp;",
    "basic:..",
    "basic:evil\u{202e}gpj.exe\u{2066}\u{7}\r\n",
    "basic:שלום עולם",
    "basic:0123456789012345678901234567890123456789012345678901234567890123",
];

pub struct Scene {
    pub program: Program,
    _onezone: duskgate::sandbox::Sandbox,
}

impl Scene {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.program.admin)
    }
}

/// The scene, with more of the configuration.
pub async fn scene(more: &str) -> Scene {
    let onezone = onezone().await;
    let program = setup(&onezone, more).start();
    fill(&program).await;
    Scene { program, _onezone: onezone }
}

pub fn setup(onezone: &duskgate::sandbox::Sandbox, more: &str) -> Setup {
    let sunset = start_of(day_of(Clock::Real.now()) + 127);
    before(onezone).section(&format!("[[operation]]\nid = \"{OPERATION}\"\nsunset_at = {sunset:.0}\n{more}"))
}

/// Fills the ledger of a program.
pub async fn fill(program: &Program) {
    let ledger = ledger_of(program);
    let now = Clock::Real.now();
    let today = day_of(now);
    let ids: Vec<String> = duskgate::operation::builtin().into_iter().map(|operation| operation.id).collect();
    let (new, old): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| id.contains("client_token"));
    for (operations, days) in [(old, 41), (new, 12)] {
        let reach = now - SignedDuration::from_hours(24 * days);
        // The proxy may not have opened it yet.
        while ledger.watch_usage(&Watching { operations: operations.clone(), reach, now }).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    let mut rows = Vec::new();
    for ago in 0..40 {
        let day = today - ago;
        let calls = (ago as u64 * ago as u64 / 3) * if ago % 7 < 2 { 1 } else { 4 } / 4;
        rows.push(row(
            OPERATION,
            "user:9c80280edc478eda693e7c3688665a33chea11",
            true,
            "nightly-sync/2.1",
            day,
            calls + 3,
        ));
        if ago > 9 {
            rows.push(row(
                OPERATION,
                "user:5d1f0c2b6a8e4b7f9a3c1d2e4f5a6b7cch3e9a",
                true,
                "python-requests/2.31.0",
                day,
                ago as u64,
            ));
            rows.push(row(
                "create_group_space_invite_token",
                "provider:0a1b2c3d4e5f60718293a4b5c6d7e8f9ch77aa",
                true,
                "oneprovider/21.02.4",
                day,
                40 - ago as u64,
            ));
        }
        if ago > 34 {
            rows.push(row(
                RETIRED,
                "user:5d1f0c2b6a8e4b7f9a3c1d2e4f5a6b7cch3e9a",
                true,
                "curl/8.5.0",
                day,
                2,
            ));
        }
    }
    for (index, name) in HOSTILE.iter().enumerate() {
        rows.push(row(OPERATION, name, index % 2 == 0, "<b>\"x'/1", today - index as i64, 5));
    }
    for number in 0..CLAIMED {
        rows.push(row(
            OPERATION,
            &format!("user:claimed-{number:04}"),
            false,
            &format!("bot-{}/1.0", number % 7),
            today - 3,
            1,
        ));
    }
    ledger.record_usage(batch("scene", 1, rows)).await.unwrap();
}

fn row(
    operation: &str,
    consumer: &str,
    verified: bool,
    software: &str,
    day: i64,
    calls: u64,
) -> (Called, Tally) {
    let called = Called {
        operation: operation.to_owned(),
        consumer: consumer.to_owned(),
        verified,
        mode: "observe",
        software: software.to_owned(),
        network: "192.0.2.0/24".to_owned(),
        day,
    };
    let at = |seconds: i64| -> Timestamp { start_of(day) + SignedDuration::from_secs(seconds) };
    let (success, refused) = if verified { (calls, 0) } else { (0, calls) };
    (called, Tally { success, refused, failed: 0, first: at(60), last: at(90).min(Clock::Real.now()) })
}
