//! What the sandbox knows: users, groups, Oneproviders and tokens, all in memory. One lock guards it all, so that every
//! operation is a critical section; what is asked of the graph (effective members and privileges) is answered here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::hooks::Hooks;
use super::privileges::Privileges;
use crate::token::{Caveat, Identifier, Persistence, Subject, Token, Type};

/// The whole state.
pub struct Store {
    /// The Onezone domain; it goes into tokens and `Location` headers.
    pub domain: String,
    pub users: BTreeMap<String, User>,
    pub groups: BTreeMap<String, Group>,
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
    pub created: i64,
}

pub struct Group {
    pub name: String,
    /// `organization`, `unit`, `team` or `role_holders`.
    pub kind: String,
    pub creator: Option<Subject>,
    pub created: i64,
    /// Direct members and their privileges here.
    pub users: BTreeMap<String, Privileges>,
    /// Direct child groups and the privileges their members have here.
    pub children: BTreeMap<String, Privileges>,
}

pub struct Provider {
    /// The users that it serves.
    pub users: BTreeSet<String>,
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
            groups: BTreeMap::new(),
            providers: BTreeMap::new(),
            tokens: BTreeMap::new(),
            temporary: HashMap::new(),
            hooks,
        }
    }

    /// Whether the user is a member of the group, directly or through a child group.
    pub fn is_member(&self, group: &str, user: &str) -> bool {
        self.privileges(group, user).is_some()
    }

    /// The effective privileges of the user in the group; none if not a member.
    pub fn privileges(&self, group: &str, user: &str) -> Option<Privileges> {
        self.collect(group, user, &mut BTreeSet::new())
    }

    /// Whether the user effectively holds the privilege in the group.
    pub fn has_privilege(&self, group: &str, user: &str, privilege: &str) -> bool {
        self.privileges(group, user).is_some_and(|all| all.contains(privilege))
    }

    /// Whether the user holds all of these administrative privileges.
    pub fn is_admin(&self, user: &str, privileges: &[&str]) -> bool {
        let held = self.users.get(user).map(|user| &user.oz_privileges);
        held.is_some_and(|held| privileges.iter().all(|privilege| held.contains(*privilege)))
    }

    /// All effective members of the group.
    pub fn members(&self, group: &str) -> Vec<&str> {
        self.users.keys().map(String::as_str).filter(|user| self.is_member(group, user)).collect()
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

    fn collect<'a>(&'a self, id: &'a str, user: &str, seen: &mut BTreeSet<&'a str>) -> Option<Privileges> {
        if !seen.insert(id) {
            return None;
        }
        let group = self.groups.get(id)?;
        let mut all = group.users.get(user).cloned();
        for (child, privileges) in &group.children {
            if self.collect(child, user, seen).is_some() {
                all.get_or_insert_default().extend(privileges.iter().cloned());
            }
        }
        all
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
