//! The admin listener: metrics, health, the operations and the configuration in force, reloading and draining, on an
//! address of its own that callers of Onezone never see. It shows and commands; what it shows and who obeys is handed
//! to it as a [`Panel`].
//!
//! It has no accounts: whoever reaches it may use it, which is why it binds to loopback unless told otherwise. What a
//! web page of another origin makes a browser send is refused.

mod answer;
mod api;
mod asking;
mod page;
mod seats;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::fs::File;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::listen;
use crate::metrics::Metrics;
use crate::operation::Cost;
pub use asking::Asking;
use seats::{Seat, Seats};

/// Where the admin listener stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The address to listen on; port 0 takes a free one.
    pub address: SocketAddr,
}

/// What the admin listener shows and commands.
pub struct Panel {
    /// All metrics.
    pub metrics: Arc<Metrics>,
    /// How the proxy fares.
    pub health: Box<dyn Fn() -> Checking + Send + Sync>,
    /// The deprecated operations in force, in the order to show them.
    pub operations: Box<dyn Fn() -> Vec<Row> + Send + Sync>,
    /// Who calls them.
    pub usage: Asking,
    /// Where `[usage]` and its `ignore` are set.
    pub usage_written: Box<dyn Fn() -> [Written; 2] + Send + Sync>,
    /// The effective configuration, secrets redacted, as TOML.
    pub configuration: Box<dyn Fn() -> String + Send + Sync>,
    /// Loads the configuration anew.
    pub reload: Box<dyn Fn() -> Reloading + Send + Sync>,
    /// Begins (`true`) or ends (`false`) to tell load balancers to stay away; nothing stops.
    pub drain: Box<dyn Fn(bool) + Send + Sync>,
}

/// A look at how the proxy fares, under way: whether a backend answers takes a moment.
pub type Checking = Pin<Box<dyn Future<Output = Health> + Send>>;

/// A reload under way; it ends with all mistakes of a configuration that was refused, one text for each.
pub type Reloading = Pin<Box<dyn Future<Output = Result<(), Vec<String>>> + Send>>;

/// How the proxy fares, part by part.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Health {
    /// Its listeners accept connections.
    pub listening: bool,
    /// A backend server answers.
    pub upstream: bool,
    /// The ledger can be read and written; nothing where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<bool>,
    /// It was told to drain, or is stopping.
    pub draining: bool,
}

impl Health {
    /// Whether requests should be sent here.
    pub fn ready(&self) -> bool {
        self.listening && self.upstream && self.ledger != Some(false) && !self.draining
    }
}

/// A deprecated operation as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The operationId.
    pub id: String,
    /// Its method.
    pub method: String,
    /// Its path template.
    pub path: String,
    /// The mode that serves it now.
    pub mode: &'static str,
    /// Its phase now.
    pub phase: &'static str,
    /// When it was or will be deprecated.
    pub deprecated_at: Timestamp,
    /// When it ends, if that is known.
    pub sunset_at: Option<Timestamp>,
    /// Where it is documented.
    pub documentation: Option<String>,
    /// What to call instead, as `METHOD path`.
    pub successors: Vec<String>,
    /// How many requests to the backend a call takes in this mode.
    pub cost: Cost,
    /// Calls since this process started.
    pub calls: u64,
    /// The last of them.
    pub last_call: Option<Timestamp>,
    /// Whether another mode is tried where this one could not serve.
    #[serde(skip)]
    pub falls_back: bool,
    /// Where its own table is.
    #[serde(skip)]
    pub written: Written,
}

/// Where a part of the configuration is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Written {
    /// Nowhere: the default holds.
    #[default]
    Nowhere,
    /// In the file, at this place.
    File(String),
    /// In this variable of the environment, which overrides the file.
    Environment(String),
}

/// How many connections there can be at once. For one more, the one that has been idle longest is closed.
const CONNECTIONS: usize = 32;
/// How long to wait for one of them to become idle, before looking again.
const BUSY: Duration = Duration::from_millis(100);
/// How long to wait for a connection when there is no handle for it, before looking again.
const GLANCE: Duration = Duration::from_millis(20);
/// How long a request's head may take, and how long a connection may idle.
const HEAD: Duration = Duration::from_secs(30);
/// How long a connection may live, so that no slow reader holds one for ever.
const LIFE: Duration = Duration::from_secs(300);
/// How many bytes a request's head may have.
const HEAD_BYTES: usize = 16 << 10;

/// Serves the panel on a listener, until the future is dropped. When `until` is done it accepts no more.
pub async fn serve(listener: TcpListener, panel: Arc<Panel>, until: impl Future<Output = ()>) {
    let mut connections = tokio::task::JoinSet::new();
    tokio::select! {
        () = until => {}
        () = accept(&listener, panel, &mut connections) => {}
    }
    listen::want_handles(false);
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn accept(listener: &TcpListener, panel: Arc<Panel>, connections: &mut tokio::task::JoinSet<()>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let (spare, seats) = (Arc::new(Spare::default()), Arc::new(Seats::default()));
    let mut is_spent = false;
    loop {
        while connections.try_join_next().is_some() {}
        // What was spent is for a connection, which fills it up again when it ends.
        if !is_spent && connections.is_empty() {
            spare.fill();
        }
        let accepted = listener.accept().await;
        let is_short = accepted.as_ref().is_err_and(listen::is_out_of_handles);
        // Without a handle it fails whether or not anybody has come.
        let is_wanted = is_short && has_come(listener);
        listen::want_handles(is_wanted);
        match accepted {
            Ok((stream, _)) => {
                is_spent = false;
                let place = make_room(&room, &seats).await;
                let (panel, spare, taken) = (Arc::clone(&panel), Arc::clone(&spare), seats.take());
                connections.spawn(async move {
                    tokio::select! {
                        biased;
                        () = taken.seat.has_to_leave() => {}
                        () = converse(stream, panel, &taken.seat) => {}
                    }
                    // At once, before a client takes what has become free.
                    spare.fill();
                    drop(place);
                });
            }
            // Whoever comes now comes to see what is wrong.
            Err(_) if is_wanted && spare.spend() => is_spent = true,
            Err(_) if is_wanted && seats.clear_one() => {
                // It has a handle to give back.
                is_spent = true;
                tokio::task::yield_now().await;
            }
            Err(_) if is_short => tokio::time::sleep(GLANCE).await,
            Err(error) => {
                tracing::warn!(%error, "the admin listener could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Whether a connection waits to be accepted.
fn has_come(listener: &TcpListener) -> bool {
    let mut looked_at = [PollFd::new(listener, PollFlags::IN)];
    // Where that cannot be said, it is tried.
    !matches!(poll(&mut looked_at, Some(&Timespec::default())), Ok(0))
}

/// Room for one connection more.
async fn make_room(room: &Arc<Semaphore>, seats: &Seats) -> Option<OwnedSemaphorePermit> {
    loop {
        if let Ok(place) = Arc::clone(room).try_acquire_owned() {
            return Some(place);
        }
        seats.clear_one();
        // Where none was idle, one may be then.
        if let Ok(place) = tokio::time::timeout(BUSY, Arc::clone(room).acquire_owned()).await {
            // The semaphore is never closed.
            return place.ok();
        }
    }
}

/// File handles kept back for the time when the process has no other left.
#[derive(Default)]
struct Spare(Mutex<Vec<File>>);

impl Spare {
    /// How many there are.
    const MOST: usize = 8;
    /// How many go at once: for a connection, and for what it asks to be read, such as `/proc`.
    const EACH: usize = 3;

    /// Takes what is missing, as far as it can be had.
    fn fill(&self) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while files.len() < Self::MOST {
            let Ok(file) = File::open("/dev/null") else { return };
            files.push(file);
        }
    }

    /// Lets some go; false if there are none.
    fn spend(&self) -> bool {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = files.len().saturating_sub(Self::EACH);
        files.drain(left..).count() > 0
    }
}

async fn converse(stream: TcpStream, panel: Arc<Panel>, seat: &Arc<Seat>) {
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let (panel, seat) = (Arc::clone(&panel), Arc::clone(seat));
        async move {
            seat.begin();
            let answer = panel.answer(request.method(), request.uri(), request.headers()).await;
            seat.end();
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // How a connection ends concerns only the client at its other end.
    if tokio::time::timeout(LIFE, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(HEAD, connection).await;
    }
}
