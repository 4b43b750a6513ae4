//! The end of all of a caller's named tokens: where the backend has ended its own, those that were issued here end too.

use duskgate::sandbox::{self, Settings};
use serde_json::json;

use super::recovery::wait_until;
use super::{World, assert_error, id_of, start};
use crate::support::backend::Backend;
use crate::support::http::{Request, ask};
use crate::support::proxy::{Proxy, Setup};

const ALL: &str = "/user/tokens/named";

/// A Onezone that has the newer API, behind a token module.
async fn world() -> World {
    let onezone = sandbox::start(Settings { legacy: false, ..Settings::default() }).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let proxy = start(&onezone.url, &onezone, directory.path()).await;
    World { onezone, proxy: Some(proxy), directory }
}

#[tokio::test]
async fn who_ends_all_named_tokens_ends_those_that_were_issued_here() {
    let world = world().await;
    let [unused, used] =
        [world.issue("anna", &world.group_route()).await, world.issue("anna", &world.group_route()).await];
    let others = world.issue("mia", &world.group_route()).await;
    assert_eq!(world.join("dan", &used).await.status, 201);

    // Nobody ends those of another, and who is refused ends nothing.
    assert_eq!(world.call("", "DELETE", ALL, None).await.status, 401);
    let annas = format!("/users/{}/tokens/named", world.fixture().user("anna").id);
    assert_error(&world.call("dan", "DELETE", &annas, None).await, 403, "forbidden");
    let verify = async |token: &str| {
        let body = json!({ "token": token });
        world.call("", "POST", "/tokens/verify_invite_token", Some(body)).await
    };
    assert_eq!(verify(&unused).await.status, 200);

    let ended = world.call("anna", "DELETE", ALL, None).await;
    assert_eq!((ended.status, ended.text().as_str()), (204, ""), "{ended:?}");
    assert_error(&world.join("inviter", &unused).await, 400, "tokenInvalid");
    assert_error(&verify(&unused).await, 400, "tokenInvalid");
    assert_eq!(verify(&others).await.status, 200);
    let path = format!("/tokens/named/{}", id_of(&used));
    assert_eq!(world.call("steward", "GET", &path, None).await.json()["metadata"]["usageCount"], 1);

    // An administrator does it for somebody.
    let mias = format!("/users/{}/tokens/named", world.fixture().user("mia").id);
    assert_eq!(world.call("steward", "DELETE", &mias, None).await.status, 204);
    assert_error(&verify(&others).await, 400, "tokenInvalid");
    world.stop().await;
}

#[tokio::test]
async fn nothing_ends_while_the_ledger_is_away() {
    let backend = Backend::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("ledger.db")).unwrap();
    let url = format!("http://{}", backend.address);
    let setup = |local| Setup {
        backend: &url,
        service_token: Some("service"),
        mode: if local { "local" } else { "observe" },
        local: local.then_some(directory.path()),
        ..Setup::default()
    };
    let request = Request::new("DELETE", &format!("/api/v3/onezone{ALL}")).token("a");
    let proxy = Proxy::with(setup(true)).await;
    assert_error(&ask(proxy.address, &request).await, 503, "ledgerUnavailable");
    assert_eq!(backend.requests().len(), 0, "the caller could not come again");
    proxy.stop().await;
    // Without a token module it is none of our business.
    let proxy = Proxy::with(setup(false)).await;
    assert_eq!(ask(proxy.address, &request).await.status, 204);
    proxy.stop().await;
}

/// The caller may have nothing left to ask with again, so what could not be done at once is done later.
#[tokio::test]
async fn what_the_ledger_could_not_end_at_once_it_ends_later() {
    let mut world = world().await;
    let token = world.issue("anna", &world.group_route()).await;
    world.proxy.take().unwrap().stop().await;
    let tables = crate::support::proxy::local_tables(world.directory.path());
    let text = tables.replace("[local]", "timeout = \"200ms\"\n[local]");
    let service = world.fixture().user("keeper").token.clone();
    let proxy = Proxy::with(Setup {
        backend: &world.onezone.url,
        service_token: Some(&service),
        mode: "local",
        more: &text,
        ..Setup::default()
    })
    .await;
    world.proxy = Some(proxy);
    // Reading goes on while somebody else holds the ledger.
    let other = rusqlite::Connection::open(world.directory.path().join("ledger.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(world.call("anna", "DELETE", ALL, None).await.status, 204);
    other.execute_batch("ROLLBACK").unwrap();
    let body = json!({ "token": token });
    wait_until("it is ended", async || {
        let answer = world.call("", "POST", "/tokens/verify_invite_token", Some(body.clone())).await;
        answer.status == 400
    })
    .await;
    world.stop().await;
}
