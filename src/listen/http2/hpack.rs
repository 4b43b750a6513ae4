//! Header compression (RFC 7541), decoded a second time beside h2. h2 hands on a request whose target has lost its
//! fragment and trailers without their pseudo-header fields, and says of what it refuses only that it did; here every field
//! is seen as the client sent it. It keeps the table that h2 keeps, of at most [`TABLE`] bytes.

use std::collections::VecDeque;

use super::huffman;

/// The table's size, which we leave at the default of RFC 9113 section 6.5.2.
const TABLE: usize = 4096;
/// What a table's entry counts more than its text (section 4.1).
const ENTRY: usize = 32;

/// The header block cannot be read: nobody knows what the next one means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// A name and a value.
type Entry = (Box<[u8]>, Box<[u8]>);

/// A decoder's table, and room for what it decodes.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    entries: VecDeque<Entry>,
    size: usize,
    /// How much less than [`TABLE`] the client wants it to be.
    less: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// Reads a whole header block and shows each field.
    pub fn decode(&mut self, mut block: &[u8], mut show: impl FnMut(&[u8], &[u8])) -> Result<(), Broken> {
        let (mut name, mut value) = (std::mem::take(&mut self.name), std::mem::take(&mut self.value));
        let mut may_resize = true;
        let mut read = Ok(());
        while let Some(&first) = block.first() {
            name.clear();
            value.clear();
            read = match first {
                0x80.. => self.indexed(&mut block, &mut name, &mut value),
                0x40.. => {
                    self.literal(&mut block, 6, &mut name, &mut value).map(|()| self.keep(&name, &value))
                }
                0x20.. if may_resize => {
                    read = self.resize(&mut block);
                    if read.is_err() { break } else { continue }
                }
                0x20.. => Err(Broken),
                _ => self.literal(&mut block, 4, &mut name, &mut value),
            };
            if read.is_err() {
                break;
            }
            may_resize = false;
            show(&name, &value);
        }
        (self.name, self.value) = (name, value);
        read
    }

    fn indexed(&self, block: &mut &[u8], name: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<(), Broken> {
        let (known_name, known_value) = self.entry(integer(block, 7)?)?;
        name.extend_from_slice(known_name);
        value.extend_from_slice(known_value);
        Ok(())
    }

    fn literal(
        &self,
        block: &mut &[u8],
        prefix: u32,
        name: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<(), Broken> {
        match integer(block, prefix)? {
            0 => string(block, name)?,
            index => name.extend_from_slice(self.entry(index)?.0),
        }
        string(block, value)
    }

    fn entry(&self, index: usize) -> Result<(&[u8], &[u8]), Broken> {
        let index = index.checked_sub(1).ok_or(Broken)?;
        match STATIC.get(index) {
            Some((name, value)) => Ok((name.as_bytes(), value.as_bytes())),
            None => {
                let (name, value) = self.entries.get(index - STATIC.len()).ok_or(Broken)?;
                Ok((name, value))
            }
        }
    }

    fn keep(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + ENTRY;
        self.shrink((TABLE - self.less).saturating_sub(size));
        if size <= TABLE - self.less {
            self.size += size;
            self.entries.push_front((name.into(), value.into()));
        }
    }

    fn resize(&mut self, block: &mut &[u8]) -> Result<(), Broken> {
        let size = integer(block, 5)?;
        self.less = TABLE.checked_sub(size).ok_or(Broken)?;
        self.shrink(size);
        Ok(())
    }

    fn shrink(&mut self, size: usize) {
        while self.size > size
            && let Some((name, value)) = self.entries.pop_back()
        {
            self.size -= name.len() + value.len() + ENTRY;
        }
    }
}

/// Section 5.1. Nothing of ours is larger than four bytes can say.
fn integer(block: &mut &[u8], prefix: u32) -> Result<usize, Broken> {
    let mask = (1_u8 << prefix) - 1;
    let (&first, mut rest) = block.split_first().ok_or(Broken)?;
    let mut value = usize::from(first & mask);
    if first & mask == mask {
        for shift in (0..).step_by(7) {
            let (&byte, more) = rest.split_first().filter(|_| shift <= 21).ok_or(Broken)?;
            rest = more;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *block = rest;
    Ok(value)
}

/// Section 5.2.
fn string(block: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    let is_huffman = block.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length).ok_or(Broken)?;
    *block = rest;
    if is_huffman {
        return if huffman::decode(text, out) { Ok(()) } else { Err(Broken) };
    }
    out.extend_from_slice(text);
    Ok(())
}

/// Appendix A.
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""),
    ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""),
    ("if-modified-since", ""), ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""),
    ("last-modified", ""), ("link", ""), ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""),
    ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""), ("retry-after", ""),
    ("server", ""), ("set-cookie", ""), ("strict-transport-security", ""), ("transfer-encoding", ""),
    ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, Broken> {
        let mut fields = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        decoder.decode(block, |name, value| fields.push(format!("{} {}", text(name), text(value))))?;
        Ok(fields)
    }

    #[test]
    fn the_examples_of_the_standard_are_read() {
        // RFC 7541 appendix C.4.
        let mut decoder = Decoder::default();
        let first = [
            0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4,
            0xff,
        ];
        let expected = [":method GET", ":scheme http", ":path /", ":authority www.example.com"];
        assert_eq!(fields(&mut decoder, &first).unwrap(), expected);
        let second = [0x82, 0x86, 0x84, 0xbe, 0x58, 0x86, 0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf];
        let seen = fields(&mut decoder, &second).unwrap();
        assert_eq!(seen[3..], [":authority www.example.com", "cache-control no-cache"]);
        assert_eq!(decoder.size, 110);
    }

    #[test]
    fn the_table_forgets_the_oldest_and_shrinks_on_demand() {
        let mut decoder = Decoder::default();
        let long = [&[0x40, 1, b'x', 0x7f, 0xd1, 0x0e][..], &[b'y'; 2000]].concat();
        for _ in 0..5 {
            fields(&mut decoder, &long).unwrap();
        }
        assert_eq!(decoder.entries.len(), 2, "2033 bytes each, in 4096");
        assert_eq!(fields(&mut decoder, &[0x20, 0x82]).unwrap(), [":method GET"]);
        assert!(decoder.entries.is_empty());
        assert_eq!(fields(&mut decoder, &[0xbe]), Err(Broken));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for block in [
            &[0x80][..],
            &[0xbe],
            &[0x40],
            &[0x00, 1],
            &[0x00, 1, b'a', 5, b'b'],
            &[0x82, 0x20],
            &[0x3f, 0xe2, 0x1f],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x00, 0x81, 0xff, 0x00],
        ] {
            assert_eq!(fields(&mut Decoder::default(), block), Err(Broken), "{block:02x?}");
        }
    }
}
