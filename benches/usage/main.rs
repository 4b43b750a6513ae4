//! What it costs to know who still calls: a report on ten million calls by ten thousand consumers over a year, what the
//! metrics ask of the same ledger, and a scrape with a thousand consumers in it.
//!
//! Reports are made by the real program, as table and as JSON; wall-clock time and the CPU time of the program stand side
//! by side, since the first depends on who else uses the machine. A scrape is asked of a real proxy, pinned to a core,
//! that every operation was called through and whose thousand consumers have three series each: the figure is the CPU time of all its threads.
//! SQLite, in a directory that is removed afterwards. Needs `taskset`; run it with `cargo bench --bench usage`.
//!
//! Environment: `BENCH_DIRECTORY` (default: where this is run), `BENCH_CONSUMERS` (default 10000), `BENCH_DAYS`
//! (default 365), `BENCH_SCRAPES` (default 200).

#![allow(clippy::print_stdout, reason = "figures are this program's output")]

mod calls;
mod filled;
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use duskgate::clock::Clock;
use duskgate::ledger::usage::day_of;
use duskgate::ledger::{self, Create, LatestFilter, Location, Settings};
use support::{Programs, cpu_nanoseconds, setting};

/// A figure, or why there is none.
type Figure<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    support::run(measure)
}

fn measure() -> Figure<()> {
    let parent = std::env::var_os("BENCH_DIRECTORY").map_or_else(|| PathBuf::from("."), PathBuf::from);
    reports(&parent)?;
    scrapes(&parent)
}

fn reports(parent: &Path) -> Figure<()> {
    let (consumers, days) = (setting("BENCH_CONSUMERS", 10_000), setting("BENCH_DAYS", 365));
    let directory = tempfile::tempdir_in(parent)?;
    let file = directory.path().join("duskgate.db");
    let filled = filled::create(&file, consumers, days)?;
    println!(
        "{} calls by {consumers} consumers over {days} days: {} rows, {} MiB",
        filled.calls,
        filled.rows,
        file.metadata()?.len() >> 20
    );
    let configuration = directory.path().join("duskgate.toml");
    std::fs::write(&configuration, CONFIGURATION)?;
    for options in [&["--since", "365d"][..], &["--since", "365d", "--format", "json"], &["--since", "30d"]] {
        // The first one warms the system's cache of the file.
        for _ in 0..3 {
            let (begun, before) = (Instant::now(), children_cpu()?);
            let output = Command::new(env!("CARGO_BIN_EXE_duskgate"))
                .args(["report", "--config"])
                .arg(&configuration)
                .args(options)
                .env("STATE_DIRECTORY", directory.path())
                .output()?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into());
            }
            println!(
                "  report {:32} {:6.2} s, {:5.2} s of CPU (wanted: below 2)",
                options.join(" "),
                begun.elapsed().as_secs_f64(),
                (children_cpu()? - before).as_secs_f64()
            );
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let settings = Settings { timeout: Duration::from_secs(60), ..Settings::at(Location::Sqlite(file)) };
    let ledger = ledger::open(&settings, Create::No);
    let today = day_of(Clock::Real.now());
    let filter = LatestFilter {
        operations: filled::OPERATIONS.map(|number| format!("operation_{number}")).collect(),
        today,
        window: today - 30,
        ..LatestFilter::default()
    };
    for negligible_calls in [0, 0, 10] {
        let filter = LatestFilter { negligible_calls, ..filter.clone() };
        let begun = Instant::now();
        let latest = runtime.block_on(ledger.usage_latest(&filter))?;
        println!(
            "  what the metrics ask, more than {negligible_calls:2} calls: {:4.0} ms, {} consumers in 30 days",
            begun.elapsed().as_secs_f64() * 1e3,
            latest.iter().map(|latest| latest.consumers[2]).sum::<u64>()
        );
    }
    Ok(())
}

fn scrapes(parent: &Path) -> Figure<()> {
    let scrapes = setting("BENCH_SCRAPES", 200);
    let mut programs = Programs::within(parent)?;
    let backend = calls::backend()?;
    let duskgate = programs.start_duskgate(&format!(
        "[upstream]\nservers = [\"http://{backend}\"]\n[usage]\nconsumer_series = 3000\n[log]\naccess = \"off\"\n\
         [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\nmode = \"observe\"\n"
    ))?;
    calls::make(duskgate.listener, 1000)?;
    let mut admin = calls::Client::to(duskgate.admin)?;
    let text = admin.ask("GET", "/metrics", "")?;
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    let (begun, before) = (Instant::now(), cpu_nanoseconds(duskgate.pid)?);
    for _ in 0..scrapes {
        admin.ask("GET", "/metrics", "")?;
    }
    let scrapes = scrapes as f64;
    println!(
        "a scrape of {series} series (wanted: below 5000), {} KiB: {:.2} ms, {:.2} ms of CPU (wanted: below 5)",
        text.len() >> 10,
        begun.elapsed().as_secs_f64() * 1e3 / scrapes,
        (cpu_nanoseconds(duskgate.pid)? - before) as f64 / 1e6 / scrapes
    );
    Ok(())
}

const CONFIGURATION: &str = "[upstream]\nservers = [\"http://127.0.0.1:1\"]\n[deprecation]\n\
                             deprecated_at = 2020-06-01T00:00:00Z\n";

/// The CPU time that programs took which have ended, to a hundredth of a second (proc(5): cutime and cstime).
fn children_cpu() -> Figure<Duration> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let fields = text.rsplit_once(')').ok_or("not a line of proc(5)")?.1.split_whitespace();
    let ticks: u64 = fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}
