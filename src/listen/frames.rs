//! Where WebSocket frames begin and end (RFC 6455, section 5.2) in bytes that pass by: so that a frame of our own can be put
//! between two of them. Knows nothing of what is in them.

/// One way of a WebSocket.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; 14],
    /// How much of the header is known.
    known: usize,
    /// How much of the payload is to come.
    left: u64,
    /// Whether a close frame has passed, behind which nothing may come.
    is_closed: bool,
}

/// The length of a masking key.
const MASK: usize = 4;
/// The opcode of a close frame.
const CLOSE: u8 = 8;

impl Frames {
    /// These bytes have passed.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let passed = self.left.min(bytes.len() as u64);
                self.left -= passed;
                bytes = &bytes[passed as usize..];
                continue;
            }
            self.header[self.known] = first;
            self.known += 1;
            bytes = rest;
            if let Some(length) = self.payload() {
                self.is_closed |= self.header[0] & 0x0f == CLOSE;
                (self.known, self.left) = (0, length);
            }
        }
    }

    /// Whether a frame of our own can stand here.
    pub fn takes_one(&self) -> bool {
        self.known == 0 && self.left == 0 && !self.is_closed
    }

    /// The length of the payload, once the header is whole.
    fn payload(&self) -> Option<u64> {
        let [_, second, length @ ..] = &self.header;
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 != 0 { MASK } else { 0 };
        if self.known < 2 + extended + mask {
            return None;
        }
        Some(match extended {
            0 => u64::from(second & 0x7f),
            _ => length[..extended].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_can_stand_between_two_and_nowhere_else() {
        let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
        let longer = [&[0x02, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4][..], &vec![7; 65536]].concat();
        for frame in [&[0x81, 0][..], &[0x89, 2, b'h', b'i'], &[0x81, 0x81, 1, 2, 3, 4, 5], &long, &longer] {
            for pieces in [1, 3, 1000, frame.len()] {
                let mut frames = Frames::default();
                let mut passed = 0;
                for piece in frame.chunks(pieces) {
                    frames.pass(piece);
                    passed += piece.len();
                    assert_eq!(frames.takes_one(), passed == frame.len(), "{passed} of {}", frame.len());
                }
                frames.pass(&[frame, frame].concat());
                assert!(frames.takes_one());
            }
        }
    }

    #[test]
    fn nothing_stands_behind_a_close_frame() {
        let mut frames = Frames::default();
        frames.pass(&[0x88, 2, 3, 232]);
        assert!(!frames.takes_one());
    }
}
