//! The deprecated `client_tokens` (contract, section 7.5).

use duskgate::token::{Caveat, Token, Type};
use serde_json::{Value, json};

use super::{
    B, assert_empty, assert_error, at, call, confined, created, invitation, started, token_of, with,
};
use crate::support::http::{Request, ask};
use duskgate::sandbox::Settings;

const PATH: &str = "/user/client_tokens";

#[tokio::test]
async fn a_client_token_is_a_named_access_token_for_a_year() {
    let sandbox = at("2024-10-21T08:13:49Z").await;
    let response = call(&sandbox, "anna", "POST", PATH, None).await;
    assert_eq!((response.status, response.header("location")), (200, None));
    let body = response.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["token"]);
    let token = Token::parse(body["token"].as_str().unwrap()).unwrap();
    assert_eq!(token.id.kind, Type::ACCESS);
    assert_eq!(token.caveats, [Caveat::Time { valid_until: 1_729_498_429 + 31_536_000 }]);
    let path = format!("/tokens/named/{}", token.id.id);
    let shown = call(&sandbox, "anna", "GET", &path, None).await.json();
    let (stem, hex) = shown["name"].as_str().unwrap().split_at(34);
    assert_eq!((stem, hex.len()), ("access token 2024-10-21T08.13.49Z ", 6));
    let request = Request::new("GET", &format!("{B}/user")).token(body["token"].as_str().unwrap());
    assert_eq!(ask(sandbox.address, &request).await.status, 200);
}

#[tokio::test]
async fn all_named_access_tokens_are_listed() {
    let sandbox = started().await;
    let own = call(&sandbox, "anna", "POST", PATH, None).await.json()["token"].clone();
    let named = created(&sandbox, "anna", json!({ "name": "revoked", "revoked": true })).await;
    let group = &sandbox.fixture.group("developers").id;
    created(&sandbox, "anna", invitation(group, "an invitation")).await;
    let identity = json!({ "name": "an identity", "type": { "identityToken": {} } });
    created(&sandbox, "anna", identity).await;
    let listed = call(&sandbox, "anna", "GET", PATH, None).await.json();
    let mut listed: Vec<_> = listed["tokens"].as_array().unwrap().clone();
    let mut expected = vec![own, named["token"].clone(), json!(token_of(&sandbox, "anna"))];
    for list in [&mut listed, &mut expected] {
        list.sort_by_key(Value::to_string);
    }
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_token_is_deleted_by_its_text_whoever_signed_it() {
    let sandbox = started().await;
    let delete = |who: &'static str, text: String| {
        let sandbox = &sandbox;
        async move { call(sandbox, who, "DELETE", &format!("{PATH}/{text}"), None).await }
    };
    let text = call(&sandbox, "anna", "POST", PATH, None).await.json()["token"].as_str().unwrap().to_owned();
    for (who, status) in [("ben", 403), ("", 401), ("Cracow", 404)] {
        assert_eq!(delete(who, text.clone()).await.status, status, "{who}");
    }
    let forged = Token::parse(&text).unwrap();
    let forged = Token::mint("elsewhere", forged.id, vec![], b"nonsense").unwrap().serialize();
    assert_eq!(delete("anna", forged).await.status, 204);
    assert_error(&delete("anna", text).await, 404, "notFound");
    assert_error(&delete("anna", "garbage".to_owned()).await, 404, "notFound");
    assert_error(&delete("", "garbage".to_owned()).await, 401, "unauthorized");
    let ben = token_of(&sandbox, "ben");
    assert_eq!(delete("steward", ben.clone()).await.status, 204);
    assert_error(&delete("steward", ben).await, 404, "notFound");
}

#[tokio::test]
async fn they_are_for_users_only() {
    let sandbox = started().await;
    for method in ["GET", "POST"] {
        assert_error(&call(&sandbox, "", method, PATH, None).await, 401, "unauthorized");
        assert_error(&call(&sandbox, "Cracow", method, PATH, None).await, 404, "notFound");
    }
    let put = call(&sandbox, "anna", "PUT", PATH, None).await;
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, POST")));
}

#[tokio::test]
async fn an_api_caveat_is_checked_against_client_tokens_and_for_the_list_against_the_tokens_too() {
    let sandbox = started().await;
    let anna = &sandbox.fixture.user("anna").id;
    let own = format!("ozw/all/user.{anna}.client_tokens:private");
    let all = format!("ozw/get/token.null.user_named_tokens,{anna}:private");
    for (method, entries, status) in [
        ("POST", vec![&own], 200),
        ("POST", vec![&all], 401),
        ("GET", vec![&own], 401),
        ("GET", vec![&own, &all], 200),
    ] {
        let caveats = json!([{ "type": "api", "whitelist": entries }]);
        let token = confined(&sandbox, &token_of(&sandbox, "anna"), caveats).await;
        let request = Request::new(method, &format!("{B}{PATH}")).token(&token);
        assert_eq!(ask(sandbox.address, &request).await.status, status, "{method} {entries:?}");
    }
}

#[tokio::test]
async fn without_the_routes_there_are_only_files() {
    let sandbox = with(Settings { legacy: false, ..Settings::default() }).await;
    assert_empty(&call(&sandbox, "anna", "GET", PATH, None).await, 404, false);
    for (method, path) in [("POST", PATH.to_owned()), ("DELETE", format!("{PATH}/x"))] {
        let response = call(&sandbox, "anna", method, &path, None).await;
        assert_empty(&response, 405, false);
        assert_eq!(response.header("allow"), Some("HEAD, GET, OPTIONS"));
    }
}
