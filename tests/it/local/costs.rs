//! What the backend is asked for each call; the README has the same table.

use duskgate::token::Caveat;
use serde_json::json;

use super::{World, read};
use crate::support::http::{Request, ask};

/// The requests of one call, without what is about chance.
async fn requests(world: &World, request: Request, status: u16) -> Vec<String> {
    world.onezone.take_requests();
    let response = ask(world.address(), &request).await;
    assert_eq!(response.status, status, "{} {}: {response:?}", request.method, request.target);
    let short = |line: String| line.replace(" /api/v3/onezone", " ");
    world.onezone.take_requests().into_iter().map(short).collect()
}

#[tokio::test]
async fn issuing_costs_the_backend_no_more_than_this() {
    let world = World::new().await;
    let group = &world.fixture().group("developers").id;
    let rights = |who: &str| {
        format!("GET /groups/{group}/effective_users/{}/privileges", world.fixture().user(who).id)
    };
    let (target, admin, probe) = (
        format!("GET /groups/{group}"),
        "GET /user/effective_privileges".to_owned(),
        "GET /health".to_owned(),
    );
    let by_service = |who: &str| format!("GET /users/{}/effective_privileges", world.fixture().user(who).id);
    for (who, status, expected) in [
        // The name, the first time.
        ("anna", 200, vec![rights("anna"), target.clone()]),
        ("anna", 200, vec![rights("anna")]),
        ("ben", 403, vec![rights("ben"), admin.clone()]),
        ("inviter", 200, vec![rights("inviter"), target.clone(), admin.clone()]),
        ("dan", 403, vec![rights("dan"), target.clone(), admin.clone()]),
        ("", 401, vec![target.clone()]),
    ] {
        let request = world.request(who, "POST", &world.group_route());
        assert_eq!(requests(&world, request, status).await, expected, "{who}");
    }
    let request = world.request("anna", "POST", "/groups/missing/users/token");
    let found = requests(&world, request, 404).await;
    assert_eq!(found.len(), 2, "{found:?}");

    let entries =
        vec![format!("ozw/create/group.{group}.invite_user_token:private"), "all/all/token.*.*:*".to_owned()];
    let confined = |who: &str| {
        let token = read(&world.fixture().user(who).token);
        let token = token.confine(Caveat::Api(entries.clone())).unwrap().serialize();
        Request::new("POST", &format!("/api/v3/onezone{}", world.group_route())).token(&token)
    };
    let expected = vec![rights("anna"), probe.clone(), rights("anna")];
    assert_eq!(requests(&world, confined("anna"), 200).await, expected);
    let expected =
        vec![rights("dan"), target.clone(), probe, rights("dan"), target.clone(), by_service("dan")];
    assert_eq!(requests(&world, confined("dan"), 403).await, expected);
    world.stop().await;
}

#[tokio::test]
async fn redeeming_costs_the_backend_no_more_than_this() {
    let world = World::new().await;
    let token = world.issue("anna", &world.group_route()).await;
    let revoked = world.issue("anna", &world.group_route()).await;
    let path = format!("/tokens/named/{}", super::id_of(&revoked));
    world.call("anna", "PATCH", &path, Some(json!({ "revoked": true }))).await;
    let group = &world.fixture().group("developers").id;
    let [anna, dan, ben] = ["anna", "dan", "ben"].map(|who| world.fixture().user(who).id.clone());
    let probe = "POST /user/groups/join".to_owned();
    let issuer = format!("GET /users/{anna}");
    let rights = format!("GET /groups/{group}/effective_users/{anna}/privileges");
    let member = |method: &str, user: &str| format!("{method} /groups/{group}/users/{user}");
    for (who, token, status, expected) in [
        ("", &token, 401, vec![probe.clone()]),
        ("dan", &revoked, 400, vec![probe.clone()]),
        ("ben", &token, 409, vec![probe.clone(), issuer.clone(), rights.clone(), member("GET", &ben)]),
        (
            "dan",
            &token,
            201,
            vec![probe.clone(), issuer.clone(), rights.clone(), member("GET", &dan), member("PUT", &dan)],
        ),
        ("dan", &token, 400, vec![probe.clone(), issuer.clone()]),
        ("inviter", &token, 400, vec![probe.clone(), issuer.clone()]),
    ] {
        let request = world.request(who, "POST", "/user/groups/join").json(json!({ "token": token }));
        assert_eq!(requests(&world, request, status).await, expected, "{who}");
    }
    world.stop().await;
}

/// Whether an issuer may still invite takes more to find out where it does not stand in the list of its privileges.
#[tokio::test]
async fn redeeming_costs_more_where_the_issuer_is_an_owner_or_an_administrator() {
    let world = World::new().await;
    let id = |who: &str| world.fixture().user(who).id.clone();
    let (dan, ben, olga, inviter) = (id("dan"), id("ben"), id("olga"), id("inviter"));
    let group = format!("/groups/{}", world.fixture().group("developers").id);
    let space = format!("/spaces/{}", world.fixture().space("atlas").id);
    let rights = |target: &str, user: &str| format!("GET {target}/effective_users/{user}/privileges");
    let member = |method: &str, target: &str, user: &str| format!("{method} {target}/users/{user}");

    let by_owner = world.issue("olga", &format!("{space}/users/token")).await;
    let owner = [
        "POST /user/spaces/join".to_owned(),
        format!("GET /users/{olga}"),
        rights(&space, &olga),
        format!("GET {space}/owners"),
    ];
    let by_admin = world.issue("inviter", &format!("{group}/users/token")).await;
    let admin = [
        "POST /user/groups/join".to_owned(),
        format!("GET /users/{inviter}"),
        rights(&group, &inviter),
        format!("GET {group}"),
        format!("GET /users/{inviter}/effective_privileges"),
    ];
    for (route, who, token, status, front, rest) in [
        ("spaces", "ben", &by_owner, 409, &owner[..], vec![member("GET", &space, &ben)]),
        (
            "spaces",
            "dan",
            &by_owner,
            201,
            &owner,
            vec![member("GET", &space, &dan), member("PUT", &space, &dan)],
        ),
        ("groups", "ben", &by_admin, 409, &admin, vec![member("GET", &group, &ben)]),
        (
            "groups",
            "dan",
            &by_admin,
            201,
            &admin,
            vec![member("GET", &group, &dan), member("PUT", &group, &dan)],
        ),
    ] {
        let path = format!("/user/{route}/join");
        let request = world.request(who, "POST", &path).json(json!({ "token": token }));
        assert_eq!(requests(&world, request, status).await, [front, &rest].concat(), "{who} {path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn looking_at_a_token_costs_the_backend_no_more_than_this() {
    let world = World::new().await;
    let token = world.issue("anna", &world.group_route()).await;
    let path = format!("/tokens/named/{}", super::id_of(&token));
    let (front, admin) = ("GET /health".to_owned(), "GET /user/effective_privileges".to_owned());
    let anna = format!("GET /users/{}", world.fixture().user("anna").id);
    for (who, method, path, body, status, expected) in [
        ("anna", "GET", path.as_str(), None, 200, vec![front.clone()]),
        ("steward", "GET", &path, None, 200, vec![front.clone(), admin.clone()]),
        ("anna", "GET", &format!("{path}/status"), None, 200, vec![front.clone()]),
        ("", "GET", &path, None, 401, vec![front.clone()]),
        ("", "POST", "/tokens/examine", Some(()), 200, vec![front.clone()]),
        ("", "POST", "/tokens/verify_invite_token", Some(()), 200, vec![front.clone(), anna.clone()]),
    ] {
        let mut request = world.request(who, method, path);
        if body.is_some() {
            request = request.json(json!({ "token": token }));
        }
        assert_eq!(requests(&world, request, status).await, expected, "{who} {method} {path}");
    }
    world.stop().await;
}
