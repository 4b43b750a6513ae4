//! Onezone's errors, word for word (contract, section 6). The sandbox stands in for another program, so these are its
//! own texts and not `reply`'s: the differential test compares the two.

use serde_json::{Value, json};

use crate::token::{Caveat, Type};

/// One error as Onezone reports it: the status it has as the outer error, and its JSON object.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The HTTP status when this is the outer error.
    pub status: u16,
    /// `{"id", "description", "details"?}`.
    pub body: Value,
}

impl Fault {
    /// The document that carries the error.
    pub fn document(self) -> Value {
        json!({ "error": self.body })
    }

    fn new(status: u16, id: &str, description: impl Into<String>) -> Self {
        Fault { status, body: json!({ "id": id, "description": description.into() }) }
    }

    fn with(mut self, details: Value) -> Self {
        self.body["details"] = details;
        self
    }
}

pub fn unauthorized() -> Fault {
    Fault::new(401, "unauthorized", "You must authenticate yourself to perform this operation.")
}

/// Credentials were presented and are not valid; `inner` says why.
pub fn bad_authentication(inner: Fault) -> Fault {
    Fault::new(401, "unauthorized", "Provided authentication is not valid (see details).")
        .with(json!({ "authError": inner.body }))
}

pub fn forbidden() -> Fault {
    Fault::new(403, "forbidden", "You are not authorized to perform this operation.")
}

pub fn not_found() -> Fault {
    Fault::new(404, "notFound", "The resource could not be found.")
}

pub fn not_supported() -> Fault {
    Fault::new(400, "notSupported", "This operation is not supported.")
}

pub fn service_unavailable() -> Fault {
    Fault::new(503, "serviceUnavailable", "Service required for this operation is offline.")
}

pub fn malformed_data() -> Fault {
    Fault::new(400, "malformedData", "Provided data could not be understood by the server.")
}

pub fn missing_required(key: &str) -> Fault {
    keyed("missingRequiredValue", key, format!("Missing required value: {key}."))
}

/// The keys are printed the way Erlang prints a list of binaries.
pub fn missing_at_least_one(keys: &[&str]) -> Fault {
    let printed: Vec<String> = keys.iter().map(|key| format!("<<\"{key}\">>")).collect();
    let text = format!("Missing data, you must provide at least one of: [{}].", printed.join(","));
    Fault::new(400, "missingAtLeastOneValue", text).with(json!({ "keys": keys }))
}

pub fn bad_data(key: &str) -> Fault {
    let what = "has an invalid format or is incomprehensible in the context of this operation";
    keyed("badData", key, format!("Bad value: provided \"{key}\" {what}."))
}

pub fn empty_value(key: &str) -> Fault {
    must(key, "badValueEmpty", "not be empty")
}

pub fn not_a_string(key: &str) -> Fault {
    must(key, "badValueString", "be a string")
}

pub fn not_strings(key: &str) -> Fault {
    must(key, "badValueListOfStrings", "be a list of strings")
}

pub fn not_an_integer(key: &str) -> Fault {
    must(key, "badValueInteger", "be an integer")
}

pub fn not_a_boolean(key: &str) -> Fault {
    must(key, "badValueBoolean", "be a boolean")
}

pub fn not_json(key: &str) -> Fault {
    must(key, "badValueJSON", "be a valid JSON")
}

pub fn too_low(key: &str, limit: u64) -> Fault {
    Fault::new(400, "badValueTooLow", format!("Bad value: provided \"{key}\" must be at least {limit}."))
        .with(json!({ "key": key, "limit": limit }))
}

pub fn value_not_allowed(key: &str, allowed: &[&str]) -> Fault {
    let text = format!("Bad value: provided \"{key}\" must be one of: {}.", allowed.join(", "));
    Fault::new(400, "badValueNotAllowed", text).with(json!({ "key": key, "allowed": allowed }))
}

pub fn list_not_allowed(key: &str, allowed: &[&str]) -> Fault {
    let text = format!(
        "Bad value: provided \"{key}\" must be a list containing zero or more following values: {}.",
        allowed.join(", ")
    );
    Fault::new(400, "badValueListNotAllowed", text).with(json!({ "key": key, "allowed": allowed }))
}

pub fn id_not_found(key: &str) -> Fault {
    keyed("badValueIdNotFound", key, format!("Bad value: provided ID (\"{key}\") does not exist."))
}

pub fn identifier_occupied(key: &str) -> Fault {
    let text = format!("Bad value: provided identifier (\"{key}\") is already occupied.");
    keyed("badValueIdentifierOccupied", key, text)
}

pub fn bad_name() -> Fault {
    Fault::new(
        400,
        "badValueName",
        "Bad value: Name must be 2-128 characters long and composed only of UTF-8 letters, digits, brackets and \
         underscores. Dashes, spaces and dots are allowed (but not at the beginning or the end).",
    )
}

pub fn not_an_ipv4_address(key: &str) -> Fault {
    keyed("badValueIPv4Address", key, format!("Bad value: provided \"{key}\" is not a valid IPv4 address."))
}

pub fn bad_token_value(key: &str, inner: Fault) -> Fault {
    Fault::new(
        400,
        "badValueToken",
        format!("Bad value: provided \"{key}\" is not a valid token (see details)."),
    )
    .with(json!({ "key": key, "tokenError": inner.body }))
}

pub fn bad_token_type(key: &str) -> Fault {
    keyed("badValueTokenType", key, format!("Bad value: provided \"{key}\" is not a valid token type."))
}

pub fn bad_invite_type(key: &str) -> Fault {
    keyed("badValueInviteType", key, format!("Bad value: provided \"{key}\" is not a valid invite type."))
}

pub fn bad_caveat(caveat: &Value) -> Fault {
    Fault::new(400, "badValueCaveat", format!("Provided caveat is invalid: '{caveat}'."))
        .with(json!({ "caveat": caveat }))
}

pub fn bad_token() -> Fault {
    Fault::new(400, "badToken", "Provided token could not be understood by the server.")
}

pub fn token_too_large(limit: usize) -> Fault {
    Fault::new(400, "tokenTooLarge", format!("Provided token exceeds the allowed size ({limit} characters)."))
        .with(json!({ "limit": limit }))
}

pub fn token_invalid() -> Fault {
    Fault::new(400, "tokenInvalid", "Provided token is not valid.")
}

pub fn token_revoked() -> Fault {
    Fault::new(400, "tokenRevoked", "Provided token has been revoked.")
}

pub fn token_subject_invalid() -> Fault {
    Fault::new(
        400,
        "tokenSubjectInvalid",
        "The token subject is invalid (does not exist or is different than expected).",
    )
}

pub fn token_session_invalid() -> Fault {
    Fault::new(
        400,
        "tokenSessionInvalid",
        "This token is bound to a session different than presented by the client or no longer existent.",
    )
}

/// `service` as caveats write it: `opw-<id>`.
pub fn token_service_forbidden(service: &str) -> Fault {
    let spelled = super::caveats::spelled_out(service);
    let (kind, id) = spelled.split_once(':').unwrap_or((&spelled, ""));
    Fault::new(400, "tokenServiceForbidden", format!("The service {spelled} is forbidden for this subject."))
        .with(json!({ "service": { "type": kind, "id": id } }))
}

pub fn time_caveat_required(max_ttl: i64) -> Fault {
    let text = format!("You must specify a time caveat with maximum TTL of {max_ttl} seconds.");
    Fault::new(400, "tokenTimeCaveatRequired", text).with(json!({ "maxTtl": max_ttl }))
}

pub fn caveat_unverified(caveat: &Caveat) -> Fault {
    let text = format!("Provided token is not valid - {}.", super::caveats::unverified(caveat));
    Fault::new(400, "tokenCaveatUnverified", text).with(json!({ "caveat": caveat.to_json() }))
}

pub fn caveat_unknown(text: &str) -> Fault {
    Fault::new(400, "tokenCaveatUnknown", format!("Unknown caveat - '{text}'."))
        .with(json!({ "caveat": text }))
}

pub fn not_an_access_token(received: &Type) -> Fault {
    let text =
        format!("Expected an access token, but received a(n) {}.", super::wording::printable(received));
    Fault::new(400, "notAnAccessToken", text).with(json!({ "received": received.to_json() }))
}

pub fn not_an_identity_token(received: &Type) -> Fault {
    let text =
        format!("Expected an identity token, but received a(n) {}.", super::wording::printable(received));
    Fault::new(400, "notAnIdentityToken", text).with(json!({ "received": received.to_json() }))
}

/// `expected` in camel case, or `any`.
pub fn not_an_invite_token(expected: &str, received: &Type) -> Fault {
    let text = format!(
        "Expected an invitation token of type '{}', but received a(n) {}.",
        super::wording::snake_case(expected),
        super::wording::printable(received)
    );
    Fault::new(400, "notAnInviteToken", text)
        .with(json!({ "expectedInviteType": expected, "received": received.to_json() }))
}

pub fn bad_service_token(inner: Fault) -> Fault {
    Fault::new(400, "badServiceToken", "Provided service token is not valid (see details).")
        .with(json!({ "tokenError": inner.body }))
}

pub fn bad_consumer_token(inner: Fault) -> Fault {
    Fault::new(400, "badConsumerToken", "Provided consumer token is not valid (see details).")
        .with(json!({ "tokenError": inner.body }))
}

pub fn invite_not_authorized() -> Fault {
    Fault::new(
        400,
        "inviteTokenSubjectNotAuthorized",
        "The subject of this token is not (or no longer) authorized to issue such invitations.",
    )
}

pub fn invite_target_invalid(id: &str) -> Fault {
    let text = format!("The target id '{id}' is invalid for this type of invite token.");
    Fault::new(400, "inviteTokenTargetIdInvalid", text).with(json!({ "id": id }))
}

pub fn invite_usage_limit() -> Fault {
    Fault::new(400, "inviteTokenUsageLimitReached", "The usage limit of this invite token has been reached.")
}

pub fn relation_exists(child: (&str, &str), parent: (&str, &str)) -> Fault {
    let text =
        format!("Bad value: {}:{} is already a member of {}:{}.", child.0, child.1, parent.0, parent.1);
    Fault::new(409, "relationAlreadyExists", text).with(json!({
        "childType": child.0, "childId": child.1, "parentType": parent.0, "parentId": parent.1,
    }))
}

/// Its details spell the types as the records of the database are called.
pub fn no_relation(child: (&str, &str), parent: (&str, &str)) -> Fault {
    let text = format!("Bad value: {}:{} is not a member of {}:{}.", child.0, child.1, parent.0, parent.1);
    Fault::new(400, "relationDoesNotExist", text).with(json!({
        "childType": format!("od_{}", child.0), "childId": child.1,
        "parentType": format!("od_{}", parent.0), "parentId": parent.1,
    }))
}

pub fn relation_to_self() -> Fault {
    Fault::new(400, "cannotAddRelationToSelf", "Cannot add relation to self.")
}

pub fn user_blocked() -> Fault {
    Fault::new(
        400,
        "userBlocked",
        "This user account has been blocked by the administrator and cannot be used unless it is unblocked \
         again.",
    )
}

pub fn bad_basic_credentials() -> Fault {
    Fault::new(400, "badBasicCredentials", "Invalid username or password.")
}

pub fn basic_auth_disabled() -> Fault {
    Fault::new(400, "basicAuthDisabled", "Basic auth is disabled for this user.")
}

fn keyed(id: &str, key: &str, description: String) -> Fault {
    Fault::new(400, id, description).with(json!({ "key": key }))
}

fn must(key: &str, id: &str, what: &str) -> Fault {
    keyed(id, key, format!("Bad value: provided \"{key}\" must {what}."))
}
