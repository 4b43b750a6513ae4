//! How Onezone spells subjects and token types in its error texts, and the facts about invite types that decide who may
//! issue them (contract, sections 7.1 and 11). Of the targets the sandbox keeps groups, users and clusters.

use serde_json::{Value, json};

use super::privileges;
use super::store::Store;
use crate::token::{InviteType, Subject, Type};

/// Whether the target of an invitation exists.
pub fn target_exists(store: &Store, kind: InviteType, target: &str) -> bool {
    match kind {
        InviteType::UserJoinGroup | InviteType::GroupJoinGroup => store.groups.contains_key(target),
        InviteType::RegisterOneprovider => store.users.contains_key(target),
        InviteType::UserJoinCluster | InviteType::GroupJoinCluster => store.providers.contains_key(target),
        _ => false,
    }
}

/// Whether the subject may issue such an invitation.
pub fn may_invite(store: &Store, subject: &Subject, kind: InviteType, target: &str) -> bool {
    match (subject, kind) {
        (Subject::User(user), InviteType::UserJoinGroup) => {
            store.has_privilege(target, user, "group_add_user")
                || store.is_admin(user, &["oz_groups_add_relationships"])
        }
        (Subject::User(user), InviteType::GroupJoinGroup) => {
            store.has_privilege(target, user, "group_add_child")
                || store.is_admin(user, &["oz_groups_add_relationships"])
        }
        (Subject::User(user), InviteType::RegisterOneprovider) => {
            user == target || store.is_admin(user, &["oz_providers_invite"])
        }
        (Subject::User(user), InviteType::UserJoinCluster | InviteType::GroupJoinCluster) => {
            store.is_admin(user, &["oz_clusters_add_relationships"])
        }
        (Subject::Provider(id), InviteType::UserJoinCluster | InviteType::GroupJoinCluster) => id == target,
        _ => false,
    }
}

/// Whether the subject may set the privileges that such an invitation carries.
pub fn may_set_privileges(store: &Store, subject: &Subject, kind: InviteType, target: &str) -> bool {
    match (subject, kind) {
        (Subject::User(user), InviteType::UserJoinGroup | InviteType::GroupJoinGroup) => {
            store.has_privilege(target, user, "group_set_privileges")
                || store.is_admin(user, &["oz_groups_set_privileges"])
        }
        (Subject::User(user), InviteType::UserJoinCluster | InviteType::GroupJoinCluster) => {
            store.is_admin(user, &["oz_clusters_set_privileges"])
        }
        (Subject::Provider(id), InviteType::UserJoinCluster | InviteType::GroupJoinCluster) => id == target,
        _ => false,
    }
}

/// The privileges that such an invitation carries by default, none for kinds without any.
pub fn default_privileges(kind: InviteType) -> Option<&'static [&'static str]> {
    match kind {
        InviteType::UserJoinGroup | InviteType::GroupJoinGroup => Some(privileges::GROUP_MEMBER),
        InviteType::UserJoinCluster => Some(privileges::CLUSTER_ADMIN),
        InviteType::GroupJoinCluster => Some(privileges::CLUSTER_MEMBER),
        _ => None,
    }
}

/// All privileges that such an invitation can carry.
pub fn possible_privileges(kind: InviteType) -> Option<&'static [&'static str]> {
    match kind {
        InviteType::UserJoinGroup | InviteType::GroupJoinGroup => Some(privileges::GROUP_ADMIN),
        InviteType::UserJoinCluster | InviteType::GroupJoinCluster => Some(privileges::CLUSTER_ADMIN),
        _ => None,
    }
}

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
