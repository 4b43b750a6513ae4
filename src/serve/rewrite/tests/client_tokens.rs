//! The three routes of access tokens.

use http::Method;

use super::*;

const CREATE_FOR: &str = "POST /users/u1/tokens/named";
const LIST: &str = "GET /user/tokens/named";
const USER: &str = "GET /user";
const PROBE: &str = "GET /health";

fn user_token() -> String {
    token_of(Subject::User("u1".to_owned()), &[])
}

fn provider_token() -> String {
    token_of(Subject::Provider("c1".to_owned()), &[])
}

/// Good for the old routes and for nothing newer.
fn confined_to_old() -> String {
    confined(&["ozw/all/user.u1.client_tokens", "ozw/all/user.u1.client_token,*"])
}

fn good() -> Act {
    Act::Answer(406, "", Value::Null)
}

fn access(id: &str) -> Act {
    says(200, json!({"id": id, "type": {"accessToken": {}}, "token": format!("text-{id}")}))
}

async fn call(backend: &Backend, method: Method, token: &str) -> Response<Body> {
    answered(send(&backend.api, method, "/user/client_tokens", &[("x-auth-token", token)], Body::None).await)
}

async fn remove(backend: &Backend, removed: &str, token: &str) -> Response<Body> {
    let path = format!("/user/client_tokens/{removed}");
    answered(send(&backend.api, Method::DELETE, &path, &[("x-auth-token", token)], Body::None).await)
}

#[test]
fn an_access_token_is_made_for_a_year_with_one_request() {
    run(async {
        let backend = Backend::new(vec![(CREATE, created())]).await;
        let response = call(&backend, Method::POST, &user_token()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(text(response).await, r#"{"token":"MDAxY"}"#);
        let mut body = backend.request(0).json();
        let name = body["name"].take();
        let (name, digits) = name.as_str().unwrap().rsplit_once(' ').unwrap();
        assert_eq!((name, digits.len()), ("access token 2024-10-21T08.13.49Z", 6));
        assert_eq!(
            body,
            json!({
                "name": null,
                "type": {"accessToken": {}},
                "caveats": [{"type": "time", "validUntil": 1_729_498_429 + 31_536_000}],
            })
        );
    });
}

#[test]
fn who_has_no_access_tokens_is_told_what_every_route_of_a_user_says() {
    run(async {
        for method in [Method::POST, Method::GET] {
            let backend = Backend::new(vec![(USER, refuses(404, "notFound"))]).await;
            assert_eq!(call(&backend, method.clone(), &provider_token()).await.status(), 404);
            let backend = Backend::new(vec![(USER, refuses(401, "unauthorized"))]).await;
            let outcome = send(&backend.api, method.clone(), "/user/client_tokens", &[], Body::None).await;
            assert_eq!(answered(outcome).status(), 401);
            let newer = if method == Method::POST { CREATE } else { LIST };
            let script = vec![(newer, refuses(403, "forbidden")), (USER, refuses(404, "notFound"))];
            let backend = Backend::new(script).await;
            assert_eq!(call(&backend, method, "an old token of a Oneprovider").await.status(), 404);
        }
        let backend = Backend::new(vec![(USER, refuses(404, "notFound"))]).await;
        assert_eq!(remove(&backend, &user_token(), &provider_token()).await.status(), 404);
    });
}

#[test]
fn a_token_that_is_confined_to_newer_calls_is_refused_by_the_old_ones() {
    run(async {
        let token = confined(&["ozw/all/token.*.*:*"]);
        for method in [Method::POST, Method::GET] {
            let backend = Backend::new(vec![(USER, api_caveat())]).await;
            let response = call(&backend, method, &token).await;
            assert_eq!(response.status(), 401);
            assert!(text(response).await.contains("ozw/all/token.*.*:*"));
        }
        for (read, status) in [(says(200, json!({})), 401), (refuses(404, "notFound"), 404)] {
            let backend = Backend::new(vec![("GET /tokens/named/1a2b", read)]).await;
            assert_eq!(remove(&backend, &user_token(), &token).await.status(), status);
        }
    });
}

#[test]
fn what_the_caller_may_do_only_by_the_old_route_the_service_does() {
    run(async {
        let token = confined_to_old();
        let script = vec![(CREATE, api_caveat()), (PROBE, good()), (CREATE_FOR, created())];
        let backend = Backend::with(script, Some("service")).await;
        let response = call(&backend, Method::POST, &token).await;
        assert_eq!(text(response).await, r#"{"token":"MDAxY"}"#);
        assert_eq!(backend.request(1).header("x-auth-token"), Some(token.as_str()));
        assert_eq!(backend.request(1).header("accept"), Some("application/x-probe"));
        assert_eq!(backend.request(2).header("x-auth-token"), Some("service"));

        let script = vec![
            (LIST, says(200, json!({"tokens": ["a"]}))),
            ("GET /tokens/named/a", api_caveat()),
            (PROBE, good()),
            ("GET /tokens/named/a", access("a")),
        ];
        let backend = Backend::with(script, Some("service")).await;
        assert_eq!(text(call(&backend, Method::GET, &token).await).await, r#"{"tokens":["text-a"]}"#);

        for (subject, status) in [("u1", 204), ("u2", 403)] {
            let mut script = vec![
                ("DELETE /tokens/named/1a2b", api_caveat()),
                (PROBE, good()),
                ("GET /tokens/named/1a2b", says(200, json!({"subject": {"type": "user", "id": subject}}))),
            ];
            if status == 204 {
                script.push(("DELETE /tokens/named/1a2b", says(204, Value::Null)));
            }
            let count = script.len();
            let backend = Backend::with(script, Some("service")).await;
            assert_eq!(remove(&backend, &user_token(), &token).await.status(), status);
            assert_eq!(backend.lines().len(), count);
        }
    });
}

#[test]
fn the_service_does_nothing_for_who_is_not_proven_or_confined_in_other_ways() {
    run(async {
        let refused = Act::Answer(401, "", json!({"error": {"id": "unauthorized"}}));
        let script = vec![(CREATE, api_caveat()), (PROBE, refused)];
        let backend = Backend::with(script, Some("service")).await;
        assert_eq!(call(&backend, Method::POST, &confined_to_old()).await.status(), 401);
        assert_eq!(backend.lines().len(), 2);

        let token = Token::parse(&confined_to_old()).unwrap();
        for caveat in [Caveat::Service(vec!["opw-*".to_owned()]), Caveat::DataReadonly] {
            let token = token.clone().confine(caveat).unwrap().serialize();
            let backend = Backend::with(vec![(CREATE, api_caveat())], Some("service")).await;
            assert_eq!(call(&backend, Method::POST, &token).await.status(), 401);
            assert_eq!(backend.lines().len(), 1);
        }
        let backend = Backend::new(vec![(CREATE, api_caveat())]).await;
        assert_eq!(call(&backend, Method::POST, &confined_to_old()).await.status(), 401);
        assert_eq!(backend.lines().len(), 1);
    });
}

#[test]
fn json_that_is_no_object_makes_no_access_token() {
    run(async {
        for (refusal, status) in [
            (refuses(400, "badValueName"), 400),
            (api_caveat(), 400),
            (unauthorized(json!({"id": "tokenInvalid"})), 401),
        ] {
            let backend = Backend::new(vec![(CREATE, refusal)]).await;
            let headers = [("x-auth-token", confined_to_old()), (JSON.0, JSON.1.to_owned())];
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let outcome =
                send(&backend.api, Method::POST, "/user/client_tokens", &headers, Body::full("[]")).await;
            let response = answered(outcome);
            assert_eq!(response.status(), status);
            assert_eq!(backend.request(0).json()["name"], "");
            if status == 400 {
                assert_eq!(error_id(response).await, "malformedData");
            }
        }
    });
}

#[test]
fn a_list_holds_the_texts_of_access_tokens_only() {
    run(async {
        let ids: Vec<_> = (0..20).map(|number| format!("t{number}")).collect();
        let backend = Backend::any(move |line| match line {
            LIST => says(200, json!({"tokens": ids})),
            "GET /tokens/named/t3" => refuses(404, "notFound"),
            "GET /tokens/named/t4" => says(200, json!({"type": {"inviteToken": {}}, "token": "x"})),
            "GET /tokens/named/t5" => says(200, json!({"type": {"identityToken": {}}, "token": "x"})),
            line => access(line.trim_start_matches("GET /tokens/named/")),
        })
        .await;
        let response = call(&backend, Method::GET, &user_token()).await;
        assert_eq!((response.status(), &response.headers()[CONTENT_TYPE]), (StatusCode::OK, &ask::JSON));
        let body: Value = serde_json::from_str(&text(response).await).unwrap();
        let expected: Vec<_> =
            (0..20).filter(|n| ![3, 4, 5].contains(n)).map(|n| format!("text-t{n}")).collect();
        assert_eq!(body, json!({ "tokens": expected }));
        assert_eq!(backend.lines().len(), 21);
        assert!(backend.most_at_once() <= 8, "{}", backend.most_at_once());
    });
}

#[test]
fn a_list_that_cannot_be_read_whole_is_not_shown_in_part() {
    run(async {
        for (act, status) in [
            (refuses(503, "serviceUnavailable"), 503),
            (unauthorized(json!({"id": "tokenRevoked"})), 401),
            (refuses(500, "internalServerError"), 500),
            (Act::Close, 502),
        ] {
            let backend = Backend::any(move |line| match line {
                LIST => says(200, json!({"tokens": ["a", "b"]})),
                "GET /tokens/named/a" => act.clone(),
                _ => access("b"),
            })
            .await;
            assert_eq!(call(&backend, Method::GET, &user_token()).await.status(), status);
        }
        for body in [json!([]), json!({"tokens": [1]})] {
            let backend = Backend::new(vec![(LIST, says(200, body))]).await;
            assert_eq!(call(&backend, Method::GET, &user_token()).await.status(), 502);
        }
    });
}

#[test]
fn a_token_is_removed_by_the_id_inside_it() {
    run(async {
        for (act, status) in [
            (says(204, Value::Null), 204),
            (refuses(404, "notFound"), 404),
            (refuses(403, "forbidden"), 403),
            (unauthorized(json!({"id": "tokenInvalid"})), 401),
        ] {
            let backend = Backend::new(vec![("DELETE /tokens/named/1a2b", act)]).await;
            assert_eq!(remove(&backend, &user_token(), &user_token()).await.status(), status);
            assert_eq!(backend.lines(), ["DELETE /tokens/named/1a2b"]);
        }
    });
}

#[test]
fn what_is_no_named_token_is_not_found_after_what_comes_before_that() {
    run(async {
        let temporary = Identifier::new(
            Persistence::Temporary { generation: 1 },
            Subject::User("u1".to_owned()),
            Type::Access { session: None },
            "1a2b",
        );
        let temporary = Token::mint("oz.example", temporary, Vec::new(), b"secret").unwrap().serialize();
        let dots = Identifier::new(
            Persistence::Named,
            Subject::User("u1".to_owned()),
            Type::Access { session: None },
            "..",
        );
        let dots = Token::mint("oz.example", dots, Vec::new(), b"secret").unwrap().serialize();
        for removed in ["garbage", "%ff%00", "%22%5c", &temporary, &dots] {
            for (act, status) in [
                (group(), 404),
                (api_caveat(), 404),
                (refuses(404, "notFound"), 404),
                (unauthorized(json!({"id": "tokenInvalid"})), 401),
                (Act::Answer(406, "", Value::Null), 406),
                (refuses(503, "serviceUnavailable"), 503),
            ] {
                let backend = Backend::new(vec![(USER, act)]).await;
                assert_eq!(remove(&backend, removed, &user_token()).await.status(), status, "{removed}");
            }
        }
    });
}

#[test]
fn a_backend_without_named_tokens_gets_the_calls_as_they_were() {
    run(async {
        let missing = |status| Act::Answering(status, vec![("allow", "HEAD, GET, OPTIONS")], "");
        let removal = format!("/user/client_tokens/{}", user_token());
        for (method, path, line, status) in [
            (Method::POST, "/user/client_tokens", CREATE, 405),
            (Method::GET, "/user/client_tokens", LIST, 404),
            (Method::DELETE, removal.as_str(), "DELETE /tokens/named/1a2b", 405),
        ] {
            let backend = Backend::new(vec![(line, missing(status))]).await;
            let headers = [("x-auth-token", "secret")];
            let outcome = send(&backend.api, method.clone(), path, &headers, Body::full("x")).await;
            // With a body of no type, the creation is asked for nothing but the order of checks.
            let Outcome::NotServed { obstacle, request } = outcome else { panic!("served {method}") };
            assert!(matches!(obstacle, Obstacle::TokenApiMissing));
            let request = request.unwrap();
            assert_eq!((request.method(), request.uri().path().ends_with(path)), (&method, true));
            assert_eq!(request.into_body().collect(100).await.unwrap(), "x");
        }
    });
}
