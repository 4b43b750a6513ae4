//! What is SQLite's own: many changes for one flush, other processes at the file, and a file that cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use duskgate::ledger::{self, Away, Create, Location, Settings, Store};
use futures_util::future::join_all;
use tempfile::TempDir;

use super::world::{World, at, issue, run, token};

fn file(world: &World) -> PathBuf {
    let Location::Sqlite(file) = world.settings().location else { panic!("a world of SQLite") };
    file
}

/// Another process's connection to the ledger's file.
fn beside(world: &World) -> rusqlite::Connection {
    rusqlite::Connection::open(file(world)).unwrap()
}

#[test]
fn changes_that_wait_share_one_flush() {
    run(async {
        let world = World::sqlite();
        let ledger = world.open();
        issue(&*ledger, "first").await;
        let before = ledger.load();

        let other = beside(&world);
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let tokens: Vec<_> = (0..500).map(|number| token(&format!("{number}"))).collect();
        let all = join_all(tokens.iter().map(|token| ledger.issue(token)));
        let let_go = async {
            // Polled behind the others, so all of them are in the queue.
            other.execute_batch("ROLLBACK").unwrap();
        };
        let (answers, ()) = futures_util::future::join(all, let_go).await;
        assert!(answers.iter().all(Result::is_ok));
        let after = ledger.load();
        assert_eq!(after.changes - before.changes, 500);
        let transactions = after.transactions - before.transactions;
        assert!(transactions <= 2, "the first that came, and the others: {transactions}");
    });
}

#[test]
fn the_file_is_durable_and_not_for_everybody() {
    run(async {
        let world = World::sqlite();
        let ledger = world.open();
        issue(&*ledger, "a").await;
        for name in ["duskgate.db", "duskgate.db-wal"] {
            let mode = fs::metadata(file(&world).with_file_name(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o007, 0, "{name}: {mode:o}");
        }
        let mode: String = beside(&world).query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    });
}

#[test]
fn a_ledger_that_another_process_holds_is_away_until_it_lets_go() {
    run(async {
        let world = World::sqlite();
        let settings = Settings { timeout: Duration::from_millis(50), ..world.settings() };
        issue(&*world.open(), "a").await;
        let ledger = ledger::open(&settings, Create::Yes);
        let other = beside(&world);
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let away = ledger.issue(&token("b")).await.unwrap_err();
        assert!(matches!(away, Away::Slow), "{away}");
        assert!(ledger.get("a").await.unwrap().is_some(), "reading goes on");
        other.execute_batch("ROLLBACK").unwrap();
        drop(ledger);
        issue(&*world.open(), "b").await;
    });
}

#[test]
fn a_place_without_a_directory_is_away_until_there_is_one() {
    run(async {
        let directory = TempDir::new().unwrap();
        let place = directory.path().join("later");
        let ledger = ledger::open(&Settings::at(Location::Sqlite(place.join("duskgate.db"))), Create::Yes);
        let away = ledger.check().await.unwrap_err().to_string();
        assert_eq!(
            away,
            format!(
                "cannot create the ledger: {}/duskgate.db (No such file or directory (os error 2))",
                place.display()
            )
        );
        ledger.issue(&token("a")).await.unwrap_err();
        fs::create_dir(&place).unwrap();
        issue(&*ledger, "a").await;
        ledger.check().await.unwrap();
    });
}

#[test]
fn a_file_that_is_no_ledger_is_left_alone() {
    run(async {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("duskgate.db");
        let text = "this is a letter, and no data base. ".repeat(100);
        fs::write(&file, &text).unwrap();
        let ledger = ledger::open(&Settings::at(Location::Sqlite(file.clone())), Create::Yes);
        let away = ledger.issue(&token("a")).await.unwrap_err().to_string();
        assert_eq!(away, format!("the file is no ledger: {}", file.display()));
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    });
}

#[test]
fn to_look_at_a_ledger_creates_none() {
    run(async {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("duskgate.db");
        let ledger = ledger::open(&Settings::at(Location::Sqlite(file.clone())), Create::No);
        let away = ledger.list(&Default::default()).await.unwrap_err().to_string();
        assert_eq!(away, format!("there is no ledger yet: {}", file.display()));
        assert!(!file.exists());
    });
}

#[test]
fn a_caller_that_goes_away_does_not_undo_its_change() {
    run(async {
        let world = World::sqlite();
        let ledger: Arc<dyn Store> = world.open();
        let (a, b) = (token("a"), token("b"));
        let mut abandoned = ledger.issue(&a);
        assert!(futures_util::poll!(&mut abandoned).is_pending());
        drop(abandoned);
        ledger.issue(&b).await.unwrap();
        assert_eq!(ledger.get("a").await.unwrap(), Some(a));
        assert!(ledger.delete("b", at(1)).await.unwrap());
    });
}
