//! The file as written: a tree of values, each with its place. Knows TOML, knows no key.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

use super::invalid::Mistake;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Nobody set it.
    Default,
    /// The file.
    File {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
    },
    /// The environment variable of this name.
    Environment(String),
}

impl Place {
    /// The line in the file.
    pub fn line(&self) -> Option<usize> {
        match self {
            Place::File { line, .. } => Some(*line),
            _ => None,
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub value: Value,
    pub place: Place,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i128),
    Float(String),
    Boolean(bool),
    Moment(Datetime),
    List(Vec<Node>),
    Table(Table),
    /// From the environment, which has no types: it is what its key takes.
    Loose(String),
}

/// A table, its entries in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub entries: Vec<Entry>,
    pub place: Place,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub name: String,
    /// Where the name stands; its value has a place of its own.
    pub key: Place,
    pub node: Node,
}

impl Table {
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries.iter().find(|entry| entry.name == name).map(|entry| &entry.node)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|entry| entry.name == name).map(|entry| &mut entry.node)
    }
}

impl Value {
    /// What was found, for a message about what was expected instead.
    pub fn describe(&self) -> String {
        match self {
            Value::Text(text) | Value::Loose(text) => format!("{:?}", short(&without_password(text))),
            Value::Integer(number) => format!("the integer {number}"),
            Value::Float(number) => format!("the number {number}"),
            Value::Boolean(flag) => format!("the boolean {flag}"),
            Value::Moment(moment) => format!("the date-time {moment}"),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Default => f.write_str("default"),
            Place::File { line, column } => write!(f, "{line}:{column}"),
            Place::Environment(variable) => write!(f, "environment {variable}"),
        }
    }
}

/// A message is a line, however long the value is.
fn short(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// An address may hold a user and a password, which do not belong into a message.
fn without_password(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(start), Some(end)) if start < end => {
            format!("{}<redacted>{}", &text[..start + 3], &text[end..])
        }
        _ => text.to_owned(),
    }
}

/// Reads a whole file, with as much of it as can be read when its syntax has mistakes.
pub(super) fn parse(text: &str) -> (Table, Vec<Mistake>) {
    let lines = Lines::of(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    let mistakes = errors
        .iter()
        .map(|error| {
            let place = lines.place(error.span().map_or(text.len(), |span| span.start));
            Mistake::new(&place, "", error.message().replace('\n', " "))
        })
        .collect();
    let root = lines.table(root.get_ref(), Place::File { line: 1, column: 1 });
    (root, mistakes)
}

/// The place of a byte in a text.
pub(super) fn place(text: &str, offset: usize) -> Place {
    Lines::of(text).place(offset)
}

struct Lines<'t> {
    text: &'t str,
    /// The offset at which each line begins.
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Lines { text, starts }
    }

    fn place(&self, offset: usize) -> Place {
        let offset = (0..=offset.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at));
        let offset = offset.unwrap_or(0);
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        Place::File { line, column: self.text[start..offset].chars().count() + 1 }
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let place = self.place(value.span().start);
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                // Only the range is lost of a number that does not even fit here, and no key takes such a one.
                Value::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
            }
            DeValue::Float(number) => Value::Float(number.to_string()),
            DeValue::Boolean(flag) => Value::Boolean(*flag),
            DeValue::Datetime(moment) => Value::Moment(*moment),
            DeValue::Array(nodes) => Value::List(nodes.iter().map(|node| self.node(node)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table, place.clone())),
        };
        Node { value, place }
    }

    fn table(&self, table: &DeTable<'_>, place: Place) -> Table {
        let mut entries: Vec<_> = table
            .iter()
            .map(|(name, value)| Entry {
                name: name.get_ref().to_string(),
                key: self.place(name.span().start),
                node: self.node(value),
            })
            .collect();
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        Table { entries, place }
    }
}
