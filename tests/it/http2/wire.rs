//! HTTP/2 frame by frame: it sends exactly the frames it is given, however wrong, and tells what becomes of a stream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const PRIORITISED: u8 = 0x20;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Nothing that a test waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A frame on the wire.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block, every field a literal that no table keeps. Fields are separated by `|`, a name ends at the first
/// space; `GET` and `POST` alone stand for the four pseudo-header fields of such a request.
pub fn block(fields: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for field in fields.split('|') {
        match field {
            "GET" | "POST" => {
                block.extend(self::block(&format!(":method {field}|:scheme http|:path /|:authority a")));
            }
            _ => {
                let (name, value) = field.split_once(' ').expect("a name and a value");
                block.extend(literal(name.as_bytes(), value.as_bytes()));
            }
        }
    }
    block
}

/// One literal field that no table keeps.
pub fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        bytes.extend(integer(text.len()));
        bytes.extend(text);
    }
    bytes
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn integer(mut value: usize) -> Vec<u8> {
    if value < 127 {
        return vec![value as u8];
    }
    let mut bytes = vec![127];
    value -= 127;
    while value >= 128 {
        bytes.push((value % 128) as u8 | 128);
        value /= 128;
    }
    bytes.push(value as u8);
    bytes
}

/// A whole request without a body.
pub fn request(stream: u32, fields: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(fields))
}

/// The head of a request that goes on.
pub fn head(stream: u32, fields: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(fields))
}

pub fn data(stream: u32, payload: &[u8]) -> Vec<u8> {
    frame(DATA, 0, stream, payload)
}

pub fn last(stream: u32, payload: &[u8]) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, payload)
}

/// One setting.
pub fn setting(id: u16, value: u32) -> Vec<u8> {
    let mut payload = id.to_be_bytes().to_vec();
    payload.extend(value.to_be_bytes());
    frame(SETTINGS, 0, 0, &payload)
}

/// A frame that came.
#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// What becomes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Status(u16),
    Reset(u32),
    GoAway(u32),
    /// Without a word.
    Closed,
}

/// A socket, or TLS on one.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// One connection.
pub struct Client {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
    /// Everything that came, but for the payload of DATA.
    pub seen: Vec<Frame>,
}

impl Client {
    /// Connects and says what a client has to say first.
    pub async fn to(address: SocketAddr) -> Self {
        Client::after(b"", address).await
    }

    /// The same after these bytes.
    pub async fn after(begin: &[u8], address: SocketAddr) -> Self {
        let mut client = Client::silent(address).await;
        client.write(begin).await;
        client.open().await;
        client
    }

    /// The same over TLS, which begins after these bytes.
    pub async fn secure(begin: &[u8], address: SocketAddr, name: &str, mut config: ClientConfig) -> Self {
        config.alpn_protocols = vec![b"h2".to_vec()];
        let mut socket = connect(address).await;
        socket.write_all(begin).await.expect("the server reads");
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut client = Client::over(Box::new(stream));
        client.open().await;
        client
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        Client { stream, unread: Vec::new(), seen: Vec::new() }
    }

    async fn open(&mut self) {
        // No table: what comes can be read without one.
        let opening = [PREFACE, &setting(1, 0)].concat();
        self.write(&opening).await;
    }

    /// Connects.
    pub async fn silent(address: SocketAddr) -> Self {
        Client::over(Box::new(connect(address).await))
    }

    /// Writes bytes; says whether the server still takes them.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        let written = tokio::time::timeout(PATIENCE, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        });
        written.await.expect("the server reads").is_ok()
    }

    /// The next frame; `None` at the end of the connection.
    pub async fn frame(&mut self) -> Option<Frame> {
        let frame = tokio::time::timeout(PATIENCE, self.next()).await;
        frame.unwrap_or_else(|_| panic!("nothing came in {PATIENCE:?} after {:?}", self.seen))
    }

    async fn next(&mut self) -> Option<Frame> {
        while self.unread.len() < 9 {
            self.more().await?;
        }
        let length = u32::from_be_bytes([0, self.unread[0], self.unread[1], self.unread[2]]) as usize;
        while self.unread.len() < 9 + length {
            self.more().await?;
        }
        let bytes: Vec<u8> = self.unread.drain(..9 + length).collect();
        let stream = u32::from_be_bytes(bytes[5..9].try_into().unwrap());
        let frame = Frame { kind: bytes[3], flags: bytes[4], stream, payload: bytes[9..].to_vec() };
        let kept = if frame.kind == DATA { Vec::new() } else { frame.payload.clone() };
        self.seen.push(Frame { payload: kept, ..frame.clone() });
        Some(frame)
    }

    async fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => None,
            Ok(read) => {
                self.unread.extend_from_slice(&buffer[..read]);
                Some(())
            }
        }
    }

    /// Reads until it is clear what becomes of a stream. Interim answers are passed over.
    pub async fn verdict(&mut self, stream: u32) -> Verdict {
        loop {
            let Some(frame) = self.frame().await else { return Verdict::Closed };
            match frame.kind {
                HEADERS if frame.stream == stream => match status(&frame.payload) {
                    100..=199 => {}
                    status => return Verdict::Status(status),
                },
                RST_STREAM if frame.stream == stream => return Verdict::Reset(code(&frame.payload)),
                GOAWAY => return Verdict::GoAway(code(&frame.payload[4..])),
                _ => {}
            }
        }
    }

    /// Reads until a frame of this kind comes on this stream.
    pub async fn until(&mut self, kind: u8, stream: u32) -> Frame {
        loop {
            match self.frame().await {
                Some(frame) if frame.kind == kind && frame.stream == stream => return frame,
                Some(_) => {}
                None => panic!("closed; seen: {:?}", self.seen),
            }
        }
    }

    /// The body of the answer on a stream, read to its clean end; `None` where there is no such end.
    pub async fn body(&mut self, stream: u32) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let frame = self.frame().await?;
            if frame.stream == stream {
                match frame.kind {
                    DATA => body.extend(&frame.payload),
                    RST_STREAM => return None,
                    _ => {}
                }
                if matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 {
                    return Some(body);
                }
            }
        }
    }

    /// Reads to the end of the connection; the code of the last GOAWAY.
    pub async fn end(&mut self) -> Option<u32> {
        let mut last = None;
        while let Some(frame) = self.frame().await {
            if frame.kind == GOAWAY {
                last = Some(code(&frame.payload[4..]));
            }
        }
        last
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).await.expect("the server listens");
    socket.set_nodelay(true).expect("a socket option");
    socket
}

/// An error code.
pub fn code(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().expect("an error code"))
}

/// The status that a header block begins with.
pub fn status(block: &[u8]) -> u16 {
    match block {
        // The table's size is told first.
        [0x20..=0x3e, rest @ ..] => status(rest),
        // Static entries (RFC 7541 appendix A).
        [first @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(first - 0x88)],
        // A literal with that name.
        [0x08 | 0x18 | 0x48, length, value @ ..] => {
            let huffman = length & 0x80 != 0;
            let value = &value[..usize::from(length & 0x7f)];
            let digits = if huffman { digits(value) } else { String::from_utf8(value.to_vec()).unwrap() };
            digits.parse().expect("a status")
        }
        _ => panic!("no status first: {block:02x?}"),
    }
}

/// Digits in the code of RFC 7541 appendix B: 0 to 2 have five bits, the others six.
fn digits(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let mut digits = String::new();
    let mut at = 0;
    while digits.len() < 3 {
        let code = |length: usize| bits[at..at + length].iter().fold(0, |code, bit| code << 1 | bit);
        let (digit, length) = match code(5) {
            short @ 0..=2 => (short, 5),
            _ => (code(6) - 0b011_001 + 3, 6),
        };
        digits.push(char::from(b'0' + digit));
        at += length;
    }
    digits
}
