//! How much a client may make us do for nothing: two purses that fill with time, and one of them with work that is worth
//! it. A client that has spent one is told to calm down (RFC 9113 section 10.5).

use super::Bounds;

/// What a frame other than a reset costs, or gives when it is part of real work.
const REQUEST: u32 = 16;
const LARGE_DATA: u32 = 4;
/// From how many bytes on a DATA frame is real work; a smaller one could be what the client's small windows made of it.
pub(super) const LARGE: usize = 1024;
/// A purse that is empty is full again after so many milliseconds.
const REFILL: u64 = 10_000;

/// A connection's purses.
#[derive(Debug)]
pub(super) struct Calm {
    resets: Purse,
    control: Purse,
}

impl Calm {
    pub fn new(bounds: &Bounds, now: u64) -> Self {
        Calm { resets: Purse::new(bounds.resets, now), control: Purse::new(bounds.control, now) }
    }

    /// A stream was reset by the client, or by us for the client's fault. False where that was one too many.
    pub fn reset(&mut self, now: u64) -> bool {
        self.resets.spend(now)
    }

    /// A frame that moves nothing came. False where that was one too many.
    pub fn control(&mut self, now: u64) -> bool {
        self.control.spend(now)
    }

    /// A request came.
    pub fn request(&mut self) {
        self.control.earn(REQUEST);
    }

    /// A DATA frame of some size went either way.
    pub fn data(&mut self, length: usize) {
        if length >= LARGE {
            self.control.earn(LARGE_DATA);
        }
    }
}

#[derive(Debug)]
struct Purse {
    most: u32,
    left: u32,
    /// When it was last filled with time, in milliseconds.
    at: u64,
}

impl Purse {
    fn new(most: u32, now: u64) -> Self {
        Purse { most, left: most, at: now }
    }

    fn spend(&mut self, now: u64) -> bool {
        let passed = now.saturating_sub(self.at).min(REFILL);
        let gained = u64::from(self.most) * passed / REFILL;
        if gained > 0 {
            self.earn(u32::try_from(gained).unwrap_or(u32::MAX));
            self.at = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    fn earn(&mut self, gained: u32) {
        self.left = self.left.saturating_add(gained).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { streams: 100, resets: 3, control: 5 };

    #[test]
    fn resets_come_back_with_time() {
        let mut calm = Calm::new(&BOUNDS, 0);
        assert!((0..3).all(|_| calm.reset(0)));
        assert!(!calm.reset(3_000));
        assert!(calm.reset(3_400), "a third of ten seconds gives a third of the purse");
        assert!(!calm.reset(3_400));
    }

    #[test]
    fn work_pays_for_control_frames_and_never_for_resets() {
        let mut calm = Calm::new(&BOUNDS, 0);
        for _ in 0..100 {
            calm.request();
            calm.data(LARGE);
            assert!((0..5).all(|_| calm.control(0)));
        }
        calm.data(LARGE - 1);
        assert!(!calm.control(0));
        assert!((0..3).all(|_| calm.reset(0)) && !calm.reset(0));
    }
}
