//! The Huffman code of HPACK (RFC 7541 appendix B), decoded. It is a canonical code: the lengths say it all.

/// The symbol that may not occur.
const END: usize = 256;
/// The longest code.
const LONGEST: usize = 30;

/// The length of each symbol's code, in bits; the last is [`END`].
#[rustfmt::skip]
const LENGTHS: [u8; END + 1] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,];

const CODE: Code = Code::new();

/// The codes by their length: where they begin, how many there are, and the symbols in their order.
struct Code {
    first: [u32; LONGEST + 1],
    count: [u32; LONGEST + 1],
    begin: [usize; LONGEST + 1],
    symbols: [u16; END + 1],
}

impl Code {
    const fn new() -> Self {
        let mut code = Code {
            first: [0; LONGEST + 1],
            count: [0; LONGEST + 1],
            begin: [0; LONGEST + 1],
            symbols: [0; END + 1],
        };
        let (mut next, mut place, mut length) = (0, 0, 1);
        while length <= LONGEST {
            next <<= 1;
            code.first[length] = next;
            code.begin[length] = place;
            let mut symbol = 0;
            while symbol <= END {
                if LENGTHS[symbol] as usize == length {
                    code.symbols[place] = symbol as u16;
                    code.count[length] += 1;
                    place += 1;
                    next += 1;
                }
                symbol += 1;
            }
            length += 1;
        }
        code
    }
}

/// Decodes `bytes` behind what `out` holds; false where they are no such code.
pub(super) fn decode(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    static TABLE: Code = CODE;
    let (mut bits, mut have) = (0_u64, 0_usize);
    let mut bytes = bytes.iter();
    loop {
        while have < 32
            && let Some(byte) = bytes.next()
        {
            bits = bits << 8 | u64::from(*byte);
            have += 8;
        }
        let found = (5..=LONGEST.min(have)).find_map(|length| {
            let code = (bits >> (have - length) & ((1 << length) - 1)) as u32;
            let at = code.checked_sub(TABLE.first[length]).filter(|at| *at < TABLE.count[length])?;
            Some((length, TABLE.symbols[TABLE.begin[length] + at as usize]))
        });
        match found {
            Some((length, symbol)) => {
                let Ok(byte) = u8::try_from(symbol) else { return false };
                out.push(byte);
                have -= length;
            }
            // Section 5.2: what is left is the beginning of the last code, and shorter than a byte.
            None => return have < 8 && bits & ((1 << have) - 1) == (1 << have) - 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        decode(bytes, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_examples_of_the_standard_are_read() {
        // RFC 7541 appendix C.4 and C.6.
        let host = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decoded(&host).as_deref(), Some("www.example.com"));
        assert_eq!(decoded(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]).as_deref(), Some("no-cache"));
        assert_eq!(decoded(&[0x64, 0x02]).as_deref(), Some("302"));
        assert_eq!(decoded(&[]).as_deref(), Some(""));
    }

    #[test]
    fn padding_is_the_beginning_of_the_last_code_and_shorter_than_a_byte() {
        assert_eq!(decoded(&[0x07]).as_deref(), Some("0"));
        assert_eq!(decoded(&[0x00]), None, "padded with zeros");
        assert_eq!(decoded(&[0xff]), None, "a whole byte of padding");
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), None, "the last code");
    }
}
