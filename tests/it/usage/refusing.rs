//! A data base that can be read but takes nothing in: calls go unrecorded then, so nothing may look as if nobody called.

use std::path::Path;
use std::time::{Duration, Instant};

use duskgate::clock::Clock;
use duskgate::ledger::{self, Create, Location, Settings, Store, Watching};
use jiff::SignedDuration;
use serde_json::json;

use super::{PATIENCE, before, call, onezone, recorded};
use crate::support::postgres;
use crate::support::program::Program;

/// One that is called, and one that is not.
const CALLED: &str = "create_user_group_invite_token";
const QUIET: &str = "create_space_support_token";

/// Every table that counts go into is full.
const FULL: &str = "
    CREATE FUNCTION is_full() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
    CREATE TRIGGER is_full BEFORE INSERT OR UPDATE ON duskgate_usage_names EXECUTE FUNCTION is_full();
    CREATE TRIGGER is_full BEFORE INSERT OR UPDATE ON duskgate_usage_watched EXECUTE FUNCTION is_full();";

#[tokio::test]
async fn a_data_base_that_takes_nothing_in_is_away_and_nothing_is_safe_to_retire_until_it_does() {
    let onezone = onezone().await;
    let server = postgres::shared();
    let place = server.new_place().await;
    let url = server.url(&place);
    let program = before(&onezone).section(&format!("[ledger]\nurl = {url:?}")).start();
    let ledger = ledger::open(&Settings::at(Location::parse(&url, Path::new("")).unwrap()), Create::Yes);
    watched_for_long(&*ledger).await;
    let is_safe = [("operation", CALLED)];
    program.reaches("duskgate_operation_safe_to_retire", &is_safe, 1.0).await;
    program.reaches("duskgate_ledger_up", &[], 1.0).await;
    shows(&program, "/", "Safe to retire").await;

    let client = server.connect(&place).await;
    client.batch_execute(FULL).await.unwrap();
    assert_eq!(program.ask(&call(&onezone, "anna")).await.status, 200);
    program.reaches("duskgate_ledger_up", &[], 0.0).await;
    program.logged(&["who calls cannot be recorded", "the data base has no room: could not extend file"]);
    for operation in [CALLED, QUIET] {
        program.reaches("duskgate_operation_safe_to_retire", &[("operation", operation)], 0.0).await;
    }
    let ready = program.admin("/readyz").await;
    assert_eq!((ready.status, &ready.json()["ledger"]), (503, &json!(false)));
    // What is read from it meanwhile does not change that.
    let past = "SET session_replication_role = replica; UPDATE duskgate_usage_watched w SET since = 3600000000
                WHERE since = (SELECT MIN(since) FROM duskgate_usage_watched WHERE operation = w.operation); SET session_replication_role = origin";
    client.batch_execute(past).await.unwrap();
    program.reaches("duskgate_usage_watched_since_timestamp_seconds", &is_safe, 3600.0).await;
    for operation in [CALLED, QUIET] {
        let safe = program.metric("duskgate_operation_safe_to_retire", &[("operation", operation)]).await;
        assert_eq!(safe, 0.0, "{operation}");
    }
    assert_eq!(program.metric("duskgate_ledger_up", &[]).await, 0.0);
    for path in ["/", &format!("/operations/{CALLED}"), &format!("/operations/{QUIET}")] {
        let page = shows(&program, path, "The newest calls are missing here.").await;
        assert!(page.contains("the newest calls could not be recorded"), "{page}");
        assert!(page.contains("Not known"), "{page}");
        assert!(!page.contains("Safe to retire") && !page.contains("Retire it"), "{page}");
        assert!(!page.contains("<strong>safe to retire"), "{page}");
    }
    assert_eq!(program.admin("/api/usage").await.status, 503);

    client.batch_execute("DROP FUNCTION is_full CASCADE").await.unwrap();
    program.reaches("duskgate_ledger_up", &[], 1.0).await;
    recorded(&*ledger, 1).await;
    program.reaches("duskgate_operation_safe_to_retire", &[("operation", QUIET)], 1.0).await;
    assert_eq!(program.metric("duskgate_operation_safe_to_retire", &is_safe).await, 0.0);
    assert_eq!(program.admin("/readyz").await.status, 200);
    let page = shows(&program, "/", "Not yet").await;
    assert!(!page.contains("could not be recorded"), "{page}");
    assert_eq!(program.admin("/api/usage").await.status, 200);
}

async fn watched_for_long(ledger: &dyn Store) {
    let now = Clock::Real.now();
    let operations = duskgate::operation::builtin().into_iter().map(|operation| operation.id).collect();
    let reach = now - SignedDuration::from_hours(24 * 41);
    ledger.watch_usage(&Watching { operations, reach, now }).await.unwrap();
}

/// Waits until a page has this text.
async fn shows(program: &Program, path: &str, text: &str) -> String {
    let begin = Instant::now();
    loop {
        let page = program.admin(path).await.text();
        if page.contains(text) {
            return page;
        }
        assert!(begin.elapsed() < PATIENCE, "{path} never says {text:?}: {page}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
