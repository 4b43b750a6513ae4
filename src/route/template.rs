//! Path templates: `/groups/{id}/users/token`, where a whole segment in braces stands for any value.

use super::path::segments;

/// The longest template, in segments.
pub const DEEPEST: usize = 16;

/// A path template, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its segments, from the first.
    pub segments: Vec<Segment>,
}

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Exactly these bytes, once decoded.
    Literal(Vec<u8>),
    /// Anything but nothing; this is the parameter's name.
    Parameter(String),
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// It is not absolute.
    #[error("a path begins with a slash")]
    Relative,
    /// A slash follows a slash.
    #[error("a path has no empty segments")]
    Empty,
    /// It can match nothing, because dot segments are resolved before.
    #[error("a path has no dot segments")]
    Dots,
    /// Braces that do not enclose a whole segment, or enclose nothing.
    #[error("a parameter is a whole segment in braces: {0}")]
    Braces(String),
    /// Two parameters of one name.
    #[error("a parameter stands twice: {0}")]
    Twice(String),
    /// A bad escape or a character that a path holds only escaped.
    #[error("a bad escape, or a character that must be escaped: {0}")]
    Characters(String),
    /// More than [`DEEPEST`] segments.
    #[error("a path has at most {DEEPEST} segments")]
    Deep,
}

impl Template {
    /// Reads a template. One trailing slash is ignored, as in the paths that it matches; literals may hold escapes.
    ///
    /// # Errors
    ///
    /// [`BadTemplate`] if it could never match, or not what it seems to say.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let inside = text.strip_prefix('/').ok_or(BadTemplate::Relative)?;
        let inside = inside.strip_suffix('/').unwrap_or(inside);
        let mut template = Template { segments: Vec::new() };
        if inside.is_empty() && text == "/" {
            return Ok(template);
        }
        for text in inside.split('/') {
            let segment = Segment::parse(text)?;
            if let Segment::Parameter(name) = &segment
                && template.parameters().any(|(_, other)| other == name)
            {
                return Err(BadTemplate::Twice(name.clone()));
            }
            template.segments.push(segment);
        }
        if template.segments.len() > DEEPEST { Err(BadTemplate::Deep) } else { Ok(template) }
    }

    /// The parameters, each with the position of its segment.
    pub fn parameters(&self) -> impl Iterator<Item = (usize, &str)> {
        self.segments.iter().enumerate().filter_map(|(position, segment)| match segment {
            Segment::Parameter(name) => Some((position, name.as_str())),
            Segment::Literal(_) => None,
        })
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, BadTemplate> {
        if text.is_empty() {
            return Err(BadTemplate::Empty);
        }
        if text.contains(['{', '}']) {
            let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
            return match name {
                Some(name) if !name.is_empty() && !name.contains(['{', '}']) => {
                    Ok(Segment::Parameter(name.to_owned()))
                }
                _ => Err(BadTemplate::Braces(text.to_owned())),
            };
        }
        let alone = format!("/{text}");
        let decoded = segments(&alone).map_err(|_| BadTemplate::Characters(text.to_owned()))?;
        match decoded.into_iter().next() {
            Some(literal) => Ok(Segment::Literal(literal.into_owned())),
            None => Err(BadTemplate::Dots),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Segment {
        Segment::Literal(text.as_bytes().to_vec())
    }

    #[test]
    fn a_template_has_literals_and_parameters() {
        let template = Template::parse("/v1/{id}/a%20b/").unwrap();
        assert_eq!(template.segments, [literal("v1"), Segment::Parameter("id".into()), literal("a b")]);
        assert_eq!(template.parameters().collect::<Vec<_>>(), [(1, "id")]);
        assert_eq!(Template::parse("/").unwrap().segments, []);
    }

    #[test]
    fn a_template_that_cannot_mean_what_it_says_is_refused() {
        let cases = [
            ("v1", BadTemplate::Relative),
            ("", BadTemplate::Relative),
            ("//", BadTemplate::Empty),
            ("/a//b", BadTemplate::Empty),
            ("/a/../b", BadTemplate::Dots),
            ("/a/%2e", BadTemplate::Dots),
            ("/a/{}", BadTemplate::Braces("{}".into())),
            ("/a/x{id}", BadTemplate::Braces("x{id}".into())),
            ("/a/{id", BadTemplate::Braces("{id".into())),
            ("/{id}/{id}", BadTemplate::Twice("id".into())),
            ("/a b", BadTemplate::Characters("a b".into())),
            ("/a%2", BadTemplate::Characters("a%2".into())),
            ("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", BadTemplate::Deep),
        ];
        for (text, expected) in cases {
            assert_eq!(Template::parse(text), Err(expected), "{text}");
        }
    }
}
