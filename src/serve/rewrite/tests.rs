//! Each test scripts the backend: which requests it will get, in order, and what it answers to each.

mod backend;
mod client_tokens;
mod idempotency;
mod invitations;

use std::time::Duration;

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::token::{Caveat, Identifier, Persistence, Subject, Token, Type};
use backend::*;

const CREATE: &str = "POST /user/tokens/named";
const READ: &str = "GET /groups/g1";

#[track_caller]
fn answered(outcome: Outcome) -> Response<Body> {
    match outcome {
        Outcome::Answered(response) => response,
        Outcome::NotServed { obstacle, .. } => panic!("not served: {obstacle:?}"),
    }
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect(1 << 20).await.unwrap().to_vec()).unwrap()
}

async fn error_id(response: Response<Body>) -> Value {
    serde_json::from_str::<Value>(&text(response).await).unwrap()["error"]["id"].take()
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn a_token_is_created_for_one_use_and_answered_as_the_old_route_did() {
    run(async {
        let backend = Backend::new(vec![(READ, group()), (CREATE, created())]).await;
        let headers =
            [("x-auth-token", "secret"), ("accept", "*/*"), ("accept-encoding", "gzip"), ("range", "x")];
        let response = answered(backend.ask(&headers, Body::None).await);
        assert_eq!(response.status(), 200);
        let fields: Vec<_> = response.headers().iter().map(|(name, value)| (name.as_str(), value)).collect();
        assert_eq!(
            fields,
            [
                ("server", &HeaderValue::from_static("Cowboy")),
                ("access-control-allow-origin", &HeaderValue::from_static("*")),
                ("content-type", &HeaderValue::from_static("application/json")),
            ]
        );
        assert_eq!(text(response).await, r#"{"token":"MDAxY"}"#);
        assert_eq!(backend.lines(), [READ, CREATE]);
        let request = backend.request(1);
        let mut body = request.json();
        let name = body["name"].take();
        let name = name.as_str().unwrap();
        assert!(name.starts_with("user invite to group - developers ") && name.len() == 40, "{name}");
        assert_eq!(
            body,
            json!({
                "name": null, "usageLimit": 1,
                "type": {"inviteToken": {"inviteType": "userJoinGroup", "groupId": "g1"}},
            })
        );
        assert_eq!(request.header("x-auth-token"), Some("secret"));
        assert_eq!(request.header("host"), Some("oz.example"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!((request.header("accept-encoding"), request.header("range")), (None, None));
    });
}

#[test]
fn a_name_is_looked_up_once() {
    run(async {
        let backend = Backend::new(vec![(READ, group()), (CREATE, created()), (CREATE, created())]).await;
        let (first, second) = (backend.call().await, backend.call().await);
        assert_eq!(
            (text(first).await, text(second).await),
            (r#"{"token":"MDAxY"}"#.into(), r#"{"token":"MDAxY"}"#.into())
        );
        assert_eq!(backend.lines(), [READ, CREATE, CREATE]);
        assert_ne!(backend.request(1).json()["name"], backend.request(2).json()["name"]);
    });
}

#[test]
fn who_cannot_see_the_name_has_it_looked_up_by_the_service_token() {
    run(async {
        let script = vec![(READ, refuses(403, "forbidden")), (READ, group()), (CREATE, created())];
        let backend = Backend::with(script, Some("service")).await;
        let response =
            answered(backend.ask(&[("authorization", "Bearer secret"), ("cookie", "c=d")], Body::None).await);
        assert_eq!(text(response).await, r#"{"token":"MDAxY"}"#);
        let look_up = backend.request(1);
        assert_eq!(look_up.header("x-auth-token"), Some("service"));
        assert_eq!((look_up.header("authorization"), look_up.header("cookie")), (None, None));
        assert!(backend.request(2).json()["name"].as_str().unwrap().contains(" - developers "));
    });
}

#[test]
fn a_name_that_cannot_be_had_fails_no_call() {
    run(async {
        for look_up in
            [refuses(403, "forbidden"), Act::Close, refuses(500, "internalServerError"), says(200, json!([]))]
        {
            // A read that is cut off is not sent again: it was on a fresh connection.
            let backend = Backend::new(vec![(READ, look_up), (CREATE, created())]).await;
            assert_eq!(text(backend.call().await).await, r#"{"token":"MDAxY"}"#);
            let name = backend.request(1).json()["name"].take();
            assert_eq!(name.as_str().unwrap().len(), "user invite to group 3fa9c1".len());
        }
    });
}

#[test]
fn a_taken_name_is_changed_and_never_seen_by_the_caller() {
    run(async {
        let taken =
            || says(400, json!({"error": {"id": "badValueIdentifierOccupied", "details": {"key": "name"}}}));
        let script = vec![(READ, group()), (CREATE, taken()), (CREATE, taken()), (CREATE, created())];
        let backend = Backend::new(script).await;
        assert_eq!(text(backend.call().await).await, r#"{"token":"MDAxY"}"#);
        let mut script = vec![(READ, group())];
        script.extend((0..10).map(|_| (CREATE, taken())));
        let backend = Backend::new(script).await;
        let response = backend.call().await;
        assert_eq!(response.status(), 503);
        assert_eq!(error_id(response).await, "temporaryFailure");
    });
}

#[test]
fn refusals_are_translated() {
    run(async {
        for (status, id, expected, expected_id) in [
            (400, "inviteTokenTargetIdInvalid", 404, "notFound"),
            (400, "inviteTokenSubjectNotAuthorized", 403, "forbidden"),
            (400, "badValueName", 400, "badValueName"),
            (503, "serviceUnavailable", 503, "serviceUnavailable"),
        ] {
            let mut script = vec![(READ, group()), (CREATE, refuses(status, id))];
            if id == "badValueName" {
                // Everything but the name is fine.
                script.push((CREATE, refuses(400, "badValueTooLow")));
            }
            let backend = Backend::new(script).await;
            let response = backend.call().await;
            assert_eq!(response.status(), expected, "{id}");
            assert_eq!(response.headers()["content-type"], "application/json", "{id}");
            assert_eq!(response.headers()["server"], "Cowboy", "{id}");
            assert_eq!(error_id(response).await, expected_id);
        }
    });
}

#[test]
fn a_missing_target_is_404_whoever_asks_and_whatever_they_may_not() {
    run(async {
        // The name is still remembered, the group just deleted.
        for refusal in [refuses(401, "unauthorized"), refuses(403, "forbidden"), api_caveat()] {
            let script = vec![
                (READ, group()),
                (CREATE, created()),
                (CREATE, refusal.clone()),
                (READ, refuses(404, "notFound")),
            ];
            let backend = Backend::new(script).await;
            drop(text(backend.call().await).await);
            assert_eq!(backend.call().await.status(), 404);
            assert_eq!(backend.lines(), [READ, CREATE, CREATE, READ]);
        }
        let backend = Backend::new(vec![(READ, refuses(404, "notFound"))]).await;
        let response = backend.call().await;
        assert_eq!(response.status(), 404);
        assert_eq!(error_id(response).await, "notFound");
    });
}

#[test]
fn who_may_not_is_told_so_once_the_target_is_known_to_exist() {
    run(async {
        for (refusal, status) in [(refuses(403, "forbidden"), 403), (api_caveat(), 401)] {
            let backend = Backend::new(vec![(READ, refusal.clone()), (CREATE, refusal)]).await;
            assert_eq!(backend.call().await.status(), status);
            assert_eq!(backend.lines(), [READ, CREATE]);
        }
        // Without credentials both say the same.
        let backend = Backend::new(vec![(READ, refuses(401, "unauthorized"))]).await;
        assert_eq!(backend.call().await.status(), 401);
        assert_eq!(backend.lines(), [READ]);
    });
}

#[test]
fn bad_credentials_are_refused_in_the_backends_own_words() {
    run(async {
        let refusal = unauthorized(json!({"id": "tokenInvalid", "description": "…"}));
        let backend = Backend::new(vec![(READ, refusal.clone())]).await;
        let response = backend.call().await;
        assert_eq!(response.status(), 401);
        assert!(!response.headers().contains_key("content-type"));
        assert!(text(response).await.contains("tokenInvalid"));
        let script = vec![(READ, group()), (CREATE, created()), (CREATE, refusal)];
        let backend = Backend::new(script).await;
        drop(text(backend.call().await).await);
        assert!(text(backend.call().await).await.contains("tokenInvalid"));
    });
}

/// The text of a user's token that is confined to these calls.
fn confined(entries: &[&str]) -> String {
    token_of(Subject::User("u1".to_owned()), &[entries])
}

fn token_of(subject: Subject, confinements: &[&[&str]]) -> String {
    let id = Identifier::new(Persistence::Named, subject, Type::Access { session: None }, "1a2b");
    let entries = |entries: &&[&str]| Caveat::Api(entries.iter().map(|entry| (*entry).to_owned()).collect());
    let caveats = confinements.iter().map(entries).collect();
    Token::mint("oz.example", id, caveats, b"secret").unwrap().serialize()
}

#[test]
fn a_token_that_the_old_route_would_refuse_creates_nothing() {
    run(async {
        let entries = ["ozw/all/token.*.*:*", "ozw/get/group.*.*:private"];
        let token = confined(&entries);
        for (read, status, id) in [
            (group(), 401, "unauthorized"),
            (api_caveat(), 401, "unauthorized"),
            (refuses(403, "forbidden"), 401, "unauthorized"),
            (refuses(404, "notFound"), 404, "notFound"),
            (refuses(503, "serviceUnavailable"), 503, "serviceUnavailable"),
        ] {
            for (headers, body) in [(&[][..], Body::None), (&[JSON], Body::full("[]"))] {
                let backend = Backend::new(vec![(READ, read.clone())]).await;
                let headers = [&[("x-auth-token", token.as_str())], headers].concat();
                let response = answered(backend.ask(&headers, body).await);
                assert_eq!(response.status(), status);
                assert_eq!(error_id(response).await, id);
                assert_eq!(backend.lines(), [READ]);
            }
        }
        let backend = Backend::new(vec![(READ, group())]).await;
        let response = answered(backend.ask(&[("x-auth-token", &token)], Body::None).await);
        assert_eq!(response.headers()["content-type"], "application/json");
        let body: Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(
            body["error"]["details"]["authError"],
            json!({
                "id": "tokenCaveatUnverified",
                "description": "Provided token is not valid - unverified API caveat: this token can only be used \
                    for API calls that match the following spec: 'ozw/all/token.*.*:* or ozw/get/group.*.*:private'.",
                "details": {"caveat": {"type": "api", "whitelist": entries}},
            })
        );
    });
}

#[test]
fn a_token_that_the_old_route_would_take_is_taken() {
    run(async {
        let token = confined(&["ozw/create/group.g1.invite_user_token:private", "ozw/create/token.*.*:*"]);
        let backend = Backend::new(vec![(READ, api_caveat()), (CREATE, created())]).await;
        let response = answered(backend.ask(&[("x-auth-token", &token)], Body::None).await);
        assert_eq!(response.status(), 200);
        drop(text(response).await);
    });
}

#[test]
fn what_is_sent_with_the_call_does_not_matter_where_it_did_not() {
    run(async {
        for (headers, body) in [
            (&[][..], Body::None),
            (&[], Body::full("")),
            (&[("content-type", "application/x-www-form-urlencoded")], Body::full("")),
            (&[JSON], Body::full("{\"privileges\": [\"group_delete\"], \"usageLimit\": 5}")),
        ] {
            let backend = Backend::new(vec![(READ, group()), (CREATE, created())]).await;
            let response = answered(backend.ask(headers, body).await);
            assert_eq!(response.status(), 200);
            drop(text(response).await);
            let sent = backend.request(1);
            assert_eq!((sent.json()["usageLimit"].take(), sent.json().get("privileges")), (json!(1), None));
            assert_eq!(sent.headers.iter().filter(|(name, _)| name == "content-type").count(), 1);
        }
    });
}

#[test]
fn a_body_of_another_type_is_judged_by_the_backend_and_never_shown_to_it() {
    run(async {
        for content_type in [None, Some("text/plain"), Some("application/json; charset=utf-8")] {
            let backend =
                Backend::new(vec![(CREATE, Act::Answer(415, "application/json", Value::Null))]).await;
            let headers: Vec<_> = content_type.into_iter().map(|value| ("content-type", value)).collect();
            let response = answered(backend.ask(&headers, Body::full("{\"a\": 1}")).await);
            assert_eq!(response.status(), 415);
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
            assert_eq!(backend.request(0).body, "{");
            assert_eq!(backend.request(0).header("content-type"), content_type);
        }
    });
}

#[test]
fn a_content_type_that_cannot_be_read_is_judged_even_without_a_body() {
    run(async {
        let backend = Backend::new(vec![(CREATE, Act::Answer(415, "application/json", Value::Null))]).await;
        let response = answered(backend.ask(&[("content-type", "json")], Body::None).await);
        assert_eq!(response.status(), 415);
        assert_eq!(backend.request(0).body, "");
        let script =
            vec![(CREATE, refuses(400, "missingRequiredValue")), (READ, group()), (CREATE, created())];
        let backend = Backend::new(script).await;
        let response = answered(backend.ask(&[("content-type", "json")], Body::None).await);
        assert_eq!(response.status(), 200);
        drop(text(response).await);
    });
}

#[test]
fn broken_json_is_refused_before_the_target_is_looked_at() {
    run(async {
        for refusal in [refuses(400, "malformedData"), unauthorized(json!({"id": "tokenInvalid"}))] {
            let backend = Backend::new(vec![(CREATE, refusal)]).await;
            let response = answered(backend.ask(&[JSON], Body::full("{\"a\"")).await);
            assert!(response.status().is_client_error());
            assert_eq!(backend.request(0).body, "{");
        }
    });
}

#[test]
fn json_that_is_no_object_is_refused_last() {
    run(async {
        for (refusal, status, id) in [
            (refuses(400, "badValueTooLow"), 400, "malformedData"),
            (refuses(400, "inviteTokenTargetIdInvalid"), 404, "notFound"),
            (refuses(400, "inviteTokenSubjectNotAuthorized"), 403, "forbidden"),
        ] {
            let backend = Backend::new(vec![(CREATE, refusal)]).await;
            let response = answered(backend.ask(&[JSON], Body::full("[]")).await);
            assert_eq!(response.status(), status);
            assert_eq!(error_id(response).await, id);
            assert_eq!(backend.request(0).json()["usageLimit"], 0);
        }
        let script = vec![(CREATE, created()), ("DELETE /tokens/named/t1", says(204, Value::Null))];
        let backend = Backend::new(script).await;
        let response = answered(backend.ask(&[JSON], Body::full("5")).await);
        assert_eq!(error_id(response).await, "malformedData");
        backend.wait_for(2).await;
    });
}

#[test]
fn a_body_that_is_too_large_crashes_onezone_and_so_is_500() {
    run(async {
        let backend = Backend::new(vec![(CREATE, refuses(400, "malformedData"))]).await;
        let response = answered(backend.ask(&[JSON], Body::full(vec![b' '; 8_000_001])).await);
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(text(response).await, "");
        let backend = Backend::new(vec![(CREATE, Act::Answer(406, "", Value::Null))]).await;
        let response = answered(backend.ask(&[JSON], Body::full(vec![b' '; 8_000_001])).await);
        assert_eq!(response.status(), 406);
    });
}

#[test]
fn a_backend_without_the_newer_api_has_had_no_effect_and_gets_the_call_as_it_was() {
    run(async {
        for status in [404, 405] {
            let missing = Act::Answering(status, vec![("allow", "HEAD, GET, OPTIONS")], "");
            for (headers, body) in
                [(&[][..], ""), (&[JSON], "{\"a\":1}"), (&[JSON], "["), (&[JSON], "[1]"), (&[], "x")]
            {
                let has_read = headers.is_empty() && body.is_empty() || body.starts_with('{');
                let mut script = vec![(CREATE, missing.clone())];
                if has_read {
                    script.insert(0, (READ, group()));
                }
                let backend = Backend::new(script).await;
                let Outcome::NotServed { obstacle, request } = backend.ask(headers, Body::full(body)).await
                else {
                    panic!("served {body}");
                };
                assert!(matches!(obstacle, Obstacle::TokenApiMissing));
                assert_eq!(
                    obstacle.to_reply(),
                    reply::Failure::BadGateway { cause: Some("tokenApiMissing") }
                );
                let request = request.unwrap();
                assert_eq!(request.uri().path(), "/api/v3/onezone/groups/g1/users/token");
                assert_eq!(request.headers().get(CONTENT_TYPE).is_some(), !headers.is_empty());
                assert_eq!(request.into_body().collect(100).await.unwrap(), body);
            }
        }
    });
}

#[test]
fn a_backend_that_refuses_connections_has_had_no_effect() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let Outcome::NotServed { obstacle, .. } = ask(&api_at(port, None), &[], Body::None).await else {
            panic!("served");
        };
        assert_eq!(obstacle.to_reply(), reply::Failure::BackendUnreachable);
    });
}

#[test]
fn a_redirect_leads_to_the_callers_own_path() {
    run(async {
        let to = "https://oz.example/api/v3/onezone/user/tokens/named";
        let moved = Act::Answering(301, vec![("location", to)], "");
        let read = Act::Answering(301, vec![("location", "https://oz.example/api/v3/onezone/groups/g1")], "");
        let backend = Backend::new(vec![(READ, read), (CREATE, moved)]).await;
        let response = backend.call().await;
        assert_eq!(response.status(), 301);
        assert_eq!(
            response.headers()[LOCATION],
            "https://oz.example/api/v3/onezone/groups/g1/users/token?q=1"
        );
    });
}

#[test]
fn a_creation_that_answers_nonsense_is_a_bad_gateway() {
    run(async {
        let script = vec![
            (READ, group()),
            (CREATE, says(201, json!({"tokenId": "t1"}))),
            ("DELETE /tokens/named/t1", says(204, Value::Null)),
        ];
        let backend = Backend::new(script).await;
        let response = backend.call().await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        backend.wait_for(3).await;
    });
}

#[test]
fn a_creation_whose_answer_is_lost_is_looked_for_by_its_name_and_deleted() {
    run(async {
        for (lost, status) in [(Act::Close, 502), (Act::Hang, 504)] {
            let script = vec![
                (READ, group()),
                (CREATE, lost),
                ("GET /user/tokens/named/name/", refuses(404, "notFound")),
                ("GET /user/tokens/named/name/", says(200, json!({"id": "t/9"}))),
                ("DELETE /tokens/named/t%2F9", refuses(503, "serviceUnavailable")),
                ("DELETE /tokens/named/t%2F9", says(204, Value::Null)),
            ];
            let backend = Backend::new(script).await;
            assert_eq!(backend.call().await.status(), status);
            backend.wait_for(6).await;
            let name = backend.request(1).json()["name"].take();
            let path = format!(
                "GET /user/tokens/named/name/{}",
                crate::route::encode(name.as_str().unwrap().as_bytes())
            );
            assert_eq!(backend.lines()[3], path);
            assert_eq!(backend.request(5).header("x-auth-token"), Some("secret"));
        }
    });
}

#[test]
fn a_caller_who_goes_away_leaves_no_token_behind() {
    run(async {
        let script =
            vec![(READ, group()), (CREATE, created()), ("DELETE /tokens/named/t1", says(204, Value::Null))];
        // While the creation is in flight, …
        let backend = Backend::new(script.clone()).await;
        tokio::select! {
            biased;
            () = backend.wait_for(2) => {}
            _ = backend.call() => {}
        }
        backend.wait_for(3).await;
        // … and before its answer could be written.
        let backend = Backend::new(script).await;
        drop(backend.call().await);
        backend.wait_for(3).await;
        assert_eq!(backend.request(2).header("x-auth-token"), Some("secret"));
    });
}

#[test]
fn all_is_settled_once_left_over_tokens_are_removed() {
    run(async {
        let script =
            vec![(READ, group()), (CREATE, created()), ("DELETE /tokens/named/t1", says(204, Value::Null))];
        let backend = Backend::new(script).await;
        backend.api.settled().await;
        drop(backend.call().await);
        backend.api.settled().await;
        assert_eq!(backend.lines().len(), 3);
    });
}

#[test]
fn a_token_that_was_delivered_stays() {
    run(async {
        let backend = Backend::new(vec![(READ, group()), (CREATE, created())]).await;
        drop(text(backend.call().await).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(backend.lines(), [READ, CREATE]);
    });
}

#[test]
fn an_id_is_sent_as_it_is_meant() {
    run(async {
        let script = vec![("GET /groups/a%2Fb%22", group()), (CREATE, created())];
        let backend = Backend::new(script).await;
        let outcome = ask_at(&backend.api, "/groups/a%2Fb%22/users/token", &[], Body::None).await;
        assert_eq!(text(answered(outcome)).await, r#"{"token":"MDAxY"}"#);
        assert_eq!(backend.request(1).json()["type"]["inviteToken"]["groupId"], "a/b\"");
    });
}
