//! Who a request really comes from: the PROXY protocol, `X-Forwarded-For` and `Forwarded`, IPv6, and what follows from it
//! for tokens that are confined to networks.

mod caveats;
mod forwarded;
mod fronts;
mod ipv6;
mod proxy_protocol;

use std::net::SocketAddr;

use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::Setup;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// A proxy that believes who connects from these networks.
fn trusting(backend: SocketAddr, networks: &[&str]) -> Setup {
    let setup = Setup::before(backend).listener(&format!("trusted_proxies = {networks:?}"));
    setup.section("[log]\naccess = \"all\"")
}

/// The same, and wants a PROXY header of them.
fn expecting(backend: SocketAddr, networks: &[&str]) -> Setup {
    trusting(backend, networks).listener("proxy_protocol = true")
}

/// A client's bytes on a connection of its own; the request that reaches the backend says who it is from.
async fn seen(address: SocketAddr, backend: &Backend, bytes: &[u8]) -> Option<String> {
    let mut connection = Connection::to(address).await;
    connection.write(bytes).await;
    assert_eq!(connection.read("GET").await.status, 200);
    backend.requests().pop()?.field("x-forwarded-for").map(str::to_owned)
}

fn get() -> Request {
    Request::new("GET", "/")
}
