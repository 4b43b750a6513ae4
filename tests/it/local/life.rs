//! What is done with a token besides using it: looking at it, changing and ending it, and what the token API says of it.

use duskgate::clock::Clock;
use duskgate::ledger::{self, Create, Issue, Location};
use duskgate::token::Caveat;
use duskgate::token::keys::KeyRing;
use serde_json::{Value, json};

use super::{World, assert_error, id_of, read};
use crate::support::http::{Request, ask};

#[tokio::test]
async fn the_issuer_sees_a_token_as_onezone_shows_its_own() {
    let (old, new) = (World::old().await, World::new().await);
    let mut shown: Vec<Value> = Vec::new();
    for world in [&old, &new] {
        let token = world.issue("anna", &world.group_route()).await;
        let path = format!("/tokens/named/{}", id_of(&token));
        let mut object = world.call("anna", "GET", &path, None).await.json();
        assert_eq!(object["token"].take(), json!(token));
        assert_eq!(object["id"].take(), json!(id_of(&token)));
        let name = object["name"].take();
        assert!(name.as_str().unwrap().starts_with("user invite to group - developers "), "{name}");
        assert!(object["metadata"]["creationTime"].take().is_i64());
        shown.push(object);
    }
    assert_eq!(shown[0], shown[1]);
    old.stop().await;
    new.stop().await;
}

#[tokio::test]
async fn the_issuer_or_an_administrator_changes_a_token_and_nobody_else_does() {
    let world = World::new().await;
    let token = world.issue("anna", &world.group_route()).await;
    let path = format!("/tokens/named/{}", id_of(&token));
    let change = json!({ "name": "for Dan", "customMetadata": { "ticket": 4711 } });
    for (who, status) in [("ben", 403), ("", 401), ("inviter", 403), ("anna", 204), ("steward", 204)] {
        let response = world.call(who, "PATCH", &path, Some(change.clone())).await;
        assert_eq!(response.status, status, "{who}: {response:?}");
    }
    let shown = world.call("steward", "GET", &path, None).await.json();
    assert_eq!(
        (&shown["name"], &shown["metadata"]["custom"]),
        (&json!("for Dan"), &json!({ "ticket": 4711 }))
    );
    assert_eq!(shown["revoked"], false);

    let other = world.issue("anna", &world.group_route()).await;
    let other = format!("/tokens/named/{}", id_of(&other));
    for (body, id) in [
        (json!({ "name": "for Dan" }), "badValueIdentifierOccupied"),
        (json!({ "name": " x" }), "badValueName"),
        (json!({ "name": 5 }), "badValueString"),
        (json!({ "revoked": "yes" }), "badValueBoolean"),
        (json!({ "customMetadata": [] }), "badValueJSON"),
        (json!({}), "missingAtLeastOneValue"),
        (json!([]), "malformedData"),
    ] {
        assert_error(&world.call("anna", "PATCH", &other, Some(body)).await, 400, id);
    }
    // All or nothing.
    let both = json!({ "name": "for Dan", "revoked": true });
    assert_error(&world.call("anna", "PATCH", &other, Some(both)).await, 400, "badValueIdentifierOccupied");
    assert_eq!(world.call("anna", "GET", &other, None).await.json()["revoked"], false);

    assert_error(&world.call("ben", "DELETE", &path, None).await, 403, "forbidden");
    let deleted = world.call("anna", "DELETE", &path, None).await;
    assert_eq!((deleted.status, deleted.header("content-length")), (204, None));
    for method in ["GET", "DELETE"] {
        assert_error(&world.call("anna", method, &path, None).await, 404, "notFound");
    }
    world.stop().await;
}

#[tokio::test]
async fn the_status_of_a_token_is_told_as_onezone_tells_it() {
    let mut told = Vec::new();
    for world in [World::old().await, World::new().await] {
        let token = world.issue("anna", &world.group_route()).await;
        let path = format!("/tokens/named/{}", id_of(&token));
        let status = format!("{path}/status");
        let mut answers = Vec::new();
        for who in ["anna", "steward", "ben", ""] {
            let response = world.call(who, "GET", &status, None).await;
            answers.push((
                response.status,
                response.json(),
                response.header("content-type").map(str::to_owned),
            ));
        }
        world.call("anna", "PATCH", &path, Some(json!({ "revoked": true }))).await;
        let response = world.call("anna", "GET", &status, None).await;
        answers.push((response.status, response.json(), None));
        world.call("anna", "DELETE", &path, None).await;
        answers.push((world.call("anna", "GET", &status, None).await.status, json!(null), None));
        told.push(answers);
        world.stop().await;
    }
    assert_eq!(told[0], told[1]);
    let statuses: Vec<_> = told[1].iter().map(|(status, ..)| *status).collect();
    assert_eq!(statuses, [200, 200, 403, 401, 200, 404]);
    assert_eq!((&told[1][0].1, &told[1][4].1), (&json!({ "revoked": false }), &json!({ "revoked": true })));
}

#[tokio::test]
async fn a_confined_token_does_what_it_may_with_tokens() {
    let world = World::new().await;
    let token = world.issue("anna", &world.group_route()).await;
    let path = format!("/api/v3/onezone/tokens/named/{}", id_of(&token));
    for (entry, status) in
        [("ozw/get/token.*.instance:private", 200), ("ozw/update/token.*.*:*", 401), ("all/all/*.*.*:*", 200)]
    {
        let caveat = Caveat::Api(vec![entry.to_owned()]);
        let credential = read(&world.fixture().user("anna").token).confine(caveat).unwrap().serialize();
        let response = ask(world.address(), &Request::new("GET", &path).token(&credential)).await;
        assert_eq!(response.status, status, "{entry}: {response:?}");
    }
    let caveat = Caveat::Api(vec!["ozw/get/token.*.instance:shared".to_owned()]);
    let credential = read(&world.fixture().user("anna").token).confine(caveat).unwrap().serialize();
    for (path, status) in [(path.clone(), 401), (format!("{path}/status"), 200)] {
        let response = ask(world.address(), &Request::new("GET", &path).token(&credential)).await;
        assert_eq!(response.status, status, "{path}: {response:?}");
    }
    world.stop().await;
}

/// What the token API says of a token, compared with what Onezone says of its own.
#[tokio::test]
async fn the_token_api_says_the_same_of_our_tokens_as_onezone_of_its_own() {
    let (old, new) = (World::old().await, World::new().await);
    let dan = format!("usr-{}", old.fixture().user("dan").id);
    let questions = [
        ("verify_invite_token", json!({})),
        ("verify_invite_token", json!({ "expectedInviteType": "userJoinGroup" })),
        ("verify_invite_token", json!({ "expectedInviteType": "userJoinSpace" })),
        ("verify_invite_token", json!({ "expectedInviteType": "x" })),
        ("verify_invite_token", json!({ "peerIp": "x" })),
        ("examine", json!({})),
        ("confine", json!({ "caveats": [{ "type": "consumer", "whitelist": [dan] }] })),
        ("confine", json!({ "caveats": [{ "type": "x" }] })),
        ("confine", json!({ "caveats": 5 })),
        ("confine", json!({})),
    ];
    for who in ["", "dan"] {
        for (name, extra) in &questions {
            let mut answers = Vec::new();
            for world in [&old, &new] {
                let token = world.issue("anna", &world.group_route()).await;
                let mut body = extra.clone();
                body["token"] = json!(token);
                let response = world.call(who, "POST", &format!("/tokens/{name}"), Some(body)).await;
                let mut answer = response.json();
                // What is chance in it.
                if answer.get("id").is_some() {
                    assert_eq!(answer["id"].take(), json!(id_of(&token)));
                }
                if let Some(confined) = answer["token"].as_str() {
                    let mut confined = read(confined).to_json();
                    assert_eq!(confined["id"].take(), json!(id_of(&token)));
                    answer["token"] = confined;
                }
                answers.push((response.status, answer, response.header("content-type").map(str::to_owned)));
            }
            assert_eq!(answers[0], answers[1], "{who:?} {name} {extra}");
        }
    }
    // Used up, revoked, deleted.
    let token = new.issue("anna", &new.group_route()).await;
    let verify = async || {
        let body = json!({ "token": token });
        new.call("", "POST", "/tokens/verify_invite_token", Some(body)).await
    };
    assert_eq!(new.join("dan", &token).await.status, 201);
    assert_eq!(verify().await.status, 200);
    let path = format!("/tokens/named/{}", id_of(&token));
    assert_eq!(new.call("anna", "GET", &path, None).await.json()["metadata"]["usageCount"], 1);
    new.call("anna", "PATCH", &path, Some(json!({ "revoked": true }))).await;
    assert_error(&verify().await, 400, "tokenRevoked");
    new.call("anna", "DELETE", &path, None).await;
    assert_error(&verify().await, 400, "tokenInvalid");
    old.stop().await;
    new.stop().await;
}

/// The ledger has it, and no key verifies it: it is none to everybody.
#[tokio::test]
async fn a_token_whose_key_is_gone_is_neither_shown_nor_changed_nor_ended() {
    let world = World::new().await;
    let token = world.issue("anna", &world.group_route()).await;
    let id = id_of(&token);
    let path = format!("/api/v3/onezone/tokens/named/{id}");
    let file = world.directory.path().join("ledger.db");
    let ledger = ledger::open(&ledger::Settings::at(Location::Sqlite(file)), Create::No);
    // As one that another key has issued.
    let mut issued = ledger.get(&id).await.unwrap().unwrap();
    let keys = KeyRing::parse(&format!("{}\n", "7a".repeat(32))).unwrap();
    issued.id = keys.mint_id(Clock::Real.now());
    issued.name = "of a key that is gone".to_owned();
    assert_eq!(ledger.issue(&issued).await.unwrap(), Issue::Recorded);
    let gone = format!("/api/v3/onezone/tokens/named/{}", issued.id);
    for (method, end, body) in [
        ("GET", "", None),
        ("GET", "/status", None),
        ("PATCH", "", Some(json!({ "revoked": true }))),
        ("DELETE", "", None),
    ] {
        for (path, is_there) in [(&gone, false), (&path, true)] {
            let request =
                Request::new(method, &format!("{path}{end}")).token(&world.fixture().user("anna").token);
            let request = body.iter().fold(request, |request, body: &Value| request.json(body.clone()));
            let response = ask(world.address(), &request).await;
            assert_eq!(response.status == 404, !is_there, "{method} {path}{end}: {response:?}");
        }
    }
    assert_eq!(ledger.get(&issued.id).await.unwrap(), Some(issued));
    world.stop().await;
}
