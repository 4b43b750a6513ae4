//! Writes the effective configuration as TOML again, each value with where it came from. What is secret is in files
//! that the configuration only names, so nothing secret can be printed.

use std::fmt::Write;
use std::path::Path;

use super::file::Place;
use super::keys;
use super::section::Effective;

/// Every key with the value that holds: of this file, of the environment, or the default.
pub(super) fn print(effective: &[Effective], file: &Path) -> String {
    let mut out = String::new();
    let mut section = "";
    for line in in_order(effective) {
        if line.section != section {
            section = &line.section;
            let blank = if out.is_empty() { "" } else { "\n" };
            let header = match section.split_once('[') {
                Some((name, _)) => format!("[[{name}]]"),
                None => format!("[{section}]"),
            };
            let _ = writeln!(out, "{blank}{header}");
        }
        let origin = match &line.place {
            Place::Default => "default".to_owned(),
            Place::File { line, .. } => format!("{}:{line}", file.display()),
            Place::Environment(variable) => format!("environment {variable}"),
        };
        let _ = match &line.value {
            Some(value) => writeln!(out, "{} = {value}  # {origin}", line.key),
            // What an operation does not say is said by [deprecation].
            None if section.starts_with(&format!("{}[", keys::OPERATION.name)) => Ok(()),
            None => writeln!(out, "# {} is not set", line.key),
        };
    }
    out
}

/// In the order of the documentation, whatever the order of reading was.
fn in_order(effective: &[Effective]) -> Vec<&Effective> {
    let mut lines: Vec<_> = effective.iter().collect();
    lines.sort_by_key(|line| {
        let (name, index) = line.section.split_once('[').unwrap_or((&line.section, ""));
        let index: usize = index.trim_end_matches(']').parse().unwrap_or(0);
        let table = keys::shapes().position(|shape| shape.name == name);
        let keys = keys::shapes().find(|shape| shape.name == name).map_or(&[][..], |shape| shape.keys);
        (table, index, keys.iter().position(|key| *key == line.key))
    });
    lines
}
