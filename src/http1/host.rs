//! What may stand in `Host` (RFC 9110 section 7.2: `uri-host [ ":" port ]`, RFC 3986 section 3.2.2).

use http::header::HOST;
use http::{HeaderMap, Uri};

use super::Refused;

/// Whether the one `Host` field is there, is a host, and agrees with an absolute target.
pub fn check(headers: &HeaderMap, uri: &Uri, version_1_1: bool) -> Result<(), Refused> {
    let mut all = headers.get_all(HOST).iter();
    let Some(value) = all.next() else {
        return if version_1_1 { Err(Refused::Host) } else { Ok(()) };
    };
    if all.next().is_some() || !is_valid(value.as_bytes()) {
        return Err(Refused::Host);
    }
    match uri.authority() {
        Some(authority) if !authority.as_str().as_bytes().eq_ignore_ascii_case(value.as_bytes()) => {
            Err(Refused::Host)
        }
        _ => Ok(()),
    }
}

/// Whether these bytes are a host with an optional port. Percent-escapes are legal in a registered name and useless
/// in DNS; they are refused, as is everything that could be read as a list, user information or a path.
pub fn is_valid(value: &[u8]) -> bool {
    let (name, port) = match value.first() {
        Some(b'[') => {
            let Some(end) = value.iter().position(|&byte| byte == b']') else { return false };
            let literal = &value[1..end];
            let is_address =
                std::str::from_utf8(literal).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
            if !is_address {
                return false;
            }
            match value.get(end + 1) {
                None => return true,
                Some(b':') => (&value[..=end], Some(&value[end + 2..])),
                Some(_) => return false,
            }
        }
        _ => match value.iter().position(|&byte| byte == b':') {
            Some(colon) => (&value[..colon], Some(&value[colon + 1..])),
            None => (value, None),
        },
    };
    let is_name = !name.is_empty()
        && (name[0] == b'['
            || name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(byte)));
    // An empty port is legal (RFC 3986 section 3.2.3): `example.org:`.
    let is_port = port.is_none_or(|digits| {
        digits.is_empty()
            || std::str::from_utf8(digits)
                .is_ok_and(|text| text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok())
    });
    is_name && is_port
}
