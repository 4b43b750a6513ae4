//! HTTP/2 from clients. What is malformed, ambiguous or a flood never reaches the backend; what is well is translated to
//! HTTP/1.1 and back without a loss, frame by frame and with real peers.

mod clients;
mod floods;
mod frames;
mod heads;
mod life;
mod peers;
mod stalled;
mod translation;
pub mod wire;

use std::time::{Duration, Instant};

use crate::support::backend::Backend;
use crate::support::program::{Program, Setup};
use wire::{Client, Verdict};

/// A proxy and the backend that must see nothing bad.
struct Gate {
    backend: Backend,
    program: Program,
}

impl Gate {
    fn new() -> Self {
        Gate::with(|setup| setup)
    }

    fn with(setup: impl FnOnce(Setup) -> Setup) -> Self {
        let backend = Backend::with(|request| {
            let path = request.line.split(' ').nth(1).unwrap_or_default();
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{path}", path.len())
        });
        let program = setup(Setup::before(backend.address).one_thread()).start();
        Gate { backend, program }
    }

    /// How often this was refused for that reason, or for that limit.
    async fn counted(&self, word: &str) -> f64 {
        let listener = self.program.address().to_string();
        let malformed = [("listener", listener.as_str()), ("reason", word)];
        self.program.metric("duskgate_http_malformed_total", &malformed).await
            + self.program.metric("duskgate_limit_hits_total", &[("limit", word)]).await
    }

    /// Sends frames; stream 1 comes to this end, the reason is counted, and the backend has seen nothing. Where only
    /// the stream is over, the connection goes on.
    async fn refuses(&self, name: &str, frames: &[u8], verdict: Verdict, word: &str) {
        let (seen, counted) = (self.backend.requests().len(), self.counted(word).await);
        let mut client = Client::to(self.program.address()).await;
        client.write(frames).await;
        let found = client.verdict(1).await;
        // What is malformed is reset where h2 sees it, and answered where it does not.
        let is_as_good = verdict == Verdict::Status(400) && found == Verdict::Reset(1);
        assert!(found == verdict || is_as_good, "{name}: {found:?}, not {verdict:?}: {:?}", client.seen);
        if matches!(verdict, Verdict::GoAway(_) | Verdict::Closed) {
            client.end().await;
        } else {
            assert_eq!(self.backend.requests().len(), seen, "{name}");
            client.write(&wire::request(101, "GET")).await;
            assert_eq!(client.verdict(101).await, Verdict::Status(200), "{name}: {:?}", client.seen);
        }
        let more = usize::from(!matches!(verdict, Verdict::GoAway(_) | Verdict::Closed));
        assert_eq!(self.backend.requests().len() - seen, more, "{name}");
        self.counts(word, counted + 1.0, name).await;
    }

    /// Waits until so much is counted: the client may know before the count does.
    async fn counts(&self, word: &str, expected: f64, name: &str) {
        let begin = Instant::now();
        loop {
            let counted = self.counted(word).await;
            if counted == expected {
                return;
            }
            let is_late = begin.elapsed() > Duration::from_secs(20);
            assert!(counted < expected && !is_late, "{name}: {word} is {counted}, not {expected}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
