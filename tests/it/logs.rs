//! The log: one line for each deprecated call, and never a credential or the raw path of a deprecated operation.

use duskgate::sandbox::{self, Sandbox};
use serde_json::Value;

use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::{Program, Setup};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
const TEMPLATE: &str = "/api/v3/onezone/groups/{id}/users/token";

async fn onezone() -> Sandbox {
    sandbox::start(sandbox::Settings::default()).await.unwrap()
}

fn before(onezone: &Sandbox) -> Setup {
    Setup::before_all([onezone.url.clone()])
}

/// A call of the route, by somebody who may.
fn call(onezone: &Sandbox) -> Request {
    let path = TEMPLATE.replace("{id}", &onezone.fixture.group("developers").id);
    Request::new("POST", &path).token(&onezone.fixture.user("anna").token)
}

/// The lines of the access log; the program is stopped in order, so that they are all there.
fn access_lines(program: &mut Program, marker: &str) -> Vec<String> {
    program.signal("TERM");
    assert_eq!(program.ended().code(), Some(0));
    // Everything is read once the pipe is at its end.
    program.log_ended();
    program.log().lines().filter(|line| line.contains(marker)).map(str::to_owned).collect()
}

#[tokio::test]
async fn each_deprecated_call_has_one_line_of_text() {
    let onezone = onezone().await;
    let mut program = before(&onezone).deprecation("mode = \"observe\"").start();
    let mut connection = Connection::to(program.address()).await;
    assert_eq!(connection.ask(&call(&onezone)).await.status, 200);
    assert_eq!(connection.ask(&call(&onezone).token("nonsense")).await.status, 401);
    assert_eq!(connection.ask(&Request::new("GET", "/api/v3/onezone/health")).await.status, 200);

    let lines = access_lines(&mut program, " access: ");
    assert_eq!(lines.len(), 2, "{lines:?}");
    let user = &onezone.fixture.user("anna").id;
    let fields: Vec<&str> = lines[0].split_once(" access: ").unwrap().1.split(' ').collect();
    assert_eq!(
        fields[..7],
        [
            "operation=create_user_group_invite_token",
            "mode=observe",
            "phase=deprecated",
            &format!("consumer=user:{user}"),
            "method=POST",
            &format!("path={TEMPLATE}"),
            "status=200",
        ]
    );
    assert!(fields[7].strip_prefix("duration=").unwrap().parse::<f64>().unwrap() > 0.0, "{fields:?}");
    assert!(fields[8].starts_with("peer=127.0.0.1:"), "{fields:?}");
    assert!(lines[1].contains(" status=401 "), "{lines:?}");
}

#[tokio::test]
async fn each_deprecated_call_has_one_line_of_json_and_every_other_line_is_json() {
    let onezone = onezone().await;
    let setup = before(&onezone).section("[log]\nformat = \"json\"").deprecation("mode = \"rewrite\"");
    let mut program = setup.start();
    assert_eq!(program.ask(&call(&onezone)).await.status, 200);
    let lines = access_lines(&mut program, "\"target\":\"access\"");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    let user = &onezone.fixture.user("anna").id;
    for (field, value) in [
        ("level", "INFO"),
        ("operation", "create_user_group_invite_token"),
        ("mode", "rewrite"),
        ("phase", "deprecated"),
        ("consumer", &format!("user:{user}")),
        ("method", "POST"),
        ("path", TEMPLATE),
    ] {
        assert_eq!(line[field], value, "{line}");
    }
    assert_eq!(line["status"], 200, "{line}");
    assert!(line["duration"].as_f64().unwrap() > 0.0, "{line}");
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    assert!(line["timestamp"].is_string(), "{line}");
    for line in program.log().lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn all_requests_have_a_line_where_that_is_wanted() {
    let onezone = onezone().await;
    let mut program = before(&onezone).section("[log]\naccess = \"all\"").start();
    program.ask(&Request::new("GET", "/api/v3/onezone/health?a=b")).await;
    program.ask(&call(&onezone)).await;
    let lines = access_lines(&mut program, " access: ");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains(" method=GET path=/api/v3/onezone/health status=200 "), "{lines:?}");
    assert!(lines[1].contains(" operation=create_user_group_invite_token "), "{lines:?}");
}

#[tokio::test]
async fn the_access_log_can_be_off_and_turned_on_while_running() {
    let onezone = onezone().await;
    let off = before(&onezone).section("[log]\naccess = \"off\"");
    let mut program = off.start();
    assert_eq!(program.ask(&call(&onezone)).await.status, 200);
    program.configure(&before(&onezone));
    assert_eq!(program.command("/reload").await.status, 200);
    assert_eq!(program.ask(&call(&onezone).token("nonsense")).await.status, 401);
    let lines = access_lines(&mut program, " access: ");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(" status=401 "), "{lines:?}");
}

#[tokio::test]
async fn no_credential_and_no_raw_path_is_ever_logged() {
    let backend = Backend::with(|request| match request.line.contains("broken") {
        true => "nonsense\r\n\r\n".to_owned(),
        false => OK.to_owned(),
    });
    let onezone = onezone().await;
    let token = onezone.fixture.user("anna").token.clone();
    let secret = |request: Request| {
        request
            .token(&token)
            .header("Authorization", "Basic c2VjcmV0LW5hbWU6c2VjcmV0LXBhc3N3b3Jk")
            .header("Macaroon", &token)
            .header("Cookie", "session=secret-cookie")
            .header("Idempotency-Key", "secret-key")
    };
    for mode in ["observe", "rewrite", "gone"] {
        let mut program = Setup::before(backend.address)
            // Nobody waits for the left-over token that may be at this backend.
            .section("[log]\naccess = \"all\"\n[limits]\ndrain = \"0s\"")
            .deprecation(&format!("mode = {mode:?}"))
            .environment("RUST_LOG", "trace")
            .start();
        let mut connection = Connection::to(program.address()).await;
        for request in [
            Request::new("POST", "/api/v3/onezone/groups/secret-group/users/token?secret-query"),
            Request::new("PUT", "/api/v3/onezone/groups/secret-group/users/token"),
            Request::new("DELETE", "/api/v3/onezone/user/client_tokens/secret-path"),
            Request::new("DELETE", "/api/v3/onezone/user/client_tokens/./secret-%70ath/?broken"),
            Request::new("GET", "/api/v3/onezone/user/client_tokens/secret-path"),
            Request::new("GET", "/api/v3/onezone/user?token=secret-query"),
            Request::new("GET", "/broken").body("secret-body"),
        ] {
            connection.ask(&secret(request)).await;
        }
        // What is refused is not quoted.
        let malformed = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Auth-Token : {token}\r\n\r\n");
        connection.write(malformed.as_bytes()).await;
        assert_eq!(connection.read("GET").await.status, 400);
        let lines = access_lines(&mut program, " access: ");
        assert_eq!(lines.len(), 7, "{mode}: {lines:?}");
        let log = program.log();
        for word in [&token, "secret", "c2VjcmV0"] {
            let line = log.lines().find(|line| line.contains(word));
            assert_eq!(line, None, "{mode}: {word}");
        }
    }
}

#[tokio::test]
async fn a_consumers_name_cannot_forge_a_line() {
    let backend = Backend::answering(OK);
    let mut program = Setup::before(backend.address).deprecation("mode = \"observe\"").start();
    // "a\nfake status=200:x"
    let request = Request::new("POST", "/api/v3/onezone/groups/g/users/token")
        .header("Authorization", "Basic YQpmYWtlIHN0YXR1cz0yMDA6eA==");
    program.ask(&request).await;
    let lines = access_lines(&mut program, " access: ");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(!program.log().lines().any(|line| line.starts_with("fake")), "{lines:?}");
    assert!(lines[0].contains("consumer=\"basic:a"), "{lines:?}");
}

#[tokio::test]
async fn an_outage_does_not_write_a_line_with_each_request_and_says_how_many_it_held_back() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let program = Setup::before(nobody).one_thread().start();
    let (begin, mut asked) = (std::time::Instant::now(), 0);
    while !program.log().contains("held back") {
        assert!(begin.elapsed().as_secs() < 60, "nothing was held back of {asked}: {}", program.log());
        // Many at once, so that a slow machine sees more than a few a second.
        let asking = (0..50)
            .map(|_| async { crate::support::http::ask(program.address(), &Request::new("GET", "/")).await });
        let answers = futures_util::future::join_all(asking).await;
        assert!(answers.iter().all(|answer| answer.status == 503));
        asked += answers.len();
    }
    let told = program.log().matches("no connection to").count();
    assert!(told > 0 && told < asked, "{told} of {asked}");
}
