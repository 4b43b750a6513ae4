//! Failure as a feature: what the client sees, what is counted and logged, when the backend or the client fails.

mod backend;
mod clients;
mod gone;
mod health;

use socket2::{Domain, Socket, Type};

/// An address that refuses connections for as long as this lives: bound, and nobody listens.
struct Refusing {
    socket: Socket,
}

impl Refusing {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        Refusing { socket }
    }

    fn address(&self) -> std::net::SocketAddr {
        self.socket.local_addr().unwrap().as_socket().unwrap()
    }
}
