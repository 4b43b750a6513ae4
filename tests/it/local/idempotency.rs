//! Calls that are repeated with their `Idempotency-Key`, also after a restart.

use super::{World, assert_error, start};
use crate::support::http::{Request, ask};

#[tokio::test]
async fn a_repeat_gets_the_same_token_also_after_a_restart() {
    let mut world = World::new().await;
    let call = |world: &World, who: &str, key: &str| {
        let request = world.request(who, "POST", &world.group_route()).header("Idempotency-Key", key);
        let address = world.address();
        async move { ask(address, &request).await.json()["token"].as_str().map(str::to_owned) }
    };
    let first = call(&world, "anna", "k").await;
    assert!(first.is_some());
    assert_eq!(call(&world, "anna", "k").await, first);
    world.proxy.take().unwrap().stop().await;
    world.proxy = Some(start(&world.onezone.url, &world.onezone, world.directory.path()).await);
    assert_eq!(call(&world, "anna", "k").await, first);
    let others = [call(&world, "anna", "l").await, call(&world, "mia", "k").await];
    assert!(others.iter().all(|other| other.is_some() && *other != first));
    assert_ne!(others[0], others[1]);

    // One that was deleted is no answer any more.
    let path = format!("/tokens/named/{}", super::id_of(first.as_deref().unwrap()));
    assert_eq!(world.call("anna", "DELETE", &path, None).await.status, 204);
    world.proxy.take().unwrap().stop().await;
    world.proxy = Some(start(&world.onezone.url, &world.onezone, world.directory.path()).await);
    let another = call(&world, "anna", "k").await;
    assert!(another.is_some() && another != first);
    world.stop().await;
}

#[tokio::test]
async fn many_repeats_at_once_make_one_token() {
    let world = World::new().await;
    let request = world.request("anna", "POST", &world.group_route()).header("Idempotency-Key", "k");
    let calls = (0..20).map(|_| ask(world.address(), &request));
    let answers = futures_util::future::join_all(calls).await;
    let tokens: std::collections::BTreeSet<_> =
        answers.iter().map(|answer| answer.json()["token"].to_string()).collect();
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    let bad = Request { headers: request.headers.clone(), ..request }.header("Idempotency-Key", "l");
    assert_error(&ask(world.address(), &bad).await, 400, "badData");
    world.stop().await;
}
