//! What invitations lead to, who may issue them and what they carry, one row for each type of invite token (contract,
//! sections 7.1, 7.4 and 11).

use super::kinds::Kind;
use super::store::Store;
use crate::token::{InviteType, Subject};

/// The facts about one type of invite token.
pub struct Invite {
    pub kind: InviteType,
    /// What it leads to; a user for the registration of a Oneprovider.
    pub target: Option<Kind>,
    /// The privilege in the target that lets one invite.
    privilege: &'static str,
    /// The administrative privilege that does as well.
    oz: &'static str,
    carries: Carries,
    /// What the name of a token from the deprecated route begins with; empty where there is no such route.
    pub prefix: &'static str,
}

/// The privileges that an invitation carries by default.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carries {
    Nothing,
    Member,
    Admin,
}

/// The row of a type.
pub fn of(kind: InviteType) -> &'static Invite {
    // The test below finds a row for every type.
    INVITES.iter().find(|row| row.kind == kind).unwrap_or(&INVITES[0])
}

impl Invite {
    /// Whether the target of the invitation exists.
    pub fn target_exists(&self, store: &Store, target: &str) -> bool {
        match self.target {
            Some(kind) => store.all(kind).contains_key(target),
            None => store.users.contains_key(target),
        }
    }

    /// The name of the target, as it goes into names of tokens: of a user the full name.
    pub fn target_name(&self, store: &Store, target: &str) -> Option<String> {
        match self.target {
            Some(kind) => store.name(kind, target),
            None => store.users.get(target).map(|user| user.full_name.clone()),
        }
    }

    /// Whether the subject may issue such an invitation.
    pub fn may_invite(&self, store: &Store, subject: &Subject, target: &str) -> bool {
        match (self.target, subject) {
            (Some(kind), _) => store.may(kind, target, Some(subject), self.privilege, &[self.oz]),
            // For oneself, that is a matter of policy.
            (None, Subject::User(user)) => {
                user == target && !store.hooks.registration_is_restricted()
                    || store.is_admin(user, &[self.oz])
            }
            (None, Subject::Provider(_)) => false,
        }
    }

    /// Whether the subject may set the privileges that such an invitation carries.
    pub fn may_set_privileges(&self, store: &Store, subject: &Subject, target: &str) -> bool {
        self.target.is_some_and(|kind| {
            let admin = kind.oz("set_privileges");
            store.may(kind, target, Some(subject), &kind.privilege("set_privileges"), &[&admin])
        })
    }

    /// The privileges that such an invitation carries by default, none for kinds without any.
    pub fn default_privileges(&self) -> Option<&'static [&'static str]> {
        let facts = self.target?.facts();
        match self.carries {
            Carries::Nothing => None,
            Carries::Member => Some(facts.member),
            Carries::Admin => Some(facts.admin),
        }
    }

    /// All privileges that such an invitation can carry.
    pub fn possible_privileges(&self) -> Option<&'static [&'static str]> {
        let carries = self.carries != Carries::Nothing;
        self.target.filter(|_| carries).map(|kind| kind.facts().admin)
    }
}

const fn row(
    kind: InviteType,
    target: Kind,
    privilege: &'static str,
    oz: &'static str,
    carries: Carries,
    prefix: &'static str,
) -> Invite {
    Invite { kind, target: Some(target), privilege, oz, carries, prefix }
}

#[rustfmt::skip]
static INVITES: [Invite; 14] = [
    row(InviteType::UserJoinGroup, Kind::Group, "group_add_user", "oz_groups_add_relationships", Carries::Member, "user invite to group"),
    row(InviteType::GroupJoinGroup, Kind::Group, "group_add_child", "oz_groups_add_relationships", Carries::Member, "group invite to group"),
    row(InviteType::UserJoinSpace, Kind::Space, "space_add_user", "oz_spaces_add_relationships", Carries::Member, "user invite to space"),
    row(InviteType::GroupJoinSpace, Kind::Space, "space_add_group", "oz_spaces_add_relationships", Carries::Member, "group invite to space"),
    row(InviteType::SupportSpace, Kind::Space, "space_add_support", "oz_spaces_add_relationships", Carries::Nothing, "support request for space"),
    row(InviteType::HarvesterJoinSpace, Kind::Space, "space_add_harvester", "oz_spaces_add_relationships", Carries::Nothing, ""),
    row(InviteType::UserJoinHarvester, Kind::Harvester, "harvester_add_user", "oz_harvesters_add_relationships", Carries::Member, "user invite to harvester"),
    row(InviteType::GroupJoinHarvester, Kind::Harvester, "harvester_add_group", "oz_harvesters_add_relationships", Carries::Member, "group invite to harvester"),
    row(InviteType::SpaceJoinHarvester, Kind::Harvester, "harvester_add_space", "oz_harvesters_add_relationships", Carries::Nothing, "space invite to harvester"),
    row(InviteType::UserJoinCluster, Kind::Cluster, "cluster_add_user", "oz_clusters_add_relationships", Carries::Admin, "user invite to cluster"),
    row(InviteType::GroupJoinCluster, Kind::Cluster, "cluster_add_group", "oz_clusters_add_relationships", Carries::Member, "group invite to cluster"),
    row(InviteType::UserJoinAtmInventory, Kind::AtmInventory, "atm_inventory_add_user", "oz_atm_inventories_add_relationships", Carries::Member, ""),
    row(InviteType::GroupJoinAtmInventory, Kind::AtmInventory, "atm_inventory_add_group", "oz_atm_inventories_add_relationships", Carries::Member, ""),
    Invite { kind: InviteType::RegisterOneprovider, target: None, privilege: "", oz: "oz_providers_invite", carries: Carries::Nothing, prefix: "Oneprovider rgstr. token for" },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::privileges;

    #[test]
    fn every_type_has_its_row() {
        for kind in InviteType::all() {
            let row = of(kind);
            assert_eq!(row.kind, kind);
            assert!(privileges::all_oz().contains(row.oz), "{}", row.oz);
            if let Some(target) = row.target {
                assert!(target.facts().admin.contains(&row.privilege), "{}", row.privilege);
                assert_eq!(target.facts().id_key, kind.target_key());
            }
        }
    }
}
