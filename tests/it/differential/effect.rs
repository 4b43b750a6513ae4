//! What a call brought about, without what chance and time decide.

use std::fmt;

use serde_json::{Value, json};

use super::cases::Case;
use super::worlds::{World, call};
use crate::support::http::{Response, ask};
use duskgate::token::Token;

/// The answer and what became of the tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    pub status: u16,
    /// Those that are compared, sorted, with lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Value,
    /// The tokens that it created, as `GET /tokens/named/{id}` shows them.
    pub created: Vec<Value>,
    /// How many tokens are gone.
    pub deleted: usize,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let created: Vec<_> = self.created.iter().map(Value::to_string).collect();
        let Effect { status, headers, body, deleted, .. } = self;
        write!(f, "{status} {headers:?} {body}, created {created:?}, deleted {deleted}")
    }
}

/// The answer as it was, and the requests that Onezone got for it.
pub struct Exchange {
    pub response: Response,
    pub requests: Vec<String>,
    pub effect: Effect,
}

/// Makes a case's call in a world. What it created is removed again.
pub async fn exchange(world: &World, case: &Case) -> Exchange {
    world.sandbox.take_requests();
    world.sandbox.set_circuit_breaker(case.breaker);
    let response = ask(world.address(), &world.request(case)).await;
    world.sandbox.set_circuit_breaker(false);
    let requests = world.sandbox.take_requests();
    let after = world.sandbox.tokens();
    let (there, created): (Vec<_>, Vec<_>) = after.into_iter().partition(|token| world.begins_with(token));
    for token in &created {
        let path = format!("/tokens/named/{}", token["id"].as_str().expect("an id"));
        call(&world.sandbox, "admin", "DELETE", &path, &json!({})).await;
    }
    let effect = Effect {
        status: response.status,
        headers: headers(&response),
        body: body(&response, &created),
        deleted: world.tokens_at_first() - there.len(),
        created: created.into_iter().map(without_chance).collect(),
    };
    Exchange { response, requests, effect }
}

/// All fields but the date, the connection's, those of the deprecation, which are judged on their own, and `server`,
/// which what answers without asking the backend does not have.
fn headers(response: &Response) -> Vec<(String, String)> {
    const APART: [&str; 8] = [
        "date",
        "connection",
        "keep-alive",
        "server",
        "deprecation",
        "sunset",
        "link",
        "access-control-expose-headers",
    ];
    let lower = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
    let mut headers: Vec<_> = response.headers.iter().map(lower).collect();
    headers.retain(|(name, _)| !APART.contains(&name.as_str()));
    if response.status == 200 {
        // How a token's bytes are escaped makes it longer or shorter.
        headers.retain(|(name, _)| name != "content-length");
    }
    headers.sort();
    headers
}

/// A token in the answer must be the one that was created; its id and signature are chance.
fn body(response: &Response, created: &[Value]) -> Value {
    let mut body = serde_json::from_slice(&response.body)
        .unwrap_or_else(|_| json!(String::from_utf8_lossy(&response.body).into_owned()));
    if let Some(text) = body.get("token").and_then(Value::as_str) {
        assert!(created.iter().any(|token| token["token"] == text), "a token that nobody made: {text}");
        let mut token = Token::parse(text).expect("a token").to_json();
        token["id"] = Value::Null;
        body["token"] = token;
    }
    body
}

/// The ids are random, and so are the last six digits of the name.
fn without_chance(mut token: Value) -> Value {
    let name = token["name"].as_str().expect("a name");
    let (stem, digits) = name.split_at(name.len() - 6);
    assert!(digits.bytes().all(|b| b"0123456789abcdef".contains(&b)), "{name:?} does not end in six digits");
    token["name"] = json!(stem);
    token["id"] = Value::Null;
    token["token"] = Value::Null;
    token
}
