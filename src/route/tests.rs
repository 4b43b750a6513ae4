use super::*;
use crate::operation;

const B: &str = "/api/v3/onezone";

fn table() -> Table {
    Table::new(&operation::builtin()).unwrap()
}

/// The operationId that a request is a call of, with its ids.
fn call(method: &str, path: &str) -> Option<(String, Vec<(String, String)>)> {
    match table().find(&method.parse().unwrap(), path) {
        Found::Call(call) => Some((operation::builtin()[call.operation].id.clone(), call.ids)),
        _ => None,
    }
}

fn id(method: &str, path: &str) -> Option<String> {
    let (operation, ids) = call(method, path)?;
    assert_eq!(operation, "create_user_group_invite_token");
    assert_eq!(ids.len(), 1);
    assert_eq!(ids[0].0, "id");
    Some(ids[0].1.clone())
}

fn row(template: &str, method: &str) -> Operation {
    let mut operation = operation::builtin().remove(0);
    operation.id = format!("{method} {template}");
    operation.template = template.to_owned();
    operation.method = method.parse().unwrap();
    operation
}

#[test]
fn every_spelling_that_onezone_takes_is_the_operation() {
    for (path, expected) in [
        ("/groups/G/users/token", "G"),
        ("/groups/G/users/token/", "G"),
        ("/groups/G/%75sers/token", "G"),
        ("/groups/G/%75%73%65%72%73/%74oken/", "G"),
        ("/groups/G/./users/token", "G"),
        ("/groups/G/users/token/.", "G"),
        ("/groups/G/users/token/./", "G"),
        ("/groups/G/users/token/x/..", "G"),
        ("/groups/G/users/token/x/../", "G"),
        ("/groups/G/x/%2e%2E/users/token", "G"),
        ("/groups/H/../G/users/token", "G"),
        ("/groups/G/users//../token", "G"),
        ("/groups/privileges/users/token", "privileges"),
        ("/groups/token/users/token", "token"),
        ("/groups/a%2Fb/users/token", "a/b"),
        ("/groups/a+b/users/token", "a+b"),
        ("/groups/%C3%B3/users/token", "ó"),
        ("/groups/%7Bid%7D/users/token", "{id}"),
        ("/groups/.../users/token", "..."),
        ("/../../api/v3/onezone/groups/G/users/token", ""),
    ] {
        match expected {
            "" => assert_eq!(id("POST", path), Some("G".into()), "{path}"),
            _ => assert_eq!(id("POST", &format!("{B}{path}")), Some(expected.into()), "{path}"),
        }
    }
}

#[test]
fn no_other_spelling_is() {
    for path in [
        "/groups/G/users/token//",
        "/groups/G/users//token",
        "/groups//users/token",
        "//groups/G/users/token",
        "/groups/G/users/Token",
        "/Groups/G/users/token",
        "/groups/G/users/token/x",
        "/groups/G/users",
        "/groups/G%2Fusers/token",
        "/groups/G/users%2Ftoken",
        "/groups/%zz/users/token",
        "/groups/G/users/token%",
        "/groups/{id}/users/token",
        "/groups/../users/token",
        "/groups/%2e%2e/users/token",
        "/groups/G/users/token%20",
        "/groups/G/users/token;x",
    ] {
        assert_eq!(table().find(&Method::POST, &format!("{B}{path}")), Found::Other, "{path}");
    }
    for path in ["", "*", "/", "//", "groups", &format!("/{B}/groups/G/users/token")] {
        assert_eq!(table().find(&Method::POST, path), Found::Other, "{path}");
    }
}

#[test]
fn only_the_exact_method_is_the_operation() {
    let path = format!("{B}/groups/G/users/token");
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "post", "BREW"] {
        let found = table().find(&method.parse().unwrap(), &path);
        assert_eq!(found, Found::OtherMethod { operations: vec![0] }, "{method}");
    }
}

#[test]
fn another_method_names_every_operation_of_the_path() {
    let operations = operation::builtin();
    let found = table().find(&Method::DELETE, &format!("{B}/user/client_tokens"));
    let Found::OtherMethod { operations: found } = found else { panic!("{found:?}") };
    let ids: Vec<_> = found.iter().map(|index| operations[*index].id.as_str()).collect();
    assert_eq!(ids, ["list_client_tokens", "create_client_token"]);
}

#[test]
fn every_operation_of_the_catalogue_is_found_by_its_own_path() {
    let operations = operation::builtin();
    for operation in &operations {
        let path: Vec<_> = operation
            .template
            .split('/')
            .map(|segment| if segment.starts_with('{') { "x1" } else { segment })
            .collect();
        let (id, ids) = call(operation.method.as_str(), &path.join("/")).expect(&operation.id);
        assert_eq!(id, operation.id);
        assert!(ids.iter().all(|(_, value)| value == "x1"));
    }
}

#[test]
fn a_value_that_is_not_utf_8_keeps_its_bytes() {
    let found = table().find(&Method::POST, &format!("{B}/groups/a%FF/users/token"));
    let Found::Call(call) = found else { panic!("{found:?}") };
    assert_eq!(call.id("id"), Some("a\u{fffd}"));
    assert_eq!(call.encoded_id("id").as_deref(), Some("a%FF"));
    assert_eq!(call.id("uid"), None);
}

#[test]
fn a_call_does_not_print_its_ids() {
    let found = table().find(&Method::DELETE, &format!("{B}/user/client_tokens/MDAxsecret"));
    let Found::Call(call) = found else { panic!("{found:?}") };
    assert_eq!(format!("{call:?}"), "Call { operation: 14, tid: <redacted> }");
}

#[test]
fn where_two_paths_match_the_method_decides_and_then_the_literal() {
    let rows =
        [row("/a/{x}/c", "GET"), row("/a/{x}/c", "PUT"), row("/a/b/{y}", "POST"), row("/a/b/{y}", "PUT")];
    let table = Table::new(&rows).unwrap();
    let operation = |method: Method| match table.find(&method, "/a/b/c") {
        Found::Call(call) => vec![call.operation],
        Found::OtherMethod { operations } => operations,
        Found::Other => Vec::new(),
    };
    assert_eq!(operation(Method::GET), [0]);
    assert_eq!(operation(Method::POST), [2]);
    assert_eq!(operation(Method::PUT), [3]);
    assert_eq!(operation(Method::DELETE), [2, 3]);
}

#[test]
fn the_same_method_on_the_same_path_is_a_conflict_whatever_its_parameters_are_called() {
    let conflict = Table::new(&[row("/a/{x}", "GET"), row("/a/{y}/", "GET")]).unwrap_err();
    assert_eq!(conflict.to_string(), "GET /a/{x} and GET /a/{y}/ are the same method and path");
    let conflict = Table::new(&[row("/a/{x", "GET")]).unwrap_err();
    assert_eq!(conflict.to_string(), "the path of GET /a/{x: a parameter is a whole segment in braces: {x");
    assert!(Table::new(&[row("/a/{x}", "GET"), row("/a/{y}", "PUT")]).is_ok());
}

#[test]
fn the_root_may_be_an_operation() {
    let table = Table::new(&[row("/", "GET")]).unwrap();
    for path in ["/", "/.", "/a/..", "/%2e/"] {
        assert!(matches!(table.find(&Method::GET, path), Found::Call(_)), "{path}");
    }
    for path in ["//", "/a", "/%2f"] {
        assert_eq!(table.find(&Method::GET, path), Found::Other, "{path}");
    }
}
