//! `duskgate tokens list`, `show` and `revoke` on a ledger that is in use: the program itself, its output and its exit
//! codes.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use duskgate::ledger::{Commit, Issue, Issued, Reserve, Store};
use serde_json::{Value, json};

use crate::ledger::world::{World, at, issue, reserve_fresh, run, token};

/// A directory with a configuration for the ledger of this world.
fn configured(url: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "[upstream]\nservers = [\"http://onezone\"]\n[ledger]\nurl = \"{url}\"\n\
         [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n"
    );
    std::fs::write(directory.path().join("c.toml"), text).unwrap();
    directory
}

fn tokens(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_duskgate"))
        .arg("tokens")
        .args(arguments)
        .args(["--config", "c.toml"])
        .current_dir(directory)
        .env_clear()
        .output()
        .unwrap()
}

/// What it printed, having ended well.
fn printed(directory: &Path, arguments: &[&str]) -> String {
    let output = tokens(directory, arguments);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Three tokens in a ledger that stays open, as a running proxy has it.
async fn filled(world: &World) -> Arc<dyn Store> {
    let ledger = world.open();
    let full = Issued {
        privileges: Some(vec!["group_view".to_owned()]),
        custom_metadata: Some(json!({"a": 1})),
        idempotency: Some(b"the-hash".to_vec()),
        name: "a \u{1b}[31mname".to_owned(),
        ..token("full")
    };
    assert_eq!(ledger.issue(&full).await.unwrap(), Issue::Recorded);
    for id in ["reserved", "used"] {
        issue(&*ledger, id).await;
        reserve_fresh(&*ledger, id, "user:ben", 1).await;
    }
    assert_eq!(ledger.commit("used", "user:ben", at(2)).await.unwrap(), Commit::Done);
    ledger
}

async fn the_commands_work_on(world: World) {
    let ledger = filled(&world).await;
    let directory = configured(&world.url());
    let directory = directory.path();

    let list = printed(directory, &["list"]);
    let cells = |row: &str| -> Vec<String> {
        row.split("  ").map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
    };
    let rows: Vec<_> = list.lines().map(cells).collect();
    assert_eq!(rows[0], ["ID", "STATE", "TYPE", "TARGET", "ISSUER", "CREATED", "CONSUMER", "NAME"]);
    let created = "2027-01-15T08:00:00.123456Z";
    let issued = ["userJoinGroup", "group", "usr-anna", created];
    for (row, id, state, consumer, name) in [
        (1, "full", "unused", "-", "a \u{fffd}[31mname"),
        (2, "reserved", "reserved", "user:ben", "name of reserved"),
        (3, "used", "used", "user:ben", "name of used"),
    ] {
        assert_eq!(rows[row], [&[id, state], &issued[..], &[consumer, name]].concat(), "{list}");
    }

    let all: Value = serde_json::from_str(&printed(directory, &["list", "--json"])).unwrap();
    assert_eq!(all.as_array().unwrap().len(), 3);
    let used: Value =
        serde_json::from_str(&printed(directory, &["list", "--state", "used", "--json"])).unwrap();
    let shown: Value = serde_json::from_str(&printed(directory, &["show", "used", "--json"])).unwrap();
    assert_eq!(used, json!([shown]));
    assert_eq!(
        shown,
        json!({
            "id": "used", "name": "name of used", "state": "used", "operation": "create_user_group_invite_token",
            "invite_type": "userJoinGroup", "target": "group", "issuer": "usr-anna", "created_at": created,
            "privileges": null, "revoked": false, "deleted": false, "usage_limit": 1, "usage_count": 1, "consumer": "user:ben",
            "reserved_at": null, "used_at": "2027-01-15T08:00:02.123456Z", "custom_metadata": null
        })
    );
    let none: Value =
        serde_json::from_str(&printed(directory, &["list", "--issuer", "usr-ben", "--json"])).unwrap();
    assert_eq!(none, json!([]));

    let full = printed(directory, &["show", "full"]);
    for line in
        ["id: full\n", "state: unused\n", "privileges: [\"group_view\"]\n", "custom_metadata: {\"a\":1}\n"]
    {
        assert!(full.contains(line), "{full}");
    }
    assert!(!full.contains("hash") && !full.contains('\u{1b}'), "{full}");

    assert_eq!(printed(directory, &["revoke", "full"]), "revoked: full\n");
    // The proxy, which runs all the time, sees it at once.
    assert_eq!(ledger.reserve("full", "user:eve", at(3)).await.unwrap(), Reserve::Revoked);
    assert_eq!(printed(directory, &["revoke", "full"]), "revoked: full\n");
}

/// What holds a member back must not be out of the operator's sight.
async fn the_reservation_of_a_dead_token_is_shown_on(world: World) {
    let ledger = filled(&world).await;
    issue(&*ledger, "gone").await;
    reserve_fresh(&*ledger, "gone", "user:eve", 1).await;
    assert!(ledger.delete("gone", at(2)).await.unwrap());
    let directory = configured(&world.url());
    let directory = directory.path();
    assert_eq!(printed(directory, &["revoke", "reserved"]), "revoked: reserved\n");

    let list = printed(directory, &["list", "--state", "reserved"]);
    assert_eq!(list.lines().count(), 3, "{list}");
    assert!(list.contains("  reserved, revoked  ") && list.contains("  reserved, deleted  "), "{list}");
    let json: Value =
        serde_json::from_str(&printed(directory, &["list", "--state", "reserved", "--json"])).unwrap();
    let told = |number: usize| {
        ["id", "state", "revoked", "deleted", "consumer"].map(|key| json[number][key].clone())
    };
    assert_eq!(told(0), [json!("reserved"), json!("reserved"), json!(true), json!(false), json!("user:ben")]);
    assert_eq!(told(1), [json!("gone"), json!("reserved"), json!(false), json!(true), json!("user:eve")]);
    let shown = printed(directory, &["show", "reserved"]);
    assert!(shown.contains("state: reserved, revoked\n") && shown.contains("revoked: true\n"), "{shown}");
    let shown = printed(directory, &["show", "gone"]);
    assert!(
        shown.contains("state: reserved, deleted\n") && shown.contains("consumer: user:eve\n"),
        "{shown}"
    );
}

#[test]
fn the_reservation_of_a_dead_token_is_shown_on_sqlite() {
    run(async { the_reservation_of_a_dead_token_is_shown_on(World::sqlite()).await });
}

#[test]
fn the_reservation_of_a_dead_token_is_shown_on_postgres() {
    run(async { the_reservation_of_a_dead_token_is_shown_on(World::postgres().await).await });
}

#[test]
fn the_commands_work_on_sqlite() {
    run(async { the_commands_work_on(World::sqlite()).await });
}

#[test]
fn the_commands_work_on_postgres() {
    run(async { the_commands_work_on(World::postgres().await).await });
}

#[test]
fn a_long_list_says_how_to_go_on() {
    run(async {
        let world = World::sqlite();
        let _ledger = filled(&world).await;
        let directory = configured(&world.url());
        let output = tokens(directory.path(), &["list", "--limit", "2"]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(text(&output.stderr), "note: there are more; go on with --after 2\n");
        let rest = printed(directory.path(), &["list", "--limit", "2", "--after", "2"]);
        assert_eq!(rest.lines().count(), 2, "{rest}");
    });
}

#[test]
fn an_unknown_token_is_not_repeated() {
    run(async {
        let world = World::sqlite();
        let _ledger = filled(&world).await;
        let directory = configured(&world.url());
        for command in ["show", "revoke"] {
            let output = tokens(directory.path(), &[command, "MDAxOHNlY3JldA"]);
            assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
            assert_eq!(
                text(&output.stderr),
                "error: no token with this id was issued here; `duskgate tokens inspect` shows the id of a token\n"
            );
        }
    });
}

#[test]
fn a_ledger_that_is_not_there_is_not_created() {
    let directory = configured("sqlite:nowhere.db");
    for arguments in [&["list"][..], &["show", "a"], &["revoke", "a"]] {
        let output = tokens(directory.path(), arguments);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
        assert_eq!(text(&output.stderr), "error: there is no ledger yet: nowhere.db\n");
    }
    assert!(!directory.path().join("nowhere.db").exists());
    let file = directory.path().join("nowhere.db");
    std::fs::write(&file, "").unwrap();
    assert_eq!(
        text(&tokens(directory.path(), &["list"]).stderr),
        "error: there is no ledger yet: nowhere.db\n"
    );
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);
}

#[test]
fn a_data_base_that_cannot_be_reached_is_named_without_its_password() {
    let directory = configured("postgres://me:hush@127.0.0.1:1/db");
    let output = tokens(directory.path(), &["list"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.starts_with("error: the data base cannot be reached: "), "{said}");
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn the_commands_write_nothing_where_the_disk_takes_nothing() {
    run(async {
        let world = World::sqlite();
        let ledger = filled(&world).await;
        let directory = configured(&world.url());
        // No file may grow, as on a full disk.
        let output = Command::new("env")
            .args(["--ignore-signal=XFSZ", "prlimit", "--fsize=0", env!("CARGO_BIN_EXE_duskgate")])
            .args(["tokens", "revoke", "used", "--config", "c.toml"])
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
        assert!(text(&output.stderr).starts_with("error: the ledger "), "{}", text(&output.stderr));
        assert!(!ledger.get("used").await.unwrap().unwrap().revoked);
        assert!(ledger.set_revoked("used", true, at(4)).await.unwrap(), "others can still write");
    });
}
