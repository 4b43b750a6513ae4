//! As a service of systemd: sockets that it has opened, and what it is told.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::OK;
use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::{Program, Setup};

/// A setup that is given this listening socket, as systemd does it.
fn on(socket: &TcpListener, backend: &Backend) -> Setup {
    // What is standard input for the shell becomes the first handed socket for the program.
    let handing = "exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\"";
    Setup::before(backend.address)
        .environment("DUSKGATE__LISTENER__0__ADDRESS", &socket.local_addr().unwrap().to_string())
        .within(["sh".to_owned(), "-c".to_owned(), handing.to_owned()])
        .stdin(socket.try_clone().unwrap().into())
}

#[tokio::test]
async fn connections_wait_in_the_socket_while_no_process_is_there() {
    let backend = Backend::answering(OK);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let get = Request::new("GET", "/");
    let mut early = Connection::to(address).await;
    early.write(&get.to_bytes()).await;

    let program = on(&socket, &backend).start();
    assert_eq!(program.address(), address);
    assert_eq!(early.read("GET").await.status, 200);
    program.signal("KILL");
    drop(program);

    let mut meanwhile = Connection::to(address).await;
    meanwhile.write(&get.to_bytes()).await;
    let _program = on(&socket, &backend).start();
    assert_eq!(meanwhile.read("GET").await.status, 200);
}

#[test]
fn systemd_is_told_how_the_service_fares() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("notify");
    let notified = UnixDatagram::bind(&place).unwrap();
    notified.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let told = || {
        let mut text = [0; 200];
        let length = notified.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    let backend = Backend::answering(OK);
    let mut program: Program =
        Setup::before(backend.address).environment("NOTIFY_SOCKET", place.to_str().unwrap()).start();
    assert_eq!(told(), "READY=1");
    program.signal("HUP");
    assert_eq!([told(), told()], ["RELOADING=1", "READY=1"]);

    program.signal("USR2");
    // The new process tells that it is ready, and the old one who it is.
    assert_eq!(told(), "READY=1");
    let text = told();
    let pid = text.strip_prefix("READY=1\nMAINPID=").unwrap().to_owned();
    assert_eq!(program.ended().code(), Some(0));
    let kill = std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(kill.success());
    assert_eq!(told(), "STOPPING=1");
}
