//! The circumstances in which a token is presented, and which of its caveats they do not satisfy. Api caveats are judged
//! later and against a resource, by [`api`](super::api); caveats about data never hold on Onezone's REST API.

use std::net::IpAddr;

use super::{Caveat, Interface, Token};

/// Who presents a token, when, where from and where to. What is left out satisfies no caveat about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances<'a> {
    /// The present moment, in Unix seconds.
    pub now: i64,
    /// The address of the peer.
    pub peer: Option<IpAddr>,
    /// The interface that the token is used in.
    pub interface: Option<Interface>,
    /// The service that the token is used towards: `ozw-onezone`.
    pub service: Option<&'a str>,
    /// Everything that the bearer is, in the words of consumer caveats: `usr-<id>`, and `grp-<id>` for each group.
    pub consumers: &'a [String],
    /// Whether api caveats are taken as satisfied for now; otherwise they are unverified (invite tokens).
    pub api: bool,
}

impl Token {
    /// The first caveat, in their order, that the circumstances do not satisfy.
    pub fn unverified(&self, circumstances: &Circumstances<'_>) -> Option<&Caveat> {
        self.caveats.iter().find(|caveat| !circumstances.satisfy(caveat))
    }
}

impl Circumstances<'_> {
    fn satisfy(&self, caveat: &Caveat) -> bool {
        match caveat {
            Caveat::Time { valid_until } => self.now < *valid_until,
            Caveat::Ip(networks) => {
                self.peer.is_some_and(|peer| networks.iter().any(|network| network.contains(peer)))
            }
            Caveat::Interface(interface) => self.interface == Some(*interface),
            Caveat::Service(list) => {
                self.service.is_some_and(|service| list.iter().any(|e| names(e, service)))
            }
            Caveat::Consumer(list) => {
                list.iter().any(|entry| self.consumers.iter().any(|consumer| names(entry, consumer)))
            }
            Caveat::Api(_) => self.api,
            // Where an address lies, nobody here knows; the rest never holds, or cannot be judged.
            Caveat::Asn(_)
            | Caveat::GeoCountry(..)
            | Caveat::GeoRegion(..)
            | Caveat::IdentityScope
            | Caveat::DataReadonly
            | Caveat::DataPath(_)
            | Caveat::DataObjectid(_)
            | Caveat::Unknown(_) => false,
        }
    }
}

/// Whether an entry of a whitelist, `usr-<id>` or `usr-*`, names this one.
fn names(entry: &str, one: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(code) if code.ends_with('-') => one.starts_with(code),
        _ => entry == one,
    }
}
