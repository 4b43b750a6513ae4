//! One thread a core, each with a runtime of its own, its own socket on every listener, and its own connections to the
//! backend: nothing is shared between them on the path of a request.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{Failure, Live};
use crate::listen::{self, Accepting, Bound, Gate};

/// How long tunnels may take to say goodbye when the drain time is over.
const FAREWELL: Duration = Duration::from_secs(1);

/// The serving threads.
pub(super) struct Threads {
    gate: Arc<Gate>,
    /// Ends when the last thread has.
    ended: mpsc::Receiver<()>,
}

impl Threads {
    /// Starts so many threads on these sockets.
    pub fn start(
        bound: Vec<Bound>,
        count: usize,
        live: &Arc<Live>,
        gate: &Arc<Gate>,
    ) -> Result<Self, Failure> {
        let system = |source| Failure::System { what: "start a thread", source };
        let mut of_thread: Vec<Vec<(usize, TcpListener)>> = (0..count).map(|_| Vec::new()).collect();
        for (listener, bound) in bound.into_iter().enumerate() {
            for (index, socket) in bound.sockets.into_iter().enumerate() {
                of_thread[index % count].push((listener, socket));
            }
        }
        let (running, ended) = mpsc::channel(1);
        for (number, sockets) in of_thread.into_iter().enumerate() {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system)?;
            let (live, gate, running) = (Arc::clone(live), Arc::clone(gate), running.clone());
            // Counted from here, so that a stop waits for what is in the sockets' queues also where a thread is late.
            let accepting = gate.accepting();
            let serve = move || {
                runtime.block_on(serve(sockets, live, gate, accepting));
                // What is cut off now is counted before anybody thinks that this thread has ended.
                drop(runtime);
                drop(running);
            };
            thread::Builder::new().name(format!("serve-{number}")).spawn(serve).map_err(system)?;
        }
        Ok(Threads { gate: Arc::clone(gate), ended })
    }

    /// Waits for the connections of all threads to end, and then for what they left to be done, at most so long; says
    /// whether they did.
    pub async fn join(mut self, limit: Duration, rest: impl Future<Output = ()>) -> bool {
        let begin = Instant::now();
        let emptied = self.gate.emptied(limit).await
            && tokio::time::timeout(limit.saturating_sub(begin.elapsed()), rest).await.is_ok();
        if !emptied {
            self.gate.bid_farewell();
            self.gate.emptied(FAREWELL).await;
        }
        self.gate.abandon();
        // The threads end at once now.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.ended.recv()).await;
        emptied
    }
}

async fn serve(sockets: Vec<(usize, TcpListener)>, live: Arc<Live>, gate: Arc<Gate>, counted: Accepting) {
    let mut accepting = tokio::task::JoinSet::new();
    for (listener, socket) in sockets {
        let (live, gate) = (Arc::clone(&live), Arc::clone(&gate));
        accepting.spawn(async move { listen::serve(socket, listener, live, gate).await });
    }
    while let Some(ended) = accepting.join_next().await {
        let outcome: io::Result<()> = ended.unwrap_or(Ok(()));
        if let Err(error) = outcome {
            tracing::error!("a listener has failed: {error}");
        }
    }
    drop(counted);
    gate.abandoned().await;
}
