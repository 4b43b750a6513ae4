//! Method and path to a deprecated operation and its ids, or nothing. It agrees with Onezone's own router about every
//! spelling of a path, because a spelling that Onezone takes and Duskgate does not is an uncounted call. It knows no
//! dates, no modes and no headers.
//!
//! Most traffic is not deprecated, so that answer comes first and without any allocation: a look at the segments as
//! they are spelled says "certainly not" or "perhaps", and only what perhaps matches is decoded and matched exactly.

mod path;
mod template;

use std::fmt;

use http::Method;

pub use path::{BadPath, encode, segments};
pub use template::{BadTemplate, DEEPEST, Segment, Template};

use crate::operation::Operation;

/// Every deprecated operation's path, for looking them up.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The paths by their number of segments; of each length the most literal first.
    by_length: Vec<Vec<Path>>,
}

/// What a method and a path are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing deprecated.
    Other,
    /// A call of a deprecated operation.
    Call(Call),
    /// The path of deprecated operations, but none of their methods.
    OtherMethod {
        /// The operations on this path, in the order of the table's rows.
        operations: Vec<usize>,
    },
}

/// A call of a deprecated operation. Ids may be secrets (`DELETE /user/client_tokens/{tid}`), so they do not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The operation's place in the list from which the table was built.
    pub operation: usize,
    /// The name and the decoded value of each parameter, in the order of the path. Where a value is not UTF-8, what
    /// is wrong in it reads `U+FFFD`: no id of Onezone has that, so it is not found, as the value itself would not be.
    pub ids: Vec<(String, String)>,
    /// The bytes of each value.
    values: Vec<Vec<u8>>,
}

/// Why operations make no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// An operation's path cannot be matched.
    #[error("the path of {id}: {reason}")]
    Template {
        /// The operation's place in the list.
        operation: usize,
        /// The operation's id.
        id: String,
        /// What is wrong.
        reason: BadTemplate,
    },
    /// Two operations are the same method on the same path.
    #[error("{first_id} and {second_id} are the same method and path")]
    Same {
        /// The place of the first in the list.
        first: usize,
        /// Its id.
        first_id: String,
        /// The place of the second in the list.
        second: usize,
        /// Its id.
        second_id: String,
    },
}

impl Table {
    /// Builds the table.
    ///
    /// # Errors
    ///
    /// The first [`Conflict`], in the order of the list.
    pub fn new(operations: &[Operation]) -> Result<Self, Conflict> {
        Table::of(operations.iter().map(|row| (row.id.as_str(), &row.method, row.template.as_str())))
    }

    /// Builds a table of other routes, each with its name, method and template.
    ///
    /// # Errors
    ///
    /// The first [`Conflict`], in the order of the rows.
    pub fn of<'r>(rows: impl IntoIterator<Item = (&'r str, &'r Method, &'r str)>) -> Result<Self, Conflict> {
        let mut table = Table::default();
        let mut names: Vec<&str> = Vec::new();
        for (index, (id, method, template)) in rows.into_iter().enumerate() {
            names.push(id);
            let template = Template::parse(template).map_err(|reason| Conflict::Template {
                operation: index,
                id: id.to_owned(),
                reason,
            })?;
            if let Err(first) = table.add(&template, method, index) {
                let (first_id, second_id) = (names[first].to_owned(), id.to_owned());
                return Err(Conflict::Same { first, first_id, second: index, second_id });
            }
        }
        for paths in &mut table.by_length {
            // `Some` (a literal) goes before `None` (a parameter), from the left; the sort keeps the rest in order.
            paths.sort_by_key(|path| path.segments.iter().map(Option::is_none).collect::<Vec<_>>());
        }
        Ok(table)
    }

    /// What a request is, by its method and its raw path (no query). Where several paths match, the one that has an
    /// operation of this method wins, then the most literal one.
    pub fn find(&self, method: &Method, path: &str) -> Found {
        if !self.may_match(path.as_bytes()) {
            return Found::Other;
        }
        // A bad path is the backend's to refuse: it answers 400 whatever is in it.
        let Ok(segments) = segments(path) else { return Found::Other };
        let mut other_method = None;
        for path in self.by_length.get(segments.len()).into_iter().flatten() {
            if !path.matches(&segments) {
                continue;
            }
            match path.rows.iter().find(|row| row.method == *method) {
                Some(row) => return Found::Call(row.call(&segments)),
                None => other_method = other_method.or(Some(path)),
            }
        }
        other_method.map_or(Found::Other, |path| Found::OtherMethod {
            operations: path.rows.iter().map(|row| row.operation).collect(),
        })
    }

    /// Whether a path, as it is spelled, may be that of an operation. Never wrong when it says no.
    fn may_match(&self, path: &[u8]) -> bool {
        let mut spelled: [&[u8]; DEEPEST] = [&[]; DEEPEST];
        let mut count = 0;
        let [b'/', inside @ ..] = path else { return false };
        let inside = inside.strip_suffix(b"/").unwrap_or(inside);
        let mut start = 0;
        for end in memchr::memchr_iter(b'/', inside).chain([inside.len()]) {
            let segment = &inside[start..end];
            // It may be a dot segment, so the number of segments says nothing.
            if segment.starts_with(b".") || segment.starts_with(b"%2") {
                return true;
            }
            if let Some(place) = spelled.get_mut(count) {
                *place = segment;
            }
            count += 1;
            start = end + 1;
        }
        if inside.is_empty() && path.len() < 2 {
            count = 0;
        }
        let Some(paths) = self.by_length.get(count) else { return false };
        paths.iter().any(|path| path.may_match(&spelled[..count]))
    }

    /// Adds a row, or names the row that it equals.
    fn add(&mut self, template: &Template, method: &Method, operation: usize) -> Result<(), usize> {
        let length = template.segments.len();
        if self.by_length.len() <= length {
            self.by_length.resize_with(length + 1, Vec::new);
        }
        let shape: Vec<_> = template.segments.iter().map(literal).collect();
        let paths = &mut self.by_length[length];
        let position = paths.iter().position(|path| path.segments == shape).unwrap_or_else(|| {
            paths.push(Path { segments: shape, rows: Vec::new() });
            paths.len() - 1
        });
        let rows = &mut paths[position].rows;
        if let Some(row) = rows.iter().find(|row| row.method == *method) {
            return Err(row.operation);
        }
        let parameters = template.parameters().map(|(place, name)| (place, name.to_owned())).collect();
        rows.push(Row { method: method.clone(), operation, parameters });
        Ok(())
    }
}

/// The operations of one path.
#[derive(Clone, Debug)]
struct Path {
    /// The literals; `None` is a parameter.
    segments: Vec<Option<Vec<u8>>>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    method: Method,
    operation: usize,
    /// Each with the position of its segment.
    parameters: Vec<(usize, String)>,
}

impl Path {
    /// Compares from the back, where paths differ most. A segment with an escape may be anything.
    fn may_match(&self, spelled: &[&[u8]]) -> bool {
        self.segments.iter().zip(spelled).rev().all(|(segment, spelled)| match segment {
            Some(literal) => spelled == literal || memchr::memchr(b'%', spelled).is_some(),
            None => !spelled.is_empty(),
        })
    }

    fn matches(&self, segments: &[impl AsRef<[u8]>]) -> bool {
        self.segments.iter().zip(segments).all(|(segment, found)| match segment {
            Some(literal) => found.as_ref() == literal,
            None => !found.as_ref().is_empty(),
        })
    }
}

impl Row {
    fn call(&self, segments: &[impl AsRef<[u8]>]) -> Call {
        let value = |(place, name): &(usize, String)| (name.clone(), segments[*place].as_ref().to_vec());
        Call::new(self.operation, self.parameters.iter().map(value))
    }
}

fn literal(segment: &Segment) -> Option<Vec<u8>> {
    match segment {
        Segment::Literal(bytes) => Some(bytes.clone()),
        Segment::Parameter(_) => None,
    }
}

impl Call {
    /// A call with the name and the decoded value of each parameter.
    pub fn new(operation: usize, ids: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let mut call = Call { operation, ids: Vec::new(), values: Vec::new() };
        for (name, value) in ids {
            call.ids.push((name, String::from_utf8_lossy(&value).into_owned()));
            call.values.push(value);
        }
        call
    }

    /// The decoded value of a parameter.
    pub fn id(&self, name: &str) -> Option<&str> {
        self.ids.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter as one path segment, whatever bytes it has.
    pub fn encoded_id(&self, name: &str) -> Option<String> {
        let position = self.ids.iter().position(|(known, _)| known == name)?;
        Some(encode(&self.values[position]))
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut call = f.debug_struct("Call");
        call.field("operation", &self.operation);
        for (name, _) in &self.ids {
            call.field(name, &format_args!("<redacted>"));
        }
        call.finish()
    }
}

#[cfg(test)]
mod tests;
