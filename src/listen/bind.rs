//! Binding: one socket a thread on one address (`SO_REUSEPORT`), and an error where somebody else has it.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// How many connections the kernel may hold until they are accepted.
const BACKLOG: i32 = 4096;

/// A bound address.
pub struct Bound {
    /// The address, with its real port.
    pub address: SocketAddr,
    /// Listening sockets, at least one for each thread.
    pub sockets: Vec<TcpListener>,
}

/// Binds `address` for so many threads.
///
/// # Errors
///
/// The address is taken, also by another Duskgate: `SO_REUSEPORT` alone would let two of them share it silently.
pub fn bind(address: SocketAddr, threads: usize) -> io::Result<Bound> {
    // Without SO_REUSEPORT this fails while anybody listens there. It is bound until the others are, never listens,
    // and is closed then.
    let probe = socket(address, false)?;
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    let sockets = (0..threads).map(|_| {
        let socket = socket(address, true)?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from(socket))
    });
    Ok(Bound { address, sockets: sockets.collect::<io::Result<_>>()? })
}

/// Takes listening sockets of one address that are bound already. Where there are fewer than threads, some share one:
/// another socket cannot join those that somebody else has bound.
///
/// # Errors
///
/// There is no such socket, or the system refuses.
pub fn adopt(mut sockets: Vec<TcpListener>, threads: usize) -> io::Result<Bound> {
    let own = sockets.len();
    let first = sockets.first().ok_or(io::ErrorKind::NotFound)?;
    let address = first.local_addr()?;
    for socket in &sockets {
        socket.set_nonblocking(true)?;
        SockRef::from(socket).set_tcp_nodelay(true)?;
    }
    for index in own..threads {
        let shared = sockets[index % own].try_clone()?;
        sockets.push(shared);
    }
    Ok(Bound { address, sockets })
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A port in TIME_WAIT is no obstacle; a listening one still is.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    // Inherited by every accepted connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
