//! What is done about the servers beside requests: health checks, where a path for them is configured, and dropping
//! connections that have idled long enough. Without a health path nothing here reaches for a backend.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use http::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Version};

use super::exchange::{Exchange, Unsent};
use super::server::{Server, milliseconds};
use super::{Settings, Upstream};
use crate::body::Body;
use crate::http1::{Framing, Interim, write};
use crate::timer;

/// How often [`Upstream::tend`] wants to be called.
pub const TENDING: Duration = Duration::from_millis(250);

impl Upstream {
    /// Drops the pooled connections that have idled long enough.
    pub fn reap(&self) {
        self.servers.iter().for_each(|server| server.reap());
    }

    /// Begins the health checks that are due, each in a task of its own.
    pub fn tend(&self) {
        let Some(path) = &self.settings.health_path else { return };
        let now = timer::now();
        for server in self.servers.iter().filter(|server| server.check_at.load(Ordering::Relaxed) <= now) {
            let next = now.saturating_add(milliseconds(self.settings.health_interval));
            server.check_at.store(next, Ordering::Relaxed);
            let (server, settings, path) = (Arc::clone(server), self.settings.clone(), path.clone());
            tokio::spawn(async move { check(&server, &settings, &path).await });
        }
    }

    /// Whether any server answers. With a health path it is what the checks say and what became of requests; else a
    /// connection is opened now, first to a server that is thought well of.
    pub async fn answers(&self) -> bool {
        if let Some(path) = &self.settings.health_path {
            for server in &self.servers {
                while !server.is_known() {
                    check(server, &self.settings, path).await;
                }
            }
            return self.servers.iter().any(|server| server.is_up());
        }
        let (up, down): (Vec<_>, Vec<_>) = self.servers.iter().partition(|server| server.is_up());
        for server in up.into_iter().chain(down) {
            if server.can_be_reached(&self.settings).await {
                return true;
            }
        }
        false
    }
}

/// One health check of one server; where one is under way already, the wait for it.
async fn check(server: &Arc<Server>, settings: &Settings, path: &str) {
    let Some(_only) = server.checking.begin() else {
        tokio::time::sleep(timer::TICK).await;
        return;
    };
    let asked = tokio::time::timeout(settings.health_timeout, ask(server, settings, path)).await;
    let outcome = asked.unwrap_or_else(|_| Err("no answer to the health check within the time".to_owned()));
    server.checked(&outcome);
}

async fn ask(server: &Arc<Server>, settings: &Settings, path: &str) -> Result<(), String> {
    let connection = server.connect_beside(settings).await.map_err(|failure| failure.to_string())?;
    let mut fields = HeaderMap::new();
    let host = HeaderValue::from_str(&server.origin.authority()).map_err(|error| error.to_string())?;
    fields.insert(HOST, host);
    fields.insert(USER_AGENT, HeaderValue::from_static("duskgate"));
    // A check is of the way that a new connection takes, and leaves none behind.
    fields.insert(CONNECTION, HeaderValue::from_static("close"));
    let mut head = BytesMut::new();
    write::request(&mut head, &Method::GET, path, &fields, Framing::None);
    let unsent = Unsent::new(head, Framing::None, Body::None);
    let mut exchange = Exchange::new(connection, unsent, Version::HTTP_11, settings);
    let head = exchange.head(&Method::GET, false, &Interim::unwanted()).await;
    match head.map_err(|failure| failure.to_string())?.status {
        status if status.is_success() => Ok(()),
        status => Err(format!("its health check is answered {status}")),
    }
}
