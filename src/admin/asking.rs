//! Asks the ledger who calls, once for all who want to know the same at the same time: however many look at the page, the
//! ledger has the same work. Nobody waits for it longer than [`PATIENCE`], and what it answers later is there for whoever
//! asks again.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::ledger::usage::{RECENT, day_of};
use crate::ledger::{Away, Store, UsedDay};
use crate::usage::report::{self, Question, Report};
use crate::usage::{Settings, Usage};

/// How long one answer is good for all, at least.
const FRESH: Duration = Duration::from_secs(2);
/// A ledger that takes long is asked more rarely: it is at rest so many times as long as the last answer took.
const REST: u32 = 4;
/// How long whoever asks waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the ledger may take.
const LONGEST: Duration = Duration::from_secs(60);
/// How many different questions may be under way, and how many answers are kept.
const MOST: usize = 4;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// What verdicts go by; the window in it is that of the report.
    pub settings: Settings,
    /// This operation only.
    pub operation: Option<String>,
    /// This consumer only.
    pub consumer: Option<String>,
    /// The operations that are reported even if nobody calls them.
    pub operations: Vec<String>,
}

/// What is known.
pub(super) struct Known {
    /// Who calls.
    pub report: Report,
    /// The calls of each operation on each of the last 31 days, where nothing is filtered.
    pub days: Vec<UsedDay>,
    /// Why the newest counts are not in it, if they are not.
    pub behind: Option<Away>,
    json: OnceLock<Bytes>,
}

/// Why it is not known.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Unknown {
    /// The ledger is away.
    #[error("{0}")]
    Away(#[from] Away),
    /// It takes its time.
    #[error("the ledger has not answered within {} s; try again in a moment", PATIENCE.as_secs())]
    Slow,
    /// Others ask other things.
    #[error("{MOST} other reports are being made; try again in a moment")]
    Busy,
    /// The report could not be made.
    #[error("the report has failed")]
    Failed,
}

type Answer = Result<Arc<Known>, Unknown>;

/// Asks.
pub struct Asking {
    usage: Arc<Usage>,
    ledger: Arc<dyn Store>,
    slots: Mutex<Vec<Slot>>,
}

/// One question, being asked or answered.
struct Slot {
    asked: Asked,
    answer: watch::Receiver<Option<Answer>>,
    begun: Instant,
    /// Until when the answer is good; nothing while there is none.
    until: Arc<Mutex<Option<Instant>>>,
}

impl Known {
    /// The report as `duskgate report --format json` prints it.
    pub async fn json(self: &Arc<Self>) -> Result<Bytes, Unknown> {
        let known = Arc::clone(self);
        let write = move || {
            if let Some(json) = known.json.get() {
                return Ok(json.clone());
            }
            let text = serde_json::to_string_pretty(&known.report).map_err(|_| Unknown::Failed)?;
            Ok(known.json.get_or_init(|| Bytes::from(text + "\n")).clone())
        };
        // Off this thread: it may be long.
        tokio::task::spawn_blocking(write).await.unwrap_or(Err(Unknown::Failed))
    }
}

impl Asking {
    /// Asks this ledger, into which these counts go.
    pub fn new(usage: Arc<Usage>, ledger: Arc<dyn Store>) -> Self {
        Asking { usage, ledger, slots: Mutex::default() }
    }

    /// What verdicts go by now.
    pub(super) fn settings(&self) -> Arc<Settings> {
        self.usage.settings()
    }

    /// Asks, unless somebody has just asked the same.
    ///
    /// # Errors
    ///
    /// It is not known, or not yet.
    pub(super) async fn ask(&self, asked: Asked) -> Answer {
        let mut answer = self.answer_of(asked)?;
        match tokio::time::timeout(PATIENCE, answer.wait_for(Option::is_some)).await {
            Ok(Ok(answer)) => answer.clone().unwrap_or(Err(Unknown::Failed)),
            Ok(Err(_)) => Err(Unknown::Failed),
            Err(_) => Err(Unknown::Slow),
        }
    }

    /// Where the answer is, or will be.
    fn answer_of(&self, asked: Asked) -> Result<watch::Receiver<Option<Answer>>, Unknown> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(Slot::is_good);
        if let Some(slot) = slots.iter().find(|slot| slot.asked == asked) {
            return Ok(slot.answer.clone());
        }
        if slots.len() >= MOST {
            // The oldest that is answered makes room.
            let answered = slots.iter().enumerate().filter(|(_, slot)| !slot.is_open());
            let (index, _) = answered.min_by_key(|(_, slot)| slot.begun).ok_or(Unknown::Busy)?;
            slots.swap_remove(index);
        }
        let (sender, answer) = watch::channel(None);
        let until = Arc::new(Mutex::new(None));
        let slot = Slot { asked, answer: answer.clone(), begun: Instant::now(), until: Arc::clone(&until) };
        let asking = slot.begun;
        let (usage, ledger, asked) = (Arc::clone(&self.usage), Arc::clone(&self.ledger), slot.asked.clone());
        slots.push(slot);
        // It goes on when nobody waits any more, so that who comes and goes does not have the ledger begin again and again.
        tokio::spawn(async move {
            let known = tokio::time::timeout(LONGEST, find_out(&usage, &*ledger, &asked)).await;
            let good = FRESH.max(REST * asking.elapsed());
            *until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + good);
            let _ = sender.send(Some(known.unwrap_or(Err(Unknown::Slow)).map(Arc::new)));
        });
        Ok(answer)
    }
}

impl Slot {
    /// Whether the answer is still to come.
    fn is_open(&self) -> bool {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Whether the answer is good, or will be.
    fn is_good(&self) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        // A task that has failed leaves nobody who could answer.
        until.map_or(self.answer.has_changed().is_ok(), |until| Instant::now() < until)
    }
}

async fn find_out(usage: &Usage, ledger: &dyn Store, asked: &Asked) -> Result<Known, Unknown> {
    // Where there is nothing to record, others may have had something that they could not.
    let behind = usage.flush(ledger, Clock::Real.now()).await.err().or_else(|| usage.behind());
    let now = Clock::Real.now();
    let (operation, consumer) = (asked.operation.clone(), asked.consumer.clone());
    let is_filtered = operation.is_some() || consumer.is_some();
    let question = Question { operation, consumer, operations: asked.operations.clone() };
    let mut report = report::make(ledger, &question, &asked.settings, now).await?;
    if behind.is_some() {
        report.lacks_newest();
    }
    let days = if is_filtered { Vec::new() } else { ledger.usage_days(day_of(now) - RECENT[2]).await? };
    Ok(Known { report, days, behind, json: OnceLock::new() })
}
