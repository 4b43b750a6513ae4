//! Where a request stands in a trace, on the wire: the field `traceparent` of W3C Trace Context, level 1. What comes from
//! a client is read strictly; what is no such field begins a new trace, and is never repaired.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The trace and the span that a request belongs to.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What vendors add to it; means nothing without a valid `traceparent` (section 3.3).
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A field of version 00, and the least that one of a later version has.
const LENGTH: usize = 55;

/// The id of a trace, never all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// The id of a span, never all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

/// What `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span of whoever sends it.
    pub span: SpanId,
    /// Whether the sender records the trace.
    pub is_sampled: bool,
}

impl TraceParent {
    /// Reads it from a request's fields; nothing where there is none, where it is malformed, or where there are several.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut fields = headers.get_all(TRACEPARENT).iter();
        let field = fields.next()?;
        if fields.next().is_some() {
            return None;
        }
        TraceParent::parse(field.as_bytes())
    }

    /// Reads the value of the field (section 3.2): `00-<32 hex digits>-<16>-<2>`, all lower case. A later version may
    /// have more behind another dash; version ff is none.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (fields, rest) = text.split_at_checked(LENGTH)?;
        let [version] = hex::<1>(&fields[..2])?;
        let is_whole = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest[0] == b'-',
        };
        if !is_whole || [2, 35, 52].iter().any(|&dash| fields[dash] != b'-') {
            return None;
        }
        let (trace, span) = (hex::<16>(&fields[3..35])?, hex::<8>(&fields[36..52])?);
        let [flags] = hex::<1>(&fields[53..])?;
        if trace == [0; 16] || span == [0; 8] {
            return None;
        }
        Some(TraceParent { trace: TraceId(trace), span: SpanId(span), is_sampled: flags & 1 == 1 })
    }

    /// The value of the field, in version 00. Of the flags only the sampled one is defined there; the others are not set.
    pub fn to_value(&self) -> HeaderValue {
        let text =
            format!("00-{}-{}-0{}", self.trace.to_hex(), self.span.to_hex(), u8::from(self.is_sampled));
        HeaderValue::try_from(text).expect("this cannot fail because it is hex digits and dashes")
    }
}

impl TraceId {
    /// One that is not in use.
    pub fn random() -> Self {
        loop {
            let id = fastrand::u128(..).to_be_bytes();
            if id != [0; 16] {
                return TraceId(id);
            }
        }
    }

    /// As 32 digits.
    pub fn to_hex(self) -> String {
        digits(&self.0)
    }

    /// A number of 0 to 1 that is the same for everybody who has to decide about this trace.
    pub fn lot(self) -> f64 {
        let [.., a, b, c, d, e, f, g] = self.0;
        // 53 bits are all that a float holds.
        let low = u64::from_be_bytes([0, a, b, c, d, e, f, g]) >> 3;
        low as f64 / (1_u64 << 53) as f64
    }
}

impl SpanId {
    /// One that is not in use.
    pub fn random() -> Self {
        SpanId(fastrand::u64(1..).to_be_bytes())
    }

    /// As 16 digits.
    pub fn to_hex(self) -> String {
        digits(&self.0)
    }
}

fn digits(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let pair = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    bytes.iter().flat_map(pair).map(char::from).collect()
}

/// Twice as many digits as bytes, lower case only.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_specification_is_read() {
        let parent = TraceParent::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(parent.trace.to_hex(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span.to_hex(), "00f067aa0ba902b7");
        assert!(parent.is_sampled);
        assert_eq!(parent.to_value(), GOOD);
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0A",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
        ] {
            assert_eq!(TraceParent::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        for good in [
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes",
        ] {
            let parent = TraceParent::parse(good.as_bytes()).unwrap();
            assert_eq!(parent.to_value(), GOOD, "and goes on as what we speak");
        }
    }

    #[test]
    fn unknown_flags_are_not_sent_on() {
        let parent = TraceParent::parse(GOOD.replace("-01", "-fe").as_bytes()).unwrap();
        assert!(!parent.is_sampled);
        assert_eq!(parent.to_value(), GOOD.replace("-01", "-00"));
    }

    #[test]
    fn several_fields_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert!(TraceParent::of(&headers).is_some());
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(TraceParent::of(&headers), None);
    }

    proptest! {
        #[test]
        fn written_and_read_is_the_same(trace in 1_u128.., span in 1_u64.., is_sampled: bool) {
            let (trace, span) = (TraceId(trace.to_be_bytes()), SpanId(span.to_be_bytes()));
            let parent = TraceParent { trace, span, is_sampled };
            prop_assert_eq!(TraceParent::parse(parent.to_value().as_bytes()), Some(parent));
        }

        /// The grammar of section 3.2.2 once more, as a regular expression would have it.
        #[test]
        fn what_is_read_is_what_the_grammar_allows(
            text in "(00|01|fe|ff|0F)[-_][0-9a-g]{0,1}[0-9a-f]{31}-(0{16}|[0-9a-fA]{16})-[0-9a-f]{1,3}(-x)?",
        ) {
            let parts: Vec<&str> = text.splitn(5, '-').collect();
            let is_hex = |part: &str, length: usize| {
                part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            };
            let is_good = parts.len() >= 4
                && is_hex(parts[0], 2)
                && parts[0] != "ff"
                && is_hex(parts[1], 32)
                && parts[1].bytes().any(|byte| byte != b'0')
                && is_hex(parts[2], 16)
                && parts[2].bytes().any(|byte| byte != b'0')
                && is_hex(parts[3], 2)
                && (parts.len() == 4 || parts[0] != "00");
            prop_assert_eq!(TraceParent::parse(text.as_bytes()).is_some(), is_good, "{}", text);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(parent) = TraceParent::parse(&bytes) {
                let written = parent.to_value();
                prop_assert_eq!(&written.as_bytes()[3..52], &bytes[3..52]);
            }
        }
    }
}
