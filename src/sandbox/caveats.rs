//! Which caveats of a token hold where it is presented, judged the way Onezone does it: only the kinds that the type of
//! token supports can hold at all. And what Onezone says of one that does not (contract, section 6).

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::kinds::Kind;
use super::store::Store;
use crate::token::{Caveat, Filter, Interface, Subject, Token, Type};

/// Where and by whom a token is presented.
#[derive(Clone, Debug)]
pub struct Setting {
    pub now: i64,
    pub peer: Option<IpAddr>,
    pub interface: Option<Interface>,
    /// `ozw-onezone`, or the service that proved itself.
    pub service: String,
    pub consumer: Option<Subject>,
    /// Whether caveats about data are let pass.
    pub data_access: bool,
    /// Whether an access token stands in for an identity token, as old Oneproviders do it.
    pub as_identity: bool,
}

/// The service that a token is for when none proves itself.
pub const ONEZONE: &str = "ozw-onezone";

/// The first caveat of the token that does not hold.
pub fn first_unverified<'t>(store: &Store, token: &'t Token, setting: &Setting) -> Option<&'t Caveat> {
    let kind = if setting.as_identity { &Type::Identity } else { &token.id.kind };
    token.caveats.iter().find(|caveat| !(supported(kind, caveat) && holds(store, caveat, setting)))
}

fn supported(kind: &Type, caveat: &Caveat) -> bool {
    match caveat {
        Caveat::Time { .. }
        | Caveat::Ip(_)
        | Caveat::Asn(_)
        | Caveat::GeoCountry(..)
        | Caveat::GeoRegion(..)
        | Caveat::Consumer(_) => true,
        Caveat::Interface(_) => !matches!(kind, Type::Invite { .. }),
        Caveat::Service(_)
        | Caveat::Api(_)
        | Caveat::DataReadonly
        | Caveat::DataPath(_)
        | Caveat::DataObjectid(_) => matches!(kind, Type::Access { .. }),
        Caveat::IdentityScope => *kind == Type::Identity,
        Caveat::Unknown(_) => false,
    }
}

fn holds(store: &Store, caveat: &Caveat, setting: &Setting) -> bool {
    match caveat {
        Caveat::Time { valid_until } => setting.now < *valid_until,
        Caveat::Ip(list) => {
            setting.peer.is_some_and(|peer| list.iter().any(|network| network.contains(peer)))
        }
        Caveat::Interface(interface) => setting.interface == Some(*interface),
        Caveat::Service(list) => list.iter().any(|entry| is_or_covers(entry, &setting.service)),
        Caveat::Consumer(list) => setting
            .consumer
            .as_ref()
            .is_some_and(|one| list.iter().any(|entry| consumer_is(store, entry, one))),
        // Judged later, against the resource.
        Caveat::Api(_) => true,
        Caveat::DataReadonly | Caveat::DataPath(_) | Caveat::DataObjectid(_) => setting.data_access,
        // The sandbox has no map of the world, and Onezone refuses what it cannot look up.
        Caveat::Asn(_) | Caveat::GeoCountry(..) | Caveat::GeoRegion(..) => false,
        Caveat::IdentityScope => setting.as_identity,
        Caveat::Unknown(_) => false,
    }
}

fn is_or_covers(entry: &str, value: &str) -> bool {
    entry == value
        || entry
            .strip_suffix("-*")
            .is_some_and(|kind| value.strip_prefix(kind).is_some_and(|v| v.starts_with('-')))
}

fn consumer_is(store: &Store, entry: &str, consumer: &Subject) -> bool {
    match (entry.strip_prefix("grp-"), consumer) {
        (Some("*"), Subject::User(user)) => {
            store.all(Kind::Group).keys().any(|group| store.is_member(Kind::Group, group, user))
        }
        (Some(group), Subject::User(user)) => store.is_member(Kind::Group, group, user),
        (Some(_), Subject::Provider(_)) => false,
        (None, consumer) => is_or_covers(entry, &consumer.to_string()),
    }
}

/// What Onezone says of a caveat that does not hold.
pub fn unverified(caveat: &Caveat) -> String {
    let from = "this token can only be used from an IP address that";
    match caveat {
        Caveat::Time { valid_until } => {
            format!("unverified time caveat: this token has expired at '{}'", iso(*valid_until))
        }
        Caveat::Ip(list) => format!("unverified IP caveat: {from} matches: '{}'", either(list)),
        Caveat::Asn(list) => format!(
            "unverified ASN caveat: {from} maps to the following Autonomous System Number: '{}'",
            either(list)
        ),
        Caveat::GeoCountry(filter, list) => {
            format!(
                "unverified country caveat: {from} {} the following country: '{}'",
                comes(*filter),
                either(list)
            )
        }
        Caveat::GeoRegion(filter, list) => {
            format!(
                "unverified region caveat: {from} {} the following region: '{}'",
                comes(*filter),
                either(list)
            )
        }
        Caveat::IdentityScope => {
            "this token carries no authorization (can be used only for identity verification)".to_owned()
        }
        Caveat::Service(list) => format!(
            "unverified service caveat: the service using this token must authenticate as '{}' (use the \
             x-onedata-service-token header), or the requested API operation is disallowed for the whitelisted \
             services",
            either(&list.iter().map(|entry| spelled_out(entry)).collect::<Vec<_>>())
        ),
        Caveat::Consumer(list) => format!(
            "unverified consumer caveat: the consumer of this token must authenticate as '{}' - if that's you, you \
             should:\n   * send your access token in 'x-auth-token' header if consuming an invite token\n   * send \
             your identity token in 'x-onedata-consumer-token' header if performing an operation on behalf of \
             somebody else with their access token\n   * send your identity token in 'consumerToken' field if using \
             token verification API",
            either(&list.iter().map(|entry| spelled_out(entry)).collect::<Vec<_>>())
        ),
        Caveat::Interface(interface) => format!(
            "unverified interface caveat: this token can only be used in the '{}' interface",
            interface.name()
        ),
        Caveat::Api(list) => format!(
            "unverified API caveat: this token can only be used for API calls that match the following spec: '{}'",
            either(list)
        ),
        Caveat::DataReadonly => {
            "unverified data access caveat: this token allows for readonly data access".to_owned()
        }
        Caveat::DataPath(list) => format!(
            "unverified data path caveat: this token can only be used to access data under the following paths (and \
             nested directories): '{}'",
            either(&list.iter().map(|path| decoded(path)).collect::<Vec<_>>())
        ),
        Caveat::DataObjectid(list) => format!(
            "unverified data path caveat: this token can only be used to access data with the following FILE_ID \
             (and nested directories): '{}'",
            either(list)
        ),
        Caveat::Unknown(_) => caveat.to_string(),
    }
}

fn either(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

fn comes(filter: Filter) -> &'static str {
    match filter {
        Filter::Whitelist => "comes from",
        Filter::Blacklist => "does NOT come from",
    }
}

/// `usr-<id>` as `user:<id>`, `opw-<id>` as `op_worker:<id>`.
pub fn spelled_out(entry: &str) -> String {
    let Some((code, id)) = entry.split_once('-') else { return entry.to_owned() };
    let word = match code {
        "usr" => "user",
        "grp" => "group",
        "prv" => "oneprovider",
        "ozw" => "oz_worker",
        "ozp" => "oz_panel",
        "opw" => "op_worker",
        "opp" => "op_panel",
        other => other,
    };
    format!("{word}:{id}")
}

fn decoded(path: &str) -> String {
    STANDARD
        .decode(path)
        .map_or_else(|_| path.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn iso(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_token_says_when() {
        let caveat = Caveat::Time { valid_until: 1_729_498_429 };
        assert_eq!(
            unverified(&caveat),
            "unverified time caveat: this token has expired at '2024-10-21T08:13:49Z'"
        );
    }

    #[test]
    fn a_whitelisted_service_may_be_any_of_its_kind() {
        assert!(is_or_covers("ozw-*", "ozw-onezone"));
        assert!(is_or_covers("ozw-onezone", ONEZONE));
        assert!(!is_or_covers("opw-*", "ozw-onezone"));
        assert!(!is_or_covers("ozw-other", "ozw-onezone"));
    }
}
