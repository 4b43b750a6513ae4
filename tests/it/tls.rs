//! TLS to the backend: whom Duskgate trusts, under which name, what it shows of itself, and what it says when one of
//! them is not taken.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustls::version::{TLS12, TLS13};

use crate::support::authority::Authority;
use crate::support::backend::{Backend, Link};
use crate::support::http::{Connection, End, Request, Response};
use crate::support::program::{Program, Setup};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

fn answer(link: &mut Link) {
    while link.request().is_some() {
        link.send(OK);
    }
}

/// A proxy in front of an https server at this host name.
fn before(backend: &Backend, host: &str) -> Setup {
    Setup::before_all([format!("https://{host}:{}", backend.address.port())])
}

fn trusting(setup: Setup, authority: &Authority) -> Setup {
    setup.file("ca.pem", authority.pem.as_str()).upstream("ca_file = \"ca.pem\"")
}

#[track_caller]
fn assert_bad_gateway(response: &Response) {
    assert_eq!((response.status, &response.json()["error"]["id"]), (502, &"badGateway".into()));
}

#[tokio::test]
async fn a_backend_that_the_ca_file_vouches_for_is_trusted() {
    let authority = Authority::new();
    for host in ["localhost", "127.0.0.1"] {
        let backend = Backend::tls(authority.server(host), move |link| {
            // The look at its health sends nothing.
            let Some(request) = link.request() else { return };
            assert_eq!(request.field("host"), Some("onezone.example.com"));
            // No name is sent for an address (RFC 6066 section 3).
            assert_eq!(link.server_name().as_deref(), (host == "localhost").then_some(host));
            link.send(OK);
            answer(link);
        });
        let program = trusting(before(&backend, host), &authority).one_thread().start();
        for _ in 0..5 {
            let response = program.ask(&Request::new("GET", "/")).await;
            assert_eq!((response.status, response.text().as_str()), (200, "hi"));
        }
        assert_eq!(backend.connections(), 1, "the connection is kept");
        assert_eq!(program.admin("/readyz").await.status, 200);
    }
}

#[tokio::test]
async fn a_large_answer_comes_through_whole() {
    const SIZE: usize = 3 << 20;
    let authority = Authority::new();
    let backend = Backend::tls(authority.server("127.0.0.1"), |link| {
        assert_eq!(link.request().unwrap().body.len(), SIZE);
        link.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n"));
        link.send(vec![b'z'; SIZE]);
    });
    let program = trusting(before(&backend, "127.0.0.1"), &authority).start();
    let response = program.ask(&Request::new("POST", "/").body(vec![b'y'; SIZE])).await;
    assert!(response.body == vec![b'z'; SIZE], "{} bytes", response.body.len());
}

#[tokio::test]
async fn server_name_is_the_name_that_counts() {
    let authority = Authority::new();
    let backend = Backend::tls(authority.server("onezone.example.org"), |link| {
        link.request();
        assert_eq!(link.server_name().as_deref(), Some("onezone.example.org"));
        link.send(OK);
    });
    let setup = before(&backend, "127.0.0.1").upstream("server_name = \"onezone.example.org\"");
    let program = trusting(setup, &authority).start();
    assert_eq!(program.ask(&Request::new("GET", "/")).await.status, 200);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_and_the_log_says_which() {
    let authority = Authority::new();
    let backend = Backend::tls(authority.server("other.example.org"), answer);
    let program = trusting(before(&backend, "localhost"), &authority).start();
    assert_bad_gateway(&program.ask(&Request::new("GET", "/").token("secret")).await);
    assert!(backend.requests().is_empty(), "the request went to a stranger");
    let line = program.logged(&["WARN", "no connection to https://localhost"]);
    assert!(line.contains("localhost") && line.contains("other.example.org"), "{line}");
    assert_eq!(program.metric("duskgate_upstream_errors_total", &[("kind", "tls")]).await, 1.0);
    assert_eq!(program.admin("/readyz").await.status, 503);
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let (trusted, other) = (Authority::called("one"), Authority::called("other"));
    let backend = Backend::tls(other.server("127.0.0.1"), answer);
    let program = trusting(before(&backend, "127.0.0.1"), &trusted).start();
    assert_bad_gateway(&program.ask(&Request::new("GET", "/")).await);
    program.logged(&["no connection to https://127.0.0.1", "UnknownIssuer"]);
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let backend = Backend::tls(authority.server_until("127.0.0.1", 2020), answer);
    let program = trusting(before(&backend, "127.0.0.1"), &authority).start();
    assert_bad_gateway(&program.ask(&Request::new("GET", "/")).await);
    program.logged(&["no connection to https://127.0.0.1", "expired"]);
}

#[tokio::test]
async fn a_certificate_of_an_authority_is_refused_and_the_log_says_what_to_do() {
    let (authority, server) = Authority::as_server("127.0.0.1");
    let backend = Backend::tls(server, answer);
    let program = trusting(before(&backend, "127.0.0.1"), &authority).start();
    assert_bad_gateway(&program.ask(&Request::new("GET", "/")).await);
    program.logged(&["no connection to https://127.0.0.1", "authority's certificate", "without CA:TRUE"]);
}

#[tokio::test]
async fn insecure_skip_verify_trusts_anyone_and_warns_at_every_start() {
    let backend = Backend::tls(Authority::new().server("other.example.org"), answer);
    let setup = before(&backend, "127.0.0.1").upstream("insecure_skip_verify = true");
    for _ in 0..2 {
        let program = setup.start();
        program.logged(&["WARN", "upstream.insecure_skip_verify is set"]);
        assert_eq!(program.ask(&Request::new("GET", "/")).await.status, 200);
    }
}

#[tokio::test]
async fn a_server_without_tls_is_a_bad_gateway() {
    let backend = Backend::new(|link| {
        link.send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        link.rest();
    });
    let program = trusting(before(&backend, "127.0.0.1"), &Authority::new()).start();
    assert_bad_gateway(&program.ask(&Request::new("GET", "/")).await);
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_no_connection() {
    let backend = Backend::new(|link| drop(link.rest()));
    let setup = before(&backend, "127.0.0.1").upstream("connect_timeout = \"200ms\"");
    let program = trusting(setup, &Authority::new()).start();
    let response = program.ask(&Request::new("GET", "/")).await;
    assert_eq!((response.status, &response.json()["error"]["id"]), (503, &"backendUnreachable".into()));
}

#[tokio::test]
async fn nothing_is_lost_to_a_tls_backend_that_closes() {
    let authority = Authority::new();
    let backend = Backend::tls(authority.server("127.0.0.1"), |link| {
        link.request();
        link.send(OK);
        if link.number.is_multiple_of(2) {
            // Read, and closed without an answer; else closed at once.
            link.request();
        } else {
            link.finish();
        }
    });
    let program = trusting(before(&backend, "127.0.0.1"), &authority).one_thread().start();
    let mut connection = Connection::to(program.address()).await;
    for number in 0..40 {
        for method in ["GET", "POST"] {
            let response = connection.ask(&Request::new(method, &format!("/{number}")).body("x")).await;
            assert_eq!(response.status, 200, "{method} {number}");
        }
    }
    let posts = backend.requests().iter().filter(|request| request.line.starts_with("POST")).count();
    assert_eq!(posts, 40, "each POST once");
}

#[tokio::test]
async fn an_answer_up_to_the_end_needs_the_end_of_tls() {
    let authority = Authority::new();
    let backend = Backend::tls(authority.server("127.0.0.1"), |link| {
        let request = link.request().unwrap();
        link.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
        if request.line.contains("whole") {
            link.finish();
        }
    });
    let program = trusting(before(&backend, "127.0.0.1"), &authority).start();
    assert_eq!(program.ask(&Request::new("GET", "/whole")).await.text(), "hello");
    let mut connection = Connection::to(program.address()).await;
    connection.write(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (text, end) = connection.rest().await;
    assert_eq!(end, End::Reset, "{text:?}");
    assert!(!text.ends_with("0\r\n\r\n"), "{text:?}");
}

#[tokio::test]
async fn an_upgraded_connection_is_tunnelled_through_tls() {
    let authority = Authority::new();
    let backend = Backend::tls(authority.server("127.0.0.1"), |link| {
        link.head();
        link.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly",
        );
        assert_eq!(link.until("ping").unwrap(), "ping");
        link.send("pong");
        link.rest();
    });
    let program = trusting(before(&backend, "127.0.0.1"), &authority).start();
    let mut connection = Connection::to(program.address()).await;
    let request = Request::new("GET", "/").header("Connection", "Upgrade").header("Upgrade", "websocket");
    assert_eq!(connection.ask(&request).await.status, 101);
    assert_eq!(connection.until("early").await, "early");
    connection.write(b"ping").await;
    assert_eq!(connection.until("pong").await, "pong");
}

#[tokio::test]
async fn a_ca_file_is_read_again_on_a_reload() {
    let (old, new) = (Authority::new(), Authority::new());
    let backend = Backend::tls(new.server("127.0.0.1"), answer);
    let program = trusting(before(&backend, "127.0.0.1"), &old).start();
    assert_bad_gateway(&program.ask(&Request::new("GET", "/")).await);
    std::fs::write(program.directory().join("ca.pem"), &new.pem).unwrap();
    assert_eq!(program.command("/reload").await.status, 200);
    assert_eq!(program.ask(&Request::new("GET", "/")).await.status, 200);
}

/// Asks until the answer has this status.
async fn becomes(program: &Program, status: u16) -> Response {
    let begin = Instant::now();
    loop {
        let response = program.ask(&Request::new("GET", "/")).await;
        if response.status == status {
            return response;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "it stays {}", response.status);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn changed_files_are_in_use_soon_and_pooled_connections_let_go() {
    let (old, new, clients) = (Authority::new(), Authority::new(), Authority::new());
    let backend = Backend::tls(new.server_for("127.0.0.1", &clients), answer);
    let signed = clients.sign(&["duskgate"]);
    let setup = trusting(before(&backend, "127.0.0.1"), &old).one_thread();
    let setup = setup.file("cert.pem", signed.certificate.as_str()).file("key.pem", signed.key.as_str());
    let keys = "client_cert_file = \"cert.pem\"\nclient_key_file = \"key.pem\"";
    let program = setup.upstream(keys).start();
    assert_bad_gateway(&program.ask(&Request::new("GET", "/")).await);
    std::fs::write(program.directory().join("ca.pem"), &new.pem).unwrap();
    becomes(&program, 200).await;

    // A bad file changes nothing, and a pooled connection goes on.
    let open = backend.connections();
    std::fs::write(program.directory().join("ca.pem"), "nonsense").unwrap();
    program.logged(&["WARN", "TLS with the backend goes on with its old certificates", "ca.pem"]);
    assert_eq!(program.ask(&Request::new("GET", "/")).await.status, 200);
    assert_eq!(backend.connections(), open);
    // One that is for another backend lets the pooled connection go.
    std::fs::write(program.directory().join("ca.pem"), &old.pem).unwrap();
    assert_bad_gateway(&becomes(&program, 502).await);
    std::fs::write(program.directory().join("ca.pem"), &new.pem).unwrap();
    becomes(&program, 200).await;

    // Our own certificate, and one that the backend does not take.
    let stranger = Authority::called("stranger").sign(&["duskgate"]);
    std::fs::write(program.directory().join("key.pem"), &stranger.key).unwrap();
    std::fs::write(program.directory().join("cert.pem"), &stranger.certificate).unwrap();
    assert_bad_gateway(&becomes(&program, 502).await);
    program.logged(&["WARN", "https://127.0.0.1", "alert", "UnknownCA"]);
}

#[tokio::test]
async fn a_backend_that_asks_who_we_are_is_shown_our_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let signed = clients.sign(&["duskgate"]);
    for version in [&TLS12, &TLS13] {
        let config = authority.server_for_in("127.0.0.1", &clients, &[version]);
        let backend = Backend::tls(config, answer);
        let setup = trusting(before(&backend, "127.0.0.1"), &authority);
        // Without one the backend says what is missing, and so does the log.
        let program = setup.start();
        let response = program.ask(&Request::new("POST", "/").token("secret").body("a")).await;
        assert_bad_gateway(&response);
        assert!(backend.requests().is_empty());
        program.logged(&["WARN", "https://127.0.0.1", "alert", "Certificate"]);
        assert_eq!(program.metric("duskgate_upstream_errors_total", &[("kind", "tls")]).await, 1.0);

        let setup = setup.file("cert.pem", signed.certificate.as_str()).file("key.pem", signed.key.as_str());
        let keys = "client_cert_file = \"cert.pem\"\nclient_key_file = \"key.pem\"";
        let program = setup.upstream(keys).start();
        assert_eq!(program.ask(&Request::new("POST", "/").body("a")).await.status, 200);
    }
}

#[tokio::test]
async fn sessions_with_the_backend_are_resumed() {
    static RESUMED: Mutex<Vec<bool>> = Mutex::new(Vec::new());
    let authority = Authority::new();
    let backend = Backend::tls(authority.server("localhost"), |link| {
        if link.request().is_some() {
            RESUMED.lock().unwrap().push(link.is_resumed());
            link.send(OK);
        }
    });
    let program = trusting(before(&backend, "localhost"), &authority).one_thread().start();
    for _ in 0..4 {
        assert_eq!(program.ask(&Request::new("POST", "/").body("a")).await.status, 200);
    }
    assert_eq!(*RESUMED.lock().unwrap(), [false, true, true, true]);
}

#[test]
fn our_own_certificate_must_be_one() {
    let setup = Setup::before_all(["https://127.0.0.1:1".to_owned()]);
    let setup = setup.file("key.pem", Authority::new().sign(&["a"]).key.as_str());
    for (lines, text) in [
        ("client_cert_file = \"key.pem\"", "upstream.client_key_file: missing"),
        ("client_key_file = \"key.pem\"", "upstream.client_cert_file: missing"),
        (
            "client_cert_file = \"key.pem\"\nclient_key_file = \"key.pem\"",
            "upstream.client_cert_file: no certificate in PEM form in it",
        ),
    ] {
        let (code, said) = setup.clone().upstream(lines).fail();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(text), "{said}");
    }
}

#[test]
fn certificates_that_cannot_be_read_stop_the_start() {
    let setup = Setup::before_all(["https://127.0.0.1:1".to_owned()]).upstream("ca_file = \"ca.pem\"");
    let (code, text) = setup.clone().fail();
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("upstream.ca_file") && text.contains("ca.pem"), "{text}");
    let (code, text) = setup.file("ca.pem", "no certificate").fail();
    assert_eq!(code, Some(2), "{text}");
}
