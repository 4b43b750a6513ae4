//! What clients that do not take their answers cost in memory.

use std::time::Duration;

use super::wire::{Client, DATA, Verdict, WINDOW_UPDATE, frame, request, setting};
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::{Program, Setup};

const READERS: usize = 50;
const NAME: &str = "onezone.example.com";

#[tokio::test]
async fn fifty_readers_that_stall_on_20_mb_cost_under_8_mib() {
    let backend = large();
    let program = Setup::before(backend.address).start();
    cost_under_8_mib(&program, async || Client::to(program.address()).await).await;
}

#[tokio::test]
async fn fifty_readers_that_stall_over_tls_cost_under_8_mib() {
    let backend = large();
    let authority = Authority::new();
    let signed = authority.sign(&[NAME]);
    let program = Setup::before(backend.address)
        .file("cert.pem", signed.certificate.as_str())
        .file("key.pem", signed.key.as_str())
        .listener("tls = { cert_file = \"cert.pem\", key_file = \"key.pem\" }")
        .start();
    let connect = async || Client::secure(b"", program.address(), NAME, authority.client()).await;
    cost_under_8_mib(&program, connect).await;
}

#[tokio::test]
async fn stalled_streams_leave_handles_for_everybody_else() {
    const STREAMS: u32 = 60;
    let backend = large();
    let program = Setup::before(backend.address).one_thread().handles(300, 300).start();
    let mut clients = Vec::new();
    for _ in 0..6 {
        let mut client = Client::to(program.address()).await;
        let requests: Vec<u8> = (0..STREAMS).flat_map(|stream| request(stream * 2 + 1, "GET")).collect();
        client.write(&[setting(4, 0), requests].concat()).await;
        clients.push(client);
    }
    // The first of each is served, whatever the others hold.
    for client in &mut clients {
        assert_eq!(client.verdict(1).await, Verdict::Status(200));
    }
    for _ in 0..3 {
        let mut connection = Connection::to(program.address()).await;
        connection.write(&Request::new("GET", "/").to_bytes()).await;
        assert_eq!(connection.read_head().await.status, 200);
        assert_eq!(program.admin("/metrics").await.status, 200);
    }
    let handles = program.open_handles();
    assert!(handles < 200, "{handles} of 300 handles");
    // What cannot be served is given back, for the client to send again.
    assert_eq!(clients[0].verdict(STREAMS * 2 - 1).await, Verdict::Reset(7), "REFUSED_STREAM");
    assert!(program.metric("duskgate_limit_hits_total", &[("limit", "file_handles")]).await > 0.0);
}

/// A backend that answers with 20 MB, which is a gigabyte for all readers.
fn large() -> Backend {
    let body = "x".repeat(20_000_000);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    Backend::new(move |link| {
        while link.request().is_some() {
            if !link.try_send(answer.as_bytes()) {
                return;
            }
        }
    })
}

async fn cost_under_8_mib(program: &Program, connect: impl AsyncFn() -> Client) {
    let ask = async || {
        let mut client = connect().await;
        // A window for all of it, which the client then does not read.
        let windows = [setting(4, 0x7fff_ffff), frame(WINDOW_UPDATE, 0, 0, &[0x3f, 0, 0, 0])];
        client.write(&[windows.concat(), request(1, "GET")].concat()).await;
        client.until(DATA, 1).await;
        client
    };
    // What is allocated once is not counted.
    let _warm = ask().await;
    let before = resident(program.pid());
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(ask().await);
    }
    // Until nothing more moves.
    let mut last = (0, 0);
    while last.1 < 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = resident(program.pid());
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
    }
    let grown = last.0.saturating_sub(before);
    // Two thirds of it in a debug build, whose futures are larger; the rest is for what the allocator keeps.
    assert!(grown < 8 * 1024, "{grown} KiB for {READERS} readers");
}

/// The resident memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}
