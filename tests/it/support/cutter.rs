//! A relay in front of a data base, which cuts a connection after the server has done what was asked and before anybody
//! hears of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Passes everything on until it is told what to cut.
pub struct Cutter {
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    server: SocketAddr,
    /// A question with this in it is the last one on its connection.
    last: Mutex<Option<String>>,
    is_closed: AtomicBool,
}

impl Cutter {
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State { server, last: Mutex::default(), is_closed: AtomicBool::new(false) });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !shared.is_closed.load(Ordering::SeqCst) {
                    tokio::spawn(pass(client, Arc::clone(&shared)));
                }
            }
        });
        Cutter { address, state, task }
    }

    /// Cuts the connection on which the next question with this text in it is asked.
    pub fn cut_at(&self, text: &str) {
        *self.state.last.lock().unwrap() = Some(text.to_owned());
    }

    /// The same, and lets nobody in after that.
    pub fn cut_and_close_at(&self, text: &str) {
        self.cut_at(text);
        self.state.is_closed.store(true, Ordering::SeqCst);
    }

    /// Lets in who comes.
    pub fn open(&self) {
        self.state.is_closed.store(false, Ordering::SeqCst);
    }

    /// Whether what was to be cut was.
    pub fn has_cut(&self) -> bool {
        self.state.last.lock().unwrap().is_none()
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn is_last(&self, question: &[u8]) -> bool {
        let mut last = self.last.lock().unwrap();
        let is_it = last
            .as_ref()
            .is_some_and(|text| question.windows(text.len()).any(|part| part == text.as_bytes()));
        if is_it {
            *last = None;
        }
        is_it
    }
}

async fn pass(mut client: TcpStream, state: Arc<State>) {
    let mut server = TcpStream::connect(state.server).await.expect("the server listens");
    let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
    let mut is_last = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(0) | Err(_) => return,
                Ok(read) => {
                    is_last |= state.is_last(&up[..read]);
                    if server.write_all(&up[..read]).await.is_err() {
                        return;
                    }
                }
            },
            read = server.read(&mut down) => match read {
                Ok(0) | Err(_) => return,
                // The server answers when it is done.
                Ok(_) if is_last => return,
                Ok(read) => {
                    if client.write_all(&down[..read]).await.is_err() {
                        return;
                    }
                }
            },
        }
    }
}
