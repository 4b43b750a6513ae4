//! A stand-in Onezone in memory, for demonstrations, tests and client authors: users, groups, spaces, harvesters, clusters
//! and the token API, with the deprecated routes or without them. It behaves as Onezone does, quirks included (contract, sections 1 to 12), so
//! that it can be the judge of what the proxy answers; it therefore shares only the token format and the reading of paths
//! with the rest of the house. It keeps nothing on disk and knows no
//! files and no browser logins.

mod aliases;
mod answer;
mod auth;
mod caveats;
mod client_tokens;
mod entities;
mod fault;
mod fixture;
mod handle;
mod hooks;
mod invites;
mod join;
mod kinds;
mod legacy;
mod links;
mod members;
mod names;
mod privileges;
mod providers;
mod registration;
mod request;
mod routes;
mod server;
mod store;
mod tokens;
mod users;
mod values;
mod verify;
mod wording;

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use fixture::{Fixture, Oneprovider, Person, Target};
pub use hooks::Hooks;
use hooks::locked;

use crate::clock::Clock;
use crate::token::Type;

/// How to build a sandbox.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether it has the deprecated routes. A newer Onezone does not.
    pub legacy: bool,
    /// Whether it has the token API. A Onezone before 20.02 does not.
    pub token_api: bool,
    /// The Onezone domain in tokens and `Location` headers.
    pub domain: String,
    /// For how long an idle connection is kept.
    pub idle: Duration,
    /// What time it is there.
    pub clock: Clock,
}

impl Default for Settings {
    /// All routes, on a free port of the loopback interface.
    fn default() -> Self {
        Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            legacy: true,
            token_api: true,
            domain: "onezone.example.com".to_owned(),
            idle: Duration::from_secs(30),
            clock: Clock::Real,
        }
    }
}

/// A running sandbox. It stops, with all its connections, when this is dropped. Its [`Hooks`] are its methods.
pub struct Sandbox {
    /// Where it listens.
    pub address: SocketAddr,
    /// The same as a URL without a path: `http://127.0.0.1:40213`.
    pub url: String,
    /// Who and what is in it at the start.
    pub fixture: Fixture,
    onezone: Arc<handle::Onezone>,
    server: JoinHandle<()>,
}

/// Starts a sandbox as a task of the current runtime.
///
/// # Errors
///
/// When the address cannot be bound.
pub async fn start(settings: Settings) -> io::Result<Sandbox> {
    let listener = TcpListener::bind(settings.listen).await?;
    let address = listener.local_addr()?;
    let hooks = Arc::new(Hooks::default());
    let mut store = store::Store::new(settings.domain, Arc::clone(&hooks));
    let fixture = fixture::fill(&mut store, settings.clock.now().as_second());
    let onezone = Arc::new(handle::Onezone {
        store: Mutex::new(store),
        hooks,
        clock: settings.clock,
        edition: routes::Edition { legacy: settings.legacy, token_api: settings.token_api },
    });
    let server = tokio::spawn(server::serve(listener, Arc::clone(&onezone), settings.idle));
    Ok(Sandbox { address, url: format!("http://{address}"), fixture, onezone, server })
}

impl Sandbox {
    /// All named tokens that exist now, as `GET /tokens/named/{id}` shows them.
    pub fn tokens(&self) -> Vec<Value> {
        let store = locked(&self.onezone.store);
        store.tokens.iter().map(|(id, record)| record.to_json(&store.domain, id)).collect()
    }

    /// Binds a named access token to a browser session, as only the GUI does, and gives its text from then on. There are no
    /// browser sessions here, so that it is good for nothing.
    pub fn bind_token(&self, id: &str, session: &str) -> Option<String> {
        let mut store = locked(&self.onezone.store);
        let domain = store.domain.clone();
        let record = store.tokens.get_mut(id)?;
        record.kind = Type::Access { session: Some(session.to_owned()) };
        record.token(&domain, id).map(|token| token.serialize())
    }

    /// The ids of all named tokens that exist now.
    pub fn token_ids(&self) -> Vec<String> {
        locked(&self.onezone.store).tokens.keys().cloned().collect()
    }

    /// Adds so many groups, which anna administers, and so many users, who are in none of them.
    pub fn add_crowd(&self, groups: usize, users: usize) -> (Vec<Target>, Vec<Person>) {
        let now = self.onezone.clock.now().as_second();
        fixture::add_crowd(&mut locked(&self.onezone.store), groups, users, now)
    }

    /// The document that `duskgate sandbox` prints.
    pub fn to_json(&self) -> Value {
        self.fixture.to_json(&self.url)
    }
}

impl Deref for Sandbox {
    type Target = Hooks;

    fn deref(&self) -> &Hooks {
        &self.onezone.hooks
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
    }
}
