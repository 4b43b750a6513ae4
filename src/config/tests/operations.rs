//! What is said of operations: modes, fallbacks, dates, links, and those of other APIs.

use super::*;

#[test]
fn the_mode_holds_for_each_operation_that_can_be_served_that_way() {
    let config = read(&whole("", "mode = \"rewrite\"\n"), &[]).unwrap();
    let modes: Vec<_> =
        config.book.entries.iter().map(|entry| (entry.operation.id.as_str(), entry.mode)).collect();
    assert_eq!(modes.len(), 21);
    assert!(modes.contains(&("create_user_group_invite_token", Mode::Rewrite)));
    assert!(modes.contains(&("list_client_tokens", Mode::Rewrite)));
    assert!(modes.contains(&("get_user_space_alias", Mode::Observe)));
    assert_eq!(modes.iter().filter(|(_, mode)| *mode == Mode::Rewrite).count(), 15);
}

#[test]
fn the_fallback_holds_for_each_operation_that_is_rewritten_and_says_no_other() {
    let own = "[[operation]]\nid = \"create_child_group_token\"\nfallback = []\n\
               [[operation]]\nid = \"list_client_tokens\"\nmode = \"observe\"\n";
    let config = read(&whole("", &format!("fallback = [\"observe\"]\n{own}")), &[]).unwrap();
    let fallback = |id: &str| {
        let entry = config.book.entries.iter().find(|entry| entry.operation.id == id);
        entry.unwrap().fallback.clone()
    };
    assert_eq!(fallback("create_user_group_invite_token"), [Mode::Observe]);
    for id in ["create_child_group_token", "list_client_tokens", "get_user_space_alias"] {
        assert_eq!(fallback(id), [], "{id}");
    }
}

#[test]
fn a_sunset_before_the_deprecation_is_said_where_it_was_caused() {
    let early = "is before the deprecation";
    check(&[
        (
            &whole("", "sunset_at = 2020-05-31T23:59:59Z"),
            &[&format!(
                "c.toml:6:13: deprecation.sunset_at: the sunset 2020-05-31T23:59:59Z {early} 2020-06-01T00:00:00Z"
            )],
        ),
        (
            &whole(
                "",
                "sunset_at = 2021-01-01T00:00:00Z\n[[operation]]\nid = \"list_client_tokens\"\ndeprecated_at = 2022-01-01T00:00:00Z",
            ),
            &[&format!(
                "c.toml:9:17: operation[0].deprecated_at: the sunset 2021-01-01T00:00:00Z {early} 2022-01-01T00:00:00Z"
            )],
        ),
        (&whole("", "sunset_at = 2020-06-01T02:00:00+02:00"), &[]),
    ]);
}

#[test]
fn an_operation_says_only_what_it_can() {
    let invite = "[[operation]]\nid = \"create_user_group_invite_token\"\n";
    check(&[
        (
            &whole("", "[[operation]]\nid = \"get_user_space_alias\"\nmode = \"rewrite\""),
            &[
                "c.toml:8:8: operation[0].mode: get_user_space_alias cannot be served in mode \"rewrite\": the newer API has no form of it that is known here",
            ],
        ),
        (
            &whole("", &format!("{invite}fallback = [\"observe\", \"observe\", \"gone\", \"rewrite\"]")),
            &[
                "c.toml:8:24: operation[0].fallback: listed twice: \"observe\"",
                "c.toml:8:35: operation[0].fallback: nothing can fall back to \"gone\", only to \"observe\" or \"local\"",
                "c.toml:8:43: operation[0].fallback: is already the operation's own mode: \"rewrite\"",
            ],
        ),
        (
            &whole("", &format!("{invite}mode = \"gone\"\nfallback = [\"observe\"]")),
            &["c.toml:9:13: operation[0].fallback: only mode \"rewrite\" can fall back, not \"gone\""],
        ),
        (
            &whole("", "[[operation]]\nid = \"get_user_space_alias\"\nfallback = [\"observe\"]"),
            &["c.toml:8:13: operation[0].fallback: is already the operation's own mode: \"observe\""],
        ),
        (
            &whole("", &format!("{invite}{invite}")),
            &["c.toml:9:6: operation[1].id: \"create_user_group_invite_token\" is already operation[0]"],
        ),
        (
            &whole("", &format!("{invite}method = \"GET\"\npath = \"/\"")),
            &[
                "c.toml:8:10: operation[0].method: create_user_group_invite_token is built in, its method cannot be changed: POST",
                "c.toml:9:8: operation[0].path: create_user_group_invite_token is built in, its path cannot be changed: /api/v3/onezone/groups/{id}/users/token",
            ],
        ),
        (
            &whole("", "[[operation]]\nmode = \"gone\""),
            &["c.toml:6:1: operation[0].id: missing: the operationId of a built-in operation, or a new one"],
        ),
    ]);
}

#[test]
fn an_operation_of_another_api_needs_method_and_path() {
    let other = |rest: &str| whole("", &format!("[[operation]]\nid = \"list_legacy_reports\"\n{rest}"));
    check(&[
        (
            &other(""),
            &[
                "c.toml:7:6: operation[0].id: no operation has this id, the nearest is \"list_client_tokens\"; an operation of another API needs method and path: \"list_legacy_reports\"",
            ],
        ),
        (
            &other("method = \"GET\""),
            &["c.toml:6:1: operation[0].path: missing: such as \"/api/v1/reports/{id}\""],
        ),
        (&other("path = \"/a\""), &["c.toml:6:1: operation[0].method: missing: such as \"GET\""]),
        (
            &other("method = \"get\"\npath = \"/a\""),
            &[
                "c.toml:8:10: operation[0].method: expected a method in capital letters such as \"GET\", found \"get\"",
            ],
        ),
        (
            &other("method = \"GET\"\npath = \"a/{b\""),
            &[
                "c.toml:9:8: operation[0].path: expected a path such as \"/api/v1/reports/{id}\", found \"a/{b\": a path begins with a slash",
            ],
        ),
        (
            &other("method = \"POST\"\npath = \"/api/v3/onezone/groups/{gid}/users/token\""),
            &[
                "c.toml:9:8: operation[0].path: POST /api/v3/onezone/groups/{gid}/users/token is already create_user_group_invite_token",
            ],
        ),
        (
            &other("method = \"GET\"\npath = \"/v1/{id}\"\nsuccessor = [\"/v2/{id}\", \"/v2/{other}\", 3]"),
            &[
                "c.toml:10:26: operation[0].successor: expected a path or a method and a path, such as \"/api/v2/reports/{id}\" or \"GET /api/v2/reports/{id}\", found \"/v2/{other}\": the operation's own path has no parameter {other}",
                "c.toml:10:41: operation[0].successor: expected a path or a method and a path, such as \"/api/v2/reports/{id}\" or \"GET /api/v2/reports/{id}\", found the integer 3",
            ],
        ),
    ]);

    let config =
        read(&other("method = \"GET\"\npath = \"/v1/{id}\"\nsuccessor = [\"PUT /v2/{id}\"]"), &[]).unwrap();
    let entry = config.book.entries.last().unwrap();
    assert_eq!(entry.operation.template, "/v1/{id}");
    assert_eq!(entry.operation.successors[0].method, Some(http::Method::PUT));
    assert_eq!(entry.operation.successors[0].path, "/v2/{id}");
    assert_eq!(entry.mode, Mode::Observe);
}

#[test]
fn links_are_addresses_and_name_the_operation() {
    check(&[
        (
            &whole("", "documentation = \"onedata.org\"\nsunset_policy = \"https://a/<b>\""),
            &[
                "c.toml:6:17: deprecation.documentation: expected an address such as \"https://example.org/{operation}\", found \"onedata.org\"",
                "c.toml:7:17: deprecation.sunset_policy: expected an address such as \"https://example.org/{operation}\", found \"https://a/<b>\"",
            ],
        ),
        (&whole("", "documentation = \"https://a/{operation}#{operation}\""), &[]),
    ]);
}

#[test]
fn an_operation_that_cannot_be_read_has_all_of_its_mistakes_said() {
    let text = r#"
upstream.servers = ["https://a"]
deprecation.deprecated_at = 2020-06-01T00:00:00Z
[[operation]]
id = "bad id"
method = 5
mode = "xx"
foo = 1
[[operation]]
id = "other"
method = "G T"
path = "/a/{id}"
mode = "rewrite"
successor = ["/b/{other}"]
"#;
    let invalid = Config::read(Path::new("d.toml"), text, []).expect_err("mistakes");
    let lines: Vec<_> =
        invalid.mistakes.iter().map(|mistake| (mistake.place.line(), mistake.key.as_str())).collect();
    let expected = [
        (Some(5), "operation[0].id"),
        (Some(6), "operation[0].method"),
        (Some(7), "operation[0].mode"),
        (Some(8), "operation[0].foo"),
        (Some(11), "operation[1].method"),
        (Some(13), "operation[1].mode"),
        (Some(14), "operation[1].successor"),
    ];
    let missing: Vec<_> = expected
        .iter()
        .filter(|wanted| {
            !lines.iter().any(|(line, key)| {
                (*line, *key) == (wanted.0, wanted.1) || (*line == wanted.0 && key.starts_with(wanted.1))
            })
        })
        .collect();
    assert!(missing.is_empty(), "not said: {missing:?}\n{invalid}");
}
