//! What is malformed or could be read in two ways is refused without a word, the connection is closed, and the backend
//! never sees it. Each case is sent in one piece and byte by byte, to a backend that counts what it gets.

mod bodies;
mod corpus;
mod heads;
mod pipelined;

use crate::support::backend::Backend;
use crate::support::http::{Connection, End};
use crate::support::program::{Program, Setup};

/// A proxy and the backend that must see nothing bad.
struct Gate {
    backend: Backend,
    program: Program,
}

impl Gate {
    fn new() -> Self {
        Gate::in_mode("observe")
    }

    /// Deprecated operations are served in this mode.
    fn in_mode(mode: &str) -> Self {
        let backend = Backend::with(|request| {
            let path = request.line.split(' ').nth(1).unwrap_or_default();
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{path}", path.len())
        });
        let setup = Setup::before(backend.address).one_thread();
        let program = setup.deprecation(&format!("mode = {mode:?}")).start();
        Gate { backend, program }
    }

    /// Sends raw bytes, in pieces of this size.
    async fn connect(&self, raw: &[u8], piece: usize) -> Connection {
        let mut connection = Connection::to(self.program.address()).await;
        for piece in raw.chunks(piece) {
            connection.write(piece).await;
        }
        connection
    }

    /// How often this was refused for that reason, or for that limit.
    async fn counted(&self, word: &str) -> f64 {
        let name = "duskgate_http_malformed_total";
        self.program
            .metric(name, &[("listener", &self.program.address().to_string()), ("reason", word)])
            .await
            + self.program.metric("duskgate_limit_hits_total", &[("limit", word)]).await
    }

    /// So many requests are answered before one is refused, and the backend has seen no other.
    async fn refuses(&self, raw: &str, answered: usize, status: u16, word: &str) {
        for piece in [raw.len(), 1] {
            let shown: String = raw.chars().take(300).collect();
            let (seen, counted) = (self.backend.requests().len(), self.counted(word).await);
            let mut connection = self.connect(raw.as_bytes(), piece).await;
            for _ in 0..answered {
                assert_eq!(connection.read("GET").await.status, 200, "{shown:?}");
            }
            let (text, end) = connection.rest().await;
            let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, "no end of the head"));
            let lines: Vec<&str> = head.split("\r\n").collect();
            assert!(lines[0].starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {text:?}");
            assert!(lines.contains(&"connection: close"), "{shown:?}: {text:?}");
            assert!(lines.contains(&"content-length: 0"), "{shown:?}: {text:?}");
            assert_eq!((body, end), ("", End::Closed), "{shown:?}");
            assert_eq!(self.backend.requests().len() - seen, answered, "{shown:?}");
            assert_eq!(self.counted(word).await - counted, 1.0, "{shown:?}: {word}");
        }
    }
}
