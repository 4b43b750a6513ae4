//! Methods as labels: those of IANA's HTTP Method Registry, and `other` for whatever else a client makes up.

use http::Method;

/// How many labels there are.
pub(super) const COUNT: usize = NAMES.len();

/// The labels; the common ones stand first and are found without comparing text.
pub(super) const NAMES: [&str; 40] = [
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "HEAD",
    "OPTIONS",
    "CONNECT",
    "TRACE",
    "other",
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
];

const OTHER: usize = 9;

/// The index of a method's label in [`NAMES`].
pub(super) fn index(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::POST => 1,
        Method::PUT => 2,
        Method::DELETE => 3,
        Method::PATCH => 4,
        Method::HEAD => 5,
        Method::OPTIONS => 6,
        Method::CONNECT => 7,
        Method::TRACE => 8,
        _ => rare(method.as_str()),
    }
}

fn rare(name: &str) -> usize {
    NAMES[OTHER + 1..].binary_search(&name).map_or(OTHER, |found| OTHER + 1 + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_registered_method_has_its_own_label_and_all_else_is_other() {
        for (expected, name) in NAMES.iter().enumerate() {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            assert_eq!(index(&method), expected, "{name}");
        }
        for name in ["BREW", "get", "other", "WHATEVER"] {
            assert_eq!(NAMES[index(&Method::from_bytes(name.as_bytes()).unwrap())], "other", "{name}");
        }
    }
}
