//! The cases: who asks, for what, and how. A group that the fixture does not have is a missing one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duskgate::sandbox::Fixture;
use duskgate::token::{Caveat, Interface, Token};

use super::group_id;

/// One request, by a name to tell it by.
pub struct Case {
    pub name: String,
    pub request: Request,
}

/// One request to the API.
#[derive(Clone)]
pub struct Request {
    pub method: &'static str,
    /// Below the API's base; `{id}` is the group's.
    pub path: String,
    pub group: String,
    pub person: Person,
    pub host: &'static str,
    pub fields: Vec<String>,
    pub body: Option<Vec<u8>>,
    pub is_chunked: bool,
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Person {
    Nobody,
    User(&'static str),
    Provider(&'static str),
    Basic(&'static str, &'static str),
    /// The user's token with caveats added; `{id}` in an api caveat is the id of the group.
    Confined(&'static str, Vec<Caveat>),
    Field(&'static str),
}

impl Request {
    /// The plain call.
    pub fn of(person: Person, group: &str) -> Self {
        Request {
            method: "POST",
            path: "/groups/{id}/users/token".to_owned(),
            group: group.to_owned(),
            person,
            host: "onezone.example.com",
            fields: Vec::new(),
            body: None,
            is_chunked: false,
        }
    }

    fn field(mut self, field: &str) -> Self {
        self.fields.push(field.to_owned());
        self
    }

    fn body(mut self, content_type: &str, body: &str) -> Self {
        if !content_type.is_empty() {
            self.fields.push(format!("content-type: {content_type}"));
        }
        self.body = Some(body.as_bytes().to_vec());
        self
    }

    fn chunked(mut self) -> Self {
        self.is_chunked = true;
        self
    }

    fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    fn path(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    /// The request as it goes over the wire.
    pub fn bytes(&self, fixture: &Fixture) -> Vec<u8> {
        let id = group_id(fixture, &self.group);
        let path = self.path.replace("{id}", id);
        let mut head = format!("{} /api/v3/onezone{path} HTTP/1.1\r\nhost: {}\r\n", self.method, self.host);
        if let Some(field) = self.person.field(fixture, id) {
            head += &format!("{field}\r\n");
        }
        self.fields.iter().for_each(|field| head += &format!("{field}\r\n"));
        let body = self.body.as_deref().unwrap_or_default();
        let mut bytes = match (self.is_chunked, &self.body) {
            (true, _) => {
                head += "transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
                let mut bytes = head.into_bytes();
                if !body.is_empty() {
                    bytes.extend(
                        format!("{:x}\r\n", body.len()).bytes().chain(body.iter().copied()).chain(*b"\r\n"),
                    );
                }
                bytes.extend(b"0\r\n\r\n");
                return bytes;
            }
            (false, Some(body)) => {
                format!("{head}content-length: {}\r\nconnection: close\r\n\r\n", body.len())
            }
            (false, None) => format!("{head}connection: close\r\n\r\n"),
        }
        .into_bytes();
        bytes.extend(body);
        bytes
    }
}

impl Person {
    fn field(&self, fixture: &Fixture, group: &str) -> Option<String> {
        Some(match self {
            Person::Nobody => return None,
            Person::User(name) => format!("x-auth-token: {}", fixture.user(name).token),
            Person::Provider(name) => format!("x-auth-token: {}", fixture.provider(name).token),
            Person::Basic(name, password) => {
                format!("authorization: Basic {}", STANDARD.encode(format!("{name}:{password}")))
            }
            Person::Confined(name, caveats) => {
                let token = Token::parse(&fixture.user(name).token).unwrap();
                let token =
                    caveats.iter().fold(token, |token, caveat| token.confine(filled(caveat, group)).unwrap());
                format!("x-auth-token: {}", token.serialize())
            }
            Person::Field(field) => (*field).to_owned(),
        })
    }
}

fn filled(caveat: &Caveat, group: &str) -> Caveat {
    match caveat {
        Caveat::Api(entries) => {
            Caveat::Api(entries.iter().map(|entry| entry.replace("{id}", group)).collect())
        }
        other => other.clone(),
    }
}

/// Every case.
pub fn all(fixture: &Fixture) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, request: Request| cases.push(Case { name, request });
    for person in people() {
        for group in ["developers", "empty hands", "missing"] {
            for (index, (how, request)) in ways(Request::of(person.clone(), group)).into_iter().enumerate() {
                // What is sent along is judged alike for most people; each of these stands for many.
                let is_typical = matches!(person, Person::Nobody | Person::User("anna" | "ben" | "blocked"));
                if index > 3 && !is_typical {
                    continue;
                }
                add(format!("{person:?} invites to {group}, {how}"), request);
            }
        }
    }
    // Good for the old route and not for creating tokens, such a token never succeeds anywhere. Where its bearer may
    // not invite either, the old route says that first; with such credentials nobody can find out whether it would.
    let useless = Person::Confined("anna", vec![api(&["ozw/create/group.{id}.invite_user_token:private"])]);
    for group in ["developers", "missing"] {
        add(format!("{useless:?} invites to {group}"), Request::of(useless.clone(), group));
    }
    // The three others are cut inside a character, which is where the rewrite improves on the old route.
    for team in fixture.groups.iter().take(5) {
        let request = Request::of(Person::User("anna"), &team.name);
        add(format!("a group named {:?}", team.name), request);
    }
    for (how, request) in spellings(&Request::of(Person::User("anna"), "developers")) {
        add(how, request);
    }
    cases
}

fn people() -> Vec<Person> {
    let mut people = vec![Person::Nobody];
    let users = ["anna", "ben", "cleo", "dan", "mia", "admin", "inviter", "service", "blocked"];
    people.extend(users.map(Person::User));
    people.push(Person::Provider("Cracow"));
    people.push(Person::Basic("anna", "anna-password"));
    people.push(Person::Basic("anna", "wrong"));
    people.push(Person::Basic("nobody", "wrong"));
    people.extend(
        [
            "x-auth-token: garbage",
            "x-auth-token: xyz-garbage",
            "macaroon: garbage",
            "authorization: Bearer garbage",
            "authorization: bearer garbage",
            "authorization: Token garbage",
            "authorization: Basic ?",
        ]
        .map(Person::Field),
    );
    people.extend(confinements().into_iter().map(|caveats| Person::Confined("anna", caveats)));
    people.push(Person::Confined("ben", vec![api(&["ozw/all/token.*.*:*"])]));
    people
}

fn api(entries: &[&str]) -> Caveat {
    Caveat::Api(entries.iter().map(|entry| (*entry).to_owned()).collect())
}

fn confinements() -> Vec<Vec<Caveat>> {
    let old = "ozw/create/group.{id}.invite_user_token:private";
    let new = "ozw/create/token.null.user_named_token,*:private";
    vec![
        vec![api(&["all/all/*.*.*:*"])],
        vec![api(&[old, new])],
        vec![api(&[new])],
        vec![api(&["ozw/all/token.*.*:*"])],
        vec![api(&[old, new]), api(&["ozw/get/group.*.*:*", "ozw/create/token.*.*:*"])],
        vec![api(&["ozw/create/group.*.*", "all/create/*.*.user_named_token,*"])],
        vec![api(&["opw/all/*.*.*:*"])],
        vec![Caveat::Time { valid_until: 1 }],
        vec![Caveat::Time { valid_until: 4_000_000_000 }],
        vec![api(&[new]), Caveat::Time { valid_until: 1 }],
        vec![Caveat::Interface(Interface::Rest)],
        vec![Caveat::Interface(Interface::Graphsync)],
        vec![Caveat::DataReadonly],
        vec![Caveat::Service(vec!["ozw-onezone".to_owned()])],
        vec![Caveat::Service(vec!["opw-*".to_owned()])],
        vec![Caveat::Consumer(vec!["usr-nobody".to_owned()])],
    ]
}

/// The plain call, and what can be sent with it.
fn ways(plain: Request) -> Vec<(&'static str, Request)> {
    let ask = || plain.clone();
    vec![
        ("plainly", ask()),
        ("with a list", ask().body("application/json", "[]")),
        ("with broken JSON", ask().body("application/json", "{\"a\":")),
        ("with a form", ask().body("application/x-www-form-urlencoded", "a=b")),
        ("with a body of no bytes", ask().body("", "")),
        ("with a form of no bytes", ask().body("application/x-www-form-urlencoded", "")),
        ("with a type that is none and no body", ask().field("content-type: json")),
        ("with a broken parameter and no body", ask().field("content-type: application/json;")),
        (
            "with an object",
            ask().body("application/json", r#"{"privileges":["group_delete"],"usageLimit":7}"#),
        ),
        ("with an object, oddly spelled", ask().body("Application/JSON", " {} \n")),
        ("with an object, chunked", ask().body("application/json", "{}").chunked()),
        ("with no chunks", ask().body("application/json", "").chunked()),
        ("with no chunks and no type", ask().body("", "").chunked()),
        ("with a text", ask().body("application/json", "\"x\"")),
        ("with a number", ask().body("application/json", "5")),
        ("with null", ask().body("application/json", "null")),
        ("with blanks", ask().body("application/json", "  ")),
        ("with a character set", ask().body("application/json; charset=utf-8", "{}")),
        ("with a body of no type", ask().body("", "{}")),
        ("with a body of a type that is none", ask().body("json", "{}")),
        ("accepting HTML", ask().field("accept: text/html")),
        ("accepting anything of its kind", ask().field("accept: application/*")),
        ("accepting anything", ask().field("accept: text/html, */*;q=0.1")),
        ("accepting nonsense", ask().field("accept: ;;")),
        ("accepting HTML with a form", ask().field("accept: text/html").body("text/plain", "x")),
    ]
}

/// Ways to spell the path and the method.
fn spellings(plain: &Request) -> Vec<(String, Request)> {
    let mut all = Vec::new();
    for path in [
        "/groups/{id}/users/token/",
        "/groups/{id}/users/token?a=b",
        "/groups/{id}/%75sers/tok%65n",
        "/groups/x/../{id}/./users/token",
        "/groups/x/%2e%2E/{id}/users/token",
        "/groups/a%2Fb/users/token",
        "/groups/%20/users/token",
        "/groups/%ff/users/token",
        "/groups/%22%5c/users/token",
        "/groups/a.b:c,d/users/token",
    ] {
        all.push((format!("on {path}"), plain.clone().path(path)));
        for method in ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"] {
            // Nothing is created by these; one spelling and the plain one are enough.
            if path.ends_with('/') || path.ends_with("en") {
                all.push((format!("{method} on {path}"), plain.clone().path(path).method(method)));
            }
        }
    }
    let mut elsewhere = plain.clone();
    elsewhere.host = "www.onezone.example.com";
    all.push(("on a host that redirects".to_owned(), elsewhere.path("/groups/{id}/users/token?a=b")));
    all.push(("with two credentials".to_owned(), plain.clone().field("authorization: garbled-H")));
    let large = format!("[{}]", " ".repeat(8_000_000));
    all.push(("with a body that is too large".to_owned(), plain.clone().body("application/json", &large)));
    all
}
