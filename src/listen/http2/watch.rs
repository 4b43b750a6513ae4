//! The frames of one connection as they pass (RFC 9113 section 4.1): where each begins, what it costs us, and whether a
//! head is still to be completed. It is fed bytes in whatever pieces they come.

use h2::Reason;

use super::Bounds;
use super::calm::Calm;
use super::fields::Judge;
use super::hpack::Decoder;
use super::place::{Frame, Place, Step};
use crate::timer;

/// The client's first bytes (RFC 9113 section 3.4).
pub(in crate::listen) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// So many of them are a request line that nothing else has.
pub(in crate::listen) const TOLD: usize = b"PRI * HTTP/2.0\r\n".len();
/// A header block may be spread over so many frames without a byte in them.
const EMPTY_CONTINUATIONS: u32 = 4;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// Room for a header block that is kept between requests.
const KEPT: usize = 4 * 1024;
/// What is known of streams that are not yet over, at most of so many.
const FINDINGS: usize = 256;
/// The flag of SETTINGS and PING.
const ACK: u8 = 0x1;
/// The flags of DATA and HEADERS.
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// Error codes of RFC 9113 section 7.
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;
const FAULTS: [u32; 5] = [1, 3, 5, 6, 9];

/// Why a connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    /// The client resets, or makes us reset, too many streams.
    Resets,
    /// Too many frames that move nothing.
    Control,
    /// A header block is too large, or comes in too many pieces.
    Head,
    /// A header block cannot be decoded.
    Block,
}

impl Alarm {
    /// The word in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Alarm::Resets => "http2_resets",
            Alarm::Control => "http2_control",
            Alarm::Head => "head_bytes",
            Alarm::Block => "frame",
        }
    }

    /// What the client is told.
    pub fn reason(self) -> Reason {
        match self {
            Alarm::Block => Reason::COMPRESSION_ERROR,
            _ => Reason::ENHANCE_YOUR_CALM,
        }
    }
}

/// What has passed.
#[derive(Debug)]
pub(super) struct Watch {
    reading: Place,
    writing: Place,
    calm: Calm,
    alarm: Option<Alarm>,
    is_alarmed: bool,
    /// The largest header block, in bytes as they come.
    block_limit: usize,
    block: Option<Block>,
    /// The bytes of the header block.
    fragment: Vec<u8>,
    decoder: Decoder,
    /// The last stream whose head has come.
    last_stream: u32,
    /// What was found wrong with the heads of streams, until it is told.
    findings: Vec<Finding>,
    /// The client's first SETTINGS, which belong to its preface, have come.
    is_greeted: bool,
    /// PINGs of ours that the client has not acknowledged.
    pings: u32,
    /// We end the connection, and know why.
    is_ending: bool,
    /// Since when the preface, the head of a frame, or a header block, is incomplete, in milliseconds.
    incomplete_since: Option<u64>,
    /// Moves with each byte that is written.
    written: u64,
    /// Streams that were refused because there were too many at once.
    refused: u32,
    /// Why streams were reset for the client's fault.
    faults: Vec<&'static str>,
}

/// What was found wrong with a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finding {
    stream: u32,
    /// The word in metrics.
    pub word: &'static str,
    /// Whether it has been counted, or is about to be.
    pub is_told: bool,
}

/// A header block that goes on in the next frame.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// How much of it the frames announce.
    bytes: usize,
    empty: u32,
    /// What stands before and behind it in its first frame.
    padding: bool,
    priority: bool,
}

impl Watch {
    pub fn new(bounds: &Bounds, block_limit: usize) -> Self {
        Watch {
            reading: Place::new(PREFACE.len()),
            writing: Place::new(0),
            calm: Calm::new(bounds, timer::now()),
            alarm: None,
            is_alarmed: false,
            block_limit,
            block: None,
            fragment: Vec::new(),
            decoder: Decoder::default(),
            last_stream: 0,
            findings: Vec::new(),
            is_greeted: false,
            pings: 0,
            is_ending: false,
            incomplete_since: Some(timer::now()),
            written: 0,
            refused: 0,
            faults: Vec::new(),
        }
    }

    /// The client has sent this.
    pub fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (step, rest) = self.reading.step(bytes);
            bytes = rest;
            match step {
                Some(Step::Head(frame)) => self.came(frame),
                Some(Step::Piece { frame, bytes, is_last, .. }) => {
                    if matches!(frame.kind, HEADERS | CONTINUATION)
                        && self.block.is_some()
                        && !self.is_alarmed
                    {
                        self.fragment.extend_from_slice(bytes);
                    }
                    if is_last {
                        self.ended(frame);
                    }
                }
                None => {}
            }
        }
        let is_incomplete = !self.is_greeted || self.reading.is_inside_head() || self.block.is_some();
        self.incomplete_since = match (is_incomplete, self.incomplete_since) {
            (false, _) => None,
            (true, Some(since)) => Some(since),
            (true, None) => Some(timer::now()),
        };
    }

    /// We have sent this.
    pub fn wrote(&mut self, mut bytes: &[u8]) {
        self.written += bytes.len() as u64;
        while !bytes.is_empty() {
            let (step, rest) = self.writing.step(bytes);
            bytes = rest;
            match step {
                Some(Step::Head(Frame { kind: DATA, length, .. })) => self.calm.data(length),
                Some(Step::Head(Frame { kind: PING, flags, .. })) if flags & ACK == 0 => self.pings += 1,
                Some(Step::Piece {
                    frame: Frame { kind: RST_STREAM, stream, .. },
                    is_last: true,
                    code,
                    ..
                }) => {
                    let [a, b, c, d, ..] = code;
                    self.was_reset(stream, u32::from_be_bytes([a, b, c, d]));
                }
                Some(Step::Piece { frame: Frame { kind: GOAWAY, .. }, is_last: true, code, .. }) => {
                    let [.., a, b, c, d] = code;
                    self.went_away(u32::from_be_bytes([a, b, c, d]));
                }
                _ => {}
            }
        }
    }

    /// We have ended the connection; where that was h2, nobody has counted it yet.
    fn went_away(&mut self, code: u32) {
        if self.is_alarmed {
            return;
        }
        if FAULTS.contains(&code) {
            let word = self.findings.last_mut().filter(|finding| !finding.is_told);
            self.faults.push(word.map_or("frame", |finding| {
                finding.is_told = true;
                finding.word
            }));
        } else if code == ENHANCE_YOUR_CALM && !self.is_ending {
            self.faults.push("http2_control");
        }
    }

    /// We have reset a stream.
    fn was_reset(&mut self, stream: u32, code: u32) {
        if code == REFUSED_STREAM {
            self.refused += 1;
        } else if FAULTS.contains(&code) {
            match self.finding(stream) {
                None => self.faults.push("frame"),
                Some(Finding { word, is_told: false, .. }) => self.faults.push(word),
                Some(_) => {}
            }
            if !self.calm.reset(timer::now()) {
                self.raise(Alarm::Resets);
            }
        }
    }

    fn came(&mut self, frame: Frame) {
        let now = timer::now();
        let is_calm = match frame.kind {
            DATA if frame.length == 0 && frame.flags & END_STREAM == 0 => self.calm.control(now),
            DATA => {
                self.calm.data(frame.length);
                true
            }
            HEADERS => {
                self.calm.request();
                self.fragment.clear();
                let (padding, priority) = (frame.flags & PADDED != 0, frame.flags & PRIORITY != 0);
                self.block = Some(Block { bytes: frame.length, empty: 0, padding, priority });
                true
            }
            CONTINUATION => {
                if let Some(block) = &mut self.block {
                    block.bytes += frame.length;
                    block.empty += u32::from(frame.length == 0);
                }
                true
            }
            // h2 refuses one that nobody asked for.
            SETTINGS if frame.flags & ACK != 0 => true,
            PING if frame.flags & ACK != 0 && self.pings > 0 => {
                self.pings -= 1;
                true
            }
            RST_STREAM => {
                if !self.calm.reset(now) {
                    self.raise(Alarm::Resets);
                }
                true
            }
            // PRIORITY, SETTINGS, PING, WINDOW_UPDATE, what nobody knows, and what h2 refuses.
            _ => self.calm.control(now),
        };
        if !is_calm {
            self.raise(Alarm::Control);
        }
        if self.block.is_some_and(|block| block.bytes > self.block_limit || block.empty > EMPTY_CONTINUATIONS)
        {
            self.raise(Alarm::Head);
        }
        if frame.length == 0 {
            self.ended(frame);
        }
    }

    fn ended(&mut self, frame: Frame) {
        self.is_greeted |= frame.kind == SETTINGS && frame.flags & ACK == 0;
        if !matches!(frame.kind, HEADERS | CONTINUATION) {
            return;
        }
        if frame.kind == HEADERS
            && let Some(block) = self.block
            && !unwrap(&mut self.fragment, block)
        {
            // h2 refuses the frame, and with it the connection.
            self.block = None;
            return;
        }
        if frame.flags & END_HEADERS != 0 && self.block.take().is_some() && !self.is_alarmed {
            self.judge(frame.stream);
        }
    }

    /// A header block is whole.
    fn judge(&mut self, stream: u32) {
        let mut judge = Judge::new(stream <= self.last_stream);
        self.last_stream = self.last_stream.max(stream);
        if self.decoder.decode(&self.fragment, |name, value| judge.field(name, value)).is_err() {
            return self.raise(Alarm::Block);
        }
        if self.fragment.capacity() > KEPT {
            self.fragment = Vec::new();
        }
        if judge.size() > self.block_limit {
            // h2 answers it with 431, or ends the connection.
            self.faults.push("head_bytes");
        } else if let Some(word) = judge.fault().filter(|_| stream > 0) {
            self.find(stream, word);
        }
    }

    fn raise(&mut self, alarm: Alarm) {
        if !self.is_alarmed {
            self.is_alarmed = true;
            self.alarm = Some(alarm);
        }
    }

    /// Whether nothing more may be read.
    pub fn is_alarmed(&self) -> bool {
        self.is_alarmed
    }

    /// Why the connection must end, if it must; said once.
    pub fn take_alarm(&mut self) -> Option<Alarm> {
        self.alarm.take()
    }

    /// Since when a head is incomplete, in milliseconds.
    pub fn incomplete_since(&self) -> Option<u64> {
        self.incomplete_since
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// How many streams were refused since this was last asked, because there were too many at once.
    pub fn take_refused(&mut self) -> u32 {
        std::mem::take(&mut self.refused)
    }

    /// Why streams were reset for the client's fault since this was last asked.
    pub fn take_faults(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.faults)
    }

    /// Notes what is wrong with a stream, for when it is reset.
    pub fn find(&mut self, stream: u32, word: &'static str) {
        if self.findings.len() == FINDINGS {
            self.findings.remove(0);
        }
        self.findings.push(Finding { stream, word, is_told: false });
    }

    /// What was found wrong with a stream; from now on it counts as told.
    pub fn finding(&mut self, stream: u32) -> Option<Finding> {
        let found = self.findings.iter_mut().rev().find(|finding| finding.stream == stream)?;
        let before = *found;
        found.is_told = true;
        Some(before)
    }

    /// The connection is ended for a reason that is counted elsewhere.
    pub fn end(&mut self) {
        self.is_ending = true;
    }
}

/// Takes off what stands around a header block in its first frame; false where that does not fit.
fn unwrap(fragment: &mut Vec<u8>, block: Block) -> bool {
    let padding = if block.padding { 1 + usize::from(fragment.first().copied().unwrap_or(0)) } else { 0 };
    let before = usize::from(block.padding) + if block.priority { 5 } else { 0 };
    if fragment.len() < before + padding.saturating_sub(1) || block.padding && fragment.is_empty() {
        return false;
    }
    fragment.truncate(fragment.len() - padding.saturating_sub(1));
    fragment.drain(..before);
    true
}
