//! The same joins at a Onezone that issued the tokens itself, and through a token module that did: answered alike.

use duskgate::token::{Caveat, Interface, Subject, Token};
use serde_json::{Value, json};

use super::{World, id_of, read};
use crate::support::http::{Request, Response, ask};

/// Both worlds.
struct Twins([World; 2]);

impl Twins {
    async fn new() -> Self {
        Twins([World::old().await, World::new().await])
    }

    /// What is the same in both, without what chance and time decide.
    async fn alike(&self, what: &str, scene: impl AsyncFn(&World) -> Response) -> Response {
        let [old, new] = [scene(&self.0[0]).await, scene(&self.0[1]).await];
        assert_eq!(shown(&old), shown(&new), "{what}");
        new
    }

    async fn stop(self) {
        let Twins([old, new]) = self;
        old.stop().await;
        new.stop().await;
    }
}

fn shown(response: &Response) -> (u16, Vec<(String, String)>, Value) {
    const APART: [&str; 5] = ["date", "connection", "keep-alive", "server", "content-length"];
    let lower = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
    let mut headers: Vec<_> = response.headers.iter().map(lower).collect();
    headers.retain(|(name, _)| !APART.contains(&name.as_str()));
    headers.sort();
    let body = serde_json::from_slice(&response.body).unwrap_or_else(|_| json!(response.text()));
    (response.status, headers, body)
}

async fn fresh(world: &World) -> String {
    world.issue("anna", &world.group_route()).await
}

#[tokio::test]
async fn everybody_is_answered_alike() {
    let twins = Twins::new().await;
    let people: Vec<_> = twins.0[0].fixture().users.iter().map(|person| person.username.clone()).collect();
    for who in people.iter().map(String::as_str).chain([""]) {
        let response = twins
            .alike(who, async |world| {
                let token = fresh(world).await;
                world.join(who, &token).await
            })
            .await;
        if who == "dan" {
            assert_eq!(response.status, 201, "{response:?}");
            assert_eq!(response.header("content-length"), Some("0"));
        }
    }
    twins.stop().await;
}

#[tokio::test]
async fn a_token_that_is_no_good_any_more_is_refused_alike() {
    let twins = Twins::new().await;
    let used = |world: &World| {
        let group = world.fixture().group("developers").id.clone();
        (group, world.fixture().user("dan").id.clone())
    };
    twins
        .alike("used by another", async |world| {
            let token = fresh(world).await;
            assert_eq!(world.join("dan", &token).await.status, 201);
            world.join("inviter", &token).await
        })
        .await;
    twins
        .alike("used by the same, who has left", async |world| {
            let (group, user) = used(world);
            let left = world.call("admin", "DELETE", &format!("/groups/{group}/users/{user}"), None).await;
            assert_eq!(left.status, 204, "{left:?}");
            let token = fresh(world).await;
            assert_eq!(world.join("dan", &token).await.status, 201);
            world.call("admin", "DELETE", &format!("/groups/{group}/users/{user}"), None).await;
            world.join("dan", &token).await
        })
        .await;
    twins
        .alike("used by the same, who is a member", async |world| {
            let token = fresh(world).await;
            assert_eq!(world.join("dan", &token).await.status, 201);
            world.join("dan", &token).await
        })
        .await;
    for (what, method, body) in
        [("revoked", "PATCH", Some(json!({ "revoked": true }))), ("deleted", "DELETE", None)]
    {
        twins
            .alike(what, async |world| {
                let token = fresh(world).await;
                let path = format!("/tokens/named/{}", id_of(&token));
                assert_eq!(world.call("anna", method, &path, body.clone()).await.status, 204);
                world.join("inviter", &token).await
            })
            .await;
    }
    twins
        .alike("revoked, and then not", async |world| {
            let token = fresh(world).await;
            let path = format!("/tokens/named/{}", id_of(&token));
            for revoked in [true, false] {
                let body = json!({ "revoked": revoked });
                assert_eq!(world.call("anna", "PATCH", &path, Some(body)).await.status, 204);
            }
            world.join("inviter", &token).await
        })
        .await;
    twins.stop().await;
}

#[tokio::test]
async fn the_issuer_is_looked_at_again_alike() {
    let twins = Twins::new().await;
    twins
        .alike("the issuer may invite no more", async |world| {
            let group = world.fixture().group("developers").id.clone();
            let token = world.issue("mia", &world.group_route()).await;
            let path = format!("/groups/{group}/users/{}/privileges", world.fixture().user("mia").id);
            let change = json!({ "revoke": ["group_add_user"] });
            assert_eq!(world.call("admin", "PATCH", &path, Some(change)).await.status, 204);
            world.join("dan", &token).await
        })
        .await;
    twins
        .alike("the issuer has left", async |world| {
            let group = world.fixture().group("developers").id.clone();
            let token = fresh(world).await;
            let path = format!("/groups/{group}/users/{}", world.fixture().user("anna").id);
            assert_eq!(world.call("admin", "DELETE", &path, None).await.status, 204);
            world.join("dan", &token).await
        })
        .await;
    for (what, who, route) in [
        ("invited through groups", "cleo", "developers"),
        ("invited through groups of groups", "nora", "developers"),
        ("invited as an administrator", "inviter", "empty hands"),
    ] {
        twins
            .alike(what, async |world| {
                let path = format!("/groups/{}/users/token", world.fixture().group(route).id);
                let token = world.issue(who, &path).await;
                let joined = world.join("steward", &token).await;
                assert_eq!(joined.status, 201, "{what}: {joined:?}");
                // Away again, for the next.
                let group = &world.fixture().group(route).id;
                let user = &world.fixture().user("steward").id;
                world.call("admin", "DELETE", &format!("/groups/{group}/users/{user}"), None).await;
                joined
            })
            .await;
    }
    twins
        .alike("the owner of a space invites, and may not even look by her privileges", async |world| {
            let path = format!("/spaces/{}/users/token", world.fixture().space("quiet corner").id);
            let token = world.issue("olga", &path).await;
            world.call("dan", "POST", "/user/spaces/join", Some(json!({ "token": token }))).await
        })
        .await;
    twins
        .alike("the target is gone", async |world| {
            let group = world.fixture().group("empty hands").id.clone();
            let token = world.issue("admin", &format!("/groups/{group}/users/token")).await;
            assert_eq!(world.call("admin", "DELETE", &format!("/groups/{group}"), None).await.status, 204);
            world.join("dan", &token).await
        })
        .await;
    twins.stop().await;
}

#[tokio::test]
async fn every_change_to_a_token_is_judged_alike() {
    let twins = Twins::new().await;
    let confined = |caveat: Caveat| move |token: Token| token.confine(caveat.clone()).unwrap();
    let ip = |text: &str| Caveat::from_json(&json!({ "type": "ip", "whitelist": [text] })).unwrap();
    let consumer = |text: &str| Caveat::Consumer(vec![text.to_owned()]);
    let user = |who: &str| format!("usr-{}", twins.0[0].fixture().user(who).id);
    let leads = format!("grp-{}", twins.0[0].fixture().group("leads").id);
    type Change = Box<dyn Fn(Token) -> Token>;
    let changes: Vec<(&str, Change)> = vec![
        ("expired", Box::new(confined(Caveat::Time { valid_until: 1_729_498_429 }))),
        ("good for long", Box::new(confined(Caveat::Time { valid_until: 4_000_000_000 }))),
        ("good from elsewhere", Box::new(confined(ip("192.0.2.0/24")))),
        ("good from here", Box::new(confined(ip("127.0.0.0/8")))),
        ("for another consumer", Box::new(confined(consumer(&user("anna"))))),
        ("for this consumer", Box::new(confined(consumer(&user("dan"))))),
        ("for any user", Box::new(confined(consumer("usr-*")))),
        ("for a group that he is not in", Box::new(confined(consumer(&leads)))),
        ("for any group, of which he is in none", Box::new(confined(consumer("grp-*")))),
        ("for a provider", Box::new(confined(consumer("prv-*")))),
        ("for an interface", Box::new(confined(Caveat::Interface(Interface::Rest)))),
        ("for calls", Box::new(confined(Caveat::Api(vec!["all/all/*.*.*:*".to_owned()])))),
        ("for a service", Box::new(confined(Caveat::Service(vec!["ozw-onezone".to_owned()])))),
        ("for an identity", Box::new(confined(Caveat::IdentityScope))),
        ("read only", Box::new(confined(Caveat::DataReadonly))),
        (
            "from Poland",
            Box::new(confined(
                Caveat::from_json(&json!({ "type": "geo.country", "filter": "whitelist", "list": ["PL"] }))
                    .unwrap(),
            )),
        ),
        ("by a network", Box::new(confined(Caveat::Asn(vec![64_496])))),
        (
            "of another issuer",
            Box::new(|mut token| {
                token.id.subject = Some(Subject::User("somebody".to_owned()));
                token
            }),
        ),
        (
            "to another group",
            Box::new(|mut token| {
                token.id.kind =
                    duskgate::token::Type::invite(duskgate::token::InviteType::UserJoinGroup, "other");
                token
            }),
        ),
        (
            "with an expired caveat that is not signed",
            Box::new(|mut token| {
                token.caveats.push(Caveat::Time { valid_until: 5 });
                token
            }),
        ),
        (
            "with a caveat that is not signed",
            Box::new(|mut token| {
                token.caveats.push(Caveat::Time { valid_until: 4_000_000_000 });
                token
            }),
        ),
        (
            "from another domain, which is not signed",
            Box::new(|mut token| {
                token.location = "elsewhere.example.org".to_owned();
                token
            }),
        ),
    ];
    for (what, change) in changes {
        let response = twins
            .alike(what, async |world| {
                let token = change(read(&fresh(world).await)).serialize();
                let joined = world.join("dan", &token).await;
                if joined.status == 201 {
                    let group = &world.fixture().group("developers").id;
                    let path = format!("/groups/{group}/users/{}", world.fixture().user("dan").id);
                    world.call("admin", "DELETE", &path, None).await;
                }
                joined
            })
            .await;
        let is_good = ["good for long", "good from here", "for this consumer", "for any user"]
            .contains(&what)
            || what.starts_with("from another domain");
        assert_eq!(response.status == 201, is_good, "{what}: {response:?}");
    }
    // Onezone has another word for this one; the design wants this.
    let new = &twins.0[1];
    let token = read(&fresh(new).await).confine(Caveat::Unknown(b"moon = full".to_vec())).unwrap();
    let refused = new.join("dan", &token.serialize()).await;
    super::assert_error(&refused, 400, "tokenCaveatUnverified");
    assert_eq!(refused.json()["error"]["details"]["caveat"], "moon = full");
    twins.stop().await;
}

#[tokio::test]
async fn a_token_for_something_else_is_refused_alike() {
    let twins = Twins::new().await;
    for (who, path) in [
        ("dan", "/user/spaces/join".to_owned()),
        ("dan", "/user/clusters/join".to_owned()),
        ("anna", format!("/groups/{}/parents/join", twins.0[0].fixture().group("developers").id)),
        ("dan", format!("/groups/{}/parents/join", twins.0[0].fixture().group("developers").id)),
        ("anna", "/groups/missing/spaces/join".to_owned()),
        ("anna", format!("/spaces/{}/harvesters/join", twins.0[0].fixture().space("atlas").id)),
        ("dan", "/user/atm_inventories/join".to_owned()),
    ] {
        twins
            .alike(&path, async |world| {
                let token = fresh(world).await;
                world.call(who, "POST", &path, Some(json!({ "token": token }))).await
            })
            .await;
    }
    twins
        .alike("a group joins itself", async |world| {
            let group = &world.fixture().group("developers").id;
            let token = world.issue("anna", &format!("/groups/{group}/children/token")).await;
            let body = json!({ "token": token });
            world.call("anna", "POST", &format!("/groups/{group}/parents/join"), Some(body)).await
        })
        .await;
    twins.stop().await;
}

#[tokio::test]
async fn the_caller_is_judged_before_the_token_alike() {
    let twins = Twins::new().await;
    let confined = |world: &World, entry: &str| {
        let token = read(&world.fixture().user("dan").token);
        token.confine(Caveat::Api(vec![entry.to_owned()])).unwrap().serialize()
    };
    type Dress = Box<dyn Fn(&World, Request) -> Request>;
    let dresses: Vec<(&str, Dress)> = vec![
        ("garbage", Box::new(|_, request| request.token("garbage"))),
        ("basic", Box::new(|_, request| request.header("Authorization", "Basic ZGFuOnBhc3N3b3Jk"))),
        (
            "confined to tokens",
            Box::new(move |world, request| request.token(&confined(world, "all/all/token.*.*:*"))),
        ),
        (
            "confined to joining",
            Box::new(move |world, request| {
                request.token(&confined(world, "ozw/create/group.null.join:private"))
            }),
        ),
        (
            "expired",
            Box::new(|world, request| {
                let token = read(&world.fixture().user("dan").token).confine(Caveat::Time { valid_until: 5 });
                request.token(&token.unwrap().serialize())
            }),
        ),
        (
            "not JSON",
            Box::new(|world, request| {
                request.token(&world.fixture().user("dan").token).header("Accept", "text/html")
            }),
        ),
        ("a provider", Box::new(|world, request| request.token(&world.fixture().provider("Cracow").token))),
    ];
    for (what, dress) in dresses {
        twins
            .alike(what, async |world| {
                let token = fresh(world).await;
                let request = Request::new("POST", "/api/v3/onezone/user/groups/join");
                let request = dress(world, request).json(json!({ "token": token }));
                ask(world.address(), &request).await
            })
            .await;
    }
    for (what, kind, breaker) in
        [("a charset", "application/json; charset=utf-8", false), ("a closed shop", "application/json", true)]
    {
        twins
            .alike(what, async |world| {
                let token = fresh(world).await;
                let body = json!({ "token": token }).to_string();
                let request = world.request("dan", "POST", "/user/groups/join");
                let request = request.header("Content-Type", kind).body(body);
                world.onezone.set_circuit_breaker(breaker);
                let response = ask(world.address(), &request).await;
                world.onezone.set_circuit_breaker(false);
                response
            })
            .await;
    }
    twins.stop().await;
}

#[tokio::test]
async fn of_many_joins_at_once_by_one_consumer_one_succeeds() {
    let world = World::new().await;
    let token = fresh(&world).await;
    let joins = (0..30).map(|_| world.join("dan", &token));
    let mut statuses: Vec<u16> =
        futures_util::future::join_all(joins).await.iter().map(|response| response.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201, "{statuses:?}");
    assert!(statuses[1..].iter().all(|&status| status == 400 || status == 409), "{statuses:?}");
    world.stop().await;
}
