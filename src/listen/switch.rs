//! Bytes both ways, after a 101.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::http1::Tunnel;

/// What is moved at once, each way.
const ROOM: usize = 16 * 1024;

/// Moves bytes between the client and the upstream until both have closed or one has failed. `early` is what the client
/// sent before it knew.
pub(super) async fn run(socket: &Arc<TcpStream>, early: Bytes, tunnel: Tunnel) {
    let Some((mut upstream, answered)) = tunnel.take() else { return };
    let mut client = Client(Arc::clone(socket));
    let moved = async {
        upstream.write_all(&early).await?;
        client.write_all(&answered).await?;
        tokio::io::copy_bidirectional_with_sizes(&mut client, &mut upstream, ROOM, ROOM).await
    };
    // Whatever ends a tunnel, both ends are closed by dropping them; there is nobody to tell.
    let _: io::Result<_> = moved.await;
}

/// The client's socket as a stream.
struct Client(Arc<TcpStream>);

impl AsyncRead for Client {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(into.initialize_unfilled()) {
                Ok(read) => {
                    into.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Client {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(socket2::SockRef::from(&*self.0).shutdown(std::net::Shutdown::Write))
    }
}
