//! The differential test: the same calls, made directly at a Onezone that has the old route and through Duskgate in front
//! of one that has dropped it, are answered alike and bring about the same, except for what `exceptions.rs` names. On the
//! new side every answer of the deprecated operation is dressed and counted once, whatever it is.

mod cases;
mod credentials;
mod effect;
mod exceptions;
mod sent;
mod worlds;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cases::Case;
use duskgate::sandbox::{self, Fixture};
use effect::{Exchange, exchange};
use exceptions::{EXCEPTIONS, Exception};
use worlds::World;

use crate::support::http::Response;
use crate::support::proxy::Metrics;

/// No call costs more requests to the backend than this, collisions of names aside.
const MOST_REQUESTS: usize = 3;

#[tokio::test]
async fn everybody_gets_what_the_old_route_gave_them_for_every_group() {
    compare(
        cases::everybody,
        &["names are cut at a character boundary", "a name that cannot be read is left out"],
    )
    .await;
}

#[tokio::test]
async fn every_form_of_credentials_is_judged_as_before() {
    compare(cases::every_credential, &[]).await;
}

#[tokio::test]
async fn every_body_of_every_type_is_judged_as_before() {
    compare(cases::every_body, &[]).await;
}

#[tokio::test]
async fn every_accept_is_judged_as_before() {
    compare(cases::every_accept, &[]).await;
}

#[tokio::test]
async fn every_api_caveat_is_judged_as_before() {
    compare(
        cases::every_api_caveat,
        &["a name that cannot be read is left out", "a token for the old route alone is refused at once"],
    )
    .await;
}

#[tokio::test]
async fn an_open_circuit_breaker_shows_where_it_did() {
    compare(cases::breaker, &[]).await;
}

#[tokio::test]
async fn every_spelling_of_the_path_means_what_it_meant() {
    compare(cases::spellings, &[]).await;
}

#[tokio::test]
async fn other_methods_are_answered_as_if_the_route_were_there() {
    compare(cases::methods, &[]).await;
}

#[tokio::test]
async fn whatever_stands_for_the_group_is_looked_for() {
    compare(cases::ids, &[]).await;
}

#[tokio::test]
async fn other_fields_matter_where_they_did() {
    compare(cases::fields, &[]).await;
}

#[tokio::test]
async fn a_large_body_is_taken_up_to_the_same_size() {
    compare(cases::large, &[]).await;
}

#[tokio::test]
async fn no_two_cases_are_the_same_and_there_are_many() {
    let sandbox = sandbox::start(sandbox::Settings::default()).await.unwrap();
    let chapters: [fn(&Fixture) -> Vec<Case>; 11] = [
        cases::everybody,
        cases::every_credential,
        cases::every_body,
        cases::every_accept,
        cases::every_api_caveat,
        cases::breaker,
        cases::spellings,
        cases::methods,
        cases::ids,
        cases::fields,
        cases::large,
    ];
    let mut total = 0;
    for chapter in chapters {
        let cases = chapter(&sandbox.fixture);
        let mut seen = HashSet::new();
        cases.iter().for_each(|case| assert!(seen.insert(&case.name), "twice: {}", case.name));
        total += cases.len();
    }
    println!("{total} cases");
    assert!(total >= 300, "only {total} cases");
}

#[test]
fn the_readme_names_every_exception() {
    let readme = include_str!("../../../README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for Exception { name, reason, .. } in EXCEPTIONS {
        assert!(
            readme.contains(&format!("- *{name}*: {reason}")),
            "the README does not say: {name}: {reason}"
        );
    }
}

/// Makes the calls of a chapter in all three worlds. These exceptions occur, and no others.
async fn compare(chapter: fn(&Fixture) -> Vec<Case>, exceptions: &[&str]) {
    let old = World::old().await;
    let new = [World::new(true).await, World::new(false).await];
    let mut counted = [Counts::default(), Counts::default()];
    let (mut faults, mut occurred) = (Vec::new(), BTreeSet::new());
    for case in chapter(&old.sandbox.fixture) {
        let before = exchange(&old, &case).await.effect;
        for (world, counted) in new.iter().zip(&mut counted) {
            let Exchange { response, requests, effect: after } = exchange(world, &case).await;
            let exception = || EXCEPTIONS.iter().find(|one| (one.permits)(&case, world, &before, &after));
            match (before == after).then_some(None).or_else(|| exception().map(Some)) {
                Some(exception) => occurred.extend(exception.map(|one| one.name)),
                None => faults.push(format!("{}\n  old: {before}\n  new: {after}", title(&case, world))),
            }
            faults.extend(
                dressing_faults(&case, &response).map(|fault| format!("{}: {fault}", title(&case, world))),
            );
            let is_cheap = requests.len() <= MOST_REQUESTS;
            if !is_cheap || requests.iter().any(|line| line.starts_with("DELETE") && case.is_call) {
                faults.push(format!("{}: asked the backend for {requests:?}", title(&case, world)));
            }
            counted.add(&case, &response);
        }
    }
    for (world, counted) in new.into_iter().zip(counted) {
        if let Some(proxy) = &world.proxy {
            counted.assert_are(&proxy.metrics().await);
        }
        world.stop().await;
    }
    let shown = faults.iter().take(30).cloned().collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} differences, among them:\n{shown}", faults.len());
    assert_eq!(occurred, exceptions.iter().copied().collect());
}

fn title(case: &Case, world: &World) -> String {
    let name: String = case.name.chars().take(200).collect();
    format!("{name} (service token: {})", world.has_service_token)
}

/// What is wrong with the header fields about the deprecation.
fn dressing_faults(case: &Case, response: &Response) -> Option<String> {
    let found: Vec<_> = ["deprecation", "sunset", "link", "access-control-expose-headers"]
        .map(|name| response.all(name).join("\n"))
        .into();
    let is_readable = response.header("access-control-allow-origin").is_some();
    let expected = if case.is_call {
        [
            "@1590969600",
            "Tue, 31 Mar 2099 00:00:00 GMT",
            "<https://onedata.org/api/stable/onezone/operation/create_user_group_invite_token>; rel=\"deprecation\"\n\
             </api/v3/onezone/user/tokens/named>; rel=\"successor-version\"; \
             title=\"create_named_token_for_current_user\"\n\
             </api/v3/onezone/user/tokens/temporary>; rel=\"successor-version\"; \
             title=\"create_temporary_token_for_current_user: not single-use, must carry a time caveat\"",
            if is_readable { "Deprecation, Sunset, Link" } else { "" },
        ]
    } else {
        [""; 4]
    };
    (found != expected).then(|| format!("dressed in {found:?}"))
}

/// What the metrics must say.
#[derive(Default)]
struct Counts {
    deprecated: BTreeMap<String, u64>,
    routes: BTreeMap<&'static str, u64>,
}

impl Counts {
    fn add(&mut self, case: &Case, response: &Response) {
        *self.routes.entry(if case.is_call { "deprecated" } else { "other" }).or_default() += 1;
        if case.is_call {
            let labels = format!(
                "operation=\"create_user_group_invite_token\",mode=\"rewrite\",phase=\"deprecated\",code=\"{}\"",
                response.status
            );
            *self.deprecated.entry(labels).or_default() += 1;
        }
    }

    #[track_caller]
    fn assert_are(&self, metrics: &Metrics) {
        assert_eq!(metrics.counts("duskgate_deprecated_requests_total"), self.deprecated);
        let mut routes = BTreeMap::new();
        for (labels, count) in metrics.counts("duskgate_http_requests_total") {
            let route = if labels.contains("route=\"deprecated\"") { "deprecated" } else { "other" };
            *routes.entry(route).or_default() += count;
        }
        assert_eq!(routes, self.routes);
    }
}
