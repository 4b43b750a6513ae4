//! Real peers: curl, nghttp and h2load in front, nginx behind.

use std::net::SocketAddr;
use std::process::Command;

use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::nginx::Nginx;
use crate::support::program::Setup;

/// What a command prints to stdout; it must succeed.
fn run(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).env("no_proxy", "*").output();
    let output =
        output.unwrap_or_else(|error| panic!("{command}: {error} (Debian packages curl, nghttp2-client)"));
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command} {arguments:?}: {out} {error}");
    out.into_owned()
}

fn url(address: SocketAddr, path: &str) -> String {
    format!("http://{address}{path}")
}

#[tokio::test]
async fn curl_speaks_http_2_by_prior_knowledge_and_gets_no_upgrade() {
    let backend = Backend::with(|request| {
        let upgrade = request.all("upgrade").len() + request.all("http2-settings").len();
        let body = format!("{upgrade} {}", request.body.len());
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    });
    let program = Setup::before(backend.address).start();
    let url = url(program.address(), "/");
    let told = ["-sS", "--max-time", "20", "-w", " %{http_version} %{http_code}"];
    let ask = |more: &[&str]| run("curl", &[&told[..], more, &[&url]].concat());
    assert_eq!(ask(&["--http2-prior-knowledge"]), "0 0 2 200");
    assert_eq!(ask(&["--http2-prior-knowledge", "--data-binary", "abc"]), "0 3 2 200");
    // It asks for `Upgrade: h2c` and is answered as if it had not.
    assert_eq!(ask(&["--http2"]), "0 0 1.1 200");
    assert_eq!(ask(&["--http1.1"]), "0 0 1.1 200");
}

#[tokio::test]
async fn alpn_chooses_http_2_over_tls() {
    const NAME: &str = "onezone.example.com";
    let backend = Backend::with(|request| {
        assert_eq!(request.field("x-forwarded-proto"), Some("https"));
        format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{}", request.body.len())
    });
    let authority = Authority::new();
    let signed = authority.sign(&[NAME]);
    let program = Setup::before(backend.address)
        .file("cert.pem", signed.certificate.as_str())
        .file("key.pem", signed.key.as_str())
        .file("ca.pem", authority.pem.as_str())
        .listener("tls = { cert_file = \"cert.pem\", key_file = \"key.pem\" }")
        .start();
    let (port, ca) = (program.address().port(), program.directory().join("ca.pem"));
    let resolve = format!("{NAME}:{port}:127.0.0.1");
    let url = format!("https://{NAME}:{port}/");
    let told = ["-sS", "--max-time", "20", "--cacert", ca.to_str().unwrap(), "--resolve", &resolve];
    let ask = |more: &[&str]| run("curl", &[&told[..], &["-w", " %{http_version}"], more, &[&url]].concat());
    assert_eq!(ask(&["--http2"]), "0 2");
    assert_eq!(ask(&["--http2", "--data-binary", "abc"]), "3 2");
    assert_eq!(ask(&["--http1.1"]), "0 1.1");
    let local = format!("https://127.0.0.1:{port}/");
    let report = run("h2load", &["-n", "500", "-c", "5", "-m", "10", &local]);
    assert!(report.contains("500 succeeded, 0 failed, 0 errored, 0 timeout"), "{report}");
    assert!(report.contains("Application protocol: h2"), "{report}");
}

#[tokio::test]
async fn many_streams_of_h2load_are_all_served_by_nginx() {
    let nginx = Nginx::start();
    std::fs::write(nginx.files().join("index.html"), "hello").unwrap();
    let program = Setup::before(nginx.address).start();
    let report = run("h2load", &["-n", "2000", "-c", "10", "-m", "20", &url(program.address(), "/")]);
    assert!(report.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{report}");
    assert_eq!(program.metric("duskgate_http_requests_total", &[("route", "other")]).await, 2000.0);
    for limit in ["http2_streams", "http2_resets", "http2_control"] {
        assert_eq!(program.metric("duskgate_limit_hits_total", &[("limit", limit)]).await, 0.0, "{limit}");
    }
}

#[tokio::test]
async fn nghttp_finds_nothing_to_object_to() {
    let nginx = Nginx::start();
    std::fs::write(nginx.files().join("index.html"), "hello").unwrap();
    let program = Setup::before(nginx.address).start();
    let seen = run("nghttp", &["-nv", &url(program.address(), "/")]);
    assert!(seen.contains(":status: 200"), "{seen}");
    assert!(!seen.contains("PROTOCOL_ERROR") && !seen.contains("RST_STREAM"), "{seen}");
}
