//! Whatever is configured: either it is a configuration, and what `check --print` says of it is the same one, or each
//! mistake stands at a place in the file or in the environment.

mod model;

use std::path::Path;

use proptest::prelude::*;

/// What a mutation puts into a file.
const PIECES: [&str; 24] = [
    "",
    "\n",
    "\"",
    "'",
    "\"\"\"",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ",",
    ".",
    "#",
    "\\",
    "0",
    "-1",
    "1e9",
    "true",
    "\u{0}",
    "\u{142}",
    "\r\n",
    "[[operation]]\n",
    "2027-03-31T00:00:00Z",
];

#[test]
fn any_change_to_a_configuration_is_read_or_refused_at_its_place() {
    let bases = bases();
    assert!(bases.len() >= 3);
    let change = (any::<prop::sample::Index>(), 0_usize..4, prop::sample::select(&PIECES[..]));
    let changes = proptest::collection::vec(change, 0..4);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(1000));
    runner
        .run(&(prop::sample::select(bases), changes), |(mut text, changes)| {
            for (at, removed, piece) in changes {
                let at = at.index(text.chars().count() + 1);
                let (before, rest) = (text.chars().take(at), text.chars().skip(at + removed));
                text = before.chain(piece.chars()).chain(rest).collect();
            }
            model::read(&text);
            Ok(())
        })
        .unwrap();
}

/// The shipped configurations, one with much in it, and overrides of the environment.
fn bases() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut bases = Vec::new();
    for directory in ["config", "fuzz/seeds/configuration"] {
        for file in std::fs::read_dir(root.join(directory)).unwrap() {
            bases.push(std::fs::read_to_string(file.unwrap().path()).unwrap());
        }
    }
    bases
}
