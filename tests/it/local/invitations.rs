//! The nine types of invitation: each is issued, and used once, by whom it is for.

use duskgate::operation::{self, Mode};
use serde_json::json;

use super::{World, assert_error};
use crate::support::http::{Request, ask};

/// Old route, join, where the member then is, and what it may do there.
type Row = (String, String, String, &'static [&'static str]);

fn rows(world: &World) -> Vec<Row> {
    let fixture = world.fixture();
    let (user, team) = (&fixture.user("dan").id, &fixture.group("empty hands").id);
    let (group, space) = (&fixture.group("developers").id, &fixture.space("atlas").id);
    let (harvester, cluster) = (&fixture.harvester("catalogue").id, &fixture.cluster("Cracow").id);
    const SPACE: &[&str] = &["space_read_data", "space_view", "space_view_transfers", "space_write_data"];
    const ALL: &[&str] = &[
        "cluster_add_group",
        "cluster_add_user",
        "cluster_delete",
        "cluster_remove_group",
        "cluster_remove_user",
        "cluster_set_privileges",
        "cluster_update",
        "cluster_view",
        "cluster_view_privileges",
    ];
    vec![
        row(format!("groups/{group}/users"), "user/groups".to_owned(), user, &["group_view"]),
        row(format!("spaces/{space}/users"), "user/spaces".to_owned(), user, SPACE),
        row(format!("harvesters/{harvester}/users"), "user/harvesters".to_owned(), user, &["harvester_view"]),
        row(format!("clusters/{cluster}/users"), "user/clusters".to_owned(), user, ALL),
        row(format!("groups/{group}/children"), format!("groups/{team}/parents"), team, &[]),
        row(format!("spaces/{space}/groups"), format!("groups/{team}/spaces"), team, &[]),
        row(format!("harvesters/{harvester}/groups"), format!("groups/{team}/harvesters"), team, &[]),
        row(format!("clusters/{cluster}/groups"), format!("groups/{team}/clusters"), team, &[]),
        row(format!("harvesters/{harvester}/spaces"), format!("spaces/{space}/harvesters"), space, &[]),
    ]
}

fn row(kept: String, joined: String, member: &str, privileges: &'static [&'static str]) -> Row {
    (format!("/{kept}/token"), format!("/{joined}/join"), format!("/{kept}/{member}"), privileges)
}

#[tokio::test]
async fn every_invitation_is_used_once_and_gives_what_it_carries() {
    let world = World::new().await;
    let rows = rows(&world);
    let served = operation::builtin().into_iter().filter(|operation| operation.can(Mode::Local));
    assert_eq!(served.count(), rows.len());
    for (route, join, member, privileges) in rows {
        let token = world.issue("anna", &route).await;
        // Who joins a group or a space to something does so as an administrator.
        let who = if join.starts_with("/user") { "dan" } else { "admin" };
        let joined = world.call(who, "POST", &join, Some(json!({ "token": token }))).await;
        assert_eq!(joined.status, 201, "{join}: {joined:?}");
        let target = route.split('/').nth(2).unwrap();
        let expected =
            format!("https://onezone.example.com/api/v3/onezone{}/{target}", join.trim_end_matches("/join"));
        assert_eq!(joined.header("location"), Some(expected.as_str()));
        assert_eq!(joined.header("content-type"), Some("application/json"));
        let direct = async |path: &str| {
            let request = Request::new("GET", &format!("/api/v3/onezone{path}"));
            ask(world.onezone.address, &request.token(&world.fixture().user("admin").token)).await
        };
        assert_eq!(direct(&member).await.status, 200, "{member}");
        if !privileges.is_empty() {
            assert_eq!(direct(&format!("{member}/privileges")).await.json()["privileges"], json!(privileges));
        }
        let again = world.call("admin", "POST", &join, Some(json!({ "token": token }))).await;
        assert_error(&again, 400, "inviteTokenUsageLimitReached");
    }
    world.stop().await;
}

#[tokio::test]
async fn of_fifty_joins_at_once_one_succeeds() {
    let world = World::new().await;
    let token = world.issue("anna", &world.group_route()).await;
    let who = ["dan", "inviter", "service", "admin"];
    let joins = (0..50).map(|number| world.join(who[number % who.len()], &token));
    let answers = futures_util::future::join_all(joins).await;
    let mut joined = Vec::new();
    for (number, answer) in answers.iter().enumerate() {
        match answer.status {
            201 => joined.push(who[number % who.len()]),
            409 => assert_error(answer, 409, "relationAlreadyExists"),
            _ => assert_error(answer, 400, "inviteTokenUsageLimitReached"),
        }
    }
    joined.dedup();
    assert_eq!(joined.len(), 1, "{joined:?}");
    let mut members = Vec::new();
    for who in who {
        if world.is_member(who).await {
            members.push(who);
        }
    }
    assert_eq!(members, joined);
    world.stop().await;
}

#[tokio::test]
async fn a_oneprovider_invites_to_its_own_cluster() {
    let world = World::new().await;
    let provider = world.fixture().provider("Cracow").clone();
    let route = |cluster: &str| format!("/api/v3/onezone/clusters/{cluster}/users/token");
    let address = world.address();
    let call = |path: String| {
        let request = Request::new("POST", &path).token(&provider.token);
        async move { ask(address, &request).await }
    };
    let issued = call(route(&provider.id)).await;
    assert_eq!(issued.status, 200, "{issued:?}");
    let token = super::read(issued.json()["token"].as_str().unwrap());
    assert_eq!(token.id.subject.as_ref().map(ToString::to_string), Some(format!("prv-{}", provider.id)));
    let body = json!({ "token": token.serialize() });
    let joined = world.call("dan", "POST", "/user/clusters/join", Some(body)).await;
    assert_eq!(joined.status, 201, "{joined:?}");
    assert_error(&call(route(&world.fixture().cluster("Lisbon").id)).await, 403, "forbidden");
    assert_error(&call(route("missing")).await, 404, "notFound");
    world.stop().await;
}
