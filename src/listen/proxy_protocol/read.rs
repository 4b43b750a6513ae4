//! Reading a PROXY header from a socket: exactly it and not a byte more, so that whoever reads next (TLS, HTTP) finds
//! its own beginning.

use std::io;

use tokio::net::TcpStream;

use super::{LONGEST, Malformed, Source, parse};

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The connection ended or broke before its end.
    #[error("the connection ended before its PROXY protocol header: {0}")]
    Ended(#[from] io::Error),
    /// Something else was sent.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Reads the header that `socket` must begin with. Waits for ever: the limit is the caller's.
pub async fn read(socket: &TcpStream) -> Result<Source, Failure> {
    let mut header = [0; LONGEST];
    let mut length = 0;
    loop {
        let seen = peek(socket, &mut header[length..]).await?;
        let found = parse(&header[..length + seen])?;
        // Without an end all of it belongs to the header, and is taken so that only what is new wakes us again.
        let end = found.map_or(length + seen, |(end, _)| end);
        take(socket, &mut header[length..end]).await?;
        length = end;
        if let Some((_, source)) = found {
            return Ok(source);
        }
    }
}

/// Looks at what has arrived, at least a byte.
async fn peek(socket: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    match socket.peek(room).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        seen => Ok(seen),
    }
}

/// Reads what was seen.
async fn take(socket: &TcpStream, mut seen: &mut [u8]) -> io::Result<()> {
    while !seen.is_empty() {
        socket.readable().await?;
        match socket.try_read(seen) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => seen = &mut seen[read..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
