//! A message on its way out: what is written, and in which pieces.

use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;

use super::{Framing, write};

/// Pieces up to this size are copied behind the head, so that they leave in one flat write; larger ones are written
/// from where they are.
const COPIED: usize = 16 * 1024;

/// A message on its way out.
#[derive(Debug)]
pub struct Outgoing {
    buffer: BytesMut,
    /// A large piece that goes out after `buffer`.
    piece: Bytes,
    /// What goes out after `piece`.
    after: &'static [u8],
    framing: Framing,
    finished: bool,
}

impl Outgoing {
    /// A message that begins with `head`, with a body framed so.
    pub fn new(head: BytesMut, framing: Framing) -> Self {
        Outgoing { buffer: head, piece: Bytes::new(), after: b"", framing, finished: false }
    }

    /// Whether the body goes out in chunks.
    pub fn is_chunked(&self) -> bool {
        self.framing == Framing::Chunked
    }

    /// Whether everything pushed was written.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.piece.is_empty()
    }

    /// Whether it should be written before more is pushed.
    pub fn is_full(&self) -> bool {
        !self.piece.is_empty() || self.buffer.len() >= COPIED
    }

    /// Whether the end of the body was pushed.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Adds a piece of the body, or its trailers, which end it. Only when it is not full.
    pub fn push(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) => self.push_data(data),
            Err(frame) => self.finish(frame.into_trailers().ok().as_ref()),
        }
    }

    /// Ends the body.
    pub fn finish(&mut self, trailers: Option<&HeaderMap>) {
        if self.is_chunked() && !self.finished {
            write::last_chunk(&mut self.buffer, trailers);
        }
        self.finished = true;
    }

    /// Gives memory back that is not needed while the peer takes nothing more.
    pub fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// What is to be written, where it lies in one piece.
    pub fn flat(&self) -> Option<&[u8]> {
        self.piece.is_empty().then_some(&self.buffer)
    }

    /// What is to be written.
    pub fn slices(&self) -> [IoSlice<'_>; 3] {
        [IoSlice::new(&self.buffer), IoSlice::new(&self.piece), IoSlice::new(self.after)]
    }

    /// So many bytes were written.
    pub fn advance(&mut self, written: usize) {
        let of_buffer = written.min(self.buffer.len());
        self.buffer.advance(of_buffer);
        let of_piece = (written - of_buffer).min(self.piece.len());
        self.piece.advance(of_piece);
        let of_after = written - of_buffer - of_piece;
        if self.piece.is_empty() && !self.after.is_empty() {
            // What is left of it goes out with the next piece.
            self.buffer.extend_from_slice(&self.after[of_after..]);
            self.after = b"";
        }
    }

    fn push_data(&mut self, data: Bytes) {
        if data.is_empty() {
            // A chunk of no bytes would end the body.
            return;
        }
        if data.len() > COPIED {
            if self.is_chunked() {
                write::chunk_head(&mut self.buffer, data.len());
                self.after = b"\r\n";
            }
            self.piece = data;
        } else if self.is_chunked() {
            write::chunk(&mut self.buffer, &data);
        } else {
            self.buffer.extend_from_slice(&data);
        }
    }
}
