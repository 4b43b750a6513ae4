//! Starting: listeners, ports that are taken, environment overrides.

use super::{LEGACY, OK};
use crate::support::backend::Backend;
use crate::support::http::{Request, ask};
use crate::support::program::Setup;

#[tokio::test]
async fn every_listener_serves_and_is_named_in_order() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).listeners(3).start();
    assert_eq!(program.listeners.len(), 3);
    for address in &program.listeners {
        assert_eq!(ask(*address, &Request::new("GET", "/")).await.status, 200);
        let labels = [("listener", &*address.to_string())];
        assert!(program.metric("duskgate_connections", &labels).await <= 1.0);
    }
    assert_eq!(backend.requests().len(), 3);
}

#[tokio::test]
async fn it_is_ready_whether_or_not_a_backend_is_there() {
    let program = Setup::before_all(["http://nowhere.invalid".to_owned()]).start();
    assert_eq!(program.ask(&Request::new("GET", "/")).await.status, 503);
}

#[test]
fn two_programs_cannot_share_a_port() {
    let backend = Backend::answering(OK);
    let first = Setup::before(backend.address).start();
    for (variable, taken, name) in [
        ("DUSKGATE__LISTENER__0__ADDRESS", first.address(), "listener[0]"),
        ("DUSKGATE__ADMIN__ADDRESS", first.admin, "admin"),
    ] {
        let second = Setup::before(backend.address).environment(variable, &taken.to_string());
        let (code, text) = second.fail();
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(&format!("error: cannot bind {name}: {taken} (")), "{text}");
        assert!(text.to_lowercase().contains("address already in use"), "{text}");
    }
}

#[test]
fn a_port_that_somebody_else_has_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let setup = Setup::before(address).listeners(2);
    let (code, text) = setup.environment("DUSKGATE__LISTENER__1__ADDRESS", &address.to_string()).fail();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("error: cannot bind listener[1]: {address} (")), "{text}");
}

#[test]
fn a_bad_configuration_starts_nothing_and_names_every_mistake() {
    let setup = Setup::before_all(["onezone.example.org".to_owned()]).upstream("conect_timeout = \"3s\"");
    let (code, text) = setup.section("[[brownout]]\nfrom = 2027-01-12T10:00:00Z").fail();
    assert_eq!(code, Some(2), "{text}");
    for part in [
        "duskgate.toml:6:12: upstream.servers",
        "duskgate.toml:7:1: upstream.conect_timeout",
        "connect_timeout",
        ": brownout: is not available yet in this version",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn the_environment_overrides_the_file_and_holds_for_reloads() {
    let (wrong, right) = (Backend::answering(OK), Backend::answering(OK));
    let program = Setup::before(wrong.address)
        .environment("DUSKGATE__UPSTREAM__SERVERS", &format!("http://{}", right.address))
        .environment("DUSKGATE__DEPRECATION__MODE", "gone")
        .start();
    assert_eq!(program.ask(&Request::new("GET", "/")).await.status, 200);
    assert_eq!(program.ask(&Request::new("POST", LEGACY)).await.status, 410);
    assert_eq!(program.command("/reload").await.status, 200);
    assert_eq!(program.ask(&Request::new("POST", LEGACY)).await.status, 410);
    assert_eq!((wrong.requests().len(), right.requests().len()), (0, 1));
    let effective = program.admin("/api/config").await.text();
    assert!(effective.contains("DUSKGATE__DEPRECATION__MODE"), "{effective}");
}

#[test]
fn an_unknown_name_in_the_environment_is_an_error() {
    let setup = Setup::before(([127, 0, 0, 1], 1).into());
    let (code, text) = setup.environment("DUSKGATE__UPSTREAM__SERVER", "http://a").fail();
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("DUSKGATE__UPSTREAM__SERVERS"), "{text}");
}
