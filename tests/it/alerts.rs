//! Holds the alert rules in `grafana/alerts` to what every alert must have, and their runbook to the rules. That the rules are
//! valid and fire when they should is proven with promtool, in `tests/run`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::{promql, scrape};

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    let mut names = BTreeSet::new();
    for rule in rules() {
        let name = rule.get("alert");
        assert!(name.starts_with("Duskgate") && names.insert(name.to_owned()), "{name}");
        assert!(["info", "warning", "critical"].contains(&rule.get("severity")), "{name}: severity");
        let summary = rule.get("summary").trim_matches('"');
        assert!(!summary.is_empty() && !summary.ends_with('.') && summary.len() < 90, "{name}: summary");
        let description = rule.get("description");
        assert!(description.ends_with('.') && description.len() > summary.len(), "{name}: description");
        let runbook = format!("file:///usr/local/share/doc/duskgate/RUNBOOK.md#{}", name.to_lowercase());
        assert_eq!(rule.get("runbook_url"), runbook, "{name}");
    }
    assert!(names.len() >= 10, "{names:?}");
}

#[test]
fn the_runbook_has_a_chapter_for_every_alert_and_no_other() {
    let runbook = read("grafana/RUNBOOK.md");
    let alerts: BTreeSet<_> = rules().iter().map(|rule| rule.get("alert").to_owned()).collect();
    let chapters = runbook.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned);
    assert_eq!(chapters.collect::<BTreeSet<_>>(), alerts);
    let anchors: BTreeSet<_> = alerts.iter().map(|name| name.to_lowercase()).collect();
    for link in runbook.split("](#").skip(1) {
        let anchor = link.split(')').next().unwrap();
        assert!(anchors.contains(anchor), "no chapter #{anchor}");
    }
}

#[test]
fn the_readme_lists_every_alert_under_its_severity() {
    let readme = read("README.md");
    let rows: Vec<_> = ["info", "warning", "critical"]
        .iter()
        .flat_map(|severity| {
            let row = readme.lines().find(|line| line.starts_with(&format!("| `{severity}` |")));
            let names = row.expect("it has a row").split('`').skip(3).step_by(2);
            names.map(move |name| (name.to_owned(), (*severity).to_owned()))
        })
        .collect();
    let alerts = rules();
    let alerts = alerts.iter().map(|rule| (rule.get("alert").to_owned(), rule.get("severity").to_owned()));
    assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), alerts.collect::<BTreeSet<_>>());
}

#[test]
fn every_alert_reads_metrics_and_labels_that_exist() {
    let series = scrape::labels();
    for rule in rules() {
        let (name, expression) = (rule.get("alert"), rule.get("expr"));
        let selectors = promql::selectors(expression);
        assert!(!selectors.is_empty(), "{name}: {expression} reads nothing");
        for selector in selectors {
            // Made by Prometheus for each target.
            if selector.metric == "up" {
                continue;
            }
            let labels = series.get(&selector.metric);
            let labels = labels.unwrap_or_else(|| panic!("{name}: no metric {}", selector.metric));
            for label in &selector.labels {
                let known = labels.contains(label) || ["job", "instance"].contains(&label.as_str());
                assert!(known, "{name}: {} has no label {label}: {expression}", selector.metric);
            }
        }
    }
}

#[test]
fn every_alert_has_unit_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts");
    let files = fs::read_dir(folder).expect("the folder is there");
    let tests: String = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    for rule in rules() {
        let name = rule.get("alert");
        assert!(
            tests.contains(&format!("- alertname: {name}\n")),
            "{name} is never seen to fire, with its text"
        );
    }
}

/// A rule's keys, those of its labels and annotations included, with their values.
struct Rule(Vec<(String, String)>);

impl Rule {
    fn get(&self, key: &str) -> &str {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map_or_else(|| panic!("no {key}: {:?}", self.0), |(_, value)| value)
    }
}

/// The alerts of the rule file. It is YAML of one form: a value stands on the line of its key, or folded below it.
fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for line in read("grafana/alerts/duskgate.yml").lines() {
        let text = line.trim();
        if let Some(name) = text.strip_prefix("- alert: ") {
            rules.push(Rule(vec![("alert".to_owned(), name.to_owned())]));
            continue;
        }
        let Some(rule) = rules.last_mut() else { continue };
        let depth = line.len() - line.trim_start().len();
        let key = text
            .split_once(':')
            .filter(|(key, _)| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        match key {
            Some((key, value)) if [8, 10].contains(&depth) && !text.starts_with('#') => {
                rule.0.push((key.to_owned(), value.trim().trim_start_matches(">-").to_owned()));
            }
            _ if depth > 8 && !text.starts_with('#') => {
                let (_, value) = rule.0.last_mut().expect("a rule has a name");
                *value = format!("{value} {text}").trim().to_owned();
            }
            _ => {}
        }
    }
    rules
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("the file is there")
}
