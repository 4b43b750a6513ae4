//! The name of a created token, in Onezone's own form (contract, section 7.2): at most 50 bytes, with a random end.
//! Where Onezone would cut a long name inside a character, and so often make one that it then refuses, the cut here
//! falls before that character.

/// The most bytes that Onezone gives a generated name.
const LONGEST: usize = 50;

/// What stands for the rest of a name that was cut.
const ELLIPSIS: &str = "...";

/// `<prefix> - <target> <suffix>`, or `<prefix> <suffix>` where the target's name is not known.
pub(in crate::serve) fn compose(prefix: &str, target: Option<&str>, suffix: &str) -> String {
    let Some(target) = target else { return format!("{prefix} {suffix}") };
    let room = LONGEST.saturating_sub(prefix.len() + " - ".len() + " ".len() + suffix.len());
    if target.len() <= room {
        return format!("{prefix} - {target} {suffix}");
    }
    let mut end = room.saturating_sub(ELLIPSIS.len());
    while !target.is_char_boundary(end) {
        end -= 1;
    }
    let kept = &target[..end];
    format!("{prefix} - {kept}{ELLIPSIS} {suffix}")
}

/// Six hexadecimal digits that nobody can foresee.
pub(in crate::serve) fn random_suffix() -> String {
    format!("{:06x}", fastrand::u32(..1 << 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "user invite to group";

    #[track_caller]
    fn assert_named(target: &str, expected: &str) {
        let name = compose(PREFIX, Some(target), "3fa9c1");
        assert_eq!(name, expected);
        assert!(name.len() <= LONGEST, "{} bytes: {name}", name.len());
    }

    #[test]
    fn a_short_name_stands_whole() {
        assert_named("developers", "user invite to group - developers 3fa9c1");
        assert_named("exactly twenty bytes", "user invite to group - exactly twenty bytes 3fa9c1");
    }

    #[test]
    fn a_long_name_is_cut_as_onezone_cuts_it() {
        assert_named("Physics collaboration 2020", "user invite to group - Physics collabora... 3fa9c1");
        assert_named("twenty-one bytes long", "user invite to group - twenty-one bytes ... 3fa9c1");
        assert_named("Zespół badań nad fizyką cząstek", "user invite to group - Zespół badań n... 3fa9c1");
    }

    #[test]
    fn no_character_is_ever_cut_apart() {
        assert_named("Groupe qualité été période", "user invite to group - Groupe qualité ... 3fa9c1");
        assert_named("XYZ sœur cœur œuvre æther ßtraße", "user invite to group - XYZ sœur cœur ... 3fa9c1");
        assert_named("高能物理研究所", "user invite to group - 高能物理研... 3fa9c1");
    }

    #[test]
    fn a_target_without_a_name_is_left_out() {
        assert_eq!(compose(PREFIX, None, "3fa9c1"), "user invite to group 3fa9c1");
    }

    #[test]
    fn each_prefix_leaves_the_room_that_onezone_counts() {
        for (prefix, room, kept) in [
            ("group invite to group", 19, 16),
            ("user invite to space", 20, 17),
            ("support request for space", 15, 12),
            ("user invite to harvester", 16, 13),
            ("group invite to cluster", 17, 14),
        ] {
            let name = "x".repeat(room);
            assert_eq!(compose(prefix, Some(&name), "3fa9c1"), format!("{prefix} - {name} 3fa9c1"));
            let cut = format!("{prefix} - {}... 3fa9c1", "x".repeat(kept));
            assert_eq!(compose(prefix, Some(&"x".repeat(room + 1)), "3fa9c1"), cut);
        }
    }

    #[test]
    fn a_suffix_is_six_lowercase_hexadecimal_digits() {
        for _ in 0..1000 {
            let suffix = random_suffix();
            assert!(
                suffix.len() == 6 && suffix.bytes().all(|b| b"0123456789abcdef".contains(&b)),
                "{suffix}"
            );
        }
    }
}
