//! What is kept of calls: all of them at an orderly stop, all but the last second in a crash, and never more than there
//! is room for.

use std::time::{Duration, Instant};

use duskgate::ledger::{self, Create, Location, Settings};
use serde_json::json;

use super::{PATIENCE, before, call, calls, ledger_of, onezone, recorded, used};
use crate::support::http::{Connection, Request};
use crate::support::program::Setup;

#[tokio::test]
async fn a_call_is_remembered_with_who_what_and_where_from() {
    let onezone = onezone().await;
    let program = before(&onezone).start();
    assert_eq!(program.ask(&call(&onezone, "anna")).await.status, 200);
    let stranger = Request::new("POST", "/api/v3/onezone/groups/nothing/users/token").token("garbage");
    assert_eq!(program.ask(&stranger).await.status, 401);
    let ledger = ledger_of(&program);
    recorded(&*ledger, 2).await;
    let mut used = used(&*ledger).await;
    used.sort_by_key(|used| used.verified);
    let anna = format!("user:{}", onezone.fixture.user("anna").id);
    let seen = |index: usize| {
        let used: &duskgate::ledger::Used = &used[index];
        (&*used.consumer, used.verified, &*used.software, &*used.network, &*used.mode)
    };
    assert_eq!(seen(0), ("unknown", false, "none", "127.0.0.0/24", "observe"));
    assert_eq!(seen(1), (&*anna, true, "nightly-sync/2.1", "127.0.0.0/24", "observe"));
    let counts = |index: usize| (used[index].since.success, used[index].since.refused);
    assert_eq!((counts(0), counts(1)), ((0, 1), (1, 0)));
    let text = std::fs::read(program.directory().join("duskgate.db-wal")).unwrap_or_default();
    let token = onezone.fixture.user("anna").token.as_bytes();
    assert!(!text.windows(40).any(|window| token.starts_with(window)), "the token is in the ledger");
}

#[tokio::test]
async fn whom_the_backend_refuses_after_looking_at_credentials_is_verified_in_each_mode() {
    for mode in ["observe", "rewrite"] {
        let onezone = onezone().await;
        let program = Setup::before(onezone.address).deprecation(&format!("mode = \"{mode}\"")).start();
        // ben may not invite to that group, and of the other one nobody has heard.
        assert_eq!(program.ask(&call(&onezone, "ben")).await.status, 403, "{mode}");
        let anna = onezone.fixture.user("anna");
        let nowhere = Request::new("POST", "/api/v3/onezone/groups/nothing/users/token");
        assert_eq!(program.ask(&nowhere.clone().token(&anna.token)).await.status, 404, "{mode}");
        assert_eq!(program.ask(&nowhere.token("forged")).await.status, 401, "{mode}");
        let ledger = ledger_of(&program);
        recorded(&*ledger, 3).await;
        let mut seen: Vec<_> =
            used(&*ledger).await.into_iter().map(|used| (used.verified, used.consumer)).collect();
        seen.sort();
        let user = |name: &str| format!("user:{}", onezone.fixture.user(name).id);
        let mut expected = vec![(false, "unknown".to_owned()), (true, user("anna")), (true, user("ben"))];
        expected.sort();
        assert_eq!(seen, expected, "{mode}");
    }
}

#[tokio::test]
async fn an_orderly_stop_loses_nothing() {
    let onezone = onezone().await;
    let mut program = before(&onezone).start();
    let mut connection = Connection::to(program.address()).await;
    for _ in 0..300 {
        assert_eq!(connection.ask(&call(&onezone, "anna")).await.status, 200);
    }
    program.signal("TERM");
    assert!(program.ended().success());
    assert_eq!(calls(&used(&*ledger_of(&program)).await), 300);
}

#[tokio::test]
async fn a_crash_loses_no_more_than_the_last_second() {
    let onezone = onezone().await;
    let mut program = before(&onezone).start();
    assert_eq!(program.ask(&call(&onezone, "anna")).await.status, 200);
    recorded(&*ledger_of(&program), 1).await;
    for _ in 0..5 {
        assert_eq!(program.ask(&call(&onezone, "anna")).await.status, 200);
    }
    // Each round begins at most that long after the one before; the ledger takes its own time on a busy machine.
    let took = recorded(&*ledger_of(&program), 6).await;
    eprintln!("recorded after {took:?}");
    program.signal("KILL");
    program.ended();
    assert_eq!(calls(&used(&*ledger_of(&program)).await), 6);
}

#[tokio::test]
async fn a_crash_amid_calls_keeps_what_was_recorded_and_counts_nothing_twice() {
    let onezone = onezone().await;
    let mut program = before(&onezone).start();
    let ledger = ledger_of(&program);
    let mut connection = Connection::to(program.address()).await;
    let request = call(&onezone, "anna");
    let mut answered = Vec::new();
    let begin = Instant::now();
    let mut seen = 0;
    // Until some rounds have come by; with the last calls surely not recorded yet.
    while seen < 100 || answered.len() < usize::try_from(seen).unwrap() + 20 {
        assert_eq!(connection.ask(&request).await.status, 200);
        answered.push(Instant::now());
        if answered.len() % 50 == 0 && seen < 100 {
            seen = calls(&used(&*ledger).await);
        }
        assert!(begin.elapsed() < PATIENCE, "{seen} of {} calls are recorded", answered.len());
    }
    program.signal("KILL");
    let killed = Instant::now();
    program.ended();
    let kept = calls(&used(&*ledger).await);
    assert!((seen..=answered.len() as u64).contains(&kept), "{kept} of {}", answered.len());
    let lost = &answered[usize::try_from(kept).unwrap()..];
    let oldest = lost.first().map_or(Duration::ZERO, |at| killed - *at);
    // On an idle machine this is half a second; how long a busy one takes is nobody's promise.
    eprintln!("{} of {} calls were lost, the oldest {oldest:?} before the end", lost.len(), answered.len());
    assert!(oldest < PATIENCE);
}

#[tokio::test]
async fn a_ledger_that_is_away_stops_nobody_and_gets_everything_when_it_is_back() {
    let onezone = onezone().await;
    // A directory in its place.
    let setup = before(&onezone).section("[ledger]\nurl = \"sqlite:sub/duskgate.db\"");
    let mut program = setup.start();
    for _ in 0..20 {
        assert_eq!(program.ask(&call(&onezone, "anna")).await.status, 200);
    }
    program.logged(&["who calls cannot be recorded", "cannot create the ledger"]);
    let ready = program.admin("/readyz").await;
    assert_eq!((ready.status, &ready.json()["ledger"]), (503, &json!(false)));
    let place = program.directory().join("sub");
    std::fs::create_dir(&place).unwrap();
    program.logged(&["who calls is recorded again"]);
    program.signal("TERM");
    assert!(program.ended().success());
    std::fs::rename(place.join("duskgate.db"), program.directory().join("duskgate.db")).unwrap();
    assert_eq!(calls(&used(&*ledger_of(&program)).await), 20);
}

#[tokio::test]
async fn a_stop_waits_for_a_ledger_that_is_on_its_way_back() {
    let onezone = onezone().await;
    let mut program = before(&onezone).section("[ledger]\nurl = \"sqlite:sub/duskgate.db\"").start();
    assert_eq!(program.ask(&call(&onezone, "anna")).await.status, 200);
    program.logged(&["who calls cannot be recorded"]);
    program.signal("TERM");
    program.logged(&["stopping"]);
    std::fs::create_dir(program.directory().join("sub")).unwrap();
    assert!(program.ended().success());
    program.log_ended();
    assert!(!program.log().contains("could not be recorded"), "{}", program.log());
    let file = program.directory().join("sub/duskgate.db");
    let ledger = ledger::open(&Settings::at(Location::Sqlite(file)), Create::No);
    assert_eq!(calls(&used(&*ledger).await), 1);
}

#[tokio::test]
async fn a_stop_without_a_ledger_says_what_is_lost() {
    let onezone = onezone().await;
    let mut program = before(&onezone).section("[ledger]\nurl = \"sqlite:sub/duskgate.db\"").start();
    assert_eq!(program.ask(&call(&onezone, "anna")).await.status, 200);
    program.signal("TERM");
    assert!(program.ended().success());
    program.logged(&["the last 1 calls could not be recorded", "cannot create the ledger"]);
}
