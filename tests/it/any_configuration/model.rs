//! Any text and any environment as a configuration. A property test and a fuzz target share it.

use std::path::Path;

use duskgate::config::{Config, Invalid, PREFIX, Place, STATE_VARIABLE};

/// In the working directory, where a ledger is unless something else is said.
const FILE: &str = "duskgate.toml";

/// Reads lines that begin like overrides as the environment, and what follows them as the file.
pub fn read(data: &str) {
    let (mut environment, mut text) = (Vec::new(), data);
    while let Some((line, rest)) = text.split_once('\n')
        && let Some((name, value)) = line.split_once('=')
        && (name.starts_with(PREFIX) || name == STATE_VARIABLE)
    {
        environment.push((name.to_owned(), value.to_owned()));
        text = rest;
    }
    // A file that never ends is a matter of its own.
    if data.contains("/dev") || data.contains("/proc") {
        return;
    }
    match Config::read(Path::new(FILE), text, environment.clone()) {
        Ok(config) => is_read_again(&config),
        Err(invalid) => has_its_places(&invalid, text, &environment),
    }
}

/// What `check --print` says is the same configuration.
fn is_read_again(config: &Config) {
    let printed = config.print();
    let again = Config::read(Path::new(FILE), &printed, [])
        .unwrap_or_else(|invalid| panic!("what is printed is none: {invalid}\n{printed}"));
    assert_eq!(without_origins(&again.print()), without_origins(&printed));
    assert_eq!(again.restart_needed(config), Vec::<String>::new(), "{printed}");
    assert_eq!(again.listeners, config.listeners, "{printed}");
    assert_eq!(again.limits, config.limits, "{printed}");
    assert_eq!(again.admission, config.admission, "{printed}");
    assert_eq!(again.drain, config.drain, "{printed}");
    assert!(again.upstream == config.upstream, "{printed}");
    assert_eq!(again.book.entries.len(), config.book.entries.len(), "{printed}");
    for (again, entry) in again.book.entries.iter().zip(&config.book.entries) {
        assert_eq!(again.operation.id, entry.operation.id, "{printed}");
        assert_eq!(again.operation.template, entry.operation.template, "{printed}");
        assert_eq!(again.mode, entry.mode, "{printed}");
        assert_eq!(again.schedule.deprecated(), entry.schedule.deprecated(), "{printed}");
        assert_eq!(again.schedule.sunset(), entry.schedule.sunset(), "{printed}");
    }
}

/// Each mistake stands somewhere in the file, or in a variable that there is, and is told in a line.
fn has_its_places(invalid: &Invalid, text: &str, environment: &[(String, String)]) {
    assert!(!invalid.mistakes.is_empty(), "nothing is wrong with it");
    let lines: Vec<&str> = text.split('\n').collect();
    for mistake in &invalid.mistakes {
        match &mistake.place {
            Place::Default => {}
            Place::File { line, column } => {
                let length = lines.get(line.wrapping_sub(1)).map(|line| line.chars().count());
                assert!(
                    length.is_some_and(|length| (1..=length + 1).contains(column)),
                    "outside of the file: {mistake:?}"
                );
            }
            Place::Environment(variable) => {
                assert!(environment.iter().any(|(name, _)| name == variable), "no variable: {mistake:?}");
            }
        }
        assert!(!mistake.message.is_empty() && !mistake.message.contains('\n'), "not a line: {mistake:?}");
    }
}

/// What the effective configuration says, without where it came from.
fn without_origins(printed: &str) -> Vec<&str> {
    printed.lines().map(|line| line.rsplit_once("  # ").map_or(line, |(said, _)| said)).collect()
}
