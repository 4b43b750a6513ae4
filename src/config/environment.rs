//! Overrides from the environment: `DUSKGATE__UPSTREAM__SERVERS=a,b` is `servers` of `[upstream]`,
//! `DUSKGATE__LISTENER__0__ADDRESS` is `address` of the first `[[listener]]`. Two underscores stand between the parts, so
//! that `DUSKGATE_CONFIG`, and what Kubernetes sets for a service called duskgate (`DUSKGATE_PORT`), are none.

use super::file::{Entry, Node, Place, Table, Value};
use super::invalid::Mistake;

/// How every override begins.
pub const PREFIX: &str = "DUSKGATE__";

/// The variable that sets the key of this path.
pub(super) fn name<'p>(path: impl IntoIterator<Item = &'p str>) -> String {
    let parts: Vec<_> = path.into_iter().map(str::to_ascii_uppercase).collect();
    format!("{PREFIX}{}", parts.join("__"))
}

/// Lays the overrides over the tree. Variables that do not begin with [`PREFIX`] are none of ours.
pub(super) fn apply(
    root: &mut Table,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Vec<Mistake> {
    let mut overrides: Vec<_> = environment
        .into_iter()
        .filter_map(|(variable, value)| {
            let path: Vec<Part> = variable.strip_prefix(PREFIX)?.split("__").map(Part::of).collect();
            Some((path, variable, value))
        })
        .collect();
    // By number, so that a table can only be added behind the one before it.
    overrides.sort();
    let mut mistakes = Vec::new();
    for (path, variable, value) in overrides {
        let place = Place::Environment(variable);
        if let Err(message) = set(root, &path, &value, &place) {
            mistakes.push(Mistake::new(&place, "", message));
        }
    }
    mistakes
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Index(usize),
    Name(String),
}

impl Part {
    fn of(text: &str) -> Self {
        match text.parse() {
            Ok(index) => Part::Index(index),
            Err(_) => Part::Name(text.to_ascii_lowercase()),
        }
    }
}

/// Sets one value. What is no known key is found later, with those of the file.
fn set(root: &mut Table, path: &[Part], value: &str, place: &Place) -> Result<(), String> {
    let [parents @ .., Part::Name(last)] = path else {
        return Err(
            "unknown name, it must end in a key; the values of a list are separated by commas".to_owned()
        );
    };
    if path.iter().any(|part| *part == Part::Name(String::new())) {
        return Err("unknown name, a part of it is empty".to_owned());
    }
    let mut table = root;
    let mut parents = parents.iter();
    while let Some(parent) = parents.next() {
        let Part::Name(name) = parent else {
            return Err("unknown name, a number can only follow the name of a list of tables".to_owned());
        };
        // `LISTENER__0` is one step: the list and the table in it.
        let index = match parents.as_slice().first() {
            Some(Part::Index(index)) => {
                parents.next();
                Some(*index)
            }
            _ => None,
        };
        table = step(table, name, index, place)?;
    }
    let node = Node { value: Value::Loose(value.to_owned()), place: place.clone() };
    put(table, last, node, place);
    Ok(())
}

fn step<'t>(
    table: &'t mut Table,
    name: &str,
    index: Option<usize>,
    place: &Place,
) -> Result<&'t mut Table, String> {
    let empty = || Table { entries: Vec::new(), place: place.clone() };
    let no_such = |index, next| Err(format!("there is no {name}[{index}], the next one to add is {next}"));
    if let (None, Some(index @ 1..)) = (table.get(name), index) {
        return no_such(index, 0);
    }
    if table.get(name).is_none() {
        let value = if index.is_some() { Value::List(Vec::new()) } else { Value::Table(empty()) };
        put(table, name, Node { value, place: place.clone() }, place);
    }
    let value = table.get_mut(name).map(|node| &mut node.value);
    match (value, index) {
        (Some(Value::Table(table)), None) => Ok(table),
        (Some(Value::List(nodes)), Some(index)) => {
            if index > nodes.len() {
                return no_such(index, nodes.len());
            }
            if index == nodes.len() {
                nodes.push(Node { value: Value::Table(empty()), place: place.clone() });
            }
            match &mut nodes[index].value {
                Value::Table(table) => Ok(table),
                _ => Err(format!("unknown name, {name}[{index}] is no table")),
            }
        }
        (Some(Value::List(_)), None) => {
            Err(format!("unknown name, {name} is a list: a number must follow it, from 0 on"))
        }
        (Some(Value::Table(_)), Some(_)) => {
            Err(format!("unknown name, {name} is no list: no number can follow it"))
        }
        _ => Err(format!("unknown name, {name} is no table")),
    }
}

fn put(table: &mut Table, name: &str, node: Node, place: &Place) {
    match table.get_mut(name) {
        Some(old) => *old = node,
        None => table.entries.push(Entry { name: name.to_owned(), key: place.clone(), node }),
    }
}
