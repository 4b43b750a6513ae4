//! Reads the pages as far as the tests need.

/// The rows of all tables.
pub fn rows(page: &str) -> Vec<&str> {
    page.split("<tr ").skip(1).map(|rest| rest.split("</tr>").next().unwrap()).collect()
}

/// The text of the cell of this name, without what stands below it in small letters.
pub fn cell(row: &str, name: &str) -> String {
    let found = row.split("<td ").find(|cell| cell.contains(&format!("data-label=\"{name}\"")));
    let inside = found.unwrap_or_else(|| panic!("no {name} in {row}")).split_once('>').unwrap().1;
    text(inside.split("<small>").next().unwrap().split("</td>").next().unwrap()).replace(',', "")
}

/// What is offered to be pasted: into what, and the TOML.
pub fn offers(page: &str) -> Vec<(String, String)> {
    let parts = page.split("<pre class=\"toml\" data-into=\"").skip(1);
    parts
        .map(|part| {
            let (into, rest) = part.split_once('"').unwrap();
            let toml = rest.split("<code>").nth(1).unwrap().split("</code>").next().unwrap();
            (into.to_owned(), text(toml))
        })
        .collect()
}

/// Text without its markup.
pub fn text(html: &str) -> String {
    let (mut text, mut inside) = (String::new(), false);
    for character in html.chars() {
        match character {
            '<' => inside = true,
            '>' if inside => inside = false,
            other if !inside => text.push(other),
            _ => {}
        }
    }
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")]
        .iter()
        .fold(text, |text, (escaped, plain)| text.replace(escaped, plain))
}

/// Percent-encoded but for the colon, as links on the pages are.
pub fn encoded(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
