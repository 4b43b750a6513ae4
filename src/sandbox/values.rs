//! The values in request bodies: what Onezone takes for a string, a token, a list of caveats, and what it says of one
//! that is none (contract, section 8; null and booleans are taken for strings where it takes atoms for them).

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Map, Value};

use super::fault::{self, Fault};
use super::{names, privileges::Privileges};
use crate::token::{self, Caveat, Interface, InviteType, Malformed, Token, Type};

/// A required token.
pub fn token(data: &Map<String, Value>, key: &str) -> Result<Token, Fault> {
    match data.get(key) {
        None => Err(fault::missing_required(key)),
        Some(Value::String(text)) if text.is_empty() => Err(fault::empty_value(key)),
        Some(Value::String(text)) => read_token(text).map_err(|inner| fault::bad_token_value(key, inner)),
        Some(_) => Err(fault::bad_token_value(key, fault::bad_token())),
    }
}

/// A token from its text, which may carry a Oneprovider's service prefix.
pub fn read_token(text: &str) -> Result<Token, Fault> {
    Token::parse(token::strip_service_prefix(text)).map_err(|malformed| match malformed {
        Malformed::TooLarge => fault::token_too_large(token::MAX_TEXT),
        _ => fault::bad_token(),
    })
}

/// A name, if there is one.
pub fn name(data: &Map<String, Value>) -> Result<Option<String>, Fault> {
    let name = match data.get("name") {
        None => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Null) => return Err(fault::bad_name()),
        Some(_) => return Err(fault::not_a_string("name")),
    };
    if names::valid(&name) { Ok(Some(name)) } else { Err(fault::bad_name()) }
}

/// The caveats, if there are any.
pub fn caveats(data: &Map<String, Value>) -> Result<Option<Vec<Caveat>>, Fault> {
    let list = match data.get("caveats") {
        None => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(fault::bad_data("caveats")),
    };
    let read = |value| Caveat::from_json(value).ok_or_else(|| fault::bad_caveat(value));
    list.iter().map(read).collect::<Result<_, _>>().map(Some)
}

/// A token type, if there is one.
pub fn token_type(data: &Map<String, Value>) -> Result<Option<Type>, Fault> {
    match data.get("type") {
        None => Ok(None),
        Some(value) => Type::from_json(value)
            .filter(can_be_written)
            .map(Some)
            .ok_or_else(|| fault::bad_token_type("type")),
    }
}

/// An invite type, if one is expected.
pub fn invite_type(data: &Map<String, Value>) -> Result<Option<InviteType>, Fault> {
    match data.get("expectedInviteType") {
        None => Ok(None),
        Some(value) => match value.as_str().and_then(InviteType::named) {
            Some(kind) => Ok(Some(kind)),
            None => Err(fault::bad_invite_type("expectedInviteType")),
        },
    }
}

/// A boolean, if there is one.
pub fn boolean(data: &Map<String, Value>, key: &str) -> Result<Option<bool>, Fault> {
    match data.get(key) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(fault::not_a_boolean(key)),
    }
}

/// Custom metadata, if there is any.
pub fn custom_metadata(data: &Map<String, Value>) -> Result<Option<Value>, Fault> {
    match data.get("customMetadata") {
        None => Ok(None),
        Some(value @ Value::Object(_)) => Ok(Some(value.clone())),
        Some(_) => Err(fault::not_json("customMetadata")),
    }
}

/// How often an invite token may be used; none for any number of times.
pub fn usage_limit(data: &Map<String, Value>) -> Result<Option<u64>, Fault> {
    let number = match data.get("usageLimit") {
        None => return Ok(None),
        Some(Value::String(text)) if text == "infinity" => return Ok(None),
        Some(Value::String(text)) => text.parse::<i128>().ok(),
        Some(Value::Number(number)) => number.as_i128(),
        Some(_) => None,
    };
    match number {
        None => Err(fault::not_an_integer("usageLimit")),
        Some(number) if number < 1 => Err(fault::too_low("usageLimit", 1)),
        Some(number) => Ok(Some(u64::try_from(number).unwrap_or(u64::MAX))),
    }
}

/// Privileges out of those possible, if the key is there at all.
pub fn privileges(
    data: &Map<String, Value>,
    key: &str,
    possible: &[&str],
) -> Result<Option<Privileges>, Fault> {
    let list = match data.get(key) {
        None => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(fault::not_strings(key)),
    };
    let mut set = Privileges::new();
    for value in list {
        let name = match value {
            Value::String(name) => name.as_str(),
            Value::Null | Value::Bool(_) => "",
            _ => return Err(fault::not_strings(key)),
        };
        if !possible.contains(&name) {
            return Err(fault::list_not_allowed(key, possible));
        }
        set.insert(name.to_owned());
    }
    Ok(Some(set))
}

/// The address that a token is said to be presented from; null for an unknown one.
pub fn peer_ip(data: &Map<String, Value>, caller: IpAddr) -> Result<Option<IpAddr>, Fault> {
    match data.get("peerIp") {
        None => Ok(Some(caller)),
        Some(Value::Null) => Ok(None),
        Some(value) => match value.as_str().and_then(|text| text.parse::<Ipv4Addr>().ok()) {
            Some(address) => Ok(Some(address.into())),
            None => Err(fault::not_an_ipv4_address("peerIp")),
        },
    }
}

/// The interface that a token is said to be presented in.
pub fn interface(data: &Map<String, Value>) -> Result<Option<Interface>, Fault> {
    const ALL: &[&str] = &["rest", "oneclient", "graphsync"];
    match data.get("interface") {
        None => Ok(None),
        Some(value @ (Value::String(_) | Value::Bool(_) | Value::Null)) => {
            let named = value.as_str().and_then(Interface::named);
            named.map(Some).ok_or_else(|| fault::value_not_allowed("interface", ALL))
        }
        Some(_) => Err(fault::not_a_string("interface")),
    }
}

/// For how many seconds from now the caveats let a token live; none for ever.
pub fn ttl(caveats: &[Caveat], now: i64) -> Option<i64> {
    let ends = caveats.iter().filter_map(|caveat| match caveat {
        Caveat::Time { valid_until } => Some(valid_until - now),
        _ => None,
    });
    ends.min()
}

/// Whether a token of this type could be read again: its ids hold no separators.
fn can_be_written(kind: &Type) -> bool {
    use crate::token::{Identifier, Persistence, Subject};
    let subject = Subject::User("u".to_owned());
    let identifier = Identifier::new(Persistence::Named, subject, kind.clone(), "t");
    Token::mint("d", identifier, Vec::new(), b"s").is_ok()
}
