//! The names that tokens may have (contract, section 7.3).

/// Whether a token may be called so: 2 to 128 letters, digits, brackets and underscores, between the first and the last
/// also spaces, dots and dashes.
pub(super) fn is_valid(name: &str) -> bool {
    let is_outer = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '(' | ')');
    let is_inner = |letter: char| is_outer(letter) || matches!(letter, ' ' | '.' | '-');
    let mut letters = name.chars();
    let ends = [letters.next(), letters.next_back()];
    (2..=128).contains(&name.chars().count())
        && ends.into_iter().flatten().all(is_outer)
        && letters.all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_as_onezone_takes_them() {
        for name in ["ab", "user invite to group - Zespół (1) 3fa9c1", "_1", "量子", &"x".repeat(128)] {
            assert!(is_valid(name), "{name:?}");
        }
        for name in ["", "a", " ab", "ab.", "-ab", "a\nb", "a/b", "a'b", &"x".repeat(129)] {
            assert!(!is_valid(name), "{name:?}");
        }
    }
}
