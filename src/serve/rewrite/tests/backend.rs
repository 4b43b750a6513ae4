//! A backend that follows a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, Response, Version};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::answered;
use crate::body::Body;
use crate::caller::Caller;
use crate::clock::Clock;
use crate::metrics::{Metrics, Vocabulary};
use crate::operation;
use crate::route::{Found, Table};
use crate::serve::rewrite::{Outcome, TokenApi};
use crate::upstream::{Origin, Settings, Upstream};

/// 2024-10-21T08:13:49Z.
pub const NOW: Timestamp = Timestamp::constant(1_729_498_429, 0);

const BASE: &str = "/api/v3/onezone";

/// What the backend does with a request.
#[derive(Clone)]
pub enum Act {
    Answer(u16, &'static str, Value),
    /// Fields beside a JSON content type.
    Answering(u16, Vec<(&'static str, &'static str)>, &'static str),
    Close,
    Hang,
}

pub fn says(status: u16, body: Value) -> Act {
    Act::Answer(status, "application/json", body)
}

pub fn refuses(status: u16, id: &str) -> Act {
    says(status, json!({"error": {"id": id, "description": "…"}}))
}

pub fn created() -> Act {
    says(201, json!({"tokenId": "t1", "token": "MDAxY"}))
}

pub fn group() -> Act {
    says(200, json!({"groupId": "g1", "name": "developers"}))
}

/// 401 to credentials.
pub fn unauthorized(auth_error: Value) -> Act {
    let body =
        json!({"error": {"id": "unauthorized", "description": "…", "details": {"authError": auth_error}}});
    Act::Answer(401, "", body)
}

pub fn api_caveat() -> Act {
    unauthorized(json!({"id": "tokenCaveatUnverified", "details": {"caveat": {"type": "api"}}}))
}

/// A request as the backend got it.
#[derive(Clone, Debug)]
pub struct Seen {
    line: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(there, _)| there == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

pub struct Backend {
    pub api: TokenApi,
    record: Arc<Record>,
}

#[derive(Default)]
struct Record {
    seen: Mutex<Vec<Seen>>,
    /// How many requests are being answered, and were at most.
    at_once: Mutex<(usize, usize)>,
}

/// Says what to do with a request line; `None`: it is not in the script.
type Script = Arc<dyn Fn(&str) -> Option<Act> + Send + Sync>;

impl Backend {
    /// A backend that follows a script; to a request that is not in it, it closes the connection.
    pub async fn new(script: Vec<(&'static str, Act)>) -> Self {
        Self::with(script, None).await
    }

    pub async fn with(script: Vec<(&'static str, Act)>, service_token: Option<&str>) -> Self {
        let script = Mutex::new(VecDeque::from(script));
        let next = move |line: &str| {
            let mut script = script.lock().unwrap();
            let is_next = script.front().is_some_and(|(expected, _)| line.starts_with(expected));
            if is_next { script.pop_front().map(|(_, act)| act) } else { None }
        };
        Self::following(Arc::new(next), service_token).await
    }

    /// A backend that answers requests in any order.
    pub async fn any(script: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        Self::following(Arc::new(move |line: &str| Some(script(line))), None).await
    }

    async fn following(script: Script, service_token: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let record = Arc::new(Record::default());
        let kept = Arc::clone(&record);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(follow(stream, Arc::clone(&script), Arc::clone(&kept)));
            }
        });
        Backend { api: api_at(port, service_token), record }
    }

    pub async fn ask(&self, headers: &[(&str, &str)], body: Body) -> Outcome {
        ask(&self.api, headers, body).await
    }

    /// Answers a call without a body of somebody who has a token.
    pub async fn call(&self) -> Response<Body> {
        answered(self.ask(&[("x-auth-token", "secret")], Body::None).await)
    }

    pub fn lines(&self) -> Vec<String> {
        self.record.seen.lock().unwrap().iter().map(|seen| seen.line.clone()).collect()
    }

    pub fn request(&self, index: usize) -> Seen {
        self.record.seen.lock().unwrap()[index].clone()
    }

    pub fn most_at_once(&self) -> usize {
        self.record.at_once.lock().unwrap().1
    }

    /// Waits until so many requests came.
    pub async fn wait_for(&self, count: usize) {
        let arrived = async {
            while self.lines().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(20), arrived).await;
        assert!(in_time.is_ok(), "only these requests came: {:?}", self.lines());
    }
}

async fn follow(mut stream: TcpStream, script: Script, record: Arc<Record>) {
    let Some(seen) = read(&mut stream).await else { return };
    let next = script(&seen.line);
    record.seen.lock().unwrap().push(seen);
    {
        let mut at_once = record.at_once.lock().unwrap();
        at_once.0 += 1;
        at_once.1 = at_once.1.max(at_once.0);
    }
    // Lets all the others come that are on their way.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    record.at_once.lock().unwrap().0 -= 1;
    let text = match next {
        None | Some(Act::Close) => return,
        Some(Act::Hang) => return std::future::pending().await,
        Some(Act::Answer(status, kind, body)) => {
            let kind = if kind.is_empty() { String::new() } else { format!("content-type: {kind}\r\n") };
            let body = if body.is_null() { String::new() } else { body.to_string() };
            format!(
                "HTTP/1.1 {status} X\r\nserver: Cowboy\r\naccess-control-allow-origin: *\r\n{kind}\
                 location: https://oz.example{BASE}/tokens/named/t1\r\ncontent-length: {}\r\n\
                 connection: close\r\n\r\n{body}",
                body.len()
            )
        }
        Some(Act::Answering(status, fields, body)) => {
            let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            format!(
                "HTTP/1.1 {status} X\r\n{fields}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
        }
    };
    let _ = stream.write_all(text.as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").replace(BASE, "");
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, n)| n.parse().unwrap());
    while bytes.len() < end + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    Some(Seen { line, headers, body: bytes[end..].to_vec().into() })
}

pub fn api_at(port: u16, service_token: Option<&str>) -> TokenApi {
    let origin = Origin { https: false, host: "127.0.0.1".to_owned(), port };
    let mut settings = Settings::new(vec![origin]);
    settings.response_timeout = Duration::from_millis(700);
    settings.service_token = service_token.map(|token| token.to_owned().into());
    let metrics = Arc::new(Metrics::new(Clock::Real, &[], Vocabulary::default()));
    TokenApi::new(Arc::new(Upstream::new(settings, metrics).unwrap()))
}

pub async fn ask(api: &TokenApi, headers: &[(&str, &str)], body: Body) -> Outcome {
    ask_at(api, "/groups/g1/users/token?q=1", headers, body).await
}

/// Calls with a POST, with some token where no credential is given.
pub async fn ask_at(api: &TokenApi, path: &str, headers: &[(&str, &str)], body: Body) -> Outcome {
    let has_credential =
        headers.iter().any(|(name, _)| ["x-auth-token", "authorization", "macaroon"].contains(name));
    let token = if has_credential { None } else { Some(("x-auth-token", "secret")) };
    let headers: Vec<_> = headers.iter().copied().chain(token).collect();
    send(api, Method::POST, path, &headers, body).await
}

pub async fn send(
    api: &TokenApi,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Body,
) -> Outcome {
    let operations = operation::builtin();
    let table = Table::new(&operations).unwrap();
    let mut request = http::Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = format!("{BASE}{path}").parse().unwrap();
    *request.version_mut() = Version::HTTP_11;
    request.headers_mut().insert("host", HeaderValue::from_static("oz.example"));
    for (name, value) in headers {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
    }
    let Found::Call(call) = table.find(&method, request.uri().path()) else { panic!("no call") };
    let caller = Caller::of(request.headers());
    api.serve(&operations[call.operation], &call, &caller, NOW, request).await
}
