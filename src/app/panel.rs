//! What the admin listener shows and commands, over the proxy's inside.

use std::sync::Arc;

use super::Live;
use crate::admin::{Health, Panel, Row, Written};
use crate::clock::Clock;
use crate::config::{Config, Place};
use crate::operation::Successor;
use crate::policy::{self, Entry};

/// The panel of this proxy.
pub(super) fn of(live: &Arc<Live>) -> Panel {
    let share = || Arc::clone(live);
    let (health, operations, configuration, reload, drain) = (share(), share(), share(), share(), share());
    let written = share();
    Panel {
        metrics: Arc::clone(&live.metrics),
        health: Box::new(move || {
            let live = Arc::clone(&health);
            Box::pin(async move {
                let draining = live.is_draining();
                let (upstream, ledger) = (live.upstream_answers().await, live.ledger_answers().await);
                Health { listening: true, upstream, ledger: Some(ledger), draining }
            })
        }),
        operations: Box::new(move || rows(&operations)),
        usage: live.asking(),
        usage_written: Box::new(move || {
            let config = written.config();
            [config.table("usage"), config.place("usage", "ignore")]
                .map(|place| self::written(&config, place))
        }),
        configuration: Box::new(move || configuration.print()),
        reload: Box::new(move || {
            let outcome = reload.reload();
            Box::pin(std::future::ready(outcome))
        }),
        drain: Box::new(move |wanted| drain.drain(wanted)),
    }
}

fn rows(live: &Live) -> Vec<Row> {
    let (pipeline, config) = (live.pipeline(), live.config());
    pipeline.book().entries.iter().map(|entry| row(live, &config, entry)).collect()
}

fn written(config: &Config, place: Option<&Place>) -> Written {
    match place {
        None | Some(Place::Default) => Written::Nowhere,
        Some(Place::File { line, .. }) => Written::File(format!("{}:{line}", config.file.display())),
        Some(Place::Environment(variable)) => Written::Environment(variable.clone()),
    }
}

fn row(live: &Live, config: &Config, entry: &Entry) -> Row {
    let operation = &entry.operation;
    let verdict = policy::decide(entry, Clock::Real.now());
    Row {
        id: operation.id.clone(),
        method: operation.method.to_string(),
        path: operation.template.clone(),
        mode: verdict.mode.name(),
        phase: verdict.phase.name(),
        deprecated_at: entry.schedule.deprecated(),
        sunset_at: entry.schedule.sunset(),
        documentation: entry.documentation.clone(),
        successors: operation.successors.iter().map(successor).collect(),
        cost: operation.cost(verdict.mode),
        calls: live.metrics.calls(&operation.id),
        last_call: live.metrics.last_call(&operation.id),
        falls_back: !entry.fallback.is_empty(),
        written: written(config, config.operation_table(&operation.id)),
    }
}

fn successor(successor: &Successor) -> String {
    match &successor.method {
        Some(method) => format!("{method} {}", successor.path),
        None => successor.path.clone(),
    }
}
