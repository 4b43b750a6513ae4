//! What the backend sends about deprecation and CORS, what the configuration says, and what must come of both.

/// The names that are compared.
pub const NAMES: [&str; 8] = [
    "deprecation",
    "sunset",
    "link",
    "warning",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "cache-control",
    "retry-after",
];

/// Fields of the backend's answers.
pub struct Fields {
    pub name: &'static str,
    /// As they are sent.
    pub lines: &'static str,
    origin: Option<&'static str>,
    sunset: Option<&'static str>,
    links: &'static [&'static str],
    /// What is exposed in the end, given the names of ours.
    exposed: fn(&str) -> Option<String>,
}

impl Fields {
    /// Those of answers that Duskgate makes itself.
    pub const OURS: &'static Fields = &BACKENDS[0];
}

/// What backends send.
pub const BACKENDS: &[Fields] = &[
    Fields {
        name: "CORS",
        lines: "access-control-allow-origin: *\r\n",
        origin: Some("*"),
        sunset: None,
        links: &[],
        exposed: |ours| Some(ours.to_owned()),
    },
    Fields { name: "nothing", lines: "", origin: None, sunset: None, links: &[], exposed: |_| None },
    Fields {
        name: "fields of its own",
        lines: "access-control-allow-origin: *\r\n\
                deprecation: @1\r\n\
                sunset: Sat, 01 Jan 2028 00:00:00 GMT\r\n\
                link: </pages/2>; rel=\"next\", </pages/0>; rel=\"prev\"\r\n\
                link: </help>; rel=\"help\"\r\n\
                access-control-expose-headers: X-Total, link\r\n\
                access-control-expose-headers: Location\r\n",
        origin: Some("*"),
        sunset: Some("Sat, 01 Jan 2028 00:00:00 GMT"),
        links: &["</pages/2>; rel=\"next\", </pages/0>; rel=\"prev\"", "</help>; rel=\"help\""],
        exposed: |ours| Some(format!("X-Total, link, Location, {}", ours.replace(", Link", ""))),
    },
    Fields {
        name: "everything exposed",
        lines: "access-control-allow-origin: *\r\naccess-control-expose-headers: *\r\n",
        origin: Some("*"),
        sunset: None,
        links: &[],
        exposed: |_| Some("*".to_owned()),
    },
    Fields {
        name: "everything exposed to credentials",
        lines: "access-control-allow-origin: https://app.example.com\r\n\
                access-control-allow-credentials: true\r\n\
                access-control-expose-headers: *\r\n",
        origin: Some("https://app.example.com"),
        sunset: None,
        links: &[],
        exposed: |ours| Some(format!("*, {ours}")),
    },
    Fields {
        name: "all of ours exposed",
        lines: "access-control-allow-origin: *\r\n\
                access-control-expose-headers: LINK,SUNSET,DEPRECATION\r\n",
        origin: Some("*"),
        sunset: None,
        links: &[],
        exposed: |_| Some("LINK,SUNSET,DEPRECATION".to_owned()),
    },
];

/// What `[deprecation]` says besides the date.
pub struct Terms {
    pub name: &'static str,
    pub lines: &'static str,
    pub sunset: Option<&'static str>,
    links: &'static [&'static str],
}

const ONEDATA: &str = "<https://onedata.org/api/stable/onezone/operation/{operation}>; rel=\"deprecation\"";

/// All that is tried.
pub const TERMS: &[Terms] = &[
    // The catalogue knows where Onezone's operations are documented.
    Terms { name: "no sunset", lines: "", sunset: None, links: &[ONEDATA] },
    Terms {
        name: "a sunset and pages",
        lines: "sunset_at = 2027-03-31T00:00:00Z\n\
                documentation = \"https://docs.example.org/{operation}#end\"\n\
                sunset_policy = \"https://example.org/sunsets?a=b,c\"\n",
        sunset: Some("Wed, 31 Mar 2027 00:00:00 GMT"),
        links: &[
            "<https://docs.example.org/{operation}#end>; rel=\"deprecation\"",
            "<https://example.org/sunsets?a=b,c>; rel=\"sunset\"",
        ],
    },
];

/// The fields that an answer must have, in the order of [`NAMES`].
pub fn expected(operation: &str, terms: &Terms, sent: &Fields) -> Vec<String> {
    let mut lines = vec!["deprecation: @1590969600".to_owned()];
    let sunset = terms.sunset.or(sent.sunset);
    lines.extend(sunset.map(|sunset| format!("sunset: {sunset}")));
    let is_ours = operation == "list_legacy_reports";
    let links = sent.links.iter().chain(terms.links).chain(successors(operation));
    let links = links.filter(|link| !is_ours || **link != ONEDATA);
    lines.extend(links.map(|link| format!("link: {}", link.replace("{operation}", operation))));
    lines.extend(sent.origin.map(|origin| format!("access-control-allow-origin: {origin}")));
    let ours = if sunset.is_some() { "Deprecation, Sunset, Link" } else { "Deprecation, Link" };
    if sent.origin.is_some() {
        lines.extend((sent.exposed)(ours).map(|names| format!("access-control-expose-headers: {names}")));
    }
    lines
}

/// Links to what replaces an operation, for the calls that the scenes make.
fn successors(operation: &str) -> &'static [&'static str] {
    match operation {
        "create_user_group_invite_token" => &[
            "</api/v3/onezone/user/tokens/named>; rel=\"successor-version\"; \
             title=\"create_named_token_for_current_user\"",
            "</api/v3/onezone/user/tokens/temporary>; rel=\"successor-version\"; \
             title=\"create_temporary_token_for_current_user: not single-use, must carry a time caveat\"",
        ],
        "list_legacy_reports" => &["</api/v2/reports/a%20b%2C%3E%3Bc>; rel=\"successor-version\""],
        _ => &[],
    }
}
