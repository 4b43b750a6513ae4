//! What a call brought about, without what chance and time decide.

use std::fmt;

use duskgate::operation::Mode;
use duskgate::token::Token;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::cases::Case;
use super::worlds::{World, call};
use crate::support::http::{Response, ask};

/// The answer and what became of the tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    pub status: u16,
    /// Those that are compared, sorted, with lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Value,
    /// The tokens that it created, as `GET /tokens/named/{id}` shows them.
    pub created: Vec<Value>,
    /// The names of the tokens that are gone.
    pub deleted: Vec<String>,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let created: Vec<_> = self.created.iter().map(Value::to_string).collect();
        let Effect { status, headers, body, deleted, .. } = self;
        write!(f, "{status} {headers:?} {body}, created {created:?}, deleted {deleted:?}")
    }
}

/// The answer as it was, and the requests that Onezone got for it.
pub struct Exchange {
    pub response: Response,
    pub requests: Vec<String>,
    pub effect: Effect,
}

/// Makes a case's call in a world, and puts back what it did to the tokens.
pub async fn exchange(world: &mut World, case: &Case) -> Exchange {
    if let Some(before) = &case.before {
        call(&world.sandbox, before.who, before.method, &before.path, &before.body).await;
    }
    let sandbox = &world.sandbox;
    sandbox.take_requests();
    sandbox.set_circuit_breaker(case.breaker);
    sandbox.restrict_registration(case.restricted);
    let mut response = ask(world.address(), &world.request(case)).await;
    sandbox.set_circuit_breaker(false);
    sandbox.restrict_registration(false);
    let requests = sandbox.take_requests();
    let tokens = if response.status == 200 { sandbox.tokens() } else { Vec::new() };
    world.unfill(&mut response);
    let (mut created, deleted) = world.changes().await;
    if world.mode == Mode::Local {
        assert!(created.is_empty(), "{}: made by Onezone: {created:?}", case.name);
        created = world.take_issued(&response).await;
    }
    let effect = Effect {
        status: response.status,
        headers: headers(&response),
        body: body(&response, &tokens, &created, world.now),
        deleted,
        created: created.into_iter().map(|token| without_chance(token, world.now)).collect(),
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

/// A token in the answer must be the one that was created, and tokens those that there are; their ids and signatures are
/// chance. Their order says nothing.
fn body(response: &Response, tokens: &[Value], created: &[Value], now: i64) -> Value {
    let mut body = serde_json::from_slice(&response.body)
        .unwrap_or_else(|_| json!(String::from_utf8_lossy(&response.body).into_owned()));
    if let Some(text) = body.get("token").and_then(Value::as_str) {
        assert!(created.iter().any(|token| token["token"] == text), "a token that nobody made: {text}");
        let mut token = Token::parse(text).expect("a token").to_json();
        token["id"] = Value::Null;
        without_moment(&mut token, now);
        body["token"] = token;
    }
    if let Some(list) = body.get_mut("tokens").and_then(Value::as_array_mut) {
        for listed in list.iter_mut() {
            let known = tokens.iter().find(|token| token["token"] == *listed).expect("a token that there is");
            *listed = json!([known["name"], known["subject"], known["revoked"]]);
        }
        list.sort_by_key(Value::to_string);
    }
    body
}

/// The ids are random, and so are the last six digits of the name.
fn without_chance(mut token: Value, now: i64) -> Value {
    let name = token["name"].as_str().expect("a name");
    let (stem, digits) = name.split_at(name.len() - 6);
    assert!(digits.bytes().all(|b| b"0123456789abcdef".contains(&b)), "{name:?} does not end in six digits");
    let stem = match stem.strip_prefix("access token ").and_then(|rest| rest.strip_suffix("Z ")) {
        Some(moment) => {
            let moment: Timestamp = format!("{moment}Z").replace('.', ":").parse().expect("a moment");
            let until = moment.as_second() + YEAR;
            assert_eq!(token["caveats"], json!([{ "type": "time", "validUntil": until }]), "{token}");
            "access token <moment> ".to_owned()
        }
        None => stem.to_owned(),
    };
    token["name"] = json!(stem);
    token["id"] = Value::Null;
    token["token"] = Value::Null;
    without_moment(&mut token, now);
    token
}

/// For how long a token of `client_tokens` is good.
const YEAR: i64 = 31_536_000;

/// Duskgate's clock goes on while that of Onezone stands.
fn without_moment(token: &mut Value, now: i64) {
    for caveat in token["caveats"].as_array_mut().into_iter().flatten() {
        let until = caveat["validUntil"].as_i64().unwrap_or_default();
        if (now + YEAR..now + YEAR + 300).contains(&until) {
            caveat["validUntil"] = json!("in a year");
        }
    }
}
