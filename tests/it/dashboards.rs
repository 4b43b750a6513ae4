//! Holds every dashboard in `grafana/dashboards` to what can be proven without a Grafana: the shape of its JSON, and
//! that each expression reads metrics and labels that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::promql::selectors;
use crate::support::scrape;

#[test]
fn a_dashboard_loads_anywhere() {
    let mut uids = BTreeSet::new();
    for (file, dashboard) in dashboards() {
        assert_eq!(dashboard["schemaVersion"], 39, "{file}");
        assert!(dashboard.as_object().unwrap().contains_key("id") && dashboard["id"].is_null(), "{file}: id");
        assert!(uids.insert(text(&dashboard["uid"]).to_owned()), "{file}: uid is not its own");
        assert!(!text(&dashboard["title"]).is_empty(), "{file}: title");
        assert!(!dashboard["annotations"]["list"].as_array().unwrap().is_empty(), "{file}: annotations");
        let sources = list(&dashboard["templating"]["list"]).iter().filter(|it| it["type"] == "datasource");
        assert_eq!(sources.map(|it| text(&it["name"])).collect::<Vec<_>>(), ["datasource"], "{file}");
        each_object(&dashboard, &mut |object| {
            if object.get("type").is_some_and(|kind| kind == "prometheus") {
                assert_eq!(object["uid"], "${datasource}", "{file}: {object:?}");
            }
        });
    }
}

#[test]
fn every_panel_explains_itself() {
    for (file, dashboard) in dashboards() {
        let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
        for panel in list(&dashboard["panels"]) {
            let place = format!("{file}: {}", panel["title"]);
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{place}: id is not its own");
            assert!(!text(&panel["title"]).is_empty(), "{place}");
            if panel["type"] == "row" {
                continue;
            }
            assert!(titles.insert(text(&panel["title"])), "{place}: there are two");
            assert!(text(&panel["description"]).ends_with('.'), "{place}: description");
            if panel["type"] == "text" {
                assert!(!text(&panel["options"]["content"]).is_empty(), "{place}");
                continue;
            }
            if panel["type"] == "stat" {
                let steps = list(&panel["fieldConfig"]["defaults"]["thresholds"]["steps"]);
                assert!(steps.first().is_some_and(|step| step["value"].is_null()), "{place}: {steps:?}");
            }
            assert!(!text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty(), "{place}: unit");
            let names: Vec<_> = list(&panel["targets"]).iter().map(|it| text(&it["refId"])).collect();
            assert!(
                !names.is_empty() && names.iter().collect::<BTreeSet<_>>().len() == names.len(),
                "{place}: refId"
            );
        }
    }
}

#[test]
fn dashboards_lead_to_each_other_and_to_the_admin_page() {
    for (file, dashboard) in dashboards() {
        assert!(list(&dashboard["tags"]).contains(&Value::from("duskgate")), "{file}");
        let links = list(&dashboard["links"]);
        let by_tag = |link: &&Value| link["type"] == "dashboards" && list(&link["tags"]) == &["duskgate"];
        assert!(links.iter().any(|link| by_tag(&link)), "{file}: {links:?}");
        assert!(links.iter().any(|link| link["url"] == "${admin}/"), "{file}: {links:?}");
        let variables = list(&dashboard["templating"]["list"]);
        let admin = variables.iter().find(|it| it["name"] == "admin").expect("it knows the admin listener");
        assert_eq!((&admin["type"], &admin["query"]), (&"textbox".into(), &"http://127.0.0.1:9180".into()));
        each_object(&dashboard, &mut |object| {
            if let Some(url) = object.get("url").map(text).filter(|url| !url.is_empty()) {
                let pages = ["operations", "consumers"]
                    .map(|page| format!("${{admin}}/{page}/${{__value.raw:percentencode}}"));
                assert!(url == "${admin}/" || pages.iter().any(|page| page == url), "{file}: {url}");
            }
        });
    }
}

#[test]
fn no_panel_covers_another() {
    for (file, dashboard) in dashboards() {
        let mut taken = BTreeMap::new();
        for panel in list(&dashboard["panels"]) {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            assert!(w > 0 && h > 0 && x + w <= 24, "{file}: {} is off the grid", panel["title"]);
            for cell in (y..y + h).flat_map(|row| (x..x + w).map(move |column| (column, row))) {
                let other = taken.insert(cell, &panel["title"]);
                assert_eq!(other, None, "{file}: {} covers it at {cell:?}", panel["title"]);
            }
        }
    }
}

#[test]
fn every_expression_reads_metrics_and_labels_that_exist() {
    let series = scrape::labels();
    for (place, expression) in expressions() {
        for selector in selectors(&expression) {
            let labels = series.get(&selector.metric);
            let labels =
                labels.unwrap_or_else(|| panic!("{place}: no metric {} in {expression}", selector.metric));
            for label in &selector.labels {
                let known = labels.contains(label) || ["job", "instance"].contains(&label.as_str());
                assert!(known, "{place}: {} has no label {label}: {expression}", selector.metric);
            }
        }
        assert!(!selectors(&expression).is_empty(), "{place}: {expression} reads nothing");
    }
}

#[test]
fn counters_are_read_as_rates_over_grafanas_own_intervals() {
    for (place, expression) in expressions() {
        for selector in selectors(&expression) {
            let name = &selector.metric;
            let counts = ["_total", "_bucket", "_sum", "_count"].iter().any(|end| name.ends_with(end));
            let expected = match selector.function.as_str() {
                "rate" | "changes" => Some("$__rate_interval"),
                // Windows that a title names are the same whatever time range is shown.
                "increase" if ["1d", "7d", "30d"].map(Some).contains(&selector.range.as_deref()) => continue,
                "increase" => Some("$__range"),
                _ => None,
            };
            // The one count that is read as it is: a rate would miss the first call of each consumer.
            if name == "duskgate_deprecated_consumer_requests_total" && selector.range.is_none() {
                continue;
            }
            assert_eq!(selector.range.as_deref(), expected, "{place}: {expression}");
            assert!(!counts || expected.is_some(), "{place}: {name} is a counter: {expression}");
        }
    }
}

#[test]
fn every_metric_is_drawn() {
    let read: BTreeSet<_> =
        expressions().iter().flat_map(|(_, it)| selectors(it)).map(|it| it.metric).collect();
    let bare = |name: &str| {
        let ends = ["_bucket", "_sum", "_count"];
        ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
    };
    let read: BTreeSet<_> = read.iter().map(|name| bare(name)).collect();
    let series = scrape::labels();
    let own = series.keys().filter(|name| name.starts_with("duskgate_")).map(|name| bare(name));
    let missing: Vec<_> = own.filter(|name| !read.contains(name)).collect();
    assert_eq!(missing, Vec::<String>::new());
}

/// The files by name, parsed.
fn dashboards() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/dashboards");
    let files =
        fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("it is readable"));
    let found: Vec<_> = files
        .map(|file| {
            let text = fs::read_to_string(file.path()).expect("a dashboard is text");
            let name = file.file_name().display().to_string();
            let parsed = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, parsed)
        })
        .collect();
    assert!(!found.is_empty());
    found
}

/// Each expression, of panels, annotations and variables, with where it stands.
fn expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (file, dashboard) in dashboards() {
        let panels = list(&dashboard["panels"]);
        let parts = panels.iter().chain(list(&dashboard["annotations"]["list"]));
        for part in parts.chain(list(&dashboard["templating"]["list"])) {
            let place = format!("{file}: {}", part.get("title").unwrap_or(&part["name"]));
            each_object(part, &mut |object| {
                if let Some(expression) = object.get("expr").or(object.get("definition")) {
                    found.push((place.clone(), text(expression).to_owned()));
                }
            });
        }
    }
    found
}

fn each_object(value: &Value, visit: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            visit(object);
            object.values().for_each(|value| each_object(value, visit));
        }
        Value::Array(values) => values.iter().for_each(|value| each_object(value, visit)),
        _ => {}
    }
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}
