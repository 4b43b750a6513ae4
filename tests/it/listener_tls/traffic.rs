//! What goes over TLS is what goes without, and its end is told from a cut.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;

use super::{NAME, OK, client, connect, s_client, showing};
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::http::{Connection, End, Request};
use crate::support::program::Setup;

fn secured(backend: &Backend, authority: &Authority) -> Setup {
    showing(Setup::before(backend.address), authority, &authority.sign(&[NAME]))
}

#[tokio::test]
async fn requests_follow_each_other_and_the_backend_knows_how_they_came() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let program = secured(&backend, &authority).start();
    let mut connection = connect(&program, &client(&authority)).await;
    for _ in 0..3 {
        let request = Request::new("POST", "/").body("body").header("X-Forwarded-Proto", "http");
        assert_eq!(connection.ask(&request).await.text(), "hi");
    }
    // Several at once, in one record.
    connection.write(&Request::new("GET", "/").to_bytes().repeat(3)).await;
    for _ in 0..3 {
        assert_eq!(connection.read("GET").await.status, 200);
    }
    for request in backend.requests() {
        assert_eq!(request.field("x-forwarded-proto"), Some("https"));
        assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(request.field("x-forwarded-host"), Some(NAME));
    }
    assert_eq!(program.metric("duskgate_connections", &[]).await, 1.0);
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let program = secured(&backend, &authority).start();
    let mut connection = connect(&program, &client(&authority)).await;
    for byte in Request::new("POST", "/").body("body").to_bytes() {
        connection.write(&[byte]).await;
    }
    assert_eq!(connection.read("POST").await.status, 200);
    assert_eq!(backend.request().text(), "body");
}

#[tokio::test]
async fn large_bodies_go_both_ways_whole() {
    const SIZE: usize = 6 << 20;
    let backend = Backend::new(|link| {
        let request = link.request().unwrap();
        let framing = match request.line.contains("chunked") {
            true => "transfer-encoding: chunked",
            false => &format!("content-length: {SIZE}"),
        };
        link.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"));
        if request.line.contains("chunked") {
            link.send(format!("{SIZE:x}\r\n"));
            link.send(&request.body);
            link.send("\r\n0\r\n\r\n");
        } else {
            link.send(&request.body);
        }
    });
    let authority = Authority::new();
    let program = secured(&backend, &authority).start();
    let body: Vec<u8> = (0..SIZE).map(|at| (at / 7) as u8).collect();
    for path in ["/", "/chunked"] {
        let mut connection = connect(&program, &client(&authority)).await;
        // A client that wrote all of it before it reads would wait for us, and we for it.
        let (mut writer, bytes) =
            (connection.writer(), Request::new("POST", path).body(body.clone()).to_bytes());
        let writing = tokio::spawn(async move { writer.write(&bytes).await });
        let response = connection.read("POST").await;
        assert!(response.body == body, "{} bytes", response.body.len());
        assert!(writing.await.unwrap());
    }
}

#[tokio::test]
async fn interim_responses_and_continue_come_through() {
    let backend = Backend::new(|link| {
        let request = link.head().unwrap();
        assert_eq!(request.field("expect"), Some("100-continue"));
        link.send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(link.exactly(4).unwrap(), b"body");
        link.send(OK);
    });
    let authority = Authority::new();
    let program = secured(&backend, &authority).start();
    let mut connection = connect(&program, &client(&authority)).await;
    connection
        .write(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .await;
    assert_eq!(connection.read_head().await.status, 103);
    assert_eq!(connection.read_head().await.status, 100);
    connection.write(b"body").await;
    assert_eq!(connection.read("POST").await.status, 200);
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_complete() {
    let backend = Backend::new(|link| {
        let request = link.request().unwrap();
        // Too much to be seen broken before the head has gone out.
        let body = "x".repeat(0x10000);
        let (head, rest) = match request.line.split(' ').nth(1).unwrap() {
            "/chunked" => ("transfer-encoding: chunked", format!("10000\r\n{body}\r\n")),
            _ => ("content-length: 100000", body),
        };
        link.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{rest}"));
    });
    let authority = Authority::new();
    let program = secured(&backend, &authority).start();
    for path in ["/length", "/chunked"] {
        // To HTTP/1.0 nothing but the end of the connection ends a body of unknown length.
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            let mut connection = connect(&program, &client(&authority)).await;
            connection.write(format!("GET {path} {version}\r\nHost: a\r\n\r\n").as_bytes()).await;
            let (text, end) = connection.rest().await;
            assert_eq!(end, End::Reset, "{path} {version}");
            assert!(
                text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with(['x', '\n']),
                "{path} {version}"
            );
            assert!(!text.ends_with("0\r\n\r\n"), "{path} {version}");
        }
        let request = format!("GET {path} HTTP/1.0\r\nHost: a\r\n\r\n");
        let text = s_client(&program, &["-quiet"], &request);
        assert!(text.contains("unexpected eof") || text.contains("errno=104"), "{path}: {text}");
    }
}

#[tokio::test]
async fn an_answer_up_to_the_end_ends_with_the_word_for_it() {
    let backend =
        Backend::answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let authority = Authority::new();
    let program = secured(&backend, &authority).start();
    let mut connection = connect(&program, &client(&authority)).await;
    connection.write(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
    let (text, end) = connection.rest().await;
    assert!(text.ends_with("\r\n\r\nhello"), "{text}");
    assert_eq!(end, End::Closed);
}

#[tokio::test]
async fn a_malformed_request_is_refused_as_without_tls() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let program = secured(&backend, &authority).start();
    let mut connection = connect(&program, &client(&authority)).await;
    connection
        .write(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let (text, end) = connection.rest().await;
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    assert_eq!(end, End::Closed);
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn the_end_of_idleness_and_of_the_program_are_said() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let program = secured(&backend, &authority).section("[limits]\nclient_idle = \"200ms\"").start();
    let mut connection = connect(&program, &client(&authority)).await;
    assert_eq!(connection.ask(&Request::new("GET", "/")).await.status, 200);
    assert_eq!(connection.rest().await, (String::new(), End::Closed));

    let mut program = secured(&backend, &authority).start();
    let mut connection = connect(&program, &client(&authority)).await;
    assert_eq!(connection.ask(&Request::new("GET", "/")).await.status, 200);
    // One that has not shaken hands yet holds nobody up for long.
    let _silent = Connection::to(program.address()).await;
    program.signal("TERM");
    assert_eq!(connection.rest().await, (String::new(), End::Closed));
    assert_eq!(program.ended().code(), Some(0));
}

#[tokio::test]
async fn a_client_that_goes_away_is_noticed_while_the_backend_thinks() {
    let backend = Backend::new(|link| {
        link.request();
        link.rest();
    });
    let authority = Authority::new();
    let program = secured(&backend, &authority).start();
    let mut connection = connect(&program, &client(&authority)).await;
    connection.write(&Request::new("GET", "/").to_bytes()).await;
    backend.received(1);
    connection.finish().await;
    backend.finished(1);
    program.reaches("duskgate_connections", &[], 0.0).await;
}

#[tokio::test]
async fn clients_that_stall_are_cut_off() {
    const SIZE: usize = 64 << 20;
    let backend = Backend::new(|link| {
        if link.request().is_some() {
            link.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n"));
            while link.try_send(&[b'z'; 64 * 1024]) {}
        }
    });
    let authority = Authority::new();
    let program = secured(&backend, &authority).section("[limits]\nclient_stall = \"300ms\"").start();
    let stalls = [("limit", "client_stall")];
    let mut reader = connect(&program, &client(&authority)).await;
    reader.write(&Request::new("GET", "/").to_bytes()).await;
    program.reaches("duskgate_limit_hits_total", &stalls, 1.0).await;
    assert_eq!(reader.rest().await.1, End::Reset);
    let mut writer = connect(&program, &client(&authority)).await;
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf").await;
    let (text, end) = writer.rest().await;
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert_eq!(end, End::Closed);
    program.reaches("duskgate_limit_hits_total", &stalls, 2.0).await;
}

#[tokio::test]
async fn a_web_socket_is_tunnelled_and_its_end_passed_on() {
    let backend = Backend::new(|link| {
        link.head();
        link.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly",
        );
        assert_eq!(link.until("ping").unwrap(), "ping");
        link.send("pong");
        assert_eq!(link.rest(), b"bye");
    });
    let authority = Authority::new();
    let program = secured(&backend, &authority).start();
    let mut connection = connect(&program, &client(&authority)).await;
    let request = Request::new("GET", "/").header("Connection", "Upgrade").header("Upgrade", "websocket");
    assert_eq!(connection.ask(&request).await.status, 101);
    assert_eq!(connection.until("early").await, "early");
    connection.write(b"ping").await;
    assert_eq!(connection.until("pong").await, "pong");
    connection.write(b"bye").await;
    connection.finish().await;
    assert_eq!(connection.rest().await, (String::new(), End::Closed));
}

#[tokio::test]
async fn a_real_web_socket_client_talks_to_a_real_server_through_tls() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = socket.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
    });
    let authority = Authority::new();
    let signed = authority.sign(&[NAME]);
    let program = showing(Setup::before(address), &authority, &signed).start();
    let stream = tokio::net::TcpStream::connect(program.address()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(client(&authority));
    let stream = connector.connect(NAME.try_into().unwrap(), stream).await.unwrap();
    let url = format!("wss://{NAME}/graph_sync/gui");
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    for size in [0, 1, 100_000, 3_000_000] {
        socket.send(Message::binary(vec![7; size])).await.unwrap();
        let echo = socket.next().await.unwrap().unwrap();
        assert_eq!(echo.into_data().len(), size);
    }
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    server.await.unwrap();
}

#[tokio::test]
async fn a_reload_turns_tls_on_and_off_for_connections_to_come() {
    let backend = Backend::answering(OK);
    let authority = Authority::new();
    let signed = authority.sign(&[NAME]);
    let plain = Setup::before(backend.address);
    let secured = showing(Setup::before(backend.address), &authority, &signed);
    // The files are there, and are not named yet.
    let program = secured.start();
    let mut old = connect(&program, &client(&authority)).await;
    assert_eq!(old.ask(&Request::new("GET", "/")).await.status, 200);
    program.configure(&plain);
    assert_eq!(program.command("/reload").await.status, 200);
    assert_eq!(program.ask(&Request::new("GET", "/")).await.status, 200);
    let not_after = "duskgate_tls_certificate_not_after_timestamp_seconds";
    assert_eq!(program.metric(not_after, &[]).await, 0.0);
    program.configure(&secured);
    assert_eq!(program.command("/reload").await.status, 200);
    let mut new = connect(&program, &client(&authority)).await;
    assert_eq!(new.ask(&Request::new("GET", "/")).await.status, 200);
    assert_eq!(old.ask(&Request::new("GET", "/")).await.status, 200, "what is open stays as it is");
}
