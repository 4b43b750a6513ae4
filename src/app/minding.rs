//! What is done about the ledger beside requests: seeing whether it is there, finishing reservations that were left, and
//! forgetting what is long spent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;

use super::Live;
use crate::serve::local::Leftovers;

/// The pause between two rounds.
const PAUSE: Duration = Duration::from_secs(2);
/// A reservation of that age is taken for one that was left. One that is still at work is not harmed by it.
const LEFT: SignedDuration = SignedDuration::from_secs(10);
/// How often spent tokens are looked through.
const PRUNING: Duration = Duration::from_secs(3600);

/// Minds the ledger for as long as the program runs.
pub(super) async fn mind(live: Arc<Live>) {
    // Whatever is reserved at the start was left by another run, or is looked after by another process.
    let mut left = SignedDuration::ZERO;
    let mut pruned: Option<Instant> = None;
    let mut leftovers = Leftovers::default();
    loop {
        let pipeline = live.pipeline();
        let is_there = live.ledger_answers().await;
        if let Some(local) = pipeline.local()
            && is_there
        {
            match local.recover(&mut leftovers, left).await {
                Ok(_) => left = LEFT,
                Err(away) => tracing::warn!("reservations that were left cannot be finished: {away}"),
            }
            if let Err(away) = local.withdraw_unwanted(&mut leftovers).await {
                tracing::warn!("tokens that nobody received cannot be taken out of the ledger: {away}");
            }
            if let Err(away) = local.end_leftovers().await {
                tracing::warn!(
                    "tokens whose issuer has ended them all cannot be ended in the ledger: {away}"
                );
            }
            if pruned.is_none_or(|at| at.elapsed() >= PRUNING) {
                let retention = SignedDuration::try_from(live.retention()).unwrap_or(SignedDuration::MAX);
                match local.prune(retention).await {
                    Ok(0) => {}
                    Ok(count) => tracing::info!("{count} tokens that are long spent were forgotten"),
                    Err(away) => tracing::warn!("spent tokens cannot be forgotten: {away}"),
                }
                pruned = Some(Instant::now());
            }
        }
        drop(pipeline);
        tokio::time::sleep(PAUSE).await;
    }
}
