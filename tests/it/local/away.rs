//! A ledger that is away: what needs it is answered 503, and nothing else fails.

use serde_json::json;

use super::{World, assert_error, start};
use crate::support::http::{Request, ask};

#[tokio::test]
async fn without_a_ledger_our_own_tokens_are_out_of_reach_and_nothing_else_is() {
    let world = World::new().await;
    let token = world.issue("anna", &world.group_route()).await;
    let path = format!("/tokens/named/{}", super::id_of(&token));
    let broken = tempfile::tempdir().unwrap();
    std::fs::create_dir(broken.path().join("ledger.db")).unwrap();
    let proxy = start(&world.onezone.url, &world.onezone, broken.path()).await;

    let call = async |who: &str, method: &str, path: &str, body: Option<serde_json::Value>| {
        let request = world.request(who, method, path);
        ask(proxy.address, &body.map_or(request.clone(), |body| request.json(body))).await
    };
    let issued = call("anna", "POST", &world.group_route(), None).await;
    assert_error(&issued, 503, "ledgerUnavailable");
    assert_eq!(issued.header("deprecation"), Some("@1590969600"));
    let join = Some(json!({ "token": token }));
    assert_error(&call("dan", "POST", "/user/groups/join", join.clone()).await, 503, "ledgerUnavailable");
    assert_error(&call("anna", "GET", &path, None).await, 503, "ledgerUnavailable");
    // Who may not is told so, whatever the ledger would say.
    assert_error(&call("ben", "POST", &world.group_route(), None).await, 403, "forbidden");
    assert_error(&call("", "POST", "/user/groups/join", join).await, 401, "unauthorized");
    assert_eq!(call("anna", "POST", "/tokens/examine", Some(json!({ "token": token }))).await.status, 200);
    assert_eq!(call("anna", "GET", "/user", None).await.status, 200);

    let ready = ask(proxy.admin, &Request::new("GET", "/readyz")).await;
    assert_eq!((ready.status, &ready.json()["ledger"]), (503, &json!(false)));
    let metrics = proxy.metrics().await;
    assert!(metrics.0.contains("\nduskgate_ledger_up 0\n"));
    let issued = metrics.counts("duskgate_tokens_issued_total");
    let labels = |outcome| format!("operation=\"create_user_group_invite_token\",outcome=\"{outcome}\"");
    assert_eq!((issued[&labels("failed")], issued[&labels("refused")]), (1, 1));
    proxy.stop().await;

    // The token is still good where the ledger is.
    assert_eq!(world.join("dan", &token).await.status, 201);
    let ready = ask(world.proxy.as_ref().unwrap().admin, &Request::new("GET", "/readyz")).await;
    assert_eq!((ready.status, &ready.json()["ledger"]), (200, &json!(true)));
    world.stop().await;
}
