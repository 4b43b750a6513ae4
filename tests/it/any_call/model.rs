//! Any call of a rewritten operation, against a backend that answers anything: composed from bytes, so that a property
//! test and a fuzz target can share it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use duskgate::body::Body;
use duskgate::caller::Caller;
use duskgate::clock::Clock;
use duskgate::metrics::{Metrics, Vocabulary};
use duskgate::operation::{self, Operation};
use duskgate::route::{self, Found, Table};
use duskgate::serve::rewrite::{Outcome, TokenApi};
use duskgate::token::{Caveat, Identifier, Persistence, Subject, Token, Type};
use duskgate::upstream::{Origin, Settings, Upstream};
use http::{HeaderName, HeaderValue, Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// What must not leave as it came in.
const MARKER: &str = "<marker";
/// What must not leave at all.
const SECRET: &str = "s3cret";

const IDS: [&str; 12] = [
    "x1",
    "onezone",
    "missing",
    "token",
    "\"<marker",
    "<marker\\",
    "a/b",
    "..%",
    "\u{0}\r\n",
    "\u{142}\u{105}ka",
    "null",
    " ",
];

const BODIES: [&str; 10] = [
    "",
    "{}",
    "[]",
    "null",
    "{",
    "\"<marker\"",
    "{\"name\": \"\\\"<marker\"}",
    "{\"token\": 1}",
    "\u{0}",
    "{}{}",
];

const FIELDS: [(&str, &str); 16] = [
    ("content-type", "application/json"),
    ("content-type", "application/json; charset=utf-8"),
    ("content-type", "json"),
    ("content-type", "\"<marker"),
    ("accept", "application/json"),
    ("accept", "text/html"),
    ("accept", "application/problem+json"),
    ("accept", "\"<marker"),
    ("idempotency-key", "key"),
    ("idempotency-key", "\"<marker"),
    ("idempotency-key", ""),
    ("cookie", "s3cret"),
    ("x-onedata-service-token", "s3cret"),
    ("host", "www.onezone.example.com"),
    ("if-match", "\"<marker"),
    ("authorization", "Bearer s3cret"),
];

const STATUSES: [u16; 16] = [200, 201, 200, 201, 204, 301, 400, 400, 401, 403, 404, 405, 406, 415, 500, 503];

const ANSWERS: [&str; 20] = [
    "",
    "{}",
    "[]",
    "{",
    "{\"token\":\"MDAxY\",\"tokenId\":\"t1\"}",
    "{\"token\":5,\"tokenId\":[]}",
    "{\"name\":\"developers\",\"fullName\":\"Anna\",\"userId\":\"u1\"}",
    "{\"name\":7,\"userId\":\"..\"}",
    "{\"tokens\":[\"a\",\"b\",\"..\",\"c/d\"]}",
    "{\"tokens\":[1]}",
    "{\"type\":{\"accessToken\":{}},\"token\":\"text\",\"subject\":{\"type\":\"user\",\"id\":\"u1\"}}",
    "{\"error\":{\"id\":\"notFound\"}}",
    "{\"error\":{\"id\":\"unauthorized\"}}",
    "{\"error\":{\"id\":\"unauthorized\",\"details\":{\"authError\":{\"id\":\"tokenInvalid\"}}}}",
    "{\"error\":{\"id\":\"unauthorized\",\"details\":{\"authError\":{\"id\":\"tokenCaveatUnverified\",\
     \"details\":{\"caveat\":{\"type\":\"api\"}}}}}}",
    "{\"error\":{\"id\":\"badValueIdentifierOccupied\"}}",
    "{\"error\":{\"id\":\"inviteTokenTargetIdInvalid\"}}",
    "{\"error\":{\"id\":\"inviteTokenSubjectNotAuthorized\"}}",
    "{\"error\":{\"id\":\"badValueTooLow\"}}",
    "{\"error\":[]}",
];

/// The rewrite, and the backend behind it.
pub struct World {
    runtime: Runtime,
    apis: [TokenApi; 2],
    operations: Vec<Operation>,
    table: Table,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

/// `None`: the connection is closed.
type Answer = Option<(u16, &'static str)>;

impl World {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let script = Arc::clone(&answers);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&script)));
            }
        });
        let operations = operation::builtin();
        let table = Table::new(&operations).expect("the built-in operations are a table");
        let api = |service_token: Option<&str>| {
            let origin = Origin { https: false, host: "127.0.0.1".to_owned(), port };
            let mut settings = Settings::new(vec![origin]);
            settings.response_timeout = Duration::from_secs(5);
            settings.service_token = service_token.map(|token| token.to_owned().into());
            let metrics = Arc::new(Metrics::new(Clock::Real, &[], Vocabulary::default()));
            TokenApi::new(Arc::new(Upstream::new(settings, metrics).expect("no TLS")))
        };
        let apis = [api(None), api(Some("service-s3cret"))];
        World { runtime, apis, operations, table, answers }
    }

    /// Makes the call that these bytes stand for, and holds what comes of it against what must be so whatever it is.
    pub fn call(&self, data: &[u8]) {
        let mut data = Bytes(data);
        let rewritten: Vec<_> = self.operations.iter().filter(|row| row.rewrite.is_some()).collect();
        let row = *data.pick(&rewritten);
        let removed = [token(&mut data), "garbage".to_owned(), data.pick(&IDS).to_string()];
        let id = route::encode(data.pick(&IDS).as_bytes());
        let path = row.template.replace("{id}", &id);
        let path = path.replace("{tid}", &route::encode(data.pick(&removed).as_bytes()));
        let mut request = Request::new(Body::full(*data.pick(&BODIES)));
        *request.method_mut() = row.method.clone();
        let Ok(uri) = format!("{path}?{}", data.byte()).parse() else { return };
        *request.uri_mut() = uri;
        let token = token(&mut data);
        for _ in 0..data.byte() % 5 {
            let (name, value) = *data.pick(&FIELDS);
            request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let credentials =
            ["", SECRET, &token, &format!("opw-{token}")][usize::from(data.byte() % 4)].to_owned();
        if !credentials.is_empty() {
            let value = HeaderValue::try_from(&credentials).expect("letters and digits");
            request.headers_mut().insert("x-auth-token", value);
        }
        let api = &self.apis[usize::from(data.byte() % 2)];
        let now = jiff::Timestamp::constant(1_729_498_429, 0);
        *self.answers.lock().expect("no panic") = data.answers();

        let Found::Call(call) = self.table.find(request.method(), request.uri().path()) else { return };
        let caller = Caller::of(request.headers());
        let before = (request.method().clone(), request.uri().clone(), request.headers().clone());
        let outcome = self.runtime.block_on(async {
            match api.serve(&self.operations[call.operation], &call, &caller, now, request).await {
                Outcome::Answered(response) => {
                    let (parts, body) = response.into_parts();
                    let body = body.collect(1 << 20).await.expect("a whole body");
                    Ok(Response::from_parts(parts, body))
                }
                Outcome::NotServed { request, .. } => Err(request),
            }
        });
        match outcome {
            Ok(response) => judge(row, &response, &[SECRET, &credentials]),
            Err(None) => {}
            Err(Some(request)) => {
                assert_eq!(
                    before,
                    (request.method().clone(), request.uri().clone(), request.headers().clone())
                );
            }
        }
    }
}

fn judge(row: &Operation, response: &Response<bytes::Bytes>, secrets: &[&str]) {
    let body = std::str::from_utf8(response.body()).expect("neither the backend nor we write anything else");
    let fields = response.headers().iter().map(|(_, value)| String::from_utf8_lossy(value.as_bytes()));
    let said: Vec<_> = fields.chain([body.into()]).collect();
    for secret in secrets.iter().filter(|secret| secret.len() > 5) {
        assert!(said.iter().all(|text| !text.contains(secret)), "{}: {said:?}", row.id);
    }
    let escaped = body.replace(&format!("\\\"{MARKER}"), "");
    assert!(!escaped.contains(&format!("\"{MARKER}")), "{}: {body}", row.id);
    if body.contains(MARKER) {
        serde_json::from_str::<serde_json::Value>(body).expect("JSON");
    }
    if response.status() == 200 && row.rewrite.is_some_and(operation::Family::creates) {
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert!(body["token"].is_string() && body.as_object().is_some_and(|body| body.len() == 1), "{body}");
    }
}

/// Bytes to choose by; there are always more of them.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn pick<'t, T>(&mut self, table: &'t [T]) -> &'t T {
        &table[usize::from(self.byte()) % table.len()]
    }

    fn answers(&mut self) -> VecDeque<Answer> {
        let mut answers = VecDeque::new();
        while !self.0.is_empty() {
            let status = *self.pick(&STATUSES);
            let body = self.byte();
            answers.push_back((body < 240).then(|| (status, ANSWERS[usize::from(body) % ANSWERS.len()])));
        }
        answers
    }
}

/// The text of some token.
fn token(data: &mut Bytes<'_>) -> String {
    let subject = match data.byte() % 4 {
        0 => Subject::User("u1".to_owned()),
        1 => Subject::User("..".to_owned()),
        2 => Subject::User("\"<marker".to_owned()),
        _ => Subject::Provider("x1".to_owned()),
    };
    let persistence = match data.byte() % 3 {
        0 => Persistence::Temporary { generation: 1 },
        _ => Persistence::Named,
    };
    let id = Identifier::new(
        persistence,
        subject,
        Type::Access { session: None },
        *data.pick(&["t1", "..", "\"<marker"]),
    );
    let api = |entry: &str| Some(Caveat::Api(vec![entry.to_owned()]));
    let caveat = match data.byte() % 6 {
        0 => api("ozw/all/token.*.*:*"),
        1 => api("ozw/all/\"<marker.*.*:*"),
        2 => api("ozw/all/user.*.*:*"),
        3 => Some(Caveat::DataReadonly),
        4 => Some(Caveat::Unknown(b"\"<marker".to_vec())),
        _ => None,
    };
    let minted = Token::mint("oz.example", id, caveat.into_iter().collect(), b"secret");
    minted.map(|token| token.serialize()).unwrap_or_default()
}

async fn answer(mut stream: TcpStream, script: Arc<Mutex<VecDeque<Answer>>>) {
    let mut bytes = Vec::new();
    let end = loop {
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    }
    // What is left over of earlier calls is looked for in the background, and must not take answers of this one.
    let next = match head.contains("/named/name/") {
        true => Some((401, "")),
        false => script.lock().expect("no panic").pop_front().unwrap_or(Some((204, ""))),
    };
    let Some((status, body)) = next else { return };
    let length = if status == 204 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let body = if status == 204 { "" } else { body };
    let text = format!(
        "HTTP/1.1 {status} X\r\naccess-control-allow-origin: *\r\ncontent-type: application/json\r\n\
         location: https://onezone.example.com/x\r\n{length}connection: close\r\n\r\n{body}"
    );
    let _ = stream.write_all(text.as_bytes()).await;
}
