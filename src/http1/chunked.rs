//! The chunked transfer coding (RFC 9112 section 7.1), read strictly: sizes are plain hexadecimal digits, lines end in
//! CRLF, extensions are bounded and dropped, and trailers may not contain what frames or routes a message.

use bytes::{Buf, BytesMut};
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};

use super::framing::Decoded;
use super::head;

/// A size line, with its extensions, is at most so long.
const LONGEST_LINE: usize = 1024;
/// The trailer section is at most so long.
const LONGEST_TRAILERS: usize = 16 * 1024;
const NO_END: &str = "no CRLF after a chunk";

/// Where in the coding we are.
#[derive(Debug, Default)]
pub enum Chunked {
    /// Before a size line.
    #[default]
    Size,
    /// Inside a chunk, with so many bytes to come.
    Data(u64),
    /// Before the CRLF that ends a chunk.
    DataEnd,
    /// After the last chunk.
    Trailers,
    /// Past the end.
    Done,
}

impl Chunked {
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Chunked::Done)
    }

    /// One step; see [`super::Decoder::decode`].
    pub(super) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, &'static str> {
        loop {
            match self {
                Chunked::Size => {
                    let Some(size) = take_size(buffer)? else { return Ok(Decoded::Starved) };
                    *self = if size == 0 { Chunked::Trailers } else { Chunked::Data(size) };
                }
                Chunked::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(Decoded::Starved);
                    }
                    let piece = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
                    *left -= piece as u64;
                    if *left == 0 {
                        *self = Chunked::DataEnd;
                    }
                    return Ok(Decoded::Data(buffer.split_to(piece).freeze()));
                }
                Chunked::DataEnd => {
                    match buffer.first_chunk::<2>() {
                        Some(b"\r\n") => buffer.advance(2),
                        Some(_) => return Err(NO_END),
                        None if buffer.first().is_some_and(|&byte| byte != b'\r') => {
                            return Err(NO_END);
                        }
                        None => return Ok(Decoded::Starved),
                    }
                    *self = Chunked::Size;
                }
                Chunked::Trailers => {
                    let Some(trailers) = take_trailers(buffer)? else { return Ok(Decoded::Starved) };
                    *self = Chunked::Done;
                    return Ok(if trailers.is_empty() { Decoded::End } else { Decoded::Trailers(trailers) });
                }
                Chunked::Done => return Ok(Decoded::End),
            }
        }
    }
}

/// Whether a body that begins with these bytes is whole in them. They are only looked at.
pub(super) fn is_whole_in(mut bytes: &[u8]) -> Result<bool, &'static str> {
    while let Some((size, line)) = size_of(bytes)? {
        let behind = &bytes[line..];
        if size == 0 {
            // Trailers are rare.
            return Ok(behind.starts_with(b"\r\n") || take_trailers(&mut behind.into())?.is_some());
        }
        bytes = match usize::try_from(size).ok().and_then(|size| behind.get(size..)) {
            None | Some([] | [b'\r']) => return Ok(false),
            Some([b'\r', b'\n', rest @ ..]) => rest,
            Some(_) => return Err(NO_END),
        };
    }
    Ok(false)
}

fn take_size(buffer: &mut BytesMut) -> Result<Option<u64>, &'static str> {
    let Some((size, line)) = size_of(buffer)? else { return Ok(None) };
    buffer.advance(line);
    Ok(Some(size))
}

/// A chunk's size, and the length of its line; none where the line is not complete.
fn size_of(buffer: &[u8]) -> Result<Option<(u64, usize)>, &'static str> {
    let Some(end) = memchr::memchr(b'\n', buffer) else {
        let plausible = buffer.first().is_none_or(u8::is_ascii_hexdigit);
        return if plausible && buffer.len() <= LONGEST_LINE { Ok(None) } else { Err("no chunk size") };
    };
    if end > LONGEST_LINE {
        return Err("a chunk size line is too long");
    }
    let Some(line) = buffer[..end].strip_suffix(b"\r") else {
        return Err("a chunk size line ends in a bare LF");
    };
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits == 0 || digits > 15 {
        return Err("no chunk size");
    }
    let rest = &line[digits..];
    let is_extension = rest.is_empty()
        || rest[0] == b';' && rest.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f));
    if !is_extension {
        return Err("something other than an extension follows a chunk size");
    }
    let size = line[..digits]
        .iter()
        .fold(0, |size, &digit| size * 16 + u64::from((digit as char).to_digit(16).unwrap_or_default()));
    Ok(Some((size, end + 1)))
}

fn take_trailers(buffer: &mut BytesMut) -> Result<Option<HeaderMap>, &'static str> {
    if buffer.starts_with(b"\r\n") {
        buffer.advance(2);
        return Ok(Some(HeaderMap::new()));
    }
    let end = match head::find_end(buffer, 0) {
        Ok(Some(end)) => end,
        Ok(None) if buffer.len() > LONGEST_TRAILERS => return Err("the trailers are too large"),
        Ok(None) => return Ok(None),
        Err(_) => return Err("a trailer line does not end in CRLF"),
    };
    let section = buffer.split_to(end).freeze();
    let trailers = head::parse_fields(section).map_err(|_| "a trailer field is malformed")?;
    check_trailers(&trailers)?;
    Ok(Some(trailers))
}

/// Whether these fields may stand behind a body (RFC 9110 section 6.5.1).
///
/// # Errors
///
/// One of them frames or routes the message; the text says so.
pub fn check_trailers(trailers: &HeaderMap) -> Result<(), &'static str> {
    let forbidden = [CONTENT_LENGTH, TRANSFER_ENCODING, HOST, AUTHORIZATION];
    if forbidden.iter().any(|name| trailers.contains_key(name)) {
        return Err("a trailer field frames or routes the message");
    }
    Ok(())
}
