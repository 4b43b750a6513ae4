//! Brings the counts of who calls what to the ledger while the program runs, and the last of them when it stops; and tells
//! the metrics what the ledger knows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Live;
use crate::clock::Clock;
use crate::ledger::Away;
use crate::ledger::usage::day_of;
use crate::metrics::Standing;
use crate::usage::{days, latest};

/// The pause between two rounds. A crash loses no more counts than this, and the time that the ledger takes.
const PAUSE: Duration = Duration::from_millis(400);
/// How often it is said that operations are being watched.
const WATCHING: Duration = Duration::from_secs(30);
/// The pause before the metrics are told again how operations stand.
const TELLING: Duration = Duration::from_secs(5);
/// Or so many times the time that the ledger took for it.
const SHARE: u32 = 20;
/// How often what is old enough is forgotten.
const PRUNING: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an orderly stop waits for the ledger.
const LAST: Duration = Duration::from_secs(10);

/// Brings counts away for as long as the program runs.
pub(super) async fn count(live: Arc<Live>) {
    let (mut watched, mut pruned): (Option<Instant>, Option<Instant>) = (None, None);
    let mut is_away = false;
    loop {
        let now = Clock::Real.now();
        let mut outcome = live.usage().flush(live.ledger(), now).await;
        let is_due = watched.is_none_or(|at| at.elapsed() >= WATCHING);
        if outcome.is_ok() && (is_due || live.usage().has_lost()) {
            outcome = live.usage().watch(live.ledger(), operations(&live), now).await;
            watched = outcome.is_ok().then(Instant::now);
        }
        live.usage().set_behind(outcome.as_ref().err().cloned());
        if outcome.is_err() {
            live.metrics.standings_unknown();
        }
        if outcome.is_ok() && pruned.is_none_or(|at| at.elapsed() >= PRUNING) {
            let before = day_of(now).saturating_sub(days(live.usage().settings().retention));
            outcome = live.ledger().prune_usage(before).await.map(|count| {
                if count > 0 {
                    tracing::info!("{count} sums of calls that are long past were forgotten");
                }
            });
            pruned = Some(Instant::now());
        }
        match outcome {
            Err(away) if !is_away => {
                tracing::warn!("who calls cannot be recorded, and is held in memory meanwhile: {away}");
                is_away = true;
            }
            Ok(()) if is_away => {
                tracing::info!("who calls is recorded again");
                is_away = false;
            }
            _ => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Tells the metrics how operations stand, for as long as the program runs.
pub(super) async fn tell(live: Arc<Live>) {
    loop {
        let begin = Instant::now();
        let settings = live.usage().settings();
        let standings = latest::standings(live.ledger(), operations(&live), &settings, Clock::Real.now());
        match standings.await {
            Ok(standings) => {
                let is_complete = live.usage().behind().is_none();
                for (operation, standing) in standings {
                    let is_safe = standing.is_safe && is_complete;
                    live.metrics.standing(&operation, Standing { is_safe, ..standing });
                }
            }
            // That the ledger is away is told elsewhere.
            Err(away) => {
                live.metrics.standings_unknown();
                tracing::debug!("how operations stand is not known: {away}");
            }
        }
        tokio::time::sleep(TELLING.max(begin.elapsed() * SHARE)).await;
    }
}

/// Brings the last counts away.
pub(super) async fn finish(live: &Live) {
    let now = Clock::Real.now();
    let mut why = "the ledger did not answer in time".to_owned();
    let last = async {
        // It may be on its way back.
        while let Err(away) = bring(live, now).await {
            why = away.to_string();
            tokio::time::sleep(PAUSE).await;
        }
    };
    if tokio::time::timeout(LAST, last).await.is_ok() {
        return;
    }
    let lost = live.usage().give_up(now);
    if lost > 0 {
        tracing::error!(
            "the last {lost} calls could not be recorded, and no report will know of them: {why}"
        );
    }
}

async fn bring(live: &Live, now: Timestamp) -> Result<(), Away> {
    live.usage().flush(live.ledger(), now).await?;
    live.usage().watch(live.ledger(), operations(live), now).await
}

fn operations(live: &Live) -> Vec<String> {
    live.pipeline().book().entries.iter().map(|entry| entry.operation.id.clone()).collect()
}

/// What a crash may lose is promised, and half of it left to the ledger.
const _: () = assert!(PAUSE.as_millis() * 2 <= 1000);
