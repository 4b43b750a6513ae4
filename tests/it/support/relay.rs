//! A relay in front of a backend, which does something bad to some requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Passes everything on, except for the first requests that begin with a text.
pub struct Relay {
    pub url: String,
    task: JoinHandle<()>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// The backend gets it, and the connection is closed where the answer would be.
    AnswerLost,
    /// The backend never gets it, and the connection is closed.
    RequestLost,
    /// The backend gets it, and this is the answer.
    AnswerReplaced(&'static str),
    /// The backend never gets it, and this is the answer.
    Answered(&'static str),
}

/// The requests to which something happens.
struct Doomed {
    beginning: &'static str,
    fate: Fate,
    left: AtomicUsize,
}

impl Relay {
    /// Loses the answer to the first request that begins so.
    pub async fn start(backend: SocketAddr, lost: &'static str) -> Self {
        Relay::with(backend, lost, 1, Fate::AnswerLost).await
    }

    /// Does this to the first requests that begin so.
    pub async fn with(backend: SocketAddr, beginning: &'static str, times: usize, fate: Fate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let doomed = Arc::new(Doomed { beginning, fate, left: AtomicUsize::new(times) });
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, backend, Arc::clone(&doomed)));
            }
        });
        Relay { url, task }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Doomed {
    /// What becomes of a request that begins so, if anything does.
    fn fate_of(&self, request: &[u8]) -> Option<Fate> {
        let one_less = |left: usize| left.checked_sub(1);
        let is_it = request.starts_with(self.beginning.as_bytes())
            && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok();
        is_it.then_some(self.fate)
    }
}

async fn pass(mut client: TcpStream, backend: SocketAddr, doomed: Arc<Doomed>) {
    let mut backend = TcpStream::connect(backend).await.expect("the backend listens");
    let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
    let mut fate = None;
    loop {
        tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(0) | Err(_) => return,
                Ok(read) => {
                    fate = fate.or_else(|| doomed.fate_of(&up[..read]));
                    match fate {
                        Some(Fate::RequestLost) => return,
                        Some(Fate::Answered(answer)) => {
                            let _ = client.write_all(answer.as_bytes()).await;
                            return;
                        }
                        _ => {}
                    }
                    if backend.write_all(&up[..read]).await.is_err() {
                        return;
                    }
                }
            },
            read = backend.read(&mut down) => match (read, fate) {
                (Ok(0) | Err(_), _) | (Ok(_), Some(Fate::AnswerLost)) => return,
                (Ok(_), Some(Fate::AnswerReplaced(answer))) => {
                    let _ = client.write_all(answer.as_bytes()).await;
                    return;
                }
                (Ok(read), _) => {
                    if client.write_all(&down[..read]).await.is_err() {
                        return;
                    }
                }
            },
        }
    }
}
