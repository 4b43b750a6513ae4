//! Bytes both ways, after a 101.

use std::io;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::stream::{Reader, Writer};
use crate::http1::Tunnel;

/// What is moved at once, each way.
const ROOM: usize = 16 * 1024;

/// Moves bytes between the client and the upstream until both have closed or one has failed. `early` is what the client
/// sent before it knew.
pub(super) async fn run(reading: Reader, writing: &mut Writer, early: Bytes, tunnel: Tunnel) {
    let Some((mut upstream, answered)) = tunnel.take() else { return };
    let mut client = tokio::io::join(reading, writing);
    let moved = async {
        upstream.write_all(&early).await?;
        client.write_all(&answered).await?;
        tokio::io::copy_bidirectional_with_sizes(&mut client, &mut upstream, ROOM, ROOM).await
    };
    // Whatever ends a tunnel, both ends are closed by dropping them; there is nobody to tell.
    let _: io::Result<_> = moved.await;
}
