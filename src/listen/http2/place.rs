//! The frames of one direction of a connection (RFC 9113 section 4.1) as its bytes pass, in whatever pieces they come:
//! where each begins and what is in it. It judges nothing.

/// The length of a frame's head.
const HEAD: usize = 9;

/// Where in a sequence of frames one direction is.
#[derive(Debug)]
pub(super) struct Place {
    /// What is to come of a preface.
    preface: usize,
    head: [u8; HEAD],
    have: usize,
    /// What is to come of the payload.
    left: usize,
    /// The payload's first bytes.
    code: [u8; 8],
    code_have: usize,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

/// What has come.
pub(super) enum Step<'a> {
    /// The head of a frame.
    Head(Frame),
    /// A piece of its payload, and the eight bytes that the payload began with, once they are there.
    Piece { frame: Frame, bytes: &'a [u8], is_last: bool, code: [u8; 8] },
}

impl Place {
    pub fn new(preface: usize) -> Self {
        Place { preface, head: [0; HEAD], have: 0, left: 0, code: [0; 8], code_have: 0 }
    }

    fn frame(&self) -> Frame {
        let length =
            usize::from(self.head[0]) << 16 | usize::from(self.head[1]) << 8 | usize::from(self.head[2]);
        let [.., a, b, c, d] = self.head;
        let stream = u32::from_be_bytes([a & 0x7f, b, c, d]);
        Frame { length, kind: self.head[3], flags: self.head[4], stream }
    }

    /// Goes on over these bytes: the frame whose head is complete now, or a piece of its payload, and the rest.
    pub fn step<'a>(&mut self, mut bytes: &'a [u8]) -> (Option<Step<'a>>, &'a [u8]) {
        if self.preface > 0 {
            let taken = self.preface.min(bytes.len());
            self.preface -= taken;
            bytes = &bytes[taken..];
        }
        if bytes.is_empty() {
            return (None, bytes);
        }
        if self.left == 0 {
            let taken = (HEAD - self.have).min(bytes.len());
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have < HEAD {
                return (None, bytes);
            }
            self.have = 0;
            self.code_have = 0;
            let frame = self.frame();
            self.left = frame.length;
            return (Some(Step::Head(frame)), bytes);
        }
        let taken = self.left.min(bytes.len());
        let of_code = taken.min(self.code.len() - self.code_have);
        self.code[self.code_have..self.code_have + of_code].copy_from_slice(&bytes[..of_code]);
        self.code_have += of_code;
        self.left -= taken;
        let piece = Step::Piece {
            frame: self.frame(),
            bytes: &bytes[..taken],
            is_last: self.left == 0,
            code: self.code,
        };
        (Some(piece), &bytes[taken..])
    }

    /// Whether a frame's head is half there.
    pub fn is_inside_head(&self) -> bool {
        self.have > 0
    }
}
