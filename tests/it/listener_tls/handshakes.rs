//! What is agreed on, and what is refused.

use std::time::{Duration, Instant};

use super::{NAME, OK, REQUEST, client, connect, pair, s_client, showing};
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::http::{Connection, End, Request};
use crate::support::program::{Program, Setup};

/// A proxy with TLS before a backend that greets.
fn start(backend: &Backend) -> Program {
    let authority = Authority::new();
    showing(Setup::before(backend.address), &authority, &authority.sign(&[NAME])).start()
}

#[test]
fn both_versions_are_spoken_and_authenticated() {
    let backend = Backend::answering(OK);
    let program = start(&backend);
    for (option, cipher) in
        [("-tls1_2", "ECDHE-ECDSA-AES256-GCM-SHA384"), ("-tls1_3", "TLS_AES_256_GCM_SHA384")]
    {
        let text = s_client(&program, &[option, "-servername", NAME, "-verify_hostname", NAME], REQUEST);
        assert!(text.contains(cipher), "{text}");
        assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
        assert!(text.contains("HTTP/1.1 200 OK\r\n") && text.contains("\r\n\r\nhi"), "{text}");
        // The end of the connection is said, so that nobody can cut it unseen.
        assert!(!text.contains("unexpected eof"), "{text}");
    }
    for suite in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"] {
        let text = s_client(&program, &["-tls1_2", "-cipher", suite], REQUEST);
        assert!(text.contains("HTTP/1.1 200 OK\r\n"), "{suite}: {text}");
    }
}

#[tokio::test]
async fn old_versions_and_weak_suites_are_refused() {
    let backend = Backend::answering(OK);
    let program = start(&backend);
    // Anything goes, if it were for the client: without forward secrecy, without AEAD, without either.
    let suites = ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "AES128-SHA"];
    let versions = ["-tls1", "-tls1_1"].map(|version| [version, "-cipher", "ALL:@SECLEVEL=0"]);
    let weak = suites.map(|suite| ["-tls1_2", "-cipher", suite]);
    let offers = versions.into_iter().chain(weak).collect::<Vec<_>>();
    for offer in &offers {
        let text = s_client(&program, offer, REQUEST);
        assert!(text.contains("alert"), "{offer:?} was not refused: {text}");
        assert!(!text.contains("HTTP/1.1"), "{offer:?} was served: {text}");
    }
    let refused = offers.len() as f64;
    program.reaches("duskgate_http_malformed_total", &[("reason", "tls_handshake")], refused).await;
    assert_eq!(backend.connections(), 0);
}

#[test]
fn http_1_1_is_agreed_on_and_an_unknown_protocol_refused() {
    let backend = Backend::answering(OK);
    let program = start(&backend);
    for offer in ["http/1.1", "spdy/3,http/1.1"] {
        let text = s_client(&program, &["-alpn", offer], REQUEST);
        assert!(
            text.contains("ALPN protocol: http/1.1") && text.contains("HTTP/1.1 200 OK"),
            "{offer}: {text}"
        );
    }
    let text = s_client(&program, &[], REQUEST);
    assert!(text.contains("No ALPN negotiated") && text.contains("HTTP/1.1 200 OK"), "{text}");
    for offer in ["spdy/3", "http/1.0,imap"] {
        let text = s_client(&program, &["-alpn", offer], REQUEST);
        assert!(
            text.contains("no application protocol") && !text.contains("HTTP/1.1 200"),
            "{offer}: {text}"
        );
    }
}

#[test]
fn sessions_are_resumed_by_ticket_and_without() {
    let backend = Backend::answering(OK);
    let program = start(&backend);
    let text = s_client(&program, &["-tls1_3", "-sess_out", "session.pem"], REQUEST);
    assert!(text.contains("New, TLSv1.3"), "{text}");
    let text = s_client(&program, &["-tls1_3", "-sess_in", "session.pem"], REQUEST);
    assert!(text.contains("Reused, TLSv1.3") && text.contains("HTTP/1.1 200 OK"), "{text}");
    for more in [&[][..], &["-no_ticket"]] {
        let text = s_client(&program, &[&["-tls1_2", "-reconnect"], more].concat(), REQUEST);
        assert_eq!(text.matches("Reused, TLSv1.2").count(), 5, "{more:?}: {text}");
        assert!(text.contains("HTTP/1.1 200 OK"), "{more:?}: {text}");
    }
}

#[test]
fn curl_trusts_it_and_is_answered() {
    let backend = Backend::with(|request| {
        assert_eq!(request.field("x-forwarded-proto"), Some("https"));
        OK.to_owned()
    });
    let program = start(&backend);
    let port = program.address().port();
    let output = std::process::Command::new("curl")
        .args(["-sS", "--http1.1", "--cacert", "ca.pem", "--resolve", &format!("{NAME}:{port}:127.0.0.1")])
        .args(["-w", " %{http_version} %{ssl_verify_result}", &format!("https://{NAME}:{port}/a")])
        .current_dir(program.directory())
        .output()
        .expect("curl is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "hi 1.1 0", "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn each_name_is_shown_its_certificate_and_all_others_the_first() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let names = [
        ("", "first.example"),
        ("b-", "*.wild.example"),
        ("c-", "exact.wild.example"),
        ("d-", "third.example"),
    ];
    let mut setup = Setup::before(backend.address).file("ca.pem", authority.pem.as_str());
    for (prefix, name) in names {
        setup = pair(setup, prefix, &authority.sign(&[name]));
    }
    let tables = names
        .map(|(prefix, _)| format!("{{ cert_file = \"{prefix}cert.pem\", key_file = \"{prefix}key.pem\" }}"));
    let array = setup.clone().listener(&format!("tls = [{}]", tables.join(", ")));
    let headers = names.map(|(prefix, _)| {
        format!("[[listener.tls]]\ncert_file = \"{prefix}cert.pem\"\nkey_file = \"{prefix}key.pem\"")
    });
    for setup in [array, setup.listener(&headers.join("\n"))] {
        let program = setup.start();
        for (asked, shown) in [
            ("first.example", "first.example"),
            ("a.wild.example", "*.wild.example"),
            ("A.Wild.Example", "*.wild.example"),
            // Of two that fit, the one that stands first.
            ("exact.wild.example", "*.wild.example"),
            ("third.example", "third.example"),
            ("a.b.wild.example", "first.example"),
            ("wild.example", "first.example"),
            ("unknown.example", "first.example"),
        ] {
            let text = s_client(&program, &["-servername", asked, "-verify_hostname", shown], REQUEST);
            assert!(text.contains("Verify return code: 0 (ok)"), "{asked}, {shown}: {text}");
        }
        let text = s_client(&program, &["-noservername", "-verify_hostname", "first.example"], REQUEST);
        assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
    }
}

#[tokio::test]
async fn plain_http_is_told_so_and_counted() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let setup = showing(Setup::before(backend.address), &authority, &authority.sign(&[NAME]));
    let program = setup.environment("RUST_LOG", "duskgate=debug").start();
    let mut connection = Connection::to(program.address()).await;
    connection.write(REQUEST.as_bytes()).await;
    let (text, end) = connection.rest().await;
    assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    assert_eq!(end, End::Closed);
    program.logged(&["DEBUG", "plain HTTP"]);
    assert_eq!(program.metric("duskgate_http_malformed_total", &[("reason", "plain_http")]).await, 1.0);
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn what_is_no_handshake_is_counted_and_harms_nobody() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let setup = showing(Setup::before(backend.address), &authority, &authority.sign(&[NAME]));
    let program = setup.environment("RUST_LOG", "duskgate=debug").start();
    let garbage: [&[u8]; 5] = [
        b"\x16\x03\x01\x00\x05hello",
        b"\x16\x03\x01\xff\xff\x01\x00\x00\x00",
        b"\x00\x01\x02\x03\x04",
        b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10",
        &[0x15; 64],
    ];
    for bytes in garbage {
        let mut connection = Connection::to(program.address()).await;
        connection.write(bytes).await;
        connection.finish().await;
        let (text, _) = connection.rest().await;
        assert!(!text.contains("HTTP"), "{bytes:?}: {text}");
    }
    program.logged(&["DEBUG", "listener[0]: a TLS handshake with 127.0.0.1:", "has failed"]);
    let counted = garbage.len() as f64;
    program.reaches("duskgate_http_malformed_total", &[("reason", "tls_handshake")], counted).await;
    let response = connect(&program, &client(&authority)).await.ask(&Request::new("GET", "/")).await;
    assert_eq!(response.status, 200);
    // Who goes without a word has done nothing wrong.
    drop(Connection::to(program.address()).await);
    assert_eq!(program.metric("duskgate_http_malformed_total", &[]).await, counted);
}

#[tokio::test]
async fn a_client_that_does_not_trust_us_is_counted() {
    let backend = Backend::answering(OK);
    let program = start(&backend);
    let stranger = client(&Authority::called("other"));
    assert!(Connection::secure(program.address(), NAME, &stranger).await.is_err());
    program.reaches("duskgate_http_malformed_total", &[("reason", "tls_handshake")], 1.0).await;
}

#[tokio::test]
async fn slow_handshakes_are_cut() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let setup = showing(Setup::before(backend.address), &authority, &authority.sign(&[NAME]));
    let program = setup.section("[limits]\ntls_handshake = \"300ms\"").start();
    let begin = Instant::now();
    let mut slow = Vec::new();
    for bytes in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut connection = Connection::to(program.address()).await;
        connection.write(bytes).await;
        slow.push(connection);
    }
    for mut connection in slow {
        connection.rest().await;
    }
    assert!(begin.elapsed() >= Duration::from_millis(200), "they were cut after {:?}", begin.elapsed());
    program.reaches("duskgate_limit_hits_total", &[("limit", "tls_handshake")], 3.0).await;
    program.reaches("duskgate_connections", &[], 0.0).await;
    // A connection that has shaken hands in time has its time from then on.
    let mut connection = connect(&program, &client(&authority)).await;
    assert_eq!(connection.ask(&Request::new("GET", "/")).await.status, 200);
}
