//! `Link` fields (RFC 8288) and the paths of successors with a caller's ids in them.

use std::fmt::Write as _;

use http::HeaderValue;

use crate::operation::Successor;
use crate::route::{Call, encode};

/// An address that cannot stand in a `Link` header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} is not a URL: {address:?}")]
pub struct BadLink {
    /// What it is the address of, as the configuration calls it.
    pub key: &'static str,
    /// The address.
    pub address: String,
}

/// A link that is the same for every call.
pub fn fixed(key: &'static str, address: &str, relation: &str) -> Result<HeaderValue, BadLink> {
    let bad = || BadLink { key, address: address.to_owned() };
    if address.is_empty() || !address.bytes().all(is_uri_byte) {
        return Err(bad());
    }
    HeaderValue::from_str(&format!("<{address}>; rel=\"{relation}\"")).map_err(|_| bad())
}

/// A successor's path in the pieces between its parameters, and what follows it in a `Link`.
#[derive(Clone, Debug)]
pub struct Target {
    pieces: Vec<Piece>,
    attributes: String,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    /// The caller's own id of this name.
    Parameter(String),
}

impl Target {
    /// Reads a successor.
    pub fn new(successor: &Successor) -> Self {
        Target { pieces: pieces(&successor.path), attributes: attributes(successor) }
    }

    /// The link to this successor for one call.
    pub fn link(&self, call: &Call) -> Option<HeaderValue> {
        let path = self.path(call, |template, name| {
            // Braces may not stand in a URI (RFC 3986, section 2), and this must be one.
            let _ = write!(template, "%7B{}%7D", encode(name.as_bytes()));
        });
        HeaderValue::from_str(&format!("<{path}>{}", self.attributes)).ok()
    }

    /// The path for people and programs that read JSON: what the call has no id for stays as the template has it.
    pub fn readable_path(&self, call: &Call) -> String {
        self.path(call, |template, name| {
            let _ = write!(template, "{{{name}}}");
        })
    }

    /// Fills in the call's ids, percent-encoded. A parameter is only ever the call's id of the same name: what another
    /// id holds may be a secret (a serialized token) and is not what belongs there.
    fn path(&self, call: &Call, unknown: impl Fn(&mut String, &str)) -> String {
        let mut path = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => path.push_str(text),
                Piece::Parameter(name) => match call.encoded_id(name) {
                    Some(id) => path.push_str(&id),
                    None => unknown(&mut path, name),
                },
            }
        }
        path
    }
}

fn pieces(path: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = path;
    while let Some((text, name, after)) = next_parameter(rest) {
        pieces.push(Piece::Text(uri_text(text)));
        pieces.push(Piece::Parameter(name.to_owned()));
        rest = after;
    }
    pieces.push(Piece::Text(uri_text(rest)));
    pieces
}

fn next_parameter(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// The text with every character escaped that a URI cannot hold.
fn uri_text(text: &str) -> String {
    text.bytes().fold(String::new(), |mut uri, byte| {
        if is_uri_byte(byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
        uri
    })
}

/// What RFC 3986 lets stand somewhere in a URI, `%` included.
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

/// The relation, and a title that tells successors apart: the operationId and the note.
fn attributes(successor: &Successor) -> String {
    let title = match (&successor.operation, &successor.note) {
        (Some(operation), Some(note)) => format!("{operation}: {note}"),
        (Some(only), None) | (None, Some(only)) => only.clone(),
        (None, None) => return "; rel=\"successor-version\"".to_owned(),
    };
    if title.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        let quoted = title.replace('\\', "\\\\").replace('"', "\\\"");
        format!("; rel=\"successor-version\"; title=\"{quoted}\"")
    } else {
        // RFC 8187: a parameter with characters outside ASCII.
        format!("; rel=\"successor-version\"; title*=UTF-8''{}", encode(title.as_bytes()))
    }
}
