//! The text form of a token (contract, section 12.3): base64url without padding, in which every character that is no
//! letter or digit becomes `0` and a digit, and `0` itself `00`.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE_NO_PAD, URL_SAFE_NO_PAD_INDIFFERENT};

use super::{MAX_TEXT, Malformed};

/// Reads the bytes that `text` stands for. The escapes of standard base64 and of padding are taken too.
pub fn decode(text: &str) -> Result<Vec<u8>, Malformed> {
    if text.len() > MAX_TEXT {
        return Err(Malformed::TooLarge);
    }
    let mut base64 = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        base64.push(match byte {
            b'0' => unescape(bytes.next()).ok_or(Malformed::Text)?,
            _ if byte.is_ascii_alphanumeric() => byte,
            _ => return Err(Malformed::Text),
        });
    }
    // Bits left over in the last character must be zero: two texts of one token would else differ in it.
    URL_SAFE_NO_PAD_INDIFFERENT.decode(base64).map_err(|_| Malformed::Text)
}

/// Reads what it can of a text: skips what is in no alphabet, and takes both of base64 with and without escapes.
pub fn decode_leniently(text: &[u8]) -> Vec<u8> {
    let (mut bytes, mut held, mut bits) = (Vec::with_capacity(text.len()), 0_u32, 0);
    let mut text = text.iter().copied();
    while let Some(byte) = text.next() {
        let value = match if byte == b'0' { unescape(text.next()).unwrap_or(b'0') } else { byte } {
            letter @ b'A'..=b'Z' => letter - b'A',
            letter @ b'a'..=b'z' => letter - b'a' + 26,
            digit @ b'0'..=b'9' => digit - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => continue,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    bytes
}

/// Writes `bytes` as the text of a token.
pub fn encode(bytes: &[u8]) -> String {
    let base64 = URL_SAFE_NO_PAD.encode(bytes);
    let mut text = String::with_capacity(base64.len() + base64.len() / 16);
    for character in base64.chars() {
        match character {
            '0' => text.push_str("00"),
            '_' => text.push_str("01"),
            '-' => text.push_str("02"),
            _ => text.push(character),
        }
    }
    text
}

fn unescape(digit: Option<u8>) -> Option<u8> {
    match digit? {
        b'0' => Some(b'0'),
        b'1' | b'3' => Some(b'_'),
        b'2' | b'4' => Some(b'-'),
        b'5' => Some(b'='),
        _ => None,
    }
}
