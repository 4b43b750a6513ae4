//! The program as a process: start, reload, stop.

mod dropped;
mod reload;
mod secured;
mod start;
mod stop;
mod systemd;

/// A call of the operation in whose mode these tests see which configuration is in force.
const LEGACY: &str = "/api/v3/onezone/groups/g1/users/token";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
