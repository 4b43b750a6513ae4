//! Making the calls on all sides and holding the answers against each other.

use std::collections::{BTreeMap, BTreeSet};

use duskgate::operation::{Mode, Operation};
use duskgate::sandbox::{self, Fixture};
use jiff::Timestamp;

use super::cases::{self, Case};
use super::effect::{Exchange, exchange};
use super::exceptions::EXCEPTIONS;
use super::worlds::World;
use crate::support::http::Response;
use crate::support::proxy::Metrics;

/// Makes the calls of a chapter in all worlds that serve them here. These exceptions occur, and no others.
pub async fn compare(chapter: impl Fn(&Fixture) -> Vec<Case>, exceptions: &[&str]) {
    let now = duskgate::clock::Clock::Real.now();
    let now = Timestamp::from_second(now.as_second()).expect("a moment");
    let mut old = World::old(now).await;
    let mut new = [World::new(true, now).await, World::new(false, now).await, World::local(now).await];
    let mut counted = new.each_ref().map(|world| Counts::of(world.mode));
    let (mut faults, mut occurred) = (Vec::new(), BTreeSet::new());
    for case in chapter(&old.sandbox.fixture) {
        let before = exchange(&mut old, &case).await.effect;
        for (world, counted) in new.iter_mut().zip(&mut counted) {
            if world.mode == Mode::Local && !case.row.operation.can(Mode::Local) {
                continue;
            }
            let Exchange { response, requests, effect: after } = exchange(world, &case).await;
            let exception = || EXCEPTIONS.iter().find(|one| (one.permits)(&case, world, &before, &after));
            match (before == after).then_some(None).or_else(|| exception().map(Some)) {
                Some(exception) => occurred.extend(exception.map(|one| one.name)),
                None => faults.push(format!("{}\n  old: {before}\n  new: {after}", title(&case, world))),
            }
            faults.extend(
                dressing_faults(&case, &response).map(|fault| format!("{}: {fault}", title(&case, world))),
            );
            let most = case.called().map_or(1, |row| match world.mode {
                // The name of the target besides.
                Mode::Local => usize::from(row.operation.cost(Mode::Local).most) + 1,
                _ => cases::cost(row, world.tokens_at_most()),
            });
            let removes = requests.iter().any(|line| line.starts_with("DELETE"));
            let may_remove = case.request.method == "DELETE";
            if requests.len() > most || removes && !may_remove {
                faults.push(format!("{}: asked the backend for {requests:?}", title(&case, world)));
            }
            counted.add(&case, &response);
        }
    }
    let shown = faults.iter().take(30).cloned().collect::<Vec<_>>().join("\n");
    assert!(faults.is_empty(), "{} differences, among them:\n{shown}", faults.len());
    assert_eq!(occurred, exceptions.iter().copied().collect());
    for (world, counted) in new.into_iter().zip(counted) {
        if let Some(proxy) = &world.proxy {
            counted.assert_are(&proxy.metrics().await);
        }
        world.stop().await;
    }
}

/// The fixture that every world has.
pub async fn fixture() -> Fixture {
    sandbox::start(sandbox::Settings::default()).await.expect("a free port").fixture.clone()
}

fn title(case: &Case, world: &World) -> String {
    let name: String = case.name.chars().take(200).collect();
    format!("{name} ({}, service token: {})", world.mode, world.has_service_token)
}

/// What is wrong with the header fields about the deprecation.
fn dressing_faults(case: &Case, response: &Response) -> Option<String> {
    let found: Vec<_> = ["deprecation", "sunset", "link", "access-control-expose-headers"]
        .map(|name| response.all(name).join("\n"))
        .into();
    let is_readable = response.header("access-control-allow-origin").is_some();
    let expected = match case.called() {
        Some(row) => [
            "@1590969600".to_owned(),
            "Tue, 31 Mar 2099 00:00:00 GMT".to_owned(),
            links(&row.operation).join("\n"),
            (if is_readable { "Deprecation, Sunset, Link" } else { "" }).to_owned(),
        ],
        None => Default::default(),
    };
    (found != expected).then(|| format!("dressed in {found:?}"))
}

fn links(operation: &Operation) -> Vec<String> {
    let documentation =
        format!("<https://onedata.org/api/stable/onezone/operation/{}>; rel=\"deprecation\"", operation.id);
    let successors = operation.successors.iter().map(|successor| {
        // No operation shares a parameter with its successor: what is a token in the one is an id in the other.
        let path = successor.path.replace('{', "%7B").replace('}', "%7D");
        let note = successor.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        let name = successor.operation.as_deref().unwrap_or_default();
        format!("<{path}>; rel=\"successor-version\"; title=\"{name}{note}\"")
    });
    std::iter::once(documentation).chain(successors).collect()
}

/// What the metrics must say.
struct Counts {
    mode: Mode,
    deprecated: BTreeMap<String, u64>,
    routes: BTreeMap<&'static str, u64>,
}

impl Counts {
    fn of(mode: Mode) -> Self {
        Counts { mode, deprecated: BTreeMap::new(), routes: BTreeMap::new() }
    }

    fn add(&mut self, case: &Case, response: &Response) {
        let called = case.called();
        *self.routes.entry(if called.is_some() { "deprecated" } else { "other" }).or_default() += 1;
        if let Some(row) = called {
            let mode = if row.operation.can(self.mode) { self.mode } else { Mode::Observe };
            let labels = format!(
                "operation=\"{}\",mode=\"{mode}\",phase=\"deprecated\",code=\"{}\"",
                row.operation.id, response.status
            );
            *self.deprecated.entry(labels).or_default() += 1;
        }
    }

    #[track_caller]
    fn assert_are(&self, metrics: &Metrics) {
        assert_eq!(metrics.counts("duskgate_deprecated_requests_total"), self.deprecated);
        if self.mode == Mode::Local {
            // The looking at tokens and their deletion is counted as well.
            return;
        }
        let mut routes = BTreeMap::new();
        for (labels, count) in metrics.counts("duskgate_http_requests_total") {
            let route = if labels.contains("route=\"deprecated\"") { "deprecated" } else { "other" };
            *routes.entry(route).or_default() += count;
        }
        assert_eq!(routes, self.routes);
    }
}
