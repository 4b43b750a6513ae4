//! Onezone's path rules written a second time, as plainly as can be (contract, section 2). The tests and the fuzz target
//! compare the routing table with it.

use duskgate::operation::Operation;

/// The name and the value of each parameter.
pub type Ids = Vec<(String, Vec<u8>)>;

/// What the model says: the matching operations, whatever their methods, each with its ids.
pub fn model(operations: &[Operation], path: &str) -> Vec<(usize, Ids)> {
    let Some(segments) = model_segments(path) else { return Vec::new() };
    let mut found = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        let template: Vec<&str> = operation.template[1..].split('/').collect();
        if template.len() != segments.len() {
            continue;
        }
        let mut ids = Vec::new();
        let mut matches = true;
        for (wanted, segment) in template.iter().zip(&segments) {
            if wanted.starts_with('{') {
                matches &= !segment.is_empty();
                ids.push((wanted.trim_matches(['{', '}']).to_owned(), segment.clone()));
            } else {
                matches &= wanted.as_bytes() == segment;
            }
        }
        if matches {
            found.push((index, ids));
        }
    }
    found
}

fn model_segments(path: &str) -> Option<Vec<Vec<u8>>> {
    let mut raw: Vec<&str> = path.split('/').collect();
    if !raw.remove(0).is_empty() || raw.is_empty() {
        return None;
    }
    if raw.last() == Some(&"") {
        raw.pop();
    }
    let decoded: Vec<Vec<u8>> = raw.into_iter().map(model_decode).collect::<Option<_>>()?;
    let mut resolved: Vec<Vec<u8>> = Vec::new();
    for segment in decoded {
        if segment == b".." {
            resolved.pop();
        } else if segment != b"." {
            resolved.push(segment);
        }
    }
    Some(resolved)
}

fn model_decode(segment: &str) -> Option<Vec<u8>> {
    let characters: Vec<char> = segment.chars().collect();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let character = characters[at];
        if character == '%' {
            let digits: String = characters.get(at + 1..at + 3)?.iter().collect();
            if !digits.chars().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            decoded.push(u8::from_str_radix(&digits, 16).ok()?);
            at += 3;
        } else if character.is_ascii_alphanumeric() || "!$&'()*+,-.:;=@_~".contains(character) {
            decoded.push(character as u8);
            at += 1;
        } else {
            return None;
        }
    }
    Some(decoded)
}
