//! The report as RFC 4180 has it, one line for each operation and consumer. A cell that a spreadsheet would take for a
//! formula is made text, and what would move the cursor of a terminal is made visible.

use crate::escape::visible;
use crate::usage::report::Report;

/// The lines, the names of the columns first.
pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    let columns = [
        "operation",
        "verdict",
        "consumer",
        "standing",
        "calls",
        "success",
        "refused",
        "failed",
        "first_seen",
        "last_seen",
        "software",
        "networks",
        "modes",
        "full_name",
        "emails",
    ];
    line(&mut out, columns.map(str::to_owned));
    for operation in &report.operations {
        for consumer in &operation.consumers {
            line(
                &mut out,
                [
                    operation.id.clone(),
                    operation.verdict.to_owned(),
                    consumer.consumer.clone(),
                    consumer.standing().to_owned(),
                    consumer.calls.to_string(),
                    consumer.success.to_string(),
                    consumer.refused.to_string(),
                    consumer.failed.to_string(),
                    format!("{:.0}", consumer.first_seen),
                    format!("{:.0}", consumer.last_seen),
                    consumer.software.join(" "),
                    consumer.networks.join(" "),
                    consumer.modes.join(" "),
                    consumer.full_name.clone().unwrap_or_default(),
                    consumer.emails.join(" "),
                ],
            );
        }
        if operation.consumers.is_empty() {
            let mut cells = [(); 15].map(|()| String::new());
            (cells[0], cells[1], cells[4]) =
                (operation.id.clone(), operation.verdict.to_owned(), "0".to_owned());
            line(&mut out, cells);
        }
    }
    out
}

fn line(out: &mut String, cells: [String; 15]) {
    out.push_str(&cells.map(|text| cell(&text)).join(","));
    out.push_str("\r\n");
}

/// What spreadsheets take for the beginning of a formula.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

fn cell(text: &str) -> String {
    // As OWASP has it.
    let is_formula = text.trim_start().starts_with(FORMULA) || text.starts_with(['\t', '\r', '\n']);
    let text = visible(text);
    let text = if is_formula { format!("'{text}") } else { text };
    match text.contains([',', '"', '\r', '\n', '\'', ';', '\t']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_is_neither_a_formula_nor_several() {
        for (text, written) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
            ("@x", "\"'@x\""),
            ("-1", "\"'-1\""),
            (" =1", "\"' =1\""),
            ("\t=1", "\"'\u{fffd}=1\""),
            ("a\r\n=b", "a\u{fffd}\u{fffd}=b"),
            ("a\u{1b}[2Jb\u{202e}c\u{9b}", "a\u{fffd}[2Jb\u{fffd}c\u{fffd}"),
        ] {
            assert_eq!(cell(text), written);
        }
    }
}
