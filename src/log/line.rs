//! One line of the access log, as text or as JSON. Whatever stands in a value, it can neither end the line nor pass
//! for another field.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::Format;

/// The value of a field.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(u64),
    Seconds(Duration),
}

/// Appends one line, its end included.
pub(super) fn write(line: &mut String, format: Format, at: Timestamp, fields: &[(&str, Value<'_>)]) {
    // Writing to a String cannot fail.
    let _ = match format {
        Format::Text => text(line, at, fields),
        Format::Json => json(line, at, fields),
    };
    line.push('\n');
}

fn text(line: &mut String, at: Timestamp, fields: &[(&str, Value<'_>)]) -> std::fmt::Result {
    write!(line, "{at:.3}  INFO access:")?;
    for (name, value) in fields {
        write!(line, " {name}=")?;
        match value {
            Value::Text(value) if value.is_empty() || value.chars().any(needs_quotes) => quoted(line, value)?,
            Value::Text(value) => line.push_str(value),
            Value::Number(number) => write!(line, "{number}")?,
            Value::Seconds(duration) => write!(line, "{:.6}", duration.as_secs_f64())?,
        }
    }
    Ok(())
}

fn json(line: &mut String, at: Timestamp, fields: &[(&str, Value<'_>)]) -> std::fmt::Result {
    write!(line, r#"{{"timestamp":"{at:.3}","level":"INFO","target":"access""#)?;
    for (name, value) in fields {
        write!(line, r#","{name}":"#)?;
        match value {
            Value::Text(value) => quoted(line, value)?,
            Value::Number(number) => write!(line, "{number}")?,
            Value::Seconds(duration) => write!(line, "{:.6}", duration.as_secs_f64())?,
        }
    }
    line.push('}');
    Ok(())
}

/// A JSON string, which serves as text as well. Beyond what JSON demands, it escapes whatever could move a terminal's
/// cursor or turn its direction of writing, and the separators that some readers take for a line's end.
fn quoted(line: &mut String, value: &str) -> std::fmt::Result {
    line.push('"');
    for character in value.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            // None of these lies beyond the first plane, so four digits do.
            unsafe_one if is_unsafe(unsafe_one) => write!(line, "\\u{:04x}", u32::from(unsafe_one))?,
            other => line.push(other),
        }
    }
    line.push('"');
    Ok(())
}

fn needs_quotes(character: char) -> bool {
    matches!(character, '"' | '\\' | '=') || character.is_whitespace() || is_unsafe(character)
}

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The longest run of letters, digits, `-` and `_` in a path that is not taken for a token. Onezone's ids have 38, and
/// the smallest token has 200.
const LONGEST_WORD: usize = 64;

/// The path with `<redacted>` in place of whatever can be a token. One can stand in any path: that of a deprecated
/// operation that is spelt wrongly, say.
pub(super) fn without_tokens(path: &str) -> Cow<'_, str> {
    let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_token = |word: &str| word.len() > LONGEST_WORD;
    let separator = |character: char| !character.is_ascii() || !is_of_word(character as u8);
    if !path.split(separator).any(is_token) {
        return Cow::Borrowed(path);
    }
    let pieces = path.split_inclusive(separator).map(|piece| {
        let word = piece.trim_end_matches(separator);
        if is_token(word) { Cow::Owned(piece.replace(word, "<redacted>")) } else { Cow::Borrowed(piece) }
    });
    Cow::Owned(pieces.collect())
}
