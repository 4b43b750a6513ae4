//! Directions for the caller of an operation that has ended: the dates, and the calls that replace this one, with the
//! caller's own ids filled in.

use http::Method;
use serde_json::{Map, Value, json};

use super::Entry;
use super::link::Target;
use crate::operation::{Invite, Successor};
use crate::route::Call;

/// The `details` of an answer that sends a caller elsewhere. Dates are RFC 3339. A path's parameter for which the
/// call has no id stays as the template has it.
pub fn directions(entry: &Entry, call: &Call) -> Value {
    let mut details = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            details.insert(key.to_owned(), value);
        }
    };
    set("operation", Some(json!(entry.operation.id)));
    set("deprecatedAt", Some(json!(entry.schedule.deprecated().to_string())));
    set("sunsetAt", entry.schedule.sunset().map(|moment| json!(moment.to_string())));
    set("documentation", entry.documentation.as_ref().map(|address| json!(address)));
    set("sunsetPolicy", entry.sunset_policy.as_ref().map(|address| json!(address)));
    let successors = entry.operation.successors.iter().zip(&entry.targets);
    let invite = entry.operation.invite.as_ref();
    set("successors", Some(successors.map(|(row, target)| successor(row, target, invite, call)).collect()));
    Value::Object(details)
}

fn successor(row: &Successor, target: &Target, invite: Option<&Invite>, call: &Call) -> Value {
    let mut direction = json!({ "path": target.readable_path(call) });
    if let Some(operation) = &row.operation {
        direction["operationId"] = json!(operation);
    }
    if let Some(method) = &row.method {
        direction["method"] = json!(method.as_str());
    }
    if let Some(note) = &row.note {
        direction["note"] = json!(note);
    }
    if let Some(body) = invite.and_then(|invite| body(row, invite, call)) {
        direction["body"] = body;
    }
    direction
}

/// The body that makes a named token with what the old route gave: one use and, because it does not mention
/// privileges, the default ones. A temporary token can have neither the one nor a name, so it gets no ready body.
fn body(row: &Successor, invite: &Invite, call: &Call) -> Option<Value> {
    if row.method != Some(Method::POST) || !row.path.ends_with("/tokens/named") {
        return None;
    }
    let id = call.id("id")?;
    let mut invitation = json!({ "inviteType": invite.kind });
    invitation[&invite.target_key] = json!(id);
    Some(json!({ "name": name(invite, id), "type": { "inviteToken": invitation }, "usageLimit": 1 }))
}

/// A token name that Onezone takes (contract, section 7.3), the target in it where its id allows.
fn name(invite: &Invite, id: &str) -> String {
    let plain = (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain { format!("{} - {id}", invite.name_prefix) } else { invite.name_prefix.clone() }
}
