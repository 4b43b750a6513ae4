//! What is sent along with a call: bodies, content types, `Accept`, and fields that should not matter.

/// Fields and a body.
#[derive(Clone, Debug)]
pub struct Sent {
    pub name: String,
    pub fields: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

impl Sent {
    fn named(name: impl Into<String>) -> Self {
        Sent { name: name.into(), fields: Vec::new(), body: None }
    }

    fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A body and its length.
    fn body(mut self, body: &[u8]) -> Self {
        self.body = Some(body.to_vec());
        let length = body.len().to_string();
        self.field("Content-Length", &length)
    }

    /// A body in chunks.
    fn chunks(mut self, chunks: &[&[u8]]) -> Self {
        let mut body = Vec::new();
        for chunk in chunks {
            body.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            body.extend_from_slice(chunk);
            body.extend(b"\r\n");
        }
        body.extend(b"0\r\n\r\n");
        self.body = Some(body);
        self.field("Transfer-Encoding", "chunked")
    }
}

pub fn nothing() -> Sent {
    Sent::named("plainly")
}

pub fn json(body: &str) -> Sent {
    typed("application/json", body)
}

pub fn typed(content_type: &str, body: &str) -> Sent {
    Sent::named(format!("{body:?} as {content_type}"))
        .field("Content-Type", content_type)
        .body(body.as_bytes())
}

pub fn bare_type(content_type: &str) -> Sent {
    Sent::named(format!("{content_type} without a body")).field("Content-Type", content_type)
}

pub fn accepting(accept: &str) -> Sent {
    Sent::named(format!("accepting {accept}")).field("Accept", accept)
}

/// An object of so many bytes.
pub fn large(size: usize) -> Sent {
    Sent { name: format!("an object of {size} bytes"), ..json(&format!("{{{}}}", " ".repeat(size - 2))) }
}

pub fn preflight() -> Sent {
    Sent::named("as a preflight")
        .field("Origin", "https://app.example.com")
        .field("Access-Control-Request-Method", "POST")
}

/// One of each kind.
pub fn a_few() -> Vec<Sent> {
    vec![
        nothing(),
        json("{}"),
        json("[]"),
        json("{"),
        typed("text/plain", "x"),
        typed("application/json; charset=utf-8", "{}"),
        bare_type("json"),
        accepting("text/html"),
        accepting("application/*"),
        accepting("???"),
    ]
}

/// Every body under every content type.
pub fn bodies() -> Vec<Sent> {
    const BODIES: &[(&str, &[u8])] = &[
        ("an empty object", b"{}"),
        (
            "an object",
            br#"{"privileges":["group_delete"],"usageLimit":5,"name":"x","type":{"accessToken":{}}}"#,
        ),
        ("a list", b"[]"),
        ("a string", b"\"x\""),
        ("a number", b"5"),
        ("null", b"null"),
        ("true", b"true"),
        ("broken JSON", b"{\"a\":"),
        ("two objects", b"{} {}"),
        ("a trailing comma", b"{\"a\":1,}"),
        ("blanks", b" \r\n\t "),
        ("an object in blanks", b"\n {} \n"),
        ("a byte order mark", b"\xef\xbb\xbf{}"),
        ("bytes that are no text", b"{\"a\":\"\xff\"}"),
        ("a lone surrogate", br#"{"a":"\ud800"}"#),
        ("a huge number", b"[1e400]"),
        ("a key twice", br#"{"a":1,"a":2}"#),
        ("a zero byte", b"\0"),
        ("not a number", b"NaN"),
    ];
    const TYPES: &[&str] = &[
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;",
        "application/json, application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "json",
        "*/*",
        "application/*",
        "",
    ];
    let mut all = Vec::new();
    for (name, body) in BODIES {
        all.push(Sent::named(format!("{name} of no type")).body(body));
        for kind in TYPES {
            all.push(Sent::named(format!("{name} as {kind:?}")).field("Content-Type", kind).body(body));
        }
        let chunked = Sent::named(format!("{name}, chunked")).field("Content-Type", "application/json");
        all.push(chunked.chunks(&body.chunks(body.len().div_ceil(2)).collect::<Vec<_>>()));
    }
    for kind in TYPES {
        let typed = |what: &str| Sent::named(format!("{what} as {kind:?}")).field("Content-Type", kind);
        all.extend([typed("nothing"), typed("no bytes").body(b""), typed("no chunks").chunks(&[])]);
    }
    all.push(Sent::named("no bytes of no type").body(b""));
    all.push(Sent::named("no chunks of no type").chunks(&[]));
    all.push(Sent::named("a length of 00").field("Content-Length", "00"));
    let twice = json("{}").field("Content-Type", "application/json");
    all.push(Sent { name: "a content type twice".to_owned(), ..twice });
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    all.push(Sent { name: "a deep list".to_owned(), ..json(&deep) });
    all
}

/// Values of `Accept`.
pub fn accepts() -> Vec<Sent> {
    let twice = |one: &str, other: &str| {
        Sent::named(format!("accepting {one} and in another line {other}"))
            .field("Accept", one)
            .field("Accept", other)
    };
    [
        "*/*",
        "application/*",
        "application/json",
        "Application/JSON",
        "text/html",
        "text/html, */*;q=0.1",
        "text/html,application/json;q=0.9",
        "application/json;q=0",
        "application/json;q=1.5",
        "application/json;charset=utf-8",
        "application/json; charset=\"utf-8\", text/html",
        "application/problem+json",
        "application/problem+json, application/json",
        "application/xml, image/*",
        "*/json",
        "*",
        "json",
        "???",
        ";;",
        ",",
        "",
        "application/json,",
        "application/json;q=0.1234",
        "application/json;q=1.000;ext=1",
    ]
    .map(accepting)
    .into_iter()
    .chain([twice("text/html", "application/json"), twice("text/html", "a/b")])
    .collect()
}

/// Fields of other kinds.
pub fn fields() -> Vec<Sent> {
    let one = |name: &str, value: &str| Sent::named(format!("{name}: {value}")).field(name, value);
    let many = |count: usize| {
        let mut sent = Sent::named(format!("{count} fields"));
        sent.fields = (0..count).map(|number| (format!("X-Field-{number}"), "x".to_owned())).collect();
        sent
    };
    let large = |size: usize| {
        let sent = Sent::named(format!("a field of {size} bytes"));
        sent.field("X-Large", &"x".repeat(size))
    };
    vec![
        one("Host", "www.onezone.example.com"),
        one("Host", "WWW.onezone.example.com"),
        one("Host", "other.example.com:8443"),
        one("Host", "127.0.0.1"),
        one("Connection", "close"),
        one("Connection", "keep-alive, x-auth-token-not"),
        one("Keep-Alive", "timeout=5"),
        one("TE", "trailers"),
        one("Range", "bytes=0-3"),
        one("If-None-Match", "*"),
        one("If-Match", "\"x\""),
        one("If-Modified-Since", "Wed, 21 Oct 2026 07:28:00 GMT"),
        one("If-Unmodified-Since", "Wed, 21 Oct 2015 07:28:00 GMT"),
        one("Accept-Encoding", "gzip, br"),
        one("Accept-Encoding", "identity;q=0"),
        one("Accept-Language", "pl"),
        one("Accept-Charset", "iso-8859-1"),
        one("Content-Encoding", "gzip"),
        one("Content-Language", "en"),
        one("Origin", "https://app.example.com"),
        one("Access-Control-Request-Method", "POST"),
        one("X-HTTP-Method-Override", "GET"),
        one("X-Forwarded-For", "203.0.113.7"),
        one("Forwarded", "for=203.0.113.7"),
        one("Via", "1.0 fred"),
        one("Max-Forwards", "0"),
        one("Upgrade", "websocket").field("Connection", "Upgrade"),
        one("Upgrade", "h2c"),
        one("Cache-Control", "no-cache"),
        one("Prefer", "return=minimal"),
        one("User-Agent", "OpenAPI-Generator/21.02.7/python"),
        one("Idempotency-Key", "a-key"),
        one("X-Odd", "caf\u{e9} \u{1f600}"),
        many(80),
        many(90),
        many(97),
        large(4000),
        large(4097),
        large(9000),
    ]
}
