//! The proxy as a proxy: what it forwards, byte for byte, between raw clients and scripted backends. Nothing here is
//! deprecated.

mod broken;
mod forwarding;
mod hops;
mod interim;
mod streaming;
mod upgrade;

use crate::support::http::Response;

/// The fields as `name: value`, sorted, without `Date`.
fn sorted(response: &Response) -> Vec<String> {
    let fields = response.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("date"));
    let mut fields: Vec<String> = fields.map(|(name, value)| format!("{name}: {value}")).collect();
    fields.sort();
    fields
}
