//! What the proxy keeps in memory, with a real nginx as the backend: bodies of any size stream, and idle connections
//! cost next to nothing.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::support::nginx::Nginx;
use super::support::program::{Program, Setup};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// What `/proc` says about the proxy's memory, in bytes.
fn memory(program: &Program, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<u64>().unwrap() * 1024
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Reads to the end of the connection: the head and the number of bytes behind it.
fn read_all(mut stream: TcpStream) -> (String, u64) {
    let (mut piece, mut head, mut body) = (vec![0; 256 * 1024], Vec::new(), 0);
    loop {
        let read = stream.read(&mut piece).unwrap();
        if read == 0 {
            return (String::from_utf8(head).unwrap(), body);
        }
        if head.ends_with(b"\r\n\r\n") {
            body += read as u64;
            continue;
        }
        let all = [&head[..], &piece[..read]].concat();
        let end = all.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(all.len() - 4) + 4;
        body += (all.len() - end) as u64;
        head = all[..end].to_vec();
    }
}

#[test]
fn a_gibibyte_down_and_a_gibibyte_up_stay_under_40_mib() {
    let nginx = Nginx::start();
    let file = std::fs::File::create(nginx.files().join("down")).unwrap();
    file.set_len(GIB).unwrap();
    let program = Setup::before(nginx.address).start();

    let mut download = connect(program.address());
    download.write_all(b"GET /down HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let (head, body) = read_all(download);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, GIB);

    let mut upload = connect(program.address());
    let head = format!("PUT /up HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {GIB}\r\n\r\n");
    upload.write_all(head.as_bytes()).unwrap();
    let piece = vec![b'x'; MIB as usize];
    for _ in 0..GIB / MIB {
        upload.write_all(&piece).unwrap();
    }
    let (head, _) = read_all(upload);
    assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
    assert_eq!(std::fs::metadata(nginx.files().join("up")).unwrap().len(), GIB);

    let peak = memory(&program, "VmHWM");
    assert!(peak < 40 * MIB, "the peak was {} KiB", peak / 1024);
}

#[test]
fn a_thousand_idle_connections_cost_under_30_mib() {
    let nginx = Nginx::start();
    let program = Setup::before(nginx.address).start();
    let before = memory(&program, "VmRSS");
    let mut connections: Vec<TcpStream> = (0..1000).map(|_| connect(program.address())).collect();
    for stream in &mut connections {
        stream.write_all(b"GET /small HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 404");
    }
    let cost = memory(&program, "VmRSS").saturating_sub(before);
    assert!(cost < 30 * MIB, "they cost {} KiB", cost / 1024);
}

/// How much memory the proxy takes more than at `before`, in bytes.
fn growth(program: &Program, before: u64) -> u64 {
    memory(program, "VmRSS").saturating_sub(before)
}

/// A proxy that has served before, so that what every thread needs once is not counted.
fn warm(setup: &Setup, path: &str) -> (Program, u64) {
    let program = setup.start();
    for _ in 0..20 {
        let mut stream = connect(program.address());
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes())
            .unwrap();
        read_all(stream);
    }
    let before = memory(&program, "VmRSS");
    (program, before)
}

#[test]
fn fifty_readers_that_stall_on_20_mb_cost_under_8_mib() {
    let nginx = Nginx::start();
    std::fs::File::create(nginx.files().join("large")).unwrap().set_len(20_000_000).unwrap();
    let (program, before) = warm(&Setup::before(nginx.address), "/small");
    let mut readers: Vec<TcpStream> = (0..50).map(|_| connect(program.address())).collect();
    for stream in &mut readers {
        stream.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
    }
    // Their sockets' buffers are full when nothing moves any more.
    let waiting = || readers.iter().map(readable).sum::<usize>();
    let mut last = (waiting(), 0);
    while last.1 < 10 {
        std::thread::sleep(Duration::from_millis(20));
        let now = waiting();
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
    }
    let cost = growth(&program, before);
    assert!(cost < 8 * MIB, "they cost {} KiB", cost / 1024);
    // They lose nothing by it.
    let mut reader = readers.swap_remove(0);
    let mut left = 20_000_000;
    let mut piece = vec![0; 256 * 1024];
    while left > 0 {
        let read = reader.read(&mut piece).unwrap();
        assert!(read > 0, "{left} bytes did not come");
        left -= read.min(left);
    }
}

/// How many bytes lie in a socket, unread.
fn readable(stream: &TcpStream) -> usize {
    let mut piece = vec![0; 1 << 20];
    stream.peek(&mut piece).unwrap()
}

#[test]
fn a_thousand_slow_heads_and_slow_bodies_cost_only_what_they_have_sent() {
    let nginx = Nginx::start();
    let (program, before) = warm(&Setup::before(nginx.address), "/small");
    let heads: Vec<TcpStream> = (0..500).map(|_| connect(program.address())).collect();
    let bodies: Vec<TcpStream> = (0..500).map(|_| connect(program.address())).collect();
    for (mut head, mut body) in heads.iter().zip(&bodies) {
        head.write_all(b"GET /small HTTP/1.1\r\nhost: a\r\nx-slow: 1\r\n").unwrap();
        body.write_all(b"PUT /up HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nslow").unwrap();
    }
    // Somebody else is served as ever.
    let mut other = connect(program.address());
    other.write_all(b"GET /small HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    assert!(read_all(other).0.starts_with("HTTP/1.1 404 "));
    let cost = growth(&program, before);
    assert!(cost < 40 * MIB, "they cost {} KiB", cost / 1024);
}

#[test]
fn heads_as_large_as_allowed_cost_no_more_than_allowed() {
    let nginx = Nginx::start();
    let (program, before) = warm(&Setup::before(nginx.address), "/small");
    let heads: Vec<TcpStream> = (0..200).map(|_| connect(program.address())).collect();
    let field = format!("x-long: {}\r\n", "a".repeat(4000));
    for mut head in &heads {
        head.write_all(b"GET /small HTTP/1.1\r\nhost: a\r\n").unwrap();
        for _ in 0..15 {
            head.write_all(field.as_bytes()).unwrap();
        }
    }
    let mut other = connect(program.address());
    other.write_all(b"GET /small HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    assert!(read_all(other).0.starts_with("HTTP/1.1 404 "));
    let cost = growth(&program, before);
    // 64 KiB each, and a buffer that is growing.
    assert!(cost < 200 * 3 * 64 * 1024, "they cost {} KiB", cost / 1024);
}
