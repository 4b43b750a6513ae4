//! What mode `rewrite` does behind a caller's back: what a call costs the backend, what becomes of a token that nobody
//! receives, and what happens where the newer API is missing. What callers see is in `differential`.

use std::time::Duration;

use duskgate::sandbox::{self, Sandbox};
use serde_json::{Value, json};

use crate::support::http::{Connection, Request, Response, ask};
use crate::support::proxy::{Proxy, Setup};
use crate::support::relay::Relay;

const CREATE: &str = "POST /user/tokens/named";
const CALLS: &str = "duskgate_deprecated_requests_total";

async fn onezone() -> Sandbox {
    sandbox::start(sandbox::Settings { legacy: false, ..Default::default() }).await.unwrap()
}

async fn proxy(backend: &str) -> Proxy {
    Proxy::with(Setup { backend, ..Setup::default() }).await
}

fn id_of<'a>(onezone: &'a Sandbox, group: &'a str) -> &'a str {
    let known = onezone.fixture.groups.iter().find(|team| team.name == group);
    known.map_or(group, |team| &team.id)
}

/// The call, with the credentials of a user, or of nobody if that is empty.
fn invite(onezone: &Sandbox, who: &str, group: &str) -> Request {
    let request =
        Request::new("POST", &format!("/api/v3/onezone/groups/{}/users/token", id_of(onezone, group)));
    match who {
        "" => request,
        "garbage" => request.token("garbage"),
        _ => request.token(&onezone.fixture.user(who).token),
    }
}

async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), waiting).await.is_ok(), "in vain: {what}");
}

#[tokio::test]
async fn a_call_costs_the_backend_no_more_than_this() {
    let onezone = onezone().await;
    let service = &onezone.fixture.user("service").token;
    let read = |group: &str| format!("GET /groups/{}", id_of(&onezone, group));
    let setup = Setup { backend: &onezone.url, service_token: Some(service), ..Setup::default() };
    let proxy = Proxy::with(setup).await;
    let create = || CREATE.to_owned();
    for (who, group, body, status, expected) in [
        // Who cannot read the name: the service token does.
        ("inviter", "developers", "", 200, vec![read("developers"), read("developers"), create()]),
        ("inviter", "developers", "", 200, vec![create()]),
        ("anna", "developers", "", 200, vec![create()]),
        ("anna", "Physics collaboration 2020", "", 200, vec![read("Physics collaboration 2020"), create()]),
        ("anna", "Physics collaboration 2020", "", 200, vec![create()]),
        ("anna", "missing", "", 404, vec![read("missing")]),
        ("", "missing", "", 404, vec![read("missing")]),
        ("", "leads", "", 401, vec![read("leads")]),
        ("garbage", "leads", "", 401, vec![read("leads")]),
        ("garbage", "developers", "", 401, vec![create()]),
        ("ben", "developers", "", 403, vec![create()]),
        ("anna", "developers", "[]", 400, vec![create()]),
        ("anna", "developers", "{", 400, vec![create()]),
        ("", "developers", "", 401, vec![read("developers")]),
        ("", "developers", "[]", 401, vec![read("developers")]),
        ("anna", "missing", "[]", 404, vec![create()]),
    ] {
        let mut request = invite(&onezone, who, group);
        if !body.is_empty() {
            request = request.json(body);
        }
        let response = ask(proxy.address, &request).await;
        let requests: Vec<_> =
            onezone.take_requests().iter().map(|line| line.replace(" /api/v3/onezone", " ")).collect();
        assert_eq!((response.status, requests), (status, expected), "{who:?} to {group} with {body:?}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_clash_of_names_is_never_seen() {
    let onezone = onezone().await;
    let proxy = proxy(&onezone.url).await;
    let before = onezone.tokens().len();
    onezone.occupy_next_names(3);
    assert_eq!(ask(proxy.address, &invite(&onezone, "anna", "developers")).await.status, 200);
    assert_eq!(onezone.tokens().len(), before + 1);
    let creations = onezone.requests().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(creations, 4);
    proxy.stop().await;
}

#[tokio::test]
async fn a_caller_never_sees_that_names_are_taken() {
    let onezone = onezone().await;
    let proxy = proxy(&onezone.url).await;
    let token = &onezone.fixture.user("anna").token;
    let access_token = Request::new("POST", "/api/v3/onezone/user/client_tokens").token(token);
    for request in [invite(&onezone, "anna", "developers"), access_token] {
        onezone.occupy_next_names(5);
        let response = ask(proxy.address, &request).await;
        assert_eq!((response.status, error_of(&response)["id"].as_str()), (503, Some("temporaryFailure")));
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_repeat_is_refused_for_its_accept_as_the_first_call_would_be() {
    let onezone = onezone().await;
    let proxy = proxy(&onezone.url).await;
    let call = || invite(&onezone, "anna", "developers").header("Idempotency-Key", "once");
    let first = ask(proxy.address, &call()).await;
    assert_eq!(first.status, 200);
    for (accept, status) in [("text/html", 406), ("zz", 400), ("application/*", 200), ("*/*", 200)] {
        let repeat = ask(proxy.address, &call().header("Accept", accept)).await;
        assert_eq!(repeat.status, status, "{accept}");
        assert_eq!(repeat.body == first.body, status == 200, "{accept}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn of_fifty_joins_at_once_one_succeeds() {
    let onezone = onezone().await;
    let proxy = proxy(&onezone.url).await;
    let invited = ask(proxy.address, &invite(&onezone, "anna", "developers")).await;
    let token = json!({ "token": invited.json()["token"] });
    let join = |number: usize| {
        let who = ["dan", "inviter", "service", "admin"][number % 4];
        let request = Request::new("POST", "/api/v3/onezone/user/groups/join");
        let request = request.token(&onezone.fixture.user(who).token).json(&token);
        let address = proxy.address;
        tokio::spawn(async move { ask(address, &request).await })
    };
    let joins: Vec<_> = (0..50).map(join).collect();
    let mut statuses = Vec::new();
    for answer in joins {
        let response = answer.await.unwrap();
        if response.status != 201 {
            assert_eq!(response.json()["error"]["id"], "inviteTokenUsageLimitReached", "{response:?}");
        }
        statuses.push(response.status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [&[201][..], &[400; 49]].concat());
    proxy.stop().await;
}

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_no_token_behind() {
    let onezone = onezone().await;
    let proxy = proxy(&onezone.url).await;
    let before = onezone.tokens().len();
    onezone.delay(CREATE, Duration::from_millis(300));
    let mut connection = Connection::to(proxy.address).await;
    connection.write(&invite(&onezone, "anna", "developers").to_bytes()).await;
    wait_until("the token is created", || onezone.tokens().len() > before).await;
    drop(connection);
    wait_until("the token is deleted", || onezone.tokens().len() == before).await;
    assert!(onezone.requests().last().is_some_and(|line| line.starts_with("DELETE ")));
    proxy.stop().await;
}

#[tokio::test]
async fn many_callers_who_hang_up_leave_no_token_behind() {
    let onezone = onezone().await;
    let proxy = proxy(&onezone.url).await;
    let before = onezone.tokens().len();
    onezone.delay(CREATE, Duration::from_millis(500));
    let mut connections = Vec::new();
    for _ in 0..40 {
        let mut connection = Connection::to(proxy.address).await;
        connection.write(&invite(&onezone, "anna", "developers").to_bytes()).await;
        connections.push(connection);
    }
    wait_until("the tokens are created", || onezone.tokens().len() == before + 40).await;
    drop(connections);
    wait_until("the tokens are deleted", || onezone.tokens().len() == before).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_creation_that_times_out_leaves_no_token_behind() {
    let onezone = onezone().await;
    let setup = Setup { backend: &onezone.url, upstream: "response_timeout = \"300ms\"", ..Setup::default() };
    let proxy = Proxy::with(setup).await;
    onezone.delay(CREATE, Duration::from_secs(2));
    assert_cleared(&onezone, proxy, 504, "backendTimeout").await;
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_leaves_no_token_behind() {
    let onezone = onezone().await;
    let relay = Relay::start(onezone.address, "POST /api/v3/onezone/user/tokens/named").await;
    let proxy = proxy(&relay.url).await;
    assert_cleared(&onezone, proxy, 502, "badGateway").await;
}

/// Asserts that a call fails so, and that the token that was created nevertheless is looked for by its name and deleted.
async fn assert_cleared(onezone: &Sandbox, proxy: Proxy, status: u16, id: &str) {
    let before = onezone.tokens().len();
    let response = ask(proxy.address, &invite(onezone, "anna", "developers")).await;
    assert_eq!((response.status, &response.json()["error"]["id"]), (status, &json!(id)));
    assert_eq!(response.header("deprecation"), Some("@1590969600"));
    let is_deleted = || onezone.requests().iter().any(|line| line.starts_with("DELETE "));
    wait_until("the token is deleted", || is_deleted() && onezone.tokens().len() == before).await;
    let requests = onezone.requests();
    let methods: Vec<_> = requests.iter().filter_map(|line| line.split_once(' ')).collect();
    assert_eq!(
        methods.iter().map(|(method, _)| *method).collect::<Vec<_>>(),
        ["GET", "POST", "GET", "DELETE"]
    );
    assert!(
        methods[2].1.starts_with("/api/v3/onezone/user/tokens/named/name/user%20invite%20to%20group%20-%20")
    );
    proxy.stop().await;
}

#[tokio::test]
async fn a_backend_without_the_token_api_is_a_bad_gateway() {
    let onezone = sandbox::start(sandbox::Settings { token_api: false, ..Default::default() }).await.unwrap();
    let proxy = proxy(&onezone.url).await;
    let response = ask(proxy.address, &invite(&onezone, "anna", "developers")).await;
    assert_eq!(response.status, 502);
    assert_eq!(response.json()["error"]["id"], "badGateway");
    assert_eq!(response.json()["error"]["details"]["cause"], "tokenApiMissing");
    assert_eq!(response.json()["error"]["details"]["operation"], "create_user_group_invite_token");
    assert_eq!(counts(&proxy).await, [("rewrite".to_owned(), "502".to_owned(), 1)]);
    proxy.stop().await;
}

#[tokio::test]
async fn where_the_token_api_is_missing_the_fallback_serves() {
    let onezone = sandbox::start(sandbox::Settings { token_api: false, ..Default::default() }).await.unwrap();
    let more = "[[operation]]\nid = \"create_user_group_invite_token\"\nfallback = [\"observe\"]\n";
    let proxy = Proxy::with(Setup { backend: &onezone.url, more, ..Setup::default() }).await;
    let direct = onezone.address;
    for (who, body) in [("anna", ""), ("anna", "{}"), ("anna", "[]"), ("anna", "{"), ("ben", ""), ("", "")] {
        let mut request = invite(&onezone, who, "developers");
        if !body.is_empty() {
            request = request.json(body);
        }
        let (through, straight) = (ask(proxy.address, &request).await, ask(direct, &request).await);
        assert_eq!(through.status, straight.status, "{who} {body}");
        assert_eq!(error_of(&through), error_of(&straight), "{who} {body}");
    }
    // Nobody gets as far as to the newer API.
    let expected =
        [("observe", "200", 2), ("observe", "400", 2), ("observe", "403", 1), ("rewrite", "401", 1)];
    let expected = expected.map(|(mode, code, count)| (mode.to_owned(), code.to_owned(), count));
    assert_eq!(counts(&proxy).await, expected);
    proxy.stop().await;
}

fn error_of(response: &Response) -> Value {
    response.json()["error"].clone()
}

/// Mode, code and number of the calls so far.
async fn counts(proxy: &Proxy) -> Vec<(String, String, u64)> {
    let label = |labels: &str, name: &str| {
        let (_, rest) = labels.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let counts = proxy.metrics().await.counts(CALLS).into_iter();
    counts
        .filter_map(|(labels, count)| Some((label(&labels, "mode")?, label(&labels, "code")?, count)))
        .collect()
}
