//! Onedata's token format (contract, section 12): read, written, verified, minted, confined. Pure: no HTTP, no clock, no
//! record of which tokens exist, so it cannot say whether a token was revoked. Only [`key_file`] touches a disk.
//!
//! A token is read *losslessly or not at all*: what does not come back byte for byte from its typed form is
//! [`Malformed`] (identifier) or [`Caveat::Unknown`], so that a signature can always be computed again from the parts.

pub mod api;
mod caveat;
mod identifier;
pub mod key_file;
pub mod keys;
mod macaroon;
mod text;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Value, json};

pub use caveat::{Caveat, Filter, Interface, Network};
pub use identifier::{Identifier, InviteType, Persistence, Subject, Type};

/// The most characters that the text of a token may have (contract, section 12.3).
pub const MAX_TEXT: usize = 1_048_576;

/// The prefixes with which a Oneprovider marks its access token (contract, section 4).
const SERVICE_PREFIXES: [&str; 2] = ["opw-", "opp-"];

/// One Onedata token. It is a credential, so `Debug` prints `<redacted>` and only [`Token::serialize`] writes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The Onezone domain, without scheme or port. The signature does not cover it (contract, section 12.6).
    pub location: String,
    /// What the token is and whose.
    pub id: Identifier,
    /// What confines it, in the order in which it is checked.
    pub caveats: Vec<Caveat>,
    signature: macaroon::Signature,
}

/// Why a text is no token. It never repeats any of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Longer than [`MAX_TEXT`]: Onezone's `tokenTooLarge`.
    #[error("the token is longer than {MAX_TEXT} characters")]
    TooLarge,
    /// Not the letters, digits and escapes that a token is written in.
    #[error("the token's text is not in the alphabet of tokens")]
    Text,
    /// Not the packets of a version 1 macaroon.
    #[error("the token is not a sequence of macaroon packets")]
    Packet,
    /// The identifier is not one of Onedata's.
    #[error("the token's identifier is not in a known form")]
    Identifier,
}

/// Why a token cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmintable {
    /// An id is empty, or holds a separator or a control character.
    #[error("an id in the token is empty or holds a character that it may not")]
    Identifier,
    /// A caveat whose text would be read as something else.
    #[error("a caveat cannot be written so that it is read as the same")]
    Caveat,
    /// A part would not fit into a packet (65535 bytes).
    #[error("a part of the token is too long for a packet")]
    TooLong,
}

impl Token {
    /// Reads the text of a token, without any service prefix ([`strip_service_prefix`]). Nothing is verified.
    pub fn parse(text: &str) -> Result<Token, Malformed> {
        let packets = text::decode(text)?;
        let macaroon = macaroon::read(&packets).ok_or(Malformed::Packet)?;
        let identifier = std::str::from_utf8(macaroon.identifier).map_err(|_| Malformed::Identifier)?;
        let location = std::str::from_utf8(macaroon.location).map_err(|_| Malformed::Packet)?;
        Ok(Token {
            location: location.to_owned(),
            id: Identifier::parse(identifier).ok_or(Malformed::Identifier)?,
            caveats: macaroon.caveats.into_iter().map(Caveat::parse).collect(),
            signature: macaroon.signature,
        })
    }

    /// Makes a token signed with `secret`: of a named token its own 64 hexadecimal characters, of a temporary one
    /// the text that all of the subject's generation share.
    pub fn mint(
        location: &str,
        id: Identifier,
        caveats: Vec<Caveat>,
        secret: &[u8],
    ) -> Result<Token, Unmintable> {
        let identifier = id.to_string();
        let readable = Identifier::parse(&identifier).as_ref() == Some(&id);
        if !readable || identifier.chars().any(char::is_control) {
            return Err(Unmintable::Identifier);
        }
        if !macaroon::fits("identifier", identifier.len()) || !macaroon::fits("location", location.len()) {
            return Err(Unmintable::TooLong);
        }
        let signature = macaroon::begin(secret, identifier.as_bytes());
        let bare = Token { location: location.to_owned(), id, caveats: Vec::new(), signature };
        caveats.into_iter().try_fold(bare, Token::confine)
    }

    /// The same token with one more caveat. Needs no secret, as anybody may confine any token.
    pub fn confine(mut self, caveat: Caveat) -> Result<Token, Unmintable> {
        let text = caveat.to_bytes();
        if !macaroon::fits("cid", text.len()) {
            return Err(Unmintable::TooLong);
        }
        if Caveat::parse(&text) != caveat {
            return Err(Unmintable::Caveat);
        }
        self.signature = macaroon::extend(&self.signature, &text);
        self.caveats.push(caveat);
        Ok(self)
    }

    /// Whether the token was made with `secret` and is unchanged, its location aside. Takes the same time however
    /// much of the signature is right. Says nothing of caveats.
    pub fn verify(&self, secret: &[u8]) -> bool {
        let caveats: Vec<_> = self.caveats.iter().map(Caveat::to_bytes).collect();
        macaroon::verify(secret, self.id.to_string().as_bytes(), &caveats, &self.signature)
    }

    /// The text of the token: letters and digits only.
    pub fn serialize(&self) -> String {
        let caveats: Vec<_> = self.caveats.iter().map(Caveat::to_bytes).collect();
        let identifier = self.id.to_string();
        text::encode(&macaroon::write(
            self.location.as_bytes(),
            identifier.as_bytes(),
            &caveats,
            &self.signature,
        ))
    }

    /// What the token says, without its signature: `onezoneDomain`, `id`, `persistence`, `subject`, `type`,
    /// `caveats`. The subject of a version 1 token, which names none, is null.
    pub fn to_json(&self) -> Value {
        json!({
            "onezoneDomain": self.location,
            "id": self.id.id,
            "persistence": self.id.persistence.to_json(),
            "subject": self.id.subject.as_ref().map(Subject::to_json),
            "type": self.id.kind.to_json(),
            "caveats": self.caveats.iter().map(Caveat::to_json).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(<redacted>)")
    }
}

/// Whether a text that is no token for [`Token::parse`] may be one with an ip caveat for a reader that takes more.
pub fn may_hold_networks(text: &[u8]) -> bool {
    memchr::memmem::find(&text::decode_leniently(text), b"ip =").is_some()
}

/// Takes `opw-` or `opp-` off the text of an access token. Any other prefix stays on, and makes it malformed.
pub fn strip_service_prefix(text: &str) -> &str {
    SERVICE_PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text)
}
