//! The promise of mode `rewrite`: a client of the old route cannot tell that the backend no longer has it. Each case is
//! one request, sent to a Onezone that has the route and, through Duskgate, to one that has not; both answers, and
//! the tokens that exist afterwards, must be the same.

mod cases;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::http::{Connection, Response};
use crate::support::proxy::Proxy;
use crate::support::run;
use cases::{Case, Person, Request};
use duskgate::sandbox::{self, Fixture, Sandbox};
use duskgate::token::Token;

/// The same world twice: with the old route, and behind Duskgate without it.
struct Worlds {
    old: Sandbox,
    new: Sandbox,
    proxy: Proxy,
}

impl Worlds {
    async fn new() -> Self {
        let old = sandbox::start(sandbox::Settings::default()).await.unwrap();
        let new = sandbox::start(sandbox::Settings { legacy: false, ..Default::default() }).await.unwrap();
        let service = new.fixture.user("service").token.clone();
        let proxy = Proxy::start(&new.url, "", Some(&service)).await;
        Worlds { old, new, proxy }
    }

    /// Sends one request to both, and returns what each did.
    async fn compare(&self, request: &Request) -> (Effect, Effect) {
        let old = effect(&self.old, self.old.address, request).await;
        let new = effect(&self.new, self.proxy.address, request).await;
        (old, new)
    }
}

/// What a request brought about, without what chance and time decide.
#[derive(Debug, PartialEq)]
struct Effect {
    status: u16,
    headers: Vec<(String, String)>,
    body: Value,
    created: Vec<Value>,
}

async fn effect(onezone: &Sandbox, address: SocketAddr, request: &Request) -> Effect {
    let before = onezone.tokens();
    let mut answer = exchange(address, request.method, &request.bytes(&onezone.fixture)).await;
    // A token's length depends on its id, and the length of an answer to HEAD says nothing of what was sent.
    if answer.status == 200 || request.method == "HEAD" {
        answer.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
    }
    let mut created: Vec<_> = onezone.tokens().into_iter().filter(|token| !before.contains(token)).collect();
    created.iter_mut().for_each(strip_token);
    Effect { status: answer.status, headers: headers(&answer), body: body(&answer), created }
}

/// The fields without the date, the connection's, and those of the deprecation, which have tests of their own. What
/// answers without asking the backend does not say that it is Cowboy.
fn headers(answer: &Response) -> Vec<(String, String)> {
    const NOT_COMPARED: [&str; 7] =
        ["date", "connection", "server", "deprecation", "sunset", "link", "access-control-expose-headers"];
    let mut headers: Vec<_> =
        answer.headers.iter().filter(|(name, _)| !NOT_COMPARED.contains(&name.as_str())).cloned().collect();
    headers.sort();
    headers
}

fn body(answer: &Response) -> Value {
    let mut body: Value = serde_json::from_slice(&answer.body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&answer.body).into_owned()));
    if let Some(text) = body.get("token").and_then(Value::as_str) {
        let mut token = Token::parse(text).expect("no token").to_json();
        token["id"] = Value::Null;
        body["token"] = token;
    }
    body
}

fn strip_token(token: &mut Value) {
    let name = token["name"].as_str().unwrap();
    token["name"] = json!(name[..name.len() - 6]);
    for key in ["id", "token"] {
        token[key] = Value::Null;
    }
    token["metadata"]["creationTime"] = Value::Null;
}

#[test]
fn every_call_is_answered_as_by_the_old_route() {
    run(async {
        let worlds = Worlds::new().await;
        let mut differences = Vec::new();
        for Case { name, request } in cases::all(&worlds.old.fixture) {
            let (old, new) = worlds.compare(&request).await;
            if old != new {
                differences.push(format!("{name}\n  old: {old:?}\n  new: {new:?}"));
            }
        }
        assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    });
}

#[test]
fn while_the_circuit_breaker_is_open_calls_are_refused_as_by_the_old_route() {
    run(async {
        let worlds = Worlds::new().await;
        worlds.old.set_circuit_breaker(true);
        worlds.new.set_circuit_breaker(true);
        for Case { name, request } in cases::all(&worlds.old.fixture) {
            let (old, new) = worlds.compare(&request).await;
            assert_eq!(old, new, "{name}");
        }
    });
}

#[test]
fn a_name_that_the_old_route_cut_inside_a_character_is_cut_before_it() {
    run(async {
        let worlds = Worlds::new().await;
        for (group, expected) in [
            ("Groupe qualité été période", "user invite to group - Groupe qualité ... "),
            ("XYZ sœur cœur œuvre æther ßtraße", "user invite to group - XYZ sœur cœur ... "),
            ("量子物理研究所", "user invite to group - 量子物理研... "),
        ] {
            let request = Request::of(Person::User("anna"), group);
            let effect = effect(&worlds.new, worlds.proxy.address, &request).await;
            assert_eq!((effect.status, effect.created.len()), (200, 1), "{group}");
            assert_eq!(effect.created[0]["name"], expected);
        }
    });
}

#[test]
fn a_clash_of_names_is_never_seen() {
    run(async {
        let worlds = Worlds::new().await;
        worlds.new.occupy_next_names(3);
        let request = Request::of(Person::User("anna"), "developers");
        let effect = effect(&worlds.new, worlds.proxy.address, &request).await;
        assert_eq!((effect.status, effect.created.len()), (200, 1));
    });
}

#[test]
fn the_token_can_be_used_once() {
    run(async {
        let worlds = Worlds::new().await;
        let request = Request::of(Person::User("anna"), "developers");
        let answer = exchange(worlds.proxy.address, "POST", &request.bytes(&worlds.new.fixture)).await;
        let token: Value = serde_json::from_slice(&answer.body).unwrap();
        for (username, status) in [("dan", 201), ("inviter", 400)] {
            let mut join = Request::of(Person::User(username), "developers");
            join.path = "/user/groups/join".to_owned();
            join.fields.push("content-type: application/json".to_owned());
            join.body = Some(token.to_string().into());
            let answer = exchange(worlds.proxy.address, "POST", &join.bytes(&worlds.new.fixture)).await;
            assert_eq!(answer.status, status, "{username}");
        }
    });
}

#[test]
fn a_backend_that_has_no_token_api_either_is_a_bad_gateway_unless_there_is_a_fallback() {
    run(async {
        let settings = sandbox::Settings { token_api: false, ..Default::default() };
        let onezone = sandbox::start(settings).await.unwrap();
        let request = Request::of(Person::User("anna"), "developers").bytes(&onezone.fixture);

        let proxy = Proxy::start(&onezone.url, "", None).await;
        let answer = exchange(proxy.address, "POST", &request).await;
        assert_eq!(answer.status, 502);
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["error"]["id"], "badGateway");
        assert_eq!(body["error"]["details"]["cause"], "tokenApiMissing");
        assert!(answer.header("deprecation").is_some());

        let fallback = "[[operation]]\nid = \"create_user_group_invite_token\"\nfallback = [\"observe\"]\n";
        let proxy = Proxy::start(&onezone.url, fallback, None).await;
        let answer = exchange(proxy.address, "POST", &request).await;
        assert_eq!(answer.status, 200);
        let metrics =
            exchange(proxy.admin, "GET", b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                .await;
        let metrics = String::from_utf8(metrics.body).unwrap();
        let counted = "duskgate_deprecated_requests_total{operation=\"create_user_group_invite_token\",\
                       mode=\"observe\",phase=\"deprecated\",code=\"200\"} 1";
        assert!(metrics.contains(counted), "{metrics}");
    });
}

#[test]
fn a_caller_who_hangs_up_leaves_no_token_behind() {
    run(async {
        let worlds = Worlds::new().await;
        let before = worlds.new.tokens().len();
        worlds.new.delay("POST /user/tokens/named", Duration::from_millis(300));
        let request = Request::of(Person::User("anna"), "developers").bytes(&worlds.new.fixture);
        let mut stream = TcpStream::connect(worlds.proxy.address).await.unwrap();
        stream.write_all(&request).await.unwrap();
        wait_until("the creation arrives", || worlds.new.tokens().len() > before).await;
        drop(stream);
        wait_until("the token is deleted", || worlds.new.tokens().len() == before).await;
    });
}

#[test]
fn a_creation_that_times_out_leaves_no_token_behind() {
    run(async {
        let onezone =
            sandbox::start(sandbox::Settings { legacy: false, ..Default::default() }).await.unwrap();
        let proxy = Proxy::start(&onezone.url, "[upstream]\nresponse_timeout = \"300ms\"\n", None).await;
        let before = onezone.tokens().len();
        onezone.delay("POST /user/tokens/named", Duration::from_secs(2));
        let request = Request::of(Person::User("anna"), "developers").bytes(&onezone.fixture);
        let answer = exchange(proxy.address, "POST", &request).await;
        assert_eq!(answer.status, 504);
        assert!(answer.header("deprecation").is_some());
        wait_until("the token is deleted", || {
            onezone.tokens().len() == before
                && onezone.requests().iter().any(|line| line.starts_with("DELETE"))
        })
        .await;
    });
}

async fn exchange(address: SocketAddr, method: &str, request: &[u8]) -> Response {
    let mut connection = Connection::to(address).await;
    connection.write(request).await;
    connection.read(method).await
}

async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), waiting).await.is_ok(), "in vain: {what}");
}

/// Used by the cases.
fn group_id<'a>(fixture: &'a Fixture, group: &'a str) -> &'a str {
    fixture.groups.iter().find(|team| team.name == group).map_or(group, |team| &team.id)
}
