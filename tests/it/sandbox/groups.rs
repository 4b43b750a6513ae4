//! Reading groups and users, and adding members directly (contract, sections 10.1 and 10.2).

use serde_json::{Value, json};

use super::{assert_error, call, started};

#[tokio::test]
async fn the_current_user_is_described_to_itself_only() {
    let sandbox = started().await;
    let user = call(&sandbox, "anna", "GET", "/user", None).await.json();
    assert_eq!(user["userId"], sandbox.fixture.user("anna").id);
    for key in [
        "userId",
        "fullName",
        "username",
        "emails",
        "linkedAccounts",
        "basicAuthEnabled",
        "blocked",
        "creationTime",
        "name",
        "login",
        "alias",
        "emailList",
    ] {
        assert!(user.get(key).is_some(), "{key}");
    }
    assert_error(&call(&sandbox, "", "GET", "/user", None).await, 401, "unauthorized");
    assert_error(&call(&sandbox, "Cracow", "GET", "/user", None).await, 404, "notFound");
}

#[tokio::test]
async fn administrative_privileges_are_listed() {
    let sandbox = started().await;
    let path = "/user/effective_privileges";
    let inviter = call(&sandbox, "inviter", "GET", path, None).await.json();
    assert_eq!(inviter, json!({ "privileges": ["oz_groups_add_relationships"] }));
    let admin = call(&sandbox, "admin", "GET", path, None).await.json();
    assert!(admin["privileges"].as_array().unwrap().len() > 80);
    assert_eq!(call(&sandbox, "dan", "GET", path, None).await.json(), json!({ "privileges": [] }));
}

#[tokio::test]
async fn effective_members_and_administrators_see_a_group() {
    let sandbox = started().await;
    let path = format!("/groups/{}", sandbox.fixture.group("developers").id);
    let group = call(&sandbox, "cleo", "GET", &path, None).await.json();
    assert_eq!(group["name"], "developers");
    assert_eq!(group["creator"], json!({ "type": "user", "id": sandbox.fixture.user("anna").id }));
    for (who, status) in [
        ("ben", 200),
        ("service", 200),
        ("admin", 200),
        ("dan", 403),
        ("inviter", 403),
        ("Cracow", 403),
        ("", 401),
    ] {
        assert_eq!(call(&sandbox, who, "GET", &path, None).await.status, status, "{who}");
    }
}

#[tokio::test]
async fn effective_privileges_are_ones_own_business_or_take_a_privilege() {
    let sandbox = started().await;
    let group = &sandbox.fixture.group("developers").id;
    let path =
        |who: &str| format!("/groups/{group}/effective_users/{}/privileges", sandbox.fixture.user(who).id);
    let own = call(&sandbox, "cleo", "GET", &path("cleo"), None).await.json();
    assert_eq!(own, json!({ "privileges": ["group_add_user", "group_view"] }));
    assert_eq!(call(&sandbox, "mia", "GET", &path("cleo"), None).await.status, 200);
    assert_error(&call(&sandbox, "ben", "GET", &path("cleo"), None).await, 403, "forbidden");
    assert_error(&call(&sandbox, "", "GET", &path("cleo"), None).await, 401, "unauthorized");
    assert_error(&call(&sandbox, "", "GET", &path("dan"), None).await, 404, "notFound");
    let missing = format!("/groups/missing/effective_users/{}/privileges", sandbox.fixture.user("dan").id);
    assert_error(&call(&sandbox, "dan", "GET", &missing, None).await, 404, "notFound");
}

#[tokio::test]
async fn the_levels_of_privileges_are_public() {
    let sandbox = started().await;
    let levels = call(&sandbox, "", "GET", "/groups/privileges", None).await.json();
    assert_eq!(levels["member"], json!(["group_view"]));
    assert_eq!(levels["admin"].as_array().unwrap().len(), 23);
    assert!(levels["manager"].as_array().unwrap().contains(&json!("group_add_user")));
}

#[tokio::test]
async fn only_administrators_add_others() {
    let sandbox = started().await;
    let (group, dan) = (&sandbox.fixture.group("developers").id, &sandbox.fixture.user("dan").id);
    let path = format!("/groups/{group}/users/{dan}");
    for (who, status) in [("", 401), ("anna", 403), ("dan", 403), ("inviter", 403), ("admin", 201)] {
        let response = call(&sandbox, who, "PUT", &path, None).await;
        assert_eq!(response.status, status, "{who}: {response:?}");
        if status == 201 {
            let location = format!("https://onezone.example.com/api/v3/onezone{path}");
            assert_eq!(response.header("location"), Some(location.as_str()));
            assert_eq!(response.text(), "");
        }
    }
    assert_error(&call(&sandbox, "admin", "PUT", &path, None).await, 409, "relationAlreadyExists");
    assert_eq!(call(&sandbox, "anna", "GET", &path, None).await.json()["username"], "dan");
    let own = call(&sandbox, "dan", "GET", &format!("{path}/privileges"), None).await.json();
    assert_eq!(own, json!({ "privileges": ["group_view"] }));
    assert_eq!(call(&sandbox, "anna", "DELETE", &path, None).await.status, 204);
    assert_error(&call(&sandbox, "anna", "DELETE", &path, None).await, 404, "notFound");
}

#[tokio::test]
async fn added_members_get_the_privileges_that_are_sent() {
    let sandbox = started().await;
    let (group, dan) = (&sandbox.fixture.group("developers").id, &sandbox.fixture.user("dan").id);
    let path = format!("/groups/{group}/users/{dan}");
    let put =
        |privileges: Value| call(&sandbox, "admin", "PUT", &path, Some(json!({ "privileges": privileges })));
    let response = put(json!(["group_view", "no_such"])).await;
    assert_error(&response, 400, "badValueListNotAllowed");
    assert_eq!(response.json()["error"]["details"]["key"], "privileges");
    assert_error(&put(json!("group_view")).await, 400, "badValueListOfStrings");
    assert_eq!(put(json!(["group_update", "group_view"])).await.status, 201);
    let members = call(&sandbox, "anna", "GET", &format!("/groups/{group}/users"), None).await.json();
    assert!(members["users"].as_array().unwrap().contains(&json!(dan)));
}

#[tokio::test]
async fn a_new_group_belongs_to_its_maker() {
    let sandbox = started().await;
    let response = call(&sandbox, "dan", "POST", "/user/groups", Some(json!({ "name": "mine" }))).await;
    assert_eq!(response.status, 201, "{response:?}");
    let location = response.header("location").unwrap();
    let id = location.rsplit('/').next().unwrap();
    assert_eq!(location, format!("https://onezone.example.com/api/v3/onezone/user/groups/{id}"));
    let path = format!("/groups/{id}");
    let renamed = call(&sandbox, "dan", "PATCH", &path, Some(json!({ "name": "ours" }))).await;
    assert_eq!(renamed.status, 204);
    assert_eq!(call(&sandbox, "dan", "GET", &path, None).await.json()["name"], "ours");
    assert_eq!(call(&sandbox, "dan", "POST", &format!("{path}/users/token"), None).await.status, 200);
}
