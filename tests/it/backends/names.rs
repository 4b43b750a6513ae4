//! Servers that are named: several addresses of a name, and names that move. The names are those of a hosts file that
//! only the program under test sees, which takes a root user and `unshare`.

use std::fs;
use std::net::SocketAddr;

use super::{OK, get};
use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::{Program, Setup};

/// Starts the program with a hosts file of its own; returns the file, which may be rewritten.
fn with_hosts(hosts: &str, setup: Setup) -> (Program, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), hosts).unwrap();
    let mounted = format!("mount --bind {} /etc/hosts && exec \"$@\"", file.path().display());
    let within = ["unshare", "--mount", "sh", "-c", &mounted, "sh"].map(str::to_owned);
    let program = setup.within(within).start();
    (program, file)
}

fn named(port: u16) -> Setup {
    Setup::before_all([format!("http://onezone.test:{port}")])
}

#[tokio::test]
async fn each_address_of_a_name_is_tried() {
    let backend = Backend::answering(OK);
    // Nobody listens on the others; one is of the other family.
    let hosts = "127.0.0.2 onezone.test\n::1 onezone.test\n127.0.0.1 onezone.test\n127.0.0.3 onezone.test\n";
    let (program, _file) = with_hosts(hosts, named(backend.address.port()));
    let mut connection = Connection::to(program.address()).await;
    for method in ["GET", "POST", "POST", "POST", "POST"] {
        let response = connection.ask(&Request::new(method, "/").body("x")).await;
        assert_eq!(response.status, 200);
    }
    assert_eq!(program.metric("duskgate_upstream_up", &[]).await, 1.0);
}

#[tokio::test]
async fn the_addresses_of_a_name_share_the_connections() {
    let one = Backend::answering(OK);
    let other = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 2], one.address.port()))).unwrap();
    let other = Backend::on(other, |link| {
        while link.request().is_some() {
            link.send(OK);
        }
    });
    let hosts = "127.0.0.1 onezone.test\n127.0.0.2 onezone.test\n";
    let (program, _file) = with_hosts(hosts, named(one.address.port()));
    for _ in 0..10 {
        assert_eq!(program.ask(&Request::new("POST", "/").body("x")).await.status, 200);
    }
    assert_eq!((one.requests().len(), other.requests().len()), (5, 5));
}

#[tokio::test]
async fn a_name_that_has_moved_is_followed_when_nobody_answers_any_more() {
    let backend = Backend::answering(OK);
    let setup = named(backend.address.port()).upstream("resolve_interval = \"24h\"");
    let (program, file) = with_hosts("127.0.0.2 onezone.test\n", setup);
    assert_eq!(program.ask(&get()).await.status, 503);
    fs::write(file.path(), "127.0.0.1 onezone.test\n").unwrap();
    assert_eq!(program.ask(&get()).await.status, 200);
}

#[tokio::test]
async fn a_name_that_has_moved_is_followed_after_a_while_though_somebody_still_answers() {
    let old = Backend::answering(OK);
    let new = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 2], old.address.port()))).unwrap();
    let new = Backend::on(new, |link| {
        while link.request().is_some() {
            link.send(OK);
        }
    });
    let setup = named(old.address.port()).upstream("resolve_interval = \"1s\"");
    let (program, file) = with_hosts("127.0.0.1 onezone.test\n", setup);
    assert_eq!(program.ask(&Request::new("POST", "/").body("x")).await.status, 200);
    fs::write(file.path(), "127.0.0.2 onezone.test\n").unwrap();
    while new.requests().is_empty() {
        assert_eq!(program.ask(&Request::new("POST", "/").body("x")).await.status, 200);
    }
    assert!(!old.requests().is_empty());
}

#[tokio::test]
async fn a_name_that_is_lost_keeps_the_addresses_that_were_known() {
    let backend = Backend::answering(OK);
    let setup = named(backend.address.port()).upstream("resolve_interval = \"1s\"");
    let (program, file) = with_hosts("127.0.0.1 onezone.test\n", setup);
    assert_eq!(program.ask(&Request::new("POST", "/").body("x")).await.status, 200);
    fs::write(file.path(), "").unwrap();
    while !program.log().contains("cannot look up onezone.test") {
        assert_eq!(program.ask(&Request::new("POST", "/").body("x")).await.status, 200);
    }
    for _ in 0..5 {
        assert_eq!(program.ask(&Request::new("POST", "/").body("x")).await.status, 200);
    }
}
