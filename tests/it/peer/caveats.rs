//! Tokens that are confined to networks are judged by the client's real address, and refused word for word as Onezone
//! refuses them.

use duskgate::sandbox::{self, Sandbox};
use duskgate::token::{Caveat, Token};
use serde_json::{Value, json};

use super::trusting;
use crate::support::http::{Request, Response, ask};
use crate::support::program::{Program, Setup};

/// Where nobody is whom Onezone sees.
const ELSEWHERE: &str = "192.0.2.0/24";
/// Where Duskgate is, as Onezone sees it.
const OWN: &str = "127.0.0.0/8";

async fn start(more: impl Fn(Setup) -> Setup) -> (Sandbox, Program) {
    let sandbox = sandbox::start(sandbox::Settings::default()).await.unwrap();
    let program = more(trusting(sandbox.address, &["127.0.0.1"])).start();
    (sandbox, program)
}

/// Anna's token, confined.
fn confined(sandbox: &Sandbox, networks: &[&str]) -> String {
    let token = Token::parse(&sandbox.fixture.user("anna").token).unwrap();
    let token = networks.iter().fold(token, |token, network| token.confine(ip(network)).unwrap());
    token.serialize()
}

fn ip(network: &str) -> Caveat {
    Caveat::from_json(&json!({"type": "ip", "whitelist": [network]})).unwrap()
}

fn whoami() -> Request {
    Request::new("GET", "/api/v3/onezone/user")
}

/// What a client can tell of an answer.
fn told(response: &Response) -> (u16, Option<&str>, Option<&str>, Value) {
    let field = |name| response.header(name);
    (response.status, field("content-type"), field("access-control-allow-origin"), response.json())
}

#[tokio::test]
async fn a_token_for_our_network_does_not_work_from_elsewhere() {
    let (sandbox, program) = start(|setup| setup).await;
    let token = confined(&sandbox, &[OWN]);
    assert_eq!(ask(sandbox.address, &whoami().token(&token)).await.status, 200);
    assert_eq!(program.ask(&whoami().token(&token)).await.status, 200, "from within the network");
    for client in ["192.0.2.7", "2001:db8::7", "unknown"] {
        let response = program.ask(&whoami().token(&token).header("X-Forwarded-For", client)).await;
        let error = &response.json()["error"];
        assert_eq!((response.status, &error["id"]), (401, &json!("unauthorized")), "{client}");
        let caveat = json!({"type": "ip", "whitelist": [OWN]});
        assert_eq!(error["details"]["authError"]["details"]["caveat"], caveat);
    }
}

#[tokio::test]
async fn a_refusal_reads_as_onezones_own() {
    let (sandbox, program) = start(|setup| setup).await;
    let free = sandbox.fixture.user("anna").token.clone();
    let provider = sandbox.fixture.providers[0].token.clone();
    let provider = Token::parse(&provider).unwrap().confine(ip(ELSEWHERE)).unwrap().serialize();
    let token = confined(&sandbox, &["0.0.0.0/0", ELSEWHERE]);
    let bearer = format!("Bearer {token}");
    let prefixed = format!("opw-{token}");
    for request in [
        whoami().token(&token),
        whoami().token(&prefixed),
        whoami().header("Authorization", &bearer),
        whoami().header("Macaroon", &token),
        whoami().token(&token).header("Authorization", "Basic YTpi").header("Macaroon", &free),
        whoami().token(&free).header("X-Onedata-Service-Token", &provider),
        whoami().token(&free).header("X-Onedata-Consumer-Token", &provider),
    ] {
        let seen = sandbox.requests().len();
        let ours = program.ask(&request).await;
        assert_eq!(sandbox.requests().len(), seen, "not asked: {request:?}");
        let theirs = ask(sandbox.address, &request).await;
        assert_eq!(told(&ours), told(&theirs), "{request:?}");
        assert_eq!((ours.status, ours.header("content-type")), (401, None));
    }
    // Others are Onezone's to judge.
    for request in [
        whoami().token(&free).header("Macaroon", &token),
        whoami().header("Authorization", "Basic YTpi"),
        whoami().token("eyJhbGciOiJSUzI1NiJ9.e30.c2ln"),
        whoami(),
    ] {
        let seen = sandbox.requests().len();
        let ours = program.ask(&request).await;
        assert_eq!(sandbox.requests().len(), seen + 1, "asked: {request:?}");
        assert_eq!(told(&ours), told(&ask(sandbox.address, &request).await), "{request:?}");
    }
}

#[tokio::test]
async fn a_call_of_a_deprecated_operation_is_refused_dressed_and_counted() {
    let (sandbox, program) = start(|setup| setup).await;
    let group = sandbox.fixture.groups[0].id.clone();
    let path = format!("/api/v3/onezone/groups/{group}/users/token");
    let token = confined(&sandbox, &[OWN]);
    let seen = sandbox.requests().len();
    let request = Request::new("POST", &path).token(&token).header("X-Forwarded-For", "192.0.2.7");
    let response = program.ask(&request).await;
    assert_eq!((response.status, response.header("deprecation")), (401, Some("@1590969600")));
    assert_eq!(sandbox.requests().len(), seen);
    program.logged(&["operation=create_user_group_invite_token", "status=401", "peer=192.0.2.7"]);
    let labels = [("operation", "create_user_group_invite_token"), ("code", "401")];
    assert_eq!(program.metric("duskgate_deprecated_requests_total", &labels).await, 1.0);
}

#[tokio::test]
async fn the_check_can_be_switched_off_and_the_log_says_which_it_is() {
    let (sandbox, program) = start(|setup| setup.upstream("check_ip_caveats = false")).await;
    let request = whoami().token(&confined(&sandbox, &[OWN])).header("X-Forwarded-For", "192.0.2.7");
    assert_eq!(program.ask(&request).await.status, 200);
    program.logged(&["WARN", "upstream.check_ip_caveats is false", "work from anywhere"]);
    program.configure(&trusting(sandbox.address, &["127.0.0.1"]));
    assert_eq!(program.command("/reload").await.status, 200);
    assert_eq!(program.ask(&request).await.status, 401);
    let (_sandbox, program) = start(|setup| setup).await;
    program
        .logged(&["INFO", "ip caveats of tokens in header fields are checked here, by the client's address"]);
}

#[tokio::test]
async fn a_token_bent_out_of_our_sight_is_refused() {
    let (sandbox, program) = start(|setup| setup).await;
    let token = confined(&sandbox, &[OWN]);
    let seen = sandbox.requests().len();
    let request = whoami().token(&format!("{token}05")).header("X-Forwarded-For", "192.0.2.7");
    assert_eq!(program.ask(&request).await.status, 401);
    assert_eq!(sandbox.requests().len(), seen);
}

#[tokio::test]
async fn a_secret_is_nowhere_in_the_log() {
    let (sandbox, program) = start(|setup| setup.environment("RUST_LOG", "trace")).await;
    let token = confined(&sandbox, &[OWN]);
    program.ask(&whoami().token(&token).header("X-Forwarded-For", "192.0.2.7")).await;
    program.logged(&["status=401"]);
    assert!(!program.log().contains(&token[..40]));
}
