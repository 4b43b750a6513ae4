//! Servers that come, stay and go while the program runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{OK, Port, before, get, is_up, post, until};
use crate::support::backend::Backend;
use crate::support::http::{Connection, ask};

#[tokio::test]
async fn a_server_that_stays_keeps_its_connections_and_what_is_known_of_it() {
    let (backend, dead) = (Backend::answering(OK), Port::new());
    let program = before(&[backend.address]).one_thread().start();
    let mut connection = Connection::to(program.address()).await;
    assert_eq!(connection.ask(&get()).await.status, 200);

    let both = before(&[dead.address(), backend.address]).one_thread();
    program.configure(&both.clone().upstream("response_timeout = \"59s\"\neject_most = \"1h\""));
    assert_eq!(program.command("/reload").await.status, 200);
    while is_up(&program, dead.address()).await {
        assert_eq!(connection.ask(&get()).await.status, 200);
    }
    let connections = backend.connections();
    program.configure(&both.upstream("max_requests = 1000"));
    assert_eq!(program.command("/reload").await.status, 200);
    assert!(!is_up(&program, dead.address()).await);
    for _ in 0..5 {
        assert_eq!(connection.ask(&get()).await.status, 200);
    }
    assert_eq!(backend.connections(), connections);
}

#[tokio::test]
async fn a_server_that_goes_ends_what_is_in_flight_and_keeps_no_connection() {
    let is_released = Arc::new(AtomicBool::new(false));
    let released = Arc::clone(&is_released);
    let goes = Backend::new(move |link| {
        while let Some(request) = link.request() {
            while request.line.contains("/held") && !released.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(2));
            }
            link.send(OK);
        }
    });
    let stays = Backend::answering(OK);
    let program = before(&[goes.address]).one_thread().start();
    let address = program.address();
    let held = tokio::spawn(async move {
        ask(address, &crate::support::http::Request::new("POST", "/held").body("x")).await.status
    });
    until("the request has arrived", async || goes.requests().len() == 1).await;
    // An idle connection beside the one in flight.
    assert_eq!(program.ask(&get()).await.status, 200);

    program.configure(&before(&[stays.address]).one_thread());
    assert_eq!(program.command("/reload").await.status, 200);
    goes.finished(1);
    let scrape = program.admin("/metrics").await.text();
    assert!(!scrape.contains(&goes.address.to_string()), "{scrape}");
    assert_eq!(program.ask(&post()).await.status, 200);
    assert_eq!(stays.requests().len(), 1);

    is_released.store(true, Ordering::Relaxed);
    assert_eq!(held.await.unwrap(), 200);
    goes.finished(2);
    assert_eq!(goes.connections(), 2);
}
