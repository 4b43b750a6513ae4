//! The page for people: what is deprecated, how it is served and whether anybody still calls it. Plain HTML without a
//! script; the browser is told to run and load nothing.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::{Health, Row};

const STYLE: &str = "\
:root{color-scheme:light dark;font:15px/1.45 system-ui,sans-serif}\
body{max-width:72rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.4rem .7rem;border-bottom:1px solid #8885}\
td.number{text-align:right}code{font-size:.9em;overflow-wrap:anywhere}.not{font-weight:bold}";

/// The `Content-Security-Policy` of the page: its own style, by its hash, and nothing else.
pub(super) fn security_policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// Renders the page.
pub(super) fn render(health: Health, rows: &[Row]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Duskgate</title><style>{STYLE}</style></head>\n<body>\n\
         <h1>Duskgate</h1>\n<p>Version {}. {}</p>\n",
        env!("CARGO_PKG_VERSION"),
        state(health)
    );
    page.push_str("<h2>Deprecated operations</h2>\n");
    if rows.is_empty() {
        page.push_str("<p>None is configured.</p>\n");
    } else {
        table(&mut page, rows);
    }
    page.push_str(
        "<p>Calls are counted since this process started. More: <a href=\"/metrics\">metrics</a>, \
         <a href=\"/readyz\">readiness</a>, <a href=\"/api/operations\">operations as JSON</a>, \
         <a href=\"/api/config\">the configuration in force</a>.</p>\n</body>\n</html>\n",
    );
    page
}

fn state(health: Health) -> String {
    let reasons = [
        (!health.listening, "it does not listen yet"),
        (!health.upstream, "no backend answers"),
        (health.draining, "it is draining"),
    ];
    let reasons: Vec<_> = reasons.into_iter().filter_map(|(holds, reason)| holds.then_some(reason)).collect();
    if reasons.is_empty() {
        return "Ready.".to_owned();
    }
    format!("<span class=\"not\">Not ready: {}.</span>", reasons.join(", "))
}

fn table(page: &mut String, rows: &[Row]) {
    page.push_str(
        "<table>\n<thead><tr><th>Operation</th><th>Mode</th><th>Phase</th><th>Deprecated</th><th>Sunset</th>\
         <th>Calls</th><th>Last call</th><th>Call instead</th></tr></thead>\n<tbody>\n",
    );
    for row in rows {
        let name = escape(&row.id);
        let name = match &row.documentation {
            Some(link) if link.starts_with("https://") || link.starts_with("http://") => {
                format!("<a href=\"{}\" rel=\"noreferrer\">{name}</a>", escape(link))
            }
            _ => name,
        };
        let successors: Vec<_> =
            row.successors.iter().map(|text| format!("<code>{}</code>", escape(text))).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "<tr><td>{name}<br><code>{} {}</code></td><td>{}</td><td>{}</td><td>{:.0}</td><td>{}</td>\
             <td class=\"number\">{}</td><td>{}</td><td>{}</td></tr>",
            escape(&row.method),
            escape(&row.path),
            row.mode,
            row.phase,
            row.deprecated_at,
            row.sunset_at.map_or_else(|| "open".to_owned(), |at| format!("{at:.0}")),
            row.calls,
            row.last_call.map_or_else(|| "never".to_owned(), |at| format!("{at:.0}")),
            successors.join("<br>"),
        );
    }
    page.push_str("</tbody>\n</table>\n");
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
