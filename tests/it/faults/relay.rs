//! A relay between the programs and their backend that does to some requests what networks and machines do: loses the
//! request, loses the answer after the backend has acted, breaks it off, or delivers the request when its sender has long
//! given up.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Of so many requests one meets a fault: additions of members, and others.
const ONE_OF_ADDITIONS: usize = 7;
const ONE_OF_OTHERS: usize = 150;

/// A relay that runs until it is dropped.
pub struct Relay {
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    backend: SocketAddr,
    is_calm: AtomicBool,
    /// Requests that are still to be delivered.
    late: AtomicUsize,
    counts: Counts,
    random: Mutex<fastrand::Rng>,
}

/// How often which fault was made.
#[derive(Default)]
struct Counts {
    unseen: AtomicUsize,
    lost: AtomicUsize,
    half: AtomicUsize,
    broken: AtomicUsize,
    late: AtomicUsize,
}

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Fate {
    Passed,
    /// It never arrives.
    Unseen,
    /// The backend acts, and its answer is lost.
    Lost,
    /// The same in the middle of the answer.
    Half,
    /// The backend acts, and something on the way answers 500.
    Broken,
    /// The connection ends, and some time later the request arrives.
    Late,
}

impl Relay {
    pub async fn start(backend: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (is_calm, late) = (AtomicBool::new(false), AtomicUsize::new(0));
        let state =
            Arc::new(State { backend, is_calm, late, counts: Counts::default(), random: Mutex::default() });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                if let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(serve(client, Arc::clone(&shared)));
                }
            }
        });
        Relay { address, state, task }
    }

    /// Begins its choices anew.
    pub fn seed(&self, seed: u64) {
        self.state.random.lock().unwrap().seed(seed);
    }

    /// Makes no fault any more.
    pub fn calm_down(&self) {
        self.state.is_calm.store(true, Ordering::SeqCst);
    }

    /// Whether every request has been delivered that ever will be.
    pub fn is_done(&self) -> bool {
        self.state.late.load(Ordering::SeqCst) == 0
    }

    /// How many answers were lost after the backend had acted.
    pub fn lost(&self) -> usize {
        let Counts { lost, half, broken, .. } = &self.state.counts;
        [lost, half, broken].iter().map(|count| count.load(Ordering::SeqCst)).sum()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { unseen, lost, half, broken, late } = &self.state.counts;
        let [unseen, lost, half, broken, late] =
            [unseen, lost, half, broken, late].map(|count| count.load(Ordering::SeqCst));
        write!(
            f,
            "{lost} answers dropped after the backend had acted, {half} broken off, {broken} made a 500; \
             {unseen} requests lost, {late} delivered late"
        )
    }
}

async fn serve(client: TcpStream, state: Arc<State>) {
    let Ok(backend) = TcpStream::connect(state.backend).await else { return };
    let (mut client, mut backend) = (Half::of(client), Half::of(backend));
    while let Some(request) = client.message().await {
        let fate = state.fate(&request);
        match fate {
            Fate::Unseen => return,
            Fate::Late => {
                tokio::spawn(deliver(request, state));
                return;
            }
            _ => {}
        }
        if backend.stream.write_all(&request).await.is_err() {
            return;
        }
        let Some(mut answer) = backend.message().await else { return };
        match fate {
            Fate::Lost => return,
            Fate::Half => answer.truncate(answer.len() / 2),
            Fate::Broken => {
                answer =
                    b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                        .into();
            }
            _ => {}
        }
        let written = client.stream.write_all(&answer).await;
        if written.is_err() || !matches!(fate, Fate::Passed) {
            return;
        }
    }
}

/// Delivers a request whose sender has been cut off.
async fn deliver(request: Vec<u8>, state: Arc<State>) {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..800))).await;
    if let Ok(stream) = TcpStream::connect(state.backend).await {
        let mut backend = Half::of(stream);
        if backend.stream.write_all(&request).await.is_ok() {
            backend.message().await;
        }
    }
    state.late.fetch_sub(1, Ordering::SeqCst);
}

impl State {
    fn fate(&self, request: &[u8]) -> Fate {
        let one_of = if request.starts_with(b"PUT ") { ONE_OF_ADDITIONS } else { ONE_OF_OTHERS };
        let mut random = self.random.lock().unwrap();
        if self.is_calm.load(Ordering::SeqCst) || random.usize(..one_of) != 0 {
            return Fate::Passed;
        }
        let (fate, count) = match random.u8(..8) {
            0 => (Fate::Unseen, &self.counts.unseen),
            1 => (Fate::Half, &self.counts.half),
            2 => (Fate::Broken, &self.counts.broken),
            3 | 4 => (Fate::Late, &self.counts.late),
            _ => (Fate::Lost, &self.counts.lost),
        };
        count.fetch_add(1, Ordering::SeqCst);
        if matches!(fate, Fate::Late) {
            self.late.fetch_add(1, Ordering::SeqCst);
        }
        fate
    }
}

/// One side of a relayed connection.
struct Half {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Half {
    fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket option");
        Half { stream, unread: Vec::new() }
    }

    /// The next message, whole; none at the end of the connection.
    async fn message(&mut self) -> Option<Vec<u8>> {
        let head = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let text = String::from_utf8_lossy(&self.unread[..head]).to_ascii_lowercase();
        assert!(!text.contains("transfer-encoding"), "not made for this: {text}");
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        let end = head + length.unwrap_or(0);
        while self.unread.len() < end {
            self.more().await?;
        }
        Some(self.unread.drain(..end).collect())
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.unread).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }
}
