//! A raw HTTP/1.1 client: it sends exactly the bytes it is given and reads what comes back without interpreting more than
//! the framing, header fields in the order and spelling in which they arrived. It refuses framing that is ambiguous.

#![allow(dead_code)]

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

/// No answer of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request that is written as its parts stand here.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        let headers = vec![("Host".to_owned(), "onezone.example.com".to_owned())];
        Request { method: method.to_owned(), target: target.to_owned(), headers, body: Vec::new() }
    }

    /// Adds a header field; a second `host` replaces the first.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if name.eq_ignore_ascii_case("host") {
            self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
        }
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Presents an access token.
    pub fn token(self, token: &str) -> Self {
        self.header("X-Auth-Token", token)
    }

    /// A body with its length, and no content type.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("Content-Length", &length)
    }

    /// A body that says it is JSON.
    pub fn json(self, body: impl ToString) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    /// The bytes on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// A response as it arrived.
#[derive(Clone)]
pub struct Response {
    pub status: u16,
    pub reason: String,
    /// In order, names as they were spelled.
    pub headers: Vec<(String, String)>,
    /// Decoded if it was chunked.
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// The interim responses before it.
    pub interim: Vec<Head>,
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub reason: String,
    pub headers: Vec<(String, String)>,
}

impl Response {
    /// The value of the only header field of this name.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} more than once: {self:?}");
        all.first().copied()
    }

    /// The values of all header fields of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let matching = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        matching.map(|(_, value)| value.as_str()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("no JSON ({error}) in {self:?}"),
        }
    }
}

/// As it was on the wire, at least if the body is text.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.reason)?;
        self.headers.iter().try_for_each(|(name, value)| write!(f, "\n{name}: {value}"))?;
        write!(f, "\n\n{}\n", self.text())
    }
}

/// One connection.
pub struct Connection {
    stream: Box<dyn AsyncRead + Send + Unpin>,
    writer: Writer,
    unread: Vec<u8>,
    is_reset: bool,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Closed,
    Reset,
}

impl Connection {
    pub async fn to(address: SocketAddr) -> Self {
        Self::try_to(address).await.expect("the server listens")
    }

    /// A connection to a server that may not be there.
    pub async fn try_to(address: SocketAddr) -> io::Result<Self> {
        Ok(Connection::plain(TcpStream::connect(address).await?))
    }

    fn plain(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket option");
        let (reading, writing) = stream.into_split();
        Connection::over(Box::new(reading), Box::new(writing))
    }

    /// A connection with TLS, to the server of this name.
    pub async fn secure(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> io::Result<Self> {
        Connection::secure_after(b"", address, name, config).await
    }

    /// The same, after these bytes in the clear.
    pub async fn secure_after(
        begin: &[u8],
        address: SocketAddr,
        name: &str,
        config: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(begin).await?;
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
        let (reading, writing) = tokio::io::split(stream);
        Ok(Connection::over(Box::new(reading), Box::new(writing)))
    }

    fn over(reading: Box<dyn AsyncRead + Send + Unpin>, writing: Writing) -> Self {
        let writer = Writer(Arc::new(Mutex::new(writing)));
        Connection { stream: reading, writer, unread: Vec::new(), is_reset: false }
    }

    /// A connection from this address of our own.
    pub async fn from(source: std::net::IpAddr, address: SocketAddr) -> Self {
        let socket = match address {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
        };
        let socket = socket.expect("a socket");
        socket.bind(SocketAddr::new(source, 0)).expect("an address of our own");
        Connection::plain(socket.connect(address).await.expect("the server listens"))
    }

    /// Sends a request and reads its response.
    pub async fn ask(&mut self, request: &Request) -> Response {
        self.write(&request.to_bytes()).await;
        self.read(&request.method).await
    }

    /// Writes bytes as they are. That the server closed meanwhile shows when reading.
    pub async fn write(&mut self, bytes: &[u8]) {
        self.writer.write(bytes).await;
    }

    /// A second hand to write with, while this one reads.
    pub fn writer(&self) -> Writer {
        self.writer.clone()
    }

    /// Ends this side's half.
    pub async fn finish(&mut self) {
        let _ = self.writer.0.lock().await.shutdown().await;
    }

    /// Reads the response to a request of this method.
    pub async fn read(&mut self, method: &str) -> Response {
        match tokio::time::timeout(PATIENCE, self.response(method)).await {
            Ok(Some(response)) => response,
            Ok(None) => panic!("closed before a whole response; unread: {:?}", lossy(&self.unread)),
            Err(_) => panic!("no response in {PATIENCE:?}; unread: {:?}", lossy(&self.unread)),
        }
    }

    /// Reads the response to a request of this method, if one comes before the server closes.
    pub async fn response(&mut self, method: &str) -> Option<Response> {
        let mut interim = Vec::new();
        loop {
            let head = self.head().await?;
            if (100..200).contains(&head.status) && head.status != 101 {
                interim.push(head);
                continue;
            }
            let Head { status, reason, headers } = head;
            let (body, trailers) = (Vec::new(), Vec::new());
            let mut response = Response { status, reason, headers, body, trailers, interim };
            return self.body(method, &mut response).await.map(|()| response);
        }
    }

    /// Whether the server has closed (or does so before long) without sending anything more.
    pub async fn is_closed(&mut self) -> bool {
        self.unread.is_empty()
            && matches!(tokio::time::timeout(PATIENCE, self.more()).await, Ok(None))
            && self.unread.is_empty()
    }

    /// Reads the next head, of an interim response too, and leaves the body.
    pub async fn read_head(&mut self) -> Head {
        let head = tokio::time::timeout(PATIENCE, self.head()).await;
        let Ok(Some(head)) = head else { panic!("no head; unread: {:?}", lossy(&self.unread)) };
        head
    }

    /// Reads up to and including these bytes, as they are.
    pub async fn until(&mut self, marker: &str) -> String {
        let marker = marker.as_bytes();
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(at) = self.unread.windows(marker.len()).position(|window| window == marker) {
                    return Some(self.unread.drain(..at + marker.len()).collect::<Vec<u8>>());
                }
                self.more().await?;
            }
        });
        match found.await {
            Ok(Some(found)) => lossy(&found),
            _ => panic!("{:?} did not come, but {:?}", lossy(marker), lossy(&self.unread)),
        }
    }

    /// Reads so many bytes, as they are, and throws them away.
    pub async fn skip(&mut self, length: usize) {
        let mut left = length;
        while left > 0 {
            let taken = left.min(self.unread.len());
            self.unread.drain(..taken);
            left -= taken;
            let more = tokio::time::timeout(PATIENCE, self.more());
            assert!(left == 0 || more.await == Ok(Some(())), "{left} of {length} bytes did not come");
        }
    }

    /// Reads to the end of the connection; what came, and how it ended.
    pub async fn rest(&mut self) -> (String, End) {
        let to_the_end = async { while self.more().await.is_some() {} };
        let ended = tokio::time::timeout(PATIENCE, to_the_end).await;
        assert!(ended.is_ok(), "the connection does not end; unread: {:?}", lossy(&self.unread));
        (lossy(&std::mem::take(&mut self.unread)), if self.is_reset { End::Reset } else { End::Closed })
    }

    async fn head(&mut self) -> Option<Head> {
        while !self.unread.windows(4).any(|four| four == b"\r\n\r\n") {
            self.more().await?;
        }
        let end = self.unread.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let head = lossy(&head[..end - 4]);
        let mut lines = head.split("\r\n");
        let mut start = lines.next()?.splitn(3, ' ');
        assert_eq!(start.next(), Some("HTTP/1.1"), "{head}");
        let status = start.next().and_then(|status| status.parse().ok()).expect("a status");
        let reason = start.next().unwrap_or_default().to_owned();
        Some(Head { status, reason, headers: lines.map(field).collect() })
    }

    async fn body(&mut self, method: &str, response: &mut Response) -> Option<()> {
        let length = response.header("content-length").map(|length| length.parse().expect("a length"));
        let chunked = response.header("transfer-encoding").map(|coding| assert_eq!(coding, "chunked"));
        assert!(length.is_none() || chunked.is_none(), "ambiguous framing: {response:?}");
        if method == "HEAD" || matches!(response.status, 101 | 204 | 304) {
            return Some(());
        }
        match (length, chunked) {
            (Some(length), _) => response.body = self.exactly(length).await?,
            (None, Some(())) => self.chunks(response).await?,
            (None, None) => {
                while self.more().await.is_some() {}
                response.body = std::mem::take(&mut self.unread);
            }
        }
        (length.is_some() || chunked.is_some() || !self.is_reset).then_some(())
    }

    async fn chunks(&mut self, response: &mut Response) -> Option<()> {
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).expect("a chunk size");
            if size == 0 {
                break;
            }
            response.body.extend(self.exactly(size).await?);
            assert_eq!(self.exactly(2).await?, b"\r\n", "the end of a chunk");
        }
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Some(());
            }
            response.trailers.push(field(&line));
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                return Some(lossy(&line[..end]));
            }
            self.more().await?;
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.unread.len() < length {
            self.more().await?;
        }
        Some(self.unread.drain(..length).collect())
    }

    /// Reads something, or None at the end. A reset is an end.
    async fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer).await {
            Ok(0) => None,
            Err(_) => {
                self.is_reset = true;
                None
            }
            Ok(read) => {
                self.unread.extend_from_slice(&buffer[..read]);
                Some(())
            }
        }
    }
}

/// The writing side of a connection.
#[derive(Clone)]
pub struct Writer(Arc<Mutex<Writing>>);

type Writing = Box<dyn AsyncWrite + Send + Unpin>;

impl Writer {
    /// Writes bytes as they are; says whether the server still takes them.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        let mut writing = self.0.lock().await;
        writing.write_all(bytes).await.is_ok() && writing.flush().await.is_ok()
    }
}

/// Sends one request on a connection of its own.
pub async fn ask(address: SocketAddr, request: &Request) -> Response {
    Connection::to(address).await.ask(request).await
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').expect("a header field");
    (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
