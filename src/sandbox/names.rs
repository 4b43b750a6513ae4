//! Token names: the rule they obey (contract, 7.3) and the name that the legacy routes make up (7.2), to the byte, its
//! treatment of cut characters included.

use jiff::Timestamp;

/// The longest generated name, in bytes.
const LONGEST: usize = 50;

/// `"<prefix> - <target> <6 hex digits>"` in at most 50 bytes. Where a cut falls inside a character, the whole name is
/// read as Latin-1 from then on, as Erlang's formatter does with a binary that is not UTF-8.
pub fn generated(prefix: &str, target: &str, mut fresh_hex: impl FnMut() -> String) -> String {
    let mut name = target.as_bytes().to_vec();
    loop {
        let whole = format!("{prefix} - {} {}", readable(&name), fresh_hex());
        if whole.len() <= LONGEST {
            return whole;
        }
        let keep = name.len().saturating_sub(whole.len() - (LONGEST - 3));
        name.truncate(keep);
        name.extend_from_slice(b"...");
    }
}

/// The name of a token from the deprecated `client_tokens`: `access token 2024-10-21T08.13.49Z 3fa9c1`.
pub fn of_client_token(now: i64, fresh_hex: impl FnOnce() -> String) -> String {
    let moment = Timestamp::from_second(now).unwrap_or_default().to_string();
    format!("access token {} {}", moment.replace(':', "."), fresh_hex())
}

/// Six lowercase hex digits.
pub fn random_hex() -> String {
    format!("{:06x}", fastrand::u32(..0x0100_0000))
}

/// Whether a token may have this name.
pub fn valid(name: &str) -> bool {
    let outer = |c: char| c.is_alphanumeric() || matches!(c, '_' | '(' | ')');
    let inner = |c: char| outer(c) || matches!(c, ' ' | '.' | '-');
    (2..=128).contains(&name.chars().count())
        && name.chars().all(inner)
        && name.chars().next().is_some_and(outer)
        && name.chars().next_back().is_some_and(outer)
}

fn readable(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(text) => text.to_owned(),
        Err(_) => name.iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn for_group(target: &str) -> String {
        generated("user invite to group", target, || "3fa9c1".to_owned())
    }

    #[test]
    fn a_short_name_is_kept() {
        assert_eq!(for_group("developers"), "user invite to group - developers 3fa9c1");
        assert_eq!(for_group("a twenty byte name !").len(), 50);
    }

    #[test]
    fn a_long_name_is_cut_to_seventeen_bytes() {
        let name = for_group("Physics collaboration 2020");
        assert_eq!(name, "user invite to group - Physics collabora... 3fa9c1");
        assert_eq!(name.len(), 50);
    }

    #[test]
    fn a_name_of_wide_characters_only_leaves_nothing_but_the_dots() {
        assert_eq!(for_group("量子物理研究所"), "user invite to group - ... 3fa9c1");
        assert_eq!(for_group("ąęóżźćłńąęó"), "user invite to group - ... 3fa9c1");
    }

    #[test]
    fn a_cut_on_a_boundary_stays_readable() {
        assert_eq!(
            for_group("Zespół badań nad fizyką cząstek"),
            "user invite to group - Zespół badań n... 3fa9c1"
        );
    }

    #[test]
    fn a_cut_inside_a_character_turns_the_name_into_latin_1() {
        let name = for_group("Groupe qualité été période");
        assert_eq!(name, "user invite to group - Groupe qualitÃ... 3fa9c1");
        assert!(valid(&name));
        assert!(!valid(&for_group("XYZ sœur cœur œuvre æther ßtraße")));
    }

    #[test]
    fn names_are_two_to_128_characters_without_punctuation_at_the_ends() {
        for good in ["ab", "(x)", "a b", "a.-b", "Zażółć", "__", &"é".repeat(128)] {
            assert!(valid(good), "{good}");
        }
        for bad in ["", "a", " ab", "ab ", "-a", "a.", "a'b", "a,b", "a\u{93}b", &"é".repeat(129)] {
            assert!(!valid(bad), "{bad}");
        }
    }
}
