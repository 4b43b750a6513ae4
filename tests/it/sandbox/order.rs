//! The order of checks (contract, section 3) on the legacy route: each request is wrong in two ways, and the earlier
//! check answers.

use serde_json::json;

use super::{B, assert_empty, assert_error, call, legacy_path, started, token_of};
use crate::support::http::{Connection, Request, ask};

#[tokio::test]
async fn bad_credentials_come_before_accept_and_carry_no_content_type() {
    let sandbox = started().await;
    let path = format!("{B}{}", legacy_path(&sandbox, "developers"));
    let request = Request::new("POST", &path).token("garbage").header("Accept", "text/html").body("x");
    let response = ask(sandbox.address, &request).await;
    assert_error(&response, 401, "unauthorized");
    assert_eq!(response.json()["error"]["details"]["authError"]["id"], "badToken");
    assert_eq!(response.header("content-type"), None);
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn accept_comes_before_the_content_type() {
    let sandbox = started().await;
    let path = format!("{B}{}", legacy_path(&sandbox, "developers"));
    let request = Request::new("POST", &path).body("x");
    let response = ask(sandbox.address, &request.clone().header("Accept", "text/html")).await;
    assert_empty(&response, 406, true);
    assert_eq!(response.header("content-type"), None);
    assert_empty(&ask(sandbox.address, &request.header("Accept", "json")).await, 400, true);
}

#[tokio::test]
async fn the_content_type_comes_before_the_circuit_breaker() {
    let sandbox = started().await;
    sandbox.set_circuit_breaker(true);
    let path = format!("{B}{}", legacy_path(&sandbox, "developers"));
    let response = ask(sandbox.address, &Request::new("POST", &path).body("x")).await;
    assert_empty(&response, 415, true);
    assert_eq!(response.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn the_circuit_breaker_comes_before_the_syntax_of_the_body() {
    let sandbox = started().await;
    sandbox.set_circuit_breaker(true);
    let path = format!("{B}/groups/missing/users/token");
    let response = ask(sandbox.address, &Request::new("POST", &path).json("{")).await;
    assert_error(&response, 503, "serviceUnavailable");
    assert_eq!(response.header("retry-after"), None);
    sandbox.set_circuit_breaker(false);
    assert_error(&ask(sandbox.address, &Request::new("POST", &path).json("{")).await, 400, "malformedData");
}

#[tokio::test]
async fn the_syntax_of_the_body_comes_before_existence_and_its_form_after_privileges() {
    let sandbox = started().await;
    for (who, path, body, status, id) in [
        ("", "/groups/missing/users/token", "{", 400, "malformedData"),
        ("", "/groups/missing/users/token", "[]", 404, "notFound"),
        ("anna", "/groups/missing/users/token", "5", 404, "notFound"),
        ("", "", "[]", 401, "unauthorized"),
        ("dan", "", "\"x\"", 403, "forbidden"),
        ("anna", "", "[]", 400, "malformedData"),
    ] {
        let path = if path.is_empty() { legacy_path(&sandbox, "developers") } else { path.to_owned() };
        let mut request = Request::new("POST", &format!("{B}{path}")).json(body);
        if !who.is_empty() {
            request = request.token(&token_of(&sandbox, who));
        }
        assert_error(&ask(sandbox.address, &request).await, status, id);
    }
}

#[tokio::test]
async fn existence_comes_before_authentication() {
    let sandbox = started().await;
    for (method, path) in [
        ("POST", "/groups/missing/users/token"),
        ("GET", "/groups/missing"),
        ("GET", "/tokens/named/missing"),
    ] {
        let response = call(&sandbox, "", method, path, None).await;
        assert_error(&response, 404, "notFound");
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
    let response = call(&sandbox, "", "POST", &legacy_path(&sandbox, "developers"), None).await;
    assert_error(&response, 401, "unauthorized");
    assert_eq!(response.json()["error"].get("details"), None);
    assert_eq!(response.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_body_needs_its_content_type_exactly() {
    let sandbox = started().await;
    let path = format!("{B}{}", legacy_path(&sandbox, "developers"));
    let request = Request::new("POST", &path).token(&token_of(&sandbox, "anna"));
    for (content_type, body, status) in [
        (Some("application/json"), "{}", 200),
        (Some("Application/JSON"), "{\"unknown\": 1}", 200),
        (Some("application/json; charset=utf-8"), "{}", 415),
        (Some("text/plain"), "{}", 415),
        (None, "{}", 415),
        (Some("text/plain"), "", 200),
        (Some("application/json"), "", 200),
        (Some("json"), "", 415),
        (None, "", 200),
    ] {
        let mut request = request.clone().body(body);
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        let response = ask(sandbox.address, &request).await;
        assert_eq!(response.status, status, "{content_type:?} {body:?}");
    }
}

#[tokio::test]
async fn an_empty_chunked_body_is_a_body() {
    let sandbox = started().await;
    let path = format!("{B}{}", legacy_path(&sandbox, "developers"));
    let request =
        Request::new("POST", &path).token(&token_of(&sandbox, "anna")).header("Transfer-Encoding", "chunked");
    for (content_type, status) in [("text/plain", 415), ("application/json", 200)] {
        let mut connection = Connection::to(sandbox.address).await;
        connection.write(&request.clone().header("Content-Type", content_type).to_bytes()).await;
        connection.write(b"0\r\n\r\n").await;
        assert_eq!(connection.read("POST").await.status, status, "{content_type}");
    }
}

#[tokio::test]
async fn a_body_over_eight_million_bytes_is_a_crash() {
    let sandbox = started().await;
    let path = format!("{B}{}", legacy_path(&sandbox, "developers"));
    let request = Request::new("POST", &path).token(&token_of(&sandbox, "anna"));
    let body = |length: usize| format!("{{\"x\":\"{}\"}}", "a".repeat(length - 8));
    assert_eq!(ask(sandbox.address, &request.clone().json(body(8_000_000))).await.status, 200);
    assert_empty(&ask(sandbox.address, &request.json(body(8_000_001))).await, 500, true);
}

#[tokio::test]
async fn accepted_answers_carry_a_content_type_even_without_a_body() {
    let sandbox = started().await;
    let token = super::created(&sandbox, "anna", json!({ "name": "one" })).await;
    let path = format!("/tokens/named/{}", token["tokenId"].as_str().unwrap());
    let response = call(&sandbox, "anna", "DELETE", &path, None).await;
    assert_eq!(response.status, 204);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("content-length"), None);
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
}
