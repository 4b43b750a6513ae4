//! Reads the keys of one table: takes a value of the type that is expected, or its default, notes the mistake if it is
//! neither, and notes for `check --print` what came out and where it came from.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::Timestamp;

use super::file::{Node, Place, Table, Value};
use super::invalid::Mistake;
use super::keys::{self, Shape};
use super::units;

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub value: T,
    pub place: Place,
}

/// What one reading of a configuration found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub mistakes: RefCell<Vec<Mistake>>,
    pub effective: RefCell<Vec<Effective>>,
}

impl Findings {
    /// Notes a mistake.
    pub fn note_mistake(&self, key: &str, place: &Place, message: &str) {
        self.mistakes.borrow_mut().push(Mistake::new(place, key, message));
    }
}

/// One key of the effective configuration.
#[derive(Clone, Debug)]
pub(super) struct Effective {
    /// `[upstream]`, or `[[operation]]` with its index.
    pub section: String,
    pub key: &'static str,
    /// As TOML; nothing where it is not set and has no default.
    pub value: Option<String>,
    pub place: Place,
}

/// One table being read.
pub(super) struct Section<'a> {
    /// As messages call it: `upstream`, `listener[0]`.
    pub path: String,
    /// Where it begins: for a table that is not written at all, the file's beginning.
    pub place: Place,
    shape: &'static Shape,
    table: Option<&'a Table>,
    /// Something else than a table stands in its place.
    broken: bool,
    findings: &'a Findings,
}

impl<'a> Section<'a> {
    /// The table of which there is one.
    pub fn single(root: &'a Table, shape: &'static Shape, findings: &'a Findings) -> Self {
        let (table, place) = match root.get(shape.name) {
            Some(Node { value: Value::Table(table), place }) => (Some(table), place.clone()),
            Some(node) => (None, node.place.clone()),
            None => (None, root.place.clone()),
        };
        let broken = table.is_none() && root.get(shape.name).is_some();
        Section { path: shape.name.to_owned(), place, shape, table, broken, findings }
    }

    /// The tables of which there may be many, in their order.
    pub fn many(root: &'a Table, shape: &'static Shape, findings: &'a Findings) -> Vec<Self> {
        let Some(Node { value: Value::List(nodes), .. }) = root.get(shape.name) else {
            return Vec::new();
        };
        let tables = nodes.iter().enumerate().filter_map(|(index, node)| match &node.value {
            Value::Table(table) => Some(Section {
                path: format!("{}[{index}]", shape.name),
                place: node.place.clone(),
                shape,
                table: Some(table),
                broken: false,
                findings,
            }),
            _ => None,
        });
        tables.collect()
    }

    /// A table of which there may be many, with nothing but defaults in it.
    pub fn default_one(root: &Table, shape: &'static Shape, findings: &'a Findings) -> Self {
        let path = format!("{}[0]", shape.name);
        Section { path, place: root.place.clone(), shape, table: None, broken: false, findings }
    }

    /// A table in the value of a key, with keys of its own.
    pub fn within(table: &'a Table, path: &str, shape: &'static Shape, findings: &'a Findings) -> Self {
        let place = table.place.clone();
        Section { path: path.to_owned(), place, shape, table: Some(table), broken: false, findings }
    }

    /// Whether the key is there, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.node(key).is_some()
    }

    /// Where a key's value stands; for a key that is not there, where the table begins.
    pub fn place_of(&self, key: &str) -> Place {
        self.node(key).map_or_else(|| self.place.clone(), |node| node.place.clone())
    }

    /// Notes a mistake in a value of this table.
    pub fn mistake(&self, key: &str, place: &Place, message: impl AsRef<str>) {
        self.findings.note_mistake(&format!("{}.{key}", self.path), place, message.as_ref());
    }

    /// Whether a mistake in a value of this key has been noted.
    pub fn mistaken(&self, key: &str) -> bool {
        let key = format!("{}.{key}", self.path);
        self.findings.mistakes.borrow().iter().any(|mistake| mistake.key == key)
    }

    /// What the reading found so far.
    pub fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// Notes that a key that must be there is not.
    pub fn missing(&self, key: &str, message: &str) {
        if self.broken {
            return;
        }
        let message = match &self.place {
            Place::Environment(_) => format!("{}.{key} is missing: {message}", self.path),
            _ => format!("missing: {message}"),
        };
        let mistake = Mistake::missing(&self.place, &format!("{}.{key}", self.path), message);
        self.findings.mistakes.borrow_mut().push(mistake);
    }

    /// A string that is not empty and has no control character.
    pub fn text(&self, key: &'static str) -> Option<Placed<String>> {
        self.parse(key, "a string", |text| Ok(text.to_owned()), |text| quote(text))
    }

    /// A string that `parse` reads. What `parse` says of a bad one, if anything, ends the message.
    pub fn parse<T>(
        &self,
        key: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) -> Option<Placed<T>> {
        self.optional(key, |node| self.parse_node(node, expected, &parse), show)
    }

    /// A list of strings that `parse` reads; each bad one is a mistake at its own place.
    pub fn list<T>(
        &self,
        key: &'static str,
        expected: &str,
        parse: impl Fn(&str) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) -> Option<Vec<Placed<T>>> {
        let expected_list = format!("a list of strings, each {expected}");
        let nodes = self.optional(key, |node| items(node, &expected_list), |_| String::new())?.value;
        let values: Vec<_> = nodes
            .into_iter()
            .filter_map(|node| match self.parse_node(&node, expected, &parse) {
                Ok(value) => Some(Placed { value, place: node.place }),
                Err(message) => {
                    self.mistake(key, &node.place, message);
                    None
                }
            })
            .collect();
        let shown: Vec<_> = values.iter().map(|value| show(&value.value)).collect();
        self.show(&format!("[{}]", shown.join(", ")));
        Some(values)
    }

    /// What `read` makes of a key's value; [`Section::show`] says afterwards how it is printed.
    pub fn nested<T>(&self, key: &'static str, read: impl Fn(&Node) -> Result<T, String>) -> Option<T> {
        self.optional(key, read, |_| String::new()).map(|placed| placed.value)
    }

    /// Says how the value of the key that was read last is printed.
    pub fn show(&self, value: &str) {
        if let Some(effective) = self.findings.effective.borrow_mut().last_mut() {
            effective.value = Some(value.to_owned());
        }
    }

    /// A boolean.
    pub fn flag(&self, key: &'static str, default: bool) -> Placed<bool> {
        let read = |node: &Node| match &node.value {
            Value::Boolean(flag) => Ok(*flag),
            Value::Loose(text) if text == "true" => Ok(true),
            Value::Loose(text) if text == "false" => Ok(false),
            other => Err(format!("expected true or false, found {}", other.describe())),
        };
        self.or_default(key, default, read, bool::to_string)
    }

    /// A whole number in a range.
    pub fn count(&self, key: &'static str, default: usize, range: RangeInclusive<usize>) -> usize {
        self.or_default(key, default, |node| count(node, &range), usize::to_string).value
    }

    /// A whole number in a range, without a default.
    pub fn optional_count(&self, key: &'static str, range: RangeInclusive<usize>) -> Option<usize> {
        self.optional(key, |node| count(node, &range), usize::to_string).map(|placed| placed.value)
    }

    /// A duration in a range.
    pub fn duration(
        &self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let read = |text: &str| {
            let duration = units::duration(text).ok_or_else(String::new)?;
            if range.contains(&duration) {
                return Ok(duration);
            }
            let (from, to) = (units::show_duration(*range.start()), units::show_duration(*range.end()));
            Err(format!("it can be {from} to {to}"))
        };
        let expected = "a duration such as \"30s\" (units: ms, s, m, h, d)";
        self.or_default(
            key,
            default,
            |node| self.parse_node(node, expected, &read),
            |duration| quote(&units::show_duration(*duration)),
        )
        .value
    }

    /// A number of bytes in a range.
    pub fn size(&self, key: &'static str, default: usize, range: RangeInclusive<usize>) -> usize {
        let read = |text: &str| {
            let size = units::size(text).ok_or_else(String::new)?;
            if range.contains(&size) {
                return Ok(size);
            }
            let (from, to) = (units::show_size(*range.start()), units::show_size(*range.end()));
            Err(format!("it can be {from} to {to}"))
        };
        let expected = "a size such as \"64KiB\" (units: B, KiB, MiB, GiB)";
        self.or_default(
            key,
            default,
            |node| self.parse_node(node, expected, &read),
            |size| quote(&units::show_size(*size)),
        )
        .value
    }

    /// One of a few words.
    pub fn choice<T: Copy + PartialEq>(&self, key: &'static str, choices: &[(&str, T)], default: T) -> T {
        self.or_default(
            key,
            default,
            |node| self.parse_node(node, &one_of(choices), &|text| choose(text, choices)),
            |value| show_choice(choices, value),
        )
        .value
    }

    /// One of a few words, without a default.
    pub fn optional_choice<T: Copy + PartialEq>(
        &self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Option<Placed<T>> {
        self.parse(key, &one_of(choices), |text| choose(text, choices), |value| show_choice(choices, value))
    }

    /// A moment: a TOML date-time with an offset.
    pub fn moment(&self, key: &'static str) -> Option<Placed<Timestamp>> {
        self.optional(key, moment, Timestamp::to_string)
    }

    /// The value of a key that has a default; the default as well where the value is a mistake.
    pub fn or_default<T>(
        &self,
        key: &'static str,
        default: T,
        read: impl Fn(&Node) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) -> Placed<T> {
        let placed = self.read(key, read).unwrap_or(Placed { value: default, place: Place::Default });
        self.note(key, Some(show(&placed.value)), &placed.place);
        placed
    }

    fn optional<T>(
        &self,
        key: &'static str,
        read: impl Fn(&Node) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) -> Option<Placed<T>> {
        let placed = self.read(key, read);
        match &placed {
            Some(placed) => self.note(key, Some(show(&placed.value)), &placed.place),
            None => self.note(key, None, &Place::Default),
        }
        placed
    }

    fn read<T>(&self, key: &str, read: impl Fn(&Node) -> Result<T, String>) -> Option<Placed<T>> {
        debug_assert!(self.shape.keys.contains(&key), "{key} is not among the keys of {}", self.shape.name);
        let node = self.node(key)?;
        match read(node) {
            Ok(value) => Some(Placed { value, place: node.place.clone() }),
            Err(message) => {
                self.mistake(key, &node.place, message);
                None
            }
        }
    }

    /// Reads a string; `expected` and what `parse` adds to it make the message for a bad one.
    pub fn parse_node<T>(
        &self,
        node: &Node,
        expected: &str,
        parse: &impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        let found = node.value.describe();
        let (Value::Text(text) | Value::Loose(text)) = &node.value else {
            return Err(format!("expected {expected}, found {found}"));
        };
        if text.is_empty() || text.contains(char::is_control) {
            return Err(format!("expected {expected}, found {found}"));
        }
        parse(text).map_err(|reason| match reason.as_str() {
            "" => format!("expected {expected}, found {found}"),
            keys::NOT_YET => format!("{found} {}", keys::NOT_YET),
            _ => format!("expected {expected}, found {found}: {reason}"),
        })
    }

    fn note(&self, key: &'static str, value: Option<String>, place: &Place) {
        let effective = Effective { section: self.path.clone(), key, value, place: place.clone() };
        self.findings.effective.borrow_mut().push(effective);
    }

    fn node(&self, key: &str) -> Option<&'a Node> {
        self.table?.get(key)
    }
}

/// A string as TOML writes it. Control characters never get this far.
pub(super) fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The elements of a list; in the environment they are separated by commas.
fn items(node: &Node, expected: &str) -> Result<Vec<Node>, String> {
    match &node.value {
        Value::List(nodes) => Ok(nodes.clone()),
        Value::Loose(text) if text.is_empty() => Ok(Vec::new()),
        Value::Loose(text) => {
            let item =
                |text: &str| Node { value: Value::Loose(text.trim().to_owned()), place: node.place.clone() };
            Ok(text.split(',').map(item).collect())
        }
        other => Err(format!("expected {expected}, found {}", other.describe())),
    }
}

fn count(node: &Node, range: &RangeInclusive<usize>) -> Result<usize, String> {
    let number = match &node.value {
        Value::Integer(number) => usize::try_from(*number).ok(),
        Value::Loose(text) => text.parse().ok(),
        _ => None,
    };
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        let found = node.value.describe();
        format!("expected a whole number of {} to {}, found {found}", range.start(), range.end())
    })
}

fn moment(node: &Node) -> Result<Timestamp, String> {
    let text = match &node.value {
        Value::Moment(moment) => moment.to_string(),
        Value::Loose(text) => text.clone(),
        other => {
            let found = other.describe();
            return Err(format!(
                "expected a date-time such as 2027-03-31T00:00:00Z, without quotes, found {found}"
            ));
        }
    };
    text.parse::<Timestamp>().map_err(|_| {
        let found = node.value.describe();
        format!("expected a date-time with an offset, such as 2027-03-31T00:00:00Z, found {found}")
    })
}

fn one_of<T>(choices: &[(&str, T)]) -> String {
    let words: Vec<_> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
    match words.as_slice() {
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
        [] => String::new(),
    }
}

fn choose<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(String::new)
}

fn show_choice<T: PartialEq>(choices: &[(&str, T)], value: &T) -> String {
    choices.iter().find(|(_, choice)| choice == value).map_or_else(String::new, |(word, _)| quote(word))
}
