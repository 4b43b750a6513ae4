//! Reloading: all or nothing, and nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{LEGACY, OK};
use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::{Program, Setup};

const SUCCESSFUL: &str = "duskgate_config_last_reload_successful";

fn call() -> Request {
    Request::new("POST", LEGACY)
}

async fn successful(program: &Program) -> f64 {
    program.metric(SUCCESSFUL, &[]).await
}

#[tokio::test]
async fn a_good_file_takes_effect_on_a_signal_and_on_a_command() {
    let backend = Backend::answering(OK);
    let setup = Setup::before(backend.address);
    let program = setup.clone().deprecation("mode = \"observe\"").start();
    let mut connection = Connection::to(program.address()).await;
    assert_eq!(connection.ask(&call()).await.status, 200);

    program.configure(&setup.clone().deprecation("mode = \"gone\""));
    program.signal("HUP");
    program.logged(&["the configuration was reloaded"]);
    assert_eq!(connection.ask(&call()).await.status, 410);

    program.configure(&setup.clone().deprecation("mode = \"observe\""));
    let response = program.command("/reload").await;
    assert_eq!((response.status, response.text().as_str()), (200, "reloaded\n"));
    assert_eq!(connection.ask(&call()).await.status, 200);
    assert_eq!(successful(&program).await, 1.0);
    assert!(program.metric("duskgate_config_last_reload_success_timestamp_seconds", &[]).await > 1.6e9);
}

#[tokio::test]
async fn another_backend_is_used_from_the_next_request_on() {
    let (old, new) = (Backend::answering(OK), Backend::answering(OK));
    let program = Setup::before(old.address).start();
    let mut connection = Connection::to(program.address()).await;
    assert_eq!(connection.ask(&Request::new("GET", "/")).await.status, 200);
    program.configure(&Setup::before(new.address));
    assert_eq!(program.command("/reload").await.status, 200);
    assert_eq!(connection.ask(&Request::new("GET", "/")).await.status, 200);
    assert_eq!((old.requests().len(), new.requests().len()), (1, 1));
}

#[tokio::test]
async fn new_limits_hold_for_the_next_request_of_an_old_connection() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    let request = Request::new("GET", "/").header("X-A", "1").header("X-B", "2");
    assert_eq!(connection.ask(&request).await.status, 200);
    program.configure(&Setup::before(backend.address).section("[limits]\nhead_fields = 2"));
    assert_eq!(program.command("/reload").await.status, 200);
    assert_eq!(connection.ask(&Request::new("GET", "/")).await.status, 200);
    assert_eq!(connection.ask(&request).await.status, 431);
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_says_why() {
    let backend = Backend::answering(OK);
    let setup = Setup::before(backend.address);
    let program = setup.clone().deprecation("mode = \"observe\"").start();
    let bad = setup.clone().deprecation("mode = \"gone\"\nsunset = 2027-01-01T00:00:00Z").upstream("via = 7");
    program.configure(&bad);

    let response = program.command("/reload").await;
    assert_eq!(response.status, 422);
    let text = response.text();
    for mistake in ["duskgate.toml:7:7: upstream.via", "duskgate.toml:11:1: deprecation.sunset: unknown key"]
    {
        assert!(text.contains(mistake), "{mistake}: {text}");
    }
    assert!(text.contains("sunset_at"), "{text}");
    program.logged(&["ERROR", "the configuration was not reloaded", "deprecation.sunset"]);
    assert_eq!(successful(&program).await, 0.0);
    assert_eq!(program.ask(&call()).await.status, 200);

    program.configure(&setup.clone().deprecation("mode = \"gone\""));
    program.signal("HUP");
    program.logged(&["the configuration was reloaded"]);
    assert_eq!(successful(&program).await, 1.0);
    assert_eq!(program.ask(&call()).await.status, 410);
}

#[tokio::test]
async fn a_file_that_is_gone_is_a_bad_file() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    std::fs::remove_file(program.config_file()).unwrap();
    program.signal("HUP");
    program.logged(&["ERROR", "the configuration was not reloaded", "duskgate.toml"]);
    assert_eq!(program.ask(&Request::new("GET", "/")).await.status, 200);
    assert_eq!(successful(&program).await, 0.0);
}

#[tokio::test]
async fn what_needs_a_restart_is_refused_by_name_and_nothing_else_changes() {
    let backend = Backend::answering(OK);
    let setup = Setup::before(backend.address);
    let program = setup.clone().deprecation("mode = \"observe\"").start();
    let gone = setup.clone().deprecation("mode = \"gone\"");
    let text = gone.to_toml().replacen("127.0.0.1:0", "127.0.0.2:0", 2)
        + "\n[runtime]\nthreads = 7\n[log]\nformat = \"json\"\n";
    std::fs::write(program.config_file(), text).unwrap();
    let response = program.command("/reload").await;
    assert_eq!(response.status, 422);
    assert_eq!(
        response.text().lines().collect::<Vec<_>>(),
        [
            "listener[0].address changed; restart needed",
            "admin.address changed; restart needed",
            "runtime.threads changed; restart needed",
            "log.format changed; restart needed",
        ]
    );
    assert_eq!(program.ask(&call()).await.status, 200);

    program.configure(&gone.clone().listeners(2));
    let response = program.command("/reload").await;
    assert_eq!((response.status, response.text().as_str()), (422, "listener[1] added; restart needed\n"));
    assert_eq!(program.ask(&call()).await.status, 200);
}

#[tokio::test]
async fn a_request_in_flight_keeps_its_configuration() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let backend = Backend::new(move |link| {
        link.request();
        let _ = wait.lock().unwrap().recv_timeout(std::time::Duration::from_secs(20));
        link.send(OK);
    });
    let setup = Setup::before(backend.address);
    let program = setup.clone().deprecation("mode = \"observe\"").start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(&call().to_bytes()).await;
    backend.received(1);
    program.configure(&Setup::before(([127, 0, 0, 1], 1).into()).deprecation("mode = \"gone\""));
    assert_eq!(program.command("/reload").await.status, 200);
    go.send(()).unwrap();
    let response = connection.read("POST").await;
    assert_eq!((response.status, response.header("deprecation")), (200, Some("@1590969600")));
    assert_eq!(connection.ask(&call()).await.status, 410);
}

#[tokio::test]
async fn ten_reloads_under_load_fail_no_request_and_close_no_connection() {
    const CLIENTS: usize = 6;
    let backend = Backend::answering(OK);
    let setup = Setup::before(backend.address);
    let program = setup.clone().deprecation("mode = \"observe\"").start();
    let answered = Arc::new(AtomicUsize::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (address, answered, over) = (program.address(), Arc::clone(&answered), Arc::clone(&over));
            tokio::spawn(async move {
                let mut connection = Connection::to(address).await;
                let requests =
                    [Request::new("GET", "/"), Request::new("POST", "/").body("x"), call().body("x")];
                for request in requests.iter().cycle().skip(client) {
                    // Panics where the connection was closed.
                    let response = connection.ask(request).await;
                    assert_eq!((response.status, response.header("connection")), (200, None));
                    answered.fetch_add(1, Ordering::Relaxed);
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                }
            })
        })
        .collect();
    for reload in 0..10 {
        let before = answered.load(Ordering::Relaxed);
        while answered.load(Ordering::Relaxed) < before + 20 * CLIENTS {
            assert!(clients.iter().all(|client| !client.is_finished()), "a client has failed");
            tokio::task::yield_now().await;
        }
        // Every other one brings a new pool of connections, too.
        let other = setup.clone().upstream(&format!("response_timeout = \"{}s\"", 30 + reload / 2));
        program.configure(&other.deprecation("mode = \"observe\""));
        if reload % 2 == 0 {
            program.signal("HUP");
        } else {
            assert_eq!(program.command("/reload").await.status, 200);
        }
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
}
