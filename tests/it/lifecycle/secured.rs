//! Nothing is dropped with TLS and HTTP/2 either: not by reloads, not by new certificates, not by an upgrade or a stop.

use std::time::Instant;

use crate::support::authority::{Authority, Signed};
use crate::support::backend::Backend;
use crate::support::http::Request;
use crate::support::load::{Target, under_load};
use crate::support::program::{Program, Setup};

use super::OK;
use super::dropped::{Successor, assert_nothing_failed};

const NAME: &str = "onezone.example.com";
const NOT_AFTER: &str = "duskgate_tls_certificate_not_after_timestamp_seconds";

struct Stand {
    authority: Authority,
    setup: Setup,
    program: Program,
    _backend: Backend,
}

impl Stand {
    fn new() -> Self {
        let backend = Backend::answering(OK);
        let authority = Authority::new();
        let signed = authority.sign_until(&[NAME], 2031);
        let setup = Setup::before(backend.address)
            .file("cert.pem", signed.certificate.as_str())
            .file("key.pem", signed.key.as_str())
            .listener("tls = { cert_file = \"cert.pem\", key_file = \"key.pem\" }")
            .section("[limits]\ndrain = \"8s\"");
        let program = setup.start();
        Stand { authority, setup, program, _backend: backend }
    }

    fn target(&self) -> Target {
        Target::secure(self.program.address(), NAME, self.authority.client())
    }

    /// Puts another certificate in the place of the one that is there.
    fn write(&self, signed: &Signed) {
        let directory = self.program.directory();
        std::fs::write(directory.join("key.pem"), &signed.key).unwrap();
        std::fs::write(directory.join("cert.pem"), &signed.certificate).unwrap();
    }
}

#[tokio::test]
async fn reloads_and_new_certificates_fail_nothing_and_close_nothing() {
    let stand = Stand::new();
    let program = &stand.program;
    let tally = under_load(stand.target(), async |tally| {
        for year in 2032..2036 {
            tally.more(40).await;
            stand.write(&stand.authority.sign_until(&[NAME], year));
            let before = program.metric(NOT_AFTER, &[]).await;
            let begin = Instant::now();
            while program.metric(NOT_AFTER, &[]).await == before {
                assert!(begin.elapsed().as_secs() < 60, "the certificate is not taken up: {}", program.log());
                tally.more(1).await;
            }
            let other = stand.setup.clone().upstream("connect_timeout = \"4s\"");
            program.configure(if year % 2 == 0 { &other } else { &stand.setup });
            assert_eq!(program.command("/reload").await.status, 200);
        }
        tally.more(40).await;
    });
    let tally = tally.await;
    assert_nothing_failed(&tally);
    assert_eq!(tally.told.get(), 0, "a connection was closed");
}

#[tokio::test]
async fn an_upgrade_fails_nothing_and_tells_kept_connections() {
    let mut stand = Stand::new();
    let tally = under_load(stand.target(), async |tally| {
        tally.more(60).await;
        stand.program.signal("USR2");
        let begin = Instant::now();
        while !stand.program.log().contains("has taken over") {
            assert!(begin.elapsed().as_secs() < 60, "nobody takes over");
            tally.more(1).await;
        }
        tally.more(100).await;
    });
    let tally = tally.await;
    let successor = Successor::of(&stand.program);
    assert_nothing_failed(&tally);
    // Two that keep their HTTP/1.1 connection with each method, and two of HTTP/2.
    assert!(tally.told.get() >= 6, "only {} kept connections were told", tally.told.get());
    assert_eq!(stand.program.ended().code(), Some(0));
    let mut connection = crate::support::http::Connection::secure(
        stand.program.address(),
        NAME,
        &stand.authority.client().into(),
    )
    .await
    .unwrap();
    assert_eq!(connection.ask(&Request::new("GET", "/")).await.status, 200);
    successor.signal("TERM");
}

#[tokio::test]
async fn a_stop_answers_what_has_begun() {
    for _ in 0..4 {
        let mut stand = Stand::new();
        let tally = under_load(stand.target(), async |tally| {
            tally.more(60).await;
            // From here on nothing begins any more; what has begun ends, connections under way too.
            tally.stop();
            stand.program.signal("TERM");
        });
        let tally = tally.await;
        assert_nothing_failed(&tally);
        assert_eq!(stand.program.ended().code(), Some(0));
    }
}

#[tokio::test]
async fn a_stop_waits_for_the_preface_of_a_connection_that_has_just_agreed_on_http2() {
    let mut stand = Stand::new();
    let stream = stand.target().agree_on_h2().await.unwrap();
    stand.program.signal("TERM");
    stand.program.logged(&["stopping"]);
    let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
    let request = http::Request::get("https://onezone.example.com/").body(()).unwrap();
    let (response, _) = requests.send_request(request, true).unwrap();
    tokio::spawn(connection);
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(stand.program.ended().code(), Some(0));
}
