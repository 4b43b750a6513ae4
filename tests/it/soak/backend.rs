//! A Onezone with a WebSocket beside its REST API, which can go away, with all its connections, and come back at the same
//! address.

use std::io::Cursor;
use std::net::SocketAddr;
use std::time::Duration;

use duskgate::sandbox::{self, Sandbox, Settings};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// How long it is away.
const AWAY: Duration = Duration::from_millis(700);

/// Whom the clients call as.
#[derive(Clone, Debug)]
pub struct Caller {
    pub token: String,
    pub group: String,
}

pub struct Backend {
    pub address: SocketAddr,
    pub caller: Caller,
    onezone: Sandbox,
    serving: JoinHandle<()>,
}

impl Backend {
    /// One that has dropped the deprecated routes.
    pub async fn start() -> Self {
        let settings = Settings { legacy: false, ..Settings::default() };
        let onezone = sandbox::start(settings).await.expect("a sandbox");
        let caller = Caller {
            token: onezone.fixture.user("anna").token.clone(),
            group: onezone.fixture.group("developers").id.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let serving = tokio::spawn(serve(listener, onezone.address));
        Backend { address, caller, onezone, serving }
    }

    /// Goes away and comes back.
    pub async fn restart(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
        tokio::time::sleep(AWAY).await;
        let listener = TcpListener::bind(self.address).await.expect("the port that it had");
        self.serving = tokio::spawn(serve(listener, self.onezone.address));
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Dropped, it drops its connections.
async fn serve(listener: TcpListener, onezone: SocketAddr) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connect(stream, onezone));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection: requests go to Onezone, until one asks for a WebSocket. Each begins a read of its own, since the one
/// before it was answered.
async fn connect(mut stream: TcpStream, onezone: SocketAddr) {
    let Ok(mut onezone) = TcpStream::connect(onezone).await else { return };
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    loop {
        tokio::select! {
            read = stream.read(&mut up) => match read {
                Ok(0) | Err(_) => return,
                Ok(read) if up[..read].starts_with(b"GET /graph_sync") => {
                    let (reading, writing) = stream.into_split();
                    return echo(tokio::io::join(Cursor::new(up[..read].to_vec()).chain(reading), writing)).await;
                }
                Ok(read) => if onezone.write_all(&up[..read]).await.is_err() { return },
            },
            read = onezone.read(&mut down) => match read {
                Ok(0) | Err(_) => return,
                Ok(read) => if stream.write_all(&down[..read]).await.is_err() { return },
            },
        }
    }
}

async fn echo(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}
