//! What Duskgate says while it runs, all of it on stderr: events for the operator, through `tracing`, and the access
//! log, which has its own writer because one `tracing` event a request would cost the data path too much. A line is
//! formatted into memory on the request's thread and written by a thread of the log's own; where stderr is too slow
//! for that, lines are dropped and the drop is said.
//!
//! No credential ever comes here, nor the raw path of a deprecated operation, since tokens can stand in it (contract,
//! section 16): callers hand in the path template.

mod line;
mod sparing;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io::{self, IsTerminal as _, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::operation::{Mode, Phase};
use line::Value;
use sparing::Sparing;

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The form of each line.
    pub format: Format,
    /// Which requests have a line.
    pub access: Access,
}

/// The form of each line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `key=value` pairs for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which requests have a line in the access log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Calls of deprecated operations.
    #[default]
    Deprecated,
    /// All requests.
    All,
    /// None.
    Off,
}

/// Begins to log: events to stderr, at `info` and above unless `RUST_LOG` says otherwise, and the access log to the
/// same place. Where a subscriber is already there (in tests), it stays.
pub fn install(settings: &Settings) -> AccessLog {
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    let lines = tracing_subscriber::registry().with(filter).with(Sparing::default());
    let events = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let _ = match settings.format {
        Format::Json => lines.with(events.json().flatten_event(true).with_ansi(false)).try_init(),
        Format::Text => {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            lines.with(events.with_ansi(colour)).try_init()
        }
    };
    AccessLog::to(*settings, io::stderr())
}

/// The access log. Clones share one writer.
#[derive(Clone)]
pub struct AccessLog(Arc<Shared>);

/// One call of a deprecated operation, answered.
#[derive(Clone, Copy)]
pub struct DeprecatedCall<'a> {
    /// When it was answered.
    pub at: Timestamp,
    /// The operationId.
    pub operation: &'a str,
    /// The mode that made the answer.
    pub mode: Mode,
    /// The operation's phase.
    pub phase: Phase,
    /// Who called.
    pub consumer: &'a dyn std::fmt::Display,
    /// The operation's method.
    pub method: &'a Method,
    /// The operation's path template.
    pub template: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// From the end of the request's head to the answer.
    pub duration: Duration,
    /// The client.
    pub peer: SocketAddr,
}

/// One request that was no call of a deprecated operation, answered.
#[derive(Clone, Copy, Debug)]
pub struct OtherRequest<'a> {
    /// When it was answered.
    pub at: Timestamp,
    /// Its method.
    pub method: &'a Method,
    /// Its path without the query; the template where it lies on the path of a deprecated operation.
    pub path: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// From the end of the request's head to the answer.
    pub duration: Duration,
    /// The client.
    pub peer: SocketAddr,
}

impl AccessLog {
    /// An access log that is written to `out`.
    pub fn to(settings: Settings, out: impl Write + Send + 'static) -> Self {
        let shared = Arc::new(Shared {
            settings: Mutex::new(settings),
            all: AtomicBool::new(settings.access == Access::All),
            waiting: Mutex::default(),
            pending: AtomicBool::new(false),
            out: Mutex::new(Box::new(out)),
            writer: OnceLock::new(),
        });
        let weak = Arc::downgrade(&shared);
        // Without its thread the log is still written, by flush().
        if let Ok(thread) =
            thread::Builder::new().name("access-log".to_owned()).spawn(move || write_on(&weak))
        {
            let _ = shared.writer.set(thread.thread().clone());
        }
        AccessLog(shared)
    }

    /// Puts new settings in force, from the next line on.
    pub fn configure(&self, settings: Settings) {
        *lock(&self.0.settings) = settings;
        self.0.all.store(settings.access == Access::All, Ordering::Relaxed);
    }

    /// Whether requests that are no calls of deprecated operations have a line: ask before gathering its facts.
    pub fn wants_all(&self) -> bool {
        self.0.all.load(Ordering::Relaxed)
    }

    /// Logs a call of a deprecated operation, unless the access log is off.
    pub fn deprecated(&self, call: &DeprecatedCall<'_>) {
        let settings = *lock(&self.0.settings);
        if settings.access == Access::Off {
            return;
        }
        let consumer = call.consumer.to_string();
        let peer = shown(call.peer);
        self.0.append(
            settings.format,
            call.at,
            &[
                ("operation", Value::Text(call.operation)),
                ("mode", Value::Text(call.mode.name())),
                ("phase", Value::Text(call.phase.name())),
                ("consumer", Value::Text(&consumer)),
                ("method", Value::Text(call.method.as_str())),
                ("path", Value::Text(call.template)),
                ("status", Value::Number(call.status.into())),
                ("duration", Value::Seconds(call.duration)),
                ("peer", Value::Text(&peer)),
            ],
        );
    }

    /// Logs any other request, if all requests are to be logged.
    pub fn other(&self, request: &OtherRequest<'_>) {
        if !self.wants_all() {
            return;
        }
        let format = lock(&self.0.settings).format;
        let peer = shown(request.peer);
        let path = line::without_tokens(request.path);
        self.0.append(
            format,
            request.at,
            &[
                ("method", Value::Text(request.method.as_str())),
                ("path", Value::Text(&path)),
                ("status", Value::Number(request.status.into())),
                ("duration", Value::Seconds(request.duration)),
                ("peer", Value::Text(&peer)),
            ],
        );
    }

    /// Writes what is waiting, now, and returns when it is written: the last thing an orderly stop does.
    pub fn flush(&self) {
        self.0.write();
    }
}

/// How long lines wait for company before they are written together.
const GATHER: Duration = Duration::from_millis(50);

/// How many bytes may wait for a slow stderr.
const WAITING: usize = 4 << 20;

struct Shared {
    settings: Mutex<Settings>,
    all: AtomicBool,
    waiting: Mutex<Waiting>,
    /// Whether the writer was told that something waits.
    pending: AtomicBool,
    /// Locked before `waiting`, so that two writers keep the order of lines.
    out: Mutex<Box<dyn Write + Send>>,
    writer: OnceLock<Thread>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: u64,
}

impl Shared {
    fn append(&self, format: Format, at: Timestamp, fields: &[(&str, Value<'_>)]) {
        thread_local! {
            static SCRATCH: RefCell<String> = const { RefCell::new(String::new()) };
        }
        SCRATCH.with_borrow_mut(|text| {
            text.clear();
            line::write(text, format, at, fields);
            let mut waiting = lock(&self.waiting);
            if waiting.lines.len() + text.len() > WAITING {
                waiting.dropped += 1;
                return;
            }
            waiting.lines.extend_from_slice(text.as_bytes());
        });
        if !self.pending.swap(true, Ordering::AcqRel)
            && let Some(writer) = self.writer.get()
        {
            writer.unpark();
        }
    }

    fn write(&self) {
        let mut out = lock(&self.out);
        self.pending.store(false, Ordering::Release);
        let Waiting { lines, dropped } = std::mem::take(&mut *lock(&self.waiting));
        // A log that cannot be written has nowhere to say so.
        let _ = out.write_all(&lines).and_then(|()| out.flush());
        drop(out);
        if dropped > 0 {
            tracing::warn!(dropped, "access log lines were dropped because stderr is too slow");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.write();
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }
}

/// The writer's thread; it ends when the log is dropped.
fn write_on(shared: &Weak<Shared>) {
    // Parked without a hold on the log, or it could never be dropped.
    while let Some(log) = shared.upgrade() {
        if log.pending.load(Ordering::Acquire) {
            thread::sleep(GATHER);
            log.write();
            continue;
        }
        drop(log);
        thread::park();
    }
}

/// An address, and its port where that is known: a proxy may not have said it.
fn shown(peer: SocketAddr) -> String {
    if peer.port() == 0 { peer.ip().to_string() } else { peer.to_string() }
}

/// A panic elsewhere leaves a log that is still good.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
