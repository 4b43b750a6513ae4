//! IPv6 clients, and IPv4 clients on a listener for both.

use super::{OK, get, seen, trusting};
use crate::support::backend::Backend;
use crate::support::http::Connection;

const ADDRESS: &str = "DUSKGATE__LISTENER__0__ADDRESS";

#[tokio::test]
async fn a_listener_for_both_shows_ipv4_clients_as_such() {
    let backend = Backend::answering(OK);
    let program = trusting(backend.address, &["127.0.0.2"]).environment(ADDRESS, "[::]:0").start();
    let port = program.address().port();
    let client = seen(([127, 0, 0, 1], port).into(), &backend, &get().to_bytes()).await;
    assert_eq!(client.as_deref(), Some("127.0.0.1"));
    program.logged(&["path=/ ", "peer=127.0.0.1:"]);

    let mut connection = Connection::from([127, 0, 0, 2].into(), ([127, 0, 0, 1], port).into()).await;
    connection.ask(&get().header("X-Forwarded-For", "2001:db8::7")).await;
    let client = backend.requests().pop().unwrap();
    assert_eq!(
        client.field("x-forwarded-for"),
        Some("2001:db8::7, 127.0.0.2"),
        "trusted by its IPv4 address"
    );
    program.logged(&["path=/ ", "peer=2001:db8::7"]);
}

#[tokio::test]
async fn an_ipv6_client_is_shown_as_such() {
    let backend = Backend::answering(OK);
    let program = trusting(backend.address, &["::1"]).environment(ADDRESS, "[::1]:0").start();
    assert!(program.address().is_ipv6());
    assert_eq!(seen(program.address(), &backend, &get().to_bytes()).await.as_deref(), Some("::1"));
    program.logged(&["path=/ ", "peer=[::1]:"]);
    let bytes = get().header("Forwarded", "for=\"[2001:db8::7]\"").to_bytes();
    let client = seen(program.address(), &backend, &bytes).await;
    assert_eq!(client.as_deref(), Some("2001:db8::7, ::1"));
}
