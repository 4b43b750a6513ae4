//! Cases about the path: how it is spelled, with which method it is called, and what stands in it for an id.

use duskgate::sandbox::Fixture;

use super::super::credentials::{self, Credential};
use super::super::rows::Row;
use super::super::sent;
use super::{Case, callers};

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

/// Spellings of the path (contract, section 2). The table is of the route for inviting users to a group.
pub fn spellings(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let id = row.id(fixture, row.place);
    let mut cases = Vec::new();
    for (who, _) in callers(fixture, row, &[row.may, "nobody", "garbage"]) {
        for (spelling, is_call) in SPELLINGS {
            for sent in [sent::nothing(), sent::json("[]")] {
                let case =
                    Case::plain(fixture, row, &who, row.place).with(&sent).at(&spelling.replace("{id}", &id));
                assert_eq!(case.called().is_some(), *is_call, "{}", case.name);
                cases.push(case);
            }
        }
    }
    cases
}

/// Spellings of the path of any operation, whether it is the path or not.
pub fn spellings_in_brief(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let path = row.path(&row.id(fixture, row.place));
    let (begin, end) = path.rsplit_once('/').unwrap_or_default();
    let rest = path.strip_prefix("/api/v3/onezone").unwrap_or_default();
    let odd = [
        format!("{path}/"),
        format!("{path}?a=b&c=%zz"),
        format!("{path}/?x=/y/../z"),
        format!("{begin}/%{:02x}{}", end.as_bytes()[0], &end[1..]),
        format!("/%61p%69/v3/onezone{rest}"),
        format!("/api/v3/./onezone{rest}"),
        format!("{begin}/%2e/{end}"),
        format!("{begin}/x/../{end}/."),
        format!("/../x/%2E%2e{path}/y/.."),
        format!("http://onezone.example.com{path}?x"),
        format!("/{path}"),
        format!("{begin}//{end}"),
        format!("{path}//"),
        format!("{begin}/{}", end.to_uppercase()),
        format!("{begin}%2F{end}"),
        format!("{path}%2F"),
        format!("{path}%20"),
        format!("{path};x=y"),
        format!("{path}/x"),
        format!("{path}%"),
        rest.to_owned(),
    ];
    let mut cases = Vec::new();
    for (who, _) in callers(fixture, row, &[row.may, "nobody"]) {
        // A token's key has to stay whole.
        let targets = odd.iter().filter(|target| !end.starts_with('{') || target.contains(end));
        for target in targets {
            cases.push(Case::plain(fixture, row, &who, row.place).with(&row.usual(fixture)).at(target));
        }
    }
    cases
}

const METHODS: [&str; 13] = [
    "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "FOO", "post", "Post",
    "POSTS",
];

/// Methods on the route's path, spelled in several ways.
pub fn methods(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let id = row.id(fixture, row.place);
    let mut cases = Vec::new();
    for (who, _) in callers(fixture, row, &[row.may, "nobody", "garbage"]) {
        let plain = || Case::plain(fixture, row, &who, row.place);
        for method in METHODS {
            for (spelling, _) in SPELLINGS.iter().filter(|(_, is_call)| *is_call).step_by(3) {
                cases.push(plain().at(&spelling.replace("{id}", &id)).method(method));
            }
            for sent in [sent::accepting("text/html"), sent::json("{"), sent::preflight()] {
                cases.push(plain().with(&sent).method(method));
            }
        }
    }
    cases
}

/// Methods on the path of any operation.
pub fn methods_in_brief(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let mut cases = Vec::new();
    for (who, _) in callers(fixture, row, &[row.may, "nobody"]) {
        let plain = || Case::plain(fixture, row, &who, row.place);
        cases.extend(METHODS.map(|method| plain().method(method)));
        cases.push(plain().with(&sent::preflight()).method("OPTIONS"));
        cases.push(plain().with(&sent::json("{")).method("PUT"));
        cases.push(plain().at(&format!("{}/", plain().request.target)).method("PATCH"));
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

/// Ids of every kind, none of which there is.
pub fn ids(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let mut callers: Vec<_> =
        callers(fixture, row, &[row.may, "nobody", "garbage"]).into_iter().map(|(who, _)| who).collect();
    callers.extend(credentials::api(fixture, row, row.may, "a").into_iter().skip(1).step_by(3).take(3));
    let long = [100, 1000, 4000, 7900].map(|length| "x".repeat(length));
    let escaped = [300, 2000].map(|length| "%C3%A9".repeat(length / 6));
    let expanding = ["!".repeat(1000)];
    let mut cases = Vec::new();
    for who in &callers {
        let more = long.iter().chain(&escaped).chain(&expanding).map(String::as_str);
        cases.extend(IDS.iter().copied().chain(more).map(|id| with_id(fixture, row, who, id)));
    }
    cases.extend(IDS.iter().map(|id| with_id(fixture, row, &callers[0], id).with(&sent::json("[]"))));
    let id = row.id(fixture, row.place);
    let mut odd = vec![id.to_uppercase(), format!("{id}%20"), format!("{id}%00"), id[1..].to_owned()];
    odd.push(id.bytes().map(|byte| format!("%{byte:02x}")).collect());
    cases.extend(odd.iter().map(|id| with_id(fixture, row, &callers[0], id)));
    cases
}

/// A few of them.
pub fn ids_in_brief(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    if !row.has_id() {
        return Vec::new();
    }
    let who = Credential::of(fixture, row.may);
    let long = "%C3%A9".repeat(400);
    let ids = IDS.iter().copied().step_by(2).chain([long.as_str()]);
    ids.map(|id| with_id(fixture, row, &who, id).with(&row.usual(fixture))).collect()
}

fn with_id(fixture: &Fixture, row: &'static Row, who: &Credential, id: &str) -> Case {
    Case::plain(fixture, row, who, "nothing").at(&row.path(id))
}
