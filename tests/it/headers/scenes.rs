//! The ways in which a call of a deprecated operation can be answered.

use duskgate::body::Body;
use http::Request;

use super::dress::{Fields, Terms};
use super::request;
use crate::support::backend::{Backend, Link, Received};

const INVITE: &str = "create_user_group_invite_token";
const ROUTE: &str = "/api/v3/onezone/groups/g1/users/token";
const DEPRECATED: &str = "2026-11-24T08:00:00Z";
const REWRITE: &str = "mode = \"rewrite\"";
const OBSERVE: &str = "mode = \"observe\"";
const FALLBACK: &str = "[[operation]]\nid = \"create_user_group_invite_token\"\nfallback = [\"observe\"]\n";
const FALLBACK_LOCAL: &str =
    "[[operation]]\nid = \"create_user_group_invite_token\"\nfallback = [\"local\"]\n";

/// One way to an answer.
#[derive(Clone)]
pub struct Scene {
    pub name: &'static str,
    pub operation: &'static str,
    pub now: &'static str,
    /// More of `[deprecation]`, and more tables.
    pub deprecation: &'static str,
    pub more: &'static str,
    /// Whether it takes a sunset date.
    pub needs_sunset: bool,
    /// Method, path, fields and body.
    request: (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str),
    backend: Backends,
    pub status: u16,
    /// Whether fields of the backend's get through.
    pub shows_backend: bool,
    /// Whether too many others are served.
    pub is_overloaded: bool,
    /// Fields besides.
    pub extra: &'static [&'static str],
    pub answered_by: &'static str,
    pub module: Module,
    pub phase: &'static str,
}

/// Whether there is a token module.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Module {
    None,
    Here,
    /// Without a ledger in which it could put anything.
    LedgerAway,
}

#[derive(Clone, Copy)]
enum Backends {
    /// Nothing listens.
    Down,
    /// It never answers.
    Silent,
    /// It says this, and closes.
    Nonsense(&'static str),
    /// It answers each request so: status line, and body.
    Answers(fn(&Received) -> (&'static str, &'static str)),
}

impl Scene {
    /// Whether these make a difference to it.
    pub fn takes(&self, terms: &Terms, fields: &Fields) -> bool {
        let has_its_sunset = terms.sunset.is_some() || !self.needs_sunset;
        has_its_sunset && (self.shows_backend || std::ptr::eq(fields, Fields::OURS))
    }

    /// How long the backend may take.
    pub fn patience(&self) -> &'static str {
        if matches!(self.backend, Backends::Silent) { "100ms" } else { "20s" }
    }

    pub fn request(&self) -> Request<Body> {
        let (method, path, fields, body) = self.request;
        request(method, path, fields, body)
    }

    pub fn backend(&self, fields: &Fields) -> Option<Backend> {
        let lines = fields.lines;
        match self.backend {
            Backends::Down => None,
            Backends::Silent => Some(Backend::new(|link: &mut Link| while link.request().is_some() {})),
            Backends::Nonsense(bytes) => Some(Backend::new(move |link: &mut Link| {
                if link.request().is_some() {
                    link.send(bytes);
                }
            })),
            Backends::Answers(answer) => Some(Backend::with(move |received| {
                let (status, body) = answer(received);
                let length = body.len();
                format!(
                    "HTTP/1.1 {status}\r\nserver: Cowboy\r\n{lines}content-length: {length}\r\n\r\n{body}"
                )
            })),
        }
    }
}

/// A rewritten call in the phase of deprecation; the other scenes say what is different.
fn invited(name: &'static str, status: u16, answer: fn(&Received) -> (&'static str, &'static str)) -> Scene {
    Scene {
        name,
        operation: INVITE,
        now: DEPRECATED,
        deprecation: REWRITE,
        more: "",
        needs_sunset: false,
        request: ("POST", ROUTE, &[("x-auth-token", "secret")], ""),
        backend: Backends::Answers(answer),
        status,
        shows_backend: true,
        is_overloaded: false,
        extra: &[],
        answered_by: "rewrite",
        module: Module::None,
        phase: "deprecated",
    }
}

fn observed(name: &'static str, status: u16, answer: fn(&Received) -> (&'static str, &'static str)) -> Scene {
    Scene { deprecation: OBSERVE, answered_by: "observe", ..invited(name, status, answer) }
}

/// Issued by the token module.
fn issued(name: &'static str, status: u16, answer: fn(&Received) -> (&'static str, &'static str)) -> Scene {
    Scene {
        deprecation: "mode = \"local\"",
        answered_by: "local",
        module: Module::Here,
        ..invited(name, status, answer)
    }
}

/// Answered by Duskgate alone.
fn alone(scene: Scene, backend: Backends) -> Scene {
    Scene { backend, shows_backend: false, ..scene }
}

const GROUP: (&str, &str) = ("200 OK", r#"{"groupId":"g1","name":"developers"}"#);
const CREATED: (&str, &str) = ("201 Created", r#"{"tokenId":"t1","token":"MDAxY"}"#);
const UNAUTHORIZED: (&str, &str) = ("401 Unauthorized", r#"{"error":{"id":"unauthorized"}}"#);
const BAD_TOKEN: (&str, &str) =
    ("401 Unauthorized", r#"{"error":{"id":"unauthorized","details":{"authError":{"id":"badToken"}}}}"#);
const NOT_FOUND: (&str, &str) = ("404 Not Found", r#"{"error":{"id":"notFound"}}"#);
const NO_TARGET: (&str, &str) = ("400 Bad Request", r#"{"error":{"id":"inviteTokenTargetIdInvalid"}}"#);
const NOT_ALLOWED: (&str, &str) =
    ("400 Bad Request", r#"{"error":{"id":"inviteTokenSubjectNotAuthorized"}}"#);
const TOO_LOW: (&str, &str) = ("400 Bad Request", r#"{"error":{"id":"badValueTooLow"}}"#);
const MALFORMED: (&str, &str) = ("400 Bad Request", r#"{"error":{"id":"malformedData"}}"#);
const UNAVAILABLE: (&str, &str) = ("503 Service Unavailable", r#"{"error":{"id":"serviceUnavailable"}}"#);
const NO_ROUTE: (&str, &str) = ("405 Method Not Allowed", "");

const USER: (&str, &str) = ("200 OK", r#"{"userId":"u1"}"#);
const MEMBER: (&str, &str) = ("200 OK", r#"{"privileges":["group_add_user"]}"#);
const NO_PRIVILEGES: (&str, &str) = ("200 OK", r#"{"privileges":[]}"#);

/// What is said to the token module about its caller, and of the caller's privileges; the newer API is not there.
fn of_caller(
    received: &Received,
    user: (&'static str, &'static str),
    privileges: (&'static str, &'static str),
) -> (&'static str, &'static str) {
    match received.line.split(' ').nth(1).and_then(|path| path.rsplit('/').next()) {
        Some("user") => user,
        Some("privileges") => privileges,
        Some("effective_privileges") => NO_PRIVILEGES,
        _ => either(received, GROUP, NO_ROUTE),
    }
}

/// What the group's own route answers, and what the creation does.
fn either(
    received: &Received,
    group: (&'static str, &'static str),
    creation: (&'static str, &'static str),
) -> (&'static str, &'static str) {
    if received.line.starts_with("GET ") { group } else { creation }
}

/// All of them.
pub fn scenes() -> Vec<Scene> {
    let json: &[_] = &[("x-auth-token", "secret"), ("content-type", "application/json")];
    let html: &[_] = &[("x-auth-token", "secret"), ("accept", "text/html")];
    let problem: &[_] = &[("accept", "application/problem+json")];
    let created = invited("rewritten", 200, |it| either(it, GROUP, CREATED));
    let forwarded = observed("forwarded", 200, |_| ("200 OK", r#"{"token":"MDAxY"}"#));
    let gone = Scene {
        deprecation: "mode = \"gone\"",
        answered_by: "gone",
        status: 410,
        extra: &["cache-control: no-store"],
        ..alone(created.clone(), Backends::Down)
    };
    let ended = "2027-04-01T00:00:00Z";
    let announced = "2020-05-31T23:59:59Z";
    let down = |scene: &Scene| Scene { status: 503, ..alone(scene.clone(), Backends::Down) };
    let silent = |scene: &Scene| Scene { status: 504, ..alone(scene.clone(), Backends::Silent) };
    let nonsense = |scene: &Scene| Scene {
        status: 502,
        ..alone(scene.clone(), Backends::Nonsense("HTTP/1.1 okay\r\n\r\n"))
    };
    let overloaded = |scene: &Scene| Scene { is_overloaded: true, extra: &["retry-after: 1"], ..down(scene) };
    let looped: &[_] = &[("via", "1.1 duskgate")];
    let no_api = invited("without the token API", 502, |it| either(it, GROUP, NO_ROUTE));
    let fallen_back: fn(&Received) -> _ = |it| match it.line.contains("/users/token ") {
        true => ("200 OK", r#"{"token":"MDAxY"}"#),
        false => either(it, GROUP, NO_ROUTE),
    };
    let named = |scene: Scene, name| Scene { name, ..scene };
    let local = issued("issued here", 200, |it| of_caller(it, USER, MEMBER));
    vec![
        created.clone(),
        invited("rewritten, missing", 404, |it| either(it, NOT_FOUND, CREATED)),
        invited("rewritten, missing and known", 404, |it| either(it, UNAVAILABLE, NO_TARGET)),
        invited("rewritten, forbidden", 403, |it| either(it, GROUP, NOT_ALLOWED)),
        invited("rewritten, bad credentials", 401, |it| either(it, BAD_TOKEN, BAD_TOKEN)),
        Scene {
            request: ("POST", ROUTE, &[], ""),
            ..invited("rewritten, nobody", 401, |it| either(it, UNAUTHORIZED, UNAUTHORIZED))
        },
        Scene {
            request: ("POST", ROUTE, json, "["),
            ..invited("rewritten, broken JSON", 400, |it| either(it, GROUP, MALFORMED))
        },
        Scene {
            request: ("POST", ROUTE, json, "[]"),
            ..invited("rewritten, no object", 400, |it| either(it, GROUP, TOO_LOW))
        },
        Scene {
            request: ("POST", ROUTE, &[("x-auth-token", "secret")], "x"),
            ..invited("rewritten, no type", 415, |it| either(it, GROUP, ("415 Unsupported Media Type", "")))
        },
        Scene {
            request: ("POST", ROUTE, html, ""),
            ..invited("rewritten, not acceptable", 406, |_| ("406 Not Acceptable", ""))
        },
        invited("rewritten, unavailable", 503, |_| UNAVAILABLE),
        invited("rewritten, crashed", 500, |it| either(it, GROUP, ("500 Internal Server Error", ""))),
        Scene { now: announced, phase: "announced", name: "rewritten when announced", ..created.clone() },
        Scene {
            now: "2020-06-01T00:00:00Z",
            name: "rewritten from the first second of the deprecation",
            ..created.clone()
        },
        Scene {
            now: ended,
            phase: "sunset",
            needs_sunset: true,
            deprecation: "mode = \"rewrite\"\nafter_sunset = \"serve\"",
            name: "rewritten after the sunset",
            ..created.clone()
        },
        forwarded.clone(),
        observed("forwarded, unauthorized", 401, |_| BAD_TOKEN),
        observed("forwarded, forbidden", 403, |_| ("403 Forbidden", "{}")),
        observed("forwarded, missing", 404, |_| NOT_FOUND),
        observed("forwarded to where the route is gone", 405, |_| NO_ROUTE),
        observed("forwarded, too many", 429, |_| ("429 Too Many Requests", "")),
        observed("forwarded, redirected", 301, |_| ("301 Moved Permanently", "")),
        observed("forwarded, crashed", 500, |_| ("500 Internal Server Error", "")),
        Scene { now: announced, phase: "announced", name: "forwarded when announced", ..forwarded.clone() },
        Scene {
            now: ended,
            phase: "sunset",
            needs_sunset: true,
            deprecation: "mode = \"observe\"\nafter_sunset = \"serve\"",
            name: "forwarded after the sunset",
            ..forwarded.clone()
        },
        Scene {
            operation: "list_legacy_reports",
            request: ("GET", "/api/v1/reports/a%20b,%3E;c", &[], ""),
            ..observed("another API", 200, |_| ("200 OK", "[]"))
        },
        Scene {
            operation: "remove_user_space_alias",
            request: ("DELETE", "/api/v3/onezone/user/spaces/s1/alias/", &[], ""),
            ..observed("an operation without a successor", 404, |_| NOT_FOUND)
        },
        Scene { name: "gone", ..gone.clone() },
        Scene { name: "gone, in problem details", request: ("POST", ROUTE, problem, ""), ..gone.clone() },
        Scene { name: "gone when announced", now: announced, phase: "announced", ..gone.clone() },
        Scene {
            name: "sunset",
            now: ended,
            phase: "sunset",
            needs_sunset: true,
            deprecation: REWRITE,
            ..gone.clone()
        },
        Scene {
            name: "the first second of the sunset",
            now: "2027-03-31T00:00:00Z",
            phase: "sunset",
            needs_sunset: true,
            deprecation: OBSERVE,
            ..gone.clone()
        },
        named(down(&created), "rewritten, backend down"),
        named(down(&forwarded), "forwarded, backend down"),
        Scene { name: "fallen back, backend down", more: FALLBACK, answered_by: "observe", ..down(&created) },
        named(silent(&created), "rewritten, backend silent"),
        named(silent(&forwarded), "forwarded, backend silent"),
        named(nonsense(&created), "rewritten, backend speaks nonsense"),
        named(nonsense(&forwarded), "forwarded, backend speaks nonsense"),
        Scene { shows_backend: false, ..no_api.clone() },
        Scene {
            name: "without the token API, broken JSON",
            request: ("POST", ROUTE, json, "{"),
            shows_backend: false,
            ..no_api
        },
        Scene {
            name: "fallen back",
            more: FALLBACK,
            answered_by: "observe",
            status: 200,
            backend: Backends::Answers(fallen_back),
            ..created.clone()
        },
        local.clone(),
        issued("issued here, forbidden", 403, |it| of_caller(it, USER, NO_PRIVILEGES)),
        issued("issued here, missing", 404, |it| match of_caller(it, USER, NOT_FOUND) {
            GROUP => NOT_FOUND,
            answer => answer,
        }),
        issued("issued here, bad credentials", 401, |it| of_caller(it, BAD_TOKEN, MEMBER)),
        Scene { request: ("POST", ROUTE, &[], ""), ..issued("issued here, nobody", 401, |_| UNAUTHORIZED) },
        Scene {
            request: ("POST", ROUTE, json, "[]"),
            ..issued("issued here, no object", 400, |it| of_caller(it, USER, MEMBER))
        },
        Scene { now: announced, phase: "announced", name: "issued here when announced", ..local.clone() },
        Scene {
            name: "issued here, ledger away",
            status: 503,
            module: Module::LedgerAway,
            shows_backend: false,
            ..local.clone()
        },
        named(down(&local), "issued here, backend down"),
        named(silent(&local), "issued here, backend silent"),
        named(nonsense(&local), "issued here, backend speaks nonsense"),
        Scene { name: "issued here after falling back", deprecation: REWRITE, more: FALLBACK_LOCAL, ..local },
        Scene { name: "rewritten, overloaded", ..overloaded(&created) },
        Scene { name: "forwarded, overloaded", ..overloaded(&forwarded) },
        Scene { name: "gone, overloaded", ..overloaded(&gone) },
        Scene {
            name: "rewritten in a loop",
            request: ("POST", ROUTE, looped, ""),
            status: 508,
            ..alone(created, Backends::Down)
        },
        Scene {
            name: "forwarded in a loop",
            request: ("POST", ROUTE, looped, ""),
            status: 508,
            ..alone(forwarded, Backends::Down)
        },
    ]
}
