//! What is wrong with the fields of one header block, as the client sent them (RFC 9113 section 8): the word for metrics.

use crate::http1::is_host;

/// Reads along while a header block is decoded.
#[derive(Debug, Default)]
pub(super) struct Judge {
    is_trailer: bool,
    /// Which pseudo-header fields there were: method, scheme, path, authority, in bits.
    seen: u8,
    is_connect: bool,
    is_past_pseudo: bool,
    fault: Option<&'static str>,
    /// As RFC 9113 section 6.5.2 counts.
    size: usize,
}

const METHOD: u8 = 1;
const SCHEME: u8 = 2;
const PATH: u8 = 4;
const AUTHORITY: u8 = 8;

/// The words for what is malformed, in metrics, beside those of [`crate::http1::Refused`].
pub(in crate::listen) const REASONS: [&str; 4] = ["frame", "trailer", PSEUDO, CONNECTION];
const PSEUDO: &str = "pseudo_field";
const CONNECTION: &str = "connection_field";

impl Judge {
    /// Of a request's head, or of trailers.
    pub fn new(is_trailer: bool) -> Self {
        Judge { is_trailer, ..Judge::default() }
    }

    /// The next field.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        self.size += name.len() + value.len() + 32;
        let fault = match name.strip_prefix(b":") {
            Some(pseudo) => self.pseudo(pseudo, value),
            None => {
                self.is_past_pseudo = true;
                regular(name, value)
            }
        };
        self.fault = self.fault.or(fault);
    }

    /// What is wrong, if anything, now that the block is whole.
    pub fn fault(&self) -> Option<&'static str> {
        let wanted = if self.is_connect { METHOD } else { METHOD | SCHEME | PATH };
        let is_complete = self.is_trailer || self.seen & (METHOD | SCHEME | PATH) == wanted;
        self.fault.or((!is_complete).then_some(PSEUDO))
    }

    /// The size of the list.
    pub fn size(&self) -> usize {
        self.size
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Option<&'static str> {
        if self.is_trailer {
            return Some("trailer");
        }
        let is_text =
            |value: &[u8]| !value.is_empty() && value.iter().all(|byte| (0x21..=0x7e).contains(byte));
        let (bit, fault) = match name {
            b"method" => {
                self.is_connect = value == b"CONNECT";
                (METHOD, (!is_token(value)).then_some("start_line"))
            }
            b"scheme" => (SCHEME, (value != b"http" && value != b"https").then_some("target")),
            // Whether it is empty is a matter of form, what stands in it one of the target.
            b"path" if value.is_empty() => (PATH, Some(PSEUDO)),
            b"path" => {
                let is_form = value.first() == Some(&b'/') || value == b"*";
                (PATH, (!is_form || !is_text(value) || value.contains(&b'#')).then_some("target"))
            }
            b"authority" => (AUTHORITY, (!is_host(value)).then_some("host")),
            _ => return Some(PSEUDO),
        };
        let is_out_of_place = self.is_past_pseudo || self.seen & bit != 0;
        self.seen |= bit;
        if is_out_of_place { Some(PSEUDO) } else { fault }
    }
}

fn regular(name: &[u8], value: &[u8]) -> Option<&'static str> {
    let is_lower = !name.iter().any(u8::is_ascii_uppercase);
    if !is_token(name) || !is_lower {
        return Some("field");
    }
    match name {
        b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
            Some(CONNECTION)
        }
        b"te" if value != b"trailers" => Some(CONNECTION),
        _ => value.iter().any(|&byte| byte < 0x20 && byte != b'\t' || byte == 0x7f).then_some("field"),
    }
}

fn is_token(text: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_token)
}
