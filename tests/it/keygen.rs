//! `duskgate keygen` as a person or a script uses it, and the files that it makes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use duskgate::token::keys::{KeyRing, Ours};
use duskgate::token::{Identifier, InviteType, Persistence, Subject, Token, Type, key_file};
use jiff::Timestamp;

fn keygen(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_duskgate"));
    command.current_dir(directory).arg("keygen").args(arguments).output().expect("duskgate runs")
}

/// Runs it, and expects it to succeed without a word.
fn succeed(directory: &Path, arguments: &[&str]) {
    let output = keygen(directory, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}

/// Runs it, expects it to fail, and gives what it says.
fn refusal(directory: &Path, arguments: &[&str]) -> String {
    let output = keygen(directory, arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).expect("a message")
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).expect("a file").mode() & 0o7777
}

fn token(ring: &KeyRing) -> Token {
    let kind = Type::invite(InviteType::UserJoinGroup, "group1");
    let id = Identifier::new(
        Persistence::Named,
        Subject::User("user1".to_owned()),
        kind,
        ring.mint_id(Timestamp::UNIX_EPOCH),
    );
    let secret = ring.secret(&id.id).expect("a secret");
    Token::mint("onezone.example.org", id, Vec::new(), secret.as_bytes()).expect("a token")
}

#[test]
fn a_new_key_is_random_and_for_its_owner_only() {
    let directory = directory();
    succeed(directory.path(), &["a.key"]);
    succeed(directory.path(), &["b.key"]);
    let (a, b) = (directory.path().join("a.key"), directory.path().join("b.key"));
    assert_eq!((mode(&a), mode(&b)), (0o600, 0o600));
    let (a, b) = (key_file::read(&a).expect("keys"), key_file::read(&b).expect("keys"));
    assert_eq!((a.count(), b.count()), (1, 1));
    assert_eq!((a.is_ours(&token(&a)), a.is_ours(&token(&b))), (Ours::Yes, Ours::No));
}

#[test]
fn the_mode_does_not_depend_on_the_umask() {
    let directory = directory();
    for umask in ["000", "777"] {
        let line = format!("umask {umask}; exec {} keygen {umask}.key", env!("CARGO_BIN_EXE_duskgate"));
        let status = Command::new("sh").current_dir(directory.path()).args(["-c", &line]).status();
        assert!(status.expect("a shell").success());
        assert_eq!(mode(&directory.path().join(format!("{umask}.key"))), 0o600, "umask {umask}");
    }
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let directory = directory();
    let file = directory.path().join("mine");
    fs::write(&file, "precious").expect("a file");
    symlink("nowhere", directory.path().join("link")).expect("a link");
    for name in ["mine", "link"] {
        let message = refusal(directory.path(), &[name]);
        let expected =
            format!("error: {name} exists already; --add puts a new key in front of those in it\n");
        assert_eq!(message, expected);
    }
    assert_eq!(fs::read_to_string(&file).expect("the file"), "precious");
    assert!(!directory.path().join("nowhere").exists());
}

#[test]
fn add_puts_a_new_key_in_front_and_keeps_the_rest_byte_for_byte() {
    let directory = directory();
    let file = directory.path().join("the.key");
    succeed(directory.path(), &["the.key"]);
    let first = format!("# of May\n{}", fs::read_to_string(&file).expect("the file"));
    fs::write(&file, &first).expect("the file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).expect("a mode");
    let old = token(&key_file::read(&file).expect("keys"));

    succeed(directory.path(), &["the.key", "--add"]);
    let second = fs::read_to_string(&file).expect("the file");
    assert_eq!(second.split_once('\n').map(|(key, rest)| (key.len(), rest)), Some((64, first.as_str())));
    assert_eq!(mode(&file), 0o400);
    let ring = key_file::read(&file).expect("keys");
    assert_eq!((ring.count(), ring.is_ours(&old), ring.is_ours(&token(&ring))), (2, Ours::Yes, Ours::Yes));
    // The newest issues.
    let newest = KeyRing::parse(&second[..65]).expect("a key");
    assert_eq!(newest.is_ours(&token(&ring)), Ours::Yes);
}

#[test]
fn add_goes_through_a_link_and_leaves_nothing_else_behind() {
    let directory = directory();
    succeed(directory.path(), &["the.key"]);
    symlink("the.key", directory.path().join("link")).expect("a link");
    succeed(directory.path(), &["--add", "link"]);
    assert!(fs::symlink_metadata(directory.path().join("link")).expect("the link").is_symlink());
    assert_eq!(key_file::read(&directory.path().join("the.key")).expect("keys").count(), 2);
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 2);
}

#[test]
fn no_key_is_lost_when_many_are_added_at_once() {
    let directory = directory();
    succeed(directory.path(), &["the.key"]);
    let file = directory.path().join("the.key");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    key_file::add(&file).expect("a key is added");
                    key_file::read(&file).expect("keys at every moment");
                }
            });
        }
    });
    assert_eq!(key_file::read(&file).expect("keys").count(), 41);
}

#[test]
fn add_changes_nothing_where_the_file_is_no_key_file() {
    let directory = directory();
    let file = directory.path().join("mine");
    assert!(refusal(directory.path(), &["--add", "mine"]).contains("cannot read mine: No such file"));
    fs::write(&file, "hunter2\n").expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    let message = refusal(directory.path(), &["--add", "mine"]);
    assert!(message.ends_with("mine: line 1 is no key: expected 64 hexadecimal digits\n"), "{message}");
    assert!(!message.contains("hunter2"));
    assert_eq!(fs::read_to_string(&file).expect("the file"), "hunter2\n");
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let directory = directory();
    let file = directory.path().join("the.key");
    succeed(directory.path(), &["the.key"]);
    for mode in [0o644, 0o640, 0o604, 0o620, 0o601, 0o660] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("a mode");
        let error = key_file::read(&file).expect_err("others can read it").to_string();
        let reason = format!("has mode {mode:04o}, so others can read or change the keys; chmod 600 it");
        assert_eq!(error, format!("{} {reason}", file.display()));
        assert!(refusal(directory.path(), &["--add", "the.key"]).ends_with(&format!("{reason}\n")));
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).expect("a mode");
    assert_eq!(key_file::read(&file).expect("keys").count(), 1);
}

#[test]
fn a_key_file_of_another_user_is_refused_to_root() {
    // Who is not root cannot read a file of mode 0600 that is another's, nor give one away.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let directory = directory();
    succeed(directory.path(), &["the.key"]);
    let file = directory.path().join("the.key");
    std::os::unix::fs::chown(&file, Some(65_534), None).expect("root may");
    let reason = "belongs to the user 65534, who can change the keys, and this runs as the user 0; chown it to that user or \
                  to root, or run this as the user 65534";
    let error = key_file::read(&file).expect_err("it is another's").to_string();
    assert_eq!(error, format!("{} {reason}", file.display()));
    // Root adds a key to the file of the user as whom the proxy runs, whose it stays.
    succeed(directory.path(), &["--add", "the.key"]);
    assert_eq!(fs::metadata(&file).expect("the file").uid(), 65_534);
    std::os::unix::fs::chown(&file, Some(0), None).expect("root may");
    assert_eq!(key_file::read(&file).expect("keys").count(), 2);
}

#[test]
fn what_is_no_file_is_refused() {
    let directory = directory();
    fs::create_dir(directory.path().join("directory")).expect("a directory");
    let fifo = directory.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    for name in ["directory", "fifo"] {
        let error = key_file::read(&directory.path().join(name)).expect_err(name).to_string();
        assert!(error.ends_with(&format!("{name} is no regular file")), "{error}");
    }
    let large = directory.path().join("large");
    fs::write(&large, vec![b'\n'; 70_000]).expect("a file");
    fs::set_permissions(&large, fs::Permissions::from_mode(0o600)).expect("a mode");
    let error = key_file::read(&large).expect_err("too large").to_string();
    assert!(error.ends_with("it is larger than 64 KiB"), "{error}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let message = refusal(Path::new("/"), &["/no/such/directory/the.key"]);
    assert!(message.starts_with("error: cannot create /no/such/directory/the.key: "), "{message}");
}
