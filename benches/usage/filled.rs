//! A ledger of a year of calls, made quickly: past the ledger's own verbs, in the order of its key.

use std::ops::Range;
use std::path::Path;

use duskgate::clock::Clock;
use duskgate::ledger::usage::day_of;
use duskgate::ledger::{self, Create, Location, Settings};
use rusqlite::{Connection, params};

use super::Figure;

/// The operations that are called, by number.
pub const OPERATIONS: Range<i64> = 0..21;

/// What is in it.
pub struct Filled {
    pub rows: u64,
    pub calls: u64,
}

/// Creates a ledger in which so many consumers call an operation each, on each of so many days.
pub fn create(file: &Path, consumers: i64, days: i64) -> Figure<Filled> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(ledger::open(&Settings::at(Location::Sqlite(file.to_owned())), Create::Yes).check())?;
    let connection = Connection::open(file)?;
    connection
        .execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA cache_size = -500000")?;
    let today = day_of(Clock::Real.now());
    let mut name = connection.prepare("INSERT INTO usage_names (name, day) VALUES (?1, ?2) RETURNING id")?;
    let mut number = |text: String| name.query_one(params![text, today], |row| row.get::<_, i64>(0));
    let operations: Vec<i64> =
        OPERATIONS.map(|it| number(format!("operation_{it}"))).collect::<Result<_, _>>()?;
    let names: Vec<i64> =
        (0..consumers).map(|it| number(format!("user:{it:032x}ch1a2b"))).collect::<Result<_, _>>()?;
    let mode = number("rewrite".to_owned())?;
    let software: Vec<i64> = (0..20).map(|it| number(format!("client/2.{it}"))).collect::<Result<_, _>>()?;
    let networks: Vec<i64> =
        (0..200).map(|it| number(format!("192.0.{it}.0/24"))).collect::<Result<_, _>>()?;
    connection.execute_batch("BEGIN")?;
    let mut add = connection.prepare(
        "INSERT INTO usage_calls VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, 0, 0, ?8, ?8 + 3600000000)",
    )?;
    let mut filled = Filled { rows: 0, calls: 0 };
    for (number, operation) in operations.iter().enumerate() {
        for consumer in (number..names.len()).step_by(operations.len()) {
            for day in today - days + 1..=today {
                // 11 calls in four days.
                let calls = 2 + i64::from(day % 4 != 0);
                let (software, network) = (software[consumer % 20], networks[consumer % 200]);
                let begin = day * 86_400_000_000;
                add.execute(params![operation, names[consumer], mode, software, network, day, calls, begin])?;
                filled.rows += 1;
                filled.calls += calls.unsigned_abs();
            }
        }
    }
    connection.execute_batch("COMMIT; PRAGMA journal_mode = WAL")?;
    Ok(filled)
}
