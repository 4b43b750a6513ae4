//! A backend that accepts whatever is asked, and a client that calls every operation as many consumers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duskgate::operation;

use super::Figure;

/// Starts the backend, which lives as long as this program.
pub fn backend() -> Figure<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer(stream: TcpStream) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    while head(&mut reader).ok().is_some_and(|head| !head.is_empty()) {
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").ok()?;
    }
    None
}

/// Makes so many consumers known, each by calls of three operations; all operations are called.
pub fn make(proxy: SocketAddr, consumers: usize) -> Figure<()> {
    let operations = operation::builtin();
    let mut client = Client::to(proxy)?;
    for consumer in 0..consumers {
        let name = STANDARD.encode(format!("consumer-{consumer}:password"));
        for number in 0..3 {
            let operation = &operations[(consumer * 3 + number) % operations.len()];
            let path: Vec<&str> = operation
                .template
                .split('/')
                .map(|part| if part.starts_with('{') { "a1" } else { part })
                .collect();
            let authorization = format!("authorization: Basic {name}\r\n");
            client.ask(operation.method.as_str(), &path.join("/"), &authorization)?;
        }
    }
    Ok(())
}

/// A connection, used again and again.
pub struct Client {
    reader: BufReader<TcpStream>,
    address: SocketAddr,
}

impl Client {
    pub fn to(address: SocketAddr) -> Figure<Self> {
        Ok(Client { reader: BufReader::new(TcpStream::connect(address)?), address })
    }

    /// Asks, and returns the body of the answer, which must be a success.
    pub fn ask(&mut self, method: &str, path: &str, fields: &str) -> Figure<String> {
        let address = self.address;
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n{fields}content-length: 0\r\n\r\n");
        self.reader.get_mut().write_all(request.as_bytes())?;
        let head = head(&mut self.reader)?;
        if !head.starts_with("http/1.1 2") {
            return Err(format!("{method} {path}: {head}").into());
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length = length.map_or(Ok(0), |length| length.trim().parse())?;
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        if head.contains("connection: close") {
            self.reader = BufReader::new(TcpStream::connect(address)?);
        }
        Ok(String::from_utf8(body)?)
    }
}

/// The next head, in lower case; empty where the connection has ended.
fn head(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    Ok(head.to_ascii_lowercase())
}
