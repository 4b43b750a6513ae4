//! Opening a TCP connection to one of several addresses (RFC 8305, section 5): the next one is tried when the last has
//! failed or has been silent for a moment, and the first that takes the connection has it. From our own address, or
//! from a client's.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::resolve::Address;
use crate::listen;

/// How long one address is waited for before the next is tried beside it (RFC 8305, section 8).
const PATIENCE: Duration = Duration::from_millis(250);

/// A connection to one of these addresses, which are of the family of `from`, if that is given.
pub(super) async fn dial(addresses: &[Arc<Address>], from: Option<IpAddr>) -> io::Result<TcpStream> {
    if let [only] = addresses {
        return one(Arc::clone(only), from).await;
    }
    let (mut left, mut attempts) = (addresses.iter(), JoinSet::new());
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    loop {
        let next = left.next();
        if let Some(address) = next {
            attempts.spawn(one(Arc::clone(address), from));
        }
        if attempts.is_empty() {
            return Err(last);
        }
        let ended = async { attempts.join_next().await };
        let ended = if left.len() == 0 { ended.await } else { first_of(ended).await };
        match ended {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => last = error,
            // A task that panicked, or the moment has passed.
            Some(Err(_)) | None => {}
        }
    }
}

async fn first_of<T>(ended: impl Future<Output = Option<T>>) -> Option<T> {
    tokio::time::timeout(PATIENCE, ended).await.ok().flatten()
}

async fn one(address: Arc<Address>, from: Option<IpAddr>) -> io::Result<TcpStream> {
    listen::handles_are_free().await;
    let outcome = match from {
        None => TcpStream::connect(address.at).await,
        Some(client) => connect_from(client, address.at).await,
    };
    match &outcome {
        Ok(_) => address.answered(),
        Err(error) if is_ours(error) => {}
        Err(_) => address.failed(),
    }
    outcome
}

async fn connect_from(client: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = transparent(to)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(client, 0).into())?;
    TcpSocket::from_std_stream(socket.into()).connect(to).await
}

/// A socket that may have any address of `like`'s family as its own (Linux, `IP_TRANSPARENT`).
///
/// # Errors
///
/// The capability CAP_NET_ADMIN, or CAP_NET_RAW, is missing, or the system has no such thing.
pub(super) fn transparent(like: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(like), Type::STREAM, Some(Protocol::TCP))?;
    match like {
        SocketAddr::V4(_) => socket.set_ip_transparent_v4(true)?,
        SocketAddr::V6(_) => socket.set_ip_transparent_v6(true)?,
    }
    Ok(socket)
}

/// Whether a connection failed for a reason of our own, which says nothing about the server: no more file handles,
/// ports or memory, or an address that we may not use.
pub(super) fn is_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, OutOfMemory, PermissionDenied};
    // EMFILE, ENFILE and ENOBUFS have no kind of their own.
    matches!(error.kind(), AddrInUse | AddrNotAvailable | OutOfMemory | PermissionDenied)
        || matches!(error.raw_os_error(), Some(24 | 23 | 105))
}

#[cfg(test)]
mod tests {
    use super::super::Origin;
    use super::super::resolve::Addresses;
    use super::*;

    async fn addresses(of: &[SocketAddr]) -> Vec<Arc<Address>> {
        let mut all = Vec::new();
        for address in of {
            let origin = Origin { https: false, host: address.ip().to_string(), port: address.port() };
            all.extend(Addresses::of(&origin).get(1).await.unwrap());
        }
        all
    }

    fn refusing() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn the_first_address_that_takes_the_connection_has_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let stream = dial(&addresses(&[refusing(), refusing(), open]).await, None).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
    }

    #[tokio::test]
    async fn an_address_that_is_silent_is_not_waited_for() {
        // A listener whose queue is full answers nobody.
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        silent.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        silent.listen(0).unwrap();
        let hole = silent.local_addr().unwrap().as_socket().unwrap();
        let _queued = std::net::TcpStream::connect(hole).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let stream = dial(&addresses(&[hole, open]).await, None).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
    }

    #[tokio::test]
    async fn what_no_address_takes_fails_with_the_reason() {
        let error = dial(&addresses(&[refusing(), refusing()]).await, None).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(dial(&[], None).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn want_of_our_own_is_no_fault_of_a_server() {
        for number in [24, 23, 105, 98, 99, 12, 1] {
            assert!(is_ours(&io::Error::from_raw_os_error(number)), "{number}");
        }
        for number in [111, 113, 110, 104] {
            assert!(!is_ours(&io::Error::from_raw_os_error(number)), "{number}");
        }
    }
}
