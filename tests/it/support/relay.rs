//! A relay in front of a backend, which loses one answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Passes everything on, except for the answer to the first request that begins with `lost`: there the connection is
/// closed instead.
pub struct Relay {
    pub url: String,
    task: JoinHandle<()>,
}

impl Relay {
    pub async fn start(backend: SocketAddr, lost: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let is_lost = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, backend, lost, Arc::clone(&is_lost)));
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

async fn pass(mut client: TcpStream, backend: SocketAddr, lost: &str, is_lost: Arc<AtomicBool>) {
    let mut backend = TcpStream::connect(backend).await.expect("the backend listens");
    let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
    let mut is_to_be_lost = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(0) | Err(_) => return,
                Ok(read) => {
                    let is_it = up[..read].starts_with(lost.as_bytes());
                    is_to_be_lost |= is_it && !is_lost.swap(true, Ordering::SeqCst);
                    if backend.write_all(&up[..read]).await.is_err() {
                        return;
                    }
                }
            },
            read = backend.read(&mut down) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) if is_to_be_lost => return,
                Ok(read) => {
                    if client.write_all(&down[..read]).await.is_err() {
                        return;
                    }
                }
            },
        }
    }
}
