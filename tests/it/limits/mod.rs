//! Limits on connections and on requests at once: what happens beyond them, what tells, and that slow clients cost only
//! themselves.

mod connections;
mod handles;
mod requests;

use std::time::Duration;

use crate::support::program::Program;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a limit was hit.
async fn hits(program: &Program, limit: &str) -> f64 {
    program.metric("duskgate_limit_hits_total", &[("limit", limit)]).await
}
