//! Calls with an `Idempotency-Key`.

use http::Method;

use super::*;
use crate::operation;

const PROBE: &str = "GET /health";
const KEYED: [(&str, &str); 2] = [("x-auth-token", "secret"), ("idempotency-key", "k1")];

fn good() -> Act {
    Act::Answer(406, "", Value::Null)
}

async fn keyed(backend: &Backend) -> Response<Body> {
    answered(backend.ask(&KEYED, Body::None).await)
}

#[test]
fn a_repeat_is_answered_with_the_same_token_once_the_credentials_are_proven_again() {
    run(async {
        let refusal = unauthorized(json!({"id": "tokenRevoked"}));
        let script = vec![
            (READ, group()),
            (CREATE, created()),
            (PROBE, good()),
            (PROBE, refusal),
            (PROBE, refuses(503, "x")),
        ];
        let backend = Backend::new(script).await;
        assert_eq!(text(keyed(&backend).await).await, r#"{"token":"MDAxY"}"#);
        let repeat = keyed(&backend).await;
        assert_eq!(
            (repeat.status(), &repeat.headers()[CONTENT_TYPE]),
            (StatusCode::OK, &HeaderValue::from_static("application/json"))
        );
        assert_eq!(text(repeat).await, r#"{"token":"MDAxY"}"#);
        assert_eq!(backend.request(2).header("accept"), Some("application/x-probe"));
        assert_eq!(backend.request(2).header("x-auth-token"), Some("secret"));
        let refused = keyed(&backend).await;
        assert_eq!(
            (refused.status(), refused.headers().contains_key(CONTENT_TYPE)),
            (401.try_into().unwrap(), false)
        );
        assert!(text(refused).await.contains("tokenRevoked"));
        assert_eq!(keyed(&backend).await.status(), 503);
        assert!((0..5).all(|index| backend.request(index).header("idempotency-key").is_none()));
    });
}

#[test]
fn every_route_that_makes_tokens_has_keys_and_no_other_one() {
    run(async {
        for row in operation::builtin().iter().filter(|row| row.rewrite.is_some()) {
            let path = row.template.trim_start_matches(&row.base).replace("{id}", "x").replace("{tid}", "x");
            let backend = Backend::any(|line| match line {
                PROBE => good(),
                "GET /user" => says(200, json!({"userId": "u1", "fullName": "Anna"})),
                "GET /user/tokens/named" => says(200, json!({"tokens": []})),
                line if line.starts_with("POST") => created(),
                _ => group(),
            })
            .await;
            let creates = row.rewrite.unwrap().creates();
            for _ in 0..2 {
                let outcome = send(&backend.api, row.method.clone(), &path, &KEYED, Body::None).await;
                drop(text(answered(outcome)).await);
            }
            assert_eq!(backend.lines().contains(&PROBE.to_owned()), creates, "{}", row.id);
            let headers = [("x-auth-token", "secret"), ("idempotency-key", "")];
            let response =
                answered(send(&backend.api, row.method.clone(), &path, &headers, Body::None).await);
            assert_eq!(response.status() == 400, creates, "{}", row.id);
        }
    });
}

#[test]
fn a_bad_key_is_refused_before_anybody_is_asked() {
    run(async {
        let backend = Backend::new(Vec::new()).await;
        let headers = [("x-auth-token", "secret"), ("idempotency-key", "two words")];
        let response = answered(backend.ask(&headers, Body::None).await);
        assert_eq!(response.status(), 400);
        assert_eq!(
            text(response).await,
            "{\"error\":{\"id\":\"badData\",\"description\":\"Bad value: provided \\\"Idempotency-Key\\\" has an invalid \
             format or is incomprehensible in the context of this operation.\",\"details\":{\"key\":\"Idempotency-Key\"}}}"
        );
        assert!(backend.lines().is_empty());
    });
}

#[test]
fn repeats_that_come_meanwhile_wait_and_get_the_same_token() {
    run(async {
        let backend = Backend::any(|line| match line {
            PROBE => good(),
            CREATE => created(),
            _ => group(),
        })
        .await;
        let one = async || text(keyed(&backend).await).await;
        let all = tokio::join!(one(), one(), one(), one());
        assert!([all.0, all.1, all.2, all.3].iter().all(|text| text == r#"{"token":"MDAxY"}"#));
        assert_eq!(backend.lines().iter().filter(|line| *line == CREATE).count(), 1);
    });
}

#[test]
fn what_failed_or_was_not_handed_over_is_done_again() {
    run(async {
        let script = vec![
            (READ, group()),
            (CREATE, refuses(400, "inviteTokenSubjectNotAuthorized")),
            (CREATE, created()),
            ("DELETE /tokens/named/t1", says(204, Value::Null)),
            (CREATE, created()),
            (PROBE, good()),
        ];
        let backend = Backend::new(script).await;
        assert_eq!(keyed(&backend).await.status(), 403);
        // Its caller is gone before it could be written.
        drop(keyed(&backend).await);
        backend.wait_for(4).await;
        assert_eq!(text(keyed(&backend).await).await, r#"{"token":"MDAxY"}"#);
        assert_eq!(text(keyed(&backend).await).await, r#"{"token":"MDAxY"}"#);
        assert_eq!(backend.lines().len(), 6);
    });
}

#[test]
fn a_repeat_takes_over_when_the_first_caller_goes_away() {
    run(async {
        let script =
            vec![(READ, group()), (CREATE, created()), ("DELETE /tokens/named/t1", says(204, Value::Null))];
        let backend = Backend::new(script).await;
        let first = keyed(&backend).await;
        let second = keyed(&backend);
        tokio::pin!(second);
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut second).await.is_err(), "not waiting");
        drop(first);
        backend.wait_for(3).await;
        // The script is over: what it is told shows that it was served itself.
        assert_eq!(second.await.status(), 502);
    });
}

#[test]
fn what_may_make_nothing_is_answered_as_without_a_key() {
    run(async {
        let script = vec![
            (READ, group()),
            (CREATE, created()),
            (CREATE, refuses(400, "malformedData")),
            (READ, refuses(401, "unauthorized")),
        ];
        let backend = Backend::new(script).await;
        drop(text(keyed(&backend).await).await);
        let headers = [KEYED[0], KEYED[1], JSON];
        assert_eq!(answered(backend.ask(&headers, Body::full("{")).await).status(), 400);
        let path = "/groups/g1/users/token";
        let outcome = send(&backend.api, Method::POST, path, &[KEYED[1]], Body::None).await;
        assert_eq!(answered(outcome).status(), 401);
    });
}
