//! Real peers: curl, nghttp and h2load in front, nginx behind.

use std::net::SocketAddr;
use std::process::Command;

use super::wire::{Client, request};
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

#[tokio::test]
async fn stalled_readers_cost_a_bounded_part_of_what_they_ask_for() {
    const READERS: usize = 50;
    let body = "x".repeat(20 * 1024 * 1024);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let backend = Backend::new(move |link| {
        while link.request().is_some() {
            link.send(&answer);
        }
    });
    let program = Setup::before(backend.address).start();
    let mut warm = Client::to(program.address()).await;
    warm.write(&request(1, "GET")).await;
    warm.until(0, 1).await;
    let before = resident(program.pid());
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut client = Client::to(program.address()).await;
        // A window for all of it, which the client then does not read.
        let windows = [
            super::wire::setting(4, 0x7fff_ffff),
            super::wire::frame(super::wire::WINDOW_UPDATE, 0, 0, &[0x3f, 0, 0, 0]),
        ];
        client.write(&[windows.concat(), request(1, "GET")].concat()).await;
        client.until(0, 1).await;
        readers.push(client);
    }
    // Until nothing more moves.
    let mut last = (0, 0);
    while last.1 < 10 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let now = resident(program.pid());
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
    }
    let grown = last.0.saturating_sub(before);
    // Of a gigabyte. A debug build and what the allocator keeps are in it, hence the margin.
    assert!(grown <= 20 * 1024, "{grown} KiB for {READERS} readers");
}

/// The resident memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}
