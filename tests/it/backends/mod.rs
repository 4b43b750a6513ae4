//! Several backend servers: which one a request goes to, what a dead one costs, limits, health, names and reloads.

mod choosing;
mod dying;
mod health;
mod limits;
mod load;
mod names;
mod reload;
mod transparent;

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::support::backend::Backend;
use crate::support::http::Request;
use crate::support::program::{Program, Setup};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// A port that is ours for as long as this lives, whether or not somebody listens there.
struct Port(Socket);

impl Port {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        Port(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }

    fn listen(&self) -> TcpListener {
        let begin = Instant::now();
        loop {
            // The one before may still be closing.
            match TcpListener::bind(self.address()) {
                Ok(listener) => return listener,
                Err(error) => assert!(begin.elapsed() < Duration::from_secs(20), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn before(servers: &[SocketAddr]) -> Setup {
    Setup::before_all(servers.iter().map(|server| format!("http://{server}")))
}

fn get() -> Request {
    Request::new("GET", "/")
}

fn post() -> Request {
    Request::new("POST", "/").body("x")
}

/// Waits until this is so.
async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let begin = Instant::now();
    while !is_so().await {
        assert!(begin.elapsed() < Duration::from_secs(60), "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn is_up(program: &Program, server: SocketAddr) -> bool {
    program.metric("duskgate_upstream_up", &[("server", &format!("http://{server}"))]).await == 1.0
}

async fn errors(program: &Program, server: SocketAddr, kind: &str) -> f64 {
    let labels = [("server", &*format!("http://{server}")), ("kind", kind)];
    program.metric("duskgate_upstream_errors_total", &labels).await
}

fn counts(backends: &[&Backend]) -> Vec<usize> {
    backends.iter().map(|backend| backend.requests().len()).collect()
}
