//! What is wrong with a configuration, for the operator: all mistakes together, each with its place, its key and what
//! is allowed.

use std::fmt;
use std::path::{Path, PathBuf};

use super::file::Place;

/// A configuration that cannot be used, with every mistake in it.
#[derive(Debug, thiserror::Error)]
pub struct Invalid {
    /// The file that was read.
    pub file: PathBuf,
    /// What is wrong with it, in the order of the file, then of the environment; at least one.
    pub mistakes: Vec<Mistake>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it stands. A mistake that is about the whole file has the place [`Place::Default`].
    pub place: Place,
    /// The key it is about (`listener[0].address`), empty for a mistake in the syntax.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub message: String,
    /// Whether it is about something that is not there, and so may be the consequence of another mistake.
    pub(super) missing: bool,
}

impl Mistake {
    pub(super) fn new(place: &Place, key: &str, message: impl Into<String>) -> Self {
        // A quoted key can hold anything, a message is a line.
        let key = key.replace(char::is_control, "\u{fffd}");
        Mistake { place: place.clone(), key, message: message.into(), missing: false }
    }

    pub(super) fn missing(place: &Place, key: &str, message: impl Into<String>) -> Self {
        Mistake { missing: true, ..Mistake::new(place, key, message) }
    }

    /// The mistake on one line: `FILE:LINE:COLUMN: KEY: MESSAGE`, or `VARIABLE: MESSAGE`.
    pub fn line(&self, file: &Path) -> String {
        let place = match &self.place {
            Place::File { line, column } => format!("{}:{line}:{column}", file.display()),
            Place::Environment(variable) => return format!("{variable}: {}", self.message),
            Place::Default => file.display().to_string(),
        };
        match self.key.as_str() {
            "" => format!("{place}: {}", self.message),
            key => format!("{place}: {key}: {}", self.message),
        }
    }
}

impl Invalid {
    /// Sorts the mistakes by place, and leaves out those that may only be the consequence of a mistake in the syntax.
    pub(super) fn new(file: &Path, syntax: Vec<Mistake>, mut mistakes: Vec<Mistake>) -> Self {
        if !syntax.is_empty() {
            let broken: Vec<_> = syntax.iter().filter_map(|mistake| mistake.place.line()).collect();
            mistakes.retain(|mistake| {
                !mistake.missing && !mistake.place.line().is_some_and(|line| broken.contains(&line))
            });
        }
        mistakes.extend(syntax);
        mistakes.sort_by(|one, other| one.place.cmp(&other.place));
        mistakes.dedup();
        Invalid { file: file.to_owned(), mistakes }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&mistake.line(&self.file))?;
        }
        Ok(())
    }
}
