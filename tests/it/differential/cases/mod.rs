//! The cases, made as products of who calls, for what, how the path is spelled, and what is sent along. Each chapter is
//! about one part of the contract's order of checks (section 3) in combination with the others. Most are written for any
//! operation, in full or in brief; `paths` has those about the path, and what only some operations know lies beside it.

pub mod client_tokens;
pub mod observed;
pub mod paths;
pub mod registration;

use duskgate::operation::Mode;
use duskgate::sandbox::Fixture;
use serde_json::{Value, json};

use super::credentials::{self, Credential};
use super::rows::{self, MISSING, Row};
use super::sent::{self, Sent};
use crate::route_model::model::model;
use crate::support::http::Request;

/// One call, the same on all sides.
#[derive(Clone)]
pub struct Case {
    pub name: String,
    pub row: &'static Row,
    /// By name, what it is about.
    pub place: String,
    pub credential: Credential,
    /// Without the credentials. `{key}` in the path stands for a token of the sandbox's own making.
    pub request: Request,
    /// Whether the circuit breaker is open.
    pub breaker: bool,
    /// Whether registering Oneproviders is restricted.
    pub restricted: bool,
    /// What somebody does directly at Onezone before.
    pub before: Option<Before>,
}

/// A call that succeeds, of a path under the API's base.
#[derive(Clone)]
pub struct Before {
    pub who: &'static str,
    pub method: &'static str,
    pub path: String,
    pub body: Value,
}

impl Case {
    /// The plain call.
    pub fn plain(fixture: &Fixture, row: &'static Row, credential: &Credential, place: &str) -> Self {
        Case {
            name: format!("{}: {} for {place}", row.operation.id, credential.name),
            row,
            place: place.to_owned(),
            credential: credential.clone(),
            request: Request::new(row.operation.method.as_str(), &row.path(&row.id(fixture, place))),
            breaker: false,
            restricted: false,
            before: named_before(fixture, row),
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

    pub fn at(mut self, target: &str) -> Self {
        self.name += &format!(", on {target}");
        self.request.target = target.to_owned();
        self
    }

    pub fn method(mut self, method: &str) -> Self {
        self.name += &format!(", {method}");
        self.request.method = method.to_owned();
        self
    }

    pub fn restricted(mut self) -> Self {
        self.name += ", restricted";
        self.restricted = true;
        self
    }

    pub fn with_open_breaker(mut self) -> Self {
        self.name += ", with an open breaker";
        self.breaker = true;
        self
    }

    /// The deprecated operation that is called, however it is spelled.
    pub fn called(&self) -> Option<&'static Row> {
        let target = self.request.target.as_str();
        let path = target.strip_prefix("http://onezone.example.com").unwrap_or(target);
        // What stands for a token is one segment.
        let path = path.split('?').next().unwrap_or_default().replace(['{', '}', ' ', '\''], "x");
        let found = model(rows::operations(), &path).into_iter().map(|(index, _)| &rows::all()[index]);
        found.into_iter().find(|row| row.operation.method == self.request.method.as_str())
    }
}

/// Everybody, for everything that there is, with nothing, with what is refused last and with what is refused first.
pub fn everybody(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let mut cases = Vec::new();
    for place in places(fixture, row) {
        for who in credentials::people(fixture) {
            for sent in [sent::nothing(), sent::json("[]"), sent::json("{")] {
                cases.push(Case::plain(fixture, row, &who, &place).with(&sent));
            }
        }
    }
    cases
}

/// Those whose standing differs, for everything that there is, and the sample of what is refused for the place to try
/// things with.
pub fn everybody_in_brief(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    const OF_INTEREST: [&str; 8] = [
        "nobody",
        "admin",
        "anna",
        "ben",
        "inviter",
        "recruiter",
        "Cracow",
        "Academic Computer Centre Cyfronet",
    ];
    const SMALL: [&str; 5] = ["empty hands", "quiet corner", "bare shelf", "Onezone", MISSING];
    const ALIKE: [&str; 7] = [
        "steward",
        "darcy",
        "lucja",
        "cole",
        "service",
        "œuvre été sœur œ sœur œuvre œuvre",
        "sœur à à sœur vœux bœuf à",
    ];
    let mut cases = Vec::new();
    for place in places(fixture, row) {
        let is_main = place == row.place || SMALL.contains(&place.as_str());
        for who in credentials::people(fixture) {
            let name = who.name.as_str();
            if is_main && !ALIKE.contains(&name) || OF_INTEREST.contains(&name) || name == place {
                cases.push(Case::plain(fixture, row, &who, &place).with(&row.usual(fixture)));
            }
        }
    }
    for place in [row.place, MISSING] {
        for who in [row.may, row.may_not, "admin", "nobody"] {
            for sent in [sent::json("[]"), sent::json("{")] {
                cases.push(Case::plain(fixture, row, &Credential::of(fixture, who), place).with(&sent));
            }
        }
        if !row.has_id() {
            break;
        }
    }
    cases
}

/// Every form of credentials, for what exists and what does not, with what is refused at each later step.
pub fn every_credential(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let mut cases = Vec::new();
    for who in credentials::forms(fixture) {
        for place in row_places(row) {
            for sent in [
                row.usual(fixture),
                sent::json("[]"),
                sent::json("{"),
                sent::accepting("text/html"),
                sent::typed("text/plain", "x"),
            ] {
                cases.push(Case::plain(fixture, row, &who, place).with(&sent));
            }
        }
    }
    cases
}

/// Every form of credentials, plainly.
pub fn every_credential_in_brief(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let forms = credentials::forms(fixture).into_iter();
    forms.map(|who| Case::plain(fixture, row, &who, row.place).with(&row.usual(fixture))).collect()
}

/// Every body under every content type, for a caller who may, one who may not, and nobody.
pub fn every_body(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let mut cases = Vec::new();
    for sent in sent::bodies() {
        for (who, place) in callers(fixture, row, &[row.may, row.may_not, "nobody"]) {
            cases.push(Case::plain(fixture, row, &who, place).with(&sent));
        }
    }
    cases
}

/// One payload of each kind, for the same callers.
pub fn every_payload_in_brief(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let mut cases = Vec::new();
    for sent in sent::a_few() {
        for (who, place) in callers(fixture, row, &[row.may, row.may_not, "nobody"]) {
            cases.push(Case::plain(fixture, row, &who, place).with(&sent));
        }
    }
    cases
}

/// Every `Accept`, with what is refused before and after.
pub fn every_accept(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let mut cases = Vec::new();
    for accept in sent::accepts() {
        for (who, place) in callers(fixture, row, &[row.may, "nobody", "garbage"]) {
            for sent in
                [row.usual(fixture), sent::json("{"), sent::typed("a/b", "x"), sent::bare_type("json")]
            {
                cases.push(Case::plain(fixture, row, &who, place).with(&accept).with(&sent));
            }
        }
    }
    cases
}

/// Api caveats (contract, section 4.1) of one who may and one who may not.
pub fn every_api_caveat(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let mut cases = Vec::new();
    for place in row_places(row) {
        for name in [row.may, row.may_not] {
            for who in credentials::api(fixture, row, name, &row.id(fixture, place)) {
                for sent in [
                    row.usual(fixture),
                    sent::json("[]"),
                    sent::json("{"),
                    sent::accepting("text/html"),
                    sent::typed("a/b", "x"),
                ] {
                    cases.push(Case::plain(fixture, row, &who, place).with(&sent));
                }
            }
        }
    }
    cases
}

/// The same plainly, and with what is refused last.
pub fn every_api_caveat_in_brief(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, place, sent) in [
        (row.may, row.place, row.usual(fixture)),
        (row.may, row.place, sent::json("[]")),
        (row.may_not, row.place, row.usual(fixture)),
        (row.may, MISSING, row.usual(fixture)),
    ] {
        if place == MISSING && !row.has_id() {
            continue;
        }
        for who in credentials::api(fixture, row, name, &row.id(fixture, place)) {
            cases.push(Case::plain(fixture, row, &who, place).with(&sent));
        }
    }
    cases
}

/// Everything that is decided before and after the circuit breaker, which is open.
pub fn breaker(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let mut cases = breaker_in_brief(fixture, row);
    for who in credentials::forms(fixture) {
        cases.push(Case::plain(fixture, row, &who, row.place));
    }
    for name in [row.may_not, "dan"] {
        for place in row_places(row) {
            for sent in sent::a_few() {
                cases.push(Case::plain(fixture, row, &Credential::of(fixture, name), place).with(&sent));
            }
        }
    }
    for who in credentials::api(fixture, row, row.may, &row.id(fixture, row.place)) {
        for sent in [sent::nothing(), sent::json("[]")] {
            cases.push(Case::plain(fixture, row, &who, row.place).with(&sent));
        }
    }
    cases.into_iter().map(|case| if case.breaker { case } else { case.with_open_breaker() }).collect()
}

pub fn breaker_in_brief(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let mut cases = Vec::new();
    for (who, place) in callers(fixture, row, &[row.may, "nobody", "garbage"]) {
        for sent in sent::a_few() {
            cases.push(Case::plain(fixture, row, &who, place).with(&sent).with_open_breaker());
        }
    }
    for place in row_places(row).into_iter().skip(1) {
        for name in [row.may, "nobody"] {
            let who = Credential::of(fixture, name);
            cases.push(Case::plain(fixture, row, &who, place).with_open_breaker());
        }
    }
    cases
}

/// Other header fields, which change nothing on the old route, or are the listener's to judge.
pub fn fields(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let mut cases = Vec::new();
    for (who, place) in callers(fixture, row, &[row.may, row.may_not, "nobody"])
        .into_iter()
        .chain([(Credential::garbage(), row.place)])
    {
        for sent in sent::fields() {
            cases.push(Case::plain(fixture, row, &who, place).with(&sent));
        }
    }
    cases
}

/// Bodies around the size that is still read (contract, section 5).
pub fn large(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let mut cases = Vec::new();
    for (who, place) in callers(fixture, row, &[row.may, "nobody"]) {
        for size in [8_000_000, 8_000_001] {
            cases.push(Case::plain(fixture, row, &who, place).with(&sent::large(size)));
        }
    }
    cases
}

/// All names of what there is, and one of what there is not.
fn places(fixture: &Fixture, row: &Row) -> Vec<String> {
    if !row.has_id() {
        return vec![row.place.to_owned()];
    }
    let names = row.places(fixture).into_iter().map(|(name, _)| name);
    names.chain([MISSING.to_owned()]).collect()
}

/// The place to try things with, and one that does not exist.
fn row_places(row: &Row) -> Vec<&'static str> {
    if row.has_id() { vec![row.place, MISSING] } else { vec![row.place] }
}

/// These callers; nobody is sent where nothing is, which it learns first.
fn callers(fixture: &Fixture, row: &Row, names: &[&str]) -> Vec<(Credential, &'static str)> {
    let place = |name: &str| if name == "nobody" && row.has_id() { MISSING } else { row.place };
    names.iter().map(|name| (Credential::of(fixture, name), place(name))).collect()
}

/// Aliases of spaces are there for each case, whatever the one before did to them.
fn named_before(fixture: &Fixture, row: &Row) -> Option<Before> {
    let path = format!("/user/spaces/{}/alias", fixture.space("atlas").id);
    row.is_under("/user/spaces/").then(|| Before {
        who: "ben",
        method: "PUT",
        path,
        body: json!({ "alias": "den" }),
    })
}

/// How many requests to the backend such a call may take.
pub fn cost(row: &Row, tokens: usize) -> usize {
    let mode = if row.operation.can(Mode::Rewrite) { Mode::Rewrite } else { Mode::Observe };
    let cost = row.operation.cost(mode);
    usize::from(cost.most) + usize::from(2 * cost.per_token) * tokens
}
