//! Caveats (contract, section 12.4): between the text in a token and JSON. A text that is not exactly what writing would
//! produce is [`Caveat::Unknown`], kept byte for byte. Whether a caveat holds is for whoever knows the circumstances to
//! say; only api caveats are judged in this room, by [`api`](super::api).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::identifier::decimal;

/// A confinement of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caveat {
    /// Valid while the time is before this moment, in Unix seconds.
    Time {
        /// The first second at which it is no longer valid.
        valid_until: i64,
    },
    /// Usable from these networks.
    Ip(Vec<Network>),
    /// Usable from these autonomous systems.
    Asn(Vec<u32>),
    /// Usable from (or not from) these countries, as two capital letters.
    GeoCountry(Filter, Vec<String>),
    /// Usable from (or not from) these regions: `Asia`, `EU`.
    GeoRegion(Filter, Vec<String>),
    /// Good for proving an identity only (deprecated).
    IdentityScope,
    /// Usable towards these services: `ozw-onezone`, `opw-*`.
    Service(Vec<String>),
    /// Usable by these consumers: `usr-<id>`, `grp-*`.
    Consumer(Vec<String>),
    /// Usable in this interface.
    Interface(Interface),
    /// Usable for API calls that match an entry: `ozw/create/group.G.invite_user_token:private`.
    Api(Vec<String>),
    /// Usable to read data only.
    DataReadonly,
    /// Usable for data under these paths, each in base64.
    DataPath(Vec<String>),
    /// Usable for these file ids.
    DataObjectid(Vec<String>),
    /// None of the above. Who meets it must refuse the token.
    Unknown(Vec<u8>),
}

/// Whether a geographical list allows or forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Only what is on the list.
    Whitelist,
    /// Only what is not on the list.
    Blacklist,
}

/// Where a token is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// The REST API.
    Rest,
    /// The file system client.
    Oneclient,
    /// The GraphSync websocket.
    Graphsync,
}

/// An IPv4 network in CIDR notation. Bits of the address behind the mask are kept as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: Ipv4Addr,
    prefix: u8,
}

/// The regions that a caveat can name.
const REGIONS: [&str; 8] =
    ["Africa", "Antarctica", "Asia", "Europe", "EU", "NorthAmerica", "Oceania", "SouthAmerica"];
/// The services that a caveat can name, before the `-`.
const SERVICES: [&str; 4] = ["ozw", "ozp", "opw", "opp"];
/// The consumers that a caveat can name, before the `-`.
const CONSUMERS: [&str; 3] = ["usr", "grp", "prv"];

impl Caveat {
    /// Reads the text of a caveat. Never fails: what is not understood is [`Caveat::Unknown`].
    pub fn parse(bytes: &[u8]) -> Caveat {
        std::str::from_utf8(bytes)
            .ok()
            .and_then(known)
            .filter(Caveat::is_well_formed)
            .unwrap_or_else(|| Caveat::Unknown(bytes.to_vec()))
    }

    /// The text of the caveat.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Caveat::Unknown(bytes) => bytes.clone(),
            _ => self.to_string().into_bytes(),
        }
    }

    /// The JSON of the caveat. An unknown one is its text, with what is not UTF-8 replaced.
    pub fn to_json(&self) -> Value {
        match self {
            Caveat::Time { valid_until } => json!({"type": "time", "validUntil": valid_until}),
            Caveat::Ip(networks) => {
                let texts: Vec<_> = networks.iter().map(ToString::to_string).collect();
                json!({"type": "ip", "whitelist": texts})
            }
            Caveat::Asn(numbers) => json!({"type": "asn", "whitelist": numbers}),
            Caveat::GeoCountry(filter, list) => {
                json!({"type": "geo.country", "filter": filter.name(), "list": list})
            }
            Caveat::GeoRegion(filter, list) => {
                json!({"type": "geo.region", "filter": filter.name(), "list": list})
            }
            Caveat::IdentityScope => json!({"scope": "identityToken"}),
            Caveat::Service(list) => json!({"type": "service", "whitelist": list}),
            Caveat::Consumer(list) => json!({"type": "consumer", "whitelist": list}),
            Caveat::Interface(interface) => json!({"type": "interface", "interface": interface.name()}),
            Caveat::Api(list) => json!({"type": "api", "whitelist": list}),
            Caveat::DataReadonly => json!({"type": "data.readonly"}),
            Caveat::DataPath(list) => json!({"type": "data.path", "whitelist": list}),
            Caveat::DataObjectid(list) => json!({"type": "data.objectid", "whitelist": list}),
            Caveat::Unknown(bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
        }
    }

    /// Reads the JSON of a caveat that somebody asks for; `None` for what is no caveat.
    pub fn from_json(value: &Value) -> Option<Caveat> {
        if value.get("scope").is_some_and(|scope| scope == "identityToken") {
            return Some(Caveat::IdentityScope);
        }
        let whitelist = || strings(value.get("whitelist")?);
        let geographical =
            || Some((Filter::named(value.get("filter")?.as_str()?)?, strings(value.get("list")?)?));
        let caveat = match value.get("type")?.as_str()? {
            "time" => Caveat::Time { valid_until: value.get("validUntil")?.as_i64()? },
            "ip" => {
                let networks = whitelist()?;
                Caveat::Ip(networks.iter().map(|text| Network::parse_lenient(text)).collect::<Option<_>>()?)
            }
            "asn" => {
                let numbers = value.get("whitelist")?.as_array()?.iter();
                Caveat::Asn(numbers.map(|n| u32::try_from(n.as_u64()?).ok()).collect::<Option<_>>()?)
            }
            "geo.country" => {
                let (filter, list) = geographical()?;
                Caveat::GeoCountry(filter, list)
            }
            "geo.region" => {
                let (filter, list) = geographical()?;
                Caveat::GeoRegion(filter, list)
            }
            "service" => Caveat::Service(whitelist()?),
            "consumer" => Caveat::Consumer(whitelist()?),
            "interface" => Caveat::Interface(Interface::named(value.get("interface")?.as_str()?)?),
            "api" => Caveat::Api(whitelist()?),
            "data.readonly" => Caveat::DataReadonly,
            "data.path" => Caveat::DataPath(whitelist()?),
            "data.objectid" => Caveat::DataObjectid(whitelist()?),
            _ => return None,
        };
        caveat.is_well_formed().then_some(caveat)
    }

    /// Whether every item is one that can be, so that a list has items and none of them holds the separator.
    fn is_well_formed(&self) -> bool {
        fn all<T>(list: &[T], valid: impl Fn(&T) -> bool) -> bool {
            !list.is_empty() && list.iter().all(valid)
        }
        match self {
            Caveat::Time { .. }
            | Caveat::IdentityScope
            | Caveat::Interface(_)
            | Caveat::DataReadonly
            | Caveat::Unknown(_) => true,
            Caveat::Ip(list) => !list.is_empty(),
            Caveat::Asn(list) => !list.is_empty(),
            Caveat::GeoCountry(_, list) => {
                all(list, |code| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()))
            }
            Caveat::GeoRegion(_, list) => all(list, |region| REGIONS.contains(&region.as_str())),
            Caveat::Service(list) => all(list, |service| is_prefixed(service, &SERVICES)),
            Caveat::Consumer(list) => all(list, |consumer| is_prefixed(consumer, &CONSUMERS)),
            Caveat::Api(list) => all(list, |entry| is_plain(entry) && super::api::is_entry(entry)),
            Caveat::DataPath(list) => all(list, |path| STANDARD.decode(path).is_ok()),
            Caveat::DataObjectid(list) => {
                all(list, |id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
            }
        }
    }
}

/// The text of the caveat, as it stands in a token; of an unknown one with what is not UTF-8 replaced.
impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caveat::Time { valid_until } => write!(f, "time < {valid_until}"),
            Caveat::Ip(networks) => write!(f, "ip = {}", join(networks)),
            Caveat::Asn(numbers) => write!(f, "asn = {}", join(numbers)),
            Caveat::GeoCountry(filter, list) => write!(f, "geo.country {} {}", filter.sign(), join(list)),
            Caveat::GeoRegion(filter, list) => write!(f, "geo.region {} {}", filter.sign(), join(list)),
            Caveat::IdentityScope => f.write_str("authorization = none"),
            Caveat::Service(list) => write!(f, "service = {}", join(list)),
            Caveat::Consumer(list) => write!(f, "consumer = {}", join(list)),
            Caveat::Interface(interface) => write!(f, "interface = {}", interface.name()),
            Caveat::Api(list) => write!(f, "api = {}", join(list)),
            Caveat::DataReadonly => f.write_str("data.readonly"),
            Caveat::DataPath(list) => write!(f, "data.path = {}", join(list)),
            Caveat::DataObjectid(list) => write!(f, "data.objectid = {}", join(list)),
            Caveat::Unknown(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
        }
    }
}

impl Filter {
    fn name(self) -> &'static str {
        match self {
            Filter::Whitelist => "whitelist",
            Filter::Blacklist => "blacklist",
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Filter::Whitelist => "=",
            Filter::Blacklist => "!=",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Filter::Whitelist, Filter::Blacklist].into_iter().find(|filter| filter.name() == name)
    }

    fn signed(sign: &str) -> Option<Self> {
        [Filter::Whitelist, Filter::Blacklist].into_iter().find(|filter| filter.sign() == sign)
    }
}

impl Interface {
    /// Its name in caveats: `rest`.
    pub fn name(self) -> &'static str {
        match self {
            Interface::Rest => "rest",
            Interface::Oneclient => "oneclient",
            Interface::Graphsync => "graphsync",
        }
    }

    /// The interface of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Interface::Rest, Interface::Oneclient, Interface::Graphsync].into_iter().find(|i| i.name() == name)
    }
}

impl Network {
    /// Whether `address` lies in this network. An IPv6 address does where it stands for an IPv4 one.
    pub fn contains(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address.to_canonical() else { return false };
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
        (address.to_bits() ^ self.address.to_bits()) & mask == 0
    }

    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let prefix = decimal(prefix).filter(|prefix| *prefix <= 32)?;
        Some(Network { address: address.parse().ok()?, prefix })
    }

    /// An address alone means itself.
    fn parse_lenient(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(address) => Some(Network { address, prefix: 32 }),
            Err(_) => Network::parse(text),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn known(text: &str) -> Option<Caveat> {
    match text {
        "data.readonly" => return Some(Caveat::DataReadonly),
        "authorization = none" => return Some(Caveat::IdentityScope),
        _ => {}
    }
    let (key, rest) = text.split_once(' ')?;
    let (sign, value) = rest.split_once(' ')?;
    let list = || value.split('|').map(str::to_owned).collect();
    Some(match (key, sign) {
        ("time", "<") => Caveat::Time { valid_until: decimal(value)? },
        ("geo.country", sign) => Caveat::GeoCountry(Filter::signed(sign)?, list()),
        ("geo.region", sign) => Caveat::GeoRegion(Filter::signed(sign)?, list()),
        ("ip", "=") => Caveat::Ip(value.split('|').map(Network::parse).collect::<Option<_>>()?),
        ("asn", "=") => Caveat::Asn(value.split('|').map(decimal).collect::<Option<_>>()?),
        ("service", "=") => Caveat::Service(list()),
        ("consumer", "=") => Caveat::Consumer(list()),
        ("interface", "=") => Caveat::Interface(Interface::named(value)?),
        ("api", "=") => Caveat::Api(list()),
        ("data.path", "=") => Caveat::DataPath(list()),
        ("data.objectid", "=") => Caveat::DataObjectid(list()),
        _ => return None,
    })
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn join(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("|")
}

/// `usr-<id>`: one of the codes, a dash, and an id or `*`.
fn is_prefixed(text: &str, codes: &[&str]) -> bool {
    is_plain(text) && text.split_once('-').is_some_and(|(code, id)| codes.contains(&code) && !id.is_empty())
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains('|') && !text.chars().any(char::is_control)
}
