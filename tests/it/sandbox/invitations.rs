//! All deprecated invite routes, row by row (contract, sections 7.1, 7.2 and 7.4), and their newer counterparts.

use duskgate::sandbox::{Sandbox, Settings, Target};
use duskgate::token::{Subject, Token};
use serde_json::{Value, json};

use super::{assert_empty, assert_error, call, started, with};

/// A route, the code of its tokens, the newer type's name and key, what names begin with, and the last carried privilege.
struct Route(
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const ROUTES: [Route; 10] = [
    Route("groups", "users", "ujg", "userJoinGroup", "groupId", "user invite to group", "group_view"),
    Route("groups", "children", "gjg", "groupJoinGroup", "groupId", "group invite to group", "group_view"),
    Route("spaces", "users", "ujs", "userJoinSpace", "spaceId", "user invite to space", "space_write_data"),
    Route("spaces", "groups", "gjs", "groupJoinSpace", "spaceId", "group invite to space", "space_write_data"),
    Route("spaces", "providers", "ssp", "supportSpace", "spaceId", "support request for space", ""),
    Route("harvesters", "users", "ujh", "userJoinHarvester", "harvesterId", "user invite to harvester", "harvester_view"),
    Route("harvesters", "groups", "gjh", "groupJoinHarvester", "harvesterId", "group invite to harvester", "harvester_view"),
    Route("harvesters", "spaces", "sjh", "spaceJoinHarvester", "harvesterId", "space invite to harvester", ""),
    Route("clusters", "users", "ujc", "userJoinCluster", "clusterId", "user invite to cluster", "cluster_view_privileges"),
    Route("clusters", "groups", "gjc", "groupJoinCluster", "clusterId", "group invite to cluster", "cluster_view"),
];

impl Route {
    fn path(&self, id: &str) -> String {
        format!("/{}/{id}/{}/token", self.0, self.1)
    }

    /// The target that everybody is in.
    fn main<'s>(&self, sandbox: &'s Sandbox) -> &'s Target {
        &self.all(sandbox)[0]
    }

    fn all<'s>(&self, sandbox: &'s Sandbox) -> &'s [Target] {
        let fixture = &sandbox.fixture;
        match self.0 {
            "groups" => &fixture.groups,
            "spaces" => &fixture.spaces,
            "harvesters" => &fixture.harvesters,
            _ => &fixture.clusters,
        }
    }

    fn newer(&self, id: &str, name: &str) -> Value {
        json!({ "name": name, "type": { "inviteToken": { "inviteType": self.3, self.4: id } }, "usageLimit": 1 })
    }
}

#[tokio::test]
async fn each_creates_a_named_single_use_invitation() {
    let sandbox = started().await;
    for route in &ROUTES {
        let target = route.main(&sandbox);
        let response = call(&sandbox, "anna", "POST", &route.path(&target.id), None).await;
        assert_eq!(response.status, 200, "{} {response:?}", route.3);
        let token = Token::parse(response.json()["token"].as_str().unwrap()).unwrap();
        let parameters = if route.2 == "ssp" { "ge" } else { "" };
        assert_eq!(token.id.kind.to_string(), format!("{}:{}:{parameters}", route.2, target.id));
        assert_eq!(token.id.subject, Some(Subject::User(sandbox.fixture.user("anna").id.clone())));
        let path = format!("/tokens/named/{}", token.id.id);
        let shown = call(&sandbox, "anna", "GET", &path, None).await.json();
        let name = shown["name"].as_str().unwrap();
        assert_eq!(&name[..name.len() - 7], format!("{} - {}", route.5, target.name));
        let metadata = &shown["metadata"];
        assert_eq!((&metadata["usageLimit"], &metadata["usageCount"]), (&json!(1), &json!(0)));
        let carried = metadata["privileges"].as_array().and_then(|all| all.last()?.as_str());
        assert_eq!(carried.unwrap_or_default(), route.6);
    }
}

#[tokio::test]
async fn the_old_and_the_new_form_judge_everybody_alike() {
    let sandbox = started().await;
    let people = sandbox.fixture.users.iter().filter(|user| !user.blocked);
    let people: Vec<_> = people.map(|user| user.username.clone()).collect();
    for route in &ROUTES {
        for target in route.all(&sandbox).iter().filter(|target| target.name.is_ascii()) {
            for who in &people {
                let old = call(&sandbox, who, "POST", &route.path(&target.id), None).await;
                let name = format!("new {}", sandbox.tokens().len());
                let body = Some(route.newer(&target.id, &name));
                let new = call(&sandbox, who, "POST", "/user/tokens/named", body).await;
                let expected = if old.status == 200 { (200, 201) } else { (403, 400) };
                let at = format!("{who}, {}, {}", route.3, target.name);
                assert_eq!((old.status, new.status), expected, "{at}: {old:?} {new:?}");
            }
        }
    }
}

#[tokio::test]
async fn who_may_invite_to_what_everybody_is_in() {
    let sandbox = started().await;
    for route in &ROUTES {
        let path = route.path(&route.main(&sandbox).id);
        let leads = route.1 == "users";
        for (who, allowed) in [
            ("admin", true),
            ("anna", true),
            // Support of a space is for its administrators.
            ("mia", route.2 != "ssp"),
            ("ben", false),
            ("cleo", leads),
            ("nora", leads),
            ("dan", false),
            ("olga", route.0 == "spaces"),
            ("inviter", route.0 == "groups"),
            ("recruiter", route.0 != "groups"),
            ("registrar", false),
            ("service", false),
            ("Cracow", route.0 == "clusters"),
            ("Lisbon", false),
        ] {
            let response = call(&sandbox, who, "POST", &path, None).await;
            assert_eq!(response.status, if allowed { 200 } else { 403 }, "{who} at {path}: {response:?}");
            let missing = call(&sandbox, who, "POST", &route.path("missing"), None).await;
            assert_error(&missing, 404, "notFound");
        }
        assert_error(&call(&sandbox, "", "POST", &path, None).await, 401, "unauthorized");
        assert_error(&call(&sandbox, "", "POST", &route.path("missing"), None).await, 404, "notFound");
    }
}

#[tokio::test]
async fn an_oneproviders_invitation_is_its_own() {
    let sandbox = started().await;
    for route in &ROUTES[8..] {
        let cluster = &sandbox.fixture.cluster("Cracow").id;
        let response = call(&sandbox, "Cracow", "POST", &route.path(cluster), None).await;
        let token = Token::parse(response.json()["token"].as_str().unwrap()).unwrap();
        assert_eq!(token.id.subject, Some(Subject::Provider(cluster.clone())));
        let named = call(&sandbox, "Cracow", "GET", "/provider/tokens/named", None).await.json();
        assert!(named["tokens"].as_array().unwrap().contains(&json!(token.id.id)));
        let body = Some(route.newer(cluster, &format!("by {}", route.2)));
        assert_eq!(call(&sandbox, "Cracow", "POST", "/provider/tokens/named", body).await.status, 201);
    }
}

#[tokio::test]
async fn names_that_are_cut_inside_a_character_may_be_refused() {
    let sandbox = started().await;
    for (index, name, status) in [
        (2, "XYZ sœur cœur œuvre æther ßtraße", 400),
        (2, "Groupe qualité été période", 200),
        (3, "été A œuvre à Le A", 400),
        (4, "œ A nœud été de bœuf XYZ", 400),
        (4, "A de de à œuvre", 200),
        (5, "vœux bœuf œuvre bœuf œuvre XYZ", 400),
        (6, "œ A nœud été de bœuf XYZ", 400),
        (7, "œ A nœud été de bœuf XYZ", 400),
        (7, "A de de à œuvre", 200),
        (8, "œuvre été sœur œ sœur œuvre œuvre", 400),
        (9, "sœur à à sœur vœux bœuf à", 400),
        (9, "Academic Computer Centre Cyfronet", 200),
    ] {
        let route = &ROUTES[index];
        let target = route.all(&sandbox).iter().find(|target| target.name == name).expect(name);
        let response = call(&sandbox, "anna", "POST", &route.path(&target.id), None).await;
        assert_eq!(response.status, status, "{name} by {}: {response:?}", route.3);
        if status == 400 {
            assert_error(&response, 400, "badValueName");
        }
    }
}

#[tokio::test]
async fn without_the_routes_the_member_answers() {
    let sandbox = with(Settings { legacy: false, ..Settings::default() }).await;
    for route in &ROUTES {
        let response = call(&sandbox, "anna", "POST", &route.path(&route.main(&sandbox).id), None).await;
        assert_empty(&response, 405, true);
        let allow = if route.1 == "providers" { "DELETE, GET" } else { "DELETE, GET, PUT" };
        assert_eq!(response.header("allow"), Some(allow), "{}", route.3);
    }
}

#[tokio::test]
async fn an_api_caveat_must_allow_the_legacy_resource() {
    let sandbox = started().await;
    for route in &ROUTES {
        let id = &route.main(&sandbox).id;
        let aspect = match route.1 {
            "children" | "groups" => "invite_group_token",
            "providers" => "space_support_token",
            "spaces" => "invite_space_token",
            _ => "invite_user_token",
        };
        let own = format!("ozw/create/{}.{id}.{aspect}:private", route.0.trim_end_matches('s'));
        let token = "ozw/create/token.*.*:*".to_owned();
        for (entries, status) in [(vec![&own, &token], 200), (vec![&own], 401), (vec![&token], 401)] {
            let caveats = json!([{ "type": "api", "whitelist": entries }]);
            let confined = super::confined(&sandbox, &super::token_of(&sandbox, "anna"), caveats).await;
            let path = format!("{}{}", super::B, route.path(id));
            let request = crate::support::http::Request::new("POST", &path).token(&confined);
            let response = crate::support::http::ask(sandbox.address, &request).await;
            assert_eq!(response.status, status, "{entries:?}: {response:?}");
        }
    }
}

#[tokio::test]
async fn an_oneprovider_registers_by_invitation_to_a_user() {
    let sandbox = started().await;
    let anna = &sandbox.fixture.user("anna").id;
    let own = "/user/clusters/provider_registration_token";
    let response = call(&sandbox, "anna", "POST", own, None).await;
    assert_eq!(response.status, 200, "{response:?}");
    let token = Token::parse(response.json()["token"].as_str().unwrap()).unwrap();
    assert_eq!(token.id.kind.to_string(), format!("rop:{anna}:"));
    let path = format!("/tokens/named/{}", token.id.id);
    let shown = call(&sandbox, "anna", "GET", &path, None).await.json();
    let name = shown["name"].as_str().unwrap();
    assert_eq!(&name[..name.len() - 7], "Oneprovider rgstr. token for - Anna Nowak");
    assert_eq!(shown["metadata"]["privileges"], Value::Null);
    assert_error(&call(&sandbox, "", "POST", own, None).await, 401, "unauthorized");
    assert_error(&call(&sandbox, "Cracow", "POST", own, None).await, 404, "notFound");
    for (who, status) in [("lucja", 200), ("darcy", 400), ("cole", 400)] {
        assert_eq!(call(&sandbox, who, "POST", own, None).await.status, status, "{who}");
    }
    let of = |id: &str| format!("/users/{id}/clusters/provider_registration_token");
    for (who, status) in
        [("anna", 200), ("registrar", 200), ("admin", 200), ("dan", 403), ("Cracow", 403), ("", 401)]
    {
        assert_eq!(call(&sandbox, who, "POST", &of(anna), None).await.status, status, "{who}");
        assert_error(&call(&sandbox, who, "POST", &of("missing"), None).await, 404, "notFound");
    }
}

#[tokio::test]
async fn a_restricted_policy_lets_nobody_invite_for_oneself() {
    let sandbox = started().await;
    sandbox.restrict_registration(true);
    let own = "/user/clusters/provider_registration_token";
    assert_error(&call(&sandbox, "anna", "POST", own, None).await, 403, "forbidden");
    assert_eq!(call(&sandbox, "registrar", "POST", own, None).await.status, 200);
    let anna = &sandbox.fixture.user("anna").id;
    let body = json!({ "name": "register", "type": { "inviteToken": { "inviteType": "registerOneprovider", "adminUserId": anna } } });
    let newer = call(&sandbox, "anna", "POST", "/user/tokens/named", Some(body)).await;
    assert_error(&newer, 400, "inviteTokenSubjectNotAuthorized");
    let configuration = call(&sandbox, "", "GET", "/configuration", None).await.json();
    assert_eq!(configuration["providerRegistrationPolicy"], "restricted");
}

#[tokio::test]
async fn without_the_routes_nobody_registers_the_old_way() {
    let sandbox = with(Settings { legacy: false, ..Settings::default() }).await;
    let own = call(&sandbox, "anna", "POST", "/user/clusters/provider_registration_token", None).await;
    assert_empty(&own, 405, true);
    assert_eq!(own.header("allow"), Some("DELETE, GET"));
    let path = format!("/users/{}/clusters/provider_registration_token", sandbox.fixture.user("anna").id);
    let other = call(&sandbox, "anna", "POST", &path, None).await;
    assert_empty(&other, 405, false);
    assert_eq!(other.header("allow"), Some("HEAD, GET, OPTIONS"));
}
