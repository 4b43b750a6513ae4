//! Mode `local`: tokens of our own module, before a Onezone that has neither the old routes nor the newer API. What
//! callers of the old routes are told is compared in `differential`; here the joins and what is done with tokens afterwards
//! are compared with a Onezone that issued them itself, and the rest is what only a token module can go through.

mod away;
mod costs;
mod disk;
mod ending;
mod fallback;
mod idempotency;
mod impostors;
mod invitations;
mod joins;
mod keys;
mod life;
mod opening;
mod others;
mod recovery;
mod unfinished;

use std::net::SocketAddr;
use std::path::Path;

use duskgate::sandbox::{self, Fixture, Sandbox, Settings};
use duskgate::token::Token;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::http::{Request, Response, ask};
use crate::support::proxy::{Proxy, Setup};

/// A Onezone, and where to call it.
pub struct World {
    pub onezone: Sandbox,
    pub proxy: Option<Proxy>,
    pub directory: TempDir,
}

impl World {
    /// A Onezone that has everything, called directly.
    pub async fn old() -> Self {
        let onezone = sandbox::start(Settings::default()).await.unwrap();
        World { onezone, proxy: None, directory: tempfile::tempdir().unwrap() }
    }

    /// A Onezone that has neither the old routes nor the newer API, behind a token module.
    pub async fn new() -> Self {
        let settings = Settings { legacy: false, token_api: false, ..Settings::default() };
        let onezone = sandbox::start(settings).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let proxy = start(&onezone.url, &onezone, directory.path()).await;
        World { onezone, proxy: Some(proxy), directory }
    }

    pub fn fixture(&self) -> &Fixture {
        &self.onezone.fixture
    }

    /// Where callers call.
    pub fn address(&self) -> SocketAddr {
        self.proxy.as_ref().map_or(self.onezone.address, |proxy| proxy.address)
    }

    /// A call by a user, or by nobody if that is empty.
    pub fn request(&self, who: &str, method: &str, path: &str) -> Request {
        let request = Request::new(method, &format!("/api/v3/onezone{path}"));
        match who {
            "" => request,
            _ => request.token(&self.fixture().user(who).token),
        }
    }

    pub async fn call(&self, who: &str, method: &str, path: &str, body: Option<Value>) -> Response {
        let request = self.request(who, method, path);
        ask(self.address(), &body.map_or(request.clone(), |body| request.json(body))).await
    }

    /// The token that the old route gives this user.
    #[track_caller]
    pub fn issue(&self, who: &str, path: &str) -> impl Future<Output = String> {
        let path = path.to_owned();
        async move {
            let response = self.call(who, "POST", &path, None).await;
            assert_eq!(response.status, 200, "{who} {path}: {response:?}");
            response.json()["token"].as_str().expect("a token").to_owned()
        }
    }

    /// The old route of the group to try things with.
    pub fn group_route(&self) -> String {
        format!("/groups/{}/users/token", self.fixture().group("developers").id)
    }

    pub async fn join(&self, who: &str, token: &str) -> Response {
        self.call(who, "POST", "/user/groups/join", Some(json!({ "token": token }))).await
    }

    /// Whether this user is a direct member of the group to try things with.
    pub async fn is_member(&self, who: &str) -> bool {
        let (group, user) = (&self.fixture().group("developers").id, &self.fixture().user(who).id);
        let path = format!("/api/v3/onezone/groups/{group}/users/{user}");
        let request = Request::new("GET", &path).token(&self.fixture().user("admin").token);
        ask(self.onezone.address, &request).await.status == 200
    }

    pub async fn stop(self) {
        if let Some(proxy) = self.proxy {
            proxy.stop().await;
        }
    }
}

/// A token module before this backend.
pub async fn start(backend: &str, onezone: &Sandbox, directory: &Path) -> Proxy {
    let service = &onezone.fixture.user("keeper").token;
    Proxy::with(Setup {
        backend,
        service_token: Some(service),
        mode: "local",
        local: Some(directory),
        ..Setup::default()
    })
    .await
}

pub fn read(token: &str) -> Token {
    Token::parse(token).expect("a token")
}

pub fn id_of(token: &str) -> String {
    read(token).id.id
}

#[track_caller]
pub fn assert_error(response: &Response, status: u16, id: &str) {
    assert_eq!((response.status, &response.json()["error"]["id"]), (status, &json!(id)), "{response:?}");
}
