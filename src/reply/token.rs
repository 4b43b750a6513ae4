//! Onezone's errors about tokens, word for word (contract, section 6). Most can stand alone, as a 400, or inside another
//! error that says where the token came from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::body::Body;
use crate::caller::confinement::{Carrier, Unmet};
use crate::token::{Caveat, Filter, InviteType, MAX_TEXT, Malformed, Subject, Type};

/// What is wrong with a token.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    id: &'static str,
    description: String,
    details: Option<Value>,
}

impl Fault {
    /// The error as an answer of its own: 400.
    pub fn reply(self) -> Response<Body> {
        super::onezone(StatusCode::BAD_REQUEST, self.id, &self.description, self.details)
    }

    /// The error as it stands inside another: `authError`, `tokenError`.
    pub fn nested(self) -> Value {
        super::nested(self.id, &self.description, self.details)
    }

    /// Onezone's 401 to credentials with this fault (step 10 of the contract's section 3).
    pub fn unauthorized(self) -> Response<Body> {
        super::unauthorized_because(self.nested())
    }

    /// Onezone's 401 to credentials that it does not take at all (step 3 of the contract's section 3, before anything is
    /// negotiated, hence without a content type).
    pub fn unauthenticated(self) -> Response<Body> {
        let mut response = self.unauthorized();
        response.headers_mut().remove(CONTENT_TYPE);
        response
    }

    fn new(id: &'static str, description: impl Into<String>) -> Self {
        Fault { id, description: description.into(), details: None }
    }

    fn with(self, details: Value) -> Self {
        Fault { details: Some(details), ..self }
    }
}

/// The text is no token.
pub fn malformed(malformed: Malformed) -> Fault {
    match malformed {
        Malformed::TooLarge => {
            let text = format!("Provided token exceeds the allowed size ({MAX_TEXT} characters).");
            Fault::new("tokenTooLarge", text).with(json!({ "limit": MAX_TEXT }))
        }
        Malformed::Text | Malformed::Packet | Malformed::Identifier => {
            Fault::new("badToken", "Provided token could not be understood by the server.")
        }
    }
}

/// It is not known, or its signature is wrong.
pub fn invalid() -> Fault {
    Fault::new("tokenInvalid", "Provided token is not valid.")
}

/// Its issuer has revoked it.
pub fn revoked() -> Fault {
    Fault::new("tokenRevoked", "Provided token has been revoked.")
}

/// Whose it is does not exist, or is somebody else than recorded.
pub fn subject_invalid() -> Fault {
    let text = "The token subject is invalid (does not exist or is different than expected).";
    Fault::new("tokenSubjectInvalid", text)
}

/// A caveat does not hold.
pub fn caveat_unverified(caveat: &Caveat) -> Fault {
    let text = format!("Provided token is not valid - {}.", unverified(caveat));
    Fault::new("tokenCaveatUnverified", text).with(json!({ "caveat": caveat.to_json() }))
}

/// A token of the request may not be used from where it is.
pub fn unmet(unmet: &Unmet) -> Fault {
    let fault = match &unmet.caveat {
        Some(caveat) => caveat_unverified(caveat),
        None => malformed(Malformed::Text),
    };
    match unmet.carrier {
        Carrier::Service => {
            let text = "Provided service token is not valid (see details).";
            Fault::new("badServiceToken", text).with(json!({ "tokenError": fault.nested() }))
        }
        Carrier::Consumer => bad_consumer_token(fault.nested()),
        Carrier::Access => fault,
    }
}

/// It is of another type than is expected here; `None`: any invitation is.
pub fn not_an_invite_token(expected: Option<InviteType>, received: &Type) -> Fault {
    let expected = expected.map_or("any", InviteType::name);
    let text = format!(
        "Expected an invitation token of type '{}', but received a(n) {}.",
        snake_case(expected),
        printable(received)
    );
    Fault::new("notAnInviteToken", text)
        .with(json!({ "expectedInviteType": expected, "received": received.to_json() }))
}

/// Who issued the invitation may do so no more.
pub fn issuer_not_authorized() -> Fault {
    let text = "The subject of this token is not (or no longer) authorized to issue such invitations.";
    Fault::new("inviteTokenSubjectNotAuthorized", text)
}

/// What it invites to does not exist.
pub fn target_invalid(id: &str) -> Fault {
    let text = format!("The target id '{id}' is invalid for this type of invite token.");
    Fault::new("inviteTokenTargetIdInvalid", text).with(json!({ "id": id }))
}

/// It is used up.
pub fn usage_limit_reached() -> Fault {
    Fault::new("inviteTokenUsageLimitReached", "The usage limit of this invite token has been reached.")
}

/// Somebody of this kind cannot use it.
pub fn consumer_invalid(consumer: &Subject) -> Fault {
    let consumer = consumer.to_json();
    let [kind, id] = ["type", "id"].map(|key| consumer[key].as_str().unwrap_or_default());
    let text = format!("The consumer '{kind}:{id}' is invalid for this type of invite token.");
    Fault::new("inviteTokenConsumerInvalid", text).with(json!({ "consumer": consumer }))
}

/// Its subject is a user who is blocked.
pub fn user_blocked() -> Fault {
    let text = "This user account has been blocked by the administrator and cannot be used unless it is unblocked \
                again.";
    Fault::new("userBlocked", text)
}

/// The token under `key` of a body has this fault.
pub fn bad_value(key: &str, fault: Fault) -> Fault {
    let text = format!("Bad value: provided \"{key}\" is not a valid token (see details).");
    Fault::new("badValueToken", text).with(json!({ "key": key, "tokenError": fault.nested() }))
}

/// The token that proves the consumer is refused for this error.
pub fn bad_consumer_token(error: Value) -> Fault {
    let text = "Provided consumer token is not valid (see details).";
    Fault::new("badConsumerToken", text).with(json!({ "tokenError": error }))
}

/// What a caveat asks for that does not hold.
fn unverified(caveat: &Caveat) -> String {
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
        Caveat::GeoCountry(filter, list) => format!(
            "unverified country caveat: {from} {} the following country: '{}'",
            comes(*filter),
            either(list)
        ),
        Caveat::GeoRegion(filter, list) => format!(
            "unverified region caveat: {from} {} the following region: '{}'",
            comes(*filter),
            either(list)
        ),
        Caveat::IdentityScope => {
            "this token carries no authorization (can be used only for identity verification)".to_owned()
        }
        Caveat::Service(list) => format!(
            "unverified service caveat: the service using this token must authenticate as '{}' (use the \
             x-onedata-service-token header), or the requested API operation is disallowed for the whitelisted \
             services",
            either(&spelled_out(list))
        ),
        Caveat::Consumer(list) => format!(
            "unverified consumer caveat: the consumer of this token must authenticate as '{}' - if that's you, you \
             should:\n   * send your access token in 'x-auth-token' header if consuming an invite token\n   * send \
             your identity token in 'x-onedata-consumer-token' header if performing an operation on behalf of \
             somebody else with their access token\n   * send your identity token in 'consumerToken' field if using \
             token verification API",
            either(&spelled_out(list))
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
        Caveat::Unknown(_) => format!("unknown caveat: '{caveat}'"),
    }
}

/// The type as error texts name it: `invite token for a user to join group "…"`.
fn printable(kind: &Type) -> String {
    match kind {
        Type::Access { session: None } => "access token".to_owned(),
        Type::Access { session: Some(session) } => format!("access token for session \"{session}\""),
        Type::Identity => "identity token".to_owned(),
        Type::Invite { kind, target, .. } => format!("invite token {} \"{target}\"", purpose(*kind)),
    }
}

fn purpose(kind: InviteType) -> &'static str {
    match kind {
        InviteType::UserJoinGroup => "for a user to join group",
        InviteType::GroupJoinGroup => "for a group to join group",
        InviteType::UserJoinSpace => "for a user to join space",
        InviteType::GroupJoinSpace => "for a group to join space",
        InviteType::SupportSpace => "to grant support for space",
        InviteType::HarvesterJoinSpace => "for a harvester to become a metadata sink for space",
        InviteType::RegisterOneprovider => "to register a Oneprovider for admin user",
        InviteType::UserJoinCluster => "for a user to join cluster",
        InviteType::GroupJoinCluster => "for a group to join cluster",
        InviteType::UserJoinHarvester => "for a user to join harvester",
        InviteType::GroupJoinHarvester => "for a group to join harvester",
        InviteType::SpaceJoinHarvester => "for a space to become a metadata source for harvester",
        InviteType::UserJoinAtmInventory => "for a user to join automation inventory",
        InviteType::GroupJoinAtmInventory => "for a group to join automation inventory",
    }
}

/// `userJoinGroup` as `user_join_group`.
fn snake_case(camel: &str) -> String {
    let parts = camel.chars().map(|letter| match letter {
        'A'..='Z' => format!("_{}", letter.to_ascii_lowercase()),
        _ => letter.to_string(),
    });
    parts.collect()
}

/// Each `usr-<id>` as `user:<id>`, `opw-<id>` as `op_worker:<id>`.
fn spelled_out(list: &[String]) -> Vec<String> {
    let spell = |entry: &String| match entry.split_once('-') {
        Some(("usr", id)) => format!("user:{id}"),
        Some(("grp", id)) => format!("group:{id}"),
        Some(("prv", id)) => format!("oneprovider:{id}"),
        Some(("ozw", id)) => format!("oz_worker:{id}"),
        Some(("ozp", id)) => format!("oz_panel:{id}"),
        Some(("opw", id)) => format!("op_worker:{id}"),
        Some(("opp", id)) => format!("op_panel:{id}"),
        _ => entry.clone(),
    };
    list.iter().map(spell).collect()
}

fn decoded(path: &str) -> String {
    let bytes = STANDARD.decode(path).ok();
    bytes.map_or_else(|| path.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
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

fn iso(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_token_says_when() {
        let fault = caveat_unverified(&Caveat::Time { valid_until: 1_729_498_429 });
        assert_eq!(
            fault.nested(),
            json!({
                "id": "tokenCaveatUnverified",
                "description": "Provided token is not valid - unverified time caveat: this token has expired at \
                                '2024-10-21T08:13:49Z'.",
                "details": { "caveat": { "type": "time", "validUntil": 1_729_498_429 } },
            })
        );
    }

    #[test]
    fn an_api_caveat_says_what_it_allows() {
        let caveat = Caveat::Api(vec!["ozw/get/a".to_owned(), "ozw/get/b".to_owned()]);
        assert_eq!(
            caveat_unverified(&caveat).nested()["description"],
            "Provided token is not valid - unverified API caveat: this token can only be used for API calls that match \
             the following spec: 'ozw/get/a or ozw/get/b'."
        );
    }

    #[test]
    fn a_token_of_another_type_is_named_in_words() {
        let received = Type::invite(InviteType::UserJoinSpace, "s");
        let fault = bad_value("token", not_an_invite_token(Some(InviteType::UserJoinGroup), &received));
        let error = fault.nested();
        assert_eq!(error["id"], "badValueToken");
        assert_eq!(
            error["details"]["tokenError"]["description"],
            "Expected an invitation token of type 'user_join_group', but received a(n) invite token for a user to \
             join space \"s\"."
        );
        let any = not_an_invite_token(None, &Type::ACCESS);
        assert_eq!(
            any.description,
            "Expected an invitation token of type 'any', but received a(n) access token."
        );
    }

    #[test]
    fn a_consumer_of_the_wrong_kind_is_named() {
        let fault = consumer_invalid(&Subject::Provider("p".to_owned()));
        assert_eq!(
            fault.description,
            "The consumer 'oneprovider:p' is invalid for this type of invite token."
        );
    }
}
