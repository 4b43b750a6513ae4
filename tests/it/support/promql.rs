//! What an expression of Prometheus reads.

/// One metric as an expression reads it.
#[derive(Debug)]
pub struct Selector {
    /// Its name.
    pub metric: String,
    /// The labels that it is filtered by, and those that the aggregation around it keeps.
    pub labels: Vec<String>,
    /// What stands in brackets behind it.
    pub range: Option<String>,
    /// The function called directly on it.
    pub function: String,
}

/// The metrics of an expression. As much of PromQL as dashboards and rules use: an aggregation's labels stand before it.
pub fn selectors(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut kept = Vec::new();
    let mut rest = expression;
    let mut words: Vec<&str> = Vec::new();
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        rest = &rest[start..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        if word == "by" {
            let (labels, after) = after.trim_start()[1..].split_once(')').expect("the list of labels ends");
            kept = labels.split(',').map(|label| label.trim().to_owned()).collect();
            rest = after;
        } else if (word.contains('_') && !after.starts_with('(')) || after.starts_with('{') {
            let (filters, after) = between(after, '{', '}');
            let (range, after) = between(after, '[', ']');
            let filters =
                filters.unwrap_or_default().split("\",").filter_map(|filter| filter.split_once('='));
            let labels = filters.map(|(label, _)| label.to_owned()).chain(kept.iter().cloned());
            found.push(Selector {
                metric: word.to_owned(),
                labels: labels.collect(),
                range: range.map(str::to_owned),
                function: words.last().copied().unwrap_or_default().to_owned(),
            });
            rest = after;
        }
        words.push(word);
    }
    found
}

/// What stands in a pair of brackets at the start of a text, and the text behind.
fn between(text: &str, open: char, close: char) -> (Option<&str>, &str) {
    let inner = text.strip_prefix(open).and_then(|text| text.split_once(close));
    inner.map_or((None, text), |(inner, after)| (Some(inner), after))
}
