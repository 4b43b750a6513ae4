//! Onezone's privileges, as far as groups and the sandbox's administrators need them. Every list is sorted
//! alphabetically, as Onezone keeps them.

use std::collections::BTreeSet;

/// A set of privileges; sorted, as Onezone shows it.
pub type Privileges = BTreeSet<String>;

/// What a plain member of a group gets, and what an invitation carries by default (contract, section 11).
pub const GROUP_MEMBER: &[&str] = &["group_view"];

/// The manager level of `GET /groups/privileges`.
pub const GROUP_MANAGER: &[&str] = &[
    "group_add_atm_inventory",
    "group_add_child",
    "group_add_harvester",
    "group_add_parent",
    "group_add_user",
    "group_leave_parent",
    "group_remove_atm_inventory",
    "group_remove_child",
    "group_remove_harvester",
    "group_remove_user",
    "group_view",
    "group_view_privileges",
];

/// All privileges in a group.
pub const GROUP_ADMIN: &[&str] = &[
    "group_add_atm_inventory",
    "group_add_child",
    "group_add_cluster",
    "group_add_harvester",
    "group_add_parent",
    "group_add_space",
    "group_add_user",
    "group_create_handle",
    "group_create_handle_service",
    "group_delete",
    "group_leave_cluster",
    "group_leave_handle",
    "group_leave_handle_service",
    "group_leave_parent",
    "group_leave_space",
    "group_remove_atm_inventory",
    "group_remove_child",
    "group_remove_harvester",
    "group_remove_user",
    "group_set_privileges",
    "group_update",
    "group_view",
    "group_view_privileges",
];

/// What a plain member of a cluster gets.
pub const CLUSTER_MEMBER: &[&str] = &["cluster_view"];

/// All privileges in a cluster.
pub const CLUSTER_ADMIN: &[&str] = &[
    "cluster_add_group",
    "cluster_add_user",
    "cluster_delete",
    "cluster_remove_group",
    "cluster_remove_user",
    "cluster_set_privileges",
    "cluster_update",
    "cluster_view",
    "cluster_view_privileges",
];

/// The administrative privileges that exist for each kind of thing.
const OZ: &[(&str, &str)] = &[
    ("atm_inventories", "list view create update delete view_privileges set_privileges relations"),
    ("clusters", "list view update view_privileges set_privileges relations"),
    ("groups", "list view create update delete view_privileges set_privileges relations"),
    ("handle_services", "list view create update delete view_privileges set_privileges relations"),
    ("handles", "list view create update delete view_privileges set_privileges relations"),
    ("harvesters", "list view create update delete view_privileges set_privileges relations"),
    ("providers", "list view update delete list_relationships invite"),
    ("shares", "list view create update delete"),
    ("spaces", "list view create update delete view_privileges set_privileges relations"),
    ("tokens", "manage"),
    ("users", "list view create manage_passwords update delete relations"),
];

/// A set from a list.
pub fn set(list: &[&str]) -> Privileges {
    list.iter().map(|privilege| (*privilege).to_owned()).collect()
}

/// Every administrative privilege there is.
pub fn all_oz() -> Privileges {
    let mut all = set(&["oz_set_privileges", "oz_view_privileges"]);
    for (thing, verbs) in OZ {
        for verb in verbs.split(' ') {
            if verb == "relations" {
                for what in ["list", "add", "remove"] {
                    all.insert(format!("oz_{thing}_{what}_relationships"));
                }
            } else {
                all.insert(format!("oz_{thing}_{verb}"));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_each_level_holds_the_one_below() {
        for list in [GROUP_MEMBER, GROUP_MANAGER, GROUP_ADMIN, CLUSTER_MEMBER, CLUSTER_ADMIN] {
            assert!(list.is_sorted(), "{list:?}");
        }
        assert!(GROUP_MANAGER.iter().all(|privilege| GROUP_ADMIN.contains(privilege)));
        assert!(GROUP_MEMBER.iter().all(|privilege| GROUP_MANAGER.contains(privilege)));
    }

    #[test]
    fn an_administrator_may_add_relationships_and_manage_tokens() {
        let all = all_oz();
        for name in ["oz_groups_add_relationships", "oz_users_add_relationships", "oz_tokens_manage"] {
            assert!(all.contains(name), "{name}");
        }
    }
}
