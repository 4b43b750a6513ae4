//! The stand-in Onezone, held against the contract: the listener, the order of checks, credentials, the legacy route and
//! the token API. Each test starts its own sandbox in process.

mod client_tokens;
mod credentials;
mod groups;
mod invitations;
mod join;
mod legacy;
mod listener;
mod observed;
mod order;
mod places;
mod program;
mod tokens;

use duskgate::clock::Clock;
use duskgate::sandbox::{self, Sandbox, Settings};
use serde_json::{Value, json};

use crate::support::http::{Request, Response, ask};

const B: &str = "/api/v3/onezone";

/// A sandbox with all routes.
async fn started() -> Sandbox {
    with(Settings::default()).await
}

async fn with(settings: Settings) -> Sandbox {
    sandbox::start(settings).await.expect("a free port")
}

/// A sandbox where it is always this moment.
async fn at(moment: &str) -> Sandbox {
    let clock = Clock::Fixed(moment.parse().expect("a moment"));
    with(Settings { clock, ..Settings::default() }).await
}

/// Calls a path under the API's base, as nobody if there is no username.
async fn call(sandbox: &Sandbox, who: &str, method: &str, path: &str, body: Option<Value>) -> Response {
    let mut request = Request::new(method, &format!("{B}{path}"));
    if !who.is_empty() {
        request = request.token(&token_of(sandbox, who));
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    ask(sandbox.address, &request).await
}

/// The access token of the user or Oneprovider of this name.
fn token_of(sandbox: &Sandbox, who: &str) -> String {
    let fixture = &sandbox.fixture;
    match fixture.providers.iter().find(|provider| provider.name == who) {
        Some(provider) => provider.token.clone(),
        None => fixture.user(who).token.clone(),
    }
}

fn legacy_path(sandbox: &Sandbox, group: &str) -> String {
    format!("/groups/{}/users/token", sandbox.fixture.group(group).id)
}

/// The body that asks for an invite token to the group.
fn invitation(group: &str, name: &str) -> Value {
    json!({ "name": name, "type": { "inviteToken": { "inviteType": "userJoinGroup", "groupId": group } } })
}

/// Confines a token by the public API.
async fn confined(sandbox: &Sandbox, token: &str, caveats: Value) -> String {
    let body = json!({ "token": token, "caveats": caveats });
    let response = call(sandbox, "", "POST", "/tokens/confine", Some(body)).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["token"].as_str().expect("a token").to_owned()
}

/// Creates a named token and returns the answer's body.
async fn created(sandbox: &Sandbox, who: &str, body: Value) -> Value {
    let response = call(sandbox, who, "POST", "/user/tokens/named", Some(body)).await;
    assert_eq!(response.status, 201, "{response:?}");
    response.json()
}

/// Asserts status and the id of the error.
#[track_caller]
fn assert_error(response: &Response, status: u16, id: &str) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.json()["error"]["id"], id, "{response:?}");
}

/// Asserts that there is no body, and whether there are CORS headers.
#[track_caller]
fn assert_empty(response: &Response, status: u16, cors: bool) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.text(), "", "{response:?}");
    assert_eq!(response.header("content-length"), Some("0"), "{response:?}");
    assert_eq!(response.header("access-control-allow-origin"), cors.then_some("*"), "{response:?}");
}
