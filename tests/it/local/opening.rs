//! The program opens its ledger when it starts, and says at once what is wrong with it.

use std::path::Path;

use crate::support::backend::Backend;
use crate::support::program::Setup;
use crate::support::proxy::local_tables_at;

fn setup(backend: &Backend, ledger: &Path, keys: &Path) -> Setup {
    Setup::before(backend.address)
        .upstream("service_token_file = \"service.token\"")
        .file("service.token", "t")
        .deprecation("mode = \"local\"")
        .section(&local_tables_at(&format!("sqlite:{}", ledger.display()), keys))
}

#[test]
fn a_ledger_of_a_newer_program_is_not_started_with() {
    let (backend, directory) =
        (Backend::answering("HTTP/1.1 204 No Content\r\n\r\n"), tempfile::tempdir().unwrap());
    let file = directory.path().join("ledger.db");
    let setup = setup(&backend, &file, directory.path());
    // One that is not there yet is made.
    let mut program = setup.start();
    assert!(file.exists());
    program.signal("TERM");
    assert!(program.ended().success());
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let (code, text) = setup.fail();
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("error: the ledger is of version 99, this program knows versions up to "),
        "{text}"
    );
}

#[test]
fn what_is_wrong_with_the_ledger_is_said_at_the_start() {
    let (backend, directory) =
        (Backend::answering("HTTP/1.1 204 No Content\r\n\r\n"), tempfile::tempdir().unwrap());
    let foreign = directory.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE tokens (secret TEXT)").unwrap();
    let letter = directory.path().join("letter.db");
    std::fs::write(&letter, "Dear Sir or Madam, ".repeat(100)).unwrap();
    let nowhere = directory.path().join("no/such/directory.db");
    for (file, said) in [
        (&foreign, "not a Duskgate ledger: "),
        (&letter, "the file is no ledger: "),
        (&nowhere, "cannot create the ledger: "),
    ] {
        let program = setup(&backend, file, directory.path()).start();
        let line = program.logged(&["ERROR", said, "mode local answers 503"]);
        assert!(line.contains(&*file.display().to_string()) && !line.contains("CREATE"), "{line}");
    }
}
