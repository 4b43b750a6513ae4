//! The whole program on a ledger that cannot be written: its disk is full, it is read-only, its file is not what it should
//! be. What needs it is answered 503, everything else goes on, and as soon as it can be written again every token that was
//! ever handed out is good.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use duskgate::sandbox::{self, Sandbox};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::recovery::wait_until;
use super::{assert_error, id_of};
use crate::support::disk::Disk;
use crate::support::http::{Request, Response, ask};
use crate::support::program::{Program, Setup};
use crate::support::proxy::local_tables_at;

/// What the disk holds: enough for a ledger.
const ROOM: u64 = 4 * 1024 * 1024;
/// More tokens than can find room on a disk that is filled again after each.
const SOME: usize = 100;

/// A Onezone and a program in front of it, which may be stopped and started again.
struct Site {
    onezone: Sandbox,
    setup: Setup,
    program: Option<Program>,
    _keys: TempDir,
}

impl Site {
    /// A program that begins its command like this, with its ledger in this file.
    async fn new(prefix: Vec<String>, ledger: &Path) -> Site {
        let settings = sandbox::Settings { legacy: false, token_api: false, ..Default::default() };
        let onezone = sandbox::start(settings).await.unwrap();
        let keys = tempfile::tempdir().unwrap();
        let setup = Setup::before(onezone.address)
            .within(prefix)
            .upstream("service_token_file = \"service.token\"")
            .file("service.token", onezone.fixture.user("keeper").token.as_bytes())
            .deprecation("mode = \"local\"")
            .section(&local_tables_at(&format!("sqlite:{}", ledger.display()), keys.path()));
        let program = Some(setup.start());
        Site { onezone, setup, program, _keys: keys }
    }

    fn program(&self) -> &Program {
        self.program.as_ref().unwrap()
    }

    fn start(&mut self) {
        self.program = Some(self.setup.start());
    }

    fn stop(&mut self, signal: &str) {
        let mut program = self.program.take().unwrap();
        program.signal(signal);
        program.ended();
    }

    async fn call(&self, who: &str, method: &str, path: &str, body: Option<Value>) -> Response {
        let token = &self.onezone.fixture.user(who).token;
        let request = Request::new(method, &format!("/api/v3/onezone{path}")).token(token);
        self.program().ask(&body.map_or(request.clone(), |body| request.json(body))).await
    }

    fn group(&self) -> &str {
        &self.onezone.fixture.group("developers").id
    }

    async fn issue(&self) -> Response {
        self.call("anna", "POST", &format!("/groups/{}/users/token", self.group()), None).await
    }

    async fn issue_some(&self, count: usize) -> Vec<String> {
        let mut tokens = Vec::new();
        for _ in 0..count {
            let response = self.issue().await;
            assert_eq!(response.status, 200, "{response:?}");
            tokens.push(response.json()["token"].as_str().unwrap().to_owned());
        }
        tokens
    }

    /// Fills the disk until the program cannot record one more token, and returns those that it could.
    async fn fill(&self, disk: &Disk) -> Vec<String> {
        let mut tokens = Vec::new();
        loop {
            disk.fill();
            let response = self.issue().await;
            if response.status != 200 {
                return tokens;
            }
            tokens.push(response.json()["token"].as_str().unwrap().to_owned());
            assert!(tokens.len() < SOME, "a full disk takes all tokens");
        }
    }

    async fn join(&self, token: &str) -> Response {
        self.call("dan", "POST", "/user/groups/join", Some(json!({ "token": token }))).await
    }

    /// Past the program: whether dan is a member, or what came of removing him.
    async fn directly(&self, method: &str) -> u16 {
        let dan = &self.onezone.fixture.user("dan").id;
        let path = format!("/api/v3/onezone/groups/{}/users/{dan}", self.group());
        let request = Request::new(method, &path).token(&self.onezone.fixture.user("admin").token);
        ask(self.onezone.address, &request).await.status
    }

    async fn is_ready(&self) -> bool {
        let ready = self.program().admin("/readyz").await;
        let ledger = ready.json()["ledger"].as_bool().unwrap();
        assert_eq!((ready.status == 200, ready.status == 503), (ledger, !ledger), "{ready:?}");
        ledger
    }

    /// Nothing that the ledger must record is done, everything else is.
    async fn cannot_write(&self, tokens: &[String]) {
        let issued = self.issue().await;
        assert_error(&issued, 503, "ledgerUnavailable");
        assert_eq!(issued.header("deprecation"), Some("@1590969600"));
        assert_error(&self.join(&tokens[0]).await, 503, "ledgerUnavailable");
        assert_eq!(self.directly("GET").await, 404, "dan was added");
        let path = format!("/tokens/named/{}", id_of(&tokens[0]));
        let revoked = self.call("anna", "PATCH", &path, Some(json!({ "revoked": true }))).await;
        assert_error(&revoked, 503, "ledgerUnavailable");

        let examined = Some(json!({ "token": tokens[0] }));
        assert_eq!(self.call("dan", "POST", "/tokens/examine", examined).await.status, 200);
        assert_eq!(self.call("anna", "GET", "/user", None).await.status, 200);
        let body = Some(json!({ "token": self.onezone.fixture.user("anna").token }));
        assert_error(&self.call("dan", "POST", "/user/groups/join", body).await, 400, "badValueToken");
        assert!(!self.is_ready().await, "it says that the ledger is there");
        let up = self.program().metric("duskgate_ledger_up", &[]).await;
        assert_eq!(up, 0.0, "duskgate_ledger_up");
    }

    /// Each of these tokens is good, once.
    async fn can_redeem(&self, tokens: &[String]) {
        wait_until("the ledger is there again", async || self.is_ready().await).await;
        for token in tokens {
            assert_eq!(self.join(token).await.status, 201, "{}", id_of(token));
            assert_eq!(self.directly("DELETE").await, 204);
            assert_error(&self.join(token).await, 400, "inviteTokenUsageLimitReached");
        }
        assert_eq!(self.issue().await.status, 200);
        let log = self.program().log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

#[tokio::test]
async fn a_disk_that_fills_up_costs_no_token_and_is_made_good_by_room() {
    let disk = Disk::new(ROOM);
    let site = Site::new(disk.prefix(), &disk.path().join("ledger.db")).await;
    let mut tokens = site.issue_some(3).await;
    tokens.extend(site.fill(&disk).await);
    site.cannot_write(&tokens).await;
    site.program().logged(&["ERROR", "the disk of the ledger is full: ", "/ledger.db"]);
    // What is only read is there.
    let path = format!("/tokens/named/{}", id_of(&tokens[0]));
    assert_eq!(site.call("anna", "GET", &path, None).await.status, 200);
    disk.free();
    site.can_redeem(&tokens).await;
}

#[tokio::test]
async fn a_program_that_starts_on_a_full_disk_waits_for_room() {
    let disk = Disk::new(ROOM);
    let mut site = Site::new(disk.prefix(), &disk.path().join("ledger.db")).await;
    for signal in ["KILL", "TERM"] {
        let mut tokens = site.issue_some(2).await;
        tokens.extend(site.fill(&disk).await);
        site.stop(signal);
        // What it gave back at its end, or gives back when it looks at what it finds, is taken as well.
        disk.fill();
        site.start();
        tokens.extend(site.fill(&disk).await);
        site.cannot_write(&tokens).await;
        disk.free();
        site.can_redeem(&tokens).await;
    }
}

#[tokio::test]
async fn a_disk_that_may_not_be_written_is_not_and_is_as_soon_as_it_may() {
    let disk = Disk::new(ROOM);
    let mut site = Site::new(disk.prefix(), &disk.path().join("ledger.db")).await;
    let tokens = site.issue_some(3).await;
    for (signal, tokens) in [("KILL", &tokens[..1]), ("TERM", &tokens[1..])] {
        site.stop(signal);
        disk.forbid_writing();
        site.start();
        site.cannot_write(tokens).await;
        disk.allow_writing();
        site.can_redeem(tokens).await;
    }
}

#[tokio::test]
async fn a_file_or_a_directory_that_may_not_be_written_is_not_and_is_as_soon_as_it_may() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ledger.db");
    let mut site = Site::new(who_obeys_modes(), &file).await;
    // Whoever is killed leaves all the files that are needed, and none must be made in the directory.
    let cases = [
        (&*file, 0o444, 0o640, "KILL"),
        (&file, 0o444, 0o640, "TERM"),
        (directory.path(), 0o555, 0o755, "TERM"),
    ];
    for (path, forbidden, allowed, signal) in cases {
        let tokens = site.issue_some(2).await;
        site.stop(signal);
        fs::set_permissions(path, Permissions::from_mode(forbidden)).unwrap();
        site.start();
        site.cannot_write(&tokens).await;
        fs::set_permissions(path, Permissions::from_mode(allowed)).unwrap();
        site.can_redeem(&tokens).await;
    }
}

/// What a program begins with that may be root's: there it loses the right to write what is nobody's to write.
fn who_obeys_modes() -> Vec<String> {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"];
    if is_root { prefix.map(str::to_owned).into() } else { Vec::new() }
}

#[tokio::test]
async fn a_file_that_is_broken_is_left_alone_and_what_comes_back_is_taken_up() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ledger.db");
    let mut site = Site::new(Vec::new(), &file).await;
    let tokens = site.issue_some(2).await;
    site.stop("TERM");
    let good = fs::read(&file).unwrap();
    // Nothing of it is a ledger; and only its beginning is.
    for broken in [vec![b'x'; good.len()], [&good[..4096], &vec![0xa5; good.len() - 4096]].concat()] {
        fs::write(&file, &broken).unwrap();
        site.start();
        site.cannot_write(&tokens).await;
        site.stop("TERM");
        assert!(fs::read(&file).unwrap() == broken, "the file was touched");
    }
    fs::write(&file, good).unwrap();
    site.start();
    site.can_redeem(&tokens).await;
}

#[tokio::test]
async fn a_file_that_is_gone_is_a_new_ledger_which_knows_no_token() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ledger.db");
    let mut site = Site::new(Vec::new(), &file).await;
    let tokens = site.issue_some(1).await;
    site.stop("TERM");
    fs::remove_file(&file).unwrap();
    site.start();
    assert!(site.is_ready().await);
    let refused = site.join(&tokens[0]).await;
    assert_error(&refused, 400, "tokenInvalid");
    let tokens = site.issue_some(1).await;
    site.can_redeem(&tokens).await;
}

#[tokio::test]
async fn a_file_that_is_taken_away_under_a_running_program_is_missed_until_it_is_put_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ledger.db");
    let mut site = Site::new(Vec::new(), &file).await;
    let mut tokens = site.issue_some(2).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let names = ["ledger.db", "ledger.db-wal", "ledger.db-shm"];
    for name in names {
        fs::rename(directory.path().join(name), elsewhere.path().join(name)).unwrap();
    }
    site.cannot_write(&tokens).await;
    site.program().logged(&["ERROR", "the ledger's file is gone: ", "/ledger.db: put it back"]);
    assert!(!file.exists(), "an empty ledger is in the way");
    for name in names {
        fs::rename(elsewhere.path().join(name), directory.path().join(name)).unwrap();
    }
    wait_until("the ledger is there again", async || site.is_ready().await).await;
    tokens.extend(site.issue_some(1).await);
    // As it is on the disk, and nowhere else.
    site.stop("KILL");
    site.start();
    site.can_redeem(&tokens).await;
}

#[tokio::test]
async fn a_file_that_is_deleted_under_a_running_program_can_be_put_back_from_a_copy() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ledger.db");
    let mut site = Site::new(Vec::new(), &file).await;
    let tokens = site.issue_some(2).await;
    site.stop("TERM");
    let copy = fs::read(&file).unwrap();
    site.start();
    site.issue_some(1).await;
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        fs::remove_file(directory.path().join(name)).unwrap();
    }
    site.cannot_write(&tokens).await;
    fs::write(&file, copy).unwrap();
    site.can_redeem(&tokens).await;
}
