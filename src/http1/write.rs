//! Writing heads and chunks, into one buffer, so that a head and a small body leave in one system call.

use bytes::{BufMut, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode};

use super::Framing;

/// Writes a request's head. `target` is the origin form.
pub fn request(out: &mut BytesMut, method: &Method, target: &str, headers: &HeaderMap, framing: Framing) {
    out.reserve(method.as_str().len() + target.len() + 16 + size_of_fields(headers));
    out.put_slice(method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    fields(out, headers);
    length(out, framing);
    out.put_slice(b"\r\n");
}

/// Writes a response's head. `persistence` is the value of the `Connection` field, if it needs one.
pub fn response(
    out: &mut BytesMut,
    status: StatusCode,
    headers: &HeaderMap,
    framing: Framing,
    persistence: Option<&'static str>,
) {
    out.reserve(64 + size_of_fields(headers));
    status_line(out, status);
    fields(out, headers);
    length(out, framing);
    if let Some(value) = persistence {
        out.put_slice(b"connection: ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
    out.put_slice(b"\r\n");
}

/// Writes an interim response or the head of a switch of protocols: nothing frames a body, no field is left out.
pub fn interim(out: &mut BytesMut, status: StatusCode, headers: &HeaderMap) {
    out.reserve(64 + size_of_fields(headers));
    status_line(out, status);
    fields(out, headers);
    out.put_slice(b"\r\n");
}

/// Writes one chunk, which must not be empty.
pub fn chunk(out: &mut BytesMut, data: &[u8]) {
    chunk_head(out, data.len());
    out.put_slice(data);
    out.put_slice(b"\r\n");
}

/// Writes a chunk's size line.
pub fn chunk_head(out: &mut BytesMut, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    out.reserve(digits as usize + 4);
    for digit in (0..digits).rev() {
        out.put_u8(DIGITS[(size >> (4 * digit)) & 0xf]);
    }
    out.put_slice(b"\r\n");
}

/// Writes the last chunk and the trailers.
pub fn last_chunk(out: &mut BytesMut, trailers: Option<&HeaderMap>) {
    out.put_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        fields(out, trailers);
    }
    out.put_slice(b"\r\n");
}

fn status_line(out: &mut BytesMut, status: StatusCode) {
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.put_slice(b"\r\n");
}

fn fields(out: &mut BytesMut, headers: &HeaderMap) {
    for (name, value) in headers {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
}

fn length(out: &mut BytesMut, framing: Framing) {
    match framing {
        Framing::Length(length) => {
            out.put_slice(CONTENT_LENGTH.as_str().as_bytes());
            out.put_slice(b": ");
            out.put_slice(itoa::Buffer::new().format(length).as_bytes());
            out.put_slice(b"\r\n");
        }
        Framing::Chunked => {
            out.put_slice(TRANSFER_ENCODING.as_str().as_bytes());
            out.put_slice(b": chunked\r\n");
        }
        Framing::None | Framing::Close => {}
    }
}

fn size_of_fields(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>() + 64
}
