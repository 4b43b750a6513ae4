//! The routing table says of every path what the plain model of Onezone's rules says.

#![no_main]

#[path = "../../tests/it/route_model/model.rs"]
mod model;

use std::sync::LazyLock;

use duskgate::operation::{self, Operation};
use duskgate::route::{Found, Table};
use http::Method;
use libfuzzer_sys::fuzz_target;

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(operation::builtin);
static TABLE: LazyLock<Table> =
    LazyLock::new(|| Table::new(&OPERATIONS).expect("the built-in operations are a table"));

/// What a byte of the input stands for in a composed path.
const PIECES: [&str; 32] = [
    "/api/v3/onezone",
    "/groups",
    "/spaces",
    "/harvesters",
    "/clusters",
    "/users",
    "/user",
    "/provider",
    "/token",
    "/children",
    "/client_tokens",
    "/provider_registration_token",
    "/providers",
    "/public",
    "/alias",
    "/verify_provider_identity",
    "/G",
    "/",
    "/.",
    "/..",
    "/%2e",
    "/%2E.",
    "%2F",
    "%2f",
    "/t%6Fken",
    "/gr%6fups",
    "%",
    "%zz",
    "+",
    "/{id}",
    "%ff",
    "token",
];

fuzz_target!(|data: &[u8]| {
    if let Ok(path) = std::str::from_utf8(data) {
        agree(path);
    }
    let composed: String = data.iter().take(40).map(|byte| PIECES[usize::from(byte % 32)]).collect();
    agree(&composed);
});

fn agree(path: &str) {
    let expected = model::model(&OPERATIONS, path);
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD] {
        let exact = expected.iter().find(|(index, _)| OPERATIONS[*index].method == method);
        match (TABLE.find(&method, path), exact) {
            (Found::Call(call), Some((index, ids))) => {
                assert_eq!(call.operation, *index, "{method} {path}");
                let values = ids.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)));
                assert!(
                    call.ids.iter().map(|(name, value)| (name, value.as_str().into())).eq(values),
                    "{method} {path}"
                );
            }
            (Found::OtherMethod { operations }, None) => {
                assert!(operations.iter().eq(expected.iter().map(|(index, _)| index)), "{method} {path}");
            }
            (Found::Other, None) => assert!(expected.is_empty(), "{method} {path}"),
            (found, exact) => panic!("{method} {path}: {found:?} but {exact:?}"),
        }
    }
}
