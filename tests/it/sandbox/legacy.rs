//! The deprecated route, row by row of the translation table (contract, section 9, legacy column), and the names that it
//! makes up (7.2).

use duskgate::token::{Subject, Token, Type};
use serde_json::json;

use super::{B, assert_empty, assert_error, call, confined, created, legacy_path, started, token_of};
use crate::support::http::{Request, ask};

#[tokio::test]
async fn success_is_200_with_nothing_but_the_token() {
    let sandbox = started().await;
    let response = call(&sandbox, "anna", "POST", &legacy_path(&sandbox, "developers"), None).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("location"), None);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    assert_eq!(response.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["token"]);
}

#[tokio::test]
async fn the_token_is_a_named_single_use_invitation_by_the_caller() {
    let sandbox = started().await;
    let group = sandbox.fixture.group("developers").id.clone();
    let response = call(&sandbox, "anna", "POST", &legacy_path(&sandbox, "developers"), None).await;
    let text = response.json()["token"].as_str().unwrap().to_owned();
    let token = Token::parse(&text).unwrap();
    assert_eq!(token.location, "onezone.example.com");
    assert_eq!(token.id.subject, Some(Subject::User(sandbox.fixture.user("anna").id.clone())));
    assert_eq!(token.id.kind.to_string(), format!("ujg:{group}:"));
    assert!(matches!(token.id.kind, Type::Invite { .. }) && token.caveats.is_empty());
    let shown = call(&sandbox, "anna", "GET", &format!("/tokens/named/{}", token.id.id), None).await.json();
    assert_eq!(shown["token"], text);
    assert_eq!(shown["revoked"], false);
    assert_eq!(shown["caveats"], json!([]));
    let metadata = &shown["metadata"];
    assert_eq!(metadata["usageLimit"], 1);
    assert_eq!(metadata["usageCount"], 0);
    assert_eq!(metadata["custom"], json!({}));
    assert_eq!(metadata["privileges"], json!(["group_view"]));
    assert!(metadata["creationTime"].is_i64());
}

#[tokio::test]
async fn whoever_effectively_may_add_users_may_invite() {
    let sandbox = started().await;
    for (who, status) in [
        ("anna", 200),
        ("mia", 200),
        ("cleo", 200),
        ("inviter", 200),
        ("admin", 200),
        ("ben", 403),
        ("dan", 403),
        ("service", 403),
        ("Cracow", 403),
        ("", 401),
    ] {
        let response = call(&sandbox, who, "POST", &legacy_path(&sandbox, "developers"), None).await;
        assert_eq!(response.status, status, "{who}: {response:?}");
        let missing = call(&sandbox, who, "POST", "/groups/missing/users/token", None).await;
        assert_error(&missing, 404, "notFound");
    }
}

#[tokio::test]
async fn the_derived_names_are_onezones_to_the_byte() {
    let sandbox = started().await;
    for (group, expected) in [
        ("developers", "user invite to group - developers ??????"),
        ("Physics collaboration 2020", "user invite to group - Physics collabora... ??????"),
        ("量子物理研究所", "user invite to group - ... ??????"),
        ("Zespół badań nad fizyką cząstek", "user invite to group - Zespół badań n... ??????"),
        ("Groupe qualité été période", "user invite to group - Groupe qualitÃ... ??????"),
    ] {
        let response = call(&sandbox, "anna", "POST", &legacy_path(&sandbox, group), None).await;
        assert_eq!(response.status, 200, "{group}");
        let id = Token::parse(response.json()["token"].as_str().unwrap()).unwrap().id.id;
        let shown = call(&sandbox, "anna", "GET", &format!("/tokens/named/{id}"), None).await.json();
        let name = shown["name"].as_str().unwrap();
        let (stem, hex) = name.split_at(name.len() - 6);
        assert_eq!(format!("{stem}??????"), expected);
        assert!(hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)), "{name}");
    }
}

#[tokio::test]
async fn some_names_cannot_be_invited_to() {
    let sandbox = started().await;
    let path = legacy_path(&sandbox, "XYZ sœur cœur œuvre æther ßtraße");
    let response = call(&sandbox, "anna", "POST", &path, None).await;
    assert_error(&response, 400, "badValueName");
    assert_eq!(response.json()["error"].get("details"), None);
    assert_error(&call(&sandbox, "dan", "POST", &path, None).await, 403, "forbidden");
}

#[tokio::test]
async fn a_clash_of_names_shows() {
    let sandbox = started().await;
    sandbox.occupy_next_names(1);
    let path = legacy_path(&sandbox, "developers");
    let response = call(&sandbox, "anna", "POST", &path, None).await;
    assert_error(&response, 400, "badValueIdentifierOccupied");
    assert_eq!(response.json()["error"]["details"], json!({ "key": "name" }));
    assert_eq!(call(&sandbox, "anna", "POST", &path, None).await.status, 200);
}

#[tokio::test]
async fn the_api_caveat_must_allow_both_resources() {
    let sandbox = started().await;
    let group = &sandbox.fixture.group("developers").id;
    let anna = &sandbox.fixture.user("anna").id;
    let route = format!("ozw/create/group.{group}.invite_user_token:private");
    let creation = format!("ozw/create/token.null.user_named_token,{anna}");
    for (whitelist, status) in [
        (json!(["all/all/*.*.*:*"]), 200),
        (json!([route, creation]), 200),
        (json!([route, "ozw/all/token.*.*"]), 200),
        (json!([route]), 401),
        (json!([creation]), 401),
        (json!(["ozw/all/token.*.*:*"]), 401),
        (json!(["ozw/get/*.*.*:*"]), 401),
    ] {
        let caveat = json!({ "type": "api", "whitelist": whitelist });
        let token = confined(&sandbox, &token_of(&sandbox, "anna"), json!([caveat])).await;
        let path = format!("{B}{}", legacy_path(&sandbox, "developers"));
        let response = ask(sandbox.address, &Request::new("POST", &path).token(&token)).await;
        assert_eq!(response.status, status, "{whitelist}: {response:?}");
        if status == 401 {
            let error = &response.json()["error"]["details"]["authError"];
            assert_eq!(error["id"], "tokenCaveatUnverified");
            assert_eq!(error["details"]["caveat"], caveat);
            assert_eq!(response.header("content-type"), Some("application/json"));
            let entries: Vec<_> = whitelist.as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
            assert_eq!(
                error["description"],
                format!(
                    "Provided token is not valid - unverified API caveat: this token can only be used for API \
                     calls that match the following spec: '{}'.",
                    entries.join(" or ")
                )
            );
        }
    }
}

#[tokio::test]
async fn a_confined_token_may_create_by_the_new_route_what_the_legacy_one_refuses() {
    let sandbox = started().await;
    let caveats = json!([{ "type": "api", "whitelist": ["ozw/all/token.*.*:*"] }]);
    let token = confined(&sandbox, &token_of(&sandbox, "anna"), caveats).await;
    let body = super::invitation(&sandbox.fixture.group("developers").id, "from the new route");
    let request = Request::new("POST", &format!("{B}/user/tokens/named")).token(&token).json(body);
    assert_eq!(ask(sandbox.address, &request).await.status, 201);
}

#[tokio::test]
async fn a_missing_group_comes_before_the_api_caveat() {
    let sandbox = started().await;
    let caveats = json!([{ "type": "api", "whitelist": ["ozw/get/*.*.*:*"] }]);
    let token = confined(&sandbox, &token_of(&sandbox, "anna"), caveats).await;
    let request = Request::new("POST", &format!("{B}/groups/missing/users/token")).token(&token);
    assert_error(&ask(sandbox.address, &request).await, 404, "notFound");
}

#[tokio::test]
async fn an_unsatisfiable_accept_tells_good_credentials_from_bad_ones() {
    let sandbox = started().await;
    let probe = Request::new("GET", &format!("{B}/health")).header("Accept", "application/x-probe");
    let caveats = json!([{ "type": "api", "whitelist": ["ozw/all/token.*.*:*"] }]);
    let token = confined(&sandbox, &token_of(&sandbox, "anna"), caveats).await;
    sandbox.set_circuit_breaker(true);
    assert_empty(&ask(sandbox.address, &probe.clone().token(&token)).await, 406, true);
    assert_empty(&ask(sandbox.address, &probe).await, 406, true);
    assert_error(&ask(sandbox.address, &probe.token("x")).await, 401, "unauthorized");
}

#[tokio::test]
async fn a_confined_token_may_not_even_ask_for_the_health() {
    let sandbox = started().await;
    let caveats = json!([{ "type": "api", "whitelist": ["ozw/all/token.*.*:*"] }]);
    let token = confined(&sandbox, &token_of(&sandbox, "anna"), caveats).await;
    let response = ask(sandbox.address, &Request::new("GET", &format!("{B}/health")).token(&token)).await;
    assert_error(&response, 401, "unauthorized");
}

#[tokio::test]
async fn failures_leave_no_token_behind() {
    let sandbox = started().await;
    let before = sandbox.tokens().len();
    for (who, body) in [("dan", None), ("", None), ("anna", Some(json!([])))] {
        let response = call(&sandbox, who, "POST", &legacy_path(&sandbox, "developers"), body).await;
        assert!(response.status >= 400, "{response:?}");
    }
    assert_eq!(sandbox.tokens().len(), before);
}

#[tokio::test]
async fn the_children_route_invites_groups() {
    let sandbox = started().await;
    let id = &sandbox.fixture.group("developers").id;
    let response = call(&sandbox, "anna", "POST", &format!("/groups/{id}/children/token"), None).await;
    let token = Token::parse(response.json()["token"].as_str().unwrap()).unwrap();
    assert_eq!(token.id.kind.to_string(), format!("gjg:{id}:"));
}

#[tokio::test]
async fn the_requests_that_arrived_can_be_counted() {
    let sandbox = started().await;
    created(&sandbox, "anna", json!({ "name": "counted" })).await;
    assert_eq!(sandbox.take_requests(), [format!("POST {B}/user/tokens/named")]);
    assert_eq!(sandbox.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_can_be_held_back_after_its_work_is_done() {
    let sandbox = started().await;
    sandbox.delay("POST /user/tokens/named", std::time::Duration::from_secs(3600));
    let address = sandbox.address;
    let body = json!({ "name": "late" });
    let request =
        Request::new("POST", &format!("{B}/user/tokens/named")).token(&token_of(&sandbox, "anna")).json(body);
    let waiting = tokio::spawn(async move { ask(address, &request).await });
    let there = || sandbox.tokens().iter().any(|token| token["name"] == "late");
    while !there() {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    waiting.abort();
}
