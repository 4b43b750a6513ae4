use http::header::LINK;
use http::{HeaderMap, Method};
use proptest::prelude::*;
use serde_json::json;

use super::headers::dress;
use super::*;
use crate::operation::{self, Successor};
use crate::route::{Call, Found};

const SUNSET: &str = "2027-03-31T00:00:00Z";

fn at(moment: &str) -> Timestamp {
    moment.parse().unwrap()
}

fn terms(sunset: Option<&str>) -> Terms {
    Terms {
        mode: Mode::Observe,
        asked: None,
        fallback: Vec::new(),
        schedule: Schedule::new(at("2020-06-01T00:00:00Z"), sunset.map(at)).unwrap(),
        after_sunset: AfterSunset::Gone,
        documentation: Some("https://onedata.org/api/operation/{operation}".into()),
        sunset_policy: sunset.map(|_| "https://example.org/sunsets".into()),
    }
}

fn entry(id: &str, terms: Terms) -> Entry {
    let operation = operation::builtin().into_iter().find(|operation| operation.id == id).unwrap();
    Entry::new(operation, terms).unwrap()
}

fn invite(sunset: Option<&str>) -> Entry {
    entry("create_user_group_invite_token", terms(sunset))
}

fn call(name: &str, value: &[u8]) -> Call {
    Call::new(0, [(name.to_owned(), value.to_vec())])
}

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    map
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
}

fn exposed(lines: &[(&str, &str)], entry: &Entry) -> Vec<String> {
    let mut headers = map(lines);
    dress(&mut headers, entry, &call("id", b"G"));
    let values = headers.get_all("access-control-expose-headers").iter();
    values.map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[test]
fn the_verdict_follows_the_schedule() {
    let mut entry = invite(Some(SUNSET));
    let decide_at = |entry: &Entry, moment: &str| {
        let verdict = decide(entry, at(moment));
        (verdict.phase, verdict.mode)
    };
    assert_eq!(decide_at(&entry, "2020-05-31T23:59:59Z"), (Phase::Announced, Mode::Observe));
    assert_eq!(decide_at(&entry, "2020-06-01T00:00:00Z"), (Phase::Deprecated, Mode::Observe));
    assert_eq!(decide_at(&entry, SUNSET), (Phase::Sunset, Mode::Gone));
    entry.after_sunset = AfterSunset::Serve;
    assert_eq!(decide_at(&entry, SUNSET), (Phase::Sunset, Mode::Observe));
    entry.mode = Mode::Gone;
    assert_eq!(decide_at(&entry, "2020-05-31T23:59:59Z"), (Phase::Announced, Mode::Gone));
}

#[test]
fn an_answer_is_dressed_to_the_byte() {
    let mut headers = map(&[("content-type", "application/json")]);
    dress(&mut headers, &invite(Some(SUNSET)), &call("id", b"G"));
    assert_eq!(
        lines(&headers),
        [
            "content-type: application/json",
            "deprecation: @1590969600",
            "sunset: Wed, 31 Mar 2027 00:00:00 GMT",
            "link: <https://onedata.org/api/operation/create_user_group_invite_token>; rel=\"deprecation\"",
            "link: <https://example.org/sunsets>; rel=\"sunset\"",
            "link: </api/v3/onezone/user/tokens/named>; rel=\"successor-version\"; \
             title=\"create_named_token_for_current_user\"",
            "link: </api/v3/onezone/user/tokens/temporary>; rel=\"successor-version\"; \
             title=\"create_temporary_token_for_current_user: not single-use, must carry a time caveat\"",
        ]
    );
}

#[test]
fn deprecation_is_a_structured_field_date() {
    for moment in ["2020-06-01T00:00:00Z", "2020-06-01T00:00:00.999Z", "1969-12-31T00:00:00Z"] {
        let value = headers::deprecation(at(moment));
        let item: sfv::Item = sfv::Parser::new(value.as_bytes()).parse().unwrap();
        let seconds: i64 = item.bare_item.as_date().unwrap().unix_seconds().into();
        assert_eq!(seconds, at(moment).as_second());
        assert!(item.params.is_empty());
    }
}

#[test]
fn what_the_backend_said_is_replaced_or_kept_as_the_field_demands() {
    let backend = [
        ("deprecation", "true"),
        ("deprecation", "@1"),
        ("sunset", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("link", "</other>; rel=\"next\""),
        ("link", "</more>; rel=\"deprecation\""),
    ];
    let mut headers = map(&backend);
    dress(&mut headers, &invite(None), &call("id", b"G"));
    let values = |name: &str| -> Vec<String> {
        headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(values("deprecation"), ["@1590969600"]);
    assert_eq!(values("sunset"), ["Thu, 01 Jan 2026 00:00:00 GMT"]);
    assert_eq!(values("link")[..2], ["</other>; rel=\"next\"", "</more>; rel=\"deprecation\""]);
    assert_eq!(values("link").len(), 5);

    let mut headers = map(&backend);
    dress(&mut headers, &invite(Some(SUNSET)), &call("id", b"G"));
    assert_eq!(headers.get_all("sunset").iter().collect::<Vec<_>>(), ["Wed, 31 Mar 2027 00:00:00 GMT"]);
}

#[test]
fn browsers_may_read_what_is_there_if_the_answer_is_for_them() {
    let plain = invite(None);
    let ending = invite(Some(SUNSET));
    let cors = ("access-control-allow-origin", "*");
    let expose = |value| ("access-control-expose-headers", value);
    assert!(exposed(&[expose("X-A")], &plain) == ["X-A"]);
    assert_eq!(exposed(&[cors], &plain), ["Deprecation, Link"]);
    assert_eq!(exposed(&[cors], &ending), ["Deprecation, Sunset, Link"]);
    assert_eq!(
        exposed(&[cors, ("retry-after", "3"), ("sunset", "x")], &plain),
        ["Deprecation, Sunset, Link, Retry-After"]
    );
    assert_eq!(exposed(&[cors, expose("X-A,link"), expose("x-b")], &plain), ["X-A, link, x-b, Deprecation"]);
    assert_eq!(exposed(&[cors, expose("deprecation , LINK")], &plain), ["deprecation , LINK"]);
    assert_eq!(exposed(&[cors, expose("X-A, *")], &ending), ["X-A, *"]);
    let origin = ("access-control-allow-origin", "https://a.example");
    let credentials = ("access-control-allow-credentials", "true");
    assert_eq!(exposed(&[origin, credentials, expose("*")], &ending), ["*, Deprecation, Sunset, Link"]);
}

#[test]
fn a_successor_gets_the_callers_own_id_and_no_other() {
    let mut operation = operation::builtin().remove(0);
    let successor = |path: &str, operation: Option<&str>, note: Option<&str>| Successor {
        operation: operation.map(str::to_owned),
        method: None,
        path: path.to_owned(),
        note: note.map(str::to_owned),
    };
    operation.successors = vec![
        successor("/v2/{id}/x y", None, None),
        successor("/v2/{other}?id={id}", Some("say \"hi\""), None),
        successor("/v2/plain", None, Some("ó")),
    ];
    let entry = Entry::new(operation, terms(None)).unwrap();
    let mut headers = HeaderMap::new();
    dress(&mut headers, &entry, &call("id", b"a/b\xff>"));
    let links: Vec<_> = headers.get_all(LINK).iter().skip(1).map(|link| link.to_str().unwrap()).collect();
    assert_eq!(
        links,
        [
            "</v2/a%2Fb%FF%3E/x%20y>; rel=\"successor-version\"",
            "</v2/%7Bother%7D?id=a%2Fb%FF%3E>; rel=\"successor-version\"; title=\"say \\\"hi\\\"\"",
            "</v2/plain>; rel=\"successor-version\"; title*=UTF-8''%C3%B3",
        ]
    );
}

#[test]
fn a_token_in_a_path_is_never_echoed() {
    let entry = entry("remove_client_token", terms(None));
    let call = call("tid", b"MDAxsecret");
    let mut headers = HeaderMap::new();
    dress(&mut headers, &entry, &call);
    let text = format!("{:?} {} {call:?}", lines(&headers), directions(&entry, &call));
    assert!(!text.contains("MDAxsecret"), "{text}");
    assert!(text.contains("</api/v3/onezone/tokens/named/%7Bid%7D>"), "{text}");
    assert!(text.contains("\"/api/v3/onezone/tokens/named/{id}\""), "{text}");
}

#[test]
fn an_address_that_is_none_is_refused() {
    for address in ["", "https://a b", "https://a>", "https://ó", "a\r\nb", "https://a/{x}"] {
        let operation = operation::builtin().remove(0);
        let terms = Terms { documentation: Some(address.into()), ..terms(None) };
        let error = Entry::new(operation, terms).unwrap_err();
        assert_eq!(error, BadLink { key: "documentation", address: address.into() });
    }
}

#[test]
fn directions_hold_the_call_that_replaces_this_one() {
    assert_eq!(
        directions(&invite(Some(SUNSET)), &call("id", b"1a2b")),
        json!({
            "operation": "create_user_group_invite_token",
            "deprecatedAt": "2020-06-01T00:00:00Z",
            "sunsetAt": SUNSET,
            "documentation": "https://onedata.org/api/operation/create_user_group_invite_token",
            "sunsetPolicy": "https://example.org/sunsets",
            "successors": [
                {
                    "operationId": "create_named_token_for_current_user",
                    "method": "POST",
                    "path": "/api/v3/onezone/user/tokens/named",
                    "body": {
                        "name": "user invite to group - 1a2b",
                        "type": {"inviteToken": {"inviteType": "userJoinGroup", "groupId": "1a2b"}},
                        "usageLimit": 1,
                    },
                },
                {
                    "operationId": "create_temporary_token_for_current_user",
                    "method": "POST",
                    "path": "/api/v3/onezone/user/tokens/temporary",
                    "note": "not single-use, must carry a time caveat",
                },
            ],
        })
    );
}

#[test]
fn directions_say_only_what_is_known() {
    let bare = Terms { documentation: None, ..terms(None) };
    assert_eq!(
        directions(&entry("get_user_space_alias", bare), &call("sid", b"S")),
        json!({
            "operation": "get_user_space_alias",
            "deprecatedAt": "2020-06-01T00:00:00Z",
            "successors": [],
        })
    );
    let odd = directions(&invite(None), &call("id", b"a b\n"));
    assert_eq!(odd["successors"][0]["body"]["name"], "user invite to group");
}

#[test]
fn a_book_finds_its_entries() {
    let entries =
        operation::builtin().into_iter().map(|operation| Entry::new(operation, terms(None)).unwrap());
    let book = Book::new(entries.collect()).unwrap();
    let found = book.table.find(&Method::POST, "/api/v3/onezone/spaces/S/users/token");
    let Found::Call(call) = found else { panic!("{found:?}") };
    assert_eq!(book.entries[call.operation].operation.id, "create_space_user_invite_token");
}

proptest! {
    #[test]
    fn dressing_twice_equals_dressing_once(
        backend in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "deprecation", "sunset", "link", "access-control-expose-headers", "retry-after",
                    "access-control-allow-origin", "access-control-allow-credentials", "x-other",
                ]),
                prop::sample::select(vec!["*", "true", "Link", "link, *", "x,y", "</a>; rel=\"next\"", "", " , "]),
            ),
            0..8,
        ),
        ends in any::<bool>(),
        id in prop::collection::vec(any::<u8>(), 1..8),
    ) {
        let entry = invite(ends.then_some(SUNSET));
        let call = call("id", &id);
        let mut once = map(&backend);
        dress(&mut once, &entry, &call);
        let mut twice = once.clone();
        dress(&mut twice, &entry, &call);
        prop_assert_eq!(lines(&once), lines(&twice));
        for (name, value) in &backend {
            if *name == "link" || *name == "x-other" {
                prop_assert!(once.get_all(*name).iter().any(|kept| kept == value));
            }
        }
    }
}
