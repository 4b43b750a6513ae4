//! Who is calling: a bounded, non-secret name read from the credentials of a request, without asking anybody. The name
//! is a claim until the backend accepts the credentials; nothing may be allowed because of it.

pub mod confinement;

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName};

use crate::token::{self, Subject, Token, Type};

const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const MACAROON: HeaderName = HeaderName::from_static("macaroon");

/// Every request field that says, or helps to prove, who calls (contract, section 4). Their values are secrets.
pub const CREDENTIAL_FIELDS: [HeaderName; 6] = [
    X_AUTH_TOKEN,
    AUTHORIZATION,
    MACAROON,
    COOKIE,
    HeaderName::from_static("x-onedata-service-token"),
    HeaderName::from_static("x-onedata-consumer-token"),
];

/// The most bytes of an id or a username that a [`Consumer`] keeps.
const LONGEST_NAME: usize = 100;

/// Who calls, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name for logs, metrics and rules.
    pub consumer: Consumer,
    /// What was presented.
    pub credential: Credential,
}

/// The name of a caller, at most 128 bytes without unprintable characters. It never holds any part of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Consumer {
    /// The user of this id: `user:<id>`.
    User(String),
    /// The Oneprovider of this id: `provider:<id>`.
    Provider(String),
    /// Who gave this username with a password: `basic:<username>`.
    Basic(String),
    /// Somebody with a credential that does not say whose it is.
    Unknown,
    /// Somebody without a credential.
    Anonymous,
}

/// The credential that decides, where a request carries several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// None, or an `Authorization` of a scheme that Onezone passes over.
    None,
    /// An Onedata access token, not verified.
    Token(Box<Token>),
    /// A username and a password.
    Basic,
    /// A token of an identity provider, or nothing that Onezone will take.
    Opaque,
}

impl Caller {
    /// Reads the credentials of a request in Onezone's order (contract, section 4): the first that is present
    /// decides, even where it is worthless and another one is not.
    pub fn of(headers: &HeaderMap) -> Caller {
        let authorization = field(headers, &AUTHORIZATION);
        let scheme = |prefix: &[u8]| authorization.as_deref().and_then(|value| value.strip_prefix(prefix));
        if let Some(token) = field(headers, &X_AUTH_TOKEN) {
            Caller::bearing(&token)
        } else if let Some(token) = scheme(b"Bearer ") {
            Caller::bearing(token)
        } else if let Some(token) = field(headers, &MACAROON) {
            Caller::bearing(&token)
        } else if let Some(pair) = scheme(b"Basic ") {
            Caller { consumer: username(pair), credential: Credential::Basic }
        } else {
            Caller { consumer: Consumer::Anonymous, credential: Credential::None }
        }
    }

    /// The presented access token, not verified.
    pub fn token(&self) -> Option<&Token> {
        match &self.credential {
            Credential::Token(token) => Some(token),
            _ => None,
        }
    }

    /// Whether the token claims to be a Oneprovider's, which has token routes of its own.
    pub fn is_provider(&self) -> bool {
        matches!(self.consumer, Consumer::Provider(_))
    }

    fn bearing(value: &[u8]) -> Caller {
        let token = std::str::from_utf8(value)
            .ok()
            .and_then(|text| Token::parse(token::strip_service_prefix(text)).ok())
            // The subject of an invitation is who invites, not who calls.
            .filter(|token| matches!(token.id.kind, Type::Access { .. }));
        let consumer = match token.as_ref().and_then(|token| token.id.subject.as_ref()) {
            Some(Subject::User(id)) => Consumer::User(bounded(id)),
            Some(Subject::Provider(id)) => Consumer::Provider(bounded(id)),
            None => Consumer::Unknown,
        };
        let credential = token.map_or(Credential::Opaque, |token| Credential::Token(Box::new(token)));
        Caller { consumer, credential }
    }
}

impl fmt::Display for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Consumer::User(id) => write!(f, "user:{id}"),
            Consumer::Provider(id) => write!(f, "provider:{id}"),
            Consumer::Basic(username) => write!(f, "basic:{username}"),
            Consumer::Unknown => f.write_str("unknown"),
            Consumer::Anonymous => f.write_str("anonymous"),
        }
    }
}

/// The value of a field as Onezone sees it: where it is sent more than once, cowboy joins the values.
fn field<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Cow<'h, [u8]>> {
    let mut values = headers.get_all(name).iter().map(|value| value.as_bytes());
    let first = values.next()?;
    Some(values.fold(Cow::Borrowed(first), |joined, value| Cow::Owned([&joined, &b", "[..], value].concat())))
}

/// The token that authenticates a request, if one does. Whether Onezone takes an empty one for none is not known, so
/// that an empty one does not hide another.
fn access_token(headers: &HeaderMap) -> Option<Cow<'_, [u8]>> {
    let bearer = || match field(headers, &AUTHORIZATION)? {
        Cow::Borrowed(value) => value.strip_prefix(b"Bearer ").map(Cow::Borrowed),
        Cow::Owned(value) => value.strip_prefix(b"Bearer ").map(|token| Cow::Owned(token.to_vec())),
    };
    let present = |token: &Cow<'_, [u8]>| !token.is_empty();
    field(headers, &X_AUTH_TOKEN)
        .filter(present)
        .or_else(|| bearer().filter(present))
        .or_else(|| field(headers, &MACAROON))
}

/// The longest username that is taken for one, in bytes.
const LONGEST_USERNAME: usize = 64;

/// Whether this can be somebody's name, and not a secret in its place: people do put tokens there (`curl -u $TOKEN:`).
fn is_name(text: &str) -> bool {
    let is_token = text.starts_with("MDA") || Token::parse(token::strip_service_prefix(text)).is_ok();
    !text.is_empty() && text.len() <= LONGEST_USERNAME && !is_token
}

/// The name before the colon. Without a colon all of it may be a secret.
fn username(pair: &[u8]) -> Consumer {
    STANDARD
        .decode(pair)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.split_once(':').map(|(username, _)| username.to_owned()))
        .filter(|username| is_name(username))
        .map(|username| bounded(&username))
        .map_or(Consumer::Unknown, Consumer::Basic)
}

/// The text with `?` for what cannot be printed, cut at a character where it is too long, which `…` shows.
fn bounded(text: &str) -> String {
    let mut name = String::new();
    for character in text.chars() {
        if name.len() + character.len_utf8() > LONGEST_NAME {
            name.push('…');
            break;
        }
        name.push(if is_printable(character) { character } else { '?' });
    }
    name
}

/// Neither a control, nor a format character, nor a space other than the plain one.
fn is_printable(character: char) -> bool {
    matches!(character, '\'' | '"' | '\\') || character.escape_debug().len() == 1
}

#[cfg(test)]
mod tests;
