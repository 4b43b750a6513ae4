//! Which server a request goes to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{OK, before, counts, get, post};
use crate::support::backend::Backend;
use crate::support::http::{Connection, ask};

#[tokio::test]
async fn servers_with_nothing_to_do_are_used_about_equally() {
    let backends = [Backend::answering(OK), Backend::answering(OK), Backend::answering(OK)];
    let program = before(&backends.each_ref().map(|backend| backend.address)).start();
    let mut connection = Connection::to(program.address()).await;
    for number in 0..300 {
        let request = if number % 2 == 0 { get() } else { post() };
        assert_eq!(connection.ask(&request).await.status, 200);
    }
    let counts = counts(&backends.each_ref());
    assert_eq!(counts.iter().sum::<usize>(), 300);
    // By chance alone, one in many millions of runs is outside.
    assert!(counts.iter().all(|count| (50..150).contains(count)), "{counts:?}");
}

#[tokio::test]
async fn a_server_that_is_busy_is_left_alone_while_another_is_not() {
    let is_released = Arc::new(AtomicBool::new(false));
    let released = Arc::clone(&is_released);
    let slow = Backend::new(move |link| {
        while link.request().is_some() {
            while !released.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(2));
            }
            link.send(OK);
        }
    });
    let quick = Backend::answering(OK);
    let program = before(&[slow.address, quick.address]).start();
    let address = program.address();
    // One at a time, until one has gone to the slow server.
    let waiting = loop {
        let asking = tokio::spawn(async move { ask(address, &get()).await.status });
        while !asking.is_finished() && slow.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if !asking.is_finished() {
            break asking;
        }
    };
    let mut connection = Connection::to(address).await;
    for request in [get(), post()].iter().cycle().take(100) {
        assert_eq!(connection.ask(request).await.status, 200);
    }
    assert_eq!(slow.requests().len(), 1);
    is_released.store(true, Ordering::Relaxed);
    assert_eq!(waiting.await.unwrap(), 200);
}
