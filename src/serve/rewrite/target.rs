//! The names of the targets that invitations lead to, for the names of tokens. Looking one up never fails a call: who
//! cannot see the target's name gets a token named without it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many names are kept.
const MOST: usize = 10_000;

/// Names of targets, each kept for a while.
pub(in crate::serve) struct Names {
    keep: Duration,
    known: Mutex<HashMap<String, Known>>,
}

struct Known {
    name: String,
    until: Instant,
}

impl Names {
    /// Keeps each name so long.
    pub fn new(keep: Duration) -> Self {
        Names { keep, known: Mutex::default() }
    }

    /// The name of the target of this path, if it is known.
    pub fn get(&self, path: &str) -> Option<String> {
        let known = self.lock();
        known.get(path).filter(|known| known.until > Instant::now()).map(|known| known.name.clone())
    }

    /// Keeps a name.
    pub fn put(&self, path: &str, name: &str) {
        let now = Instant::now();
        let mut known = self.lock();
        if known.len() >= MOST {
            known.retain(|_, known| known.until > now);
        }
        // With so many of them fresh, a few look-ups more are cheaper than keeping an order.
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(path.to_owned(), Known { name: name.to_owned(), until: now + self.keep });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_for_its_time() {
        let names = Names::new(Duration::from_secs(60));
        names.put("/groups/g", "developers");
        assert_eq!(names.get("/groups/g").as_deref(), Some("developers"));
        assert_eq!(names.get("/groups/h"), None);
        let forgetful = Names::new(Duration::ZERO);
        forgetful.put("/groups/g", "developers");
        assert_eq!(forgetful.get("/groups/g"), None);
    }

    #[test]
    fn no_more_names_are_kept_than_there_is_room_for() {
        let names = Names::new(Duration::from_secs(60));
        (0..MOST * 2 + 1).for_each(|number| names.put(&format!("/groups/{number}"), "x"));
        assert!(names.lock().len() <= MOST);
        assert_eq!(names.get(&format!("/groups/{}", MOST * 2)).as_deref(), Some("x"));
    }
}
