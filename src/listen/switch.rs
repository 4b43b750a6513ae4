//! Bytes both ways, after a 101, until both ends have closed or we have to go: then both are told so, as WebSockets are
//! (RFC 6455, section 7.4.1: 1001), where the bytes that have passed leave room for a frame.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::Gate;
use super::frames::Frames;
use super::stream::{Reader, Writer};
use crate::http1::Tunnel;

/// What is moved at once, each way.
const ROOM: usize = 16 * 1024;
/// How long the client may take to read the farewell.
const LINGER: Duration = Duration::from_millis(500);
/// A close frame's opcode with its final bit, and its payload: 1001, "going away".
const CLOSE: u8 = 0x88;
const GOING_AWAY: [u8; 2] = 1001_u16.to_be_bytes();

/// Moves bytes between the client and the upstream. `early` is what the client sent before it knew.
pub(super) async fn run(reading: Reader, writing: &mut Writer, early: Bytes, tunnel: Tunnel, gate: &Gate) {
    let Some((mut upstream, answered)) = tunnel.take() else { return };
    let mut client = tokio::io::join(reading, writing);
    let moved = async {
        let (mut up, mut down) = (Way::new(), Way::new());
        upstream.write_all(&early).await?;
        up.frames.pass(&early);
        client.write_all(&answered).await?;
        down.frames.pass(&answered);
        let mut farewell = pin!(gate.farewell());
        let has_to_go = std::future::poll_fn(|cx| {
            let up = up.poll(cx, &mut client, &mut upstream)?;
            let down = down.poll(cx, &mut upstream, &mut client)?;
            if up.is_ready() && down.is_ready() {
                return Poll::Ready(Ok::<_, io::Error>(false));
            }
            farewell.as_mut().poll(cx).map(|()| Ok(true))
        });
        if !has_to_go.await? {
            return Ok::<_, io::Error>(());
        }
        if up.takes_a_frame() {
            upstream.write_all(&masked_farewell()).await?;
            upstream.flush().await?;
        }
        if down.takes_a_frame() {
            client.write_all(&[CLOSE, 2, GOING_AWAY[0], GOING_AWAY[1]]).await?;
            client.shutdown().await?;
            // So that the farewell is read before a reset.
            let mut rest = [0; 512];
            while client.read(&mut rest).await? > 0 {}
        }
        Ok(())
    };
    let last = async {
        gate.farewell().await;
        tokio::time::sleep(LINGER).await;
    };
    // Whatever ends a tunnel, both ends are closed by dropping them; there is nobody to tell.
    tokio::select! {
        _ = moved => {}
        () = last => {}
    }
}

/// What a client sends is masked (RFC 6455, section 5.3), and towards the upstream we are one.
fn masked_farewell() -> [u8; 8] {
    let [a, b, c, d] = fastrand::u32(..).to_be_bytes();
    [CLOSE, 0x80 | 2, a, b, c, d, GOING_AWAY[0] ^ a, GOING_AWAY[1] ^ b]
}

/// One of the two ways.
struct Way {
    buffer: Box<[u8]>,
    /// Where in the buffer what is to be written begins and ends.
    from: usize,
    to: usize,
    frames: Frames,
    stage: Stage,
}

enum Stage {
    Open,
    /// Nothing more comes; the other end is to be told.
    Ended,
    Told,
}

impl Way {
    fn new() -> Self {
        Way {
            buffer: vec![0; ROOM].into_boxed_slice(),
            from: 0,
            to: 0,
            frames: Frames::default(),
            stage: Stage::Open,
        }
    }

    fn takes_a_frame(&self) -> bool {
        matches!(self.stage, Stage::Open) && self.from == self.to && self.frames.takes_one()
    }

    /// Moves what there is; ready when there will be no more.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        loop {
            while self.from < self.to {
                let bytes = &self.buffer[self.from..self.to];
                let written = ready!(Pin::new(&mut *writer).poll_write(cx, bytes))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.frames.pass(&bytes[..written]);
                self.from += written;
            }
            match self.stage {
                Stage::Told => return Poll::Ready(Ok(())),
                Stage::Ended => {
                    ready!(Pin::new(&mut *writer).poll_shutdown(cx))?;
                    self.stage = Stage::Told;
                }
                Stage::Open => {
                    let mut buffer = ReadBuf::new(&mut self.buffer);
                    if Pin::new(&mut *reader).poll_read(cx, &mut buffer)?.is_pending() {
                        ready!(Pin::new(&mut *writer).poll_flush(cx))?;
                        return Poll::Pending;
                    }
                    (self.from, self.to) = (0, buffer.filled().len());
                    if self.to == 0 {
                        self.stage = Stage::Ended;
                    }
                }
            }
        }
    }
}
