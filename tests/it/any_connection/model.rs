//! Any bytes as a client's connection: through the listener's own loop and the pipeline to a backend that counts, all in
//! one thread, so that it is known when nothing more will happen. A property test and a fuzz target share it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use duskgate::admission::Admission;
use duskgate::body::Body;
use duskgate::clock::Clock;
use duskgate::config::Config;
use duskgate::http1::{Decoded, Decoder, HeadLimits, head};
use duskgate::listen::{Gate, Handler, Peer};
use duskgate::log::{Access, AccessLog, Format, Settings};
use duskgate::metrics::{Metrics, Vocabulary};
use duskgate::pipeline::Pipeline;
use duskgate::upstream::Upstream;
use http::{Method, Request, Response};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

#[path = "backend.rs"]
mod backend;
#[path = "wire.rs"]
mod wire;

use backend::{Seen, Shared};
use wire::{Framing, Head};

/// With how many turns of the runtime in which nothing happens it is thought that nothing will.
const QUIET: usize = 12;
/// What is not there after that has not been forgotten but lost.
const PATIENCE: Duration = Duration::from_secs(20);
/// With this line a client says that it speaks HTTP/2.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n";

/// How a client's bytes are delivered, and what is done with its requests.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// How many bytes the client writes at once.
    pub piece: usize,
    /// Whether deprecated operations are rewritten, else passed on.
    pub rewrites: bool,
}

impl Delivery {
    /// For input that says nothing of it.
    pub fn of(length: usize) -> Self {
        let piece = [usize::MAX, usize::MAX, 1, 7, 64][length % 5];
        Delivery { piece, rewrites: (length / 5).is_multiple_of(3) }
    }
}

/// A proxy and its backend.
pub struct World {
    runtime: Runtime,
    listeners: [SocketAddr; 2],
    limits: HeadLimits,
    seen: Shared,
    handled: Arc<Handled>,
}

/// The requests that the proxy has begun to serve on the client's connection.
#[derive(Default)]
struct Handled {
    methods: Mutex<Vec<Method>>,
    /// Those that are served now.
    open: AtomicUsize,
}

/// The pipeline, watched.
struct Watched {
    pipeline: Pipeline,
    handled: Arc<Handled>,
}

impl Handler for Watched {
    async fn handle(&self, request: Request<Body>, peer: &Peer) -> Response<Body> {
        let _open = Open::new(&self.handled, request.method());
        self.pipeline.handle(request, peer).await
    }
}

struct Open<'a>(&'a Handled);

impl<'a> Open<'a> {
    fn new(handled: &'a Handled, method: &Method) -> Self {
        handled.methods.lock().expect("no panic").push(method.clone());
        handled.open.fetch_add(1, Ordering::Relaxed);
        Open(handled)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl World {
    pub fn new() -> Self {
        // Sockets are looked at between any two turns of tasks.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(1).build();
        let runtime = runtime.expect("a runtime");
        let _entered = runtime.enter();
        let seen = Shared::default();
        let handled = Arc::new(Handled::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let backend = listener.local_addr().expect("an address");
        runtime.spawn(backend::serve(listener, Arc::clone(&seen)));
        let mut limits = None;
        let listeners = ["observe", "rewrite"].map(|mode| {
            let config = configuration(backend, mode);
            limits = Some(config.limits.head);
            let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            socket.set_nonblocking(true).expect("a socket");
            let address = socket.local_addr().expect("an address");
            let (gate, pipeline) = rooms(config, address);
            let handler = Arc::new(Watched { pipeline, handled: Arc::clone(&handled) });
            runtime.spawn(duskgate::listen::serve(socket, 0, handler, gate));
            address
        });
        let limits = limits.expect("a configuration");
        drop(_entered);
        World { runtime, listeners, limits, seen, handled }
    }

    /// Lets a client send these bytes, and holds what comes of it against what must be so whatever they are.
    pub fn converse(&self, data: &[u8], delivery: Delivery) {
        *self.seen.lock().expect("no panic") = Seen::default();
        self.handled.methods.lock().expect("no panic").clear();
        let expected = requests(data, &self.limits);
        let answers = self.runtime.block_on(self.ask(data, delivery, expected));
        if let Err(wrong) = answers {
            panic!("{wrong}\n{delivery:?}: {:?}", String::from_utf8_lossy(data));
        }
    }

    async fn ask(&self, data: &[u8], delivery: Delivery, expected: usize) -> Result<(), String> {
        let address = self.listeners[usize::from(delivery.rewrites)];
        let mut client = Client {
            stream: TcpStream::connect(address).await.expect("a listener"),
            received: Vec::new(),
            ended: false,
        };
        client.stream.set_nodelay(true).expect("a socket");
        // No port is kept for a connection that has ended.
        client.stream.set_zero_linger().expect("a socket");
        for piece in data.chunks(delivery.piece.min(data.len()).max(1)) {
            if client.stream.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let is_http2 = data.starts_with(HTTP2);
        // All that can happen happens.
        let settled = |client: &Client| is_http2 || self.is_settled(client, delivery, expected).is_ok();
        if !self.turn_until(&mut client, settled).await {
            return self.is_settled(&client, delivery, expected);
        }
        // Who has closed gets no more answers, and the connection ends.
        let _ = client.stream.shutdown().await;
        let gone = |client: &Client| {
            let arriving = self.seen.lock().expect("no panic").arriving;
            client.ended && arriving + self.handled.open.load(Ordering::Relaxed) == 0
        };
        if !self.turn_until(&mut client, gone).await {
            return Err("the connection does not end".to_owned());
        }
        let seen = self.seen.lock().expect("no panic");
        if let Some(ambiguous) = &seen.ambiguous {
            return Err(format!("the backend was sent {ambiguous}"));
        }
        if is_http2 {
            return Ok(());
        }
        let answers = self.answers(&client)?;
        if !delivery.rewrites && seen.begun > answers.whole + 1 {
            return Err(format!(
                "the backend has seen {} requests, the client {} answers",
                seen.begun, answers.whole
            ));
        }
        Ok(())
    }

    /// Turns the runtime until nothing happens any more and it `is_so`; false if it takes too long.
    async fn turn_until(&self, client: &mut Client, is_so: impl Fn(&Client) -> bool) -> bool {
        let begin = Instant::now();
        let (mut quiet, mut before) = (0, None);
        loop {
            client.read();
            let now = Some((client.received.len(), client.ended, self.seen.lock().expect("no panic").steps));
            quiet = if now == before { quiet + 1 } else { 0 };
            before = now;
            if quiet >= QUIET && is_so(client) {
                return true;
            }
            if quiet > 20 * QUIET {
                // The system is slow to deliver.
                tokio::time::sleep(Duration::from_millis(1)).await;
                if begin.elapsed() > PATIENCE {
                    return false;
                }
            } else {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Whether everything is answered that can be.
    fn is_settled(&self, client: &Client, delivery: Delivery, expected: usize) -> Result<(), String> {
        let answers = self.answers(client)?;
        let seen = self.seen.lock().expect("no panic");
        let handled = self.handled.methods.lock().expect("no panic").len();
        if let Some(ambiguous) = &seen.ambiguous {
            return Err(format!("the backend was sent {ambiguous}"));
        }
        if !answers.is_switched && !client.ended {
            if answers.is_partial {
                return Err("an answer is not completed".to_owned());
            }
            if answers.whole < expected {
                return Err(format!("{expected} requests, and {} answers", answers.whole));
            }
        }
        if answers.whole > handled + 1 || handled > answers.whole + 1 {
            return Err(format!("{handled} requests were served, and {} answered", answers.whole));
        }
        if !delivery.rewrites && (seen.whole > answers.whole || seen.begun > handled) {
            return Err(format!("the backend has seen {seen:?}, the client {} answers", answers.whole));
        }
        Ok(())
    }

    fn answers(&self, client: &Client) -> Result<Answers, String> {
        let methods = self.handled.methods.lock().expect("no panic");
        answers(&client.received, &methods, client.ended).map_err(|wrong| {
            format!("the client was sent {wrong}: {:?}", String::from_utf8_lossy(&client.received))
        })
    }
}

struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    ended: bool,
}

impl Client {
    /// Reads what is there.
    fn read(&mut self) {
        let mut buffer = [0; 4096];
        while !self.ended {
            match self.stream.try_read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(read) => self.received.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_) => self.ended = true,
            }
        }
    }
}

/// What a client has got.
struct Answers {
    whole: usize,
    is_partial: bool,
    /// The connection is none of HTTP any more.
    is_switched: bool,
}

/// Reads answers to requests with these methods. What has no request is a refusal, the last that there is.
fn answers(mut bytes: &[u8], methods: &[Method], ended: bool) -> Result<Answers, String> {
    let mut answers = Answers { whole: 0, is_partial: false, is_switched: false };
    let mut is_last = false;
    while !bytes.is_empty() {
        if is_last {
            return Err("something behind the last answer".to_owned());
        }
        let Some((head, end)) = Head::read(bytes)? else {
            answers.is_partial = true;
            break;
        };
        bytes = &bytes[end..];
        let status = status(&head.start).ok_or_else(|| format!("the status line {:?}", head.start))?;
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        let method = methods.get(answers.whole);
        if status == 101 {
            answers.whole += 1;
            answers.is_switched = true;
            break;
        }
        is_last = head.is("connection", "close");
        let framing = head.framing()?;
        let is_refusal = method.is_none();
        if is_refusal && !(status >= 400 && is_last && framing == Framing::Length(0)) {
            return Err(format!("an answer to nothing: {status}"));
        }
        let is_empty = method == Some(&Method::HEAD) || matches!(status, 204 | 304);
        match framing {
            _ if is_empty => {}
            Framing::None if !is_last => return Err("an answer without an end".to_owned()),
            Framing::None if ended => bytes = &[],
            Framing::None => {
                answers.is_partial = true;
                break;
            }
            framing => match wire::body(bytes, framing)? {
                Some(end) => bytes = &bytes[end..],
                None => {
                    answers.is_partial = true;
                    break;
                }
            },
        }
        answers.whole += 1;
    }
    Ok(answers)
}

fn status(line: &str) -> Option<u16> {
    let (digits, _) = line.strip_prefix("HTTP/1.1 ")?.split_once(' ')?;
    let status: u16 = digits.parse().ok().filter(|_| digits.len() == 3)?;
    (100..600).contains(&status).then_some(status)
}

/// How many whole requests stand in these bytes before the connection ends for one of them. How heads and bodies are read
/// is the business of another model.
fn requests(data: &[u8], limits: &HeadLimits) -> usize {
    let mut buffer = BytesMut::from(data);
    let mut whole = 0;
    loop {
        let Ok(Some(head)) = head::take_request(&mut buffer, &mut 0, limits) else { return whole };
        let mut decoder = Decoder::new(head.framing);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Decoded::Data(_)) => {}
                Ok(Decoded::Trailers(_) | Decoded::End) => break,
                Ok(Decoded::Starved) | Err(_) => return whole,
            }
        }
        whole += 1;
        if !head.keep_alive || head.upgrade {
            return whole;
        }
    }
}

fn configuration(backend: SocketAddr, mode: &str) -> Config {
    let text = format!(
        "[limits]\nhead_bytes = \"4KiB\"\nhead_fields = 20\nrequest_line = \"1KiB\"\n\
         [upstream]\nservers = [\"http://{backend}\"]\n\
         [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\nmode = \"{mode}\"\n"
    );
    Config::read(Path::new("duskgate.toml"), &text, []).unwrap_or_else(|invalid| panic!("{invalid}"))
}

fn rooms(config: Config, listener: SocketAddr) -> (Arc<Gate>, Pipeline) {
    let metrics = Arc::new(Metrics::new(Clock::Real, &[listener.to_string()], Vocabulary::default()));
    let gate = Arc::new(Gate::new(config.limits, 1, Arc::clone(&metrics)));
    let upstream = Arc::new(Upstream::new(config.upstream, Arc::clone(&metrics)).expect("no TLS"));
    let admission = Arc::new(Admission::new(config.admission, Arc::clone(&metrics)));
    let access = AccessLog::to(Settings { format: Format::Text, access: Access::Off }, std::io::sink());
    (gate, Pipeline::new(config.book, upstream, None, admission, metrics, access, Clock::Real))
}
