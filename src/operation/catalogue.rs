//! Onezone's deprecated operations, read from `deprecated-operations.json`, which is part of the program. Which of
//! them can be served by the newer API so far is the one fact that the file does not hold.

use http::Method;
use serde::Deserialize;

use super::{Family, Invite, Operation, Successor};

/// The operations that have a rewrite, and its family.
const REWRITES: &[(&str, Family)] = &[("create_user_group_invite_token", Family::Invite)];

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
        let invite = self.invite();
        let rewrite = REWRITES.iter().find(|(id, _)| *id == self.operation_id).map(|(_, family)| *family);
        Operation {
            method: method(&self.method),
            template: format!("{base}{}", self.path),
            base: base.to_owned(),
            successors: self.successors.into_iter().map(|row| row.into_successor(base)).collect(),
            success: self.legacy_success_status,
            invite,
            rewrite,
            id: self.operation_id,
        }
    }

    /// What the ten invite-token routes create; the other kinds that make tokens are of no collection.
    fn invite(&self) -> Option<Invite> {
        if self.kind != "invite_token" {
            return None;
        }
        let gri = self.gri.as_ref()?;
        Some(Invite {
            kind: self.invite_type.clone()?,
            target_key: self.target_json_key.clone()?,
            name_prefix: self.token_name_prefix.clone()?,
            collection: self.path.split('/').nth(1)?.to_owned(),
            gri_type: gri.kind.clone(),
            gri_aspect: gri.aspect.clone(),
        })
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
    fn the_ten_invite_token_routes_and_no_others_make_invitations() {
        let facts = facts();
        let rows = facts["operations"].as_array().unwrap();
        let mut invitations = 0;
        for (operation, row) in builtin().iter().zip(rows) {
            assert_eq!(operation.invite.is_some(), row["kind"] == "invite_token", "{}", operation.id);
            let Some(invite) = &operation.invite else { continue };
            invitations += 1;
            assert_eq!(invite.kind, row["inviteType"]);
            assert_eq!(invite.target_key, row["targetJsonKey"]);
            assert_eq!(invite.name_prefix, row["tokenNamePrefix"]);
            assert_eq!(invite.gri_type, row["gri"]["type"]);
            assert_eq!(invite.gri_aspect, row["gri"]["aspect"]);
            assert!(
                operation.template.starts_with(&format!("{}/{}/{{id}}/", operation.base, invite.collection))
            );
        }
        assert_eq!(invitations, 10);
    }

    #[test]
    fn every_rewrite_belongs_to_an_operation_of_the_file() {
        let operations = builtin();
        for (id, family) in REWRITES {
            let operation = operations.iter().find(|operation| operation.id == *id).unwrap();
            assert_eq!(operation.rewrite, Some(*family));
        }
        assert_eq!(operations.iter().filter(|operation| operation.rewrite.is_some()).count(), REWRITES.len());
    }
}
