//! A disk that is full and a file that cannot be written, brought about on the writer's own connection.

use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;

use super::Store;
use super::queue::WAITING;
use crate::ledger::{Away, Create, Issue, Issued, Reserve, Store as _, Usage};

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn open(directory: &TempDir) -> Store {
    Store::open(&directory.path().join("duskgate.db"), Create::Yes, Duration::from_secs(60))
}

fn token(id: &str) -> Issued {
    Issued {
        id: id.to_owned(),
        operation: "operation".to_owned(),
        invite_type: "userJoinGroup".to_owned(),
        target: "group".to_owned(),
        issuer: "usr-anna".to_owned(),
        name: id.to_owned(),
        created_at: Timestamp::UNIX_EPOCH,
        privileges: None,
        revoked: false,
        custom_metadata: None,
        idempotency: None,
        deleted: false,
        usage: Usage::Unused,
    }
}

async fn pragma(store: &Store, name: &'static str, value: i64) {
    let set = move |connection: &rusqlite::Connection| {
        connection.pragma_update_and_check(None, name, value, |_| Ok(())).or_else(|error| match error {
            rusqlite::Error::QueryReturnedNoRows => Ok(()),
            other => Err(other),
        })
    };
    store.write(set).await.unwrap();
}

#[test]
fn a_full_disk_refuses_what_is_new_and_loses_nothing() {
    run(async {
        let directory = TempDir::new().unwrap();
        let store = open(&directory);
        // No more than there is already: the next page is one too many.
        store.issue(&token("first")).await.unwrap();
        pragma(&store, "max_page_count", 1).await;
        let mut issued = vec!["first".to_owned()];
        let away = loop {
            let id = format!("token {}", issued.len());
            match store.issue(&token(&id)).await {
                Ok(Issue::Recorded) => issued.push(id),
                Ok(other) => panic!("{other:?}"),
                Err(away) => break away,
            }
        };
        let file = directory.path().join("duskgate.db");
        assert_eq!(away.to_string(), format!("the disk of the ledger is full: {}", file.display()));
        store.check().await.unwrap();
        for id in &issued {
            assert!(store.get(id).await.unwrap().is_some(), "{id} is lost");
        }
        assert_eq!(store.get(&format!("token {}", issued.len())).await.unwrap(), None);
        // What needs no room goes on.
        assert_eq!(store.reserve("first", "ben", Timestamp::UNIX_EPOCH).await.unwrap(), Reserve::Fresh(1));

        pragma(&store, "max_page_count", 1_000_000).await;
        assert_eq!(store.issue(&token("later")).await.unwrap(), Issue::Recorded);
    });
}

#[test]
fn a_file_that_cannot_be_written_can_still_be_read() {
    run(async {
        let directory = TempDir::new().unwrap();
        let store = open(&directory);
        store.issue(&token("a")).await.unwrap();
        pragma(&store, "query_only", 1).await;
        let away = store.issue(&token("b")).await.unwrap_err();
        let said = away.to_string();
        assert!(matches!(away, Away::Sqlite { .. }), "{away:?}");
        assert!(said.starts_with("the ledger cannot be written: /"), "{said}");
        assert!(store.get("a").await.unwrap().is_some());
        // The file is opened anew then, in case that it can be written again.
        assert_eq!(store.issue(&token("b")).await.unwrap(), Issue::Recorded);
    });
}

#[test]
fn who_finds_too_many_before_it_is_told_at_once() {
    run(async {
        let directory = TempDir::new().unwrap();
        let store = open(&directory);
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let holding = store.write(move |_| {
            let _ = held.recv();
            Ok(())
        });
        // The one that holds may still be in the queue, or some of them may be out of it already.
        let changes: Vec<_> = (0..2 * WAITING).map(|_| store.write(|_| Ok(()))).collect();
        let away = store.issue(&token("a")).await.unwrap_err();
        assert!(matches!(away, Away::Crowded), "{away}");
        drop(let_go);
        holding.await.unwrap();
        for change in changes.into_iter().take(WAITING - 1) {
            change.await.unwrap();
        }
        assert_eq!(store.issue(&token("a")).await.unwrap(), Issue::Recorded);
    });
}

#[test]
fn one_change_that_fails_does_not_fail_those_beside_it() {
    run(async {
        let directory = TempDir::new().unwrap();
        let store = open(&directory);
        let (good, bad) = (token("good"), store.write(|_| Err::<(), _>(rusqlite::Error::InvalidQuery)));
        let good = store.issue(&good);
        assert!(bad.await.is_err());
        assert_eq!(good.await.unwrap(), Issue::Recorded);
    });
}
