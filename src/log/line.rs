//! One line of the access log, as text or as JSON. Whatever stands in a value, it can neither end the line nor pass
//! for another field.

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
