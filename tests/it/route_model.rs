//! The routing table against a second, plainly written model of Onezone's path rules (contract, section 2).

pub mod model;

use duskgate::operation::{self, Operation};
use duskgate::route::{Found, Table};
use http::Method;
use proptest::prelude::*;

use model::model;

/// The table and the model must say the same of every method that matters.
fn agree(operations: &[Operation], path: &str) -> Result<(), TestCaseError> {
    let table = Table::new(operations).expect("a table");
    let expected = model(operations, path);
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD] {
        let exact = expected.iter().find(|(index, _)| operations[*index].method == method);
        match (table.find(&method, path), exact) {
            (Found::Call(call), Some((index, ids))) => {
                prop_assert_eq!(call.operation, *index, "{} {}", method, path);
                let lossy: Vec<(String, String)> = ids
                    .iter()
                    .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
                    .collect();
                prop_assert_eq!(&call.ids, &lossy, "{} {}", method, path);
            }
            (Found::OtherMethod { operations: found }, None) => {
                let all: Vec<usize> = expected.iter().map(|(index, _)| *index).collect();
                prop_assert_eq!(found, all, "{} {}", method, path);
            }
            (Found::Other, None) => prop_assert!(expected.is_empty(), "{} {}", method, path),
            (found, exact) => prop_assert!(false, "{} {}: {:?} but {:?}", method, path, found, exact),
        }
    }
    Ok(())
}

/// A segment that is one of the table's words, spelled plainly or not, or something else.
fn piece() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "api",
        "v3",
        "onezone",
        "groups",
        "spaces",
        "users",
        "user",
        "token",
        "client_tokens",
        "alias",
        "provider",
        "clusters",
        "provider_registration_token",
        "G",
        "api/v3/onezone",
        "groups/G/users/token",
    ]);
    let odd = prop::sample::select(vec![
        "", ".", "..", "%2e", "%2E.", ".%2e", "...", "%2F", "%", "%z", "%25", "+", "%20", "{id}", "ó", "%ff",
        "token%", "%2", ";", "TOKEN",
    ]);
    prop_oneof![4 => words.prop_flat_map(|word| spelled(word.to_owned())), 2 => odd.prop_map(str::to_owned)]
}

/// The same word with some of its characters escaped, in either case.
fn spelled(word: String) -> impl Strategy<Value = String> {
    let length = word.len();
    prop::collection::vec(0u8..12, length).prop_map(move |choices| {
        let mut text = String::new();
        for (character, choice) in word.chars().zip(choices) {
            match choice {
                0 if character != '/' => text.push_str(&format!("%{:02x}", character as u8)),
                1 if character != '/' => text.push_str(&format!("%{:02X}", character as u8)),
                _ => text.push(character),
            }
        }
        text
    })
}

/// Segments that leave a path what it is.
fn nothing() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(String::new()),
        1 => Just("/.".to_owned()),
        1 => Just("/%2e".to_owned()),
        1 => Just("/x/..".to_owned()),
        1 => Just("/x%2Fy/%2E%2e".to_owned()),
        1 => Just("//..".to_owned()),
        1 => Just("/a/b/../../.".to_owned()),
    ]
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_table_agrees_with_the_model_about_any_path(
        pieces in prop::collection::vec(piece(), 0..9),
        base in prop::bool::weighted(0.7),
        slashes in prop::sample::select(vec!["", "", "", "/", "/.", "//"]),
    ) {
        let base = if base { "/api/v3/onezone" } else { "" };
        let path = format!("{base}/{}{slashes}", pieces.join("/"));
        agree(&operation::builtin(), &path)?;
    }

    #[test]
    fn the_table_agrees_with_the_model_about_any_text(path in "[/a.%2eE]{0,12}") {
        let mut operations = operation::builtin();
        operations.truncate(3);
        for (operation, template) in operations.iter_mut().zip(["/a", "/a/{x}", "/{x}/{y}/a"]) {
            operation.template = template.to_owned();
        }
        operations[2].method = Method::PUT;
        agree(&operations, &path)?;
    }

    #[test]
    fn a_route_matches_what_it_generates(
        (index, parts) in (0..21usize).prop_flat_map(|index| {
            let template = operation::builtin()[index].template.clone();
            let parts: Vec<_> = template[1..]
                .split('/')
                .map(|segment| {
                    let segment = segment.to_owned();
                    let value = if segment.starts_with('{') {
                        prop::collection::vec(any::<u8>(), 1..6)
                            .prop_filter("a dot segment", |value| value != b"." && value != b"..")
                            .prop_map(|value| (escaped(&value), Some(value)))
                            .boxed()
                    } else {
                        spelled(segment).prop_map(|text| (text, None)).boxed()
                    };
                    (nothing(), value)
                })
                .collect();
            (Just(index), parts)
        }),
        end in prop::sample::select(vec!["", "/", "/.", "/./", "/x/..", "/x/../"]),
    ) {
        let operations = operation::builtin();
        let mut path = String::new();
        let mut values = Vec::new();
        for (nothing, (segment, value)) in &parts {
            path.push_str(nothing);
            path.push('/');
            path.push_str(segment);
            values.extend(value.clone());
        }
        path.push_str(end);
        let found = Table::new(&operations).expect("a table").find(&operations[index].method, &path);
        let Found::Call(call) = found else { return Err(TestCaseError::fail(format!("{path}: {found:?}"))) };
        prop_assert_eq!(call.operation, index);
        let found: Vec<String> = call.ids.iter().map(|(_, value)| value.clone()).collect();
        let expected: Vec<String> =
            values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
        prop_assert_eq!(found, expected);
        agree(&operations, &path)?;
    }
}
