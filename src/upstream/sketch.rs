//! Which fields a message may have, in one word. Of the many that a proxy takes away a request mostly has none, and to
//! look each of them up costs more than one look at the few that are there.

use http::HeaderMap;
use http::header::HeaderName;

/// A bit for each field of a message; one bit may stand for several names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sketch(u64);

impl Sketch {
    pub fn of(headers: &HeaderMap) -> Self {
        Sketch(headers.keys().fold(0, |bits, name| bits | bit(name)))
    }

    /// Whether the field may be there; where not, it is not.
    pub fn may_have(self, name: &HeaderName) -> bool {
        self.0 & bit(name) != 0
    }

    /// Removes a field that may be there.
    pub fn remove(self, headers: &mut HeaderMap, name: &HeaderName) {
        if self.may_have(name) {
            headers.remove(name);
        }
    }
}

fn bit(name: &HeaderName) -> u64 {
    let text = name.as_str().as_bytes();
    let first = text.first().copied().unwrap_or_default();
    1 << ((usize::from(first) ^ (text.len() << 2)) & 63)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT, VIA};

    use super::*;

    #[test]
    fn what_is_there_is_never_missed_and_what_browsers_send_is_told_apart_from_what_is_looked_for() {
        let mut headers = HeaderMap::new();
        for name in [HOST, ACCEPT, USER_AGENT, HeaderName::from_static("x-auth-token")] {
            headers.append(name, HeaderValue::from_static(""));
        }
        let sketch = Sketch::of(&headers);
        assert!(headers.keys().all(|name| sketch.may_have(name)));
        for name in [CONNECTION, VIA, HeaderName::from_static("keep-alive")] {
            assert!(!sketch.may_have(&name), "{name}");
            let mut headers = headers.clone();
            headers.append(&name, HeaderValue::from_static(""));
            Sketch::of(&headers).remove(&mut headers, &name);
            assert!(!headers.contains_key(&name));
        }
    }
}
