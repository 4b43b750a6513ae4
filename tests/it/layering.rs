//! The house stands: a room uses only rooms below it in the list of `pub mod` lines in `src/lib.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room, top storey first.
fn rooms(lib: &str) -> Vec<&str> {
    lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect()
}

/// The names that `source` takes from the crate's root: after `crate::` wherever it stands, in braces or not.
fn used(source: &str) -> BTreeSet<String> {
    let code: String = source.lines().map(without_comment).flat_map(|line| [line, "\n"]).collect();
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate` and `crate` alike; but no name that merely ends in `crate`.
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let after = code[at + "crate::".len()..].trim_start();
        match after.strip_prefix('{') {
            None => names.extend(first_name(after)),
            Some(group) => names.extend(group_names(group)),
        }
    }
    names
}

/// The first name of each path in a group, up to its closing brace.
fn group_names(group: &str) -> Vec<String> {
    let (mut names, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth > 0 => {}
            ',' | '}' => {
                names.extend(first_name(group[start..at].trim()));
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

/// Whether a file's own `use super::` climbs to the root of the crate, where it could reach any room unseen.
fn leaves_its_room(inside: &Path, source: &str) -> bool {
    let allowed = inside.components().count() - 1 - usize::from(inside.ends_with("mod.rs"));
    source.lines().any(|line| {
        let path = line.trim_start_matches("pub ").strip_prefix("use ").unwrap_or("");
        path.matches("super::").count() > allowed
    })
}

fn first_name(path: &str) -> Option<String> {
    let name: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

fn without_comment(line: &str) -> &str {
    line.find("//").map_or(line, |at| &line[..at])
}

fn source_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory that can be read") {
        let path = entry.expect("an entry that can be read").path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn a_room_uses_only_rooms_further_down() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(source.join("lib.rs")).expect("src/lib.rs");
    let rooms = rooms(&lib);
    let storey = |name: &str| rooms.iter().position(|room| *room == name);
    let mut faults = Vec::new();
    let mut edges = 0;
    for file in source_files(&source) {
        let inside = file.strip_prefix(&source).expect("a file in src");
        let top = inside.components().next().expect("a name").as_os_str().to_string_lossy();
        let room = top.trim_end_matches(".rs");
        if ["lib", "main"].contains(&room) {
            continue;
        }
        let Some(from) = storey(room) else {
            faults.push(format!("{}: its room is not in src/lib.rs", inside.display()));
            continue;
        };
        let text = fs::read_to_string(&file).expect("a source file");
        if leaves_its_room(inside, &text) {
            faults.push(format!("{}: `use super::` leaves the room; write `use crate::`", inside.display()));
        }
        for name in used(&text) {
            match storey(&name) {
                None => faults.push(format!("{}: crate::{name} is no room", inside.display())),
                Some(to) if to < from => {
                    faults.push(format!("{}: {room} uses {name}, which stands above it", inside.display()));
                }
                Some(_) => edges += 1,
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(edges > 0, "no use of any room was found, so this test no longer reads the sources rightly");
}

#[test]
fn every_form_of_use_is_seen() {
    let source = "
use crate::a;
use crate::b::{self, inner::Deep};
pub use crate::{c, d::{e as f, g}, h};
use crate::{
    i,
    j::K,
};
fn x() -> crate::l::M { $crate::n!() } // crate::comment
/// [`crate::documentation`]
fn y() { mycrate::other() }
";
    let names: Vec<_> = used(source).into_iter().collect();
    assert_eq!(names, ["a", "b", "c", "d", "h", "i", "j", "l", "n"]);
}

#[test]
fn the_rooms_are_read_in_their_order() {
    assert_eq!(rooms("//! pub mod no;\npub mod cli;\npub mod app;\nmod private;\n"), ["cli", "app"]);
}

#[test]
fn climbing_out_of_a_room_is_seen() {
    let one = "use super::x;\n";
    let two = "pub use super::super::x;\n";
    for (file, source, leaves) in [
        ("a.rs", one, true),
        ("a/mod.rs", one, true),
        ("a/b.rs", one, false),
        ("a/b.rs", two, true),
        ("a/b/mod.rs", one, false),
        ("a/b/mod.rs", two, true),
        ("a/b/c.rs", two, false),
        ("a.rs", "mod tests {\n    use super::*;\n}\n", false),
    ] {
        assert_eq!(leaves_its_room(Path::new(file), source), leaves, "{file}: {source}");
    }
}
