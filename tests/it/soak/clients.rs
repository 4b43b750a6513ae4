//! The clients, each a loop until the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::backend::Caller;
use super::figures::Figures;
use crate::support::http::{Connection, Request};

/// Between two requests of one client: the load is to be long, not heavy.
const PAUSE: Duration = Duration::from_millis(20);
/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a head may take, as the proxy is told.
const HEAD: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// GETs on a kept connection.
    Plain,
    /// GETs, each on a connection of its own.
    Fresh,
    /// POSTs with a chunked body, on a kept connection.
    Upload,
    /// Calls of a route that is rewritten.
    Rewritten,
    /// Messages over one WebSocket.
    WebSocket,
    /// Requests that are given up half-way, or before their answer.
    Aborted,
    /// Requests sent byte by byte, answers read so.
    Slow,
}

impl Client {
    pub async fn run(self, address: SocketAddr, caller: Caller, figures: Arc<Figures>) {
        match self {
            Client::Plain => self.keep_asking(address, &health(), &figures).await,
            Client::Upload => self.keep_asking(address, &upload(&caller), &figures).await,
            Client::Rewritten => self.keep_asking(address, &legacy(&caller), &figures).await,
            Client::Fresh => self.ask_anew(address, &figures).await,
            Client::WebSocket => self.talk(address, &figures).await,
            Client::Aborted => self.give_up(address, &caller, &figures).await,
            Client::Slow => self.dawdle(address, &figures).await,
        }
    }

    /// The outcome that counts.
    pub fn success(self) -> &'static str {
        match self {
            Client::WebSocket => "echoes",
            Client::Aborted => "given up",
            _ => "200",
        }
    }

    async fn keep_asking(self, address: SocketAddr, request: &Request, figures: &Figures) {
        let mut connection = None;
        while !figures.is_over() {
            let mut kept = match connection.take() {
                Some(kept) => kept,
                None => Connection::to(address).await,
            };
            let began = Instant::now();
            kept.write(&request.to_bytes()).await;
            if self.answered(&mut kept, &request.method, began, figures).await {
                connection = Some(kept);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask_anew(self, address: SocketAddr, figures: &Figures) {
        while !figures.is_over() {
            let began = Instant::now();
            let mut connection = Connection::to(address).await;
            connection.write(&health().header("Connection", "close").to_bytes()).await;
            self.answered(&mut connection, "GET", began, figures).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads an answer and counts it; says whether the connection is kept.
    async fn answered(
        self,
        connection: &mut Connection,
        method: &str,
        began: Instant,
        figures: &Figures,
    ) -> bool {
        match tokio::time::timeout(PATIENCE, connection.response(method)).await {
            Ok(Some(response)) => {
                match response.status {
                    200 => figures.good(self, "200"),
                    status => figures.bad(self, began, format!("{status}: {}", response.text())),
                }
                response.header("connection") != Some("close")
            }
            Ok(None) => {
                figures.bad(self, began, "closed without an answer".to_owned());
                false
            }
            Err(_) => {
                figures.bad(self, began, "no answer in time".to_owned());
                false
            }
        }
    }

    async fn talk(self, address: SocketAddr, figures: &Figures) {
        while !figures.is_over() {
            let began = Instant::now();
            let stream = TcpStream::connect(address).await.expect("the proxy listens");
            let opening = tokio_tungstenite::client_async("ws://onezone.example.com/graph_sync/gui", stream);
            let mut socket = match tokio::time::timeout(PATIENCE, opening).await {
                Ok(Ok((socket, _))) => socket,
                Ok(Err(error)) => {
                    figures.bad(self, began, format!("not opened: {error}"));
                    tokio::time::sleep(PAUSE * 5).await;
                    continue;
                }
                Err(_) => {
                    figures.bad(self, began, "not opened in time".to_owned());
                    continue;
                }
            };
            loop {
                let began = Instant::now();
                let sent = socket.send(Message::text("hello")).await;
                let echo = tokio::time::timeout(PATIENCE, socket.next()).await;
                match (sent, echo) {
                    (Ok(()), Ok(Some(Ok(message)))) if message.is_text() => figures.good(self, "echoes"),
                    (_, other) => {
                        figures.bad(self, began, format!("no echo: {other:?}"));
                        break;
                    }
                }
                if figures.is_over() {
                    let _ = socket.close(None).await;
                    break;
                }
                tokio::time::sleep(PAUSE * 5).await;
            }
        }
    }

    async fn give_up(self, address: SocketAddr, caller: &Caller, figures: &Figures) {
        let requests = [health(), upload(caller), legacy(caller)].map(|request| request.to_bytes());
        let mut turn = 0;
        while !figures.is_over() {
            let raw = &requests[turn % requests.len()];
            // Half of them have sent everything, and do not wait.
            let sent = if turn % 2 == 0 { raw.len() } else { raw.len() / 2 };
            let mut stream = TcpStream::connect(address).await.expect("the proxy listens");
            let _ = stream.write_all(&raw[..sent]).await;
            if turn % 4 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            drop(stream);
            figures.good(self, "given up");
            turn += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn dawdle(self, address: SocketAddr, figures: &Figures) {
        let raw = health().header("Connection", "close").to_bytes();
        while !figures.is_over() {
            let began = Instant::now();
            let mut stream = TcpStream::connect(address).await.expect("the proxy listens");
            for byte in &raw {
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // On a machine that is busy with other things, this client may be slower than it means to be.
            let was_too_slow = began.elapsed() >= HEAD;
            let (mut answer, mut byte) = (Vec::new(), [0]);
            while let Ok(Ok(1)) = tokio::time::timeout(PATIENCE, stream.read(&mut byte)).await {
                answer.push(byte[0]);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let answer = String::from_utf8_lossy(&answer);
            match answer.split(' ').nth(1) {
                Some("200") if answer.ends_with('}') => figures.good(self, "200"),
                Some("408") if was_too_slow => figures.good(self, "408 for a head that took too long"),
                _ => figures.bad(self, began, format!("{answer:?}")),
            }
        }
    }
}

fn health() -> Request {
    Request::new("GET", "/api/v3/onezone/health")
}

fn legacy(caller: &Caller) -> Request {
    let path = format!("/api/v3/onezone/groups/{}/users/token", caller.group);
    Request::new("POST", &path).token(&caller.token).header("Content-Length", "0")
}

/// A POST that changes nothing, of 8 KiB.
fn upload(caller: &Caller) -> Request {
    let content = format!("{{\"token\": \"{}\"}}{}", caller.token, " ".repeat(8 * 1024));
    let mut request = Request::new("POST", "/api/v3/onezone/tokens/verify_access_token")
        .header("Content-Type", "application/json")
        .header("Transfer-Encoding", "chunked");
    request.body = format!("{:x}\r\n{content}\r\n0\r\n\r\n", content.len()).into_bytes();
    request
}
