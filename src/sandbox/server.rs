//! Cowboy's side of the sandbox: connections that end after 30 requests or 30 seconds of idling (contract, section 1).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::answer;
use super::handle::Onezone;

/// The requests that one connection may carry.
const REQUESTS: u32 = 30;

/// Serves until it is dropped, and takes its connections along then.
pub async fn serve(listener: TcpListener, onezone: Arc<Onezone>, idle: Duration) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, Arc::clone(&onezone), idle));
                }
                // Out of descriptors, or a connection that died while it waited: neither is a reason to stop.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, onezone: Arc<Onezone>, idle: Duration) {
    // Without this only small delays are lost, so that its failure is of no interest.
    let _ = stream.set_nodelay(true);
    let served = AtomicU32::new(0);
    let service = service_fn(|request: Request<Incoming>| {
        let last = served.fetch_add(1, Ordering::Relaxed) + 1 >= REQUESTS;
        let onezone = Arc::clone(&onezone);
        async move {
            let response = onezone.handle(request, peer.ip()).await;
            Ok::<_, Infallible>(if last { answer::last(response) } else { response })
        }
    });
    // How a connection ends is the client's business.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_headers(1000)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
