//! Readiness and `healthcheck`.

use std::process::{Command, Output};

use serde_json::json;

use super::Refusing;
use crate::support::backend::Backend;
use crate::support::program::{Program, Setup};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

fn healthcheck(program: &Program) -> Output {
    Command::new(env!("CARGO_BIN_EXE_duskgate"))
        .args(["healthcheck", "--config"])
        .arg(program.config_file())
        .env("DUSKGATE__ADMIN__ADDRESS", program.admin.to_string())
        .output()
        .unwrap()
}

#[tokio::test]
async fn without_a_backend_the_proxy_lives_and_is_not_ready() {
    let refusing = Refusing::new();
    let program = Setup::before(refusing.address()).start();
    assert_eq!(program.admin("/healthz").await.status, 200);
    let response = program.admin("/readyz").await;
    assert_eq!(response.status, 503);
    let expected =
        json!({ "ready": false, "listening": true, "upstream": false, "ledger": true, "draining": false });
    assert_eq!(response.json(), expected);
    let output = healthcheck(&program);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("not ready: "), "{output:?}");
    assert_eq!(program.metric("duskgate_upstream_up", &[]).await, 0.0);
}

#[tokio::test]
async fn a_backend_that_accepts_connections_makes_the_proxy_ready_and_is_sent_nothing() {
    let backend = Backend::new(|link| assert_eq!(link.rest(), b""));
    let program = Setup::before(backend.address).start();
    let response = program.admin("/readyz").await;
    assert_eq!(response.status, 200);
    let expected =
        json!({ "ready": true, "listening": true, "upstream": true, "ledger": true, "draining": false });
    assert_eq!(response.json(), expected);
    let output = healthcheck(&program);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b""[..]), "{output:?}");
    assert_eq!(program.metric("duskgate_upstream_up", &[]).await, 1.0);
    backend.finished(1);
}

#[tokio::test]
async fn a_health_path_is_asked() {
    for (status, ready) in [("200 OK", 200), ("503 Service Unavailable", 503)] {
        let backend = Backend::with(move |request| {
            assert_eq!(request.line, "GET /api/v3/onezone/health HTTP/1.1");
            format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")
        });
        let setup = Setup::before(backend.address)
            .upstream("health_path = \"/api/v3/onezone/health\"\nhealth_interval = \"1h\"");
        let program = setup.start();
        assert_eq!(program.admin("/readyz").await.status, ready, "{status}");
        assert_eq!(backend.request().field("host"), Some(backend.address.to_string().as_str()));
    }
}

#[tokio::test]
async fn one_of_several_servers_is_enough() {
    let refusing = Refusing::new();
    let backend = Backend::answering(OK);
    let servers = [refusing.address(), backend.address].map(|server| format!("http://{server}"));
    let program = Setup::before_all(servers).start();
    assert_eq!(program.admin("/readyz").await.status, 200);
}

#[test]
fn a_healthcheck_of_nobody_is_not_healthy() {
    let backend = Backend::answering(OK);
    let mut program = Setup::before(backend.address).start();
    program.signal("TERM");
    program.ended();
    let output = healthcheck(&program);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(&program.admin.to_string()), "{text}");
}

#[test]
fn a_healthcheck_without_a_configuration_says_so() {
    let output = Command::new(env!("CARGO_BIN_EXE_duskgate"))
        .args(["healthcheck", "--config", "/nonexistent/duskgate.toml"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
