//! The metrics of a proxy that nobody has called yet.

use std::collections::{BTreeMap, BTreeSet};

use duskgate::clock::Clock;
use duskgate::metrics::{Metrics, Vocabulary, Watched};
use duskgate::operation::Mode;

/// A scrape with every metric in it: each vocabulary has a word here, so that its metric is there.
pub fn fresh() -> String {
    let words = Vocabulary { malformed: &["word"], upstream_errors: &["word"], limits: &["word"] };
    let metrics = Metrics::new(Clock::Real, &["127.0.0.1:8080".to_owned()], words);
    metrics.servers(&["http://127.0.0.1:1".to_owned()]);
    metrics.operations(vec![Watched {
        operation: "operation".to_owned(),
        mode: Mode::Observe,
        mode_after_sunset: Mode::Gone,
        success: 200,
        deprecated_at: Clock::Real.now(),
        sunset_at: None,
    }]);
    metrics.render()
}

/// The labels of each series that a fresh proxy shows.
pub fn labels() -> BTreeMap<String, BTreeSet<String>> {
    let mut series = BTreeMap::<_, BTreeSet<_>>::new();
    for line in fresh().lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = line.split_once(['{', ' ']).expect("a series has a value");
        let labels = labels.rsplit_once('}').map_or("", |(labels, _)| labels);
        let names =
            labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned());
        series.entry(name.to_owned()).or_default().extend(names);
    }
    series
}
