//! Version 1 macaroons (contract, sections 12.1 and 12.2): the packets and the chain of HMACs. Knows nothing of what
//! identifiers and caveats mean. First-party caveats only, as Onedata has no others.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// An HMAC-SHA256.
pub type Signature = [u8; 32];

/// `macaroons-key-generator`, padded with zeros to 32 bytes.
const KEY_GENERATOR: &[u8; 32] = b"macaroons-key-generator\0\0\0\0\0\0\0\0\0";

/// The hexadecimal digits of the length with which a packet begins.
const LENGTH_DIGITS: usize = 4;

/// A macaroon's parts, inside the bytes that it was read from.
pub struct Macaroon<'a> {
    pub location: &'a [u8],
    pub identifier: &'a [u8],
    pub caveats: Vec<&'a [u8]>,
    pub signature: Signature,
}

/// Reads a whole macaroon; nothing may follow it.
pub fn read(mut rest: &[u8]) -> Option<Macaroon<'_>> {
    let location = expect(&mut rest, "location")?;
    let identifier = expect(&mut rest, "identifier")?;
    let mut caveats = Vec::new();
    loop {
        match packet(&mut rest)? {
            (b"cid", caveat) => caveats.push(caveat),
            (b"signature", signature) if rest.is_empty() => {
                return Some(Macaroon {
                    location,
                    identifier,
                    caveats,
                    signature: signature.try_into().ok()?,
                });
            }
            _ => return None,
        }
    }
}

/// Writes a macaroon. Each part must fit ([`fits`]).
pub fn write(location: &[u8], identifier: &[u8], caveats: &[Vec<u8>], signature: &Signature) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + location.len() + identifier.len() + 64 * caveats.len());
    append(&mut out, "location", location);
    append(&mut out, "identifier", identifier);
    for caveat in caveats {
        append(&mut out, "cid", caveat);
    }
    append(&mut out, "signature", signature);
    out
}

/// Whether a value of `length` bytes fits into a packet of this key.
pub fn fits(key: &str, length: usize) -> bool {
    packet_length(key, length) <= usize::from(u16::MAX)
}

/// The signature of a macaroon without caveats.
pub fn begin(secret: &[u8], identifier: &[u8]) -> Signature {
    extend(&key(secret), identifier)
}

/// The signature after one more caveat.
pub fn extend(signature: &Signature, caveat: &[u8]) -> Signature {
    keyed(signature, caveat).finalize().into_bytes().into()
}

/// Whether `signature` is the one of these parts, in time that does not depend on where it differs.
pub fn verify(secret: &[u8], identifier: &[u8], caveats: &[Vec<u8>], signature: &Signature) -> bool {
    let last = match caveats.split_last() {
        None => keyed(&key(secret), identifier),
        Some((last, earlier)) => {
            let chain = earlier
                .iter()
                .fold(begin(secret, identifier), |signature, caveat| extend(&signature, caveat));
            keyed(&chain, last)
        }
    };
    last.verify_slice(signature).is_ok()
}

fn key(secret: &[u8]) -> Signature {
    extend(KEY_GENERATOR, secret)
}

fn keyed(key: &Signature, data: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .expect("this cannot fail because HMAC takes keys of any length (RFC 2104, section 2)");
    mac.update(data);
    mac
}

fn packet_length(key: &str, length: usize) -> usize {
    LENGTH_DIGITS + key.len() + " ".len() + length + "\n".len()
}

fn append(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    out.extend_from_slice(format!("{:04x}{key} ", packet_length(key, value.len())).as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn expect<'a>(rest: &mut &'a [u8], key: &str) -> Option<&'a [u8]> {
    packet(rest).filter(|(found, _)| *found == key.as_bytes()).map(|(_, value)| value)
}

/// Takes one packet off the front: its key and its value, which may hold any bytes.
fn packet<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let length = rest.get(..LENGTH_DIGITS)?.iter().try_fold(0, |sum, digit| match digit {
        b'0'..=b'9' => Some(sum * 16 + usize::from(digit - b'0')),
        b'a'..=b'f' => Some(sum * 16 + usize::from(digit - b'a') + 10),
        _ => None,
    })?;
    let content = rest.get(LENGTH_DIGITS..length)?.strip_suffix(b"\n")?;
    *rest = &rest[length..];
    let space = content.iter().position(|byte| *byte == b' ')?;
    Some((&content[..space], &content[space + 1..]))
}
