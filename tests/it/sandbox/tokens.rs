//! The newer token API (contract, section 8).

use duskgate::token::{Persistence, Token};
use serde_json::{Value, json};

use super::{assert_error, at, call, confined, created, invitation, started, token_of};
use crate::support::http::Response;
use duskgate::sandbox::Sandbox;

async fn create(sandbox: &Sandbox, who: &str, body: Value) -> Response {
    call(sandbox, who, "POST", "/user/tokens/named", Some(body)).await
}

#[tokio::test]
async fn creation_answers_201_with_id_token_and_location() {
    let sandbox = started().await;
    let response = create(&sandbox, "anna", json!({ "name": "first" })).await;
    assert_eq!(response.status, 201);
    let body = response.json();
    let id = body["tokenId"].as_str().unwrap();
    assert_eq!(id.len(), 38);
    assert_eq!(&id[32..34], "ch");
    let location = format!("https://onezone.example.com/api/v3/onezone/tokens/named/{id}");
    assert_eq!(response.header("location"), Some(location.as_str()));
    assert_eq!(Token::parse(body["token"].as_str().unwrap()).unwrap().id.id, id);
}

#[tokio::test]
async fn a_token_is_shown_as_it_was_made() {
    let sandbox = at("2024-10-21T08:13:49Z").await;
    let caveats = json!([{ "type": "interface", "interface": "rest" }]);
    let body = json!({ "name": "shown", "caveats": caveats, "customMetadata": { "a": 1 }, "revoked": true });
    let made = created(&sandbox, "anna", body).await;
    let id = made["tokenId"].as_str().unwrap();
    let expected = json!({
        "id": id,
        "name": "shown",
        "subject": { "type": "user", "id": sandbox.fixture.user("anna").id },
        "type": { "accessToken": {} },
        "caveats": caveats,
        "metadata": { "creationTime": 1_729_498_429, "custom": { "a": 1 } },
        "revoked": true,
        "token": made["token"],
    });
    for path in [format!("/tokens/named/{id}"), "/user/tokens/named/name/shown".to_owned()] {
        assert_eq!(call(&sandbox, "anna", "GET", &path, None).await.json(), expected);
    }
    let missing = call(&sandbox, "anna", "GET", "/user/tokens/named/name/other", None).await;
    assert_error(&missing, 404, "notFound");
}

#[tokio::test]
async fn creation_needs_the_caller_and_not_a_oneprovider() {
    let sandbox = started().await;
    assert_error(&create(&sandbox, "", json!({ "name": "x y" })).await, 401, "unauthorized");
    assert_error(&create(&sandbox, "Cracow", json!({ "name": "x y" })).await, 403, "forbidden");
    let response =
        call(&sandbox, "Cracow", "POST", "/provider/tokens/named", Some(json!({ "name": "x y" }))).await;
    assert_eq!(response.status, 201);
    let token = Token::parse(response.json()["token"].as_str().unwrap()).unwrap();
    let id = &sandbox.fixture.provider("Cracow").id;
    assert_eq!(token.id.subject, Some(duskgate::token::Subject::Provider(id.clone())));
    let by_user =
        call(&sandbox, "anna", "POST", "/provider/tokens/named", Some(json!({ "name": "x" }))).await;
    assert_error(&by_user, 403, "forbidden");
}

#[tokio::test]
async fn an_oneprovider_invites_to_its_own_cluster_only() {
    let sandbox = started().await;
    let body = |cluster: &str, name: &str| json!({ "name": name, "type": { "inviteToken": { "inviteType": "userJoinCluster", "clusterId": cluster } } });
    for (name, status) in [("Cracow", 201), ("Lisbon", 400)] {
        let body = body(&sandbox.fixture.provider(name).id, name);
        let response = call(&sandbox, "Cracow", "POST", "/provider/tokens/named", Some(body)).await;
        assert_eq!(response.status, status, "{response:?}");
    }
    let body = invitation(&sandbox.fixture.group("developers").id, "to a group");
    let response = call(&sandbox, "Cracow", "POST", "/provider/tokens/named", Some(body)).await;
    assert_error(&response, 400, "inviteTokenSubjectNotAuthorized");
}

#[tokio::test]
async fn every_value_of_a_creation_is_checked() {
    let sandbox = started().await;
    let group = &sandbox.fixture.group("developers").id;
    created(&sandbox, "anna", json!({ "name": "taken" })).await;
    let invite = |key: &str, value: Value| {
        let mut body = invitation(group, "checked");
        body[key] = value;
        body
    };
    for (body, id, details) in [
        (json!({}), "missingRequiredValue", json!({ "key": "name" })),
        (json!({ "name": 5 }), "badValueString", json!({ "key": "name" })),
        (json!({ "name": "-x" }), "badValueName", Value::Null),
        (json!({ "name": null }), "badValueName", Value::Null),
        (json!({ "name": "taken" }), "badValueIdentifierOccupied", json!({ "key": "name" })),
        (json!({ "name": "x y", "caveats": 5 }), "badData", json!({ "key": "caveats" })),
        (
            json!({ "name": "x y", "caveats": [{ "type": "moon" }] }),
            "badValueCaveat",
            json!({ "caveat": { "type": "moon" } }),
        ),
        (json!({ "name": "x y", "customMetadata": [] }), "badValueJSON", json!({ "key": "customMetadata" })),
        (json!({ "name": "x y", "revoked": "yes" }), "badValueBoolean", json!({ "key": "revoked" })),
        (json!({ "name": "x y", "type": "accessToken" }), "badValueTokenType", json!({ "key": "type" })),
        (json!({ "type": { "odd": {} } }), "badValueTokenType", json!({ "key": "type" })),
        (invite("usageLimit", json!(0)), "badValueTooLow", json!({ "key": "usageLimit", "limit": 1 })),
        (invite("usageLimit", json!("many")), "badValueInteger", json!({ "key": "usageLimit" })),
        (invite("usageLimit", json!(1.5)), "badValueInteger", json!({ "key": "usageLimit" })),
        (
            invite("type", json!({ "inviteToken": { "inviteType": "userJoinGroup", "groupId": "gone" } })),
            "inviteTokenTargetIdInvalid",
            json!({ "id": "gone" }),
        ),
        (
            invite("type", json!({ "inviteToken": { "inviteType": "userJoinSpace", "spaceId": "s" } })),
            "inviteTokenTargetIdInvalid",
            json!({ "id": "s" }),
        ),
    ] {
        let response = create(&sandbox, "anna", body.clone()).await;
        assert_error(&response, 400, id);
        let error = &response.json()["error"];
        assert_eq!(error.get("details").unwrap_or(&Value::Null), &details, "{body}");
    }
}

#[tokio::test]
async fn the_target_and_the_privilege_come_before_the_usage_limit() {
    let sandbox = started().await;
    for (who, group, id) in [
        ("anna", "developers", "badValueTooLow"),
        ("dan", "developers", "inviteTokenSubjectNotAuthorized"),
        ("anna", "", "inviteTokenTargetIdInvalid"),
    ] {
        let group = if group.is_empty() { "missing" } else { &sandbox.fixture.group(group).id };
        let mut body = invitation(group, "a dry run");
        body["usageLimit"] = json!(0);
        let before = sandbox.tokens().len();
        assert_error(&create(&sandbox, who, body).await, 400, id);
        assert_eq!(sandbox.tokens().len(), before);
    }
}

#[tokio::test]
async fn names_are_unique_for_each_subject() {
    let sandbox = started().await;
    created(&sandbox, "anna", json!({ "name": "same" })).await;
    created(&sandbox, "ben", json!({ "name": "same" })).await;
    assert_error(
        &create(&sandbox, "anna", json!({ "name": "same" })).await,
        400,
        "badValueIdentifierOccupied",
    );
}

#[tokio::test]
async fn invite_tokens_carry_what_was_asked_for() {
    let sandbox = started().await;
    let group = &sandbox.fixture.group("developers").id;
    for (limit, shown) in [
        (None, json!("infinity")),
        (Some(json!("7")), json!(7)),
        (Some(json!("infinity")), json!("infinity")),
    ] {
        let mut body = invitation(group, &format!("limit {}", sandbox.tokens().len()));
        if let Some(limit) = limit {
            body["usageLimit"] = limit;
        }
        let made = created(&sandbox, "mia", body).await;
        let path = format!("/tokens/named/{}", made["tokenId"].as_str().unwrap());
        let token = call(&sandbox, "mia", "GET", &path, None).await.json();
        assert_eq!(token["metadata"]["usageLimit"], shown);
        assert_eq!(token["metadata"]["privileges"], json!(["group_view"]));
        assert_eq!(
            token["type"],
            json!({ "inviteToken": { "inviteType": "userJoinGroup", "groupId": group, "parameters": {} } })
        );
    }
}

#[tokio::test]
async fn tokens_are_listed_changed_and_deleted_by_their_subject() {
    let sandbox = started().await;
    let made = created(&sandbox, "ben", json!({ "name": "mine" })).await;
    let id = made["tokenId"].as_str().unwrap();
    let path = format!("/tokens/named/{id}");
    let list = call(&sandbox, "ben", "GET", "/user/tokens/named", None).await.json();
    assert!(list["tokens"].as_array().unwrap().contains(&json!(id)));
    for who in ["anna", "Cracow"] {
        assert_error(&call(&sandbox, who, "GET", &path, None).await, 403, "forbidden");
        assert_error(&call(&sandbox, who, "DELETE", &path, None).await, 403, "forbidden");
    }
    assert_eq!(call(&sandbox, "admin", "GET", &path, None).await.status, 200);
    let status = format!("{path}/status");
    assert_eq!(call(&sandbox, "ben", "GET", &status, None).await.json(), json!({ "revoked": false }));
    assert_eq!(call(&sandbox, "Cracow", "GET", &status, None).await.status, 200);
    assert_error(&call(&sandbox, "dan", "GET", &status, None).await, 403, "forbidden");
    let patch = |body: Value| call(&sandbox, "ben", "PATCH", &path, Some(body));
    let response = patch(json!({})).await;
    assert_error(&response, 400, "missingAtLeastOneValue");
    assert_eq!(response.json()["error"]["details"]["keys"], json!(["customMetadata", "name", "revoked"]));
    assert_error(&patch(json!({ "name": "sandbox access" })).await, 400, "badValueIdentifierOccupied");
    assert_eq!(patch(json!({ "name": "mine", "customMetadata": { "b": 2 } })).await.status, 204);
    assert_eq!(patch(json!({ "revoked": true })).await.status, 204);
    let shown = call(&sandbox, "ben", "GET", &path, None).await.json();
    assert_eq!((&shown["metadata"]["custom"], &shown["revoked"]), (&json!({ "b": 2 }), &json!(true)));
    assert_eq!(call(&sandbox, "ben", "DELETE", &path, None).await.status, 204);
    assert_error(&call(&sandbox, "ben", "DELETE", &path, None).await, 404, "notFound");
}

#[tokio::test]
async fn all_tokens_are_deleted_at_once() {
    let sandbox = started().await;
    created(&sandbox, "ben", json!({ "name": "one" })).await;
    assert_eq!(call(&sandbox, "ben", "DELETE", "/user/tokens/named", None).await.status, 204);
    let user = format!("/users/{}/tokens/named", sandbox.fixture.user("ben").id);
    assert_eq!(call(&sandbox, "admin", "GET", &user, None).await.json(), json!({ "tokens": [] }));
    assert_error(&call(&sandbox, "ben", "GET", "/user", None).await, 401, "unauthorized");
}

#[tokio::test]
async fn a_token_manager_sees_and_makes_everybodys() {
    let sandbox = started().await;
    let all = call(&sandbox, "admin", "GET", "/tokens/named", None).await.json();
    assert_eq!(all["tokens"].as_array().unwrap().len(), sandbox.tokens().len());
    assert_error(&call(&sandbox, "anna", "GET", "/tokens/named", None).await, 403, "forbidden");
    let path = format!("/users/{}/tokens/named", sandbox.fixture.user("dan").id);
    let made = call(&sandbox, "admin", "POST", &path, Some(json!({ "name": "for dan" }))).await;
    assert_eq!(made.status, 201);
    assert_error(
        &call(&sandbox, "anna", "POST", &path, Some(json!({ "name": "x y" }))).await,
        403,
        "forbidden",
    );
    let unknown =
        call(&sandbox, "admin", "POST", "/users/nobody/tokens/named", Some(json!({ "name": "x y" }))).await;
    assert_error(&unknown, 400, "tokenSubjectInvalid");
}

#[tokio::test]
async fn temporary_tokens_need_an_end_and_die_together() {
    let sandbox = at("2024-10-21T08:13:49Z").await;
    let now = 1_729_498_429;
    let create = |until: Option<i64>| {
        let caveats = until.map_or(json!([]), |until| json!([{ "type": "time", "validUntil": until }]));
        call(&sandbox, "anna", "POST", "/user/tokens/temporary", Some(json!({ "caveats": caveats })))
    };
    for until in [None, Some(now + 2_592_001)] {
        let response = create(until).await;
        assert_error(&response, 400, "tokenTimeCaveatRequired");
        assert_eq!(response.json()["error"]["details"], json!({ "maxTtl": 2_592_000 }));
    }
    let token = create(Some(now + 2_592_000)).await.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(Token::parse(&token).unwrap().id.persistence, Persistence::Temporary { generation: 1 });
    let whoami = crate::support::http::Request::new("GET", "/api/v3/onezone/user").token(&token);
    assert_eq!(crate::support::http::ask(sandbox.address, &whoami).await.status, 200);
    let path = "/user/tokens/temporary";
    assert_eq!(call(&sandbox, "anna", "GET", path, None).await.json(), json!({ "generation": 1 }));
    assert_eq!(call(&sandbox, "anna", "DELETE", path, None).await.status, 204);
    assert_eq!(call(&sandbox, "anna", "GET", path, None).await.json(), json!({ "generation": 2 }));
    let response = crate::support::http::ask(sandbox.address, &whoami).await;
    assert_eq!(response.json()["error"]["details"]["authError"]["id"], "tokenRevoked");
}

#[tokio::test]
async fn any_token_can_be_examined_by_anybody() {
    let sandbox = started().await;
    let caveats = json!([{ "type": "time", "validUntil": 1 }]);
    let token = confined(&sandbox, &token_of(&sandbox, "anna"), caveats.clone()).await;
    let examined = call(&sandbox, "", "POST", "/tokens/examine", Some(json!({ "token": token }))).await;
    assert_eq!(
        examined.json(),
        json!({
            "onezoneDomain": "onezone.example.com",
            "id": Token::parse(&token).unwrap().id.id,
            "persistence": "named",
            "subject": { "type": "user", "id": sandbox.fixture.user("anna").id },
            "type": { "accessToken": {} },
            "caveats": caveats,
        })
    );
    let missing = call(&sandbox, "", "POST", "/tokens/examine", Some(json!({}))).await;
    assert_error(&missing, 400, "missingRequiredValue");
}

#[tokio::test]
async fn tokens_are_verified_where_they_would_be_presented() {
    let sandbox = at("2024-10-21T08:13:49Z").await;
    let now = 1_729_498_429;
    let anna = token_of(&sandbox, "anna");
    let verify = |kind: &str, body: Value| {
        let path = format!("/tokens/verify_{kind}_token");
        let sandbox = &sandbox;
        async move { call(sandbox, "", "POST", &path, Some(body)).await }
    };
    let subject = json!({ "type": "user", "id": sandbox.fixture.user("anna").id });
    let plain = verify("access", json!({ "token": anna })).await;
    assert_eq!(plain.json(), json!({ "subject": subject, "ttl": null }));
    let timed = confined(&sandbox, &anna, json!([{ "type": "time", "validUntil": now + 60 }])).await;
    assert_eq!(verify("access", json!({ "token": timed })).await.json()["ttl"], 60);
    let bound = confined(&sandbox, &anna, json!([{ "type": "ip", "whitelist": ["10.1.0.0/16"] }])).await;
    assert_eq!(verify("access", json!({ "token": bound, "peerIp": "10.1.2.3" })).await.status, 200);
    for peer in [json!({ "token": bound }), json!({ "token": bound, "peerIp": null })] {
        assert_error(&verify("access", peer).await, 400, "tokenCaveatUnverified");
    }
    assert_error(&verify("access", json!({ "token": "x" })).await, 400, "badValueToken");
    assert_error(&verify("identity", json!({ "token": anna })).await, 400, "notAnIdentityToken");
    assert_error(&verify("invite", json!({ "token": anna })).await, 400, "notAnInviteToken");
    let invite = created(&sandbox, "anna", invitation(&sandbox.fixture.group("developers").id, "one")).await;
    let invite = &invite["token"];
    assert_error(&verify("access", json!({ "token": invite })).await, 400, "notAnAccessToken");
    let fitting = json!({ "token": invite, "expectedInviteType": "userJoinGroup" });
    assert_eq!(verify("invite", fitting).await.json(), json!({ "subject": subject, "ttl": null }));
    let other = json!({ "token": invite, "expectedInviteType": "userJoinSpace" });
    assert_error(&verify("invite", other).await, 400, "notAnInviteToken");
    let unknown = json!({ "token": invite, "expectedInviteType": "nothing" });
    assert_error(&verify("invite", unknown).await, 400, "badValueInviteType");
}
