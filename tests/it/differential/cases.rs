//! The cases, made as products of who calls, for what, how the path is spelled, and what is sent along. Each chapter is
//! about one part of the contract's order of checks (section 3) in combination with the others.

use duskgate::sandbox::Fixture;

use super::credentials::{self, Credential};
use super::sent::{self, Sent};
use crate::support::http::Request;

/// A group that does not exist.
pub const MISSING: &str = "missing";

/// One call, the same on both sides.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    /// The group's name in the fixture, or [`MISSING`].
    pub group: String,
    pub credential: Credential,
    /// Without the credentials.
    pub request: Request,
    /// Whether it is a call of the deprecated operation, however it is spelled.
    pub is_call: bool,
    /// Whether the circuit breaker is open.
    pub breaker: bool,
}

impl Case {
    /// The plain call.
    pub fn plain(fixture: &Fixture, credential: &Credential, group: &str) -> Self {
        Case {
            name: format!("{} for {group}", credential.name),
            group: group.to_owned(),
            credential: credential.clone(),
            request: Request::new("POST", &path(&id_of(fixture, group))),
            is_call: true,
            breaker: false,
        }
    }

    pub fn with(mut self, sent: &Sent) -> Self {
        self.name += &format!(", {}", sent.name);
        for (name, value) in &sent.fields {
            self.request = self.request.header(name, value);
        }
        if let Some(body) = &sent.body {
            self.request.body = body.clone();
        }
        self
    }

    fn at(mut self, target: &str, is_call: bool) -> Self {
        self.name += &format!(", on {target}");
        self.request.target = target.to_owned();
        self.is_call = is_call;
        self
    }

    fn method(mut self, method: &str) -> Self {
        self.name += &format!(", {method}");
        self.request.method = method.to_owned();
        self.is_call = method == "POST" && self.is_call;
        self
    }
}

/// The id of a group of the fixture; any other name stands for itself.
fn id_of(fixture: &Fixture, group: &str) -> String {
    let known = fixture.groups.iter().find(|team| team.name == group);
    known.map_or_else(|| group.to_owned(), |team| team.id.clone())
}

fn path(id: &str) -> String {
    format!("/api/v3/onezone/groups/{id}/users/token")
}

/// Everybody, for every group, with nothing, with what is refused last and with what is refused first.
pub fn everybody(fixture: &Fixture) -> Vec<Case> {
    let groups = fixture.groups.iter().map(|team| team.name.as_str()).chain([MISSING]);
    let mut cases = Vec::new();
    for group in groups {
        for who in credentials::people(fixture) {
            for sent in [sent::nothing(), sent::json("[]"), sent::json("{")] {
                cases.push(Case::plain(fixture, &who, group).with(&sent));
            }
        }
    }
    cases
}

/// Every form of credentials, for a group that exists and one that does not, with what is refused at each later step.
pub fn every_credential(fixture: &Fixture) -> Vec<Case> {
    let mut cases = Vec::new();
    for who in credentials::forms(fixture) {
        for group in ["developers", MISSING] {
            for sent in [
                sent::nothing(),
                sent::json("[]"),
                sent::json("{"),
                sent::accepting("text/html"),
                sent::typed("text/plain", "x"),
            ] {
                cases.push(Case::plain(fixture, &who, group).with(&sent));
            }
        }
    }
    cases
}

/// Every body under every content type, for a caller who may, one who may not, and nobody.
pub fn every_body(fixture: &Fixture) -> Vec<Case> {
    let callers = [
        (Credential::of(fixture, "anna"), "developers"),
        (Credential::of(fixture, "ben"), "developers"),
        (Credential::none(), MISSING),
    ];
    let mut cases = Vec::new();
    for sent in sent::bodies() {
        for (who, group) in &callers {
            cases.push(Case::plain(fixture, who, group).with(&sent));
        }
    }
    cases
}

/// Every `Accept`, with what is refused before and after.
pub fn every_accept(fixture: &Fixture) -> Vec<Case> {
    let callers = [
        (Credential::of(fixture, "anna"), "developers"),
        (Credential::none(), MISSING),
        (Credential::garbage(), MISSING),
    ];
    let mut cases = Vec::new();
    for accept in sent::accepts() {
        for (who, group) in &callers {
            for sent in [sent::nothing(), sent::json("{"), sent::typed("a/b", "x"), sent::bare_type("json")] {
                cases.push(Case::plain(fixture, who, group).with(&accept).with(&sent));
            }
        }
    }
    cases
}

/// Api caveats (contract, section 4.1) of one who may invite and one who may not.
pub fn every_api_caveat(fixture: &Fixture) -> Vec<Case> {
    let mut cases = Vec::new();
    for group in ["developers", MISSING] {
        for username in ["anna", "ben"] {
            for who in credentials::api(fixture, username, &id_of(fixture, group)) {
                for sent in [
                    sent::nothing(),
                    sent::json("[]"),
                    sent::json("{"),
                    sent::accepting("text/html"),
                    sent::typed("a/b", "x"),
                ] {
                    cases.push(Case::plain(fixture, &who, group).with(&sent));
                }
            }
        }
    }
    cases
}

/// Everything that is decided before and after the circuit breaker, which is open.
pub fn breaker(fixture: &Fixture) -> Vec<Case> {
    let mut cases = Vec::new();
    for who in credentials::forms(fixture) {
        cases.push(Case::plain(fixture, &who, "developers"));
    }
    let callers = [
        Credential::of(fixture, "anna"),
        Credential::of(fixture, "dan"),
        Credential::none(),
        Credential::garbage(),
    ];
    for who in callers {
        for group in ["developers", MISSING] {
            for sent in sent::a_few() {
                cases.push(Case::plain(fixture, &who, group).with(&sent));
            }
        }
    }
    let id = id_of(fixture, "developers");
    for who in credentials::api(fixture, "anna", &id) {
        for sent in [sent::nothing(), sent::json("[]")] {
            cases.push(Case::plain(fixture, &who, "developers").with(&sent));
        }
    }
    cases.iter_mut().for_each(|case| case.breaker = true);
    cases
}

/// Spellings of the path, and paths that only look like it. `{id}` is the group's; `true` where it is the route.
const SPELLINGS: &[(&str, bool)] = &[
    ("/api/v3/onezone/groups/{id}/users/token", true),
    ("/api/v3/onezone/groups/{id}/users/token/", true),
    ("/api/v3/onezone/groups/{id}/users/token?", true),
    ("/api/v3/onezone/groups/{id}/users/token?a=b&c=%zz", true),
    ("/api/v3/onezone/groups/{id}/users/token/?x=/y/../z", true),
    ("/api/v3/onezone/groups/{id}/%75sers/token", true),
    ("/api/v3/onezone/groups/{id}/users/%74%6f%6B%65%6E", true),
    ("/%61%70%69/v3/onezone/groups/{id}/users/token", true),
    ("/api/v3/onezone/groups/{id}/./users/token", true),
    ("/api/v3/onezone/groups/{id}/%2e/users/token", true),
    ("/api/v3/onezone/groups/x/../{id}/users/token", true),
    ("/api/v3/onezone/groups/{id}/users/x/../token", true),
    ("/api/v3/onezone/groups/{id}/users/x/%2E%2e/token", true),
    ("/api/v3/onezone/spaces/s/../../groups/{id}/users/token", true),
    ("/../../api/v3/onezone/groups/{id}/users/token", true),
    ("/api/v3/onezone/groups/{id}/users/token/.", true),
    ("/api/v3/onezone/groups/{id}/users/token/x/..", true),
    ("http://onezone.example.com/api/v3/onezone/groups/{id}/users/token", true),
    ("http://onezone.example.com/api/v3/onezone/groups/{id}/users/token?x", true),
    ("//api/v3/onezone/groups/{id}/users/token", false),
    ("/api//v3/onezone/groups/{id}/users/token", false),
    ("/api/v3/onezone/groups//{id}/users/token", false),
    ("/api/v3/onezone/groups/{id}//users/token", false),
    ("/api/v3/onezone/groups/{id}/users//token", false),
    ("/api/v3/onezone/groups/{id}/users/token//", false),
    ("/api/v3/onezone/groups//users/token", false),
    ("/api/v3/onezone/groups/./users/token", false),
    ("/api/v3/onezone/groups/%2e%2e/users/token", false),
    ("/api/v3/onezone/groups/{id}/users/Token", false),
    ("/api/v3/onezone/Groups/{id}/users/token", false),
    ("/API/v3/onezone/groups/{id}/users/token", false),
    ("/api/v3/onezone/groups/{id}%2Fusers/token", false),
    ("/api/v3/onezone/groups/{id}/users%2Ftoken", false),
    ("/api/v3/onezone/groups/{id}/users/token%2F", false),
    ("/api/v3/onezone/groups/{id}/users/token%20", false),
    ("/api/v3/onezone/groups/{id}/users/token;x=y", false),
    ("/api/v3/onezone/groups/{id}/users/tokens", false),
    ("/api/v3/onezone/groups/{id}/users/token/x", false),
    ("/api/v3/onezone/groups/{id}/users/%zz", false),
    ("/api/v3/onezone/groups/%/users/token", false),
    ("/api/v3/onezone/groups/%2/users/token", false),
    ("/api/v3/onezone/groups/{id}/users/token%", false),
    ("/api/v3/onezone/groups/{id}/effective_users/token", false),
    ("/api/v3/onezone/groups/{id}/users", false),
    ("/groups/{id}/users/token", false),
];

/// Spellings of the path (contract, section 2).
pub fn spellings(fixture: &Fixture) -> Vec<Case> {
    let id = id_of(fixture, "developers");
    let mut cases = Vec::new();
    for who in [Credential::of(fixture, "anna"), Credential::none(), Credential::garbage()] {
        for (spelling, is_call) in SPELLINGS {
            for sent in [sent::nothing(), sent::json("[]")] {
                let case = Case::plain(fixture, &who, "developers").with(&sent);
                cases.push(case.at(&spelling.replace("{id}", &id), *is_call));
            }
        }
    }
    cases
}

/// Methods on the route's path.
pub fn methods(fixture: &Fixture) -> Vec<Case> {
    let id = id_of(fixture, "developers");
    let mut cases = Vec::new();
    for who in [Credential::of(fixture, "anna"), Credential::none(), Credential::garbage()] {
        for method in [
            "GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "FOO", "post", "Post",
            "POSTS",
        ] {
            for (spelling, _) in SPELLINGS.iter().filter(|(_, is_call)| *is_call).step_by(3) {
                let case = Case::plain(fixture, &who, "developers").at(&spelling.replace("{id}", &id), true);
                cases.push(case.method(method));
            }
            for sent in [sent::accepting("text/html"), sent::json("{"), sent::preflight()] {
                cases.push(Case::plain(fixture, &who, "developers").with(&sent).method(method));
            }
        }
    }
    cases
}

/// Values in the place of the group's id.
const IDS: &[&str] = &[
    "a",
    "%20",
    "%20x",
    "a%20b",
    "a+b",
    "%00",
    "%0a",
    "%0d%0aX-Injected:%20yes",
    "%7f",
    "%ff",
    "%ff%fe%00",
    "%c3%28",
    "%F0%9F%98%80",
    "%C3%A9",
    "a%2Fb",
    "%2F",
    "..%2f..",
    "%252e",
    "%22",
    "%5c",
    "%22%5c%22%7d",
    "%7B%7D",
    "%3Cscript%3E",
    "a:b",
    "a%3Ab",
    "a.b",
    "...",
    "a,b",
    "a;b=c",
    "a=b",
    "a&b",
    "@",
    "~",
    "!$'()*",
    "%25",
    "null",
    "token",
    "users",
    "%E2%80%AE",
    "%EF%BB%BF",
    "undefined",
    "-",
    "_",
    "0",
];

/// Ids of every kind. None of them is a group's.
pub fn ids(fixture: &Fixture) -> Vec<Case> {
    let mut callers = vec![Credential::of(fixture, "anna"), Credential::none(), Credential::garbage()];
    callers.extend(credentials::api(fixture, "anna", "a").into_iter().skip(1).step_by(3).take(3));
    let long = [100, 1000, 4000, 7900].map(|length| "x".repeat(length));
    let escaped = [300, 2000].map(|length| "%C3%A9".repeat(length / 6));
    let expanding = ["!".repeat(1000)];
    let mut cases = Vec::new();
    for who in &callers {
        for id in IDS.iter().copied().chain(long.iter().chain(&escaped).chain(&expanding).map(String::as_str))
        {
            cases.push(Case::plain(fixture, who, "nothing").at(&path(id), true));
        }
    }
    for id in IDS {
        let case = Case::plain(fixture, &callers[0], "nothing").at(&path(id), true);
        cases.push(case.with(&sent::json("[]")));
    }
    let id = id_of(fixture, "developers");
    let mut odd = vec![id.to_uppercase(), format!("{id}%20"), format!("{id}%00"), id[1..].to_owned()];
    odd.push(id.bytes().map(|byte| format!("%{byte:02x}")).collect());
    for id in odd {
        cases.push(Case::plain(fixture, &callers[0], "nothing").at(&path(&id), true));
    }
    cases
}

/// Other header fields, which change nothing on the old route, or are the listener's to judge.
pub fn fields(fixture: &Fixture) -> Vec<Case> {
    let mut cases = Vec::new();
    for (who, group) in [
        (Credential::of(fixture, "anna"), "developers"),
        (Credential::of(fixture, "dan"), "developers"),
        (Credential::none(), MISSING),
        (Credential::garbage(), "developers"),
    ] {
        for sent in sent::fields() {
            cases.push(Case::plain(fixture, &who, group).with(&sent));
        }
    }
    cases
}

/// Bodies around the size that is still read (contract, section 5).
pub fn large(fixture: &Fixture) -> Vec<Case> {
    let mut cases = Vec::new();
    for (who, group) in [(Credential::of(fixture, "anna"), "developers"), (Credential::none(), MISSING)] {
        for size in [8_000_000, 8_000_001] {
            cases.push(Case::plain(fixture, &who, group).with(&sent::large(size)));
        }
    }
    cases
}
