//! The same world four times: a Onezone that has the old routes, and three without them behind Duskgate. Two rewrite, of which
//! one holds a service token and remembers names and the other does neither; the last one issues tokens itself.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

use duskgate::clock::Clock;
use duskgate::operation::Mode;
use duskgate::sandbox::{self, Sandbox, Settings};
use duskgate::token::Token;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::cases::Case;
use super::credentials::{self, OWN};
use crate::support::http::{Request, Response, ask};
use crate::support::proxy::{Proxy, Setup};

/// An Onezone, and where to call it.
pub struct World {
    pub sandbox: Sandbox,
    /// In front of it, if there is one.
    pub proxy: Option<Proxy>,
    pub has_service_token: bool,
    /// How the proxy serves what it can.
    pub mode: Mode,
    /// Where a token module keeps its key and its ledger.
    _directory: Option<TempDir>,
    /// What time it is there.
    pub now: i64,
    /// What stands for the keys of [`OWN`] and for what is made of those.
    tokens: BTreeMap<&'static str, String>,
    /// The names of the tokens that there are between the cases, by id.
    names: BTreeMap<String, String>,
}

impl World {
    /// A Onezone that has the old routes, called directly.
    pub async fn old(now: Timestamp) -> Self {
        World::of(start(true, now).await, None, false, Mode::Observe, now).await
    }

    /// A Onezone without the old routes, behind Duskgate.
    pub async fn new(has_service_token: bool, now: Timestamp) -> Self {
        let sandbox = start(false, now).await;
        let service = sandbox.fixture.user("admin").token.clone();
        let setup = Setup {
            backend: &sandbox.url,
            service_token: has_service_token.then_some(service.as_str()),
            upstream: if has_service_token { "" } else { "name_cache = \"0s\"" },
            deprecation: DEPRECATION,
            ..Setup::default()
        };
        let proxy = Proxy::with(setup).await;
        World::of(sandbox, Some(proxy), has_service_token, Mode::Rewrite, now).await
    }

    /// A Onezone without the old routes, behind Duskgate that issues tokens itself.
    pub async fn local(now: Timestamp) -> Self {
        let (sandbox, directory) = (start(false, now).await, tempfile::tempdir().expect("a directory"));
        let setup = Setup {
            backend: &sandbox.url,
            service_token: Some(&sandbox.fixture.user("keeper").token),
            mode: "local",
            deprecation: DEPRECATION,
            local: Some(directory.path()),
            ..Setup::default()
        };
        let proxy = Proxy::with(setup).await;
        let mut world = World::of(sandbox, Some(proxy), true, Mode::Local, now).await;
        world._directory = Some(directory);
        world
    }

    async fn of(
        sandbox: Sandbox,
        proxy: Option<Proxy>,
        has_service_token: bool,
        mode: Mode,
        now: Timestamp,
    ) -> Self {
        let (now, tokens, names) = (now.as_second(), BTreeMap::new(), BTreeMap::new());
        let mut world =
            World { sandbox, proxy, has_service_token, mode, _directory: None, now, tokens, names };
        world.make(&OWN).await;
        world
    }

    /// Makes these tokens, anew if they were there before.
    async fn make(&mut self, keys: &[&'static str]) {
        for key in keys {
            let text = make_token(&self.sandbox, key, self.now).await;
            self.tokens.insert(key, text);
        }
        self.tokens.extend(credentials::derived(&self.sandbox.fixture, &self.tokens["spare"]));
        let tokens = self.sandbox.tokens();
        let pair = |token: &Value| (text(token, "id"), text(token, "name"));
        self.names = tokens.iter().map(pair).collect();
        self.sandbox.take_requests();
    }

    /// The tokens that were made since the last case, as `GET /tokens/named/{id}` shows them, and the names of those that
    /// are gone. Everything is put back.
    pub async fn changes(&mut self) -> (Vec<Value>, Vec<String>) {
        let there: HashSet<_> = self.sandbox.token_ids().into_iter().collect();
        let gone: Vec<_> = self.names.iter().filter(|(id, _)| !there.contains(*id)).collect();
        let gone: Vec<_> = gone.into_iter().map(|(_, name)| name.clone()).collect();
        let mut created = Vec::new();
        if there.len() + gone.len() > self.names.len() {
            created = self.sandbox.tokens();
            created.retain(|token| !self.names.contains_key(&text(token, "id")));
            for token in &created {
                let path = format!("/tokens/named/{}", text(token, "id"));
                call(&self.sandbox, "admin", "DELETE", &path, &json!({})).await;
            }
        }
        let again: Vec<_> =
            OWN.into_iter().filter(|key| gone.iter().any(|name| name == name_of(key))).collect();
        assert_eq!(again.len(), gone.len(), "gone, and not to be made again: {gone:?}");
        if !again.is_empty() {
            self.make(&again).await;
        }
        (created, gone)
    }

    /// The token in an answer of a token module, as it shows it. It is deleted there.
    pub async fn take_issued(&self, response: &Response) -> Vec<Value> {
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let Some(token) = body["token"].as_str().and_then(|text| Token::parse(text).ok()) else {
            return Vec::new();
        };
        let admin = &self.sandbox.fixture.user("admin").token;
        let path = format!("/api/v3/onezone/tokens/named/{}", token.id.id);
        let shown = ask(self.address(), &Request::new("GET", &path).token(admin)).await;
        assert_eq!(shown.status, 200, "{shown:?}");
        let deleted = ask(self.address(), &Request::new("DELETE", &path).token(admin)).await;
        assert_eq!(deleted.status, 204, "{deleted:?}");
        let mut token = shown.json();
        let created = token["metadata"]["creationTime"].as_i64().expect("a moment");
        assert!((self.now..self.now + 300).contains(&created), "{token}");
        token["metadata"]["creationTime"] = self.now.into();
        vec![token]
    }

    /// The most tokens that anybody has between the cases.
    pub fn tokens_at_most(&self) -> usize {
        self.names.len()
    }

    /// Where callers call.
    pub fn address(&self) -> SocketAddr {
        self.proxy.as_ref().map_or(self.sandbox.address, |proxy| proxy.address)
    }

    /// The case's request, with tokens of this world.
    pub fn request(&self, case: &Case) -> Request {
        let filled = |text: &str| {
            let mut filled = text.to_owned();
            if text.contains('{') {
                for (key, token) in &self.tokens {
                    filled = filled.replace(&format!("{{{key}}}"), token);
                }
            }
            filled
        };
        let mut request = case.request.clone();
        request.target = filled(&request.target);
        let fields = case.credential.fields.iter().map(|(name, value)| ((*name).to_owned(), filled(value)));
        // Behind `Host`, before what is sent along.
        request.headers.splice(1..1, fields);
        request
    }

    /// Puts the keys in the place of tokens of this world that an error repeats.
    pub fn unfill(&self, response: &mut Response) {
        if response.status < 400 || !response.body.windows(3).any(|part| part == b"MDA") {
            return;
        }
        let mut text = response.text();
        let length = text.len();
        for (key, token) in &self.tokens {
            text = text.replace(token, &format!("{{{key}}}"));
        }
        if text.len() != length {
            response.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
            response.body = text.into_bytes();
        }
    }

    pub async fn stop(self) {
        if let Some(proxy) = self.proxy {
            proxy.stop().await;
        }
    }
}

const DEPRECATION: &str = r#"
    sunset_at = 2099-03-31T00:00:00Z
    documentation = "https://onedata.org/api/stable/onezone/operation/{operation}"
    "#;

async fn start(legacy: bool, now: Timestamp) -> Sandbox {
    sandbox::start(Settings { legacy, clock: Clock::Fixed(now), ..Settings::default() })
        .await
        .expect("a free port")
}

/// Names may not contain quotes.
fn name_of(key: &str) -> &str {
    key.trim_end_matches("'s")
}

async fn make_token(sandbox: &Sandbox, key: &str, now: i64) -> String {
    let group = &sandbox.fixture.group("developers").id;
    let name = name_of(key);
    let body = match key {
        "identity" | "service-identity" => json!({ "name": name, "type": { "identityToken": {} } }),
        "invite" => json!({
            "name": name, "type": { "inviteToken": { "inviteType": "userJoinGroup", "groupId": group } },
        }),
        "temporary" => json!({ "caveats": [{ "type": "time", "validUntil": now + 86_400 }] }),
        _ => json!({ "name": name }),
    };
    let kind = if key == "temporary" { "temporary" } else { "named" };
    let (owner, whose) = match key {
        "service-identity" | "ben's" => ("ben", "user"),
        "Cracow's" => ("Cracow", "provider"),
        _ => ("anna", "user"),
    };
    let created = call(sandbox, owner, "POST", &format!("/{whose}/tokens/{kind}"), &body).await;
    let id = created["tokenId"].as_str().unwrap_or_default();
    let path = format!("/tokens/named/{id}");
    match key {
        "bound" => return sandbox.bind_token(id, "0123456789abcdef").expect("a token"),
        "revoked" => drop(call(sandbox, owner, "PATCH", &path, &json!({ "revoked": true })).await),
        "deleted" => drop(call(sandbox, owner, "DELETE", &path, &json!({})).await),
        _ => {}
    }
    text(&created, "token")
}

/// Calls a path under the API's base, directly.
pub async fn call(sandbox: &Sandbox, who: &str, method: &str, path: &str, body: &Value) -> Value {
    let request = Request::new(method, &format!("/api/v3/onezone{path}"));
    let token = credentials::token_of(&sandbox.fixture, who).1;
    let response = ask(sandbox.address, &request.token(&token).json(body)).await;
    assert!((200..300).contains(&response.status), "{method} {path}: {response:?}");
    serde_json::from_slice(&response.body).unwrap_or_default()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().expect("a text").to_owned()
}
