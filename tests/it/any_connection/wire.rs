//! A second, plainly written reader of HTTP/1.1 messages, as strict as RFC 9112 lets a reader be. It shares nothing with
//! the one under test.

/// A head without its last, empty line.
pub struct Head {
    pub start: String,
    /// Names in lower case.
    pub fields: Vec<(String, Vec<u8>)>,
}

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(usize),
    Chunked,
}

impl Head {
    /// The head at the beginning of `bytes`, and how long it is; nothing while it is not complete.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, String> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let mut lines =
            bytes[..end].split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let start = String::from_utf8(lines.next().unwrap_or_default().to_vec())
            .map_err(|_| "a start line in no ASCII")?;
        if !start.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(format!("a start line with {start:?}"));
        }
        // Each line feed has its carriage return: what is left of them is a bare one.
        if bytes[..end].windows(2).any(|pair| (pair[0] == b'\r') != (pair[1] == b'\n')) {
            return Err("a bare CR or LF".to_owned());
        }
        let fields = lines.map(field).collect::<Result<_, _>>()?;
        Ok(Some((Head { start, fields }, end + 4)))
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_slice()).collect()
    }

    /// Whether a field has exactly one value, this one.
    pub fn is(&self, name: &str, value: &str) -> bool {
        self.all(name) == [value.as_bytes()]
    }

    /// How the body is framed; nothing that two readers could understand differently.
    pub fn framing(&self) -> Result<Framing, String> {
        match (self.all("transfer-encoding").as_slice(), self.all("content-length").as_slice()) {
            ([], []) => Ok(Framing::None),
            ([b"chunked"], []) => Ok(Framing::Chunked),
            ([], [digits]) => {
                let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
                let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
                number
                    .filter(|_| is_number)
                    .map(Framing::Length)
                    .ok_or_else(|| "a length that is none".to_owned())
            }
            _ => Err("an ambiguous framing".to_owned()),
        }
    }
}

/// Reads a field line.
fn field(line: &[u8]) -> Result<(String, Vec<u8>), String> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or("a field without a colon")?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(format!("a field called {:?}", String::from_utf8_lossy(name)));
    }
    let value = value.strip_prefix(b" ").unwrap_or(value);
    if value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
        return Err("a control character in a value".to_owned());
    }
    Ok((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()))
}

/// RFC 9110 section 5.6.2.
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The length of the body at the beginning of `bytes`; nothing while it is not complete.
pub fn body(bytes: &[u8], framing: Framing) -> Result<Option<usize>, String> {
    match framing {
        Framing::None => Ok(Some(0)),
        Framing::Length(length) => Ok((bytes.len() >= length).then_some(length)),
        Framing::Chunked => chunks(bytes),
    }
}

/// RFC 9112 section 7.1, without extensions: we write none.
fn chunks(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut at = 0;
    loop {
        let Some(line) = bytes[at..].windows(2).position(|window| window == b"\r\n") else {
            return if bytes.len() - at > 18 {
                Err("a chunk size without an end".to_owned())
            } else {
                Ok(None)
            };
        };
        let digits = &bytes[at..at + line];
        if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(format!("a chunk of {:?}", String::from_utf8_lossy(digits)));
        }
        let digits = std::str::from_utf8(digits).map_err(|error| error.to_string())?;
        let size = usize::from_str_radix(digits, 16).map_err(|error| error.to_string())?;
        at += line + 2;
        if size == 0 {
            return trailers(bytes, at);
        }
        if bytes.len() - at < size + 2 {
            return Ok(None);
        }
        if bytes[at + size..at + size + 2] != *b"\r\n" {
            return Err("a chunk that is longer than its size".to_owned());
        }
        at += size + 2;
    }
}

fn trailers(bytes: &[u8], mut at: usize) -> Result<Option<usize>, String> {
    loop {
        let Some(line) = bytes[at..].windows(2).position(|window| window == b"\r\n") else { return Ok(None) };
        if line == 0 {
            return Ok(Some(at + 2));
        }
        let (name, _) = field(&bytes[at..at + line])?;
        if ["content-length", "transfer-encoding", "host", "connection"].contains(&name.as_str()) {
            return Err(format!("{name} in a trailer"));
        }
        at += line + 2;
    }
}
