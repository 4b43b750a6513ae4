//! The twelve routes that make invite tokens: what differs between them is a row.

use super::*;
use crate::operation::{self, Entity};

const CREATE_AS_PROVIDER: &str = "POST /provider/tokens/named";

fn named(key: &str, name: &str) -> Act {
    says(200, json!({"userId": "u1", "name": "", key: name}))
}

fn user_token() -> String {
    token_of(Subject::User("u1".to_owned()), &[])
}

fn provider_token() -> String {
    token_of(Subject::Provider("c1".to_owned()), &[])
}

/// The text of a token as it was before 20.02, which does not say whose it is.
fn old_token() -> String {
    let id = Identifier {
        version: 1,
        persistence: Persistence::Named,
        subject: None,
        kind: Type::Access { session: None },
        id: "1a2b".to_owned(),
    };
    Token::mint("oz.example", id, Vec::new(), b"secret").unwrap().serialize()
}

async fn call_with(backend: &Backend, path: &str, token: &str) -> Response<Body> {
    answered(ask_at(&backend.api, path, &[("x-auth-token", token)], Body::None).await)
}

#[test]
fn each_route_makes_its_own_kind_of_token_and_the_second_call_costs_one_request() {
    run(async {
        for row in operation::builtin() {
            let Some(invite) = &row.invite else { continue };
            let path = row.template.trim_start_matches(&row.base).replace("{id}", "x1");
            let (read, target) = match invite.target {
                Entity::InPath => (format!("GET /{}/x1", invite.named_in), "x1"),
                Entity::Caller => ("GET /user".to_owned(), "u1"),
            };
            let read: &'static str = read.leak();
            let script =
                vec![(read, named(&invite.name_key, "Anna")), (CREATE, created()), (CREATE, created())];
            let backend = Backend::new(script).await;
            for _ in 0..2 {
                let response = call_with(&backend, &path, &user_token()).await;
                assert_eq!(response.status(), 200, "{}", row.id);
                assert_eq!(text(response).await, r#"{"token":"MDAxY"}"#);
            }
            assert_eq!(backend.lines(), [read, CREATE, CREATE], "{}", row.id);
            let mut body = backend.request(2).json();
            let name = body["name"].take();
            assert!(name.as_str().unwrap().starts_with(&format!("{} - Anna ", invite.name_prefix)), "{name}");
            let mut kind = json!({"inviteType": invite.kind});
            kind[&invite.target_key] = target.into();
            assert_eq!(body, json!({"name": null, "type": {"inviteToken": kind}, "usageLimit": 1}));
        }
    });
}

#[test]
fn the_cluster_of_onezone_is_called_onezone_without_asking() {
    run(async {
        let backend = Backend::new(vec![(CREATE, created())]).await;
        drop(text(call_with(&backend, "/clusters/onezone/users/token", &user_token()).await).await);
        let name = backend.request(0).json()["name"].take();
        assert!(name.as_str().unwrap().starts_with("user invite to cluster - Onezone "), "{name}");
    });
}

#[test]
fn a_oneprovider_has_its_tokens_elsewhere_whatever_prefix_they_come_with() {
    run(async {
        for prefix in ["", "opw-", "opp-"] {
            let script =
                vec![("GET /providers/c1", named("name", "Cracow")), (CREATE_AS_PROVIDER, created())];
            let backend = Backend::new(script).await;
            let token = format!("{prefix}{}", provider_token());
            let response = call_with(&backend, "/clusters/c1/groups/token", &token).await;
            assert_eq!(text(response).await, r#"{"token":"MDAxY"}"#);
            assert_eq!(backend.request(1).header("x-auth-token"), Some(token.as_str()));
        }
        let script = vec![
            ("GET /groups/g1", refuses(403, "forbidden")),
            (CREATE_AS_PROVIDER, refuses(400, "inviteTokenSubjectNotAuthorized")),
        ];
        let backend = Backend::new(script).await;
        let response = call_with(&backend, "/groups/g1/users/token", &provider_token()).await;
        assert_eq!(
            (response.status(), error_id(response).await),
            (StatusCode::FORBIDDEN, json!("forbidden"))
        );
    });
}

#[test]
fn what_a_oneprovider_left_over_is_looked_for_among_its_own() {
    run(async {
        let script = vec![
            ("GET /providers/c1", named("name", "Cracow")),
            (CREATE_AS_PROVIDER, Act::Close),
            ("GET /provider/tokens/named/name/", says(200, json!({"id": "t9"}))),
            ("DELETE /tokens/named/t9", says(204, Value::Null)),
        ];
        let backend = Backend::new(script).await;
        assert_eq!(call_with(&backend, "/clusters/c1/users/token", &provider_token()).await.status(), 502);
        backend.wait_for(4).await;
    });
}

#[test]
fn an_old_token_that_is_no_users_may_be_a_oneproviders() {
    run(async {
        let script = vec![
            ("GET /providers/c1", named("name", "Cracow")),
            (CREATE, refuses(403, "forbidden")),
            (CREATE_AS_PROVIDER, created()),
        ];
        let backend = Backend::new(script).await;
        let response = call_with(&backend, "/clusters/c1/users/token", &old_token()).await;
        assert_eq!(text(response).await, r#"{"token":"MDAxY"}"#);
    });
}

#[test]
fn who_sends_no_credentials_is_answered_by_reading_the_target_alone() {
    run(async {
        for (path, read) in [
            ("/groups/g1/users/token", READ),
            ("/clusters/c1/users/token", "GET /clusters/c1"),
            ("/user/clusters/provider_registration_token", "GET /user"),
            ("/users/u2/clusters/provider_registration_token", "GET /users/u2"),
        ] {
            for (act, status) in [
                (refuses(401, "unauthorized"), 401),
                (refuses(404, "notFound"), 404),
                (group(), 401),
                (refuses(503, "serviceUnavailable"), 503),
            ] {
                for (headers, body) in [(&[][..], Body::None), (&[JSON], Body::full("[]"))] {
                    let backend = Backend::new(vec![(read, act.clone())]).await;
                    let outcome = send(&backend.api, http::Method::POST, path, headers, body).await;
                    assert_eq!(answered(outcome).status(), status, "{path}");
                    assert_eq!(backend.lines(), [read]);
                }
            }
        }
    });
}

#[test]
fn whose_id_no_token_tells_is_asked_for_it_and_its_name_at_once() {
    run(async {
        let path = "/user/clusters/provider_registration_token";
        let basic = [("authorization", "Basic YTpi")];
        let script = vec![("GET /user", named("fullName", "Anna Nowak")), (CREATE, created())];
        let backend = Backend::new(script).await;
        drop(text(answered(ask_at(&backend.api, path, &basic, Body::None).await)).await);
        let body = backend.request(1).json();
        assert_eq!(body["type"]["inviteToken"]["adminUserId"], "u1");
        assert!(body["name"].as_str().unwrap().starts_with("Oneprovider rgstr. token for - Anna Nowak "));
        for (act, status) in [
            (unauthorized(json!({"id": "badBasicCredentials"})), 401),
            (refuses(404, "notFound"), 404),
            (Act::Answer(406, "", Value::Null), 406),
            (refuses(503, "serviceUnavailable"), 503),
            (says(200, json!({"userId": ".."})), 502),
        ] {
            let backend = Backend::new(vec![("GET /user", act)]).await;
            assert_eq!(answered(ask_at(&backend.api, path, &basic, Body::None).await).status(), status);
        }
    });
}

#[test]
fn a_oneprovider_is_no_user_to_register_anything_for() {
    run(async {
        let path = "/user/clusters/provider_registration_token";
        let backend = Backend::new(vec![("GET /user", refuses(404, "notFound"))]).await;
        assert_eq!(call_with(&backend, path, &provider_token()).await.status(), 404);
        assert_eq!(backend.lines().len(), 1);
    });
}

#[test]
fn registering_for_somebody_else_is_refused_as_by_the_old_route() {
    run(async {
        let (path, read) = ("/users/u2/clusters/provider_registration_token", "GET /users/u2");
        for (script, status) in [
            (vec![(read, refuses(404, "notFound"))], 404),
            (
                vec![
                    (read, refuses(403, "forbidden")),
                    (CREATE, refuses(400, "inviteTokenSubjectNotAuthorized")),
                ],
                403,
            ),
            (vec![(read, Act::Close), (CREATE, refuses(400, "inviteTokenTargetIdInvalid"))], 404),
            (
                vec![
                    (read, named("fullName", "O'Neill, Jr")),
                    (CREATE, refuses(400, "badValueName")),
                    (CREATE, refuses(400, "badValueTooLow")),
                ],
                400,
            ),
            (
                vec![
                    (read, named("fullName", "O'Neill, Jr")),
                    (CREATE, refuses(400, "badValueName")),
                    (CREATE, refuses(400, "inviteTokenSubjectNotAuthorized")),
                ],
                403,
            ),
        ] {
            let backend = Backend::new(script).await;
            assert_eq!(call_with(&backend, path, &user_token()).await.status(), status);
        }
    });
}

#[test]
fn a_token_confined_to_others_registers_nothing() {
    run(async {
        for (path, read) in [
            ("/user/clusters/provider_registration_token", "GET /user"),
            ("/users/u1/clusters/provider_registration_token", "GET /users/u1"),
        ] {
            let refused =
                confined(&["ozw/all/token.*.*:*", "ozw/create/user.u2.provider_registration_token"]);
            let backend = Backend::new(vec![(read, api_caveat())]).await;
            assert_eq!(call_with(&backend, path, &refused).await.status(), 401);
            let allowed =
                confined(&["ozw/all/token.*.*:*", "ozw/create/user.u1.provider_registration_token"]);
            let backend = Backend::new(vec![(read, api_caveat()), (CREATE, created())]).await;
            assert_eq!(call_with(&backend, path, &allowed).await.status(), 200);
        }
    });
}

#[test]
fn what_a_token_confined_to_the_old_route_would_have_met_is_asked_by_the_service() {
    run(async {
        let token = confined(&["ozw/create/group.g1.invite_user_token"]);
        let ask = "POST /users/u1/tokens/named";
        for (judgment, plain, list) in [
            (refuses(400, "inviteTokenTargetIdInvalid"), 404, 404),
            (refuses(400, "inviteTokenSubjectNotAuthorized"), 403, 403),
            (refuses(400, "badValueTooLow"), 401, 400),
            (refuses(403, "forbidden"), 401, 401),
        ] {
            let script =
                vec![(READ, api_caveat()), (READ, group()), (CREATE, api_caveat()), (ask, judgment.clone())];
            let backend = Backend::with(script, Some("service")).await;
            let response = call_with(&backend, "/groups/g1/users/token", &token).await;
            assert_eq!(response.status(), plain);
            assert_eq!(backend.request(3).header("x-auth-token"), Some("service"));
            assert_eq!(backend.request(3).json()["usageLimit"], 0);

            let script = vec![(CREATE, api_caveat()), (ask, judgment), (READ, api_caveat())];
            let backend = Backend::with(script, Some("service")).await;
            let headers = [("x-auth-token", token.as_str()), JSON];
            let response = answered(backend.ask(&headers, Body::full("[]")).await);
            assert_eq!(response.status(), list);
        }
    });
}
