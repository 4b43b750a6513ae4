//! What the sandbox knows: users, groups and the other kinds of things with members, Oneproviders and tokens, all in
//! memory. One lock guards it all, so that every
//! operation is a critical section; what is asked of the graph (effective members and privileges) is answered here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::hooks::Hooks;
use super::kinds::Kind;
use super::privileges::Privileges;
use crate::token::{Caveat, Identifier, Persistence, Subject, Token, Type};

/// The whole state.
pub struct Store {
    /// The Onezone domain; it goes into tokens and `Location` headers.
    pub domain: String,
    pub users: BTreeMap<String, User>,
    pub entities: BTreeMap<Kind, BTreeMap<String, Entity>>,
    pub providers: BTreeMap<String, Provider>,
    /// Named tokens by id.
    pub tokens: BTreeMap<String, Record>,
    /// The shared secrets of temporary tokens.
    pub temporary: HashMap<Subject, Generation>,
    /// What tests changed.
    pub hooks: Arc<Hooks>,
}

pub struct User {
    pub full_name: String,
    pub username: String,
    /// Without one, basic authentication is disabled.
    pub password: Option<String>,
    pub blocked: bool,
    pub oz_privileges: Privileges,
    /// Names that it gave to spaces, which have no effect.
    pub aliases: BTreeMap<String, Option<String>>,
    pub created: i64,
}

/// Something with members.
#[derive(Default)]
pub struct Entity {
    /// Clusters have none of their own.
    pub name: String,
    pub creator: Option<Subject>,
    pub created: i64,
    /// Direct members and their privileges here.
    pub users: BTreeMap<String, Privileges>,
    /// Groups directly in it and the privileges that their members have here.
    pub groups: BTreeMap<String, Privileges>,
    /// Groups only: `organization`, `unit`, `team` or `role_holders`.
    pub group_type: String,
    /// Spaces only: members who hold all privileges, whatever they were given.
    pub owners: BTreeSet<String>,
    /// Spaces only: the Oneproviders that support it, with how many bytes.
    pub supports: BTreeMap<String, u64>,
    /// Harvesters only: the spaces whose metadata they take in.
    pub sources: BTreeSet<String>,
}

pub struct Provider {
    pub name: String,
    pub domain: String,
    pub created: i64,
}

/// The secret that all temporary tokens of a subject share until they are revoked together.
pub struct Generation {
    pub number: u64,
    pub secret: String,
}

/// A named token.
pub struct Record {
    pub name: String,
    pub subject: Subject,
    pub kind: Type,
    pub secret: String,
    pub caveats: Vec<Caveat>,
    pub created: i64,
    pub custom: Value,
    /// Invite tokens only.
    pub invitation: Option<Invitation>,
    pub revoked: bool,
}

/// What a named invite token carries besides.
pub struct Invitation {
    /// Null for kinds of invitation without privileges.
    pub privileges: Option<Privileges>,
    /// Without one, any number of uses.
    pub usage_limit: Option<u64>,
    pub usage_count: u64,
}

impl Store {
    /// An empty one.
    pub fn new(domain: String, hooks: Arc<Hooks>) -> Self {
        Store {
            domain,
            users: BTreeMap::new(),
            entities: Kind::ALL.map(|kind| (kind, BTreeMap::new())).into(),
            providers: BTreeMap::new(),
            tokens: BTreeMap::new(),
            temporary: HashMap::new(),
            hooks,
        }
    }

    /// Everything of this kind.
    pub fn all(&self, kind: Kind) -> &BTreeMap<String, Entity> {
        // `new` made a map for every kind.
        &self.entities[&kind]
    }

    /// The entity of this kind and id.
    pub fn entity(&self, kind: Kind, id: &str) -> Option<&Entity> {
        self.all(kind).get(id)
    }

    /// The same, to change it.
    pub fn entity_mut(&mut self, kind: Kind, id: &str) -> Option<&mut Entity> {
        self.entities.get_mut(&kind)?.get_mut(id)
    }

    /// The name that the entity goes by in the names of invite tokens: of a cluster the Oneprovider's.
    pub fn name(&self, kind: Kind, id: &str) -> Option<String> {
        let own = self.entity(kind, id)?.name.clone();
        match (kind, self.providers.get(id)) {
            (Kind::Cluster, Some(provider)) => Some(provider.name.clone()),
            (Kind::Cluster, None) => Some("Onezone".to_owned()),
            _ => Some(own),
        }
    }

    /// Whether the user is a member, directly or through a group.
    pub fn is_member(&self, kind: Kind, id: &str, user: &str) -> bool {
        self.privileges(kind, id, user).is_some()
    }

    /// The effective privileges of the user, as they are listed; none if not a member.
    pub fn privileges(&self, kind: Kind, id: &str, user: &str) -> Option<Privileges> {
        let entity = self.entity(kind, id)?;
        let groups = self.groups_of(user);
        let through = entity.groups.iter().filter(|(group, _)| groups.contains(group.as_str()));
        let direct = entity.users.get(user).into_iter();
        direct.chain(through.map(|(_, privileges)| privileges)).cloned().reduce(|mut all, more| {
            all.extend(more);
            all
        })
    }

    /// Whether the user effectively holds the privilege. An owner holds them all.
    pub fn has_privilege(&self, kind: Kind, id: &str, user: &str, privilege: &str) -> bool {
        self.entity(kind, id).is_some_and(|entity| entity.owners.contains(user))
            || self.privileges(kind, id, user).is_some_and(|all| all.contains(privilege))
    }

    /// Whether the subject may do what takes this privilege or these administrative ones. A Oneprovider may do
    /// everything in its own cluster.
    pub fn may(&self, kind: Kind, id: &str, who: Option<&Subject>, privilege: &str, oz: &[&str]) -> bool {
        match who {
            None => false,
            Some(Subject::User(user)) => {
                self.has_privilege(kind, id, user, privilege) || self.is_admin(user, oz)
            }
            Some(Subject::Provider(provider)) => kind == Kind::Cluster && provider == id,
        }
    }

    /// Whether the Oneprovider serves the user: it supports a space of the user's.
    pub fn serves(&self, provider: &str, user: &str) -> bool {
        self.all(Kind::Space)
            .iter()
            .any(|(id, space)| space.supports.contains_key(provider) && self.is_member(Kind::Space, id, user))
    }

    /// Whether the user holds all of these administrative privileges.
    pub fn is_admin(&self, user: &str, privileges: &[&str]) -> bool {
        let held = self.users.get(user).map(|user| &user.oz_privileges);
        held.is_some_and(|held| privileges.iter().all(|privilege| held.contains(*privilege)))
    }

    /// All effective members.
    pub fn members(&self, kind: Kind, id: &str) -> Vec<&str> {
        self.users.keys().map(String::as_str).filter(|user| self.is_member(kind, id, user)).collect()
    }

    /// The id of the subject's token of this name.
    pub fn token_named(&self, subject: &Subject, name: &str) -> Option<&str> {
        let found = self.tokens.iter().find(|(_, token)| &token.subject == subject && token.name == name);
        found.map(|(id, _)| id.as_str())
    }

    /// The ids of the subject's named tokens, in the order of their names.
    pub fn tokens_of(&self, subject: &Subject) -> Vec<String> {
        let mut named: Vec<_> = self.tokens.iter().filter(|(_, token)| &token.subject == subject).collect();
        named.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        named.into_iter().map(|(id, _)| id.clone()).collect()
    }

    /// The present secret of the subject's temporary tokens; none if there is no such subject.
    pub fn generation(&mut self, subject: &Subject) -> Option<&mut Generation> {
        if !self.exists(subject) {
            return None;
        }
        let fresh = || Generation { number: 1, secret: random_secret() };
        Some(self.temporary.entry(subject.clone()).or_insert_with(fresh))
    }

    /// Whether there is such a user or Oneprovider.
    pub fn exists(&self, subject: &Subject) -> bool {
        match subject {
            Subject::User(id) => self.users.contains_key(id),
            Subject::Provider(id) => self.providers.contains_key(id),
        }
    }

    /// The groups that the user is a member of, directly or through their child groups.
    pub fn groups_of(&self, user: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        loop {
            let more: Vec<_> = self
                .all(Kind::Group)
                .iter()
                .filter(|(id, _)| !found.contains(id.as_str()))
                .filter(|(_, group)| {
                    group.users.contains_key(user)
                        || group.groups.keys().any(|child| found.contains(child.as_str()))
                })
                .map(|(id, _)| id.as_str())
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }
}

impl Record {
    /// The token itself, rebuilt from the record: the same bytes each time.
    pub fn token(&self, domain: &str, id: &str) -> Option<Token> {
        let identifier = Identifier::new(Persistence::Named, self.subject.clone(), self.kind.clone(), id);
        Token::mint(domain, identifier, self.caveats.clone(), self.secret.as_bytes()).ok()
    }

    /// The token object of `GET /tokens/named/{id}`.
    pub fn to_json(&self, domain: &str, id: &str) -> Value {
        json!({
            "id": id,
            "name": self.name,
            "subject": self.subject.to_json(),
            "type": self.kind.to_json(),
            "caveats": self.caveats.iter().map(Caveat::to_json).collect::<Vec<_>>(),
            "metadata": self.metadata(),
            "revoked": self.revoked,
            "token": self.token(domain, id).map(|token| token.serialize()),
        })
    }

    fn metadata(&self) -> Value {
        let mut metadata = json!({ "creationTime": self.created, "custom": self.custom });
        if let Some(invitation) = &self.invitation {
            metadata["privileges"] = json!(invitation.privileges);
            metadata["usageLimit"] = invitation.usage_limit.map_or(json!("infinity"), |limit| json!(limit));
            metadata["usageCount"] = json!(invitation.usage_count);
        }
        metadata
    }
}

/// An id in Onezone's form: `<32 hex>ch<4 hex>`.
pub fn random_id() -> String {
    format!("{:032x}ch{:04x}", fastrand::u128(..), fastrand::u16(..))
}

/// A token secret: 64 hexadecimal characters, used as text.
pub fn random_secret() -> String {
    format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..))
}
