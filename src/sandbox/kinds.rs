//! The kinds of things that have members and that invitations lead to, one row each: how Onezone spells them in paths,
//! bodies and privileges, and what a member of each gets (contract, sections 7.1, 10 and 11).

use super::privileges::{
    ATM_INVENTORY_ADMIN, ATM_INVENTORY_MANAGER, ATM_INVENTORY_MEMBER, CLUSTER_ADMIN, CLUSTER_MANAGER,
    CLUSTER_MEMBER, GROUP_ADMIN, GROUP_MANAGER, GROUP_MEMBER, HARVESTER_ADMIN, HARVESTER_MANAGER,
    HARVESTER_MEMBER, SPACE_ADMIN, SPACE_MANAGER, SPACE_MEMBER,
};
use crate::token::InviteType;

/// What has members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Group,
    Space,
    Harvester,
    /// Of a Oneprovider, whose id it has, or of Onezone.
    Cluster,
    AtmInventory,
}

/// How a kind is spelled, and the levels of privileges in it.
pub struct Facts {
    /// In paths and administrative privileges: `spaces`.
    pub plural: &'static str,
    /// In privileges, resources and errors: `space`.
    pub singular: &'static str,
    /// The key of its id in bodies.
    pub id_key: &'static str,
    /// The privilege in it that lets a group in.
    pub add_group: &'static str,
    /// The privilege in a group that lets the group join one.
    pub joins: &'static str,
    /// Where a group keeps those that it is in: `/groups/{id}/<this>`.
    pub of_group: &'static str,
    /// Where it keeps its groups: `/spaces/{id}/<this>`.
    pub groups: &'static str,
    /// The invitations of users and of groups into it.
    pub invites_user: InviteType,
    pub invites_group: InviteType,
    pub member: &'static [&'static str],
    pub manager: &'static [&'static str],
    pub admin: &'static [&'static str],
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::Group, Kind::Space, Kind::Harvester, Kind::Cluster, Kind::AtmInventory];

    /// Its row.
    pub fn facts(self) -> &'static Facts {
        &FACTS[self as usize]
    }

    /// A privilege in it: `space_view`.
    pub fn privilege(self, verb: &str) -> String {
        format!("{}_{verb}", self.facts().singular)
    }

    /// The administrative privilege that does for that: `oz_spaces_view`.
    pub fn oz(self, verb: &str) -> String {
        format!("oz_{}_{verb}", self.facts().plural)
    }
}

static FACTS: [Facts; 5] = [
    Facts {
        plural: "groups",
        singular: "group",
        id_key: "groupId",
        add_group: "group_add_child",
        joins: "group_add_parent",
        of_group: "parents",
        groups: "children",
        invites_user: InviteType::UserJoinGroup,
        invites_group: InviteType::GroupJoinGroup,
        member: GROUP_MEMBER,
        manager: GROUP_MANAGER,
        admin: GROUP_ADMIN,
    },
    Facts {
        plural: "spaces",
        singular: "space",
        id_key: "spaceId",
        add_group: "space_add_group",
        joins: "group_add_space",
        of_group: "spaces",
        groups: "groups",
        invites_user: InviteType::UserJoinSpace,
        invites_group: InviteType::GroupJoinSpace,
        member: SPACE_MEMBER,
        manager: SPACE_MANAGER,
        admin: SPACE_ADMIN,
    },
    Facts {
        plural: "harvesters",
        singular: "harvester",
        id_key: "harvesterId",
        add_group: "harvester_add_group",
        joins: "group_add_harvester",
        of_group: "harvesters",
        groups: "groups",
        invites_user: InviteType::UserJoinHarvester,
        invites_group: InviteType::GroupJoinHarvester,
        member: HARVESTER_MEMBER,
        manager: HARVESTER_MANAGER,
        admin: HARVESTER_ADMIN,
    },
    Facts {
        plural: "clusters",
        singular: "cluster",
        id_key: "clusterId",
        add_group: "cluster_add_group",
        joins: "group_add_cluster",
        of_group: "clusters",
        groups: "groups",
        invites_user: InviteType::UserJoinCluster,
        invites_group: InviteType::GroupJoinCluster,
        member: CLUSTER_MEMBER,
        manager: CLUSTER_MANAGER,
        admin: CLUSTER_ADMIN,
    },
    Facts {
        plural: "atm_inventories",
        singular: "atm_inventory",
        id_key: "atmInventoryId",
        add_group: "atm_inventory_add_group",
        joins: "group_add_atm_inventory",
        of_group: "atm_inventories",
        groups: "groups",
        invites_user: InviteType::UserJoinAtmInventory,
        invites_group: InviteType::GroupJoinAtmInventory,
        member: ATM_INVENTORY_MEMBER,
        manager: ATM_INVENTORY_MANAGER,
        admin: ATM_INVENTORY_ADMIN,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_stand_in_the_order_of_the_kinds() {
        for kind in Kind::ALL {
            assert!(format!("{:?}", kind.facts().invites_user).ends_with(&format!("Join{kind:?}")));
            for privilege in [kind.facts().add_group, &kind.privilege("add_user"), &kind.privilege("view")] {
                assert!(kind.facts().admin.contains(&privilege), "{privilege}");
            }
            assert!(GROUP_ADMIN.contains(&kind.facts().joins));
        }
    }
}
