//! The page of one consumer: what it calls, what that stands against, and how to leave it out.

use std::fmt::Write as _;

use super::list::{STANDINGS, cells};
use super::offers;
use super::words::{Id, Number, counted, operation_path};
use super::{Sight, document};
use crate::escape::Html;
use crate::usage::report::{Consumer, Operation, Recent};
use crate::usage::{OTHER, verdict};

/// Renders the page; nothing where nobody of this name has called.
pub(in crate::admin) fn consumer(sight: &Sight, name: &str) -> Option<String> {
    let operations = sight.known().map_or(&[][..], |known| &known.report.operations);
    let calls: Vec<(&Operation, &Consumer)> = operations
        .iter()
        .flat_map(|operation| operation.consumers.iter().map(move |consumer| (operation, consumer)))
        .filter(|(_, consumer)| consumer.consumer == name)
        .collect();
    if calls.is_empty() {
        return None;
    }
    let mut main = String::new();
    banner(&mut main, sight, name, &calls);
    table(&mut main, sight, &calls);
    let [table, key] = &sight.usage;
    if let Some(offer) = offers::of_consumer(name, &sight.settings.ignore, table, key) {
        main.push_str("<section class=\"todo\" aria-labelledby=\"todo\"><h2 id=\"todo\">What you can do</h2>\n<div class=\"offers\">");
        offer.write(&mut main);
        main.push_str("</div></section>\n");
    }
    Some(document(sight, name, &[("Operations", "/")], &main))
}

fn banner(out: &mut String, sight: &Sight, name: &str, calls: &[(&Operation, &Consumer)]) {
    let against = calls.iter().filter(|(_, consumer)| consumer.counts).count() as u64;
    let (class, verdict) =
        if against > 0 { ("bad", verdict::NOT_YET) } else { ("wait", verdict::NOT_WATCHED) };
    let heading = if against > 0 {
        format!("Stands against retiring {}", counted(against, "operation"))
    } else {
        "Stands against nothing".to_owned()
    };
    let last = calls.iter().map(|(_, consumer)| consumer.last_seen).max().unwrap_or(sight.at());
    let line = match name {
        OTHER => "consumers that are not told apart".to_owned(),
        _ => format!("last call {} ago", verdict::ago(sight.at(), last)),
    };
    let sign = if against > 0 { super::words::sign(verdict) } else { "" };
    let _ = writeln!(
        out,
        "<section class=\"banner {class}\" aria-labelledby=\"verdict\">{sign}<div><h1 id=\"verdict\"><span class=\"eyebrow id\">\
         <bdi>{}</bdi></span> {heading}</h1><p>{line}</p></div></section>",
        Html(name),
    );
    let recent = calls.iter().fold(Recent::default(), |sum, (_, consumer)| {
        let calls = consumer.recent_calls;
        Recent { day: sum.day + calls.day, week: sum.week + calls.week, month: sum.month + calls.month }
    });
    out.push_str("<dl class=\"figures\">\n");
    for (label, number) in
        [("Calls, 1 day", recent.day), ("Calls, 7 days", recent.week), ("Calls, 30 days", recent.month)]
    {
        let _ = writeln!(out, "<div><dt>{label}</dt><dd><b>{}</b></dd></div>", Number(number));
    }
    out.push_str("</dl>\n");
}

fn table(out: &mut String, sight: &Sight, calls: &[(&Operation, &Consumer)]) {
    out.push_str(
        "<div class=\"scroll\" role=\"region\" aria-labelledby=\"what\" tabindex=\"0\"><table class=\"cards\" role=\"table\">\
         <caption id=\"what\">What it calls</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">",
    );
    for (label, is_number) in [
        ("Operation", false),
        ("Standing", false),
        ("Calls", true),
        ("1&nbsp;d", true),
        ("7&nbsp;d", true),
        ("30&nbsp;d", true),
        ("Software", false),
        ("Networks", false),
        ("First call", false),
        ("Last call", false),
    ] {
        let class = if is_number { " class=\"n\"" } else { "" };
        let _ = write!(out, "<th scope=\"col\" role=\"columnheader\"{class}>{label}</th>");
    }
    out.push_str("</tr></thead>\n<tbody role=\"rowgroup\">\n");
    for (operation, consumer) in calls {
        let _ = write!(
            out,
            "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\"><a href=\"{}\">{}</a></th>",
            operation_path(&operation.id),
            Id(&operation.id)
        );
        cells(out, consumer, sight.at());
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n<p class=\"note\">");
    let meanings = STANDINGS.map(|(name, meaning)| format!("<b>{name}</b>: {meaning}"));
    let _ = write!(out, "{}. Modes that served it: ", meanings.join("; "));
    let mut modes: Vec<&String> = calls.iter().flat_map(|(_, consumer)| &consumer.modes).collect();
    modes.sort_unstable();
    modes.dedup();
    let modes: Vec<String> = modes.into_iter().map(|mode| Html(mode).to_string()).collect();
    let _ = writeln!(out, "{}.</p>", modes.join(", "));
}
