//! Onezone's privileges: the levels in each kind of thing that has members, and those of administrators. Every list is sorted
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

/// What a plain member of a space gets.
pub const SPACE_MEMBER: &[&str] =
    &["space_read_data", "space_view", "space_view_transfers", "space_write_data"];

/// The manager level of `GET /spaces/privileges`.
pub const SPACE_MANAGER: &[&str] = &[
    "space_add_group",
    "space_add_harvester",
    "space_add_user",
    "space_create_archives",
    "space_manage_archives",
    "space_manage_datasets",
    "space_manage_shares",
    "space_query_views",
    "space_read_data",
    "space_register_files",
    "space_remove_group",
    "space_remove_harvester",
    "space_remove_user",
    "space_schedule_atm_workflow_executions",
    "space_schedule_replication",
    "space_view",
    "space_view_archives",
    "space_view_atm_workflow_executions",
    "space_view_changes_stream",
    "space_view_privileges",
    "space_view_qos",
    "space_view_statistics",
    "space_view_transfers",
    "space_view_views",
    "space_write_data",
];

/// All privileges in a space.
pub const SPACE_ADMIN: &[&str] = &[
    "space_add_group",
    "space_add_harvester",
    "space_add_support",
    "space_add_user",
    "space_cancel_eviction",
    "space_cancel_replication",
    "space_create_archives",
    "space_delete",
    "space_manage_archives",
    "space_manage_atm_workflow_executions",
    "space_manage_datasets",
    "space_manage_in_marketplace",
    "space_manage_qos",
    "space_manage_shares",
    "space_manage_views",
    "space_query_views",
    "space_read_data",
    "space_recall_archives",
    "space_register_files",
    "space_remove_archives",
    "space_remove_group",
    "space_remove_harvester",
    "space_remove_support",
    "space_remove_user",
    "space_schedule_atm_workflow_executions",
    "space_schedule_eviction",
    "space_schedule_replication",
    "space_set_privileges",
    "space_update",
    "space_view",
    "space_view_archives",
    "space_view_atm_workflow_executions",
    "space_view_changes_stream",
    "space_view_privileges",
    "space_view_qos",
    "space_view_statistics",
    "space_view_transfers",
    "space_view_views",
    "space_write_data",
];

/// What a plain member of a harvester gets.
pub const HARVESTER_MEMBER: &[&str] = &["harvester_view"];

/// The manager level of `GET /harvesters/privileges`.
pub const HARVESTER_MANAGER: &[&str] = &[
    "harvester_add_group",
    "harvester_add_space",
    "harvester_add_user",
    "harvester_remove_group",
    "harvester_remove_space",
    "harvester_remove_user",
    "harvester_view",
];

/// All privileges in a harvester.
pub const HARVESTER_ADMIN: &[&str] = &[
    "harvester_add_group",
    "harvester_add_space",
    "harvester_add_user",
    "harvester_delete",
    "harvester_remove_group",
    "harvester_remove_space",
    "harvester_remove_user",
    "harvester_set_privileges",
    "harvester_update",
    "harvester_view",
    "harvester_view_privileges",
];

/// The manager level of `GET /clusters/privileges`.
pub const CLUSTER_MANAGER: &[&str] =
    &["cluster_add_group", "cluster_add_user", "cluster_remove_group", "cluster_remove_user", "cluster_view"];

/// What a plain member of an automation inventory gets.
pub const ATM_INVENTORY_MEMBER: &[&str] = &["atm_inventory_view"];

/// The manager level of `GET /atm_inventories/privileges`.
pub const ATM_INVENTORY_MANAGER: &[&str] = &[
    "atm_inventory_add_group",
    "atm_inventory_add_user",
    "atm_inventory_manage_lambdas",
    "atm_inventory_manage_workflow_schemas",
    "atm_inventory_remove_group",
    "atm_inventory_remove_user",
    "atm_inventory_view",
];

/// All privileges in an automation inventory.
pub const ATM_INVENTORY_ADMIN: &[&str] = &[
    "atm_inventory_add_group",
    "atm_inventory_add_user",
    "atm_inventory_delete",
    "atm_inventory_manage_lambdas",
    "atm_inventory_manage_workflow_schemas",
    "atm_inventory_remove_group",
    "atm_inventory_remove_user",
    "atm_inventory_set_privileges",
    "atm_inventory_update",
    "atm_inventory_view",
    "atm_inventory_view_privileges",
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
    use super::super::kinds::Kind;
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_each_level_holds_the_one_below() {
        for facts in Kind::ALL.map(Kind::facts) {
            for list in [facts.member, facts.manager, facts.admin] {
                assert!(list.is_sorted(), "{list:?}");
            }
            assert!(facts.manager.iter().all(|privilege| facts.admin.contains(privilege)));
            assert!(facts.member.iter().all(|privilege| facts.manager.contains(privilege)));
        }
    }

    #[test]
    fn an_administrator_may_add_relationships_and_manage_tokens() {
        let all = all_oz();
        for name in ["oz_groups_add_relationships", "oz_users_add_relationships", "oz_tokens_manage"] {
            assert!(all.contains(name), "{name}");
        }
    }
}
