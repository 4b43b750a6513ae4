//! What TLS connections keep in memory.

use super::{NAME, OK, client, connect, showing};
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::http::{Connection, Request};
use crate::support::program::{Program, Setup};

const KIB: u64 = 1024;

fn resident(program: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * KIB
}

#[tokio::test]
async fn an_idle_connection_costs_under_20_kib() {
    const COUNT: u64 = 1000;
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let setup = showing(Setup::before(backend.address), &authority, &authority.sign(&[NAME]));
    let program = setup.section("[limits]\nclient_idle = \"10m\"").start();
    let client = client(&authority);
    let open = async |count: u64| {
        let mut connections: Vec<Connection> = Vec::new();
        for _ in 0..count {
            let mut connection = connect(&program, &client).await;
            assert_eq!(connection.ask(&Request::new("GET", "/")).await.status, 200);
            connections.push(connection);
        }
        connections
    };
    // What is allocated once is not counted.
    let few = open(50).await;
    let before = resident(&program);
    let many = open(COUNT).await;
    let each = resident(&program).saturating_sub(before) / COUNT;
    println!("an idle TLS connection costs {each} B");
    assert!(each < 20 * KIB, "an idle TLS connection costs {each} B");
    drop((few, many));
}

#[tokio::test]
async fn fifty_readers_that_stall_on_20_mb_cost_under_8_mib() {
    const COUNT: u64 = 50;
    const SIZE: usize = 20 << 20;
    let backend = Backend::new(|link| {
        link.request();
        link.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n"));
        let piece = vec![b'z'; 64 * 1024];
        for _ in 0..SIZE / piece.len() {
            if !link.try_send(&piece) {
                return;
            }
        }
    });
    let authority = Authority::new();
    let setup = showing(Setup::before(backend.address), &authority, &authority.sign(&[NAME]));
    let program = setup.start();
    let client = client(&authority);
    let ask = async || {
        let mut connection = connect(&program, &client).await;
        connection.write(&Request::new("GET", "/").to_bytes()).await;
        connection.read_head().await;
        connection
    };
    // What is allocated once is not counted.
    ask().await.skip(SIZE).await;
    let before = resident(&program);
    let mut stalled = Vec::new();
    for _ in 0..COUNT {
        stalled.push(ask().await);
    }
    // By the time that one is read to its end, the others have been sent what they take.
    stalled[0].skip(SIZE).await;
    let cost = resident(&program).saturating_sub(before) / KIB;
    println!("{COUNT} stalled TLS readers cost {cost} KiB");
    // Two thirds of it in a debug build; the rest is for what the allocator keeps.
    assert!(cost < 8 * KIB, "{COUNT} stalled TLS readers cost {cost} KiB");
}
