//! Onezone's deprecated operations, read from `deprecated-operations.json`, which is part of the program. The file does not
//! say how the newer API serves them; the kinds of operation that it names do.

use http::Method;
use serde::Deserialize;

use super::{ClientTokens, Entity, Family, Invite, Operation, Resource, Successor};

/// How the file writes the id of the user who calls.
const CALLER: &str = "<caller id>";

/// Onezone's 21 deprecated operations, in the order of the file.
pub fn builtin() -> Vec<Operation> {
    let file: File = serde_json::from_str(include_str!("deprecated-operations.json"))
        .expect("this cannot fail because the file is compiled in and a test reads it");
    let base = file.base_path;
    file.operations.into_iter().map(|row| row.into_operation(&base)).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    base_path: String,
    operations: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    operation_id: String,
    method: String,
    path: String,
    kind: String,
    invite_type: Option<String>,
    target_json_key: Option<String>,
    token_name_prefix: Option<String>,
    gri: Option<Gri>,
    legacy_success_status: u16,
    successors: Vec<SuccessorRow>,
}

#[derive(Deserialize)]
struct Gri {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    aspect: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SuccessorRow {
    operation_id: String,
    method: String,
    path: String,
    note: Option<String>,
}

impl Row {
    fn into_operation(self, base: &str) -> Operation {
        Operation {
            method: method(&self.method),
            template: format!("{base}{}", self.path),
            base: base.to_owned(),
            resource: self.gri.as_ref().map(Gri::resource),
            invite: self.invite(),
            rewrite: self.rewrite(),
            successors: self.successors.into_iter().map(|row| row.into_successor(base)).collect(),
            success: self.legacy_success_status,
            id: self.operation_id,
        }
    }

    /// What the ten invite-token routes and the two for the registration of Oneproviders create.
    fn invite(&self) -> Option<Invite> {
        let target = self.gri.as_ref()?.resource().entity;
        let collection = match self.kind.as_str() {
            "invite_token" => self.path.split('/').nth(1)?,
            "provider_registration_token" => "users",
            _ => return None,
        };
        Some(Invite {
            kind: self.invite_type.clone()?,
            target_key: self.target_json_key.clone()?,
            target,
            collection: collection.to_owned(),
            name_prefix: self.token_name_prefix.clone()?,
            // A cluster is called by the name of its Oneprovider, which has the same id (contract, section 7.2).
            named_in: if collection == "clusters" { "providers" } else { collection }.to_owned(),
            name_key: if collection == "users" { "fullName" } else { "name" }.to_owned(),
        })
    }

    fn rewrite(&self) -> Option<Family> {
        match (self.kind.as_str(), self.method.as_str()) {
            ("invite_token" | "provider_registration_token", _) => Some(Family::Invite),
            ("client_token", "POST") => Some(Family::ClientTokens(ClientTokens::Create)),
            ("client_token", "GET") => Some(Family::ClientTokens(ClientTokens::List)),
            ("client_token", "DELETE") => Some(Family::ClientTokens(ClientTokens::Remove)),
            _ => None,
        }
    }
}

impl Gri {
    fn resource(&self) -> Resource {
        let (aspect, parameter) = match self.aspect.split_once(',') {
            Some((aspect, parameter)) => (aspect, Some(parameter)),
            None => (self.aspect.as_str(), None),
        };
        let parameter = parameter.map(|text| text.trim_matches(['{', '}']).to_owned());
        let entity = if self.id == CALLER { Entity::Caller } else { Entity::InPath };
        Resource { kind: self.kind.clone(), entity, aspect: aspect.to_owned(), parameter }
    }
}

impl SuccessorRow {
    fn into_successor(self, base: &str) -> Successor {
        Successor {
            operation: Some(self.operation_id),
            method: Some(method(&self.method)),
            path: format!("{base}{}", self.path),
            note: self.note,
        }
    }
}

fn method(text: &str) -> Method {
    text.parse().expect("this cannot fail because the file is compiled in and a test reads it")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::operation::Mode;

    fn facts() -> Value {
        serde_json::from_str(include_str!("deprecated-operations.json")).unwrap()
    }

    #[test]
    fn every_row_is_a_fact_of_the_file_and_in_its_order() {
        let facts = facts();
        let rows = facts["operations"].as_array().unwrap();
        let operations = builtin();
        assert_eq!(operations.len(), rows.len());
        assert_eq!(operations.len() as u64, facts["count"]);
        for (operation, row) in operations.iter().zip(rows) {
            assert_eq!(operation.id, row["operationId"]);
            assert_eq!(operation.method, row["method"].as_str().unwrap());
            assert_eq!(operation.template, row["fullPath"]);
            assert_eq!(operation.base, "/api/v3/onezone");
            assert_eq!(u64::from(operation.success), row["legacySuccessStatus"]);
            let successors = row["successors"].as_array().unwrap();
            assert_eq!(operation.successors.len(), successors.len(), "{}", operation.id);
            for (successor, row) in operation.successors.iter().zip(successors) {
                assert_eq!(successor.operation.as_deref(), row["operationId"].as_str());
                assert_eq!(successor.method.as_ref().map(Method::as_str), row["method"].as_str());
                assert_eq!(successor.path, format!("/api/v3/onezone{}", row["path"].as_str().unwrap()));
                assert_eq!(successor.note.as_deref(), row["note"].as_str());
            }
        }
    }

    #[test]
    fn twelve_operations_make_invite_tokens() {
        let facts = facts();
        let rows = facts["operations"].as_array().unwrap();
        let mut invitations = 0;
        for (operation, row) in builtin().iter().zip(rows) {
            let makes_one = row["kind"] == "invite_token" || row["kind"] == "provider_registration_token";
            assert_eq!(operation.invite.is_some(), makes_one, "{}", operation.id);
            let Some(invite) = &operation.invite else { continue };
            invitations += 1;
            assert_eq!(invite.kind, row["inviteType"]);
            assert_eq!(invite.target_key, row["targetJsonKey"]);
            assert_eq!(invite.name_prefix, row["tokenNamePrefix"]);
            let path = &operation.template[operation.base.len()..];
            match invite.target {
                Entity::InPath => assert!(path.starts_with(&format!("/{}/{{id}}/", invite.collection))),
                Entity::Caller => assert!(row["targetId"] == "caller" && path.starts_with("/user/")),
            }
            let named_in = if path.starts_with("/clusters") { "providers" } else { &invite.collection };
            assert_eq!(invite.named_in, named_in);
            let is_user = row["tokenNameSubject"].as_str().is_some_and(|text| text.starts_with("fullName"));
            assert_eq!(invite.name_key, if is_user { "fullName" } else { "name" });
        }
        assert_eq!(invitations, 12);
    }

    #[test]
    fn every_resource_is_that_of_the_file() {
        let facts = facts();
        let rows = facts["operations"].as_array().unwrap();
        for (operation, row) in builtin().iter().zip(rows) {
            let Some(resource) = &operation.resource else {
                assert!(row["gri"].is_null() && operation.rewrite.is_none(), "{}", operation.id);
                continue;
            };
            let id = if resource.entity == Entity::Caller { CALLER } else { "{id}" };
            let parameter =
                resource.parameter.as_ref().map(|name| format!(",{{{name}}}")).unwrap_or_default();
            let entry = format!("{}.{id}.{}{parameter}:private", resource.kind, resource.aspect);
            let entries = row["gri"]["apiCaveatEntry"].as_str().unwrap();
            assert!(entries.ends_with(&entry), "{entries} {entry}");
        }
    }

    #[test]
    fn what_has_a_newer_form_is_rewritten_and_the_rest_is_not() {
        let operations = builtin();
        let rewritten: Vec<_> = operations.iter().filter(|operation| operation.rewrite.is_some()).collect();
        assert_eq!(rewritten.len(), 15);
        assert_eq!(rewritten.iter().filter(|operation| operation.rewrite.unwrap().creates()).count(), 13);
        for operation in operations.iter().filter(|operation| operation.rewrite.is_none()) {
            assert!(["alias", "space", "provider"].iter().any(|word| operation.id.contains(word)));
        }
    }

    #[test]
    fn a_cost_reads_as_it_is() {
        let operations = builtin();
        let cost = |id: &str, mode| {
            operations.iter().find(|operation| operation.id == id).unwrap().cost(mode).to_string()
        };
        assert_eq!(cost("create_user_group_invite_token", Mode::Rewrite), "1, at most 4");
        assert_eq!(cost("create_user_group_invite_token", Mode::Observe), "1");
        assert_eq!(cost("create_user_group_invite_token", Mode::Gone), "0");
        assert_eq!(cost("list_client_tokens", Mode::Rewrite), "1 + 1 a token, at most 2 + 2 a token");
    }
}
