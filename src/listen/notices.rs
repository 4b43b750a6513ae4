//! Warnings that peers bring about: one a minute for each address, so that nobody can fill a log with them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::network::peer_key;

/// How long an address is silent after it was warned about.
const SILENCE: Duration = Duration::from_secs(60);
/// How many addresses are remembered; while so many are silent, all others are too.
const MOST: usize = 256;

/// Who was warned about lately.
#[derive(Default)]
pub(super) struct Notices(Mutex<HashMap<IpAddr, Instant>>);

impl Notices {
    /// Whether a warning about this address may be written now.
    pub fn may_warn(&self, address: IpAddr, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = peer_key(address);
        let is_over = |at: &Instant| now.saturating_duration_since(*at) >= SILENCE;
        if last.get(&key).is_some_and(|at| !is_over(at)) {
            return false;
        }
        if last.len() >= MOST {
            last.retain(|_, at| !is_over(at));
        }
        let has_room = last.len() < MOST || last.contains_key(&key);
        if has_room {
            last.insert(key, now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_warned_about_once_a_minute_and_not_too_many_are() {
        let (notices, begin) = (Notices::default(), Instant::now());
        let address = |number: u32| IpAddr::V4(number.into());
        assert!(notices.may_warn(address(1), begin));
        assert!(!notices.may_warn(address(1), begin + SILENCE / 2));
        assert!(notices.may_warn(address(1), begin + SILENCE));
        let later = begin + 2 * SILENCE;
        let warned = (2..1000).filter(|number| notices.may_warn(address(*number), later)).count();
        assert_eq!(warned, MOST);
        assert!(!notices.may_warn(address(1000), later + SILENCE / 2));
        assert!(notices.may_warn(address(1000), later + SILENCE));
    }
}
