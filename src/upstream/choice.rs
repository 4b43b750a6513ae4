//! Which server a request goes to: of two that chance names the one with less to do ("power of two choices"), which
//! comes near to the least loaded of all and does not send everybody to the same one at once.

/// How many servers a backend may have.
pub const MOST: usize = 64;

/// A set of servers, by index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    pub fn add(&mut self, index: usize) {
        self.0 |= 1 << (index % MOST);
    }

    pub fn has(self, index: usize) -> bool {
        self.0 & (1 << (index % MOST)) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The member of this rank, from 0.
    fn nth(self, rank: u32) -> usize {
        let mut left = self.0;
        for _ in 0..rank {
            left &= left.wrapping_sub(1);
        }
        left.trailing_zeros() as usize
    }
}

/// One of `eligible`, by `chance` and by how much each has to do; nothing where there is none. Of two equally loaded
/// ones it is the first that chance named, so that each has its turn.
pub(super) fn choose(eligible: Set, chance: u64, load: impl Fn(usize) -> usize) -> Option<usize> {
    let count = eligible.len();
    if count <= 1 {
        return (count == 1).then(|| eligible.nth(0));
    }
    let [high, low] = [(chance >> 32) as u32, chance as u32];
    let first = high % count;
    // Another one than the first, each with the same chance.
    let second = (first + 1 + low % (count - 1)) % count;
    let [first, second] = [eligible.nth(first), eligible.nth(second)];
    Some(if load(second) < load(first) { second } else { first })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(members: &[usize]) -> Set {
        let mut set = Set::default();
        members.iter().for_each(|&member| set.add(member));
        set
    }

    fn chances() -> impl Iterator<Item = u64> {
        let mut random = fastrand::Rng::with_seed(4);
        std::iter::repeat_with(move || random.u64(..))
    }

    #[test]
    fn there_is_no_choice_among_none_and_among_one() {
        assert_eq!(choose(Set::default(), 7, |_| 0), None);
        for chance in chances().take(100) {
            assert_eq!(choose(set(&[63]), chance, |_| 9), Some(63));
        }
    }

    #[test]
    fn of_two_servers_the_one_with_less_to_do_is_always_taken() {
        for chance in chances().take(100) {
            assert_eq!(choose(set(&[2, 5]), chance, |index| if index == 2 { 3 } else { 1 }), Some(5));
        }
    }

    #[test]
    fn equally_loaded_servers_are_taken_equally_often() {
        let mut times = [0; 8];
        for chance in chances().take(30_000) {
            times[choose(set(&[1, 4, 7]), chance, |_| 2).unwrap()] += 1;
        }
        assert_eq!(times.iter().sum::<i32>(), times[1] + times[4] + times[7]);
        for count in [times[1], times[4], times[7]] {
            assert!((9_500..10_500).contains(&count), "{times:?}");
        }
    }

    #[test]
    fn the_most_loaded_of_several_is_never_taken() {
        for chance in chances().take(10_000) {
            assert_ne!(choose(set(&[0, 1, 2]), chance, |index| index), Some(2));
        }
    }

    #[test]
    fn loads_stay_level_when_each_choice_adds_to_them() {
        let mut loads = [0; 10];
        for chance in chances().take(10_000) {
            let chosen = choose(set(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), chance, |index| loads[index]).unwrap();
            loads[chosen] += 1;
        }
        let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
        assert!(most - least <= 10, "{loads:?}");
    }

    #[test]
    fn a_set_gives_back_what_was_put_in() {
        let members = set(&[0, 31, 63]);
        assert!(members.has(0) && members.has(31) && members.has(63) && !members.has(1));
        assert_eq!([0, 1, 2].map(|rank| members.nth(rank)), [0, 31, 63]);
        assert!(Set::default().is_empty() && !members.is_empty());
    }
}
