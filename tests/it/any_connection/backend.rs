//! The backend of the model: it counts what it is asked, and anything in a request that another backend could understand
//! differently is a failure.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::wire::{self, Framing, Head};

/// What has happened since the last connection of a client.
#[derive(Debug, Default)]
pub struct Seen {
    /// Requests of which the backend has seen a byte.
    pub begun: usize,
    /// Those that it has seen whole.
    pub whole: usize,
    /// Those that it has not seen whole nor broken off.
    pub arriving: usize,
    /// What was wrong with one.
    pub ambiguous: Option<String>,
    /// Grows with everything that happens.
    pub steps: u64,
}

pub type Shared = Arc<Mutex<Seen>>;

pub async fn serve(listener: TcpListener, seen: Shared) {
    while let Ok((stream, _)) = listener.accept().await {
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            if let Err(ambiguous) = converse(stream, &seen).await {
                let mut seen = seen.lock().expect("no panic");
                seen.ambiguous.get_or_insert(ambiguous);
            }
        });
    }
}

/// A request that is arriving.
struct Arriving<'a>(&'a Shared);

impl<'a> Arriving<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let mut seen = shared.lock().expect("no panic");
        seen.begun += 1;
        seen.arriving += 1;
        Arriving(shared)
    }

    fn is_whole(&self) {
        self.0.lock().expect("no panic").whole += 1;
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        let mut seen = self.0.lock().expect("no panic");
        seen.arriving -= 1;
        seen.steps += 1;
    }
}

/// Reads some more; false at the end of the connection.
async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>, seen: &Shared) -> bool {
    let read = stream.read_buf(bytes).await.is_ok_and(|read| read > 0);
    seen.lock().expect("no panic").steps += 1;
    read
}

async fn converse(mut stream: TcpStream, seen: &Shared) -> Result<(), String> {
    let mut bytes = Vec::new();
    while more(&mut stream, &mut bytes, seen).await {
        let arriving = Arriving::begin(seen);
        let (head, end) = loop {
            if let Some(head) = Head::read(&bytes)? {
                break head;
            }
            if !more(&mut stream, &mut bytes, seen).await {
                return Ok(());
            }
        };
        bytes.drain(..end);
        let (method, target) = judge(&head)?;
        let framing = head.framing()?;
        if head.is("expect", "100-continue") {
            let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        let end = loop {
            if let Some(end) = wire::body(&bytes, framing)? {
                break end;
            }
            if !more(&mut stream, &mut bytes, seen).await {
                return Ok(());
            }
        };
        if bytes.len() > end {
            return Err(format!("behind a request: {:?}", String::from_utf8_lossy(&bytes[end..])));
        }
        bytes.clear();
        arriving.is_whole();
        drop(arriving);
        if !head.all("upgrade").is_empty() {
            let _ = stream
                .write_all(b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello")
                .await;
            while more(&mut stream, &mut bytes, seen).await {}
            return Ok(());
        }
        let answer = answer(&method, &target);
        if stream.write_all(answer.as_bytes()).await.is_err() || answer.contains("connection: close") {
            return Ok(());
        }
    }
    Ok(())
}

/// What nobody can misunderstand: the method and the target.
fn judge(head: &Head) -> Result<(String, String), String> {
    let words: Vec<&str> = head.start.split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else {
        return Err(format!("the request line {:?}", head.start));
    };
    if method.is_empty() || !method.bytes().all(wire::is_token) {
        return Err(format!("the method {method:?}"));
    }
    if !(target.starts_with('/') || target == "*" && method == "OPTIONS") || target.contains('#') {
        return Err(format!("the target {target:?}"));
    }
    if head.all("host").len() != 1 {
        return Err(format!("{} hosts", head.all("host").len()));
    }
    for name in ["keep-alive", "proxy-connection", "http2-settings"] {
        if !head.all(name).is_empty() {
            return Err(format!("{name} has passed"));
        }
    }
    let is_web_socket = head.framing()? == Framing::None && head.is("upgrade", "websocket");
    if !head.all("upgrade").is_empty() && !is_web_socket {
        return Err("an upgrade to something else, or with a body".to_owned());
    }
    Ok((method.to_owned(), target.to_owned()))
}

/// The last character of a target says how it is answered.
fn answer(method: &str, target: &str) -> String {
    let is_head = method == "HEAD";
    let body = |text: &'static str| if is_head { "" } else { text };
    match target.bytes().last() {
        Some(b'c') => {
            let body = body("2\r\nok\r\n0\r\nx-end: 1\r\n\r\n");
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}")
        }
        Some(b'n') => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        Some(b'm') => "HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n".to_owned(),
        Some(b'e') => format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", body("ok")),
        Some(b'i') => {
            let body = body("ok");
            format!(
                "HTTP/1.1 103 Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 404 X\r\ncontent-length: 2\r\n\r\n{body}"
            )
        }
        _ if target.contains("/tokens") => {
            let json = "{\"token\":\"MDAxY\",\"tokenId\":\"t1\"}";
            let (length, body) = (json.len(), body(json));
            format!(
                "HTTP/1.1 201 X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            )
        }
        _ => format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", body("ok")),
    }
}
