//! The pages for people: what is deprecated, who still calls it, and what can be done about it. Rendered here as HTML
//! that needs no script and loads nothing; the one script adds comfort. The browser is told to run and load nothing else.
//!
//! Written by hand: a page is a function from what is known to text, and the one rule, that whatever others chose goes
//! through [`Html`](crate::escape::Html), is the same in the report of the command line.

mod consumer;
mod list;
mod offers;
mod operation;
mod overview;
mod trend;
mod words;

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::asking::{Known, Unknown};
use super::{Health, Row, Written};
use crate::escape::Html;
pub(super) use consumer::consumer;
pub(super) use operation::operation;
pub(super) use overview::overview;
use words::{Ago, Number};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The `Content-Security-Policy` of every page: its own style and its own script, by their hashes, and nothing else.
pub(super) static SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

/// What a page is made of.
pub(super) struct Sight {
    /// How the proxy fares.
    pub health: Health,
    /// The operations in force.
    pub rows: Vec<Row>,
    /// Who calls them.
    pub known: Result<Arc<Known>, Unknown>,
    /// The consumers that are ignored.
    pub settings: Arc<crate::usage::Settings>,
    /// Where `[usage]` and its `ignore` are set.
    pub usage: [Written; 2],
    /// Now.
    pub now: Timestamp,
}

impl Sight {
    fn known(&self) -> Option<&Known> {
        self.known.as_deref().ok()
    }

    /// When the numbers were taken.
    fn at(&self) -> Timestamp {
        self.known().map_or(self.now, |known| known.report.at)
    }
}

/// The page about something that is not there.
pub(super) fn missing(sight: &Sight, what: &str) -> String {
    let main =
        format!("<h1>Not found</h1>\n<p>{}</p>\n<p><a href=\"/\">All operations</a></p>\n", Html(what));
    document(sight, "Not found", &[], &main)
}

/// A whole page. `trail`: the pages above it, each with its address.
fn document(sight: &Sight, title: &str, trail: &[(&str, &str)], main: &str) -> String {
    let mut page = String::with_capacity(STYLE.len() + SCRIPT.len() + main.len() + 4096);
    let _ = writeln!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{} · Duskgate</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header class=\"top\">\n\
         <a class=\"brand\" href=\"/\">{MARK}Duskgate</a>",
        Html(title)
    );
    if !trail.is_empty() {
        page.push_str("<nav class=\"trail\" aria-label=\"Breadcrumb\"><ol>");
        for (label, link) in trail {
            let _ = write!(page, "<li><a href=\"{}\">{}</a></li>", Html(link), Html(label));
        }
        page.push_str("</ol></nav>\n");
    }
    let _ = writeln!(page, "<p class=\"state\" role=\"status\">{}</p>\n</header>", state(sight.health));
    let _ = writeln!(page, "<main id=\"main\" tabindex=\"-1\">\n{}{main}</main>", notices(sight));
    footer(&mut page, sight);
    let _ = writeln!(page, "<script>{SCRIPT}</script>\n</body>\n</html>");
    page
}

/// A sun on the horizon.
const MARK: &str = "<svg viewBox=\"0 0 24 24\" aria-hidden=\"true\"><path d=\"M4 16a8 8 0 0 1 16 0z\"/>\
                    <path d=\"M1 18.5h22M6 21.5h12\"/></svg>";

/// What stands above everything because nothing else on the page tells it.
fn notices(sight: &Sight) -> String {
    match &sight.known {
        Err(unknown) => format!(
            "<p class=\"notice\" role=\"alert\"><strong>Who calls is not known.</strong> {}.</p>\n",
            Html(&unknown.to_string())
        ),
        Ok(known) => known.behind.as_ref().map_or_else(String::new, |away| {
            format!(
                "<p class=\"notice\" role=\"alert\"><strong>The newest calls are missing here.</strong> They could not \
                 be recorded: {}.</p>\n",
                Html(&away.to_string())
            )
        }),
    }
}

fn state(health: Health) -> String {
    let reasons = [
        (!health.listening, "it does not listen yet"),
        (!health.upstream, "no backend answers"),
        (health.ledger == Some(false), "the ledger is away"),
        (health.draining, "it is draining"),
    ];
    let reasons: Vec<_> = reasons.into_iter().filter_map(|(holds, reason)| holds.then_some(reason)).collect();
    if reasons.is_empty() {
        return "<span class=\"dot\" aria-hidden=\"true\"></span>Ready.".to_owned();
    }
    format!(
        "<span class=\"dot not\" aria-hidden=\"true\"></span><strong>Not ready: {}.</strong>",
        reasons.join(", ")
    )
}

fn footer(page: &mut String, sight: &Sight) {
    page.push_str("<footer>\n<p>");
    if let Some(known) = sight.known() {
        let report = &known.report;
        let at = report.at.strftime("%Y-%m-%d %H:%M:%S");
        let _ = write!(
            page,
            "Numbers of <time datetime=\"{:.0}\">{at}</time> UTC, kept for a few seconds. Verdicts go by {} days; a number \
             of days is that of today and so many days before, in UTC.",
            report.at, report.window_days
        );
    }
    let _ = writeln!(
        page,
        " Duskgate {}.</p>\n<nav aria-label=\"For programs\"><ul><li><a href=\"/api/usage\">usage as JSON</a></li>\
         <li><a href=\"/api/operations\">operations as JSON</a></li><li><a href=\"/metrics\">metrics</a></li>\
         <li><a href=\"/readyz\">readiness</a></li><li><a href=\"/api/config\">the configuration in force</a></li></ul></nav>\n\
         </footer>",
        env!("CARGO_PKG_VERSION")
    );
}

/// A link to where an operation is documented, if that is somewhere on the web.
fn documentation(row: &Row) -> Option<String> {
    let link = row.documentation.as_deref()?;
    let is_web = link.starts_with("https://") || link.starts_with("http://");
    is_web.then(|| format!("<a href=\"{0}\" rel=\"noreferrer\">{0}</a>", Html(link)))
}

/// The numbers of the last day, 7 and 30 days, as cells of a table.
fn recent(out: &mut String, what: &str, recent: crate::usage::report::Recent) {
    for (label, number) in [("1 day", recent.day), ("7 days", recent.week), ("30 days", recent.month)] {
        let _ = write!(
            out,
            "<td role=\"cell\" class=\"n{}\" data-label=\"{what}, {label}\">{}</td>",
            if number == 0 { " zero" } else { "" },
            Number(number)
        );
    }
}

/// When somebody called last.
fn last_call(last: Option<Timestamp>, now: Timestamp) -> String {
    last.map_or_else(|| "never".to_owned(), |then| Ago { now, then }.to_string())
}
