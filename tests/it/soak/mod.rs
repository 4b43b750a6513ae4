//! A long mixed load: plain, rewritten, WebSocket, aborted and slow clients all at once, a reload every ten seconds, a
//! backend that goes away and comes back every minute. Nothing leaks, and no request is lost that a client could not have
//! expected to lose. Two minutes by default, `SOAK_SECONDS` says otherwise; `tests/soak` runs an hour.

mod backend;
mod clients;
mod figures;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::program::{Program, Setup};
use backend::Backend;
use clients::Client;
use figures::{Figures, Memory};

/// Between two reloads.
const RELOAD: Duration = Duration::from_secs(10);
/// Between two restarts of the backend.
const RESTART: Duration = Duration::from_secs(60);
/// Who calls, and how many of each.
const CLIENTS: [(Client, usize); 7] = [
    (Client::Plain, 4),
    (Client::Fresh, 2),
    (Client::Upload, 2),
    (Client::Rewritten, 3),
    (Client::WebSocket, 3),
    (Client::Aborted, 3),
    (Client::Slow, 4),
];

fn length() -> Duration {
    let seconds = std::env::var("SOAK_SECONDS").ok().map(|text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(120))
}

#[tokio::test]
async fn a_long_mixed_load_loses_no_request_and_leaks_nothing() {
    let mut backend = Backend::start().await;
    // What given-up calls may have left behind is looked for up to a minute; a stop does not wait so long for it.
    // Idle connections to the backend are let go soon, so that what is still open at the end is a leak.
    let setup = Setup::before(backend.address)
        .deprecation("mode = \"rewrite\"")
        .section("[log]\naccess = \"off\"\n[limits]\ndrain = \"10s\"\nrequest_head = \"10s\"");
    let even = setup.clone().upstream("idle_timeout = \"2s\"");
    let odd = setup.upstream("idle_timeout = \"2s\"\nname_cache = \"30s\"");
    let mut program = even.start();
    let before = (Memory::of(&program), at_rest(&program).await);

    let figures = Arc::new(Figures::default());
    let clients: Vec<_> = CLIENTS
        .iter()
        .flat_map(|&(client, count)| (0..count).map(move |_| client))
        .map(|client| {
            tokio::spawn(client.run(program.address(), backend.caller.clone(), Arc::clone(&figures)))
        })
        .collect();

    let (begin, length) = (Instant::now(), length());
    let (mut reloads, mut restarts, mut warm) = (0u32, 0u32, before.0);
    while begin.elapsed() < length {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if begin.elapsed() >= RELOAD * (reloads + 1) {
            reloads += 1;
            program.configure(if reloads % 2 == 0 { &even } else { &odd });
            assert_eq!(program.command("/reload").await.status, 200);
        }
        // The first one comes early, so that the shortest run has one.
        if begin.elapsed() >= RESTART * restarts + RESTART / 2 {
            restarts += 1;
            figures.interrupt(backend.restart()).await;
        }
        // What a program of that load needs it has after a quarter of the time.
        if begin.elapsed() < length / 4 {
            warm = warm.max(Memory::of(&program));
        }
    }
    let hot = Memory::of(&program);
    figures.stop();
    for client in clients {
        client.await.expect("a client that ends by itself");
    }
    let left = settled(&program, before.1).await;

    println!("{length:?}: {reloads} reloads, {restarts} restarts of the backend");
    println!("{figures}");
    println!("memory: {} at the start, {warm} after a quarter, {hot} at the end", before.0);
    println!("file handles: {} at the start, {left} at the end", before.1);
    program.signal("TERM");
    let status = program.ended();
    assert_eq!(figures.lost(), Vec::<String>::new(), "requests that nobody could have expected to lose");
    assert!(figures.is_busy(), "hardly anything was asked:\n{figures}");
    assert!(hot.is_no_more_than(warm), "memory grew from {warm} to {hot}");
    assert!(left <= before.1 + 4, "{left} file handles are open, {} were at the start", before.1);
    assert!(status.success(), "{status}");
}

/// How many file handles a program has that serves nobody: its ledger is opened after it is ready.
async fn at_rest(program: &Program) -> usize {
    let (mut handles, mut same) = (0, 0);
    while same < 20 {
        assert_eq!(program.admin("/readyz").await.status, 200, "{}", program.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = program.open_handles();
        same = if now == handles { same + 1 } else { 0 };
        handles = now;
    }
    handles
}

/// How many file handles are open once what was pooled is let go.
async fn settled(program: &Program, before: usize) -> usize {
    let begin = Instant::now();
    while program.open_handles() > before + 4 && begin.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    program.open_handles()
}
