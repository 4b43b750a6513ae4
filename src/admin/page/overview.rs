//! The first page: one verdict for all operations, then each of them, the most urgent first.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::trend::Trend;
use super::words::{
    Day, Id, Number, Path, class, counted, group, heading, operation_path, sign, until, verdict_line,
};
use super::{Sight, document, last_call, recent};
use crate::admin::Row;
use crate::escape::Html;
use crate::usage::report::{Operation, Recent, Report};
use crate::usage::verdict::{NOT_WATCHED, NOT_YET, SAFE, ago};

/// One operation, as far as it is configured and as far as its calls are known.
struct Line<'s> {
    id: &'s str,
    row: Option<&'s Row>,
    operation: Option<&'s Operation>,
}

/// Renders the page.
pub(in crate::admin) fn overview(sight: &Sight) -> String {
    let lines = lines(sight);
    let mut main = String::new();
    match sight.known() {
        Some(known) => banner(&mut main, sight, &known.report, &lines),
        None => main.push_str("<h1>Deprecated operations</h1>\n"),
    }
    if lines.is_empty() {
        main.push_str("<p>None is configured.</p>\n");
    } else {
        table(&mut main, sight, &lines);
    }
    let title = sight.known().map_or("Deprecated operations", |known| heading(known.report.verdict));
    document(sight, title, &[], &main)
}

/// All of them by urgency: those that are called first, of them those that end first.
fn lines(sight: &Sight) -> Vec<Line<'_>> {
    let operations = sight.known().map_or(&[][..], |known| &known.report.operations);
    let row_of = |id: &str| sight.rows.iter().find(|row| row.id == id);
    let mut lines: Vec<Line<'_>> = operations
        .iter()
        .map(|operation| Line { id: &operation.id, row: row_of(&operation.id), operation: Some(operation) })
        .collect();
    let missing = sight.rows.iter().filter(|row| !operations.iter().any(|operation| operation.id == row.id));
    lines.extend(missing.map(|row| Line { id: &row.id, row: Some(row), operation: None }));
    lines.sort_by_key(|line| {
        let rank = match line.verdict() {
            NOT_YET => 0,
            NOT_WATCHED => 1,
            SAFE => 2,
            _ => 3,
        };
        let sunset = line.row.and_then(|row| row.sunset_at).unwrap_or(Timestamp::MAX);
        (rank, sunset, Reverse(line.operation.and_then(|operation| operation.last_call)))
    });
    lines
}

impl Line<'_> {
    fn verdict(&self) -> &'static str {
        self.operation.map_or("", |operation| operation.verdict)
    }
}

fn banner(out: &mut String, sight: &Sight, report: &Report, lines: &[Line<'_>]) {
    let line = report.verdict_line.split_once(": ").map_or("", |(_, rest)| rest);
    let line = match report.verdict {
        SAFE => format!(
            "nobody whose calls count has called any of {} for {} days",
            counted(lines.len() as u64, "operation"),
            report.window_days
        ),
        _ => line.to_owned(),
    };
    let _ = writeln!(
        out,
        "<section class=\"banner {}\" aria-labelledby=\"verdict\">{}<div><h1 id=\"verdict\"><span class=\"eyebrow\">All \
         deprecated operations</span> {}</h1><p>{}</p></div></section>",
        class(report.verdict),
        sign(report.verdict),
        heading(report.verdict),
        Html(&line),
    );
    let calls = report.operations.iter().fold(Recent::default(), |sum, operation| {
        let calls = operation.recent_calls;
        Recent { day: sum.day + calls.day, week: sum.week + calls.week, month: sum.month + calls.month }
    });
    out.push_str("<dl class=\"figures\">\n");
    figure(out, "Consumers, 30 days", consumers(report), "verified and not ignored");
    figure(out, "Calls, 30 days", calls, "of everybody");
    let next = lines.iter().filter(|line| line.verdict() != SAFE);
    let next =
        next.filter_map(|line| Some((line.row?.sunset_at?, line.id))).filter(|(at, _)| *at > sight.now).min();
    out.push_str("<div><dt>Next sunset</dt><dd>");
    match next {
        None => out.push_str("<b>none set</b><small>for what is not safe to retire</small>"),
        Some((at, id)) => {
            let _ = write!(out, "<b>{}</b><small>{} · {}</small>", until(at, sight.now), Day(at), Id(id));
        }
    }
    out.push_str("</dd></div>\n<div><dt>Trend</dt><dd>");
    let watched = report.operations.iter().filter_map(|operation| operation.watched_since).min();
    if let Some(known) = sight.known() {
        let trend = Trend::of(&known.days, None, watched, report.at);
        trend.small(out);
        let _ = write!(out, "<small>{}</small>", trend.words());
    }
    out.push_str("</dd></div>\n</dl>\n");
}

fn figure(out: &mut String, name: &str, numbers: Recent, note: &str) {
    let _ = writeln!(
        out,
        "<div><dt>{name}</dt><dd><b>{}</b><small>{} in 7 days, {} in 1 day; {note}</small></dd></div>",
        Number(numbers.month),
        Number(numbers.week),
        Number(numbers.day),
    );
}

/// Consumers of any operation, each once.
fn consumers(report: &Report) -> Recent {
    let all = || report.operations.iter().flat_map(|operation| &operation.consumers);
    let count = |has_called: fn(&Recent) -> bool| {
        let those = all().filter(|consumer| consumer.verified && !consumer.ignored);
        let those = those.filter(|consumer| has_called(&consumer.recent_calls));
        those.map(|consumer| &*consumer.consumer).collect::<BTreeSet<&str>>().len() as u64
    };
    Recent {
        day: count(|recent| recent.day > 0),
        week: count(|recent| recent.week > 0),
        month: count(|recent| recent.month > 0),
    }
}

fn table(out: &mut String, sight: &Sight, lines: &[Line<'_>]) {
    out.push_str(
        "<div class=\"scroll\" role=\"region\" aria-labelledby=\"operations\" tabindex=\"0\">\
         <table class=\"cards operations\" role=\"table\"><caption id=\"operations\">Operations, the most urgent \
         first</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">\
         <th scope=\"col\" rowspan=\"2\" role=\"columnheader\">Operation</th>\
         <th scope=\"col\" rowspan=\"2\" role=\"columnheader\">Verdict</th>\
         <th scope=\"col\" rowspan=\"2\" role=\"columnheader\">Sunset</th>\
         <th scope=\"col\" rowspan=\"2\" role=\"columnheader\">Trend</th>\
         <th scope=\"colgroup\" colspan=\"3\" role=\"columnheader\" class=\"n\">Calls</th>\
         <th scope=\"colgroup\" colspan=\"3\" role=\"columnheader\" class=\"n\">Consumers</th>\
         <th scope=\"col\" rowspan=\"2\" role=\"columnheader\">Last call</th>\
         <th scope=\"col\" rowspan=\"2\" role=\"columnheader\">Watched since</th></tr><tr role=\"row\">",
    );
    for label in ["1&nbsp;d", "7&nbsp;d", "30&nbsp;d"].repeat(2) {
        let _ = write!(out, "<th scope=\"col\" role=\"columnheader\" class=\"n\">{label}</th>");
    }
    out.push_str("</tr></thead>\n");
    for of_one in lines.chunk_by(|one, other| one.verdict() == other.verdict()) {
        let verdict = of_one[0].verdict();
        let _ = writeln!(
            out,
            "<tbody role=\"rowgroup\"><tr role=\"row\" class=\"group\"><th scope=\"rowgroup\" colspan=\"12\" \
             role=\"rowheader\">{} <span class=\"count\">{}</span></th></tr>",
            group(verdict),
            of_one.len()
        );
        for line in of_one {
            row(out, sight, line);
        }
        out.push_str("</tbody>\n");
    }
    out.push_str("</table></div>\n");
}

fn row(out: &mut String, sight: &Sight, line: &Line<'_>) {
    let _ = write!(
        out,
        "<tr role=\"row\"{}><th scope=\"row\" role=\"rowheader\"><a href=\"{}\">{}</a>",
        // Where there is little room, its zeros are left out.
        if line.operation.is_some_and(|it| it.recent_calls.month == 0) { " class=\"quiet\"" } else { "" },
        operation_path(line.id),
        Id(line.id)
    );
    if let Some(row) = line.row {
        let _ = write!(out, "<small><code>{} {}</code></small>", Html(&row.method), Path(&row.path));
    }
    out.push_str("</th><td role=\"cell\" data-label=\"Verdict\">");
    match line.operation {
        Some(operation) => verdict_line(out, operation.verdict, &operation.verdict_line),
        None => out.push('–'),
    }
    out.push_str("</td><td role=\"cell\" data-label=\"Sunset\" class=\"when\">");
    match line.row {
        None => out.push_str("<span>not configured any more</span>"),
        Some(row) => {
            match row.sunset_at {
                Some(at) => {
                    let _ = write!(out, "{}<small>{}</small>", until(at, sight.now), Day(at));
                }
                None => out.push_str("not set"),
            }
            let _ = write!(out, "<small>{}, {}</small>", row.phase, row.mode);
        }
    }
    out.push_str("</td>");
    usage(out, sight, line);
    out.push_str("</tr>\n");
}

/// The cells about its calls.
fn usage(out: &mut String, sight: &Sight, line: &Line<'_>) {
    let (Some(known), Some(operation)) = (sight.known(), line.operation) else {
        out.push_str(&"<td role=\"cell\">–</td>".repeat(7));
        let (calls, last) = line.row.map_or((0, None), |row| (row.calls, row.last_call));
        let _ = write!(
            out,
            "<td role=\"cell\" data-label=\"Last call\" class=\"when\">{}<small>{} since the start</small></td>\
             <td role=\"cell\">–</td>",
            last_call(last, sight.now),
            counted(calls, "call"),
        );
        return;
    };
    let trend = Trend::of(&known.days, Some(&operation.id), operation.watched_since, sight.at());
    out.push_str("<td role=\"cell\" data-label=\"Trend\" class=\"trend\">");
    trend.small(out);
    let _ = write!(out, "<small>{}</small></td>", trend.words());
    recent(out, "Calls", operation.recent_calls);
    recent(out, "Consumers", operation.recent_consumers);
    let _ = write!(
        out,
        "<td role=\"cell\" data-label=\"Last call\" class=\"when\">{}</td><td role=\"cell\" data-label=\"Watched since\" \
         class=\"when\">",
        last_call(operation.last_call, sight.at()),
    );
    match operation.watched_since {
        Some(since) => {
            let _ = write!(out, "{}<small>{}</small>", Day(since), ago(sight.at(), since));
        }
        None => out.push_str("not watched"),
    }
    out.push_str("</td>");
}
