//! Joining a group with an invite token (contract, section 10.3).

use serde_json::{Value, json};

use super::{assert_error, call, confined, created, invitation, legacy_path, started};
use crate::support::http::Response;
use duskgate::sandbox::Sandbox;

async fn join(sandbox: &Sandbox, who: &str, token: &str) -> Response {
    call(sandbox, who, "POST", "/user/groups/join", Some(json!({ "token": token }))).await
}

async fn invited(sandbox: &Sandbox, who: &str, mut extra: Value) -> (String, String) {
    let mut body = invitation(&sandbox.fixture.group("developers").id, "an invitation");
    body.as_object_mut().unwrap().append(extra.as_object_mut().unwrap());
    let created = created(sandbox, who, body).await;
    (created["tokenId"].as_str().unwrap().to_owned(), created["token"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_legacy_token_makes_a_member_once() {
    let sandbox = started().await;
    let group = &sandbox.fixture.group("developers").id;
    let answer = call(&sandbox, "cleo", "POST", &legacy_path(&sandbox, "developers"), None).await.json();
    let token = answer["token"].as_str().unwrap();
    let response = join(&sandbox, "dan", token).await;
    assert_eq!((response.status, response.text().as_str()), (201, ""));
    let location = format!("https://onezone.example.com/api/v3/onezone/user/groups/{group}");
    assert_eq!(response.header("location"), Some(location.as_str()));
    let groups = call(&sandbox, "dan", "GET", "/user/groups", None).await.json();
    assert_eq!(groups["groups"], json!([group]));
    let path = format!("/groups/{group}/effective_users/{}/privileges", sandbox.fixture.user("dan").id);
    assert_eq!(call(&sandbox, "dan", "GET", &path, None).await.json()["privileges"], json!(["group_view"]));
    assert_error(&join(&sandbox, "inviter", token).await, 400, "inviteTokenUsageLimitReached");
}

#[tokio::test]
async fn of_fifty_concurrent_joins_with_a_single_use_token_exactly_one_succeeds() {
    let sandbox = started().await;
    let answer = call(&sandbox, "anna", "POST", &legacy_path(&sandbox, "developers"), None).await.json();
    let token = answer["token"].as_str().unwrap();
    let users = ["dan", "cleo", "inviter", "service", "admin"];
    let joins = (0..50).map(|number| join(&sandbox, users[number % users.len()], token));
    let answers = futures_util::future::join_all(joins).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_error(answer, 400, "inviteTokenUsageLimitReached");
    }
}

#[tokio::test]
async fn a_token_can_be_used_as_often_as_it_says_and_failures_do_not_count() {
    let sandbox = started().await;
    let (id, token) = invited(&sandbox, "anna", json!({ "usageLimit": 2 })).await;
    let already = join(&sandbox, "ben", &token).await;
    assert_error(&already, 409, "relationAlreadyExists");
    let (ben, group) = (&sandbox.fixture.user("ben").id, &sandbox.fixture.group("developers").id);
    assert_eq!(
        already.json()["error"],
        json!({
            "id": "relationAlreadyExists",
            "description": format!("Bad value: user:{ben} is already a member of group:{group}."),
            "details": { "childType": "user", "childId": ben, "parentType": "group", "parentId": group },
        })
    );
    assert_eq!(join(&sandbox, "dan", &token).await.status, 201);
    assert_eq!(join(&sandbox, "inviter", &token).await.status, 201);
    assert_error(&join(&sandbox, "service", &token).await, 400, "inviteTokenUsageLimitReached");
    let shown = call(&sandbox, "anna", "GET", &format!("/tokens/named/{id}"), None).await.json();
    assert_eq!(shown["metadata"]["usageCount"], 2);
}

#[tokio::test]
async fn the_token_in_the_body_is_checked_first() {
    let sandbox = started().await;
    let access = super::token_of(&sandbox, "anna");
    let tokens = |body: Value| call(&sandbox, "dan", "POST", "/user/groups/join", Some(body));
    assert_error(&tokens(json!({})).await, 400, "missingRequiredValue");
    assert_error(&tokens(json!({ "token": "" })).await, 400, "badValueEmpty");
    for bad in [json!("garbage"), json!(5), json!(null)] {
        let response = tokens(json!({ "token": bad })).await;
        assert_error(&response, 400, "badValueToken");
        assert_eq!(response.json()["error"]["details"]["key"], "token");
        assert_eq!(response.json()["error"]["details"]["tokenError"]["id"], "badToken");
    }
    let response = tokens(json!({ "token": access })).await;
    assert_error(&response, 400, "badValueToken");
    let inner = &response.json()["error"]["details"]["tokenError"];
    assert_eq!(inner["id"], "notAnInviteToken");
    assert_eq!(inner["details"]["expectedInviteType"], "userJoinGroup");
    assert_eq!(
        inner["description"],
        "Expected an invitation token of type 'user_join_group', but received a(n) access token."
    );
}

#[tokio::test]
async fn joining_takes_a_user() {
    let sandbox = started().await;
    let (_, token) = invited(&sandbox, "anna", json!({})).await;
    assert_error(&join(&sandbox, "", &token).await, 401, "unauthorized");
    assert_error(&join(&sandbox, "Cracow", &token).await, 403, "forbidden");
}

#[tokio::test]
async fn a_revoked_or_deleted_token_stops_at_once() {
    let sandbox = started().await;
    let (id, token) = invited(&sandbox, "anna", json!({ "revoked": true })).await;
    assert_error(&join(&sandbox, "dan", &token).await, 400, "tokenRevoked");
    call(&sandbox, "anna", "DELETE", &format!("/tokens/named/{id}"), None).await;
    assert_error(&join(&sandbox, "dan", &token).await, 400, "tokenInvalid");
}

#[tokio::test]
async fn an_issuer_who_may_no_longer_invite_ends_the_invitation() {
    let sandbox = started().await;
    let (_, token) = invited(&sandbox, "cleo", json!({})).await;
    let (group, leads) = (&sandbox.fixture.group("developers").id, &sandbox.fixture.group("leads").id);
    let path = format!("/groups/{group}/children/{leads}");
    assert_eq!(call(&sandbox, "anna", "DELETE", &path, None).await.status, 204);
    assert_error(&join(&sandbox, "dan", &token).await, 400, "inviteTokenSubjectNotAuthorized");
}

#[tokio::test]
async fn a_deleted_group_is_no_target() {
    let sandbox = started().await;
    let (_, token) = invited(&sandbox, "anna", json!({})).await;
    let group = &sandbox.fixture.group("developers").id;
    assert_eq!(call(&sandbox, "anna", "DELETE", &format!("/groups/{group}"), None).await.status, 204);
    let response = join(&sandbox, "dan", &token).await;
    assert_error(&response, 400, "inviteTokenTargetIdInvalid");
    assert_eq!(response.json()["error"]["details"]["id"], json!(group));
}

#[tokio::test]
async fn caveats_of_an_invite_token_are_about_the_one_who_joins() {
    let sandbox = started().await;
    let dan = &sandbox.fixture.user("dan").id;
    let (_, token) = invited(&sandbox, "anna", json!({})).await;
    for (caveat, id) in [
        (json!({ "type": "time", "validUntil": 1 }), "tokenCaveatUnverified"),
        (json!({ "type": "ip", "whitelist": ["10.0.0.0/8"] }), "tokenCaveatUnverified"),
        (json!({ "type": "consumer", "whitelist": ["usr-somebody"] }), "tokenCaveatUnverified"),
        (json!({ "type": "interface", "interface": "rest" }), "tokenCaveatUnverified"),
        (json!({ "type": "api", "whitelist": ["all/all/*.*.*:*"] }), "tokenCaveatUnverified"),
    ] {
        let confined = confined(&sandbox, &token, json!([caveat])).await;
        assert_error(&join(&sandbox, "dan", &confined).await, 400, id);
    }
    let good = json!([
        { "type": "consumer", "whitelist": [format!("usr-{dan}")] },
        { "type": "ip", "whitelist": ["127.0.0.1/32"] },
    ]);
    let confined = confined(&sandbox, &token, good).await;
    assert_eq!(join(&sandbox, "dan", &confined).await.status, 201);
}

#[tokio::test]
async fn own_privileges_take_the_right_to_set_them() {
    let sandbox = started().await;
    let privileges = json!({ "privileges": ["group_view", "group_add_user"] });
    let (_, token) = invited(&sandbox, "anna", privileges.clone()).await;
    assert_eq!(join(&sandbox, "dan", &token).await.status, 201);
    let path = format!(
        "/groups/{}/effective_users/{}/privileges",
        sandbox.fixture.group("developers").id,
        sandbox.fixture.user("dan").id
    );
    let held = call(&sandbox, "dan", "GET", &path, None).await.json();
    assert_eq!(held["privileges"], json!(["group_add_user", "group_view"]));
    for extra in [privileges, json!({ "privileges": ["group_view"] })] {
        let mut body = invitation(&sandbox.fixture.group("developers").id, "refused");
        body["privileges"] = extra["privileges"].clone();
        let response = call(&sandbox, "mia", "POST", "/user/tokens/named", Some(body)).await;
        assert_error(&response, 400, "inviteTokenSubjectNotAuthorized");
    }
}

#[tokio::test]
async fn a_temporary_invitation_can_be_used_any_number_of_times() {
    let sandbox = started().await;
    let mut body = invitation(&sandbox.fixture.group("developers").id, "ignored");
    let until = duskgate::clock::Clock::Real.now().as_second() + 60;
    body["caveats"] = json!([{ "type": "time", "validUntil": until }]);
    let response = call(&sandbox, "anna", "POST", "/user/tokens/temporary", Some(body)).await;
    assert_eq!((response.status, response.header("location")), (201, None));
    let token = response.json()["token"].as_str().unwrap().to_owned();
    for who in ["dan", "inviter", "service"] {
        assert_eq!(join(&sandbox, who, &token).await.status, 201, "{who}");
    }
}

#[tokio::test]
async fn a_group_joins_a_group_but_not_itself() {
    let sandbox = started().await;
    let [developers, physics] =
        ["developers", "Physics collaboration 2020"].map(|name| sandbox.fixture.group(name).id.clone());
    let answer =
        call(&sandbox, "anna", "POST", &format!("/groups/{developers}/children/token"), None).await.json();
    let path = |group: &str| format!("/groups/{group}/parents/join");
    let own = call(&sandbox, "anna", "POST", &path(&developers), Some(answer.clone())).await;
    assert_error(&own, 400, "cannotAddRelationToSelf");
    let missing = call(&sandbox, "anna", "POST", &path("missing"), Some(answer.clone())).await;
    assert_error(&missing, 403, "forbidden");
    let joined = call(&sandbox, "anna", "POST", &path(&physics), Some(answer)).await;
    assert_eq!(joined.status, 201, "{joined:?}");
    let location =
        format!("https://onezone.example.com/api/v3/onezone/groups/{physics}/parents/{developers}");
    assert_eq!(joined.header("location"), Some(location.as_str()));
}
