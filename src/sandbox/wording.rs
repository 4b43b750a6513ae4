//! How Onezone spells subjects and token types in its error texts.

use serde_json::{Value, json};

use crate::token::{InviteType, Subject, Type};

/// The type as error texts name it: `invite token for a user to join group "…"`.
pub fn printable(kind: &Type) -> String {
    let (kind, target) = match kind {
        Type::Access { session: None } => return "access token".to_owned(),
        Type::Access { session: Some(session) } => return format!("access token for session \"{session}\""),
        Type::Identity => return "identity token".to_owned(),
        Type::Invite { kind, target, .. } => (kind, target),
    };
    let purpose = match kind {
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
    };
    format!("invite token {purpose} \"{target}\"")
}

/// `userJoinGroup` as `user_join_group`.
pub fn snake_case(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for c in camel.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// The subject in JSON; nobody is a subject as well.
pub fn subject_json(subject: Option<&Subject>) -> Value {
    subject.map_or_else(|| json!({ "type": "nobody", "id": null }), Subject::to_json)
}

/// The id in the subject.
pub fn subject_id(subject: &Subject) -> &str {
    match subject {
        Subject::User(id) | Subject::Provider(id) => id,
    }
}
