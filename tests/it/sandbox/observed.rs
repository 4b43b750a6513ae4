//! The six deprecated operations without a newer form (contract, section 7.6), and registering a Oneprovider.

use serde_json::{Value, json};

use super::{assert_error, call, confined, started, token_of};

#[tokio::test]
async fn a_space_can_be_given_an_alias_by_its_members() {
    let sandbox = started().await;
    let (space, dan) = (&sandbox.fixture.space("atlas").id, &sandbox.fixture.user("dan").id);
    let path = format!("/user/spaces/{space}/alias");
    assert_error(&call(&sandbox, "nora", "GET", &path, None).await, 404, "notFound");
    let put = |who: &'static str, body: Value| call(&sandbox, who, "PUT", &path, Some(body));
    assert_error(&put("nora", json!({})).await, 400, "missingRequiredValue");
    assert_error(&put("nora", json!({ "alias": "" })).await, 400, "badValueEmpty");
    assert_error(&put("nora", json!({ "alias": 5 })).await, 400, "badValueString");
    assert_eq!(put("nora", json!({ "alias": "mine" })).await.status, 204);
    assert_eq!(call(&sandbox, "nora", "GET", &path, None).await.json(), json!({ "alias": "mine" }));
    let response = put("dan", json!({})).await;
    assert_error(&response, 400, "relationDoesNotExist");
    assert_eq!(
        response.json()["error"],
        json!({
            "id": "relationDoesNotExist",
            "description": format!("Bad value: user:{dan} is not a member of space:{space}."),
            "details": { "childType": "od_user", "childId": dan, "parentType": "od_space", "parentId": space },
        })
    );
    assert_eq!(call(&sandbox, "nora", "DELETE", &path, None).await.status, 204);
    assert_error(&call(&sandbox, "nora", "DELETE", &path, None).await, 404, "notFound");
    for method in ["GET", "PUT", "DELETE"] {
        assert_error(&call(&sandbox, "", method, &path, None).await, 401, "unauthorized");
        assert_error(&call(&sandbox, "Cracow", method, &path, None).await, 404, "notFound");
    }
}

#[tokio::test]
async fn an_oneproviders_identity_is_verified_for_anybody() {
    let sandbox = started().await;
    let cracow = &sandbox.fixture.provider("Cracow").id;
    let token = token_of(&sandbox, "Cracow");
    let ended = confined(&sandbox, &token, json!([{ "type": "time", "validUntil": 1 }])).await;
    let path = "/provider/public/verify_provider_identity";
    let verify = |body: Value| call(&sandbox, "", "POST", path, Some(body));
    assert_eq!(verify(json!({ "providerId": cracow, "token": token })).await.status, 204);
    assert_eq!(verify(json!({ "providerId": cracow, "macaroon": token, "token": 5 })).await.status, 204);
    for (body, id) in [
        (json!({}), "missingRequiredValue"),
        (json!({ "providerId": cracow }), "missingRequiredValue"),
        (json!({ "providerId": "missing", "token": "x" }), "badValueIdNotFound"),
        (json!({ "providerId": cracow, "token": "x" }), "badValueToken"),
        (json!({ "providerId": cracow, "token": "" }), "badValueEmpty"),
        (json!({ "providerId": cracow, "token": ended }), "tokenCaveatUnverified"),
        (json!({ "providerId": cracow, "token": token_of(&sandbox, "Lisbon") }), "tokenInvalid"),
        (json!({ "providerId": cracow, "token": token_of(&sandbox, "anna") }), "notAnIdentityToken"),
    ] {
        assert_error(&verify(body).await, 400, id);
    }
}

#[tokio::test]
async fn an_oneprovider_changes_and_ends_its_support() {
    let sandbox = started().await;
    let space = &sandbox.fixture.space("atlas").id;
    let path = format!("/provider/spaces/{space}");
    let patch = |who: &'static str, body: Value| call(&sandbox, who, "PATCH", &path, Some(body));
    assert_eq!(patch("Cracow", json!({ "size": 2_000_000 })).await.status, 204);
    let shown = call(&sandbox, "Cracow", "GET", &path, None).await.json();
    assert_eq!(shown["providers"][&sandbox.fixture.provider("Cracow").id], 2_000_000);
    assert_error(&patch("Cracow", json!({})).await, 400, "missingRequiredValue");
    assert_error(&patch("Cracow", json!({ "size": "much" })).await, 400, "badValueInteger");
    assert_error(&patch("Cracow", json!({ "size": 1 })).await, 400, "badValueTooLow");
    assert_error(&patch("Lisbon", json!({ "size": 2_000_000 })).await, 404, "notFound");
    assert_error(&patch("anna", json!({ "size": 2_000_000 })).await, 404, "notFound");
    assert_error(&patch("", json!({ "size": 2_000_000 })).await, 401, "unauthorized");
    assert_eq!(call(&sandbox, "Cracow", "DELETE", &path, None).await.status, 204);
    assert_error(&call(&sandbox, "Cracow", "DELETE", &path, None).await, 404, "notFound");
}

#[tokio::test]
async fn a_registered_oneprovider_has_a_cluster_that_the_invited_administers() {
    let sandbox = started().await;
    let anna = &sandbox.fixture.user("anna").id;
    let path = format!("/users/{anna}/clusters/provider_registration_token");
    let token = call(&sandbox, "registrar", "POST", &path, None).await.json()["token"].clone();
    let body = json!({
        "token": token, "name": "Prague", "adminEmail": "a@example.org",
        "subdomainDelegation": false, "domain": "prague.example.org",
    });
    let register = |body: Value| call(&sandbox, "", "POST", "/providers", Some(body));
    assert_error(&register(json!({ "token": token })).await, 400, "missingRequiredValue");
    let response = register(body.clone()).await;
    assert_eq!(response.status, 200, "{response:?}");
    let registered = response.json();
    let id = registered["providerId"].as_str().unwrap();
    let cluster = format!("/clusters/{id}/users/token");
    assert_eq!(call(&sandbox, "anna", "POST", &cluster, None).await.status, 200);
    let root = registered["providerRootToken"].as_str().unwrap();
    let request = crate::support::http::Request::new("GET", &format!("{}/provider", super::B)).token(root);
    let shown = crate::support::http::ask(sandbox.address, &request).await;
    assert_eq!(shown.json()["name"], "Prague");
    assert_error(&register(body).await, 400, "inviteTokenUsageLimitReached");
}
