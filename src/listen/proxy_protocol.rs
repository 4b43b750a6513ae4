//! The PROXY protocol (haproxy.org, proxy-protocol.txt, versions 1 and 2): the header in which a proxy in front says where
//! a connection really comes from. Only the bytes; whom to believe is for who accepts to say.
//!
//! Read strictly: a header is one of those that the specification allows to be sent, or [`Malformed`]. Extensions (TLVs)
//! are skipped, but for the checksum, which must be right where there is one.

mod read;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::network::canonical;

pub use read::{Failure, read};

/// The longest header that is read, in bytes. The specification lets version 2 go on to 64 KiB; what proxies add in
/// extensions takes a few hundred bytes, a client certificate among them not much over a thousand.
pub const LONGEST: usize = 4096;
/// The longest header of version 1, its line end included.
const LONGEST_V1: usize = 107;
/// With what a header of version 1 begins.
const BEGIN_V1: &[u8] = b"PROXY ";
/// With what a header of version 2 begins.
const BEGIN_V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The part of a header of version 2 that is always there.
const FIXED_V2: usize = 16;
/// The type of the extension that holds a checksum (CRC-32C), and its length.
const CHECKSUM: (u8, usize) = (3, 4);

/// Where the connection comes from, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This address, canonical.
    Address(SocketAddr),
    /// The proxy itself, on its own behalf: a health check.
    Proxy,
    /// Somebody whose address the proxy does not know or cannot say.
    Unknown,
}

/// Why the first bytes of a connection are no PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They begin like neither version.
    #[error("it does not begin with a PROXY protocol header")]
    Missing,
    /// They begin like one, and go on otherwise.
    #[error("its PROXY protocol header is malformed")]
    Form,
    /// It would be longer than is read.
    #[error("its PROXY protocol header is too long")]
    TooLong,
    /// The checksum in it is wrong.
    #[error("the checksum in its PROXY protocol header is wrong")]
    Checksum,
}

impl Malformed {
    /// The words for what can be wrong, in metrics.
    pub const REASONS: [&str; 4] = ["proxy_missing", "proxy_form", "proxy_too_long", "proxy_checksum"];

    /// The word in metrics.
    pub fn reason(self) -> &'static str {
        Self::REASONS[self as usize]
    }
}

/// Reads the header with which these bytes begin: how long it is and what it says; nothing where more bytes are needed
/// to tell. Never needs more than [`LONGEST`] bytes.
///
/// # Errors
///
/// [`Malformed`]: no further bytes would make a header of them.
pub fn parse(bytes: &[u8]) -> Result<Option<(usize, Source)>, Malformed> {
    if is_beginning(bytes, BEGIN_V2) {
        version_2(bytes)
    } else if is_beginning(bytes, BEGIN_V1) {
        version_1(bytes)
    } else {
        Err(Malformed::Missing)
    }
}

/// Whether the bytes begin with this, or are the beginning of it.
fn is_beginning(bytes: &[u8], begin: &[u8]) -> bool {
    let common = bytes.len().min(begin.len());
    bytes[..common] == begin[..common]
}

fn version_1(bytes: &[u8]) -> Result<Option<(usize, Source)>, Malformed> {
    let line = &bytes[..bytes.len().min(LONGEST_V1)];
    let Some(end) = memchr::memchr2(b'\r', b'\n', line) else {
        return if bytes.len() < LONGEST_V1 { Ok(None) } else { Err(Malformed::TooLong) };
    };
    match line.get(end..end + 2) {
        Some(b"\r\n") => {}
        None if line[end] == b'\r' && bytes.len() < LONGEST_V1 => return Ok(None),
        None if line[end] == b'\r' => return Err(Malformed::TooLong),
        _ => return Err(Malformed::Form),
    }
    let source =
        std::str::from_utf8(&line[..end]).ok().and_then(words_of_version_1).ok_or(Malformed::Form)?;
    Ok(Some((end + 2, source)))
}

fn words_of_version_1(line: &str) -> Option<Source> {
    let mut words = line.split(' ').skip(1);
    let address: fn(&str) -> Option<IpAddr> = match words.next()? {
        // Whatever follows is to be ignored.
        "UNKNOWN" => return Some(Source::Unknown),
        "TCP4" => |text| Ipv4Addr::from_str(text).ok().map(IpAddr::V4),
        "TCP6" => |text| Ipv6Addr::from_str(text).ok().map(IpAddr::V6),
        _ => return None,
    };
    let source = address(words.next()?)?;
    address(words.next()?)?;
    let port = port(words.next()?)?;
    self::port(words.next()?)?;
    words.next().is_none().then(|| Source::Address(canonical(SocketAddr::new(source, port))))
}

/// A port in the one way in which it is written: no sign, no leading zero.
fn port(text: &str) -> Option<u16> {
    let is_canonical = text == "0" || text.bytes().next().is_some_and(|first| (b'1'..=b'9').contains(&first));
    text.parse().ok().filter(|_| is_canonical)
}

fn version_2(bytes: &[u8]) -> Result<Option<(usize, Source)>, Malformed> {
    if let Some(version) = bytes.get(12)
        && !matches!(version, 0x20 | 0x21)
    {
        return Err(Malformed::Form);
    }
    if let Some(family) = bytes.get(13)
        && (family >> 4 > 3 || family & 0x0f > 2)
    {
        return Err(Malformed::Form);
    }
    let Some(fixed) = bytes.first_chunk::<FIXED_V2>() else { return Ok(None) };
    let length = FIXED_V2 + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > LONGEST {
        return Err(Malformed::TooLong);
    }
    let Some(header) = bytes.get(..length) else { return Ok(None) };
    let source = match fixed[12] {
        // Sent by the proxy on its own behalf, so that what follows says nothing.
        0x20 => Source::Proxy,
        _ => proxied(fixed[13], header)?,
    };
    Ok(Some((length, source)))
}

/// The source in a header of version 2 that stands for somebody else.
fn proxied(family: u8, header: &[u8]) -> Result<Source, Malformed> {
    let content = &header[FIXED_V2..];
    let port = |at: usize| Some(u16::from_be_bytes(*content.get(at..)?.first_chunk()?));
    let (source, addresses) = match family >> 4 {
        1 => {
            let address = content.first_chunk::<4>().map(|bytes| IpAddr::from(*bytes));
            (address.zip(port(8)).map(|(address, port)| SocketAddr::new(address, port)), 12)
        }
        2 => {
            let address = content.first_chunk::<16>().map(|bytes| IpAddr::from(*bytes));
            (address.zip(port(32)).map(|(address, port)| SocketAddr::new(address, port)), 36)
        }
        3 => (None, 216),
        _ => (None, 0),
    };
    let extensions = content.get(addresses..).ok_or(Malformed::Form)?;
    check_extensions(extensions, header)?;
    // The source of a datagram is nobody who could be connected here.
    let is_stream = family & 0x0f == 1;
    Ok(source.filter(|_| is_stream).map_or(Source::Unknown, |source| Source::Address(canonical(source))))
}

/// Extensions fill the header to its end: type, length in two bytes, value.
fn check_extensions(mut extensions: &[u8], header: &[u8]) -> Result<(), Malformed> {
    while let Some((&[kind, high, low], rest)) = extensions.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(length).ok_or(Malformed::Form)?;
        if kind == CHECKSUM.0 {
            let at = header.len() - rest.len() - length;
            let stated = value.try_into().map(u32::from_be_bytes).map_err(|_| Malformed::Form)?;
            if checksum(header, at..at + CHECKSUM.1) != stated {
                return Err(Malformed::Checksum);
            }
        }
        extensions = rest;
    }
    if extensions.is_empty() { Ok(()) } else { Err(Malformed::Form) }
}

/// CRC-32C (RFC 9260, appendix A) of the bytes, those in `blank` counting as zero. Headers are short and rare.
fn checksum(bytes: &[u8], blank: std::ops::Range<usize>) -> u32 {
    let bytes = bytes.iter().enumerate().map(|(at, byte)| if blank.contains(&at) { 0 } else { *byte });
    !bytes.fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg()))
    })
}
