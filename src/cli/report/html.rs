//! The report as one page that needs nothing else: no script, no request.

use std::fmt::Write as _;

use crate::escape::Html;
use crate::usage::report::Report;

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:15px/1.45 system-ui,sans-serif;margin:2rem;max-width:90rem}\
table{border-collapse:collapse;margin:.5rem 0 2rem;width:100%}th,td{text-align:left;padding:.3rem .7rem;\
border-bottom:1px solid #8886;vertical-align:top;overflow-wrap:anywhere}td.n{text-align:right;\
font-variant-numeric:tabular-nums}h2{margin-bottom:0}p.v{margin:.2rem 0;font-weight:600}";

/// The page.
pub(super) fn render(report: &Report) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Who still calls</title>\
         <style>{STYLE}</style></head><body>\n<h1>Who still calls</h1>\n\
         <p class=\"v\">{}</p>\n<p>Calls since {:.0}, for {} days. Made {:.0}.</p>\n",
        Html(&report.verdict_line),
        report.since,
        report.window_days,
        report.at
    );
    for operation in &report.operations {
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<h2>{}</h2>\n<p class=\"v\">{}</p>\n",
            Html(&operation.id),
            Html(&operation.verdict_line)
        );
        if operation.consumers.is_empty() {
            continue;
        }
        out.push_str(
            "<table><thead><tr><th scope=\"col\">Consumer</th><th scope=\"col\">Standing</th>\
             <th scope=\"col\">Name</th><th scope=\"col\">E-mail</th><th scope=\"col\">Calls</th>\
             <th scope=\"col\">Refused</th><th scope=\"col\">Failed</th><th scope=\"col\">First call</th>\
             <th scope=\"col\">Last call</th><th scope=\"col\">Software</th><th scope=\"col\">Networks</th>\
             </tr></thead><tbody>\n",
        );
        for consumer in &operation.consumers {
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{}</td><td>{:.0}</td><td>{:.0}</td><td>{}</td><td>{}</td></tr>",
                Html(&consumer.consumer),
                consumer.standing(),
                Html(consumer.full_name.as_deref().unwrap_or_default()),
                Html(&consumer.emails.join(", ")),
                consumer.calls,
                consumer.refused,
                consumer.failed,
                consumer.first_seen,
                consumer.last_seen,
                Html(&consumer.software.join(", ")),
                Html(&consumer.networks.join(", ")),
            );
        }
        out.push_str("</tbody></table>\n");
    }
    out.push_str("</body></html>\n");
    out
}
