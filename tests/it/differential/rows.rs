//! The operations, each with what its calls are about here and who makes them: the facts by which the chapters of
//! cases are written for any of them.

use std::sync::LazyLock;

use duskgate::operation::{self, Operation};
use duskgate::sandbox::{Fixture, Target};
use serde_json::json;

use super::credentials::DELETABLE;
use super::sent::{self, Sent};

/// What does not exist.
pub const MISSING: &str = "missing";

/// An operation.
pub struct Row {
    pub operation: Operation,
    /// By name, what its plain call is about.
    pub place: &'static str,
    /// Who may make that call, and who may not: a user or a Oneprovider.
    pub may: &'static str,
    pub may_not: &'static str,
}

/// In the order of the catalogue.
const FACTS: [(&str, &str, &str, &str); 21] = [
    ("create_user_group_invite_token", "developers", "anna", "ben"),
    ("create_child_group_token", "developers", "anna", "ben"),
    ("create_space_user_invite_token", "atlas", "mia", "ben"),
    ("create_space_group_token", "atlas", "olga", "ben"),
    ("create_space_support_token", "atlas", "anna", "mia"),
    ("create_harvester_user_invite_token", "catalogue", "mia", "ben"),
    ("create_harvester_group_token", "catalogue", "anna", "cleo"),
    ("create_harvester_invite_space_token", "catalogue", "recruiter", "ben"),
    ("create_cluster_user_invite_token", "Cracow", "Cracow", "ben"),
    ("create_cluster_group_invite_token", "Cracow", "anna", "Lisbon"),
    ("create_provider_registration_token_for_current_user", "itself", "anna", "Cracow"),
    ("create_provider_registration_token_for_user", "ben", "registrar", "anna"),
    ("list_client_tokens", "itself", "anna", "Cracow"),
    ("create_client_token", "itself", "anna", "Cracow"),
    ("remove_client_token", "spare", "anna", "ben"),
    ("get_user_space_alias", "atlas", "ben", "Cracow"),
    ("set_user_space_alias", "atlas", "ben", "dan"),
    ("remove_user_space_alias", "atlas", "ben", "Cracow"),
    ("verify_provider_identity", "itself", "anna", "Cracow"),
    ("modify_supported_space", "atlas", "Cracow", "Lisbon"),
    ("remove_space_support", "quiet corner", "Lisbon", "anna"),
];

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let rows = operation::builtin().into_iter().zip(FACTS);
    rows.map(|(operation, (_, place, may, may_not))| Row { operation, place, may, may_not }).collect()
});

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(operation::builtin);

/// All operations, as the catalogue has them.
pub fn operations() -> &'static [Operation] {
    &OPERATIONS
}

/// All operations.
pub fn all() -> &'static [Row] {
    &ROWS
}

/// The operation of this id.
pub fn row(id: &str) -> &'static Row {
    all().iter().find(|row| row.operation.id == id).expect("an operation")
}

impl Row {
    /// Whether its path begins so, below the base.
    pub fn is_under(&self, path: &str) -> bool {
        self.operation.template[self.operation.base.len()..].starts_with(path)
    }

    /// What there is to call it about: names, and what stands in the path for them.
    pub fn places(&self, fixture: &Fixture) -> Vec<(String, String)> {
        let named = |targets: &[Target]| targets.iter().map(|it| (it.name.clone(), it.id.clone())).collect();
        match () {
            () if self.is_under("/groups/") => named(&fixture.groups),
            () if self.is_under("/spaces/") => named(&fixture.spaces),
            () if self.is_under("/user/spaces/") => named(&fixture.spaces),
            () if self.is_under("/provider/spaces/") => named(&fixture.spaces),
            () if self.is_under("/harvesters/") => named(&fixture.harvesters),
            () if self.is_under("/clusters/") => named(&fixture.clusters),
            () if self.is_under("/users/") => {
                fixture.users.iter().map(|user| (user.username.clone(), user.id.clone())).collect()
            }
            () if self.is_under("/user/client_tokens/") => {
                DELETABLE.iter().map(|key| ((*key).to_owned(), format!("{{{key}}}"))).collect()
            }
            () => Vec::new(),
        }
    }

    /// What stands in the path for a place of this name; any other name stands for itself.
    pub fn id(&self, fixture: &Fixture, name: &str) -> String {
        let known = self.places(fixture).into_iter().find(|(known, _)| known == name);
        known.map_or_else(|| name.to_owned(), |(_, id)| id)
    }

    /// The path of a call about this.
    pub fn path(&self, id: &str) -> String {
        let template = &self.operation.template;
        match (template.find('{'), template.find('}')) {
            (Some(begin), Some(end)) => format!("{}{id}{}", &template[..begin], &template[end + 1..]),
            _ => template.clone(),
        }
    }

    /// Whether its path says what it is about.
    pub fn has_id(&self) -> bool {
        self.operation.template.contains('{')
    }

    /// What has to be sent along, if anything has to.
    pub fn usual(&self, fixture: &Fixture) -> Sent {
        let body = match self.operation.id.as_str() {
            "set_user_space_alias" => json!({ "alias": "home" }),
            "modify_supported_space" => json!({ "size": 5_000_000 }),
            "verify_provider_identity" => {
                let cracow = fixture.provider("Cracow");
                json!({ "providerId": cracow.id, "token": cracow.token })
            }
            _ => return sent::nothing(),
        };
        Sent { name: "plainly".to_owned(), ..sent::json(&body.to_string()) }
    }
}

#[test]
fn every_operation_has_its_row() {
    let ids: Vec<_> = all().iter().map(|row| row.operation.id.clone()).collect();
    assert_eq!(ids, FACTS.map(|(id, ..)| id));
}
