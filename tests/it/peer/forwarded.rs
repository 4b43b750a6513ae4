//! `X-Forwarded-For` and `Forwarded` are believed from trusted proxies only, and no client can say who it is.

use super::{OK, fronts, get, seen, trusting};
use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::Setup;

const PROXIES: &[&str] = &["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"];

#[tokio::test]
async fn the_client_is_the_first_untrusted_address_from_the_right() {
    let backend = Backend::answering(OK);
    let program = trusting(backend.address, PROXIES).start();
    for (number, (field, value, peer, forwarded)) in [
        ("X-Forwarded-For", "192.0.2.7", "192.0.2.7", "192.0.2.7, 127.0.0.1"),
        ("X-Forwarded-For", "6.6.6.6, 192.0.2.7, 10.0.0.3", "192.0.2.7", "192.0.2.7, 10.0.0.3, 127.0.0.1"),
        ("X-Forwarded-For", "[2001:db8::7]:4711", "[2001:db8::7]:4711", "2001:db8::7, 127.0.0.1"),
        ("X-Forwarded-For", "2001:db8::7, fd00::1", "2001:db8::7", "2001:db8::7, fd00::1, 127.0.0.1"),
        ("X-Forwarded-For", "192.0.2.7, nonsense", "127.0.0.1:", "127.0.0.1"),
        ("Forwarded", "for=192.0.2.7", "192.0.2.7", "192.0.2.7, 127.0.0.1"),
        ("Forwarded", "for=6.6.6.6, for=\"[2001:db8::7]:80\"", "[2001:db8::7]:80", "2001:db8::7, 127.0.0.1"),
        (
            "Forwarded",
            "for=\"6.6.6.6, for=192.0.2.7, for=10.0.0.3",
            "192.0.2.7",
            "192.0.2.7, 10.0.0.3, 127.0.0.1",
        ),
        ("Forwarded", "for=192.0.2.7, for=_hidden", "127.0.0.1:", "127.0.0.1"),
        ("Forwarded", "for=192.0.2.7, for=unknown", "127.0.0.1:", "127.0.0.1"),
    ]
    .into_iter()
    .enumerate()
    {
        let request = Request::new("GET", &format!("/{number}")).header(field, value);
        let client = seen(program.address(), &backend, &request.to_bytes()).await;
        assert_eq!(client.as_deref(), Some(forwarded), "{field}: {value}");
        assert_eq!(backend.requests().pop().unwrap().field("forwarded"), None);
        program.logged(&[&format!("path=/{number} "), &format!("peer={peer}")]);
    }
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let backend = Backend::answering(OK);
    let program = trusting(backend.address, &["10.0.0.0/8"]).start();
    let request = get()
        .header("X-Forwarded-For", "10.0.0.1")
        .header("Forwarded", "for=10.0.0.1;proto=https;host=evil")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "evil");
    assert_eq!(seen(program.address(), &backend, &request.to_bytes()).await.as_deref(), Some("127.0.0.1"));
    let received = backend.request();
    assert_eq!(received.field("x-forwarded-proto"), Some("http"));
    assert_eq!(received.field("x-forwarded-host"), Some("onezone.example.com"));
    assert_eq!(received.field("forwarded"), None);
    program.logged(&["path=/ ", "peer=127.0.0.1:"]);
}

#[tokio::test]
async fn each_request_of_a_connection_has_its_own_client() {
    let backend = Backend::answering(OK);
    let program = trusting(backend.address, PROXIES).start();
    let mut connection = Connection::to(program.address()).await;
    for client in ["192.0.2.1", "2001:db8::2", "192.0.2.3"] {
        assert_eq!(connection.ask(&get().header("X-Forwarded-For", client)).await.status, 200);
        let received = backend.requests().pop().unwrap();
        assert_eq!(received.field("x-forwarded-for"), Some(format!("{client}, 127.0.0.1").as_str()));
    }
    connection.ask(&get()).await;
    assert_eq!(backend.requests().pop().unwrap().field("x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn scheme_and_host_are_those_that_a_trusted_proxy_was_asked_for() {
    let backend = Backend::answering(OK);
    let program = trusting(backend.address, PROXIES).start();
    let said = |received: &crate::support::backend::Received| {
        let field = |name| received.field(name).unwrap().to_owned();
        (field("x-forwarded-proto"), field("x-forwarded-host"))
    };
    let own = ("http".to_owned(), "onezone.example.com".to_owned());
    let theirs = ("https".to_owned(), "a.example:8443".to_owned());
    for (request, expected) in [
        (get().header("X-Forwarded-Proto", "https").header("X-Forwarded-Host", "a.example:8443"), &theirs),
        (get().header("Forwarded", "for=192.0.2.7;proto=https;host=\"a.example:8443\""), &theirs),
        (get().header("X-Forwarded-Proto", "gopher").header("X-Forwarded-Host", "a b"), &own),
        (get(), &own),
        // The client cannot take them away either.
        (get().header("Connection", "x-forwarded-for, x-forwarded-proto, x-forwarded-host"), &own),
    ] {
        program.ask(&request).await;
        assert_eq!(said(&backend.requests().pop().unwrap()), *expected, "{request:?}");
    }
}

#[tokio::test]
async fn of_two_fields_what_both_say_is_believed() {
    let backend = Backend::answering(OK);
    let program = trusting(backend.address, PROXIES).start();
    let both = |plain: &str, standard: &str| {
        get().header("X-Forwarded-For", plain).header("Forwarded", standard).to_bytes()
    };
    for (bytes, client) in [
        (both("6.6.6.6, 192.0.2.7", "for=192.0.2.7"), "192.0.2.7, 127.0.0.1"),
        (both("192.0.2.7", "for=6.6.6.6"), "127.0.0.1"),
        (both("6.6.6.6", "for=192.0.2.7"), "127.0.0.1"),
        (both("192.0.2.7, 10.0.0.3", "for=6.6.6.6, for=10.0.0.3"), "10.0.0.3, 127.0.0.1"),
    ] {
        assert_eq!(seen(program.address(), &backend, &bytes).await.as_deref(), Some(client));
    }
}

#[tokio::test]
async fn nginx_in_front_says_who_called_it() {
    let backend = Backend::answering(OK);
    let program = trusting(backend.address, &["127.0.0.1"]).start();
    let lines = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; \
                 proxy_set_header X-Forwarded-Proto https; proxy_set_header Host $host;";
    let front = fronts::nginx(program.address(), lines);
    let mut connection = Connection::from([127, 0, 0, 7].into(), front.address).await;
    let forged = get().header("X-Forwarded-For", "6.6.6.6").header("X-Forwarded-Proto", "http");
    assert_eq!(connection.ask(&forged).await.status, 200);
    let received = backend.request();
    assert_eq!(received.field("x-forwarded-for"), Some("127.0.0.7, 127.0.0.1"));
    assert_eq!(received.field("x-forwarded-proto"), Some("https"));
    program.logged(&["path=/ ", "peer=127.0.0.7"]);

    let lines =
        "proxy_set_header Forwarded \"for=$remote_addr;proto=https\"; proxy_set_header X-Forwarded-For \"\";";
    let front = fronts::nginx(program.address(), lines);
    let mut connection = Connection::from([127, 0, 0, 8].into(), front.address).await;
    assert_eq!(connection.ask(&forged).await.status, 200);
    let received = backend.requests().pop().unwrap();
    assert_eq!(received.field("x-forwarded-for"), Some("127.0.0.8, 127.0.0.1"));
}

#[tokio::test]
async fn behind_a_proxy_header_a_second_proxy_is_believed_if_it_is_trusted() {
    let backend = Backend::answering(OK);
    let program = super::expecting(backend.address, PROXIES).start();
    for (source, client) in [("10.0.0.3", "192.0.2.7, 10.0.0.3"), ("198.51.100.1", "198.51.100.1")] {
        let header = format!("PROXY TCP4 {source} 127.0.0.1 56789 443\r\n").into_bytes();
        let request = get().header("X-Forwarded-For", "192.0.2.7").to_bytes();
        let seen = seen(program.address(), &backend, &[header, request].concat()).await;
        assert_eq!(seen.as_deref(), Some(client));
    }
}

#[tokio::test]
async fn without_trusted_proxies_nobody_is_believed() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    let bytes = get().header("X-Forwarded-For", "192.0.2.7").to_bytes();
    assert_eq!(seen(program.address(), &backend, &bytes).await.as_deref(), Some("127.0.0.1"));
}
