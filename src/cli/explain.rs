//! `duskgate explain`: what would happen to one request, and why. It asks the same rooms as a running proxy, so it
//! cannot say anything else; it sends nothing.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS};
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use jiff::civil::Date;

use super::configuration::Source;
use crate::clock::Clock;
use crate::operation::{ClientTokens, Family, Mode, Operation, Phase};
use crate::policy::{self, AfterSunset, Book, Entry, Verdict};
use crate::route::{self, Call, Found};
use crate::serve::local::{self, Watched};

/// Options of the command.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  duskgate explain POST /api/v3/onezone/groups/abc/users/token
  duskgate explain POST /api/v3/onezone/groups/abc/users/token --at 2027-03-31T00:00:00Z
  duskgate explain POST /api/v3/onezone/user/groups/join
  duskgate explain GET /api/v3/onezone/health")]
pub struct Arguments {
    /// The method, in capital letters as it is sent
    method: Method,
    /// The path as it is sent, percent-encoding and all; a query makes no difference
    #[arg(value_parser = path)]
    path: String,
    /// When: a date-time such as 2027-03-31T00:00:00Z, or a date [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
    /// Who calls, as in the log: user:ID, provider:ID, basic:NAME, unknown or anonymous
    #[arg(long, value_name = "CONSUMER", value_parser = consumer)]
    consumer: Option<String>,
    #[command(flatten)]
    source: Source,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> ExitCode {
    match arguments.source.load() {
        Ok(config) => {
            let now = arguments.at.unwrap_or_else(|| Clock::Real.now());
            let has_module = config.local.is_some();
            let mut out = explain(&config.book, has_module, &arguments.method, &arguments.path, now);
            if let Some(consumer) = &arguments.consumer {
                let _ = writeln!(out, "\nconsumer:   {consumer} (nothing here depends on who calls)");
            }
            super::print(&out)
        }
        Err(code) => code,
    }
}

/// `has_module`: whether there is a token module, which watches some routes that are not deprecated.
fn explain(book: &Book, has_module: bool, method: &Method, path: &str, now: Timestamp) -> String {
    let mut out = format!("request:    {method} {path}\nat:         {now:.0}\n");
    let path = path.split('?').next().unwrap_or_default();
    match book.table.find(method, path) {
        Found::Call(call) => deprecated(&mut out, &book.entries[call.operation], &call, now),
        Found::OtherMethod { operations } => other_method(&mut out, book, method, &operations, now),
        Found::Other => {
            if has_module && let Some(watched) = local::watched(method, path) {
                self::watched(&mut out, watched);
                return out;
            }
            let why = match route::segments(path) {
                Ok(_) => "no deprecated operation has this path",
                Err(_) => {
                    "the path has a bad escape or a character that must be escaped, which the backend refuses"
                }
            };
            passes(&mut out, why);
        }
    }
    out
}

fn passes(out: &mut String, why: &str) {
    let _ = writeln!(
        out,
        "operation:  none: {why}\noutcome:    passes through, neither dressed nor counted as deprecated"
    );
}

/// A route on which a token of ours may arrive.
fn watched(out: &mut String, watched: Watched) {
    let ledger = "503 ledgerUnavailable while the ledger is away";
    let (what, ours) = match watched {
        Watched::Join(kind) => (
            format!("the join with invitations of type {}", kind.name()),
            format!(
                "201, no body, once the caller, the token and the right of its issuer are found good; it is used once, \
                 refusals are Onezone's, {ledger}\n\
                 cost:       5 requests to the backend, 6 or 7 where the issuer is an owner of the space or an \
                 administrator, at most 7 where it is refused"
            ),
        ),
        Watched::Question(name @ "verify_invite_token") => (
            format!("{name}, of the token in the body"),
            format!("200 with its subject, or why it is no good; {ledger}"),
        ),
        Watched::Question(name) => (
            format!("{name}, of the token in the body"),
            "200 with what was asked for; no ledger is needed".to_owned(),
        ),
        Watched::Token { is_ours: true } => {
            let answer = format!("for its issuer, or who holds oz_tokens_manage; {ledger}");
            let _ = writeln!(
                out,
                "operation:  none: no deprecated operation has this path\n\
                 watched:    a token, by an id that has the form of ours\n\
                 outcome:    answered by our own token module: {answer}; neither dressed nor counted as deprecated"
            );
            return;
        }
        Watched::EndOfAll => {
            let _ = writeln!(
                out,
                "operation:  none: no deprecated operation has this path\n\
                 watched:    the end of all named tokens of somebody, and so of those that were issued here\n\
                 outcome:    passes through as it came; where the backend has done it, the tokens that were issued here and \
                 not used end too; {ledger}, and nothing is done; neither dressed nor counted as deprecated"
            );
            return;
        }
        Watched::Token { is_ours: false } => {
            return passes(out, "no deprecated operation has this path, and the id has not the form of ours");
        }
    };
    let _ = writeln!(
        out,
        "operation:  none: no deprecated operation has this path\n\
         watched:    {what}\n\
         outcome:    where the token in the body was issued here, answered by our own token module: {ours}\n\
         otherwise:  passes through as it came; either way neither dressed nor counted as deprecated"
    );
}

/// The path of deprecated operations, but the method of none of them.
fn other_method(out: &mut String, book: &Book, method: &Method, operations: &[usize], now: Timestamp) {
    let entries: Vec<_> = operations.iter().filter_map(|index| book.entries.get(*index)).collect();
    let names: Vec<_> = entries.iter().map(|entry| describe(&entry.operation)).collect();
    let why = format!("the path is that of {}, but not the method", names.join(" and "));
    if !entries.iter().any(|entry| policy::decide(entry, now).mode.keeps_route()) {
        return passes(out, &why);
    }
    let mut allow: Vec<_> = entries.iter().map(|entry| entry.operation.method.as_str()).collect();
    allow.sort_unstable();
    let answer = match method.as_str() {
        "GET" | "POST" | "PUT" | "PATCH" | "DELETE" => {
            format!("405, allow: {}, no body, readable from any origin", allow.join(", "))
        }
        _ => "500, no body".to_owned(),
    };
    let _ = writeln!(
        out,
        "operation:  none: {why}\n\
         outcome:    answered as a Onezone that has the route would: {answer}; neither dressed nor counted as deprecated"
    );
}

fn deprecated(out: &mut String, entry: &Entry, call: &Call, now: Timestamp) {
    let verdict = policy::decide(entry, now);
    let _ = writeln!(out, "operation:  {}", describe(&entry.operation));
    for (name, value) in &call.ids {
        let _ = writeln!(out, "id:         {name} = {}", value.escape_debug());
    }
    let _ = writeln!(out, "phase:      {}", phase(entry, verdict.phase));
    let _ = writeln!(out, "mode:       {}", mode(entry, verdict));
    if verdict.mode == Mode::Rewrite {
        let fallback = match entry.fallback.as_slice() {
            [] => "none: where the backend lacks the newer API the answer is 502 badGateway".to_owned(),
            modes => {
                let modes: Vec<_> = modes.iter().map(|mode| mode.name()).collect();
                format!("{}, where the backend lacks the newer API or cannot be reached", modes.join(", "))
            }
        };
        let _ = writeln!(out, "fallback:   {fallback}");
    }
    let _ = writeln!(out, "\nadded to every answer, whoever makes it and whatever its status:");
    headers(out, entry, call);
    let _ = writeln!(out, "\nanswer:     {}", answer(entry, call, verdict));
}

fn describe(operation: &Operation) -> String {
    format!("{} ({} {})", operation.id, operation.method, operation.template)
}

fn phase(entry: &Entry, phase: Phase) -> String {
    let (deprecated, sunset) = (entry.schedule.deprecated(), entry.schedule.sunset());
    match (phase, sunset) {
        (Phase::Announced, _) => format!("announced, until {deprecated}"),
        (Phase::Deprecated, Some(sunset)) => format!("deprecated, since {deprecated}, until {sunset}"),
        (Phase::Deprecated, None) => {
            format!("deprecated, since {deprecated}, until further notice: no sunset is set")
        }
        (Phase::Sunset, Some(sunset)) => format!("sunset, since {sunset}, for good"),
        (Phase::Sunset, None) => "sunset".to_owned(),
    }
}

fn mode(entry: &Entry, verdict: Verdict) -> String {
    let reason = if verdict.mode != entry.mode {
        format!("after_sunset is \"gone\"; until the sunset it was {}", entry.mode)
    } else if verdict.phase == Phase::Sunset && entry.after_sunset == AfterSunset::Serve {
        "after_sunset is \"serve\"".to_owned()
    } else if let Some(asked) = entry.asked
        && let Some(reason) = entry.operation.why_not(asked)
    {
        format!("[deprecation] asks for {asked}, in which it cannot be served: {reason}")
    } else {
        "as configured".to_owned()
    };
    format!("{} ({reason})", verdict.mode)
}

/// The fields as they go out. `Access-Control-Expose-Headers` depends on the rest of the answer.
fn headers(out: &mut String, entry: &Entry, call: &Call) {
    let mut fields = HeaderMap::new();
    fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    policy::headers::dress(&mut fields, entry, call);
    let depends = [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS];
    for (name, value) in fields.iter().filter(|(name, _)| !depends.contains(name)) {
        let _ = writeln!(out, "  {name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    if let Some(exposed) = fields.get(ACCESS_CONTROL_EXPOSE_HEADERS) {
        let _ = writeln!(out, "and where the answer has CORS headers, merged into what is there:");
        let _ = writeln!(
            out,
            "  {ACCESS_CONTROL_EXPOSE_HEADERS}: {}",
            String::from_utf8_lossy(exposed.as_bytes())
        );
    }
}

fn answer(entry: &Entry, call: &Call, verdict: Verdict) -> String {
    match verdict.mode {
        Mode::Observe => "the backend's own; the call is forwarded as it is".to_owned(),
        Mode::Gone => {
            let details = policy::directions(entry, call);
            format!(
                "410 operationGone, cache-control: no-store, with these directions in its details\n{details:#}"
            )
        }
        Mode::Local => format!(
            "{} {{\"token\":\"…\"}}, issued by our own token module where the backend says that the caller may invite; \
             errors are those of the old route, and 503 ledgerUnavailable while the ledger is away\n\
             cost:       {} requests to the backend",
            entry.operation.success,
            entry.operation.cost(verdict.mode),
        ),
        Mode::Rewrite => {
            let newer = entry.operation.successors.first();
            let newer = newer.and_then(|newer| Some(format!("{} {}", newer.method.as_ref()?, newer.path)));
            let shape = match entry.operation.rewrite {
                Some(Family::ClientTokens(ClientTokens::List)) => " {\"tokens\":[…]}",
                Some(family) if family.creates() => " {\"token\":\"…\"}",
                Some(_) | None => "",
            };
            format!(
                "{}{shape}, made by {} with the caller's own credentials; errors are those of the old route\n\
                 cost:       {} requests to the backend",
                entry.operation.success,
                newer.as_deref().unwrap_or("the newer API"),
                entry.operation.cost(verdict.mode),
            )
        }
    }
}

fn path(text: &str) -> Result<String, String> {
    match text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err("a path begins with a slash".to_owned()),
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let date = || format!("{}T00:00:00Z", text.parse::<Date>().ok()?).parse().ok();
    text.parse::<Timestamp>().ok().or_else(date).ok_or_else(|| {
        "expected a date-time with an offset, such as 2027-03-31T00:00:00Z, or a date, such as 2027-03-31"
            .to_owned()
    })
}

fn consumer(text: &str) -> Result<String, String> {
    let named = ["user:", "provider:", "basic:"]
        .iter()
        .filter_map(|kind| text.strip_prefix(kind))
        .any(|id| !id.is_empty());
    match named || matches!(text, "unknown" | "anonymous") {
        true => Ok(text.to_owned()),
        false => Err("expected user:ID, provider:ID, basic:NAME, unknown or anonymous".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const INVITE: &str = "/api/v3/onezone/groups/abc/users/token";

    fn said(configuration: &str, method: Method, path: &str, at: &str) -> String {
        let text = format!(
            "[upstream]\nservers = [\"http://a\"]\n[deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\nsunset_at = 2027-03-31T00:00:00Z\n{configuration}"
        );
        let config = Config::read(std::path::Path::new("c.toml"), &text, []).unwrap();
        explain(&config.book, false, &method, path, moment(at).unwrap())
    }

    #[test]
    fn what_a_token_module_watches_says_what_it_does_there() {
        let ours = "dgd3ab7b3d0123456789abcdef0123456789abcdef";
        let text =
            "[upstream]\nservers = [\"http://a\"]\n[deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n";
        let config = Config::read(std::path::Path::new("c.toml"), text, []).unwrap();
        let now = moment("2026-11-24").unwrap();
        let joins = "the join with invitations of type groupJoinGroup\noutcome:    where the token in the body was \
                     issued here, answered by our own token module: 201, no body, once";
        for (method, path, parts) in [
            (
                Method::POST,
                "/groups/abc/parents/join/",
                [joins, "\ncost:       5 requests to the backend, 6 or 7 where", "\notherwise:  passes"],
            ),
            (
                Method::POST,
                "/tokens/examine?a=b",
                ["examine, of the token in the body\n", "no ledger", "otherwise: "],
            ),
            (
                Method::POST,
                "/tokens/verify_invite_token",
                ["verify", "200 with its subject", "503 ledgerUnav"],
            ),
            (
                Method::GET,
                &format!("/tokens/named/{ours}"),
                ["has the form of ours\n", "for its issuer", "503"],
            ),
            (
                Method::GET,
                &format!("/tokens/named/{ours}/status"),
                ["has the form of ours\n", "for its", "503"],
            ),
            (
                Method::DELETE,
                "/tokens/named/abc",
                ["has not the form of ours", "passes through", "outcome: "],
            ),
            (
                Method::GET,
                "/user/groups/join",
                ["none: no deprecated operation", "passes through", "outcome: "],
            ),
        ] {
            let path = format!("/api/v3/onezone{path}");
            let said = explain(&config.book, true, &method, &path, now);
            assert!(parts.iter().all(|part| said.contains(part)), "{parts:?} in\n{said}");
            let without = explain(&config.book, false, &method, &path, now);
            assert!(!without.contains("token module") && without.contains("passes through"), "{without}");
        }
    }

    #[test]
    fn a_rewritten_call_is_explained_with_its_headers() {
        let said = said("", Method::POST, &format!("{INVITE}?a=b"), "2026-11-24");
        for part in [
            "at:         2026-11-24T00:00:00Z\n",
            "operation:  create_user_group_invite_token (POST /api/v3/onezone/groups/{id}/users/token)\n",
            "id:         id = abc\n",
            "phase:      deprecated, since 2020-06-01T00:00:00Z, until 2027-03-31T00:00:00Z\n",
            "mode:       rewrite (as configured)\n",
            "fallback:   none",
            "  deprecation: @1590969600\n",
            "  sunset: Wed, 31 Mar 2027 00:00:00 GMT\n",
            "/create_user_group_invite_token>; rel=\"deprecation\"\n",
            "answer:     200 {\"token\":\"…\"}, made by POST /api/v3/onezone/user/tokens/named ",
            "cost:       1, at most 4 requests to the backend\n",
        ] {
            assert!(said.contains(part), "{part} in\n{said}");
        }
    }

    #[test]
    fn a_mode_that_an_operation_cannot_have_is_named_with_the_reason() {
        let list = "/api/v3/onezone/user/client_tokens";
        let support = "/api/v3/onezone/spaces/s/providers/token";
        let local = "mode = \"local\"\n[local]\nonezone_domain = \"onezone.example.org\"\nkey_file = \"duskgate.key\"";
        let directory = tempfile::tempdir().unwrap();
        crate::token::key_file::create(&directory.path().join("duskgate.key")).unwrap();
        std::fs::write(directory.path().join("service.token"), "t").unwrap();
        let alias = "/api/v3/onezone/user/spaces/s/alias";
        let none = "[[operation]]\nid = \"list_client_tokens\"\nmode = \"observe\"";
        for (configuration, method, path, expected) in [
            (
                local,
                Method::GET,
                list,
                "observe ([deprecation] asks for local, in which it cannot be served: it issues no invite tokens)",
            ),
            (
                local,
                Method::POST,
                support,
                "observe ([deprecation] asks for local, in which it cannot be served: Oneproviders use these tokens over a \
                 WebSocket)",
            ),
            (
                "",
                Method::GET,
                alias,
                "observe ([deprecation] asks for rewrite, in which it cannot be served: the newer API has no form of it that \
                 is known here)",
            ),
            (none, Method::GET, list, "observe (as configured)"),
            ("mode = \"observe\"", Method::GET, alias, "observe (as configured)"),
        ] {
            let text = format!(
                "[upstream]\nservers = [\"http://a\"]\nservice_token_file = \"service.token\"\n\
                 [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n{configuration}"
            );
            let config = Config::read(&directory.path().join("c.toml"), &text, []).unwrap();
            let said = explain(&config.book, true, &method, path, moment("2026-11-24").unwrap());
            assert!(said.contains(&format!("mode:       {expected}\n")), "{expected} in\n{said}");
        }
    }

    #[test]
    fn after_the_sunset_it_is_gone_with_directions() {
        let said = said("", Method::POST, INVITE, "2027-03-31T00:00:00Z");
        assert!(said.contains("phase:      sunset, since 2027-03-31T00:00:00Z, for good\n"), "{said}");
        assert!(
            said.contains("mode:       gone (after_sunset is \"gone\"; until the sunset it was rewrite)\n"),
            "{said}"
        );
        assert!(
            said.contains("answer:     410 operationGone") && said.contains("\"groupId\": \"abc\""),
            "{said}"
        );
    }

    #[test]
    fn what_passes_through_says_why() {
        let said_of = |method, path| said("", method, path, "2026-11-24");
        let passes = "passes through";
        for (said, why) in [
            (said_of(Method::GET, "/api/v3/onezone/health"), "no deprecated operation has this path"),
            (said_of(Method::POST, "/api/v3/onezone/groups/%zz/users/token"), "the path has a bad escape"),
            (said_of(Method::PATCH, "/api/v3/onezone/user/spaces/s/alias"), "but not the method"),
        ] {
            assert!(said.contains(why) && said.contains(passes), "{why} in\n{said}");
        }
    }

    #[test]
    fn other_methods_on_a_rewritten_path_are_answered_as_by_an_old_onezone() {
        let get = said("", Method::GET, INVITE, "2026-11-24");
        assert!(get.contains("would: 405, allow: POST, no body"), "{get}");
        let head = said("", Method::HEAD, INVITE, "2026-11-24");
        assert!(head.contains("would: 500, no body"), "{head}");
        let observed = said("mode = \"observe\"", Method::GET, INVITE, "2026-11-24");
        assert!(observed.contains("passes through"), "{observed}");
    }
}
