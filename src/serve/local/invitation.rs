//! The invitations that can be issued and redeemed here, one row each: what they lead to, who may issue them, what they
//! carry, and the join that uses them (contract, sections 7.1, 10.2, 10.3 and 11).

use crate::route;
use crate::token::InviteType;

/// The path under which Onezone's REST API lies.
pub(super) const BASE: &str = "/api/v3/onezone";

/// One type of invitation.
#[derive(Debug)]
pub(super) struct Invitation {
    pub kind: InviteType,
    /// What it leads to: `group`, and the collection of those below the base: `groups`.
    pub target: &'static str,
    pub collection: &'static str,
    /// The privilege in the target that lets one invite, and the administrative one that does as well.
    pub privilege: &'static str,
    pub admin: &'static str,
    /// Who joins.
    pub member: Member,
    /// Where the target keeps such members: `/groups/{id}/<this>/{member}`.
    pub kept_in: &'static str,
    /// Where the member sees what it joined: `/user/<this>/{target}`.
    pub seen_in: &'static str,
    /// The privileges that it carries, sorted; `None` where there are none to carry.
    pub privileges: Option<&'static [&'static str]>,
    /// Whether these are other than a member is given who is added without a word about them.
    pub is_explicit: bool,
}

/// Who is added to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    User,
    Group,
    Space,
}

impl Invitation {
    /// The row of a type; `None` for those that are not issued here.
    pub fn of(kind: InviteType) -> Option<&'static Self> {
        INVITATIONS.iter().find(|row| row.kind == kind)
    }

    /// The row of the type of this name.
    pub fn named(kind: &str) -> Option<&'static Self> {
        InviteType::named(kind).and_then(Invitation::of)
    }

    /// Every row.
    pub fn all() -> &'static [Self] {
        &INVITATIONS
    }

    /// The template of the join that uses it.
    pub fn join(&self) -> String {
        match self.member {
            Member::User => format!("{BASE}/user/{}/join", self.seen_in),
            Member::Group => format!("{BASE}/groups/{{id}}/{}/join", self.seen_in),
            Member::Space => format!("{BASE}/spaces/{{id}}/{}/join", self.seen_in),
        }
    }

    /// The path of a target.
    pub fn target_path(&self, target: &str) -> String {
        format!("{BASE}/{}/{}", self.collection, segment(target))
    }

    /// The path of a member in a target.
    pub fn member_path(&self, target: &str, member: &str) -> String {
        format!("{}/{}/{}", self.target_path(target), self.kept_in, segment(member))
    }

    /// The path by which a member sees the target that it joined.
    pub fn joined_path(&self, target: &str, member: &str) -> String {
        let owner = match self.member {
            Member::User => "user".to_owned(),
            Member::Group => format!("groups/{}", segment(member)),
            Member::Space => format!("spaces/{}", segment(member)),
        };
        format!("{BASE}/{owner}/{}/{}", self.seen_in, segment(target))
    }

    /// The privileges as the ledger keeps them.
    pub fn carried(&self) -> Option<Vec<String>> {
        Some(self.privileges?.iter().map(|privilege| (*privilege).to_owned()).collect())
    }
}

impl Member {
    /// Its word in errors: `user`.
    pub fn word(self) -> &'static str {
        match self {
            Member::User => "user",
            Member::Group => "group",
            Member::Space => "space",
        }
    }

    /// What its id is preceded by in the ledger: `usr-`.
    pub fn prefix(self) -> &'static str {
        match self {
            Member::User => "usr-",
            Member::Group => "grp-",
            Member::Space => "spc-",
        }
    }
}

fn segment(id: &str) -> String {
    route::encode(id.as_bytes())
}

const GROUP: &[&str] = &["group_view"];
const SPACE: &[&str] = &["space_read_data", "space_view", "space_view_transfers", "space_write_data"];
const HARVESTER: &[&str] = &["harvester_view"];
const CLUSTER: &[&str] = &["cluster_view"];
const CLUSTER_ALL: &[&str] = &[
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

struct Target {
    word: &'static str,
    collection: &'static str,
    admin: &'static str,
}

const fn target(word: &'static str, collection: &'static str, admin: &'static str) -> Target {
    Target { word, collection, admin }
}

const GROUPS: Target = target("group", "groups", "oz_groups_add_relationships");
const SPACES: Target = target("space", "spaces", "oz_spaces_add_relationships");
const HARVESTERS: Target = target("harvester", "harvesters", "oz_harvesters_add_relationships");
const CLUSTERS: Target = target("cluster", "clusters", "oz_clusters_add_relationships");

const fn row(
    kind: InviteType,
    target: Target,
    privilege: &'static str,
    member: Member,
    (kept_in, seen_in): (&'static str, &'static str),
    privileges: Option<&'static [&'static str]>,
) -> Invitation {
    Invitation {
        is_explicit: matches!(kind, InviteType::UserJoinCluster),
        kind,
        target: target.word,
        collection: target.collection,
        privilege,
        admin: target.admin,
        member,
        kept_in,
        seen_in,
        privileges,
    }
}

#[rustfmt::skip]
static INVITATIONS: [Invitation; 9] = {
    use InviteType::*;
    use Member::{Group, Space, User};
    [
        row(UserJoinGroup, GROUPS, "group_add_user", User, ("users", "groups"), Some(GROUP)),
        row(GroupJoinGroup, GROUPS, "group_add_child", Group, ("children", "parents"), Some(GROUP)),
        row(UserJoinSpace, SPACES, "space_add_user", User, ("users", "spaces"), Some(SPACE)),
        row(GroupJoinSpace, SPACES, "space_add_group", Group, ("groups", "spaces"), Some(SPACE)),
        row(UserJoinHarvester, HARVESTERS, "harvester_add_user", User, ("users", "harvesters"), Some(HARVESTER)),
        row(GroupJoinHarvester, HARVESTERS, "harvester_add_group", Group, ("groups", "harvesters"), Some(HARVESTER)),
        row(SpaceJoinHarvester, HARVESTERS, "harvester_add_space", Space, ("spaces", "harvesters"), None),
        row(UserJoinCluster, CLUSTERS, "cluster_add_user", User, ("users", "clusters"), Some(CLUSTER_ALL)),
        row(GroupJoinCluster, CLUSTERS, "cluster_add_group", Group, ("groups", "clusters"), Some(CLUSTER)),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{self, Mode};

    #[test]
    fn what_can_be_served_here_has_a_row_and_nothing_else() {
        let mut served = Vec::new();
        for operation in operation::builtin() {
            let Some(invite) = operation.invite.as_ref() else {
                assert!(!operation.can(Mode::Local), "{}", operation.id);
                continue;
            };
            let row = Invitation::named(&invite.kind);
            assert_eq!(operation.can(Mode::Local), row.is_some(), "{}", operation.id);
            let Some(row) = row else { continue };
            assert_eq!(row.collection, invite.collection);
            assert_eq!(operation.resource.as_ref().map(|resource| resource.kind.as_str()), Some(row.target));
            served.push(row.kind);
        }
        assert_eq!(served.len(), Invitation::all().len());
    }

    #[test]
    fn each_join_stands_where_the_contract_says() {
        let of = |kind| Invitation::of(kind).unwrap();
        let user = of(InviteType::UserJoinGroup);
        assert_eq!(user.join(), "/api/v3/onezone/user/groups/join");
        assert_eq!(user.member_path("g", "u"), "/api/v3/onezone/groups/g/users/u");
        assert_eq!(user.joined_path("g", "u"), "/api/v3/onezone/user/groups/g");
        let child = of(InviteType::GroupJoinGroup);
        assert_eq!(child.join(), "/api/v3/onezone/groups/{id}/parents/join");
        assert_eq!(child.member_path("p", "c"), "/api/v3/onezone/groups/p/children/c");
        assert_eq!(child.joined_path("p", "c"), "/api/v3/onezone/groups/c/parents/p");
        let source = of(InviteType::SpaceJoinHarvester);
        assert_eq!(source.join(), "/api/v3/onezone/spaces/{id}/harvesters/join");
        assert_eq!(source.member_path("h", "s"), "/api/v3/onezone/harvesters/h/spaces/s");
        assert_eq!(source.joined_path("h", "s"), "/api/v3/onezone/spaces/s/harvesters/h");
    }
}
