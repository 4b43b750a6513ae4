//! Who calls (contract, section 4): the four forms, their precedence, and everything that makes them bad.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duskgate::sandbox::Sandbox;
use serde_json::{Value, json};

use super::{B, assert_error, at, call, confined, created, started, token_of};
use crate::support::http::{Request, Response, ask};

fn whoami() -> Request {
    Request::new("GET", &format!("{B}/user"))
}

async fn as_user(sandbox: &Sandbox, request: Request) -> String {
    let response = ask(sandbox.address, &request).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()["username"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_refused(response: &Response, id: &str) -> Value {
    assert_error(response, 401, "unauthorized");
    assert_eq!(response.header("content-type"), None);
    assert_eq!(response.header("www-authenticate"), None);
    let error = response.json()["error"].clone();
    assert_eq!(error["description"], "Provided authentication is not valid (see details).");
    assert_eq!(error["details"]["authError"]["id"], id, "{response:?}");
    error["details"]["authError"].clone()
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

#[tokio::test]
async fn all_four_forms_are_taken() {
    let sandbox = started().await;
    let token = token_of(&sandbox, "anna");
    for (name, value) in [
        ("X-Auth-Token", token.clone()),
        ("Authorization", format!("Bearer {token}")),
        ("Macaroon", token.clone()),
        ("Authorization", basic("anna", "anna-password")),
    ] {
        assert_eq!(as_user(&sandbox, whoami().header(name, &value)).await, "anna", "{name}");
    }
}

#[tokio::test]
async fn the_first_form_that_is_present_decides() {
    let sandbox = started().await;
    let [anna, ben, cleo] = ["anna", "ben", "cleo"].map(|who| token_of(&sandbox, who));
    let all = whoami().header("Authorization", &format!("Bearer {ben}")).header("Macaroon", &cleo);
    assert_eq!(as_user(&sandbox, all.clone().header("X-Auth-Token", &anna)).await, "anna");
    assert_eq!(as_user(&sandbox, all.clone()).await, "ben");
    let with_basic = whoami().header("Authorization", &basic("anna", "anna-password"));
    assert_eq!(as_user(&sandbox, with_basic.header("Macaroon", &cleo)).await, "cleo");
    assert_refused(&ask(sandbox.address, &all.header("X-Auth-Token", "")).await, "badToken");
}

#[tokio::test]
async fn another_scheme_is_nobody() {
    let sandbox = started().await;
    let token = token_of(&sandbox, "anna");
    for value in [format!("bearer {token}"), format!("Token {token}"), "Digest x".to_owned(), token] {
        let response = ask(sandbox.address, &whoami().header("Authorization", &value)).await;
        assert_error(&response, 401, "unauthorized");
        assert_eq!(response.json()["error"].get("details"), None);
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn a_service_prefix_is_taken_off_and_an_unknown_one_is_not() {
    let sandbox = started().await;
    let token = token_of(&sandbox, "Cracow");
    for (prefix, status) in [("opw-", 404), ("opp-", 404), ("ozw-", 401), ("xyz-", 401)] {
        let response = ask(sandbox.address, &whoami().token(&format!("{prefix}{token}"))).await;
        assert_eq!(response.status, status, "{prefix}");
    }
}

#[tokio::test]
async fn a_wrong_password_an_unknown_user_and_bad_base64_are_the_same() {
    let sandbox = started().await;
    for value in [
        basic("anna", "wrong"),
        basic("nobody", "x"),
        "Basic !!!".to_owned(),
        format!("Basic {}", STANDARD.encode("no colon")),
    ] {
        let response = ask(sandbox.address, &whoami().header("Authorization", &value)).await;
        let error = assert_refused(&response, "badBasicCredentials");
        assert_eq!(error["description"], "Invalid username or password.");
    }
}

#[tokio::test]
async fn a_blocked_user_gets_nowhere() {
    let sandbox = started().await;
    let by_token = ask(sandbox.address, &whoami().token(&token_of(&sandbox, "blocked"))).await;
    assert_refused(&by_token, "userBlocked");
    let by_password = whoami().header("Authorization", &basic("blocked", "blocked-password"));
    assert_refused(&ask(sandbox.address, &by_password).await, "userBlocked");
}

#[tokio::test]
async fn a_deleted_a_revoked_and_a_forged_token_are_told_apart() {
    let sandbox = started().await;
    let token = created(&sandbox, "anna", json!({ "name": "mine" })).await;
    let (id, text) = (token["tokenId"].as_str().unwrap(), token["token"].as_str().unwrap());
    assert_eq!(as_user(&sandbox, whoami().token(text)).await, "anna");
    let mut parsed = duskgate::token::Token::parse(text).unwrap();
    parsed.id.kind = duskgate::token::Type::Access { session: Some("s".to_owned()) };
    assert_refused(&ask(sandbox.address, &whoami().token(&parsed.serialize())).await, "tokenInvalid");
    parsed.id.subject = Some(duskgate::token::Subject::User("other".to_owned()));
    assert_refused(&ask(sandbox.address, &whoami().token(&parsed.serialize())).await, "tokenSubjectInvalid");
    let path = format!("/tokens/named/{id}");
    assert_eq!(call(&sandbox, "anna", "PATCH", &path, Some(json!({ "revoked": true }))).await.status, 204);
    assert_refused(&ask(sandbox.address, &whoami().token(text)).await, "tokenRevoked");
    assert_eq!(call(&sandbox, "anna", "DELETE", &path, None).await.status, 204);
    assert_refused(&ask(sandbox.address, &whoami().token(text)).await, "tokenInvalid");
}

#[tokio::test]
async fn identity_and_invite_tokens_do_not_authenticate() {
    let sandbox = started().await;
    let group = sandbox.fixture.group("developers").id.clone();
    let identity = json!({ "name": "identity", "type": { "identityToken": {} } });
    for (body, printed) in [
        (identity, "identity token".to_owned()),
        (super::invitation(&group, "invite"), format!("invite token for a user to join group \"{group}\"")),
    ] {
        let token = created(&sandbox, "anna", body).await;
        let request = whoami().token(token["token"].as_str().unwrap());
        let error = assert_refused(&ask(sandbox.address, &request).await, "notAnAccessToken");
        assert_eq!(error["description"], format!("Expected an access token, but received a(n) {printed}."));
        assert!(error["details"]["received"].is_object());
    }
}

#[tokio::test]
async fn caveats_are_checked_at_authentication() {
    let sandbox = at("2024-10-21T08:13:49Z").await;
    let now = 1_729_498_429;
    let anna = &sandbox.fixture.user("anna").id;
    for (caveat, good) in [
        (json!({ "type": "time", "validUntil": now + 1 }), true),
        (json!({ "type": "time", "validUntil": now }), false),
        (json!({ "type": "ip", "whitelist": ["127.0.0.0/8"] }), true),
        (json!({ "type": "ip", "whitelist": ["10.0.0.0/8", "192.168.1.1/32"] }), false),
        (json!({ "type": "interface", "interface": "rest" }), true),
        (json!({ "type": "interface", "interface": "graphsync" }), false),
        (json!({ "type": "service", "whitelist": ["ozw-onezone"] }), true),
        (json!({ "type": "service", "whitelist": ["opp-*", "ozw-*"] }), true),
        (json!({ "type": "service", "whitelist": ["opw-*"] }), false),
        (json!({ "type": "consumer", "whitelist": [format!("usr-{anna}")] }), false),
        (json!({ "type": "asn", "whitelist": [322] }), false),
        (json!({ "type": "geo.country", "filter": "whitelist", "list": ["PL"] }), false),
        (json!({ "type": "data.readonly" }), false),
        (json!({ "type": "data.path", "whitelist": ["L3NwYWNl"] }), false),
        (json!({ "type": "data.objectid", "whitelist": ["00AB"] }), false),
        (json!({ "scope": "identityToken" }), false),
    ] {
        let token = confined(&sandbox, &token_of(&sandbox, "anna"), json!([caveat])).await;
        let response = ask(sandbox.address, &whoami().token(&token)).await;
        if good {
            assert_eq!(response.status, 200, "{caveat}");
        } else {
            let error = assert_refused(&response, "tokenCaveatUnverified");
            assert_eq!(error["details"]["caveat"], caveat);
        }
    }
}

#[tokio::test]
async fn an_expired_token_says_since_when_and_the_first_bad_caveat_counts() {
    let sandbox = at("2024-10-22T00:00:00Z").await;
    let caveats = json!([
        { "type": "time", "validUntil": 1_729_498_429 },
        { "type": "interface", "interface": "graphsync" },
    ]);
    let token = confined(&sandbox, &token_of(&sandbox, "anna"), caveats).await;
    let error = assert_refused(&ask(sandbox.address, &whoami().token(&token)).await, "tokenCaveatUnverified");
    assert_eq!(
        error["description"],
        "Provided token is not valid - unverified time caveat: this token has expired at '2024-10-21T08:13:49Z'."
    );
}

#[tokio::test]
async fn a_forged_token_with_a_bad_caveat_is_unverified_rather_than_invalid() {
    let sandbox = started().await;
    let caveats = json!([{ "type": "time", "validUntil": 1 }]);
    let token = confined(&sandbox, &token_of(&sandbox, "anna"), caveats).await;
    let mut forged = duskgate::token::Token::parse(&token).unwrap();
    forged.id.kind = duskgate::token::Type::Access { session: Some("s".to_owned()) };
    let response = ask(sandbox.address, &whoami().token(&forged.serialize())).await;
    assert_refused(&response, "tokenCaveatUnverified");
}

#[tokio::test]
async fn a_consumer_caveat_needs_the_consumers_identity_token() {
    let sandbox = started().await;
    let identity = created(&sandbox, "ben", json!({ "name": "me", "type": { "identityToken": {} } })).await;
    let identity = identity["token"].as_str().unwrap();
    let ben = &sandbox.fixture.user("ben").id;
    let developers = &sandbox.fixture.group("developers").id;
    for (whitelist, status) in [
        (json!([format!("usr-{ben}")]), 200),
        (json!(["usr-*"]), 200),
        (json!([format!("grp-{developers}")]), 200),
        (json!(["prv-*"]), 401),
        (json!(["usr-other"]), 401),
    ] {
        let caveats = json!([{ "type": "consumer", "whitelist": whitelist }]);
        let token = confined(&sandbox, &token_of(&sandbox, "anna"), caveats).await;
        let request = whoami().token(&token).header("X-Onedata-Consumer-Token", identity);
        assert_eq!(ask(sandbox.address, &request).await.status, status, "{whitelist}");
    }
    let request = whoami().token(&token_of(&sandbox, "anna"));
    let bad = ask(sandbox.address, &request.clone().header("X-Onedata-Consumer-Token", "x")).await;
    let error = assert_refused(&bad, "badConsumerToken");
    assert_eq!(error["details"]["tokenError"]["id"], "badToken");
    let access = token_of(&sandbox, "ben");
    let bad = ask(sandbox.address, &request.header("X-Onedata-Consumer-Token", &access)).await;
    let error = assert_refused(&bad, "badConsumerToken");
    assert_eq!(error["details"]["tokenError"]["id"], "notAnIdentityToken");
}

#[tokio::test]
async fn a_service_may_look_with_a_token_for_it_but_not_create() {
    let sandbox = started().await;
    let provider = sandbox.fixture.provider("Cracow").clone();
    let caveats = json!([{ "type": "service", "whitelist": [format!("opw-{}", provider.id)] }]);
    let token = confined(&sandbox, &token_of(&sandbox, "anna"), caveats.clone()).await;
    let serviced = |request: Request| {
        request.token(&token).header("X-Onedata-Service-Token", &format!("opw-{}", provider.token))
    };
    assert_eq!(as_user(&sandbox, serviced(whoami())).await, "anna");
    let path = format!("{B}{}", super::legacy_path(&sandbox, "developers"));
    for request in
        [Request::new("POST", &path), Request::new("POST", &format!("{B}/user/tokens/named")).json("{}")]
    {
        let response = ask(sandbox.address, &serviced(request)).await;
        assert_error(&response, 401, "unauthorized");
        let error = &response.json()["error"]["details"]["authError"];
        assert_eq!(error["id"], "tokenCaveatUnverified");
        assert_eq!(error["details"]["caveat"], caveats[0]);
    }
    let bad = whoami().token(&token_of(&sandbox, "anna")).header("X-Onedata-Service-Token", "garbage");
    assert_refused(&ask(sandbox.address, &bad).await, "badServiceToken");
    let foreign = whoami()
        .token(&token_of(&sandbox, "dan"))
        .header("X-Onedata-Service-Token", &format!("opp-{}", provider.token));
    let error = assert_refused(&ask(sandbox.address, &foreign).await, "tokenServiceForbidden");
    assert_eq!(error["details"]["service"], json!({ "type": "op_panel", "id": provider.id }));
}

#[tokio::test]
async fn a_session_bound_token_needs_a_session() {
    let sandbox = started().await;
    let body = json!({ "name": "gui", "type": { "accessToken": { "sessionId": "abc" } } });
    let response = call(&sandbox, "anna", "POST", "/user/tokens/named", Some(body)).await;
    assert_error(&response, 400, "tokenSessionInvalid");
}

#[tokio::test]
async fn a_token_with_an_unknown_caveat_is_refused() {
    let sandbox = started().await;
    let token = duskgate::token::Token::parse(&token_of(&sandbox, "anna")).unwrap();
    let confined = token.confine(duskgate::token::Caveat::Unknown(b"weather = sunny".to_vec())).unwrap();
    let response = ask(sandbox.address, &whoami().token(&confined.serialize())).await;
    let error = assert_refused(&response, "tokenCaveatUnknown");
    assert_eq!(error["description"], "Unknown caveat - 'weather = sunny'.");
}
