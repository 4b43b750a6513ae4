//! File handles: the process takes what it may have, and what happens when it has no more.

use std::time::Instant;

use super::{OK, PATIENCE, hits};
use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::Setup;

#[tokio::test]
async fn the_soft_limit_is_raised_to_the_hard_one_and_the_log_says_so() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).handles(256, 1024).start();
    let line = program.logged(&["limit of file handles"]);
    assert!(line.contains("raised from 256 to 1024"), "{line}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_ascii_whitespace().collect::<Vec<_>>()[3..5], ["1024", "1024"]);
    program.logged(&["at most 312 connections, for 1024 file handles"]);
}

#[test]
fn a_limit_that_there_are_no_handles_for_is_lowered_with_a_warning() {
    let backend = Backend::answering(OK);
    let setup = Setup::before(backend.address).section("[limits]\nconnections = 100000");
    let program = setup.handles(1024, 1024).start();
    program.logged(&["WARN", "limits.connections is 100000", "no more than 312", "LimitNOFILE="]);
}

/// How many a program has that serves nobody, its ledger and what it keeps back included.
async fn handles_when_idle(setup: &Setup) -> usize {
    let program = setup.start();
    assert_eq!(program.ask(&Request::new("GET", "/")).await.status, 200);
    let begin = Instant::now();
    while program.admin("/readyz").await.status != 200 {
        assert!(begin.elapsed() < PATIENCE, "it does not become ready");
    }
    program.open_handles()
}

#[tokio::test]
async fn without_handles_accepting_pauses_and_recovers_and_the_admin_listener_answers() {
    let backend = Backend::answering(OK);
    let get = Request::new("GET", "/");
    let setup = Setup::before(backend.address).one_thread();
    let idle = handles_when_idle(&setup).await;
    // Enough for a few clients only, far from what a proxy should have.
    let program = setup.handles(idle + 4, idle + 4).start();
    let mut connections = Vec::new();
    let begin = Instant::now();
    while hits(&program, "file_handles").await == 0.0 {
        assert!(begin.elapsed() < PATIENCE, "there are always handles");
        let mut connection = Connection::to(program.address()).await;
        connection.write(&get.to_bytes()).await;
        connections.push(connection);
    }
    program.logged(&["WARN", "cannot accept connections on listener[0]", "Too many open files"]);
    let mut last = connections.pop().unwrap();
    drop(connections);
    // It may have been accepted when there was no handle for the backend.
    assert!([200, 503].contains(&last.read("GET").await.status));
    let begin = Instant::now();
    while program.ask(&get).await.status != 200 {
        assert!(begin.elapsed() < PATIENCE, "it does not recover");
    }
}

#[tokio::test]
async fn the_admin_listener_answers_however_few_handles_clients_leave() {
    let backend = Backend::answering(OK);
    let get = Request::new("GET", "/");
    let setup = Setup::before(backend.address).one_thread();
    let idle = handles_when_idle(&setup).await;
    for more in 2..14 {
        let program = setup.clone().handles(idle + more, idle + more).start();
        let mut clients = Vec::new();
        for _ in 0..40 {
            let mut client = Connection::to(program.address()).await;
            client.write(&get.to_bytes()).await;
            clients.push(client);
        }
        for _ in 0..3 {
            assert_eq!(
                program.admin("/healthz").await.status,
                200,
                "with {more} handles more than when idle"
            );
        }
    }
}

#[tokio::test]
async fn idle_connections_of_the_admin_listener_starve_neither_it_nor_the_others() {
    let backend = Backend::answering(OK);
    let get = Request::new("GET", "/");
    let setup = Setup::before(backend.address).one_thread();
    let idle = handles_when_idle(&setup).await;
    let program = setup.handles(idle + 60, idle + 60).start();
    let mut connections = Vec::new();
    for index in 0..80 {
        let mut connection = Connection::to(program.admin).await;
        if index % 2 == 0 {
            connection.write(b"GET /healthz HTTP/1.1\r\n").await;
        }
        connections.push(connection);
    }
    assert_eq!(program.admin("/healthz").await.status, 200);
    assert_eq!(program.ask(&get).await.status, 200);
    assert_eq!(hits(&program, "file_handles").await, 0.0);
    // It made room by closing those that had been idle longest.
    assert!(connections[0].is_closed().await && connections[1].is_closed().await);
    connections[79].write(&Request::new("GET", "/healthz").to_bytes()).await;
    assert_eq!(connections[79].read("GET").await.status, 200);
}
