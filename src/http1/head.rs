//! Heads: from raw bytes to typed requests and responses, strictly.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, EXPECT, HeaderName, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

use super::{Framing, HeadLimits, Refused, framing, host, target};

/// The head of a request, checked.
#[derive(Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The target: origin, absolute or asterisk form.
    pub uri: Uri,
    /// HTTP/1.1, not 1.0.
    pub version_1_1: bool,
    /// The fields, all of them.
    pub headers: HeaderMap,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether the client wants the connection kept.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue`.
    pub expects_continue: bool,
    /// Whether the client asks for a WebSocket.
    pub upgrade: bool,
}

/// The head of a response, checked.
#[derive(Debug)]
pub struct ResponseHead {
    /// The status, 100 to 599.
    pub status: StatusCode,
    /// HTTP/1.1, not 1.0.
    pub version_1_1: bool,
    /// The fields, all of them.
    pub headers: HeaderMap,
    /// Whether the connection can carry another request after this response.
    pub keep_alive: bool,
}

/// Takes a request's head out of `buffer` once it is complete. `scanned` remembers between calls how far the search
/// for its end has come; start with 0.
///
/// # Errors
///
/// [`Refused`]: answer and close the connection.
pub fn take_request(
    buffer: &mut BytesMut,
    scanned: &mut usize,
    limits: &HeadLimits,
) -> Result<Option<RequestHead>, Refused> {
    // RFC 9112 section 2.2: empty lines before the request line are skipped; old clients send one after a body.
    while *scanned == 0 && buffer.starts_with(b"\r\n") {
        buffer.advance(2);
    }
    let Some(end) = find_head(buffer, scanned, limits)? else { return Ok(None) };
    let raw = buffer.split_to(end).freeze();
    parse_request(raw, limits).map(Some)
}

/// Takes a response's head out of `buffer` once it is complete; see [`take_request`].
///
/// # Errors
///
/// [`Refused`]: the upstream talks nonsense.
pub fn take_response(buffer: &mut BytesMut, scanned: &mut usize) -> Result<Option<ResponseHead>, Refused> {
    let Some(end) = find_head(buffer, scanned, &HeadLimits::RESPONSE)? else { return Ok(None) };
    let raw = buffer.split_to(end).freeze();
    parse_response(raw).map(Some)
}

fn find_head(buffer: &[u8], scanned: &mut usize, limits: &HeadLimits) -> Result<Option<usize>, Refused> {
    // Something that cannot be a start line (a TLS hello, say) is refused at once, not when the time is up.
    if let Some(&first) = buffer.first()
        && !is_token_byte(first)
        && !buffer.starts_with(b"\r")
    {
        return Err(Refused::StartLine);
    }
    let line = limits.line + b"\r\n".len();
    if *scanned < line && buffer.len() >= line && memchr::memchr(b'\n', &buffer[..line]).is_none() {
        return Err(Refused::LineTooLong);
    }
    match find_end(buffer, *scanned)? {
        Some(end) if end > limits.bytes => Err(Refused::HeadTooLarge),
        Some(end) => {
            *scanned = 0;
            Ok(Some(end))
        }
        None if buffer.len() > limits.bytes => Err(Refused::HeadTooLarge),
        None => {
            // The last line may be half there: its CR could be the last byte.
            *scanned = memchr::memrchr(b'\n', buffer).map_or(0, |newline| newline + 1);
            Ok(None)
        }
    }
}

/// The length of the section that ends with an empty line; `from` is the start of a line. Every line must end in CRLF.
pub(super) fn find_end(buffer: &[u8], from: usize) -> Result<Option<usize>, Refused> {
    // obs-fold (RFC 9112 section 5.2), also where it begins what was read last.
    let is_folded = |line: usize| matches!(buffer.get(line), Some(b' ' | b'\t'));
    if is_folded(from) {
        return Err(Refused::LineEnd);
    }
    let mut line = from;
    for newline in memchr::memchr_iter(b'\n', &buffer[from..]).map(|at| at + from) {
        if newline == 0 || buffer[newline - 1] != b'\r' {
            return Err(Refused::LineEnd);
        }
        if newline == line + 1 {
            return Ok(Some(newline + 1));
        }
        line = newline + 1;
        if is_folded(line) {
            return Err(Refused::LineEnd);
        }
    }
    Ok(None)
}

fn parse_request(raw: Bytes, limits: &HeadLimits) -> Result<RequestHead, Refused> {
    let mut fields = [const { MaybeUninit::uninit() }; HeadLimits::MOST_FIELDS];
    let fields = &mut fields[..limits.fields.min(HeadLimits::MOST_FIELDS)];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(&raw, fields) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Refused::StartLine),
        Err(error) => return Err(refused(error)),
    }
    let (Some(method), Some(path), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Refused::StartLine);
    };
    check_start_line(&raw, method.len(), path.len())?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Refused::StartLine)?;
    if method == Method::CONNECT {
        return Err(Refused::Connect);
    }
    let version_1_1 = version == 1;
    let uri = target::parse(&method, raw.slice_ref(path.as_bytes()))?;
    let headers = collect(&raw, parsed.headers)?;
    host::check(&headers, &uri, version_1_1)?;
    let framing = framing::of_request(&headers, version_1_1)?;
    let expects_continue = expects_continue(&headers, version_1_1)?;
    let options = ConnectionOptions::of(&headers);
    if options.forbidden {
        return Err(Refused::Connection);
    }
    let upgrade = version_1_1
        && options.upgrade
        && method == Method::GET
        && framing == Framing::None
        && is_exactly(&headers, &UPGRADE, b"websocket");
    let keep_alive = !options.close && (version_1_1 || options.keep_alive);
    Ok(RequestHead { method, uri, version_1_1, headers, framing, keep_alive, expects_continue, upgrade })
}

fn parse_response(raw: Bytes) -> Result<ResponseHead, Refused> {
    let mut fields = [const { MaybeUninit::uninit() }; HeadLimits::MOST_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut parsed, &raw, &mut fields) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Refused::StartLine),
        Err(error) => return Err(refused(error)),
    }
    let (Some(code), Some(version)) = (parsed.code, parsed.version) else { return Err(Refused::StartLine) };
    if !(100..=599).contains(&code) {
        return Err(Refused::StartLine);
    }
    let status = StatusCode::from_u16(code).map_err(|_| Refused::StartLine)?;
    let headers = collect(&raw, parsed.headers)?;
    let version_1_1 = version == 1;
    let options = ConnectionOptions::of(&headers);
    let keep_alive = !options.close && (version_1_1 || options.keep_alive);
    Ok(ResponseHead { status, version_1_1, headers, keep_alive })
}

/// The fields of a trailer section that ends with an empty line.
pub(super) fn parse_fields(raw: Bytes) -> Result<HeaderMap, Refused> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    match httparse::parse_headers(&raw, &mut fields) {
        Ok(httparse::Status::Complete((_, fields))) => collect(&raw, fields),
        Ok(httparse::Status::Partial) => Err(Refused::Field),
        Err(error) => Err(refused(error)),
    }
}

/// One space between the three parts, exactly: httparse takes several.
fn check_start_line(raw: &[u8], method: usize, path: usize) -> Result<(), Refused> {
    let line = memchr::memchr(b'\r', raw).unwrap_or(raw.len());
    if line == method + 1 + path + 1 + "HTTP/1.1".len() { Ok(()) } else { Err(Refused::StartLine) }
}

fn collect(raw: &Bytes, fields: &[httparse::Header<'_>]) -> Result<HeaderMap, Refused> {
    // A few more than there are: hygiene and dressing add some, and growing means hashing all again.
    let mut headers = HeaderMap::with_capacity(fields.len() + 6);
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Refused::Field)?;
        let value = if field.value.is_empty() {
            HeaderValue::from_static("")
        } else {
            HeaderValue::from_maybe_shared(raw.slice_ref(field.value)).map_err(|_| Refused::Field)?
        };
        headers.try_append(name, value).map_err(|_| Refused::TooManyFields)?;
    }
    Ok(headers)
}

pub(super) fn expects_continue(headers: &HeaderMap, version_1_1: bool) -> Result<bool, Refused> {
    let mut all = headers.get_all(EXPECT).iter();
    let Some(value) = all.next() else { return Ok(false) };
    if all.next().is_none() && value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
        // RFC 9110 section 10.1.1: from an HTTP/1.0 client it is ignored.
        return Ok(version_1_1);
    }
    Err(Refused::Expect)
}

fn is_exactly(headers: &HeaderMap, name: &HeaderName, value: &[u8]) -> bool {
    let mut all = headers.get_all(name).iter();
    all.next().is_some_and(|first| first.as_bytes().eq_ignore_ascii_case(value)) && all.next().is_none()
}

/// What the `Connection` fields say.
#[derive(Default)]
struct ConnectionOptions {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    /// They name a field whose loss would change the message's meaning or the caller's rights.
    forbidden: bool,
}

impl ConnectionOptions {
    fn of(headers: &HeaderMap) -> Self {
        let mut found = ConnectionOptions::default();
        for value in headers.get_all(CONNECTION) {
            for option in value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                match option {
                    _ if option.eq_ignore_ascii_case(b"close") => found.close = true,
                    _ if option.eq_ignore_ascii_case(b"keep-alive") => found.keep_alive = true,
                    _ if option.eq_ignore_ascii_case(b"upgrade") => found.upgrade = true,
                    _ => found.forbidden |= PROTECTED.iter().any(|name| option.eq_ignore_ascii_case(name)),
                }
            }
        }
        found
    }
}

/// Fields that `Connection` may not take away: a client could else strip what frames the message.
const PROTECTED: [&[u8]; 3] = [b"host", b"content-length", b"transfer-encoding"];

fn refused(error: httparse::Error) -> Refused {
    match error {
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Refused::Field,
        httparse::Error::NewLine => Refused::LineEnd,
        httparse::Error::TooManyHeaders => Refused::TooManyFields,
        httparse::Error::Version => Refused::Version,
        httparse::Error::Status | httparse::Error::Token => Refused::StartLine,
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
