//! The page of one operation: the verdict, its facts, its trend, what can be done about it, and who calls.

use std::fmt::Write as _;

use super::list::{self, View};
use super::offers;
use super::trend::Trend;
use super::words::{Ago, Day, Id, Number, class, counted, heading, sign, until};
use super::{Sight, document, documentation, last_call};
use crate::admin::Row;
use crate::escape::Html;
use crate::usage::report::Operation;

/// Renders the page; nothing where there is no such operation.
pub(in crate::admin) fn operation(sight: &Sight, id: &str, query: &str) -> Option<String> {
    let row = sight.rows.iter().find(|row| row.id == id);
    let operation = sight.known().and_then(|known| known.report.operations.iter().find(|it| it.id == id));
    if row.is_none() && operation.is_none() {
        return None;
    }
    let mut main = String::new();
    banner(&mut main, id, operation);
    main.push_str("<div class=\"columns\">\n<section aria-labelledby=\"facts\"><h2 id=\"facts\">Facts</h2>\n<dl class=\"facts\">\n");
    match row {
        Some(row) => facts(&mut main, sight, row),
        None => fact(&mut main, "Configuration", "not configured any more"),
    }
    if let Some(operation) = operation {
        watched(&mut main, sight, operation);
    }
    main.push_str("</dl></section>\n");
    if let (Some(known), Some(operation)) = (sight.known(), operation) {
        main.push_str("<section aria-labelledby=\"trend\"><h2 id=\"trend\">Calls a day</h2>\n");
        Trend::of(&known.days, Some(id), operation.watched_since, sight.at()).large(&mut main);
        numbers(&mut main, operation);
        main.push_str("</section>\n");
    }
    main.push_str("</div>\n");
    let offers = row.map_or_else(Vec::new, |row| offers::of_operation(row, operation, sight.now));
    if !offers.is_empty() {
        main.push_str("<section class=\"todo\" aria-labelledby=\"todo\"><h2 id=\"todo\">What you can do</h2>\n<div class=\"offers\">");
        offers.iter().for_each(|offer| offer.write(&mut main));
        main.push_str("</div></section>\n");
    }
    if let Some(operation) = operation {
        list::write(&mut main, &operation.consumers, &View::of(query), sight.at());
    }
    Some(document(sight, id, &[("Operations", "/")], &main))
}

fn banner(out: &mut String, id: &str, operation: Option<&Operation>) {
    let Some(operation) = operation else {
        let _ = writeln!(out, "<h1 class=\"id\">{}</h1>", Id(id));
        return;
    };
    let line = operation.verdict_line.split_once(": ").map_or("", |(_, rest)| rest);
    let _ = writeln!(
        out,
        "<section class=\"banner {}\" aria-labelledby=\"verdict\">{}<div><h1 id=\"verdict\"><span class=\"eyebrow id\">{}</span> \
         {}</h1><p>{}</p></div></section>",
        class(operation.verdict),
        sign(operation.verdict),
        Id(id),
        heading(operation.verdict),
        Html(line),
    );
}

fn facts(out: &mut String, sight: &Sight, row: &Row) {
    fact(out, "Call", &format!("<code>{} {}</code>", Html(&row.method), Html(&row.path)));
    fact(out, "Phase", row.phase);
    fact(out, "Mode", &format!("{} <small>requests to the backend a call: {}</small>", row.mode, row.cost));
    fact(out, "Deprecated", &Day(row.deprecated_at).to_string());
    let sunset = row.sunset_at.map(|at| format!("{}, {}", Day(at), until(at, sight.now)));
    fact(out, "Sunset", sunset.as_deref().unwrap_or("not set"));
    let successors: Vec<String> =
        row.successors.iter().map(|text| format!("<code>{}</code>", Html(text))).collect();
    let none = if successors.is_empty() { "nothing".to_owned() } else { successors.join("<br>") };
    fact(out, "Call instead", &none);
    if let Some(link) = documentation(row) {
        fact(out, "Documentation", &link);
    }
    fact(out, "Since the start", &format!("{} of this process", counted(row.calls, "call")));
}

fn watched(out: &mut String, sight: &Sight, operation: &Operation) {
    let since = operation.watched_since;
    let watched = since.map(|then| format!("{}, {}", Day(then), Ago { now: sight.at(), then }));
    fact(out, "Watched since", watched.as_deref().unwrap_or("not watched"));
    fact(out, "Last call", &last_call(operation.last_call, sight.at()));
}

fn fact(out: &mut String, name: &str, html: &str) {
    let _ = writeln!(out, "<div><dt>{name}</dt><dd>{html}</dd></div>");
}

fn numbers(out: &mut String, operation: &Operation) {
    out.push_str(
        "<table class=\"numbers\"><caption class=\"hidden\">Calls and consumers</caption><thead><tr><td></td>\
         <th scope=\"col\" class=\"n\">1 day</th><th scope=\"col\" class=\"n\">7 days</th><th scope=\"col\" class=\"n\">30 \
         days</th></tr></thead><tbody>",
    );
    for (name, of) in [("Calls", operation.recent_calls), ("Consumers", operation.recent_consumers)] {
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{name}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            Number(of.day),
            Number(of.week),
            Number(of.month)
        );
    }
    out.push_str("</tbody></table>\n<p class=\"note\">Calls are those of everybody, consumers those that are verified and not ignored.</p>\n");
}
