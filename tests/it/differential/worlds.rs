//! The same world three times: a Onezone that has the old route, and two without it behind Duskgate, one where Duskgate
//! holds a service token and remembers names, one where it has neither.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

use duskgate::clock::Clock;
use duskgate::sandbox::{self, Sandbox, Settings};
use serde_json::{Value, json};

use super::cases::Case;
use super::credentials::OWN;
use crate::support::http::{Request, ask};
use crate::support::proxy::{Proxy, Setup};

/// An Onezone, and where to call it.
pub struct World {
    pub sandbox: Sandbox,
    /// In front of it, if there is one.
    pub proxy: Option<Proxy>,
    pub has_service_token: bool,
    /// What stands for the keys of [`OWN`].
    tokens: BTreeMap<&'static str, String>,
    /// The ids of the tokens that there are between the cases.
    ids: HashSet<String>,
}

impl World {
    /// A Onezone that has the old route, called directly.
    pub async fn old() -> Self {
        World::of(start(true).await, None, false).await
    }

    /// A Onezone without the old route, behind Duskgate.
    pub async fn new(has_service_token: bool) -> Self {
        let sandbox = start(false).await;
        let service = sandbox.fixture.user("service").token.clone();
        let setup = Setup {
            backend: &sandbox.url,
            service_token: has_service_token.then_some(service.as_str()),
            upstream: if has_service_token { "" } else { "name_cache = \"0s\"" },
            deprecation: r#"
                sunset_at = 2099-03-31T00:00:00Z
                documentation = "https://onedata.org/api/stable/onezone/operation/{operation}"
                "#,
            ..Setup::default()
        };
        let proxy = Proxy::with(setup).await;
        World::of(sandbox, Some(proxy), has_service_token).await
    }

    async fn of(sandbox: Sandbox, proxy: Option<Proxy>, has_service_token: bool) -> Self {
        let tokens = make_tokens(&sandbox).await;
        sandbox.take_requests();
        let ids = sandbox.tokens().iter().map(id_of).collect();
        World { sandbox, proxy, has_service_token, tokens, ids }
    }

    /// Whether this token was there before any case.
    pub fn begins_with(&self, token: &Value) -> bool {
        self.ids.contains(&id_of(token))
    }

    /// How many such tokens there are.
    pub fn tokens_at_first(&self) -> usize {
        self.ids.len()
    }

    /// Where callers call.
    pub fn address(&self) -> SocketAddr {
        self.proxy.as_ref().map_or(self.sandbox.address, |proxy| proxy.address)
    }

    /// The case's request, with credentials of this world.
    pub fn request(&self, case: &Case) -> Request {
        let mut request = case.request.clone();
        let fields = case.credential.fields.iter().map(|(name, value)| {
            let filled =
                |value: String, (key, token): (&&str, &String)| value.replace(&format!("{{{key}}}"), token);
            ((*name).to_owned(), self.tokens.iter().fold(value.clone(), filled))
        });
        // Behind `Host`, before what is sent along.
        request.headers.splice(1..1, fields);
        request
    }

    pub async fn stop(self) {
        if let Some(proxy) = self.proxy {
            proxy.stop().await;
        }
    }
}

async fn start(legacy: bool) -> Sandbox {
    let clock = Clock::Fixed("2026-11-24T08:00:00Z".parse().expect("a moment"));
    sandbox::start(Settings { legacy, clock, ..Settings::default() }).await.expect("a free port")
}

async fn make_tokens(sandbox: &Sandbox) -> BTreeMap<&'static str, String> {
    let group = &sandbox.fixture.group("developers").id;
    let mut tokens = BTreeMap::new();
    for key in OWN {
        let body = match key {
            "identity" | "service-identity" => json!({ "name": key, "type": { "identityToken": {} } }),
            "invite" => json!({
                "name": key, "type": { "inviteToken": { "inviteType": "userJoinGroup", "groupId": group } },
            }),
            "temporary" => json!({ "caveats": [{ "type": "time", "validUntil": 1_796_000_000_i64 }] }),
            _ => json!({ "name": key }),
        };
        let kind = if key == "temporary" { "temporary" } else { "named" };
        let owner = if key == "service-identity" { "ben" } else { "anna" };
        let created = call(sandbox, owner, "POST", &format!("/user/tokens/{kind}"), &body).await;
        let path = format!("/tokens/named/{}", created["tokenId"].as_str().unwrap_or_default());
        match key {
            "revoked" => drop(call(sandbox, owner, "PATCH", &path, &json!({ "revoked": true })).await),
            "deleted" => drop(call(sandbox, owner, "DELETE", &path, &json!({})).await),
            _ => {}
        }
        tokens.insert(key, created["token"].as_str().expect("a token").to_owned());
    }
    tokens
}

/// Calls a path under the API's base, directly.
pub async fn call(sandbox: &Sandbox, who: &str, method: &str, path: &str, body: &Value) -> Value {
    let request = Request::new(method, &format!("/api/v3/onezone{path}"));
    let response = ask(sandbox.address, &request.token(&sandbox.fixture.user(who).token).json(body)).await;
    assert!((200..300).contains(&response.status), "{method} {path}: {response:?}");
    serde_json::from_slice(&response.body).unwrap_or_default()
}

fn id_of(token: &Value) -> String {
    token["id"].as_str().expect("an id").to_owned()
}
