//! Holds the README to the program: what its tables list exists, what exists is listed, and
//! its configurations load.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use duskgate::config::Config;

use crate::support::scrape;

#[test]
fn the_readme_lists_the_metrics_that_exist() {
    let listed: BTreeSet<_> = rows("| metric |").iter().flat_map(|row| code(first(row))).collect();
    assert_eq!(listed, metrics());
}

#[test]
fn the_readme_lists_every_configuration_key() {
    let mut listed = BTreeSet::new();
    for row in rows("| key |") {
        let mut words = code(first(&row)).into_iter();
        let section = words.next().unwrap();
        listed.extend(words.map(|key| format!("{section} {key}")));
    }
    // Those of an operation that override [deprecation], and those of an operation of another API, stand in the text.
    assert_eq!(
        listed.difference(&keys()).cloned().collect::<Vec<_>>(),
        ["[[operation]] fallback", "[[operation]] id"]
    );
    assert_eq!(keys().difference(&listed).cloned().collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn the_readme_lists_every_command() {
    let listed: BTreeSet<_> = rows("| command |")
        .iter()
        .flat_map(|row| code(first(row)))
        .map(|command| command.split(' ').nth(1).unwrap().to_owned())
        .collect();
    let help = Command::new(env!("CARGO_BIN_EXE_duskgate")).arg("-h").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = help.split("Commands:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    let commands = commands.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert_eq!(listed, commands, "{help}");
}

#[test]
fn the_configurations_of_the_readme_load() {
    let text = readme();
    let blocks: Vec<&str> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [whole, parts @ ..] = blocks.as_slice() else { panic!("no configuration") };
    for part in parts.iter().chain([&""]) {
        Config::read(Path::new("README.md"), &format!("{whole}{part}"), [])
            .unwrap_or_else(|invalid| panic!("{invalid}: {part}"));
    }
}

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The rows of every table of the README whose head begins so.
fn rows(head: &str) -> Vec<String> {
    let text = readme();
    let tables = text.split("\n\n").filter(|part| part.starts_with(head));
    let rows: Vec<_> = tables.flat_map(|table| table.lines().skip(2)).map(str::to_owned).collect();
    assert!(!rows.is_empty(), "no table {head}");
    rows
}

fn first(row: &str) -> &str {
    row.split('|').nth(1).unwrap()
}

/// What stands between backticks.
fn code(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn metrics() -> BTreeSet<String> {
    let text = scrape::fresh();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    names.filter(|name| name.starts_with("duskgate_")).map(str::to_owned).collect()
}

/// Each key as `[section] key`, from a configuration that sets next to nothing.
fn keys() -> BTreeSet<String> {
    let text = "[upstream]\nservers = [\"http://a\"]\n[deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n";
    let printed = Config::read(Path::new("a.toml"), text, []).unwrap().print();
    let mut keys = BTreeSet::new();
    let mut section = "";
    for line in printed.lines().filter(|line| !line.is_empty()) {
        if line.starts_with('[') {
            section = line;
        } else {
            let key = line.trim_start_matches("# ").split(' ').next().unwrap();
            keys.insert(format!("{section} {key}"));
        }
    }
    keys
}
