//! What is in a new sandbox: people with different standing, two Oneproviders, and groups whose names show how the
//! legacy routes derive token names. All ids, passwords and secrets are the same every time; nothing here is secret.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::privileges::{self, GROUP_ADMIN, GROUP_MANAGER, GROUP_MEMBER, Privileges};
use super::store::{Group, Provider, Record, Store, User};
use crate::token::{Subject, Type};

/// The sandbox's inhabitants.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// The Onezone domain in tokens and `Location` headers.
    pub domain: String,
    /// The users, each with a different standing.
    pub users: Vec<Person>,
    /// The Oneproviders.
    pub providers: Vec<Oneprovider>,
    /// The groups.
    pub groups: Vec<Team>,
}

/// A user.
#[derive(Clone, Debug)]
pub struct Person {
    /// Its id.
    pub id: String,
    /// The name to log in with.
    pub username: String,
    /// The name that others see.
    pub full_name: String,
    /// For basic authentication.
    pub password: String,
    /// A named access token without caveats.
    pub token: String,
    /// Whether an administrator blocked it.
    pub blocked: bool,
    /// What this user is here to show.
    pub about: &'static str,
}

/// A Oneprovider.
#[derive(Clone, Debug)]
pub struct Oneprovider {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// A named access token without caveats.
    pub token: String,
}

/// A group.
#[derive(Clone, Debug)]
pub struct Team {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Usernames of direct members, with their privileges.
    pub members: Vec<(&'static str, Privileges)>,
    /// Names of direct child groups, with their privileges.
    pub children: Vec<(&'static str, Privileges)>,
    /// What this group is here to show.
    pub about: &'static str,
}

impl Fixture {
    /// The user of this name.
    ///
    /// # Panics
    ///
    /// If there is none: the fixture is fixed, and only tests and the demonstration ask.
    pub fn user(&self, username: &str) -> &Person {
        match self.users.iter().find(|user| user.username == username) {
            Some(user) => user,
            None => panic!("no user {username} in the sandbox's fixture"),
        }
    }

    /// The group of this name.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn group(&self, name: &str) -> &Team {
        match self.groups.iter().find(|group| group.name == name) {
            Some(group) => group,
            None => panic!("no group {name} in the sandbox's fixture"),
        }
    }

    /// The Oneprovider of this name.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn provider(&self, name: &str) -> &Oneprovider {
        match self.providers.iter().find(|provider| provider.name == name) {
            Some(provider) => provider,
            None => panic!("no Oneprovider {name} in the sandbox's fixture"),
        }
    }

    /// The document that `duskgate sandbox` prints.
    pub fn to_json(&self, url: &str) -> Value {
        let id_of = |username: &str| self.user(username).id.clone();
        json!({
            "url": url,
            "domain": self.domain,
            "users": self.users.iter().map(|user| json!({
                "id": user.id,
                "username": user.username,
                "fullName": user.full_name,
                "password": user.password,
                "accessToken": user.token,
                "blocked": user.blocked,
                "about": user.about,
            })).collect::<Vec<_>>(),
            "groups": self.groups.iter().map(|group| json!({
                "id": group.id,
                "name": group.name,
                "members": group.members.iter().map(|(username, privileges)| json!({
                    "userId": id_of(username), "username": username, "privileges": privileges,
                })).collect::<Vec<_>>(),
                "children": group.children.iter().map(|(name, privileges)| json!({
                    "groupId": id("group", name), "name": name, "privileges": privileges,
                })).collect::<Vec<_>>(),
                "about": group.about,
            })).collect::<Vec<_>>(),
            "oneproviders": self.providers.iter().map(|provider| json!({
                "id": provider.id, "name": provider.name, "accessToken": provider.token,
            })).collect::<Vec<_>>(),
        })
    }
}

/// Username, full name, administrative privileges, blocked, purpose.
const USERS: &[(&str, &str, &[&str], bool, &str)] = &[
    ("admin", "Ada Admin", &["*"], false, "holds every administrative privilege"),
    ("anna", "Anna Nowak", &[], false, "administers most groups"),
    ("ben", "Ben Okafor", &[], false, "a plain member of developers, manages nothing"),
    ("cleo", "Cléo Martin", &[], false, "may add users to developers, through the child group leads"),
    ("dan", "Dan Stone", &[], false, "an outsider: in no group at all"),
    ("mia", "Mia Manager", &[], false, "manages developers, without the right to set privileges"),
    (
        "inviter",
        "Ivo Inviter",
        &["oz_groups_add_relationships"],
        false,
        "may invite to any group, and see none",
    ),
    (
        "service",
        "Service Account",
        &["oz_groups_view", "oz_users_view"],
        false,
        "may look at any group and user",
    ),
    ("blocked", "Bob Blocked", &[], true, "blocked by an administrator"),
];

/// Name, purpose. Anna administers all of them.
const GROUPS: &[(&str, &str)] = &[
    ("developers", "the group to try things with"),
    ("leads", "a child of developers, whose members may add users there"),
    ("empty hands", "its only member may do nothing but look"),
    ("Physics collaboration 2020", "a name that is cut in the names of invite tokens"),
    ("Zespół badań nad fizyką cząstek", "a name that is cut between two characters"),
    ("Groupe qualité été période", "a name that is cut inside a character, twice"),
    ("XYZ sœur cœur œuvre æther ßtraße", "a name that the legacy route cannot invite to"),
    ("量子物理研究所", "a name of which the cut leaves nothing"),
];

const PROVIDERS: &[&str] = &["Cracow", "Lisbon"];

/// Fills an empty store.
pub fn fill(store: &mut Store, now: i64) -> Fixture {
    let users = USERS.iter().map(|row| add_user(store, row, now)).collect();
    let providers = PROVIDERS.iter().map(|name| add_provider(store, name, now)).collect();
    let groups = GROUPS.iter().map(|row| add_group(store, row, now)).collect();
    Fixture { domain: store.domain.clone(), users, providers, groups }
}

fn add_user(
    store: &mut Store,
    (username, full_name, oz, blocked, about): &(&str, &str, &[&str], bool, &'static str),
    now: i64,
) -> Person {
    let id = id("user", username);
    let password = format!("{username}-password");
    let user = User {
        full_name: (*full_name).to_owned(),
        username: (*username).to_owned(),
        password: Some(password.clone()),
        blocked: *blocked,
        oz_privileges: if *oz == ["*"] { privileges::all_oz() } else { privileges::set(oz) },
        created: now,
    };
    store.users.insert(id.clone(), user);
    let token = add_token(store, Subject::User(id.clone()), now);
    Person {
        id,
        username: (*username).to_owned(),
        full_name: (*full_name).to_owned(),
        password,
        token,
        blocked: *blocked,
        about,
    }
}

fn add_provider(store: &mut Store, name: &str, now: i64) -> Oneprovider {
    let id = id("provider", name);
    let users = ["anna", "ben"].map(|username| self::id("user", username)).into();
    store.providers.insert(id.clone(), Provider { users });
    let token = add_token(store, Subject::Provider(id.clone()), now);
    Oneprovider { id, name: name.to_owned(), token }
}

fn add_group(store: &mut Store, (name, about): &(&'static str, &'static str), now: i64) -> Team {
    let manager = privileges::set(GROUP_MANAGER);
    let member = privileges::set(GROUP_MEMBER);
    let (members, children) = match *name {
        "developers" => (
            vec![("anna", privileges::set(GROUP_ADMIN)), ("ben", member), ("mia", manager)],
            vec![("leads", privileges::set(&["group_add_user", "group_view"]))],
        ),
        "leads" => (vec![("cleo", member)], vec![]),
        "empty hands" => (vec![("ben", member)], vec![]),
        _ => (vec![("anna", privileges::set(GROUP_ADMIN)), ("mia", manager)], vec![]),
    };
    let group = Group {
        name: (*name).to_owned(),
        kind: "team".to_owned(),
        creator: Some(Subject::User(id("user", "anna"))),
        created: now,
        users: members.iter().map(|(username, all)| (id("user", username), all.clone())).collect(),
        children: children.iter().map(|(name, all)| (id("group", name), all.clone())).collect(),
    };
    let id = id("group", name);
    store.groups.insert(id.clone(), group);
    Team { id, name: (*name).to_owned(), members, children, about }
}

fn add_token(store: &mut Store, subject: Subject, now: i64) -> String {
    let owner = subject.to_string();
    let record = Record {
        name: "sandbox access".to_owned(),
        subject,
        kind: Type::ACCESS,
        secret: digest(&["secret", &owner]),
        caveats: Vec::new(),
        created: now,
        custom: json!({}),
        invitation: None,
        revoked: false,
    };
    let id = id("token", &owner);
    let token = record.token(&store.domain, &id).map(|token| token.serialize());
    store.tokens.insert(id, record);
    token.unwrap_or_default()
}

/// An id in Onezone's form, the same for the same name.
fn id(kind: &str, name: &str) -> String {
    let digest = digest(&[kind, name]);
    format!("{}ch{}", &digest[..32], &digest[32..36])
}

fn digest(parts: &[&str]) -> String {
    let digest = Sha256::digest(format!("duskgate sandbox {}", parts.join(" ")));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
