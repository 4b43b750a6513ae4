//! The files of certificates: bad ones stop the start, changed ones are taken up without a signal, and nobody notices.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;

use super::{NAME, OK, client, connect, pair, showing};
use crate::support::authority::{Authority, Signed};
use crate::support::backend::Backend;
use crate::support::http::Request;
use crate::support::program::{Program, Setup};

const PATIENCE: Duration = Duration::from_secs(20);
const NOT_AFTER: &str = "duskgate_tls_certificate_not_after_timestamp_seconds";

/// The certificate that a new connection is shown.
async fn shown(program: &Program, config: &Arc<ClientConfig>) -> CertificateDer<'static> {
    let stream = TcpStream::connect(program.address()).await.unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::clone(config)).connect(name, stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

/// A client that asks for the certificate each time.
fn forgetful(authority: &Authority) -> Arc<ClientConfig> {
    let mut config = authority.client();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// Waits until new connections are shown this certificate; how long that took.
async fn taken_up(program: &Program, config: &Arc<ClientConfig>, signed: &Signed) -> Duration {
    let begin = Instant::now();
    while shown(program, config).await != signed.chain()[0] {
        assert!(begin.elapsed() < PATIENCE, "the certificate is not taken up: {}", program.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    begin.elapsed()
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).unwrap();
}

/// Puts a file in another's place, as certbot does.
fn replace(directory: &Path, name: &str, text: &str) {
    write(directory, "next", text);
    std::fs::rename(directory.join("next"), directory.join(name)).unwrap();
}

#[tokio::test]
async fn changed_files_are_in_use_soon_and_open_connections_stay() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let [first, second, third] = [2031, 2032, 2033].map(|year| authority.sign_until(&[NAME], year));
    let program = showing(Setup::before(backend.address), &authority, &first).start();
    let config = forgetful(&authority);
    let mut open = connect(&program, &config).await;
    assert_eq!(open.ask(&Request::new("GET", "/")).await.status, 200);
    assert_eq!(shown(&program, &config).await, first.chain()[0]);
    // 2031-01-01.
    assert_eq!(program.metric(NOT_AFTER, &[]).await, 1_924_992_000.0);

    // The certificate first, its key later: until both are there, the old pair goes on.
    replace(program.directory(), "cert.pem", &second.certificate);
    let line = program.logged(&["WARN", "listener[0] goes on with its old certificate"]);
    assert!(line.contains("not the key of the first certificate in") && line.contains("key.pem"), "{line}");
    assert_eq!(shown(&program, &config).await, first.chain()[0]);
    replace(program.directory(), "key.pem", &second.key);
    println!("in use after {:?}", taken_up(&program, &config, &second).await);
    program.logged(&["INFO", "listener[0] has a new certificate", "valid until 2032-01-01T00:00:00Z"]);
    assert_eq!(program.metric(NOT_AFTER, &[]).await, 1_956_528_000.0);

    // The key first, both written in place.
    write(program.directory(), "key.pem", &third.key);
    write(program.directory(), "cert.pem", &third.certificate);
    println!("in use after {:?}", taken_up(&program, &config, &third).await);
    assert_eq!(open.ask(&Request::new("GET", "/")).await.status, 200, "the first connection stays");
}

#[tokio::test]
async fn a_symbolic_link_that_leads_elsewhere_is_a_change() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let (old, new) = (authority.sign(&[NAME]), authority.sign(&[NAME]));
    // As Kubernetes mounts a secret: one link for the whole directory is swapped.
    let directory = tempfile::tempdir().unwrap();
    for (name, signed) in [("one", &old), ("two", &new)] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
        write(&directory.path().join(name), "tls.crt", &signed.certificate);
        write(&directory.path().join(name), "tls.key", &signed.key);
    }
    symlink("one", directory.path().join("..data")).unwrap();
    symlink("..data/tls.crt", directory.path().join("tls.crt")).unwrap();
    symlink("..data/tls.key", directory.path().join("tls.key")).unwrap();
    let at = directory.path().display();
    let line = format!("tls = {{ cert_file = \"{at}/tls.crt\", key_file = \"{at}/tls.key\" }}");
    let program = Setup::before(backend.address).listener(&line).start();
    let config = forgetful(&authority);
    assert_eq!(shown(&program, &config).await, old.chain()[0]);
    symlink("two", directory.path().join("..tmp")).unwrap();
    std::fs::rename(directory.path().join("..tmp"), directory.path().join("..data")).unwrap();
    taken_up(&program, &config, &new).await;
}

#[tokio::test]
async fn bad_new_files_leave_the_old_certificate_and_are_told_once() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let (old, new) = (authority.sign(&[NAME]), authority.sign(&[NAME]));
    let program = showing(Setup::before(backend.address), &authority, &old).start();
    let config = forgetful(&authority);
    let goes_on = "listener[0] goes on with its old certificate";
    write(program.directory(), "cert.pem", "nonsense");
    program.logged(&["WARN", goes_on, "no certificate in PEM form in it", "cert.pem"]);
    assert_eq!(shown(&program, &config).await, old.chain()[0]);
    std::fs::remove_file(program.directory().join("cert.pem")).unwrap();
    program.logged(&["WARN", goes_on, "cannot read", "cert.pem"]);
    assert_eq!(shown(&program, &config).await, old.chain()[0]);
    assert_eq!(program.command("/reload").await.status, 422, "a reload is all or nothing");
    assert_eq!(shown(&program, &config).await, old.chain()[0]);
    write(program.directory(), "cert.pem", &new.certificate);
    write(program.directory(), "key.pem", &new.key);
    taken_up(&program, &config, &new).await;
    let log = program.log();
    for reason in ["no certificate in PEM form", "cannot read"] {
        let lines = log.lines().filter(|line| line.contains(goes_on) && line.contains(reason));
        assert_eq!(lines.count(), 1, "{reason}: {log}");
    }
}

#[tokio::test]
async fn a_signal_takes_them_up_at_once() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let (old, new) = (authority.sign(&[NAME]), authority.sign(&[NAME]));
    let setup = pair(showing(Setup::before(backend.address), &authority, &old), "other-", &new);
    let program = setup.start();
    let config = forgetful(&authority);
    // Other files, under the same listener.
    let text = std::fs::read_to_string(program.config_file()).unwrap();
    let text = text.replace("\"cert.pem\"", "\"other-cert.pem\"").replace("\"key.pem\"", "\"other-key.pem\"");
    std::fs::write(program.config_file(), text).unwrap();
    assert_eq!(program.command("/reload").await.status, 200);
    assert_eq!(shown(&program, &config).await, new.chain()[0]);
    // The same ones again, written meanwhile.
    replace(program.directory(), "other-key.pem", &old.key);
    replace(program.directory(), "other-cert.pem", &old.certificate);
    assert_eq!(program.command("/reload").await.status, 200);
    assert_eq!(shown(&program, &config).await, old.chain()[0]);
    // They are watched from now on.
    replace(program.directory(), "other-key.pem", &new.key);
    replace(program.directory(), "other-cert.pem", &new.certificate);
    taken_up(&program, &config, &new).await;
}

#[tokio::test]
async fn changes_under_load_cost_no_request() {
    const CHANGES: usize = 3;
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let first = authority.sign(&[NAME]);
    let program = Arc::new(showing(Setup::before(backend.address), &authority, &first).start());
    let (config, over, answered) =
        (client(&authority), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = |is_kept: bool| {
        let (program, config) = (Arc::clone(&program), Arc::clone(&config));
        let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
        tokio::spawn(async move {
            let mut connection = connect(&program, &config).await;
            while !over.load(Ordering::Relaxed) {
                if !is_kept {
                    connection = connect(&program, &config).await;
                }
                assert_eq!(connection.ask(&Request::new("GET", "/")).await.status, 200);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let loads: Vec<_> = (0..8).map(|number| load(number % 2 == 0)).collect();
    let forgetful = forgetful(&authority);
    for _ in 0..CHANGES {
        let next = authority.sign(&[NAME]);
        replace(program.directory(), "key.pem", &next.key);
        replace(program.directory(), "cert.pem", &next.certificate);
        println!("in use after {:?}", taken_up(&program, &forgetful, &next).await);
    }
    over.store(true, Ordering::Relaxed);
    for load in loads {
        load.await.unwrap();
    }
    println!("{} requests during {CHANGES} changes", answered.load(Ordering::Relaxed));
    assert_eq!(program.metric("duskgate_http_malformed_total", &[]).await, 0.0);
}

#[test]
fn files_that_make_no_certificate_stop_the_start_by_name() {
    let authority = Authority::new();
    let (good, other) = (authority.sign(&[NAME]), authority.sign(&[NAME]));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old_encrypted = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n\
                         MIIB\n-----END EC PRIVATE KEY-----\n";
    let setup = || {
        Setup::before_all(["http://127.0.0.1:1".to_owned()])
            .listener("tls = { cert_file = \"cert.pem\", key_file = \"key.pem\" }")
    };
    let both = |certificate: &str, key: &str| setup().file("cert.pem", certificate).file("key.pem", key);
    for (setup, texts) in [
        (setup(), ["tls.cert_file: cannot read", "cert.pem"]),
        (setup().file("cert.pem", good.certificate.as_str()), ["tls.key_file: cannot read", "key.pem"]),
        (both("nonsense", &good.key), ["tls.cert_file: no certificate in PEM form in it", "cert.pem"]),
        (both(&good.key, &good.key), ["tls.cert_file: no certificate in PEM form in it", "cert.pem"]),
        (
            both("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", &good.key),
            ["tls.cert_file: not certificates in PEM form", "cert.pem"],
        ),
        (both(&good.certificate, "nonsense"), ["tls.key_file: no private key in PEM form", "key.pem"]),
        (
            both(&good.certificate, &other.key),
            ["tls.key_file: not the key of the first certificate", "key.pem"],
        ),
        (both(&good.certificate, encrypted), ["tls.key_file: the key is encrypted", "openssl pkey"]),
        (both(&good.certificate, old_encrypted), ["tls.key_file: the key is encrypted", "openssl pkey"]),
    ] {
        let (code, text) = setup.fail();
        assert_eq!(code, Some(2), "{text}");
        assert!(
            texts.iter().all(|part| text.contains(part)) && text.contains("duskgate.toml:"),
            "{texts:?}: {text}"
        );
        assert!(!text.contains("MIIB"), "what is in a file does not belong into a message: {text}");
    }
}

#[tokio::test]
async fn what_is_strange_about_files_is_told_at_the_start() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let setup = showing(Setup::before(backend.address), &authority, &authority.sign_until(&[NAME], 2020));
    let program = setup.start();
    program.logged(&[
        "WARN",
        "listener[0]: the certificate in",
        "cert.pem has expired: 2020-01-01T00:00:00Z",
    ]);
    // 2020-01-01.
    assert_eq!(program.metric(NOT_AFTER, &[]).await, 1_577_836_800.0);
    program.logged(&[
        "WARN",
        "listener[0]: everybody on this machine can read the private key in",
        "key.pem",
    ]);

    let program = showing(Setup::before(backend.address), &authority, &authority.sign(&[NAME])).start();
    let key = program.directory().join("key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let before = program.log().matches("can read the private key").count();
    assert_eq!(program.command("/reload").await.status, 200);
    assert_eq!(program.log().matches("can read the private key").count(), before, "{}", program.log());
}

#[tokio::test]
async fn the_first_of_several_to_expire_is_told_for_each_listener() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let setup = pair(Setup::before(backend.address), "a-", &authority.sign_until(&["a.example"], 2040));
    let setup = pair(setup, "b-", &authority.sign_until(&["b.example"], 2035));
    let lines = "[[listener]]\naddress = \"127.0.0.1:0\"\n\
                 tls = [{ cert_file = \"a-cert.pem\", key_file = \"a-key.pem\" }, { cert_file = \"b-cert.pem\", key_file = \"b-key.pem\" }]";
    let program = setup.section(lines).start();
    let [plain, secure] = program.listeners[..] else { panic!("two listeners") };
    assert_eq!(program.metric(NOT_AFTER, &[("listener", &plain.to_string())]).await, 0.0);
    // 2035-01-01.
    assert_eq!(program.metric(NOT_AFTER, &[("listener", &secure.to_string())]).await, 2_051_222_400.0);
}
