//! Where a body ends: by its length, by chunks or by the end of the connection (RFC 9112 section 6), and the decoder
//! that cuts it out of the bytes read.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::Refused;
use super::chunked::Chunked;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks, the last one empty, then perhaps trailers.
    Chunked,
    /// All bytes until the peer closes; responses only.
    Close,
}

/// How the body of a request with these headers is framed. Anything but one clear statement is refused.
pub fn of_request(headers: &HeaderMap, version_1_1: bool) -> Result<Framing, Refused> {
    match (transfer_coding(headers, version_1_1)?, content_length(headers)?) {
        (true, Some(_)) => Err(Refused::BothLengths),
        (true, None) => Ok(Framing::Chunked),
        (false, Some(length)) => Ok(Framing::Length(length)),
        (false, None) => Ok(Framing::None),
    }
}

/// How the body of a response to a `method` request is framed (RFC 9112 section 6.3).
pub fn of_response(
    method: &Method,
    status: StatusCode,
    headers: &HeaderMap,
    version_1_1: bool,
) -> Result<Framing, Refused> {
    let chunked = transfer_coding(headers, version_1_1)?;
    let length = content_length(headers)?;
    if has_no_body(method, status) {
        return Ok(Framing::None);
    }
    match (chunked, length) {
        (true, Some(_)) => Err(Refused::BothLengths),
        (true, None) => Ok(Framing::Chunked),
        (false, Some(length)) => Ok(Framing::Length(length)),
        (false, None) => Ok(Framing::Close),
    }
}

/// Whether a response to `method` with `status` never has a body, whatever its fields say.
pub fn has_no_body(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}

fn transfer_coding(headers: &HeaderMap, version_1_1: bool) -> Result<bool, Refused> {
    let mut all = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(value) = all.next() else { return Ok(false) };
    let exact = all.next().is_none() && value.as_bytes().eq_ignore_ascii_case(b"chunked");
    if exact && version_1_1 { Ok(true) } else { Err(Refused::TransferEncoding) }
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Refused> {
    let mut all = headers.get_all(CONTENT_LENGTH).iter();
    let Some(value) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(Refused::ContentLength);
    }
    parse_length(value).map(Some).ok_or(Refused::ContentLength)
}

fn parse_length(value: &HeaderValue) -> Option<u64> {
    let digits = value.as_bytes();
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}

/// Cuts a body out of the bytes read.
#[derive(Debug)]
pub enum Decoder {
    /// The body is complete.
    Done,
    /// So many bytes are to come.
    Length(u64),
    /// Chunks are to come.
    Chunked(Chunked),
    /// Everything belongs to it.
    Close,
}

/// One step of decoding.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// More bytes are needed.
    Starved,
    /// A piece of the body, not empty.
    Data(Bytes),
    /// The trailer fields; nothing comes after them.
    Trailers(HeaderMap),
    /// The body is complete.
    End,
}

impl Decoder {
    /// A decoder for a body framed so.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Decoder::Done,
            Framing::Length(length) => Decoder::Length(length),
            Framing::Chunked => Decoder::Chunked(Chunked::default()),
            Framing::Close => Decoder::Close,
        }
    }

    /// Whether the body is complete.
    pub fn is_done(&self) -> bool {
        matches!(self, Decoder::Done)
    }

    /// How many bytes are still to come, where the framing tells.
    pub fn remaining(&self) -> Option<u64> {
        match self {
            Decoder::Done => Some(0),
            Decoder::Length(left) => Some(*left),
            Decoder::Chunked(_) | Decoder::Close => None,
        }
    }

    /// Takes the next piece out of `buffer`.
    ///
    /// # Errors
    ///
    /// The framing is malformed; the text says how.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, &'static str> {
        let decoded = match self {
            Decoder::Done => Decoded::End,
            Decoder::Length(_) | Decoder::Close if buffer.is_empty() => Decoded::Starved,
            Decoder::Length(left) => {
                let piece = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
                *left -= piece as u64;
                Decoded::Data(buffer.split_to(piece).freeze())
            }
            Decoder::Close => Decoded::Data(buffer.split().freeze()),
            Decoder::Chunked(chunked) => chunked.decode(buffer)?,
        };
        let complete = match (&decoded, &*self) {
            (Decoded::Trailers(_) | Decoded::End, _) | (_, Decoder::Length(0)) => true,
            (_, Decoder::Chunked(chunked)) => chunked.is_done(),
            _ => false,
        };
        if complete {
            *self = Decoder::Done;
        }
        Ok(decoded)
    }

    /// Whether a body that begins with these bytes, of which none was taken yet, is whole in them. They are only looked
    /// at. One that ends with the connection is as whole as it is.
    ///
    /// # Errors
    ///
    /// The framing is malformed; the text says how.
    pub fn is_whole_in(&self, bytes: &[u8]) -> Result<bool, &'static str> {
        match self {
            Decoder::Done | Decoder::Close => Ok(true),
            Decoder::Length(length) => Ok(*length <= bytes.len() as u64),
            Decoder::Chunked(_) => super::chunked::is_whole_in(bytes),
        }
    }

    /// The peer closed. Says whether that ends the body; else it is incomplete.
    pub fn close(&mut self) -> bool {
        if matches!(self, Decoder::Close) {
            *self = Decoder::Done;
        }
        self.is_done()
    }
}
