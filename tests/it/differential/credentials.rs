//! Who calls, and how they prove it: every form of contract section 4, good, bad and mixed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duskgate::operation::Entity;
use duskgate::sandbox::Fixture;
use duskgate::token::{Caveat, Filter, Identifier, Interface, Persistence, Subject, Token, Type};
use http::Method;

use super::rows::Row;

/// Header fields that present credentials.
#[derive(Clone, Debug)]
pub struct Credential {
    pub name: String,
    /// `{key}` in a value stands for a token of the sandbox's own making.
    pub fields: Vec<(&'static str, String)>,
}

/// Tokens that each sandbox has to make itself, by the key that stands for them.
pub const OWN: [&str; 10] = [
    "identity",
    "invite",
    "revoked",
    "deleted",
    "temporary",
    "service-identity",
    "spare",
    "bound",
    "ben's",
    "Cracow's",
];

/// Texts that name a token of the sandbox's own making in a path, or seem to (contract, section 7.5).
pub const DELETABLE: [&str; 18] = [
    "spare",
    "spare, confined",
    "spare, confined in vain",
    "spare, tampered with",
    "spare, of a session",
    "spare, of ben",
    "spare, of a Oneprovider",
    "spare, from elsewhere",
    "spare, as an identity",
    "spare, of the first version",
    "identity",
    "invite",
    "revoked",
    "deleted",
    "temporary",
    "bound",
    "ben's",
    "Cracow's",
];

/// What is made of a spare token, by the key that stands for it.
pub fn derived(fixture: &Fixture, spare: &str) -> Vec<(&'static str, String)> {
    let token = Token::parse(spare).unwrap();
    let changed = |change: &dyn Fn(&mut Token)| {
        let mut token = token.clone();
        change(&mut token);
        token.serialize()
    };
    let time = |valid_until| confined(spare, &[Caveat::Time { valid_until }]);
    let anna = fixture.user("anna");
    let ours = format!("ozw/delete/user.{}.client_token,{spare}:private", anna.id);
    let first = Identifier { version: 1, subject: None, kind: Type::ACCESS, ..token.id.clone() };
    vec![
        ("spare, confined", time(4_000_000_000)),
        ("spare, confined in vain", time(1_500_000_000)),
        ("spare, tampered with", tampered(spare)),
        ("spare, of a session", of_session(spare)),
        (
            "spare, of ben",
            changed(&|token| token.id.subject = Some(Subject::User(fixture.user("ben").id.clone()))),
        ),
        (
            "spare, of a Oneprovider",
            changed(&|token| {
                token.id.subject = Some(Subject::Provider(fixture.provider("Cracow").id.clone()))
            }),
        ),
        ("spare, from elsewhere", changed(&|token| token.location = "elsewhere.example.com".to_owned())),
        ("spare, as an identity", changed(&|token| token.id.kind = Type::Identity)),
        ("spare, of the first version", changed(&|token| token.id = first.clone())),
        ("anna for spare alone", confined(&anna.token, &[Caveat::Api(vec![ours])])),
    ]
}

impl Credential {
    pub fn none() -> Self {
        Credential { name: "nobody".to_owned(), fields: Vec::new() }
    }

    /// A user's or a Oneprovider's by name, nobody's, or garbage.
    pub fn of(fixture: &Fixture, name: &str) -> Self {
        match name {
            "nobody" => Credential::none(),
            "garbage" => Credential::garbage(),
            _ => one(name, "X-Auth-Token", &token_of(fixture, name).1),
        }
    }

    /// A token of the sandbox's own making.
    pub fn own(key: &str) -> Self {
        one(&format!("a token: {key}"), "X-Auth-Token", &format!("{{{key}}}"))
    }

    pub fn garbage() -> Self {
        one("garbage", "X-Auth-Token", "garbage")
    }

    /// Somebody's token with caveats added.
    pub fn confined(fixture: &Fixture, who: &str, name: &str, caveats: &[Caveat]) -> Self {
        let token = confined(&token_of(fixture, who).1, caveats);
        one(&format!("{who} confined to {name}"), "X-Auth-Token", &token)
    }

    fn and(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
}

fn one(name: &str, field: &'static str, value: &str) -> Credential {
    Credential { name: name.to_owned(), fields: vec![(field, value.to_owned())] }
}

fn confined(token: &str, caveats: &[Caveat]) -> String {
    let token = Token::parse(token).unwrap();
    caveats.iter().fold(token, |token, caveat| token.confine(caveat.clone()).unwrap()).serialize()
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// The id and the token of a user or a Oneprovider.
pub fn token_of(fixture: &Fixture, name: &str) -> (String, String) {
    match fixture.users.iter().find(|user| user.username == name) {
        Some(user) => (user.id.clone(), user.token.clone()),
        None => (fixture.provider(name).id.clone(), fixture.provider(name).token.clone()),
    }
}

/// Everybody in the fixture, and nobody.
pub fn people(fixture: &Fixture) -> Vec<Credential> {
    let users = fixture.users.iter().map(|user| one(&user.username, "X-Auth-Token", &user.token));
    let providers = fixture.providers.iter().map(|it| one(&it.name, "X-Auth-Token", &it.token));
    std::iter::once(Credential::none()).chain(users).chain(providers).collect()
}

/// Every form of credentials.
pub fn forms(fixture: &Fixture) -> Vec<Credential> {
    let anna = &fixture.user("anna").token;
    let ben = &fixture.user("ben").token;
    let cracow = &fixture.provider("Cracow").token;
    let anna_basic = basic("anna", "anna-password");
    let bearer = format!("Bearer {anna}");
    let mut forms = vec![
        Credential::none(),
        one("a token", "X-Auth-Token", anna),
        one("a bearer", "Authorization", &bearer),
        one("a macaroon", "Macaroon", anna),
        one("a password", "Authorization", &anna_basic),
        one("a lower-case bearer", "Authorization", &format!("bearer {anna}")),
        one("a bearer behind two blanks", "Authorization", &format!("Bearer  {anna}")),
        one("a bearer of nothing", "Authorization", "Bearer"),
        one("a lower-case password", "Authorization", &anna_basic.replacen("Basic", "basic", 1)),
        one("another scheme", "Authorization", &format!("Token {anna}")),
        one("a bare token as authorization", "Authorization", anna),
        one("a digest", "Authorization", "Digest username=\"anna\""),
        one("an empty authorization", "Authorization", ""),
        one("an empty token", "X-Auth-Token", ""),
        one("an empty macaroon", "Macaroon", ""),
        one("garbage as bearer", "Authorization", "Bearer garbage"),
        one("garbage as macaroon", "Macaroon", "garbage"),
        Credential::garbage(),
        one("garbage that looks like a token", "X-Auth-Token", "MDAxY2xvY2F00aW9uIG9uZXpvbmU"),
        one("a token of an identity provider", "X-Auth-Token", "google:ya29.a0AfH6SMB-x_y"),
        one("a tampered token", "X-Auth-Token", &tampered(anna)),
        one("a token twice", "X-Auth-Token", anna).and("X-Auth-Token", anna),
        one("a token of a session", "X-Auth-Token", &of_session(anna)),
        one("a token of an unknown id", "X-Auth-Token", &foreign(2)),
        one("a token of the first version", "X-Auth-Token", &foreign(1)),
        one("an unknown user", "Authorization", &basic("nobody", "x")),
        one("a wrong password", "Authorization", &basic("anna", "wrong")),
        one("a password without a colon", "Authorization", &format!("Basic {}", STANDARD.encode("anna"))),
        one("a password that is no base64", "Authorization", "Basic ???"),
        one("a password of nothing", "Authorization", "Basic "),
        one("a blocked password", "Authorization", &basic("blocked", "blocked-password")),
        one("a blocked wrong password", "Authorization", &basic("blocked", "wrong")),
        one("a blocked token", "X-Auth-Token", &fixture.user("blocked").token),
        one("a token before a garbled authorization", "X-Auth-Token", anna)
            .and("Authorization", format!("{anna}-H")),
        one("a garbled authorization before a token", "Authorization", &format!("{anna}-H"))
            .and("X-Auth-Token", anna),
        one("garbage before a bearer", "X-Auth-Token", "garbage").and("Authorization", &bearer),
        one("a token before another's bearer", "X-Auth-Token", ben).and("Authorization", &bearer),
        one("a bearer before another's macaroon", "Macaroon", ben).and("Authorization", &bearer),
        one("a macaroon before a wrong password", "Macaroon", anna)
            .and("Authorization", basic("anna", "wrong")),
        one("a bad macaroon before a password", "Macaroon", "x").and("Authorization", &anna_basic),
        one("a Oneprovider", "X-Auth-Token", cracow),
        one("a prefixed Oneprovider", "X-Auth-Token", &format!("opw-{cracow}")),
        one("a Oneprovider's panel", "Authorization", &format!("Bearer opp-{cracow}")),
        one("a Oneprovider of a wrong prefix", "X-Auth-Token", &format!("xyz-{cracow}")),
        one("a Oneprovider as macaroon", "Macaroon", &format!("opw-{cracow}")),
        one("a prefixed user", "X-Auth-Token", &format!("opw-{anna}")),
        one("a cookie", "Cookie", "SID=0123456789abcdef"),
        one("a token and a cookie", "X-Auth-Token", anna).and("Cookie", "SID=0123456789abcdef"),
        one("a bad service token", "X-Auth-Token", anna).and("X-Onedata-Service-Token", "garbage"),
        one("a bad consumer token", "X-Auth-Token", anna).and("X-Onedata-Consumer-Token", "garbage"),
        one("nobody with a bad service token", "X-Onedata-Service-Token", "garbage"),
        one("a service token", "X-Auth-Token", anna).and("X-Onedata-Service-Token", format!("opw-{cracow}")),
    ];
    forms.extend(OWN.map(Credential::own));
    let cases = caveats(fixture);
    forms.extend(cases.iter().map(|(name, caveats)| Credential::confined(fixture, "anna", name, caveats)));
    let for_service = confined(anna, &[Caveat::Service(vec!["opw-*".to_owned()])]);
    forms.push(
        one("confined to a service that proves itself", "X-Auth-Token", &for_service)
            .and("X-Onedata-Service-Token", format!("opw-{cracow}")),
    );
    let for_ben = vec![format!("usr-{}", fixture.user("ben").id)];
    forms.push(
        one(
            "confined to a consumer who is there",
            "X-Auth-Token",
            &confined(anna, &[Caveat::Consumer(for_ben)]),
        )
        .and("X-Onedata-Consumer-Token", "{service-identity}"),
    );
    forms
}

/// Caveats that are judged at authentication (api caveats are not).
fn caveats(fixture: &Fixture) -> Vec<(&'static str, Vec<Caveat>)> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let time = |valid_until| Caveat::Time { valid_until };
    vec![
        ("a time to come", vec![time(4_000_000_000)]),
        ("a time gone by", vec![time(1_500_000_000)]),
        ("two times", vec![time(4_000_000_000), time(1_500_000_000)]),
        ("an autonomous system", vec![Caveat::Asn(vec![322])]),
        ("a country", vec![Caveat::GeoCountry(Filter::Whitelist, words(&["PL"]))]),
        ("no such region", vec![Caveat::GeoRegion(Filter::Blacklist, words(&["EU"]))]),
        ("this interface", vec![Caveat::Interface(Interface::Rest)]),
        ("graphsync", vec![Caveat::Interface(Interface::Graphsync)]),
        ("oneclient", vec![Caveat::Interface(Interface::Oneclient)]),
        ("this service", vec![Caveat::Service(words(&["ozw-onezone"]))]),
        ("such a service", vec![Caveat::Service(words(&["ozw-*"]))]),
        ("a Oneprovider's service", vec![Caveat::Service(words(&["opw-*"]))]),
        ("the panel", vec![Caveat::Service(words(&["ozp-onezone"]))]),
        ("a consumer", vec![Caveat::Consumer(vec![format!("usr-{}", fixture.user("anna").id)])]),
        ("any consumer", vec![Caveat::Consumer(words(&["usr-*"]))]),
        ("reading data", vec![Caveat::DataReadonly]),
        ("a path", vec![Caveat::DataPath(words(&["L3NwYWNl"]))]),
        ("a file", vec![Caveat::DataObjectid(words(&["00000000006CB6637368"]))]),
        ("something unknown", vec![Caveat::Unknown(b"phase = full moon".to_vec())]),
        ("an identity", vec![Caveat::IdentityScope]),
        ("this address", vec![Caveat::parse(b"ip = 127.0.0.1/32")]),
        ("another address", vec![Caveat::parse(b"ip = 203.0.113.0/24|198.51.100.7/32")]),
    ]
}

/// Lists of api caveats. `{verb}` is what is done, `{old}` the old route's resource without its scope, `{aspect}` its last
/// part, `{any}` the same of anything, `{new}` that of the newer call.
const API: &[(&str, &[&[&str]])] = &[
    ("everything", &[&["all/all/*.*.*:*"]]),
    ("everything, in stars", &[&["*/*/*.*.*:*"]]),
    ("the old route", &[&["ozw/{verb}/{old}:private"]]),
    ("the old route of anything", &[&["ozw/{verb}/{any}:private"]]),
    ("tokens", &[&["ozw/all/token.*.*:*"]]),
    ("the newer call", &[&["ozw/{verb}/{new}:private"]]),
    ("creating another's tokens", &[&["ozw/create/token.null.user_named_token,x:private"]]),
    ("both", &[&["ozw/{verb}/{old}:private", "ozw/{verb}/{new}:private"]]),
    ("both, without a scope", &[&["ozw/{verb}/{old}", "ozw/{verb}/token.*.*"]]),
    ("both, of any service", &[&["all/{verb}/{kind}.{id}.*:*", "all/{verb}/{new}:*"]]),
    ("both and reading", &[&["ozw/{verb}/*.*.*:*", "ozw/get/{kind}.{id}.instance:*"]]),
    ("another place", &[&["ozw/{verb}/{kind}.other.{aspect}:private", "ozw/all/token.*.*:*"]]),
    ("another aspect", &[&["ozw/{verb}/{kind}.{id}.invite_nobody_token:private", "ozw/all/token.*.*:*"]]),
    ("the newer call and each token", &[&["ozw/{verb}/{new}:private", "ozw/get/token.*.instance:private"]]),
    ("reading", &[&["ozw/get/*.*.*:*"]]),
    ("another service", &[&["opw/all/*.*.*:*"]]),
    ("the public scope", &[&["ozw/all/*.*.*:public"]]),
    ("nothing at all", &[&["ozw/delete/space.x.instance:private"]]),
    ("two that agree", &[&["all/all/*.*.*:*"], &["ozw/{verb}/*.*.*:*"]]),
    ("two that do not", &[&["ozw/{verb}/{kind}.{id}.*:*"], &["ozw/{verb}/token.*.*:*"]]),
    ("two, the second too narrow", &[&["all/all/*.*.*:*"], &["ozw/all/token.*.*:*"]]),
];

/// Somebody's token confined to each of the api caveats, for calls about this id.
pub fn api(fixture: &Fixture, row: &Row, who: &str, id: &str) -> Vec<Credential> {
    let operation = &row.operation;
    let own = token_of(fixture, who).0;
    let (kind, id, aspect) = match &operation.resource {
        Some(resource) => {
            let of_caller = resource.entity == Entity::Caller;
            let parameter = resource.parameter.as_ref().map(|_| format!(",{id}")).unwrap_or_default();
            let aspect = format!("{}{parameter}", resource.aspect);
            (resource.kind.as_str(), if of_caller { own.as_str() } else { id }, aspect)
        }
        None => ("user", own.as_str(), "space_alias".to_owned()),
    };
    let verb = match operation.method {
        Method::GET => "get",
        Method::DELETE => "delete",
        Method::PATCH => "update",
        _ => "create",
    };
    let subject = if fixture.users.iter().any(|user| user.id == own) { "user" } else { "provider" };
    let new = match verb {
        "get" => format!("token.null.user_named_tokens,{own}"),
        "delete" => "token.*.instance".to_owned(),
        _ => format!("token.null.{subject}_named_token,{own}"),
    };
    let filled = |entry: &str| {
        entry
            .replace("{verb}", verb)
            .replace("{old}", &format!("{kind}.{id}.{aspect}"))
            .replace("{any}", &format!("{kind}.*.{aspect}"))
            .replace("{new}", &new)
            .replace("{kind}", kind)
            .replace("{id}", id)
            .replace("{aspect}", &aspect)
    };
    let caveat = |entries: &&[&str]| Caveat::Api(entries.iter().map(|entry| filled(entry)).collect());
    let confined = |(name, lists): &(&str, &[&[&str]])| {
        let caveats: Vec<_> = lists.iter().map(caveat).collect();
        Credential::confined(fixture, who, name, &caveats)
    };
    API.iter().map(confined).collect()
}

/// The same with the signature of another secret.
fn tampered(token: &str) -> String {
    let Token { location, id, caveats, .. } = Token::parse(token).unwrap();
    Token::mint(&location, id, caveats, b"another secret").unwrap().serialize()
}

fn of_session(token: &str) -> String {
    let mut token = Token::parse(token).unwrap();
    token.id.kind = Type::Access { session: Some("0123456789abcdef".to_owned()) };
    token.serialize()
}

fn foreign(version: u8) -> String {
    let identifier = Identifier {
        version,
        persistence: Persistence::Named,
        subject: (version > 1).then(|| Subject::User("someone".to_owned())),
        kind: Type::ACCESS,
        id: "0123456789abcdef".to_owned(),
    };
    Token::mint("elsewhere.example.com", identifier, Vec::new(), b"secret").unwrap().serialize()
}
