//! A request of HTTP/2 arrives at the backend as one of HTTP/1.1, and its answer at the client as one of HTTP/2.

use std::sync::mpsc;
use std::time::Duration;

use super::wire::Verdict::{Reset, Status};
use super::wire::{
    Client, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, block, code, data, frame, head, last,
    request, setting, status,
};
use crate::support::backend::Backend;
use crate::support::program::{Program, Setup};

fn proxy(backend: &Backend) -> Program {
    Setup::before(backend.address).one_thread().start()
}

#[tokio::test]
async fn a_request_becomes_one_of_http_1() {
    let backend = Backend::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let program = proxy(&backend);
    let mut client = Client::to(program.address()).await;
    let fields = ":method PUT|:scheme https|:authority Example.org:8443|:path /a%20b?c=d|cookie a=b|x-y 1|cookie c=d\
                  |x-y 2|te trailers|content-length 3|proxy-authorization Basic YTpi|cookie e=f";
    client.write(&[head(1, fields), last(1, b"abc")].concat()).await;
    assert_eq!(client.verdict(1).await, Status(204), "{:?}", client.seen);
    let request = backend.request();
    assert_eq!(request.line, "PUT /a%20b?c=d HTTP/1.1");
    assert_eq!(request.body, b"abc");
    let expected = [
        "connection: te",
        "content-length: 3",
        "cookie: a=b; c=d; e=f",
        "host: Example.org:8443",
        "te: trailers",
        "via: 2.0 duskgate",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: Example.org:8443",
        "x-forwarded-proto: http",
        "x-y: 1",
        "x-y: 2",
    ];
    assert_eq!(request.sorted(), expected);
}

#[tokio::test]
async fn bodies_are_framed_as_the_client_has_told_them() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let program = proxy(&backend);
    let mut client = Client::to(program.address()).await;
    let trailers = frame(HEADERS, END_STREAM | END_HEADERS, 9, &block("x-sum 3"));
    let frames = [
        request(1, "POST"),
        request(3, "POST|content-length 0"),
        [head(5, "POST"), data(5, b"ab"), data(5, b""), last(5, b"c")].concat(),
        [head(7, "POST|content-length 3"), data(7, b"ab"), last(7, b"c")].concat(),
        [head(9, "POST|trailer x-sum"), data(9, b"abc"), trailers].concat(),
    ];
    for (stream, frames) in [1, 3, 5, 7, 9].into_iter().zip(frames) {
        client.write(&frames).await;
        assert_eq!(client.verdict(stream).await, Status(200), "{:?}", client.seen);
    }
    let seen: Vec<_> = backend
        .requests()
        .iter()
        .map(|request| {
            let field = |name| request.field(name).map(str::to_owned);
            (field("content-length"), field("transfer-encoding"), request.text(), request.trailers.clone())
        })
        .collect();
    let text = |text: &str| Some(text.to_owned());
    let sum = vec![("x-sum".to_owned(), "3".to_owned())];
    assert_eq!(seen[0], (None, None, String::new(), vec![]));
    assert_eq!(seen[1], (text("0"), None, String::new(), vec![]));
    assert_eq!(seen[2], (None, text("chunked"), "abc".to_owned(), vec![]));
    assert_eq!(seen[3], (text("3"), None, "abc".to_owned(), vec![]));
    assert_eq!(seen[4], (None, text("chunked"), "abc".to_owned(), sum));
}

#[tokio::test]
async fn answers_lose_the_fields_of_a_connection_and_keep_the_rest() {
    let backend = Backend::with(|request| {
        let (head, body) = match request.line.split(' ').nth(1).unwrap() {
            "/chunks" => (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nkeep-alive: timeout=5\r\nconnection: x-gone\r\nx-gone: 1\r\n\
                 proxy-connection: keep-alive\r\nset-cookie: a\r\nset-cookie: b\r\ntrailer: x-sum\r\n\r\n",
                "3\r\nabc\r\n0\r\nx-sum: 3\r\n\r\n",
            ),
            "/none" => ("HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\netag: \"x\"\r\n\r\n", ""),
            _ => (
                "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n",
                if request.line.starts_with("HEAD") { "" } else { "abc" },
            ),
        };
        format!("{head}{body}")
    });
    let program = proxy(&backend);
    let mut client = h2_client(&program).await;

    let (response, body, trailers) = ask(&mut client, "GET", "/chunks").await;
    let names: Vec<&str> = response.headers().keys().map(|name| name.as_str()).collect();
    for gone in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "x-gone", "upgrade"] {
        assert!(!names.contains(&gone), "{names:?}");
    }
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    assert!(names.contains(&"date"), "{names:?}");
    assert_eq!(body, b"abc");
    assert_eq!(trailers.unwrap()["x-sum"], "3");

    let (response, body, _) = ask(&mut client, "GET", "/length").await;
    assert_eq!((response.headers()["content-length"].to_str().unwrap(), &body[..]), ("3", &b"abc"[..]));
    for (method, path, length) in [("HEAD", "/length", "3"), ("GET", "/none", "7")] {
        let (response, body, _) = ask(&mut client, method, path).await;
        assert_eq!(
            (response.headers()["content-length"].to_str().unwrap(), body.len()),
            (length, 0),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn interim_answers_come_before_the_answer() {
    let backend = Backend::new(|link| {
        let mut request = link.head().unwrap();
        assert_eq!(request.field("expect"), Some("100-continue"));
        link.send("HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\nconnection: close\r\ncontent-length: 9\r\n\r\n");
        link.send("HTTP/1.1 100 Continue\r\n\r\n");
        request.body = link.exactly(3).unwrap();
        link.keep(request);
        link.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    });
    let program = proxy(&backend);
    let mut client = Client::to(program.address()).await;
    client.write(&head(1, "POST|expect 100-continue|content-length 3")).await;
    let statuses =
        [client.until(HEADERS, 1).await, client.until(HEADERS, 1).await].map(|frame| status(&frame.payload));
    assert_eq!(statuses, [103, 100]);
    client.write(&last(1, b"abc")).await;
    assert_eq!(client.verdict(1).await, Status(200));
    assert_eq!(backend.request().body, b"abc");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_a_clean_end() {
    let backend = Backend::with(|request| match request.line.split(' ').nth(1).unwrap() {
        "/length" => "HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\nabc".to_owned(),
        "/chunks" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n".to_owned(),
        _ => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n".to_owned(),
    });
    let closing = Backend::new({
        move |link| {
            let request = link.request().unwrap();
            let chunked = request.line.contains("chunks");
            let framing = if chunked { "transfer-encoding: chunked" } else { "content-length: 10" };
            let body = if chunked { "3\r\nabc\r\n" } else { "abc" };
            link.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}"));
        }
    });
    let fields = |path: &str| format!(":method GET|:scheme http|:path {path}|:authority a");
    for path in ["/length", "/chunks"] {
        let program = proxy(&closing);
        let mut client = Client::to(program.address()).await;
        client.write(&request(1, &fields(path))).await;
        breaks(&mut client, 1).await;
    }
    let program = proxy(&backend);
    let mut client = Client::to(program.address()).await;
    client.write(&request(1, &fields("/nonsense"))).await;
    breaks(&mut client, 1).await;
    client.write(&request(3, &fields("/nonsense"))).await;
    breaks(&mut client, 3).await;
}

/// A stream ends with INTERNAL_ERROR after its head, or is a 502 where the break was there at once.
async fn breaks(client: &mut Client, stream: u32) {
    match client.verdict(stream).await {
        Status(200) => {
            let reset = client.until(RST_STREAM, stream).await;
            assert_eq!(code(&reset.payload), 2, "{:?}", client.seen);
            assert!(!client.seen.iter().any(|frame| frame.kind == DATA && frame.flags & END_STREAM != 0));
        }
        verdict => assert_eq!(verdict, Status(502), "{:?}", client.seen),
    }
}

#[tokio::test]
async fn an_answer_before_the_body_was_read_gives_the_rest_up() {
    let backend = Backend::new(|link| {
        link.head();
        link.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
        link.rest();
    });
    let program = proxy(&backend);
    let mut client = Client::to(program.address()).await;
    client.write(&[head(1, "POST|content-length 100"), data(1, b"abc")].concat()).await;
    assert_eq!(client.verdict(1).await, Status(403));
    let reset = client.until(RST_STREAM, 1).await;
    assert_eq!(code(&reset.payload), 0, "NO_ERROR: {:?}", client.seen);
    assert!(
        client.seen.iter().any(|frame| frame.kind == DATA && frame.flags & END_STREAM != 0),
        "{:?}",
        client.seen
    );
}

#[tokio::test]
async fn a_request_that_the_client_takes_back_is_given_up() {
    let (sender, receiver) = mpsc::channel();
    let backend = Backend::new(move |link| {
        link.head();
        sender.send("there").unwrap();
        link.rest();
        sender.send("gone").unwrap();
    });
    let program = proxy(&backend);
    let mut client = Client::to(program.address()).await;
    client.write(&request(1, "GET")).await;
    assert_eq!(receiver.recv_timeout(Duration::from_secs(20)), Ok("there"));
    client.write(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])).await;
    assert_eq!(
        receiver.recv_timeout(Duration::from_secs(20)),
        Ok("gone"),
        "the backend's connection is closed"
    );
    let counted = program.metric("duskgate_http_requests_total", &[("code", "200")]).await;
    assert_eq!(counted, 0.0, "nobody was answered");
}

#[tokio::test]
async fn a_body_that_the_client_breaks_off_is_never_complete_for_the_backend() {
    let (sender, receiver) = mpsc::channel();
    let backend = Backend::new(move |link| {
        link.head();
        let body = link.rest();
        sender.send(String::from_utf8_lossy(&body).into_owned()).unwrap();
    });
    let program = proxy(&backend);
    for (name, ending) in
        [("reset", frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])), ("too much", last(1, b"more than told"))]
    {
        let mut client = Client::to(program.address()).await;
        client.write(&[head(1, "POST|content-length 5"), data(1, b"abc")].concat()).await;
        client.write(&ending).await;
        if name == "too much" {
            assert_eq!(client.verdict(1).await, Reset(1));
        }
        if let Ok(body) = receiver.recv_timeout(Duration::from_secs(5)) {
            assert!(body == "abc" || body.is_empty(), "{name}: {body}");
        }
    }
}

#[tokio::test]
async fn a_body_is_complete_for_the_backend_only_when_the_stream_has_ended_well() {
    let (sender, receiver) = mpsc::channel();
    let backend = Backend::new(move |link| {
        if link.head().is_some_and(|head| head.line.starts_with("PUT ")) {
            let body = link.exactly(5).unwrap();
            link.send("HTTP/1.1 204 No Content\r\n\r\n");
            sender.send(String::from_utf8(body).unwrap()).unwrap();
        } else {
            let body = link.rest();
            sender.send(String::from_utf8_lossy(&body).into_owned()).unwrap();
        }
    });
    let program = proxy(&backend);
    let trailers = |fields| frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(fields));
    let mut client = Client::to(program.address()).await;
    client.write(&[head(1, "POST|content-length 5"), data(1, b"abc")].concat()).await;
    backend.connected(1);
    // All of the body, and in later packets an end that is none.
    client.write(&data(1, b"de")).await;
    client.write(&frame(super::wire::PING, 0, 0, &[0; 8])).await;
    client.until(super::wire::PING, 0).await;
    client.write(&trailers(":path /")).await;
    assert_eq!(client.verdict(1).await, Reset(1), "{:?}", client.seen);
    let body = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(body.len() < 5, "{body}");

    let put = ":method PUT|:scheme http|:path /|:authority a|content-length 5";
    for ending in [trailers("x-sum 5"), last(1, b"")] {
        let mut client = Client::to(program.address()).await;
        client.write(&[head(1, put), data(1, b"abc")].concat()).await;
        client.write(&data(1, b"de")).await;
        client.write(&ending).await;
        assert_eq!(client.verdict(1).await, Status(204), "{:?}", client.seen);
        assert_eq!(receiver.recv_timeout(Duration::from_secs(20)).unwrap(), "abcde");
    }
}

#[tokio::test]
async fn the_windows_of_the_client_are_obeyed() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789");
    let program = proxy(&backend);
    let mut client = Client::to(program.address()).await;
    client.write(&[setting(4, 4), request(1, "GET")].concat()).await;
    assert_eq!(client.verdict(1).await, Status(200));
    let mut body = client.until(DATA, 1).await.payload;
    while body.len() < 4 {
        body.extend(client.until(DATA, 1).await.payload);
    }
    assert_eq!(body, b"0123");
    client.write(&frame(super::wire::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 6])).await;
    assert_eq!(client.body(1).await.as_deref(), Some(&b"456789"[..]));
}

#[tokio::test]
async fn deprecated_calls_are_dressed_and_counted_once() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    let program = Setup::before(backend.address).deprecation("mode = \"observe\"").start();
    let mut client = h2_client(&program).await;
    let (response, body, _) = ask(&mut client, "POST", "/api/v3/onezone/groups/g/users/token").await;
    assert_eq!((response.status().as_u16(), &body[..]), (200, &b"{}"[..]));
    assert!(response.headers()["deprecation"].to_str().unwrap().starts_with('@'), "{response:?}");
    let labels = [("operation", "create_user_group_invite_token"), ("code", "200")];
    assert_eq!(program.metric("duskgate_deprecated_requests_total", &labels).await, 1.0);
    assert_eq!(program.metric("duskgate_http_requests_total", &[("route", "deprecated")]).await, 1.0);
    program.logged(&["create_user_group_invite_token", "status=200"]);
}

type Sender = h2::client::SendRequest<bytes::Bytes>;

async fn h2_client(program: &Program) -> Sender {
    let stream = tokio::net::TcpStream::connect(program.address()).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// The answer's head, body and trailers.
async fn ask(
    client: &mut Sender,
    method: &str,
    path: &str,
) -> (http::Response<()>, Vec<u8>, Option<http::HeaderMap>) {
    let uri = format!("http://example.org{path}");
    let request = http::Request::builder().method(method).uri(uri).body(()).unwrap();
    std::future::poll_fn(|cx| client.poll_ready(cx)).await.unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let (parts, mut stream) = response.await.unwrap().into_parts();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece.unwrap();
        stream.flow_control().release_capacity(piece.len()).unwrap();
        body.extend_from_slice(&piece);
    }
    let trailers = stream.trailers().await.unwrap();
    (http::Response::from_parts(parts, ()), body, trailers)
}
