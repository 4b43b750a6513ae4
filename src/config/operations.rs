//! Reads `[deprecation]` and `[[operation]]`: which operations there are, and for each the dates and the mode that hold
//! after overrides.

use std::collections::HashMap;

use http::Method;
use http::Uri;
use jiff::Timestamp;

use super::file::{Place, Table};
use super::invalid::Mistake;
use super::keys::{self, OPERATION};
use super::listeners::shape;
use super::local::Wanted;
use super::section::{Findings, Placed, Section, quote};
use crate::operation::{self, Family, Mode, Operation, Successor};
use crate::policy::{AfterSunset, Book, Entry, Schedule, Terms};
use crate::route::{Segment, Template};

/// What documents an operation of Onezone unless the configuration says otherwise.
const DOCUMENTATION: &str = "https://onedata.org/api/stable/onezone/operation/{operation}";
const AFTER_SUNSET: [(&str, AfterSunset); 2] = [("gone", AfterSunset::Gone), ("serve", AfterSunset::Serve)];
const MODE: &str = "\"observe\", \"rewrite\", \"local\" or \"gone\"";

/// An operation and everything that was decided about it, not yet compiled.
pub(super) struct Chosen {
    pub operation: Operation,
    pub mode: Mode,
    /// The mode of `[deprecation]`, where it is another because the operation cannot have that one.
    pub asked: Option<Mode>,
    pub fallback: Vec<Mode>,
    pub deprecated_at: Timestamp,
    pub sunset_at: Option<Timestamp>,
    pub after_sunset: AfterSunset,
    pub documentation: Option<String>,
    pub sunset_policy: Option<String>,
}

/// The built-in operations in their order, then those that the configuration adds in its order; and where any of them is
/// to be served by our own token module.
pub(super) fn read(root: &Table, findings: &Findings) -> (Vec<Chosen>, Vec<Wanted>) {
    let mut wanted = Vec::new();
    let defaults = Defaults::read(&Section::single(root, shape("deprecation"), findings), &mut wanted);
    let mut chosen: Vec<_> = operation::builtin().into_iter().map(|row| defaults.choose(row, true)).collect();
    let mut seen: HashMap<String, String> = HashMap::new();
    for section in Section::many(root, &OPERATION, findings) {
        let id = section.parse("id", "an operationId of letters, digits and _.-", id, |id| quote(id));
        if id.is_none() && !section.has("id") {
            section.missing("id", "the operationId of a built-in operation, or a new one");
        }
        let is_new = id.as_ref().is_some_and(|id| is_first(&section, id, &mut seen));
        let known = id.as_ref().and_then(|id| chosen.iter_mut().find(|one| one.operation.id == id.value));
        if let Some(one) = known {
            refuse_new_route(&section, &one.operation);
            override_with(&section, &defaults, one, &mut wanted);
            continue;
        }
        let operation = added(&section, id.as_ref(), &chosen);
        let is_usable = is_new && operation.is_some();
        // Whatever is wrong with the operation itself, the rest of its table is read for mistakes all the same.
        let mut one = defaults.choose(operation.unwrap_or_else(|| unknown(&section)), false);
        override_with(&section, &defaults, &mut one, &mut wanted);
        if is_usable {
            chosen.push(one);
        }
    }
    (chosen, wanted)
}

/// Notes an id that stands in two tables.
fn is_first(section: &Section<'_>, id: &Placed<String>, seen: &mut HashMap<String, String>) -> bool {
    if let Some(first) = seen.get(&id.value) {
        section.mistake("id", &id.place, format!("{:?} is already {first}", id.value));
        return false;
    }
    seen.insert(id.value.clone(), section.path.clone());
    true
}

/// Compiles what was chosen. It was all checked before, with its places; what is found here has none.
pub(super) fn book(chosen: Vec<Chosen>) -> Result<Book, Mistake> {
    let unplaced =
        |id: &str, error: &dyn std::fmt::Display| Mistake::new(&Place::Default, id, error.to_string());
    let mut entries = Vec::new();
    for one in chosen {
        let id = one.operation.id.clone();
        let schedule =
            Schedule::new(one.deprecated_at, one.sunset_at).map_err(|error| unplaced(&id, &error))?;
        let terms = Terms {
            mode: one.mode,
            asked: one.asked,
            fallback: one.fallback,
            schedule,
            after_sunset: one.after_sunset,
            documentation: one.documentation,
            sunset_policy: one.sunset_policy,
        };
        entries.push(Entry::new(one.operation, terms).map_err(|error| unplaced(&id, &error))?);
    }
    Book::new(entries).map_err(|error| unplaced("operation", &error))
}

/// `[deprecation]`, which holds where an operation says nothing else.
struct Defaults {
    deprecated_at: Option<Placed<Timestamp>>,
    sunset_at: Option<Placed<Timestamp>>,
    documentation: Placed<String>,
    sunset_policy: Option<String>,
    mode: Mode,
    fallback: Vec<Mode>,
    after_sunset: AfterSunset,
}

impl Defaults {
    fn read(section: &Section<'_>, wanted: &mut Vec<Wanted>) -> Self {
        let deprecated_at = section.moment("deprecated_at");
        if deprecated_at.is_none() && !section.has("deprecated_at") {
            section.missing("deprecated_at", "a date-time such as 2020-06-01T00:00:00Z");
        }
        let sunset_at = section.moment("sunset_at");
        refuse_early_sunset(section, deprecated_at.as_ref(), sunset_at.as_ref());
        let documentation = |node: &_| section.parse_node(node, LINK, &link);
        let of_mode = section.or_default(
            "mode",
            Mode::Rewrite,
            |node| section.parse_node(node, MODE, &mode),
            show_mode,
        );
        Defaults {
            deprecated_at,
            sunset_at,
            documentation: section.or_default(
                "documentation",
                DOCUMENTATION.to_owned(),
                documentation,
                |link| quote(link),
            ),
            sunset_policy: section
                .parse("sunset_policy", LINK, link, |link| quote(link))
                .map(|link| link.value),
            fallback: fallback(section, (!section.mistaken("mode")).then_some(of_mode.value), None, wanted),
            mode: want(of_mode, section, "mode", wanted),
            after_sunset: section.choice("after_sunset", &AFTER_SUNSET, AfterSunset::Gone),
        }
    }

    fn choose(&self, operation: Operation, builtin: bool) -> Chosen {
        // The default documents Onezone's operations only.
        let documented = builtin || self.documentation.place != Place::Default;
        let mode = if operation.can(self.mode) { self.mode } else { Mode::Observe };
        Chosen {
            mode,
            asked: (mode != self.mode).then_some(self.mode),
            fallback: self.fallback_of(&operation, mode),
            deprecated_at: self.deprecated_at.as_ref().map_or(Timestamp::UNIX_EPOCH, |moment| moment.value),
            sunset_at: self.sunset_at.as_ref().map(|moment| moment.value),
            after_sunset: self.after_sunset,
            documentation: documented.then(|| self.documentation.value.replace("{operation}", &operation.id)),
            sunset_policy: self.sunset_policy.as_ref().map(|link| link.replace("{operation}", &operation.id)),
            operation,
        }
    }
}

impl Defaults {
    /// Only what is rewritten can fall back, to the first mode that it can have: that one always answers.
    fn fallback_of(&self, operation: &Operation, mode: Mode) -> Vec<Mode> {
        let fallback = self.fallback.iter().copied().filter(|fallback| operation.can(*fallback));
        fallback.take(usize::from(mode == Mode::Rewrite)).collect()
    }
}

fn refuse_new_route(section: &Section<'_>, operation: &Operation) {
    for (key, fixed) in [("method", operation.method.as_str()), ("path", operation.template.as_str())] {
        if let Some(value) = section.text(key)
            && value.value != fixed
        {
            let message = format!("{} is built in, its {key} cannot be changed: {fixed}", operation.id);
            section.mistake(key, &value.place, message);
        }
    }
}

/// Stands in for an operation that could not be read. One that may be a built-in one by a wrong name can have any mode.
fn unknown(section: &Section<'_>) -> Operation {
    let is_of_another_api = section.has("method") || section.has("path");
    let path = if section.mistaken("path") { None } else { section.text("path") };
    let template = path.map(|path| path.value).filter(|path| Template::parse(path).is_ok());
    Operation {
        id: String::new(),
        method: Method::GET,
        template: template.unwrap_or_default(),
        base: String::new(),
        successors: Vec::new(),
        success: 200,
        resource: None,
        invite: None,
        rewrite: (!is_of_another_api).then_some(Family::Invite),
    }
}

/// An operation that is not built in.
fn added(section: &Section<'_>, id: Option<&Placed<String>>, chosen: &[Chosen]) -> Option<Operation> {
    if !section.has("method") && !section.has("path") {
        let id = id?;
        let known = chosen.iter().map(|one| one.operation.id.as_str());
        let nearest = keys::nearest(&id.value, known).unwrap_or_default();
        let message = format!(
            "no operation has this id, the nearest is {nearest:?}; an operation of another API needs method and path: {:?}",
            id.value
        );
        section.mistake("id", &id.place, message);
        return None;
    }
    let method = section.parse("method", "a method in capital letters such as \"GET\"", method, |method| {
        quote(method.as_str())
    });
    let template = |text: &str| match Template::parse(text) {
        Ok(template) => Ok((text.to_owned(), shape_of(&template))),
        Err(reason) => Err(reason.to_string()),
    };
    let path =
        section.parse("path", "a path such as \"/api/v1/reports/{id}\"", template, |(path, _)| quote(path));
    for (key, example) in [("method", "such as \"GET\""), ("path", "such as \"/api/v1/reports/{id}\"")] {
        if !section.has(key) {
            section.missing(key, example);
        }
    }
    let (method, Placed { value: (path, shape), place }) = (method?.value, path?);
    let same = |other: &&Operation| {
        let other_shape = Template::parse(&other.template).map(|template| shape_of(&template));
        other.method == method && other_shape.is_ok_and(|other| other == shape)
    };
    if let Some(other) = chosen.iter().map(|one| &one.operation).find(same) {
        section.mistake("path", &place, format!("{method} {path} is already {}", other.id));
        return None;
    }
    Some(Operation {
        id: id?.value.clone(),
        method,
        template: path,
        base: String::new(),
        successors: Vec::new(),
        success: 200,
        resource: None,
        invite: None,
        rewrite: None,
    })
}

/// Lays what one `[[operation]]` says over the defaults.
fn override_with(section: &Section<'_>, defaults: &Defaults, one: &mut Chosen, wanted: &mut Vec<Wanted>) {
    if let Some(mode) = section.parse("mode", MODE, mode, show_mode) {
        match why_not(&one.operation, mode.value) {
            None => {
                one.mode = want(mode, section, "mode", wanted);
                one.asked = None;
            }
            Some(reason) => section.mistake("mode", &mode.place, reason),
        }
    }
    let own = (!section.mistaken("mode")).then_some(one.mode);
    let own_fallback = fallback(section, own, Some(&one.operation), wanted);
    one.fallback =
        if section.has("fallback") { own_fallback } else { defaults.fallback_of(&one.operation, one.mode) };
    let own = Template::parse(&one.operation.template);
    let successor = |text: &str| successor(text, own.as_ref().ok());
    let expected =
        "a path or a method and a path, such as \"/api/v2/reports/{id}\" or \"GET /api/v2/reports/{id}\"";
    if let Some(successors) =
        section.list("successor", expected, successor, |successor| quote(&show(successor)))
    {
        one.operation.successors = successors.into_iter().map(|successor| successor.value).collect();
    }
    let deprecated_at = section.moment("deprecated_at");
    let sunset_at = section.moment("sunset_at");
    if deprecated_at.is_some() || sunset_at.is_some() {
        let deprecated_at = deprecated_at.as_ref().or(defaults.deprecated_at.as_ref());
        refuse_early_sunset(section, deprecated_at, sunset_at.as_ref().or(defaults.sunset_at.as_ref()));
    }
    one.deprecated_at = deprecated_at.map_or(one.deprecated_at, |moment| moment.value);
    one.sunset_at = sunset_at.map(|moment| moment.value).or(one.sunset_at);
    let filled = |key| {
        let link = section.parse(key, LINK, link, |link| quote(link))?;
        Some(link.value.replace("{operation}", &one.operation.id))
    };
    one.documentation = filled("documentation").or(one.documentation.take());
    one.sunset_policy = filled("sunset_policy").or(one.sunset_policy.take());
    if let Some(after) = section.optional_choice("after_sunset", &AFTER_SUNSET) {
        one.after_sunset = after.value;
    }
}

/// Why an operation cannot be served in a mode, if it cannot.
fn why_not(operation: &Operation, mode: Mode) -> Option<String> {
    let reason = operation.why_not(mode)?;
    Some(format!("{} cannot be served in mode \"{mode}\": {reason}", operation.id))
}

/// The mode, having noted that it needs our own token module, if it does.
fn want(mode: Placed<Mode>, section: &Section<'_>, key: &str, wanted: &mut Vec<Wanted>) -> Mode {
    if mode.value == Mode::Local {
        wanted.push(Wanted { key: format!("{}.{key}", section.path), place: mode.place });
    }
    mode.value
}

/// What is tried where the `own` mode could not serve, of one operation or of all. Where the own mode is a mistake, nothing
/// is said of its being one with the fallback.
fn fallback(
    section: &Section<'_>,
    own: Option<Mode>,
    operation: Option<&Operation>,
    wanted: &mut Vec<Wanted>,
) -> Vec<Mode> {
    let mut fallback: Vec<Mode> = Vec::new();
    for mode in section.list("fallback", MODE, mode, show_mode).unwrap_or_default() {
        let reason = match (mode.value, own) {
            (value, Some(own)) if value == own => format!("is already the operation's own mode: \"{own}\""),
            (_, Some(own)) if own != Mode::Rewrite => {
                format!("only mode \"rewrite\" can fall back, not \"{own}\"")
            }
            (value, _) if !matches!(value, Mode::Observe | Mode::Local) => {
                format!("nothing can fall back to \"{value}\", only to \"observe\" or \"local\"")
            }
            (value, _) if fallback.contains(&value) => format!("listed twice: \"{value}\""),
            (value, _) if operation.is_some() && !fallback.is_empty() => {
                format!("\"{value}\" is never tried: \"{}\" always answers", fallback[0])
            }
            (value, _) => match operation.and_then(|operation| why_not(operation, value)) {
                Some(reason) => reason,
                None => {
                    fallback.push(want(mode, section, "fallback", wanted));
                    continue;
                }
            },
        };
        section.mistake("fallback", &mode.place, reason);
    }
    fallback
}

/// Notes a sunset that is before the deprecation, at the one of the two that this table sets.
fn refuse_early_sunset(
    section: &Section<'_>,
    deprecated_at: Option<&Placed<Timestamp>>,
    sunset_at: Option<&Placed<Timestamp>>,
) {
    if let (Some(deprecated_at), Some(sunset_at)) = (deprecated_at, sunset_at)
        && sunset_at.value < deprecated_at.value
    {
        let key = if section.has("sunset_at") { "sunset_at" } else { "deprecated_at" };
        let message =
            format!("the sunset {} is before the deprecation {}", sunset_at.value, deprecated_at.value);
        section.mistake(key, &section.place_of(key), message);
    }
}

fn id(text: &str) -> Result<String, String> {
    let valid =
        text.len() <= 100 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    valid.then(|| text.to_owned()).ok_or_else(String::new)
}

fn method(text: &str) -> Result<Method, String> {
    let capital = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-' || byte == b'_');
    capital.then(|| text.parse().ok()).flatten().ok_or_else(String::new)
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "rehearse" => Err(keys::NOT_YET.to_owned()),
        _ => Mode::ALL.into_iter().find(|mode| mode.name() == text).ok_or_else(String::new),
    }
}

fn show_mode(mode: &Mode) -> String {
    quote(mode.name())
}

fn successor(text: &str, own: Option<&Template>) -> Result<Successor, String> {
    let (method, path) = match text.split_once(' ') {
        Some((word, path)) => (Some(method(word)?), path),
        None => (None, text),
    };
    let template = Template::parse(path).map_err(|reason| reason.to_string())?;
    let known = |name: &str| own.is_none_or(|own| own.parameters().any(|(_, other)| other == name));
    match template.parameters().find(|(_, name)| !known(name)) {
        Some((_, name)) => Err(format!("the operation's own path has no parameter {{{name}}}")),
        None => Ok(Successor { operation: None, method, path: path.to_owned(), note: None }),
    }
}

/// What a template matches, whatever its parameters are called.
fn shape_of(template: &Template) -> Vec<Option<Vec<u8>>> {
    let literal = |segment: &Segment| match segment {
        Segment::Literal(bytes) => Some(bytes.clone()),
        Segment::Parameter(_) => None,
    };
    template.segments.iter().map(literal).collect()
}

fn show(successor: &Successor) -> String {
    match &successor.method {
        Some(method) => format!("{method} {}", successor.path),
        None => successor.path.clone(),
    }
}

const LINK: &str = "an address such as \"https://example.org/{operation}\"";

/// Reads what goes between the angle brackets of a `Link` header (RFC 8288, section 3).
fn link(text: &str) -> Result<String, String> {
    let example = text.replace("{operation}", "x");
    let plain = example.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"{}\\^`|".contains(&byte));
    let absolute = example
        .split('#')
        .next()
        .and_then(|address| address.parse::<Uri>().ok())
        .is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if plain && absolute { Ok(text.to_owned()) } else { Err(String::new()) }
}
