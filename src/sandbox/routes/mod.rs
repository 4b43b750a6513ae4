//! Every route of the sandbox, one row each: the resource that api caveats are checked against, when it exists for the
//! caller, who may call it and what it does. `plain` has those about users and tokens, `collections` those about things
//! with members. The first path that matches decides, and its rows are the methods that it has (contract, section 2).

mod collections;
mod plain;

use std::borrow::Cow;

use super::answer::Answer;
use super::fault::Fault;
use super::request::Call;
use super::store::Store;
use super::wording;
use crate::token::api::Gri;

/// One method of one path.
pub struct Row {
    pub method: &'static str,
    pub path: &'static str,
    resource: Resource,
    pub exists: Check,
    pub allowed: Check,
    pub perform: Perform,
}

/// Type, id, aspect, parameter and scope of a resource. Id and parameter are `{name}` for a path parameter, `{}` for the
/// caller's id, or empty.
struct Resource(&'static str, &'static str, &'static str, &'static str, &'static str);

type Check = fn(&Store, &Call) -> bool;
type Perform = fn(&mut Store, &Call) -> Result<Answer, Fault>;

/// Which routes there are.
#[derive(Clone, Copy, Debug)]
pub struct Edition {
    /// The deprecated routes.
    pub legacy: bool,
    /// The token API, newer than the deprecated routes.
    pub token_api: bool,
}

/// What a path leads to.
pub struct Found {
    rows: Vec<&'static Row>,
    pub ids: Vec<(&'static str, String)>,
}

impl Found {
    /// The row of this method.
    pub fn row(&self, method: &str) -> Option<&'static Row> {
        self.rows.iter().find(|row| row.method == method).copied()
    }

    /// The methods of the path, as `allow` lists them.
    pub fn allow(&self) -> String {
        let mut methods: Vec<_> = self.rows.iter().map(|row| row.method).collect();
        methods.sort_unstable();
        methods.join(", ")
    }
}

impl Row {
    /// What api caveats call the operation.
    pub fn operation(&self) -> &'static str {
        match self.method {
            "GET" => "get",
            "PATCH" => "update",
            "DELETE" => "delete",
            _ => "create",
        }
    }

    /// The resource of this call.
    pub fn resource<'c>(&self, call: &'c Call) -> Gri<'c> {
        let Resource(kind, id, aspect, parameter, scope) = self.resource;
        let filled = |template: &'static str| match template.strip_prefix('{') {
            Some("}") => call.auth.subject.as_ref().map_or("", wording::subject_id),
            Some(name) => call.id(name.trim_end_matches('}')),
            None => template,
        };
        let id = if id.is_empty() { "null" } else { filled(id) };
        let parameter = (!parameter.is_empty()).then(|| filled(parameter));
        Gri { kind, id, aspect, parameter, scope }
    }

    fn is_in(&self, edition: Edition) -> bool {
        let legacy = LEGACY.iter().any(|part| self.path.contains(part));
        let token_api = self.path.contains("/tokens/") && !legacy;
        (edition.legacy || !legacy) && (edition.token_api || !token_api)
    }
}

/// What only the paths of deprecated routes contain, of those that a newer Onezone no longer has.
const LEGACY: [&str; 7] = [
    "/users/token",
    "/groups/token",
    "/children/token",
    "/providers/token",
    "/spaces/token",
    "/provider_registration_token",
    "/user/client_tokens",
];

/// The path of these segments, if it is a known one. An empty segment is no value of a parameter.
pub fn find(edition: Edition, segments: &[Cow<'_, [u8]>]) -> Option<Found> {
    let mut found: Option<(&'static str, Found)> = None;
    let tables = [plain::ROWS].into_iter().chain(collections::ROWS);
    for row in tables.flatten() {
        match &mut found {
            Some((path, found)) if *path == row.path => found.rows.push(row),
            Some(_) => {}
            None => {
                let ids = matched(row.path, segments).filter(|_| row.is_in(edition));
                found = ids.map(|ids| (row.path, Found { rows: vec![row], ids }));
            }
        }
    }
    found.map(|(_, found)| found)
}

fn matched(path: &'static str, segments: &[Cow<'_, [u8]>]) -> Option<Vec<(&'static str, String)>> {
    let mut parts = path[1..].split('/');
    let mut ids = Vec::new();
    for segment in segments {
        let part = parts.next()?;
        match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(_) if segment.is_empty() => return None,
            Some(name) => ids.push((name, String::from_utf8_lossy(segment).into_owned())),
            None if part.as_bytes() == &**segment => {}
            None => return None,
        }
    }
    parts.next().is_none().then_some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route;

    const ALL: Edition = Edition { legacy: true, token_api: true };

    fn allow(edition: Edition, path: &str) -> Option<String> {
        let path = format!("/api/v3/onezone{path}");
        find(edition, &route::segments(&path).unwrap()).map(|found| found.allow())
    }

    #[test]
    fn the_legacy_route_stands_before_the_member() {
        assert_eq!(allow(ALL, "/groups/G/users/token").as_deref(), Some("POST"));
        assert_eq!(allow(ALL, "/groups/G/users/U").as_deref(), Some("DELETE, GET, PUT"));
    }

    #[test]
    fn without_the_legacy_routes_the_path_is_a_member() {
        let newer = Edition { legacy: false, ..ALL };
        assert_eq!(allow(newer, "/groups/G/users/token").as_deref(), Some("DELETE, GET, PUT"));
        for (path, expected) in [
            ("/groups/G/children/token", Some("DELETE, GET, PUT")),
            ("/spaces/S/users/token", Some("DELETE, GET, PUT")),
            ("/spaces/S/groups/token", Some("DELETE, GET, PUT")),
            ("/spaces/S/providers/token", Some("DELETE, GET")),
            ("/harvesters/H/users/token", Some("DELETE, GET, PUT")),
            ("/harvesters/H/groups/token", Some("DELETE, GET, PUT")),
            ("/harvesters/H/spaces/token", Some("DELETE, GET, PUT")),
            ("/clusters/C/users/token", Some("DELETE, GET, PUT")),
            ("/clusters/C/groups/token", Some("DELETE, GET, PUT")),
            ("/user/clusters/provider_registration_token", Some("DELETE, GET")),
            ("/users/U/clusters/provider_registration_token", None),
            ("/user/client_tokens", None),
            ("/user/client_tokens/T", None),
        ] {
            assert_eq!(allow(newer, path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn an_older_onezone_has_no_token_api() {
        let older = Edition { token_api: false, ..ALL };
        assert_eq!(allow(older, "/user/tokens/named"), None);
        assert_eq!(allow(older, "/groups/G/users/token").as_deref(), Some("POST"));
    }

    #[test]
    fn an_empty_segment_is_no_id() {
        assert_eq!(allow(ALL, "/groups//users/token"), None);
        assert_eq!(allow(ALL, "/groups/G/users/token/").as_deref(), Some("POST"));
        assert_eq!(allow(ALL, "/groups/G/users/token//"), None);
    }
}
