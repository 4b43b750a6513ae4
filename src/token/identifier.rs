//! The identifier inside a token (contract, section 12.1): `2/<persistence>/<subject>/<type>/<id>`, or in version 1
//! the bare id. Reading accepts exactly what writing produces.

use std::fmt;

use serde_json::{Value, json};

/// What a token is, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identifier {
    /// The version of the format: 2, or 1 for tokens of releases before 20.02.
    pub version: u8,
    /// How long the token lives. Version 1 tokens are named.
    pub persistence: Persistence,
    /// Who issued it and acts through it; version 1 tokens do not say.
    pub subject: Option<Subject>,
    /// What it is good for. Version 1 tokens are access tokens.
    pub kind: Type,
    /// The id of the token itself; of a named one that of its record.
    pub id: String,
}

/// How long a token lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Persistence {
    /// It has a record and a secret of its own.
    Named,
    /// It has no record; it dies when the subject's tokens of that generation are revoked.
    Temporary {
        /// The generation of the subject's shared secret.
        generation: u64,
    },
}

/// Who acts through a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A user, by id.
    User(String),
    /// A Oneprovider, by id.
    Provider(String),
}

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// Calling APIs.
    Access {
        /// The browser session that it is bound to.
        session: Option<String>,
    },
    /// Proving who the bearer is.
    Identity,
    /// Joining something.
    Invite {
        /// Who joins what.
        kind: InviteType,
        /// The id of what is joined.
        target: String,
        /// What stands behind the target. Readers ignore it.
        parameters: String,
    },
}

/// Who joins what with an invite token (contract, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InviteType {
    /// A user becomes a member of a group.
    UserJoinGroup,
    /// A group becomes a child of a group.
    GroupJoinGroup,
    /// A user joins a space.
    UserJoinSpace,
    /// A group joins a space.
    GroupJoinSpace,
    /// A Oneprovider supports a space.
    SupportSpace,
    /// A user joins a harvester.
    UserJoinHarvester,
    /// A group joins a harvester.
    GroupJoinHarvester,
    /// A space becomes a source of a harvester; the harvester invites.
    SpaceJoinHarvester,
    /// A harvester takes a space as a source; the space invites.
    HarvesterJoinSpace,
    /// A user joins a cluster.
    UserJoinCluster,
    /// A group joins a cluster.
    GroupJoinCluster,
    /// A user joins an automation inventory.
    UserJoinAtmInventory,
    /// A group joins an automation inventory.
    GroupJoinAtmInventory,
    /// A Oneprovider is registered; its first administrator is the target.
    RegisterOneprovider,
}

impl Identifier {
    /// A version 2 identifier.
    pub fn new(persistence: Persistence, subject: Subject, kind: Type, id: impl Into<String>) -> Self {
        Identifier { version: 2, persistence, subject: Some(subject), kind, id: id.into() }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('/');
        let identifier = match (fields.next()?, fields.next()) {
            ("", _) => return None,
            (id, None) => Identifier {
                version: 1,
                persistence: Persistence::Named,
                subject: None,
                kind: Type::Access { session: None },
                id: id.to_owned(),
            },
            ("2", Some(persistence)) => Identifier::new(
                Persistence::parse(persistence)?,
                Subject::parse(fields.next()?)?,
                Type::parse(fields.next()?)?,
                fields.next().filter(|id| !id.is_empty())?,
            ),
            _ => return None,
        };
        fields.next().is_none().then_some(identifier)
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            None => f.write_str(&self.id),
            Some(subject) => {
                write!(f, "{}/{}/{subject}/{}/{}", self.version, self.persistence, self.kind, self.id)
            }
        }
    }
}

impl Persistence {
    /// `{"type":"named"}` or `{"type":"temporary","generation":7}`.
    pub fn to_json(self) -> Value {
        match self {
            Persistence::Named => json!({"type": "named"}),
            Persistence::Temporary { generation } => json!({"type": "temporary", "generation": generation}),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "nmd" => Some(Persistence::Named),
            _ => Some(Persistence::Temporary { generation: decimal(text.strip_prefix("tmp-")?)? }),
        }
    }
}

impl fmt::Display for Persistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Persistence::Named => f.write_str("nmd"),
            Persistence::Temporary { generation } => write!(f, "tmp-{generation}"),
        }
    }
}

impl Subject {
    /// `{"type":"user","id":…}` or `{"type":"oneprovider","id":…}`.
    pub fn to_json(&self) -> Value {
        match self {
            Subject::User(id) => json!({"type": "user", "id": id}),
            Subject::Provider(id) => json!({"type": "oneprovider", "id": id}),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('-').filter(|(_, id)| !id.is_empty())?;
        match kind {
            "usr" => Some(Subject::User(id.to_owned())),
            "prv" => Some(Subject::Provider(id.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::User(id) => write!(f, "usr-{id}"),
            Subject::Provider(id) => write!(f, "prv-{id}"),
        }
    }
}

impl Type {
    /// An ordinary access token.
    pub const ACCESS: Type = Type::Access { session: None };

    /// An invitation, with the parameters that Onezone writes for its kind.
    pub fn invite(kind: InviteType, target: impl Into<String>) -> Self {
        let parameters = if kind == InviteType::SupportSpace { "ge" } else { "" };
        Type::Invite { kind, target: target.into(), parameters: parameters.to_owned() }
    }

    /// `{"accessToken":{}}`, `{"identityToken":{}}` or
    /// `{"inviteToken":{"inviteType":"userJoinGroup","groupId":…,"parameters":{}}}`.
    pub fn to_json(&self) -> Value {
        match self {
            Type::Access { session: None } => json!({"accessToken": {}}),
            Type::Access { session: Some(session) } => json!({"accessToken": {"sessionId": session}}),
            Type::Identity => json!({"identityToken": {}}),
            Type::Invite { kind, target, .. } => json!({"inviteToken": {
                "inviteType": kind.name(), kind.target_key(): target, "parameters": {}
            }}),
        }
    }

    /// Reads the forms that [`Type::to_json`] writes, `parameters` being optional.
    pub fn from_json(value: &Value) -> Option<Self> {
        let object = value.as_object().filter(|object| object.len() == 1)?;
        let (name, body) = object.iter().next()?;
        let body = body.as_object()?;
        match name.as_str() {
            "accessToken" => match body.get("sessionId") {
                None => Some(Type::ACCESS),
                Some(session) => Some(Type::Access { session: Some(session.as_str()?.to_owned()) }),
            },
            "identityToken" => Some(Type::Identity),
            "inviteToken" => {
                let kind = InviteType::named(body.get("inviteType")?.as_str()?)?;
                Some(Type::invite(kind, body.get(kind.target_key())?.as_str()?))
            }
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let Some((code, rest)) = text.split_once(':') else {
            return match text {
                "act" => Some(Type::ACCESS),
                "idn" => Some(Type::Identity),
                _ => None,
            };
        };
        if code == "act" {
            return (!rest.is_empty()).then(|| Type::Access { session: Some(rest.to_owned()) });
        }
        let kind = InviteType::coded(code)?;
        let (target, parameters) = rest.split_once(':').filter(|(target, _)| !target.is_empty())?;
        Some(Type::Invite { kind, target: target.to_owned(), parameters: parameters.to_owned() })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Access { session: None } => f.write_str("act"),
            Type::Access { session: Some(session) } => write!(f, "act:{session}"),
            Type::Identity => f.write_str("idn"),
            Type::Invite { kind, target, parameters } => write!(f, "{}:{target}:{parameters}", kind.code()),
        }
    }
}

impl InviteType {
    /// Every kind of invitation: its code in identifiers, its name in JSON, the key of the target's id beside it.
    const TABLE: [(InviteType, &'static str, &'static str, &'static str); 14] = [
        (InviteType::UserJoinGroup, "ujg", "userJoinGroup", "groupId"),
        (InviteType::GroupJoinGroup, "gjg", "groupJoinGroup", "groupId"),
        (InviteType::UserJoinSpace, "ujs", "userJoinSpace", "spaceId"),
        (InviteType::GroupJoinSpace, "gjs", "groupJoinSpace", "spaceId"),
        (InviteType::SupportSpace, "ssp", "supportSpace", "spaceId"),
        (InviteType::UserJoinHarvester, "ujh", "userJoinHarvester", "harvesterId"),
        (InviteType::GroupJoinHarvester, "gjh", "groupJoinHarvester", "harvesterId"),
        (InviteType::SpaceJoinHarvester, "sjh", "spaceJoinHarvester", "harvesterId"),
        (InviteType::HarvesterJoinSpace, "hjs", "harvesterJoinSpace", "spaceId"),
        (InviteType::UserJoinCluster, "ujc", "userJoinCluster", "clusterId"),
        (InviteType::GroupJoinCluster, "gjc", "groupJoinCluster", "clusterId"),
        (InviteType::UserJoinAtmInventory, "uji", "userJoinAtmInventory", "atmInventoryId"),
        (InviteType::GroupJoinAtmInventory, "gji", "groupJoinAtmInventory", "atmInventoryId"),
        (InviteType::RegisterOneprovider, "rop", "registerOneprovider", "adminUserId"),
    ];

    /// Every kind of invitation.
    pub fn all() -> impl Iterator<Item = InviteType> {
        Self::TABLE.iter().map(|row| row.0)
    }

    /// The `inviteType` of this name: `userJoinGroup`.
    pub fn named(name: &str) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.2 == name).map(|row| row.0)
    }

    /// Its name in JSON: `userJoinGroup`.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// The key beside `inviteType` that holds the target's id: `groupId`.
    pub fn target_key(self) -> &'static str {
        self.row().3
    }

    fn code(self) -> &'static str {
        self.row().1
    }

    fn coded(code: &str) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.1 == code).map(|row| row.0)
    }

    /// The rows stand in the order of the variants, which a test holds them to.
    fn row(self) -> &'static (InviteType, &'static str, &'static str, &'static str) {
        &Self::TABLE[self as usize]
    }
}

/// Reads a number written the one way it is written: no sign, no leading zero.
pub(super) fn decimal<N: std::str::FromStr + ToString>(text: &str) -> Option<N> {
    text.parse().ok().filter(|number: &N| number.to_string() == text)
}
