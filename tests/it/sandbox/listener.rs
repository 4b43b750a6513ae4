//! Cowboy's side: connections, paths, methods (contract, sections 1 and 2).

use std::time::Duration;

use duskgate::sandbox::Settings;

use super::{B, assert_empty, assert_error, call, legacy_path, started, with};
use crate::support::http::{Connection, Request, ask};

#[tokio::test]
async fn every_answer_names_cowboy_and_the_date() {
    let sandbox = started().await;
    for path in ["/api/v3/onezone/health", "/nowhere", "/%zz", "/api/v3/onezone/user"] {
        let response = ask(sandbox.address, &Request::new("GET", path)).await;
        assert_eq!(response.header("server"), Some("Cowboy"), "{path}");
        assert!(response.header("date").is_some_and(|date| date.ends_with(" GMT")), "{path}");
    }
}

#[tokio::test]
async fn a_connection_carries_thirty_requests_and_the_last_answer_says_so() {
    let sandbox = started().await;
    let mut connection = Connection::to(sandbox.address).await;
    let request = Request::new("GET", &format!("{B}/health"));
    for number in 1..=30 {
        let response = connection.ask(&request).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("connection"), (number == 30).then_some("close"), "request {number}");
    }
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let sandbox = with(Settings { idle: Duration::from_millis(50), ..Settings::default() }).await;
    let mut connection = Connection::to(sandbox.address).await;
    assert_eq!(connection.ask(&Request::new("GET", &format!("{B}/health"))).await.status, 200);
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn a_request_line_over_8000_bytes_is_414() {
    let sandbox = started().await;
    let line = |length: usize| format!("/{}", "a".repeat(length - "GET / HTTP/1.1".len()));
    assert_empty(&ask(sandbox.address, &Request::new("GET", &line(8000))).await, 404, false);
    let response = ask(sandbox.address, &Request::new("GET", &line(8001))).await;
    assert_empty(&response, 414, false);
    assert_eq!(response.header("connection"), Some("close"));
}

#[tokio::test]
async fn a_header_value_over_4096_bytes_or_more_than_100_fields_are_431() {
    let sandbox = started().await;
    let request = Request::new("GET", &format!("{B}/health"));
    let long = |length: usize| request.clone().header("X-Long", &"a".repeat(length));
    assert_eq!(ask(sandbox.address, &long(4096)).await.status, 200);
    let response = ask(sandbox.address, &long(4097)).await;
    assert_empty(&response, 431, false);
    assert_eq!(response.header("connection"), Some("close"));
    let many = |count| (1..count).fold(request.clone(), |request, _| request.header("X-Many", "1"));
    assert_eq!(ask(sandbox.address, &many(100)).await.status, 200);
    assert_empty(&ask(sandbox.address, &many(101)).await, 431, false);
}

#[tokio::test]
async fn a_www_host_is_sent_to_the_bare_one() {
    let sandbox = started().await;
    let request = Request::new("POST", "/any/path?with=query").header("Host", "www.onezone.example.com");
    let response = ask(sandbox.address, &request).await;
    assert_empty(&response, 301, false);
    assert_eq!(response.header("location"), Some("https://onezone.example.com/any/path?with=query"));
}

#[tokio::test]
async fn a_bad_escape_is_400_wherever_it_stands() {
    let sandbox = started().await;
    for path in ["/%zz", "/api/v3/onezone/groups/%2/users/token", "/ozw/%"] {
        for method in ["GET", "POST", "OPTIONS"] {
            assert_empty(&ask(sandbox.address, &Request::new(method, path)).await, 400, false);
        }
    }
}

#[tokio::test]
async fn every_spelling_of_the_legacy_path_is_the_legacy_route() {
    let sandbox = started().await;
    let id = &sandbox.fixture.group("developers").id;
    for path in [
        format!("{B}/groups/{id}/users/token/"),
        format!("{B}/groups/{id}/users/token?x=y"),
        format!("{B}/groups/{id}/%75sers/t%6fken"),
        format!("{B}/groups/./{id}/users/x/../token"),
        format!("{B}/groups/{id}/users/%2e%2E/users/token"),
        format!("/x/..{B}/groups/{id}/users/token"),
    ] {
        let request = Request::new("POST", &path).token(&sandbox.fixture.user("anna").token);
        assert_eq!(ask(sandbox.address, &request).await.status, 200, "{path}");
    }
    for path in [
        format!("{B}/groups/{id}//users/token"),
        format!("{B}/groups/{id}/users/token//"),
        format!("{B}/Groups/{id}/users/token"),
        format!("/{B}/groups/{id}/users/token"),
    ] {
        let request = Request::new("POST", &path).token(&sandbox.fixture.user("anna").token);
        let response = ask(sandbox.address, &request).await;
        assert_empty(&response, 405, false);
        assert_eq!(response.header("allow"), Some("HEAD, GET, OPTIONS"), "{path}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_answered_by_the_file_handler() {
    let sandbox = started().await;
    let path = format!("{B}/no/such/path");
    for method in ["GET", "HEAD"] {
        let response = ask(sandbox.address, &Request::new(method, &path)).await;
        assert_empty(&response, 404, false);
        assert_eq!(response.header("content-type"), None);
    }
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let response = ask(sandbox.address, &Request::new(method, &path)).await;
        assert_empty(&response, 405, false);
        assert_eq!(response.header("allow"), Some("HEAD, GET, OPTIONS"));
    }
    let response = ask(sandbox.address, &Request::new("OPTIONS", &path)).await;
    assert_empty(&response, 200, false);
    assert_eq!(response.header("allow"), Some("HEAD, GET, OPTIONS"));
}

#[tokio::test]
async fn a_wrong_method_is_405_before_authentication() {
    let sandbox = started().await;
    let path = format!("{B}{}", legacy_path(&sandbox, "developers"));
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        let request = Request::new(method, &path).token("no token at all").header("Accept", "text/html");
        let response = ask(sandbox.address, &request).await;
        assert_empty(&response, 405, true);
        assert_eq!(response.header("allow"), Some("POST"));
        assert_eq!(response.header("content-type"), None);
    }
}

#[tokio::test]
async fn methods_that_the_rest_handler_does_not_know_crash_it() {
    let sandbox = started().await;
    let path = format!("{B}{}", legacy_path(&sandbox, "developers"));
    for method in ["HEAD", "OPTIONS", "TRACE", "BREW", "post"] {
        let response = ask(sandbox.address, &Request::new(method, &path)).await;
        assert_empty(&response, 500, false);
        assert_eq!(response.header("content-type"), None, "{method}");
    }
}

#[tokio::test]
async fn without_the_legacy_routes_the_path_is_a_member_called_token() {
    let sandbox = with(Settings { legacy: false, ..Settings::default() }).await;
    let path = legacy_path(&sandbox, "developers");
    let response = call(&sandbox, "anna", "POST", &path, None).await;
    assert_empty(&response, 405, true);
    assert_eq!(response.header("allow"), Some("DELETE, GET, PUT"));
    assert_error(&call(&sandbox, "anna", "GET", &path, None).await, 404, "notFound");
    assert_error(&call(&sandbox, "", "PUT", &path, None).await, 401, "unauthorized");
    assert_error(&call(&sandbox, "anna", "PUT", &path, None).await, 403, "forbidden");
    let response = call(&sandbox, "admin", "PUT", &path, None).await;
    assert_error(&response, 400, "badValueIdNotFound");
    assert_eq!(response.json()["error"]["details"]["key"], "userId");
}

#[tokio::test]
async fn an_onezone_before_20_02_has_no_token_api() {
    let sandbox = with(Settings { token_api: false, ..Settings::default() }).await;
    let response = call(&sandbox, "anna", "POST", "/user/tokens/named", None).await;
    assert_empty(&response, 405, false);
    assert_eq!(call(&sandbox, "anna", "POST", &legacy_path(&sandbox, "developers"), None).await.status, 200);
}

#[tokio::test]
async fn the_configuration_is_public_in_both_places() {
    let sandbox = started().await;
    for path in ["/configuration".to_owned(), format!("{B}/configuration")] {
        let response = ask(sandbox.address, &Request::new("GET", &path)).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.json()["domain"], "onezone.example.com");
        assert!(response.json()["version"].is_string());
    }
}

#[tokio::test]
async fn the_sandbox_is_gone_when_it_is_dropped() {
    let sandbox = started().await;
    let address = sandbox.address;
    let mut connection = Connection::to(address).await;
    assert_eq!(connection.ask(&Request::new("GET", &format!("{B}/health"))).await.status, 200);
    drop(sandbox);
    assert!(connection.is_closed().await);
}
