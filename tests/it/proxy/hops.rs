//! What belongs to one hop and is not forwarded, and what a proxy says of itself (RFC 9110 section 7.6).

use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::Setup;

use super::sorted;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

#[tokio::test]
async fn hop_by_hop_fields_of_a_request_are_not_forwarded() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    let request = Request::new("GET", "/")
        .header("Connection", "keep-alive, X-One")
        .header("Connection", "x-two,,")
        .header("Keep-Alive", "timeout=5")
        .header("Proxy-Connection", "keep-alive")
        .header("Proxy-Authorization", "Basic eDp5")
        .header("TE", "gzip")
        .header("X-One", "1")
        .header("X-Two", "2")
        .header("X-Three", "3");
    assert_eq!(program.ask(&request).await.status, 200);
    let expected = [
        "host: onezone.example.com",
        "via: 1.1 duskgate",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: onezone.example.com",
        "x-forwarded-proto: http",
        "x-three: 3",
    ];
    assert_eq!(backend.request().sorted(), expected);
}

#[tokio::test]
async fn a_client_cannot_have_our_own_fields_dropped() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    let request = Request::new("GET", "/")
        .header("Connection", "x-forwarded-for, via")
        .header("Connection", "X-Forwarded-Proto, x-forwarded-host");
    program.ask(&request).await;
    let received = backend.request();
    assert_eq!(received.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(received.field("x-forwarded-proto"), Some("http"));
    assert_eq!(received.field("x-forwarded-host"), Some("onezone.example.com"));
    assert_eq!(received.field("via"), Some("1.1 duskgate"));
}

#[tokio::test]
async fn a_client_that_takes_trailers_is_known_to() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    program
        .ask(&Request::new("GET", "/").header("TE", "gzip;q=0.5, trailers").header("Connection", "te"))
        .await;
    let received = backend.request();
    assert_eq!((received.field("te"), received.field("connection")), (Some("trailers"), Some("te")));
}

#[tokio::test]
async fn hop_by_hop_fields_of_an_answer_are_not_forwarded() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nConnection: X-One\r\nConnection: keep-alive, x-two\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: x\r\nUpgrade: h2c\r\nX-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\ncontent-length: 2\r\n\r\nhi",
    );
    let response = Setup::before(backend.address).start().ask(&Request::new("GET", "/")).await;
    assert_eq!(sorted(&response), ["content-length: 2", "x-three: 3"]);
}

#[tokio::test]
async fn forwarding_fields_are_replaced_and_via_is_appended_to() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    let request = Request::new("GET", "/")
        .header("X-Forwarded-For", "10.0.0.1, 10.0.0.2")
        .header("X-Forwarded-For", "10.0.0.3")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "elsewhere")
        .header("X-Forwarded-Port", "8443")
        .header("X-Real-IP", "10.0.0.1")
        .header("Forwarded", "for=10.0.0.1")
        .header("Via", "1.1 first, HTTP/2 second (a comment)")
        .header("Via", "1.0 third");
    program.ask(&request).await;
    let received = backend.request();
    assert_eq!(received.all("x-forwarded-for"), ["127.0.0.1"], "what a client says of itself goes nowhere");
    for field in ["x-forwarded-port", "x-real-ip", "forwarded"] {
        assert_eq!(received.field(field), None, "{field}");
    }
    assert_eq!(received.all("x-forwarded-proto"), ["http"]);
    assert_eq!(received.all("x-forwarded-host"), ["onezone.example.com"]);
    assert_eq!(received.all("via"), ["1.1 first, HTTP/2 second (a comment), 1.0 third, 1.1 duskgate"]);
}

#[tokio::test]
async fn what_the_backend_would_not_take_is_shortened_or_left_out() {
    let backend = Backend::answering(OK);
    let trusted = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]";
    let program = Setup::before(backend.address).listener(trusted).start();
    let hops: Vec<String> = (0..400).map(|hop| format!("10.0.{}.{}", hop / 100, 100 + hop % 100)).collect();
    program.ask(&Request::new("GET", "/").header("X-Forwarded-For", &hops.join(", "))).await;
    let list = backend.requests()[0].field("x-forwarded-for").unwrap().to_owned();
    assert!(list.len() <= 4096 && list.len() > 4000, "{} bytes", list.len());
    assert!(list.starts_with("10.0.0.") && list.ends_with("10.0.3.199, 127.0.0.1"), "{list}");

    let full = (0..99).fold(Request::new("GET", "/"), |request, _| request.header("X-Many", "1"));
    program.ask(&full).await;
    assert_eq!(backend.requests()[1].fields.len(), 100, "as many as came");
}

#[tokio::test]
async fn a_request_that_has_been_here_is_a_loop() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).upstream("via = \"gate-7\"").start();
    let request = |via: &str| Request::new("GET", "/").header("Via", "1.0 fred").header("Via", via);
    let response = program.ask(&request("1.1 first, 1.1 Gate-7 (us)")).await;
    assert_eq!((response.status, &response.json()["error"]["id"]), (508, &"loopDetected".into()));
    assert!(backend.requests().is_empty());
    program.logged(&["WARN", "upstream.servers leads back here"]);
    assert_eq!(program.ask(&request("1.1 gate-77, 1.1 duskgate")).await.status, 200);
    assert_eq!(backend.request().field("via"), Some("1.0 fred, 1.1 gate-77, 1.1 duskgate, 1.1 gate-7"));
}

#[tokio::test]
async fn a_proxy_that_is_its_own_backend_says_so() {
    let placeholder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let first = Setup::before(placeholder.local_addr().unwrap()).start();
    let second = Setup::before(first.address()).start();
    first.configure(&Setup::before(second.address()));
    // The listener keeps its place; only the backend changes.
    assert_eq!(first.command("/reload").await.status, 200);
    assert_eq!(first.ask(&Request::new("GET", "/")).await.status, 508);
}

#[tokio::test]
async fn an_absolute_target_is_forwarded_as_a_path() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    for (target, line) in [
        ("http://onezone.example.com/a?b", "GET /a?b HTTP/1.1"),
        ("http://ONEZONE.example.com", "GET / HTTP/1.1"),
        ("https://onezone.example.com/", "GET / HTTP/1.1"),
        ("http://onezone.example.com?b", "GET /?b HTTP/1.1"),
    ] {
        assert_eq!(program.ask(&Request::new("GET", target)).await.status, 200, "{target}");
        let received = backend.requests().pop().unwrap();
        assert_eq!(received.line, line, "{target}");
        let host = received.field("host").unwrap();
        assert!(host.eq_ignore_ascii_case("onezone.example.com"), "{target}: {host}");
    }
}

#[tokio::test]
async fn the_host_is_the_clients_own() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    for host in ["a", "[::1]:80", "onezone.example.com:8443"] {
        program.ask(&Request::new("GET", "/").header("Host", host)).await;
        assert_eq!(backend.requests().pop().unwrap().field("host"), Some(host));
    }
}

#[tokio::test]
async fn the_asterisk_form_is_forwarded() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    assert_eq!(program.ask(&Request::new("OPTIONS", "*")).await.status, 200);
    assert_eq!(backend.request().line, "OPTIONS * HTTP/1.1");
}

#[tokio::test]
async fn max_forwards_is_counted_down_and_obeyed() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    let with = |method: &str, forwards: &str| Request::new(method, "/a").header("Max-Forwards", forwards);
    for method in ["OPTIONS", "TRACE"] {
        program.ask(&with(method, "7")).await;
        assert_eq!(backend.requests().pop().unwrap().field("max-forwards"), Some("6"), "{method}");
    }
    // Of any other method it says nothing.
    program.ask(&with("GET", "0")).await;
    assert_eq!(backend.requests().pop().unwrap().field("max-forwards"), Some("0"));
    let seen = backend.requests().len();

    let response = program.ask(&with("OPTIONS", "0")).await;
    assert_eq!((response.status, response.text().as_str()), (200, ""));
    let response = program.ask(&with("TRACE", "0").token("secret").header("User-Agent", "curl")).await;
    assert_eq!((response.status, response.header("content-type")), (200, Some("message/http")));
    assert_eq!(
        response.text(),
        "TRACE /a HTTP/1.1\r\nhost: onezone.example.com\r\nmax-forwards: 0\r\nuser-agent: curl\r\n\r\n"
    );
    assert_eq!(backend.requests().len(), seen);
}

#[tokio::test]
async fn an_expectation_of_an_old_client_is_ignored() {
    let backend = Backend::answering(OK);
    let program = Setup::before(backend.address).start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab").await;
    let response = connection.read("POST").await;
    assert_eq!((response.status, response.interim.len()), (200, 0));
    assert_eq!(backend.request().text(), "ab");
}
