//! The path of a request as Onezone's router reads it (contract, section 2; cowboy 2.9 with cowlib 2.11). Everything
//! that asks which resource a path names goes through [`segments`], so that nothing here can disagree about it.

use std::borrow::Cow;

/// A path that the router refuses whatever it holds: the whole listener answers it with 400 and an empty body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path does not begin with a slash, holds a bad escape or a character that must be escaped")]
pub struct BadPath;

/// The decoded segments of a raw path (without query or fragment), dot segments resolved.
///
/// 1. The path is split at `/`; one trailing slash is ignored, any other empty segment stays as one.
/// 2. Each segment is percent-decoded after the split: `%2F` stays inside it and `+` is no space. Unescaped it may
///    hold only what RFC 3986 (section 3.3, `pchar`) allows.
/// 3. Segments that now read `.` go, and `..` takes the one before it along, if there is one. An empty segment
///    counts as one here.
///
/// # Errors
///
/// [`BadPath`] if a rule is broken anywhere, even in a segment that a later `..` removes.
pub fn segments(path: &str) -> Result<Vec<Cow<'_, [u8]>>, BadPath> {
    let inside = path.strip_prefix('/').ok_or(BadPath)?;
    let inside = inside.strip_suffix('/').unwrap_or(inside);
    let mut resolved = Vec::with_capacity(12);
    if inside.is_empty() && path.len() < 2 {
        return Ok(resolved);
    }
    for segment in inside.split('/') {
        let segment = decode(segment.as_bytes())?;
        match &*segment {
            b"." => {}
            b".." => drop(resolved.pop()),
            _ => resolved.push(segment),
        }
    }
    Ok(resolved)
}

/// Writes bytes as one path segment in which only unreserved characters (RFC 3986, section 2.3) stand for themselves.
pub fn encode(segment: &[u8]) -> String {
    percent_encoding::percent_encode(segment, RESERVED).to_string()
}

const RESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn decode(segment: &[u8]) -> Result<Cow<'_, [u8]>, BadPath> {
    if segment.iter().all(|byte| PCHAR[usize::from(*byte)]) {
        return Ok(Cow::Borrowed(segment));
    }
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                decoded.push(hex(*high)? << 4 | hex(*low)?);
                after
            }
            (byte, after) if PCHAR[usize::from(*byte)] => {
                decoded.push(*byte);
                after
            }
            _ => return Err(BadPath),
        };
    }
    Ok(Cow::Owned(decoded))
}

fn hex(digit: u8) -> Result<u8, BadPath> {
    char::from(digit).to_digit(16).map(|value| value as u8).ok_or(BadPath)
}

/// Which bytes a segment may hold as they are.
const PCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~!$&'()*+,;=:@";
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<Vec<String>> {
        let segments = segments(path).ok()?;
        Some(segments.iter().map(|segment| String::from_utf8_lossy(segment).into_owned()).collect())
    }

    #[test]
    fn paths_are_read_as_cowboy_reads_them() {
        let cases: &[(&str, &[&str])] = &[
            ("/", &[]),
            ("//", &[""]),
            ("///", &["", ""]),
            ("/a", &["a"]),
            ("/a/", &["a"]),
            ("/a//", &["a", ""]),
            ("//a", &["", "a"]),
            ("/a//b", &["a", "", "b"]),
            ("/a/./b", &["a", "b"]),
            ("/a/.", &["a"]),
            ("/a/./", &["a"]),
            ("/a/b/..", &["a"]),
            ("/a/b/../", &["a"]),
            ("/../a", &["a"]),
            ("/../../a/../..", &[]),
            ("/a//../b", &["a", "b"]),
            ("/a/%2e%2E/b", &["b"]),
            ("/a/%2e/b", &["a", "b"]),
            ("/a/...", &["a", "..."]),
            ("/a%2Fb/c", &["a/b", "c"]),
            ("/%2f", &["/"]),
            ("/a+b/%20", &["a+b", " "]),
            ("/%C3%b3", &["ó"]),
            ("/%25%32%66", &["%2f"]),
            ("/-._~!$&'()*+,;=:@", &["-._~!$&'()*+,;=:@"]),
        ];
        for (path, expected) in cases {
            assert_eq!(
                read(path).as_deref(),
                Some(&expected.iter().map(|s| s.to_string()).collect::<Vec<_>>()[..]),
                "{path}"
            );
        }
    }

    #[test]
    fn bad_escapes_and_bare_characters_are_refused_wherever_they_stand() {
        for path in [
            "", "*", "a", "/%", "/%2", "/%zz", "/%2g/..", "/a/%/b", "/{id}", "/a|b", "/a\"", "/ó", "/a b",
            "/%+1",
        ] {
            assert_eq!(segments(path), Err(BadPath), "{path}");
        }
    }

    #[test]
    fn what_is_encoded_is_read_back() {
        let every: Vec<u8> = (0..=255).collect();
        let path = format!("/{}", encode(&every));
        assert_eq!(segments(&path).unwrap()[0], every);
        assert_eq!(encode(b"a/b c~"), "a%2Fb%20c~");
    }
}
