//! Onezone's errors about the values in a body (contract, section 6), and about what stands in the way of doing what
//! they ask for.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::onezone;
use crate::body::Body;

/// A key that must be there is not.
pub fn missing(key: &str) -> Response<Body> {
    keyed("missingRequiredValue", key, &format!("Missing required value: {key}."))
}

/// None of these keys is there. Erlang prints a list of binaries so.
pub fn missing_all(keys: &[&str]) -> Response<Body> {
    let printed: Vec<String> = keys.iter().map(|key| format!("<<\"{key}\">>")).collect();
    let text = format!("Missing data, you must provide at least one of: [{}].", printed.join(","));
    refused("missingAtLeastOneValue", &text, Some(json!({ "keys": keys })))
}

/// The text is empty.
pub fn empty(key: &str) -> Response<Body> {
    must(key, "badValueEmpty", "not be empty")
}

/// It is no string.
pub fn not_a_string(key: &str) -> Response<Body> {
    must(key, "badValueString", "be a string")
}

/// It is neither true nor false.
pub fn not_a_boolean(key: &str) -> Response<Body> {
    must(key, "badValueBoolean", "be a boolean")
}

/// It is no object.
pub fn not_json(key: &str) -> Response<Body> {
    must(key, "badValueJSON", "be a valid JSON")
}

/// It is no address.
pub fn not_an_ipv4_address(key: &str) -> Response<Body> {
    keyed("badValueIPv4Address", key, &format!("Bad value: provided \"{key}\" is not a valid IPv4 address."))
}

/// There is no such type of invitation.
pub fn no_invite_type(key: &str) -> Response<Body> {
    keyed("badValueInviteType", key, &format!("Bad value: provided \"{key}\" is not a valid invite type."))
}

/// It is no caveat.
pub fn no_caveat(caveat: &Value) -> Response<Body> {
    let text = format!("Provided caveat is invalid: '{caveat}'.");
    refused("badValueCaveat", &text, Some(json!({ "caveat": caveat })))
}

/// No token can have this name.
pub fn bad_name() -> Response<Body> {
    let text = "Bad value: Name must be 2-128 characters long and composed only of UTF-8 letters, digits, brackets and \
                underscores. Dashes, spaces and dots are allowed (but not at the beginning or the end).";
    refused("badValueName", text, None)
}

/// Another has it.
pub fn occupied(key: &str) -> Response<Body> {
    let text = format!("Bad value: provided identifier (\"{key}\") is already occupied.");
    keyed("badValueIdentifierOccupied", key, &text)
}

/// One of these is in the other already: 409.
pub fn already_related(child: (&str, &str), parent: (&str, &str)) -> Response<Body> {
    let text =
        format!("Bad value: {}:{} is already a member of {}:{}.", child.0, child.1, parent.0, parent.1);
    let details = json!({
        "childType": child.0, "childId": child.1, "parentType": parent.0, "parentId": parent.1,
    });
    onezone(StatusCode::CONFLICT, "relationAlreadyExists", &text, Some(details))
}

/// It may be different in a moment: 503.
pub fn temporary_failure() -> Response<Body> {
    let text = "Temporary failure - please try again later.";
    onezone(StatusCode::SERVICE_UNAVAILABLE, "temporaryFailure", text, None)
}

fn must(key: &str, id: &str, what: &str) -> Response<Body> {
    keyed(id, key, &format!("Bad value: provided \"{key}\" must {what}."))
}

fn keyed(id: &str, key: &str, text: &str) -> Response<Body> {
    refused(id, text, Some(json!({ "key": key })))
}

fn refused(id: &str, text: &str, details: Option<Value>) -> Response<Body> {
    onezone(StatusCode::BAD_REQUEST, id, text, details)
}
