//! The keys from which the secrets of our own tokens are derived, and the ids by which such tokens are recognised.
//!
//! A key file holds one key a line, newest first: 32 random bytes as 64 hexadecimal digits. Blank lines and lines that
//! begin with `#` are skipped. The newest key issues; all of them verify, so a key is rotated by putting a new one in
//! front, and ends all that it issued when it is taken out.
//!
//! An id is `dg`, the number of the key (8 hexadecimal digits), the time (8) and 24 random ones. Onezone's begin with
//! two hexadecimal digits (contract, section 12.1), and `g` is none, so the two never meet. The number of a key is derived
//! from it and tells nothing of it. The time puts ids that are made together beside each other in an index,
//! however large that is; nothing relies on it, and where ids were made without, those are as good. A token's secret is
//! derived from the key and the whole id (HKDF-SHA256, RFC 5869): nothing that is stored about a token helps to forge
//! one, and whose a token is can be said without asking a ledger.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Token;

/// The bytes of a key.
const KEY: usize = 32;
/// What every id of ours begins with.
const PREFIX: &str = "dg";
/// The hexadecimal digits of a key's number.
const NUMBER: usize = 8;
/// The hexadecimal digits of the time in an id, in ticks since 1970 so short that few ids share one. They begin again after
/// 8.7 years, when what was issued in the same tick was long forgotten.
const TIME: usize = 8;
const TICK_MILLISECONDS: i64 = 64;
/// The random hexadecimal digits of an id: 96 bits.
const RANDOM: usize = 24;

/// What a key is expanded with to give its own number, and before an id to give a token's secret.
const NUMBER_INFO: &[u8] = b"duskgate key number";
const SECRET_INFO: &[u8] = b"duskgate invite token ";
/// What it is expanded with to give the key under which calls are remembered.
const MARK_INFO: &[u8] = b"duskgate idempotency";

/// The keys of a key file. `Debug` prints `<redacted>`.
pub struct KeyRing {
    /// Newest first; never empty.
    keys: Vec<Key>,
}

/// The secret of one token: 64 hexadecimal digits, used as text as Onezone does. `Debug` prints `<redacted>`.
pub struct Secret(Zeroizing<[u8; 2 * KEY]>);

/// Whether a token was issued here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ours {
    /// It was minted with one of the keys, and is unchanged.
    Yes,
    /// Its id is of one of the keys, its signature is not: changed, or forged.
    Tampered,
    /// It is somebody else's, or of a key that the ring does not have.
    No,
}

/// Why a text holds no keys. It never repeats any of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// Nothing but blank lines and comments.
    #[error("there is no key in it")]
    None,
    /// A line is no key.
    #[error("line {line} is no key: expected 64 hexadecimal digits")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// A key stands there twice.
    #[error("line {line} holds the same key as an earlier line")]
    Twice {
        /// The second of the two, counted from 1.
        line: usize,
    },
}

struct Key {
    number: [u8; NUMBER],
    derivation: Hkdf<Sha256>,
}

impl KeyRing {
    /// Reads the text of a key file.
    pub fn parse(text: &str) -> Result<KeyRing, BadKeys> {
        let mut keys: Vec<Key> = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let key = Key::new(&*from_hex(text).ok_or(BadKeys::Line { line })?);
            if keys.iter().any(|other| other.number == key.number) {
                return Err(BadKeys::Twice { line });
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(BadKeys::None) } else { Ok(KeyRing { keys }) }
    }

    /// A new id for a token that the newest key issues now: 42 letters and digits, ordered by time.
    pub fn mint_id(&self, now: Timestamp) -> String {
        let ticks = now.as_millisecond().div_euclid(TICK_MILLISECONDS).to_be_bytes();
        let time: [u8; TIME] = to_hex(&[ticks[4], ticks[5], ticks[6], ticks[7]]);
        let chance: [u8; RANDOM] = to_hex(&random::<{ RANDOM / 2 }>());
        let mut id = String::with_capacity(PREFIX.len() + NUMBER + TIME + RANDOM);
        id.push_str(PREFIX);
        id.extend(self.keys[0].number.iter().chain(&time).chain(&chance).copied().map(char::from));
        id
    }

    /// The secret of the token with this id; `None` unless the id is of one of the keys.
    pub fn secret(&self, id: &str) -> Option<Secret> {
        let number = number_in(id)?;
        self.keys.iter().find(|key| key.number == number).map(|key| key.secret(id))
    }

    /// Whether a token was issued here. Says nothing of its caveats, nor whether it still stands.
    pub fn is_ours(&self, token: &Token) -> Ours {
        match self.secret(&token.id.id) {
            None => Ours::No,
            Some(secret) if token.verify(secret.as_bytes()) => Ours::Yes,
            Some(_) => Ours::Tampered,
        }
    }

    /// Marks by which these parts can be known again and from which nobody learns them, one for each key, the newest
    /// first.
    pub fn marks(&self, parts: &[&[u8]]) -> Vec<[u8; KEY]> {
        self.keys.iter().map(|key| key.mark(parts)).collect()
    }

    /// How many keys there are; at least one.
    pub fn count(&self) -> usize {
        self.keys.len()
    }
}

/// Whether an id has the form of ours, whatever key it names: one that a ledger may know, and Onezone does not.
pub fn has_our_form(id: &str) -> bool {
    number_in(id).is_some()
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing(<redacted>)")
    }
}

impl Secret {
    /// The 64 digits, as [`Token::mint`] and [`Token::verify`] take them.
    pub fn as_bytes(&self) -> &[u8] {
        &*self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(<redacted>)")
    }
}

impl Key {
    fn new(bytes: &[u8; KEY]) -> Self {
        let derivation = Hkdf::new(None, bytes);
        let number = to_hex(&expand::<{ NUMBER / 2 }>(&derivation, &[NUMBER_INFO]));
        Key { number, derivation }
    }

    fn secret(&self, id: &str) -> Secret {
        let bytes = expand::<KEY>(&self.derivation, &[SECRET_INFO, id.as_bytes()]);
        Secret(Zeroizing::new(to_hex(&bytes)))
    }

    /// Each part goes in with its length, so that no two lists are written the same.
    fn mark(&self, parts: &[&[u8]]) -> [u8; KEY] {
        let key = expand::<KEY>(&self.derivation, &[MARK_INFO]);
        let mut mac = Hmac::<Sha256>::new_from_slice(&*key)
            .expect("this cannot fail because HMAC takes keys of any length (RFC 2104, section 2)");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// A new random key, as it stands in a key file.
pub(super) fn new_key() -> Zeroizing<String> {
    let digits: Zeroizing<[u8; 2 * KEY]> = Zeroizing::new(to_hex(&random::<KEY>()));
    Zeroizing::new(digits.map(char::from).iter().collect())
}

/// The number of the key in an id that has the form of ours.
fn number_in(id: &str) -> Option<[u8; NUMBER]> {
    let digits = id.strip_prefix(PREFIX).filter(|digits| digits.len() == NUMBER + TIME + RANDOM)?.as_bytes();
    let lower_hex = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if lower_hex { digits[..NUMBER].try_into().ok() } else { None }
}

fn expand<const BYTES: usize>(derivation: &Hkdf<Sha256>, info: &[&[u8]]) -> Zeroizing<[u8; BYTES]> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    derivation
        .expand_multi_info(info, &mut *bytes)
        .expect("this cannot fail because HKDF-SHA256 gives up to 8160 bytes (RFC 5869, section 2.3)");
    bytes
}

fn random<const BYTES: usize>() -> Zeroizing<[u8; BYTES]> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    getrandom::fill(&mut *bytes)
        .expect("this cannot fail because Linux has getrandom(2), which blocks rather than fails");
    bytes
}

fn to_hex<const BYTES: usize, const DIGITS: usize>(bytes: &[u8; BYTES]) -> [u8; DIGITS] {
    const { assert!(DIGITS == 2 * BYTES) };
    let mut digits = [0; DIGITS];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    digits
}

fn from_hex(text: &str) -> Option<Zeroizing<[u8; KEY]>> {
    if text.len() != 2 * KEY {
        return None;
    }
    let mut bytes = Zeroizing::new([0; KEY]);
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
