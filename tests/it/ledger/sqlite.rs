//! What is SQLite's own: many changes for one flush, other processes at the file, and a file that cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use duskgate::ledger::{self, Away, Create, Location, Settings, Usage};
use futures_util::future::join_all;
use tempfile::TempDir;

use super::world::{World, at, ids, issue, run, token, usage};

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
fn to_look_at_an_empty_file_makes_no_ledger_of_it() {
    run(async {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("duskgate.db");
        fs::write(&file, "").unwrap();
        let ledger = ledger::open(&Settings::at(Location::Sqlite(file.clone())), Create::No);
        for away in
            [ledger.list(&Default::default()).await.err(), ledger.set_revoked("a", true, at(1)).await.err()]
        {
            let expected = format!("there is no ledger yet: {}", file.display());
            assert_eq!(away.unwrap().to_string(), expected);
        }
        drop(ledger);
        assert_eq!(fs::metadata(&file).unwrap().len(), 0);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    });
}

#[test]
fn the_tables_of_another_program_are_left_alone_and_not_recited() {
    run(async {
        for (version, table) in [(0, "tokens"), (0, "customers"), (1, "tokens"), (1, "customers")] {
            let world = World::sqlite();
            let other = beside(&world);
            other
                .execute_batch(&format!("CREATE TABLE {table} (name TEXT); PRAGMA user_version = {version}"))
                .unwrap();
            drop(other);
            let before = fs::read(file(&world)).unwrap();
            for create in [Create::Yes, Create::No] {
                let ledger = ledger::open(&world.settings(), create);
                for away in [ledger.check().await.err(), ledger.issue(&token("a")).await.err()] {
                    let expected = format!(
                        "not a Duskgate ledger: {} holds the tables of another program; name another place in ledger.url",
                        file(&world).display()
                    );
                    assert_eq!(away.unwrap().to_string(), expected, "{version} {table}");
                }
            }
            assert!(fs::read(file(&world)).unwrap() == before, "{version} {table}: it was changed");
        }
    });
}

#[test]
fn a_change_whose_caller_has_given_up_is_not_made_any_more() {
    run(async {
        let world = World::sqlite();
        issue(&*world.open(), "first").await;
        let settings = Settings { timeout: Duration::from_millis(50), ..world.settings() };
        let impatient = ledger::open(&settings, Create::Yes);
        let other = beside(&world);
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        for away in [
            impatient.issue(&token("a")).await.err(),
            impatient.reserve("first", "user:ben", at(1)).await.err(),
        ] {
            assert!(matches!(away, Some(Away::Slow)), "{away:?}");
        }
        other.execute_batch("ROLLBACK").unwrap();
        // Dropped, it finishes what is to be done.
        drop(impatient);
        let ledger = world.open();
        assert_eq!(ledger.get("a").await.unwrap(), None);
        assert_eq!(usage(&*ledger, "first").await, Usage::Unused);
    });
}

/// The ledger and what lies beside it, each under its name with this added.
fn move_all(world: &World, from: &str, to: &str) {
    for name in ["duskgate.db", "duskgate.db-wal", "duskgate.db-shm"] {
        let name = |end: &str| file(world).with_file_name(format!("{name}{end}"));
        if name(from).exists() {
            fs::rename(name(from), name(to)).unwrap();
        }
    }
}

#[test]
fn a_file_that_was_taken_away_is_missed_and_nothing_is_written_into_it() {
    run(async {
        let world = World::sqlite();
        let ledger = world.open();
        issue(&*ledger, "a").await;
        assert!(ledger.get("a").await.unwrap().is_some());
        move_all(&world, "", ".away");
        let gone = format!(
            "the ledger's file is gone: {}: put it back, or restart to begin with an empty ledger",
            file(&world).display()
        );
        for _ in 0..2 {
            assert_eq!(ledger.issue(&token("b")).await.unwrap_err().to_string(), gone);
            assert_eq!(ledger.get("a").await.unwrap_err().to_string(), gone);
            assert_eq!(ledger.check().await.unwrap_err().to_string(), gone);
        }
        assert!(!file(&world).exists(), "an empty ledger is in the way");
        move_all(&world, ".away", "");
        ledger.check().await.unwrap();
        assert_eq!(ledger.get("b").await.unwrap(), None);
        issue(&*ledger, "b").await;
        drop(ledger);
        assert!(world.open().get("b").await.unwrap().is_some());
    });
}

#[test]
fn another_file_in_its_place_is_the_ledger_from_then_on_unless_the_log_is_of_the_one_before() {
    run(async {
        let world = World::sqlite();
        let ledger = world.open();
        issue(&*ledger, "in both").await;
        let copy = file(&world).with_file_name("copy.db");
        beside(&world).execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
        issue(&*ledger, "in the first").await;
        assert!(ledger.get("in the first").await.unwrap().is_some());

        fs::rename(&copy, file(&world)).unwrap();
        for away in [ledger.check().await, ledger.issue(&token("b")).await.map(drop)] {
            let away = away.unwrap_err();
            assert!(matches!(away, Away::Mismatched(_)), "{away}");
        }
        for end in ["-wal", "-shm"] {
            let name = |begin: &str| file(&world).with_file_name(format!("{begin}{end}"));
            fs::rename(name("duskgate.db"), name("old")).unwrap();
        }
        assert!(ledger.get("in both").await.unwrap().is_some());
        assert_eq!(ledger.get("in the first").await.unwrap(), None);
        issue(&*ledger, "b").await;
        ledger.check().await.unwrap();
        drop(ledger);
        let found = world.open().list(&Default::default()).await.unwrap().tokens;
        assert_eq!(ids(&found), ["in both", "b"]);
    });
}
