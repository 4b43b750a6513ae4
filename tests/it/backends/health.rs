//! Health checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{OK, before, errors, get, is_up, post, until};
use crate::support::backend::Backend;
use crate::support::http::Connection;
use crate::support::program::Setup;

/// A backend that is well while this says so.
fn with_health(is_well: &Arc<AtomicBool>) -> Backend {
    let is_well = Arc::clone(is_well);
    Backend::with(move |request| match request.line.contains("/health") {
        true if !is_well.load(Ordering::Relaxed) => {
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
        _ => OK.to_owned(),
    })
}

fn calls(backend: &Backend) -> usize {
    backend.requests().iter().filter(|request| !request.line.contains("/health")).count()
}

fn checked(setup: Setup) -> Setup {
    setup.upstream("health_path = \"/health\"\nhealth_interval = \"100ms\"\nhealth_timeout = \"20s\"")
}

#[tokio::test]
async fn a_sick_server_is_left_out_until_it_is_well_again() {
    let is_well = Arc::new(AtomicBool::new(true));
    let (ill, well) = (with_health(&is_well), with_health(&Arc::new(AtomicBool::new(true))));
    let program = checked(before(&[ill.address, well.address])).start();
    assert_eq!(program.admin("/readyz").await.status, 200);
    is_well.store(false, Ordering::Relaxed);
    until("the server is called sick", async || !is_up(&program, ill.address).await).await;
    program.logged(&["is not well: its health check is answered 503"]);
    let before = calls(&ill);
    let mut connection = Connection::to(program.address()).await;
    for request in [get(), post()].iter().cycle().take(40) {
        assert_eq!(connection.ask(request).await.status, 200);
    }
    assert_eq!((calls(&ill), calls(&well)), (before, 40));
    assert_eq!(program.admin("/readyz").await.status, 200);
    assert!(errors(&program, ill.address, "health").await >= 3.0);

    is_well.store(true, Ordering::Relaxed);
    until("the server is called well", async || is_up(&program, ill.address).await).await;
    program.logged(&["is well again"]);
    while calls(&ill) == before {
        assert_eq!(connection.ask(&get()).await.status, 200);
    }
}

#[tokio::test]
async fn where_all_are_sick_they_are_asked_all_the_same_and_the_proxy_is_not_ready() {
    let is_well = Arc::new(AtomicBool::new(false));
    let backends = [with_health(&is_well), with_health(&is_well)];
    let program = checked(before(&backends.each_ref().map(|backend| backend.address))).start();
    until("the proxy is not ready", async || program.admin("/readyz").await.status == 503).await;
    assert_eq!(program.ask(&get()).await.status, 200);
    is_well.store(true, Ordering::Relaxed);
    until("the proxy is ready", async || program.admin("/readyz").await.status == 200).await;
}

#[tokio::test]
async fn a_health_check_leaves_no_connection_and_says_who_asks() {
    let backend = Backend::answering(OK);
    let program = checked(before(&[backend.address])).start();
    backend.received(3);
    let requests = backend.requests();
    let connections: Vec<usize> = requests.iter().map(|request| request.connection).collect();
    assert_eq!(connections[..3], [0, 1, 2]);
    let address = backend.address.to_string();
    let expected = ["Connection: close".into(), format!("Host: {address}"), "User-Agent: duskgate".into()];
    assert_eq!(requests[0].line, "GET /health HTTP/1.1");
    let sorted = requests[0].sorted().join("\n").to_lowercase();
    assert_eq!(sorted, expected.join("\n").to_lowercase());
    assert_eq!(program.metric("duskgate_upstream_connections", &[]).await, 0.0);
}

#[tokio::test]
async fn without_a_health_path_a_server_is_sent_nothing_that_no_client_asked_for() {
    let backend = Backend::answering(OK);
    let program = before(&[backend.address]).start();
    // Time in which checks would have been made by any interval that is allowed as a default.
    for _ in 0..50 {
        program.admin("/metrics").await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_server_that_is_left_out_is_sent_nothing_of_its_own_accord_either() {
    let closing = Backend::new(|link| {
        link.request();
    });
    let backend = Backend::answering(OK);
    let program = before(&[closing.address, backend.address]).start();
    let mut connection = Connection::to(program.address()).await;
    while is_up(&program, closing.address).await {
        connection.ask(&post()).await;
    }
    let before = closing.connections();
    // It is due after a second; what would try it now is nobody's request.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(closing.connections(), before);
}
