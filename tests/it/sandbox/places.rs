//! Spaces, harvesters and clusters: seeing them, effective privileges in them, adding to them and joining them
//! (contract, section 10).

use duskgate::sandbox::Sandbox;
use serde_json::{Value, json};

use super::{assert_error, call, confined, created, started};
use crate::support::http::Response;

fn id(sandbox: &Sandbox, all: &str) -> String {
    let fixture = &sandbox.fixture;
    match all {
        "groups" => &fixture.group("developers").id,
        "spaces" => &fixture.space("atlas").id,
        "harvesters" => &fixture.harvester("catalogue").id,
        "clusters" => &fixture.cluster("Cracow").id,
        _ => &fixture.inventory("workshop").id,
    }
    .clone()
}

const ALL: [&str; 5] = ["groups", "spaces", "harvesters", "clusters", "atm_inventories"];

#[tokio::test]
async fn members_and_viewers_see_them_and_clusters_have_no_name() {
    let sandbox = started().await;
    for all in ["spaces", "harvesters", "clusters"] {
        let path = format!("/{all}/{}", id(&sandbox, all));
        let shown = call(&sandbox, "service", "GET", &path, None).await.json();
        assert_eq!(shown.get("name").is_some(), all != "clusters", "{shown}");
        for (who, status) in [
            ("ben", 200),
            ("nora", 200),
            ("admin", 200),
            ("dan", 403),
            ("recruiter", 403),
            ("Cracow", if all == "harvesters" { 403 } else { 200 }),
            ("", 401),
        ] {
            assert_eq!(call(&sandbox, who, "GET", &path, None).await.status, status, "{who} {path}");
        }
        assert_error(&call(&sandbox, "", "GET", &format!("/{all}/missing"), None).await, 404, "notFound");
    }
    let onezone = call(&sandbox, "ben", "GET", "/clusters/onezone", None).await.json();
    assert_eq!((&onezone["type"], &onezone["clusterId"]), (&json!("onezone"), &json!("onezone")));
}

#[tokio::test]
async fn the_name_of_a_cluster_is_its_oneproviders() {
    let sandbox = started().await;
    let path = format!("/providers/{}", sandbox.fixture.cluster("Cracow").id);
    assert_eq!(call(&sandbox, "ben", "GET", &path, None).await.json()["name"], "Cracow");
    for (who, status) in [("service", 200), ("Lisbon", 200), ("Cracow", 200), ("dan", 403), ("", 401)] {
        assert_eq!(call(&sandbox, who, "GET", &path, None).await.status, status, "{who}");
    }
    assert_error(&call(&sandbox, "", "GET", "/providers/onezone", None).await, 404, "notFound");
}

#[tokio::test]
async fn privileges_reach_through_nested_groups() {
    let sandbox = started().await;
    let nora = &sandbox.fixture.user("nora").id;
    for (all, one) in
        [("groups", "group"), ("spaces", "space"), ("harvesters", "harvester"), ("clusters", "cluster")]
    {
        let path = format!("/{all}/{}/effective_users/{nora}/privileges", id(&sandbox, all));
        let held = call(&sandbox, "nora", "GET", &path, None).await.json();
        assert_eq!(held["privileges"], json!([format!("{one}_add_user"), format!("{one}_view")]));
        assert_error(&call(&sandbox, "ben", "GET", &path, None).await, 403, "forbidden");
        assert_eq!(call(&sandbox, "anna", "GET", &path, None).await.status, 200);
    }
}

#[tokio::test]
async fn privileges_add_up_over_every_way_into_a_space() {
    let sandbox = started().await;
    let space = id(&sandbox, "spaces");
    let apprentices = &sandbox.fixture.group("apprentices").id;
    let path = format!("/spaces/{space}/groups/{apprentices}");
    let body = Some(json!({ "privileges": ["space_update"] }));
    assert_eq!(call(&sandbox, "admin", "PUT", &path, body).await.status, 201);
    let nora = &sandbox.fixture.user("nora").id;
    let path = format!("/spaces/{space}/effective_users/{nora}/privileges");
    let held = call(&sandbox, "nora", "GET", &path, None).await.json();
    assert_eq!(held["privileges"], json!(["space_add_user", "space_update", "space_view"]));
}

#[tokio::test]
async fn an_owner_may_do_what_its_listed_privileges_lack() {
    let sandbox = started().await;
    let (space, olga) = (id(&sandbox, "spaces"), &sandbox.fixture.user("olga").id);
    let path = format!("/spaces/{space}/effective_users/{olga}/privileges");
    let held = call(&sandbox, "olga", "GET", &path, None).await.json();
    assert_eq!(held["privileges"], json!(["space_view"]));
    let owners = call(&sandbox, "ben", "GET", &format!("/spaces/{space}/owners"), None).await.json();
    assert_eq!(owners["users"], json!([olga]));
    let path = format!("/spaces/{space}/providers/token");
    assert_eq!(call(&sandbox, "olga", "POST", &path, None).await.status, 200);
    assert_error(&call(&sandbox, "mia", "POST", &path, None).await, 403, "forbidden");
    let own = format!("/spaces/{space}/users/{olga}");
    assert_error(&call(&sandbox, "anna", "DELETE", &own, None).await, 403, "forbidden");
}

#[tokio::test]
async fn administrators_add_members_with_the_default_privileges() {
    let sandbox = started().await;
    let dan = &sandbox.fixture.user("dan").id;
    for (all, expected) in [
        ("spaces", json!(["space_read_data", "space_view", "space_view_transfers", "space_write_data"])),
        ("harvesters", json!(["harvester_view"])),
        ("clusters", json!(["cluster_view"])),
    ] {
        let path = format!("/{all}/{}/users/{dan}", id(&sandbox, all));
        assert_error(&call(&sandbox, "anna", "PUT", &path, None).await, 403, "forbidden");
        assert_error(&call(&sandbox, "recruiter", "PUT", &path, None).await, 403, "forbidden");
        assert_eq!(call(&sandbox, "admin", "PUT", &path, None).await.status, 201);
        let held = call(&sandbox, "dan", "GET", &format!("{path}/privileges"), None).await.json();
        assert_eq!(held["privileges"], expected);
        let again = call(&sandbox, "admin", "PUT", &path, None).await;
        assert_error(&again, 409, "relationAlreadyExists");
        assert_eq!(again.json()["error"]["details"]["parentType"], json!(all.trim_end_matches('s')));
        let missing = format!("/{all}/{}/users/missing", id(&sandbox, all));
        assert_error(&call(&sandbox, "admin", "PUT", &missing, None).await, 400, "badValueIdNotFound");
    }
}

async fn invited(sandbox: &Sandbox, kind: &str, key: &str, target: &str) -> Value {
    let name = format!("to join {}", sandbox.tokens().len());
    let body = json!({ "name": name, "type": { "inviteToken": { "inviteType": kind, key: target } } });
    json!({ "token": created(sandbox, "anna", body).await["token"] })
}

fn assert_joined(response: &Response, path: &str) {
    assert_eq!((response.status, response.text().as_str()), (201, ""), "{response:?}");
    let location = format!("https://onezone.example.com/api/v3/onezone{path}");
    assert_eq!(response.header("location"), Some(location.as_str()));
}

const KINDS: [(&str, &str, &str, &str); 5] = [
    ("groups", "Group", "groupId", "parents"),
    ("spaces", "Space", "spaceId", "spaces"),
    ("harvesters", "Harvester", "harvesterId", "harvesters"),
    ("clusters", "Cluster", "clusterId", "clusters"),
    ("atm_inventories", "AtmInventory", "atmInventoryId", "atm_inventories"),
];

#[tokio::test]
async fn users_and_groups_join_everything() {
    let sandbox = started().await;
    let joining = sandbox.fixture.group("Physics collaboration 2020").id.clone();
    for ((all, kind, key, parents), expected) in KINDS.into_iter().zip(ALL) {
        assert_eq!(all, expected);
        let target = id(&sandbox, all);
        let token = invited(&sandbox, &format!("userJoin{kind}"), key, &target).await;
        let path = format!("/user/{all}/join");
        let joined = call(&sandbox, "dan", "POST", &path, Some(token.clone())).await;
        assert_joined(&joined, &format!("/user/{all}/{target}"));
        let listed = call(&sandbox, "dan", "GET", &format!("/user/{all}"), None).await.json();
        assert_eq!(listed[all], json!([target]));
        let again = call(&sandbox, "dan", "POST", &path, Some(token.clone())).await;
        assert_error(&again, 409, "relationAlreadyExists");
        assert_error(&call(&sandbox, "", "POST", &path, Some(token.clone())).await, 401, "unauthorized");
        assert_error(&call(&sandbox, "Cracow", "POST", &path, Some(token)).await, 403, "forbidden");

        let token = invited(&sandbox, &format!("groupJoin{kind}"), key, &target).await;
        let path = format!("/groups/{joining}/{parents}/join");
        assert_error(&call(&sandbox, "dan", "POST", &path, Some(token.clone())).await, 403, "forbidden");
        let joined = call(&sandbox, "anna", "POST", &path, Some(token)).await;
        assert_joined(&joined, &format!("/groups/{joining}/{parents}/{target}"));
    }
}

#[tokio::test]
async fn spaces_join_harvesters_and_harvesters_spaces() {
    let sandbox = started().await;
    let (space, harvester) = (id(&sandbox, "spaces"), id(&sandbox, "harvesters"));
    let token = invited(&sandbox, "spaceJoinHarvester", "harvesterId", &harvester).await;
    let path = format!("/spaces/{space}/harvesters/join");
    assert_error(&call(&sandbox, "ben", "POST", &path, Some(token.clone())).await, 403, "forbidden");
    let joined = call(&sandbox, "mia", "POST", &path, Some(token)).await;
    assert_joined(&joined, &format!("/spaces/{space}/harvesters/{harvester}"));
    let listed = call(&sandbox, "anna", "GET", &format!("/harvesters/{harvester}/spaces"), None).await.json();
    assert!(listed["spaces"].as_array().unwrap().contains(&json!(space)));

    let token = invited(&sandbox, "harvesterJoinSpace", "spaceId", &space).await;
    let path = format!("/harvesters/{harvester}/spaces/join");
    let again = call(&sandbox, "anna", "POST", &path, Some(token.clone())).await;
    assert_error(&again, 409, "relationAlreadyExists");
    let member = format!("/harvesters/{harvester}/spaces/{space}");
    assert_eq!(call(&sandbox, "anna", "DELETE", &member, None).await.status, 204);
    let joined = call(&sandbox, "anna", "POST", &path, Some(token)).await;
    assert_joined(&joined, &member);
    assert_eq!(call(&sandbox, "anna", "DELETE", &member, None).await.status, 204);
    assert_eq!(call(&sandbox, "recruiter", "PUT", &member, None).await.status, 201);
}

#[tokio::test]
async fn an_invitation_to_a_cluster_carries_everything() {
    let sandbox = started().await;
    let cluster = id(&sandbox, "clusters");
    let path = format!("/clusters/{cluster}/users/token");
    let token = call(&sandbox, "Cracow", "POST", &path, None).await.json();
    assert_eq!(call(&sandbox, "dan", "POST", "/user/clusters/join", Some(token)).await.status, 201);
    let dan = &sandbox.fixture.user("dan").id;
    let path = format!("/clusters/{cluster}/effective_users/{dan}/privileges");
    let held = call(&sandbox, "dan", "GET", &path, None).await.json();
    assert_eq!(held["privileges"].as_array().unwrap().len(), 9);
    let tokens = format!("/providers/{cluster}/tokens/named");
    assert_eq!(call(&sandbox, "dan", "GET", &tokens, None).await.status, 200);
    assert_error(&call(&sandbox, "ben", "GET", &tokens, None).await, 403, "forbidden");
}

#[tokio::test]
async fn caveats_of_every_kind_confine_an_invitation() {
    let sandbox = started().await;
    let space = id(&sandbox, "spaces");
    let token =
        invited(&sandbox, "userJoinSpace", "spaceId", &space).await["token"].as_str().unwrap().to_owned();
    let leads = &sandbox.fixture.group("leads").id;
    for (caveat, status) in [
        (json!({ "type": "time", "validUntil": 1 }), 400),
        (json!({ "type": "ip", "whitelist": ["10.0.0.0/8"] }), 400),
        (json!({ "type": "asn", "whitelist": [322] }), 400),
        (json!({ "type": "geo.country", "filter": "whitelist", "list": ["PL"] }), 400),
        (json!({ "type": "geo.region", "filter": "blacklist", "list": ["EU"] }), 400),
        (json!({ "type": "consumer", "whitelist": ["usr-other"] }), 400),
        (json!({ "type": "service", "whitelist": ["ozw-*"] }), 400),
        (json!({ "type": "interface", "interface": "rest" }), 400),
        (json!({ "type": "api", "whitelist": ["all/all/*.*.*:*"] }), 400),
        (json!({ "type": "data.readonly" }), 400),
        (json!({ "type": "data.path", "whitelist": ["L2E="] }), 400),
        (json!({ "type": "data.objectid", "whitelist": ["ABC"] }), 400),
        (json!({ "scope": "identityToken" }), 400),
        (json!({ "type": "consumer", "whitelist": [format!("grp-{leads}")] }), 201),
    ] {
        let confined = confined(&sandbox, &token, json!([caveat])).await;
        let body = Some(json!({ "token": confined }));
        let response = call(&sandbox, "nora", "POST", "/user/spaces/join", body).await;
        assert_eq!(response.status, status, "{caveat}: {response:?}");
        if status == 400 {
            assert_error(&response, 400, "tokenCaveatUnverified");
        }
    }
}
