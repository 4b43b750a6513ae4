//! Traces: what is kept of a client's, what is sent to the backend and to the collector, and that a collector is never
//! waited for.

mod collecting;
mod context;
mod spans;

use crate::support::backend::Backend;
use crate::support::collector::Collector;
use crate::support::http::Request;
use crate::support::program::Setup;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn before(backend: &Backend, collector: &Collector) -> Setup {
    Setup::before(backend.address).one_thread().section(&collector.table())
}

/// A request in a client's trace.
fn traced(method: &str, target: &str, flags: &str) -> Request {
    Request::new(method, target).header("traceparent", &format!("00-{TRACE}-{PARENT}-{flags}"))
}
