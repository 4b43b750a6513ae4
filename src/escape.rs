//! Text that others chose, made fit for the place where it is shown: it stays text, and moves nothing around it.

use std::fmt;

/// Text in HTML, between tags or in a quoted attribute. What [moves](visible) other text is not in it.
#[derive(Clone, Copy, Debug)]
pub struct Html<'t>(pub &'t str);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other if moves(other) => f.write_char(REPLACEMENT)?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Text on one line of a terminal: U+FFFD stands for what moves the cursor or turns the direction.
pub fn visible(text: &str) -> String {
    text.replace(moves, "\u{fffd}")
}

const REPLACEMENT: char = '\u{fffd}';

/// Controls, line breaks, and what sets or turns the direction of other text (Unicode Standard Annex 9).
fn moves(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_becomes_markup_or_moves_others() {
        let text = "<script>alert('\"&\")</script>\r\n\u{202e}evil\u{2066}\u{0}é\u{5d0}";
        let shown = "&lt;script&gt;alert(&#39;&quot;&amp;&quot;)&lt;/script&gt;\u{fffd}\u{fffd}\u{fffd}evil\u{fffd}\u{fffd}é\u{5d0}";
        assert_eq!(Html(text).to_string(), shown);
        assert_eq!(visible("a\u{1b}[2Jb\u{2028}c"), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
