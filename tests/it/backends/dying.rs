//! A dead server among others: what it costs, and how it comes back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, Socket, Type};

use super::{OK, Port, before, counts, errors, get, is_up, post};
use crate::support::backend::Backend;
use crate::support::http::Connection;
use crate::support::program::Program;

/// How often a request has waited for a server that gave no connection.
fn waits(program: &Program, server: SocketAddr) -> usize {
    let text = format!("no connection to http://{server}");
    program.log().lines().filter(|line| line.contains(&text)).count()
}

#[tokio::test]
async fn a_server_that_refuses_costs_no_request_and_is_asked_last_at_once() {
    let dead = Port::new();
    let backends = [Backend::answering(OK), Backend::answering(OK)];
    let program = before(&[backends[0].address, dead.address(), backends[1].address]).start();
    let mut connection = Connection::to(program.address()).await;
    for request in [get(), post()].iter().cycle().take(100) {
        assert_eq!(connection.ask(request).await.status, 200);
    }
    assert_eq!(counts(&backends.each_ref()).iter().sum::<usize>(), 100);
    assert_eq!(waits(&program, dead.address()), 1);
    assert!(!is_up(&program, dead.address()).await && is_up(&program, backends[0].address).await);
    let labels = [("server", &*format!("http://{}", dead.address()))];
    assert!(program.metric("duskgate_upstream_ejections_total", &labels).await >= 1.0);
    program.logged(&["is asked last for 1.0 s"]);
}

#[tokio::test]
async fn a_server_that_swallows_connections_delays_one_request_and_no_other() {
    // A listener whose queue is full answers nobody.
    let hole = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    hole.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    hole.listen(0).unwrap();
    let address = hole.local_addr().unwrap().as_socket().unwrap();
    let _queued = std::net::TcpStream::connect(address).unwrap();
    let backend = Backend::answering(OK);
    let program = before(&[backend.address, address]).upstream("connect_timeout = \"200ms\"").start();
    let mut connection = Connection::to(program.address()).await;
    // Until it has been due twice, and was tried beside requests.
    while errors(&program, address, "connect").await < 3.0 {
        for request in [get(), post()] {
            assert_eq!(connection.ask(&request).await.status, 200);
        }
    }
    assert_eq!(waits(&program, address), 1);
}

#[tokio::test]
async fn a_server_that_takes_connections_and_closes_them_costs_three_requests_and_then_one_a_try() {
    let broken = Backend::new(|link| {
        link.request();
    });
    let backend = Backend::answering(OK);
    let program = before(&[broken.address, backend.address]).start();
    let mut connection = Connection::to(program.address()).await;
    let mut lost = 0;
    while program.metric("duskgate_upstream_ejections_total", &[]).await < 2.0 {
        let status = connection.ask(&post()).await.status;
        assert!(status == 200 || status == 502, "{status}");
        lost += usize::from(status == 502);
    }
    // What was lost had been sent there: three in a row, and the one on trial.
    assert_eq!((lost, broken.requests().len()), (4, 4));
}

#[tokio::test]
async fn what_a_server_answers_does_not_leave_it_out() {
    let ill = Backend::answering("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
    let well = Backend::answering(OK);
    let program = before(&[ill.address, well.address]).start();
    let mut connection = Connection::to(program.address()).await;
    for _ in 0..60 {
        connection.ask(&get()).await;
    }
    assert!(ill.requests().len() >= 10, "{}", ill.requests().len());
    assert_eq!(program.metric("duskgate_upstream_ejections_total", &[]).await, 0.0);
}

#[tokio::test]
async fn a_server_that_is_back_is_used_again() {
    let port = Port::new();
    let backend = Backend::answering(OK);
    let program = before(&[port.address(), backend.address]).start();
    let mut connection = Connection::to(program.address()).await;
    while is_up(&program, port.address()).await {
        assert_eq!(connection.ask(&get()).await.status, 200);
    }
    let back = Backend::on(port.listen(), |link| {
        while link.request().is_some() {
            link.send(OK);
        }
    });
    while back.requests().len() < 10 {
        assert_eq!(connection.ask(&post()).await.status, 200);
    }
    assert!(is_up(&program, port.address()).await);
    assert_eq!(waits(&program, port.address()), 1);
}

#[tokio::test]
async fn where_all_are_dead_the_first_that_is_back_is_found_at_once() {
    let ports = [Port::new(), Port::new(), Port::new()];
    let program = before(&ports.each_ref().map(Port::address)).start();
    let mut connection = Connection::to(program.address()).await;
    for request in [get(), post(), get()] {
        let response = connection.ask(&request).await;
        assert_eq!((response.status, &response.json()["error"]["id"]), (503, &"backendUnreachable".into()));
    }
    let back = Backend::on(ports[1].listen(), |link| {
        while link.request().is_some() {
            link.send(OK);
        }
    });
    for _ in 0..10 {
        assert_eq!(connection.ask(&post()).await.status, 200);
    }
    assert_eq!(back.requests().len(), 10);
}

#[tokio::test]
async fn one_server_alone_is_asked_whatever_is_thought_of_it() {
    let is_broken = Arc::new(AtomicBool::new(true));
    let broken = Arc::clone(&is_broken);
    let backend = Backend::new(move |link| {
        while link.request().is_some() && !broken.load(Ordering::Relaxed) {
            link.send(OK);
        }
    });
    let program = before(&[backend.address]).start();
    let mut connection = Connection::to(program.address()).await;
    for _ in 0..5 {
        assert_eq!(connection.ask(&get()).await.status, 502);
    }
    assert!(!is_up(&program, backend.address).await);
    is_broken.store(false, Ordering::Relaxed);
    assert_eq!(connection.ask(&get()).await.status, 200);
    assert!(is_up(&program, backend.address).await);
}

#[tokio::test]
async fn a_request_of_which_a_server_got_something_goes_to_no_other() {
    let broken = Backend::new(|link| {
        link.request();
    });
    let other = Backend::new(|link| {
        link.request();
    });
    let program = before(&[broken.address, other.address]).start();
    for number in 1..=4 {
        assert_eq!(program.ask(&post()).await.status, 502);
        assert_eq!(counts(&[&broken, &other]).iter().sum::<usize>(), number);
    }
}
