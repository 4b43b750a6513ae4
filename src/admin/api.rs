//! `/api/usage`: the report of `duskgate report --format json`, with the same filters in the query.

use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use percent_encoding::percent_decode_str;

use super::Panel;
use super::answer::{reply, text};
use super::asking::{Asked, Unknown};
use crate::clock::Clock;
use crate::escape::visible;
use crate::usage::Settings;
use crate::usage::report;
use crate::usage::since::Since;

/// What can stand in the query, each once.
const PARAMETERS: [&str; 3] = ["since", "operation", "consumer"];

/// Answers a request with this query.
pub(super) async fn usage(panel: &Panel, query: &str) -> Response<Full<Bytes>> {
    let asked = match read(panel, query) {
        Ok(asked) => asked,
        Err(wrong) => return text(StatusCode::BAD_REQUEST, format!("{wrong}\n")),
    };
    let operation = asked.operation.clone();
    let known = match panel.usage.ask(asked).await {
        Ok(known) => known,
        Err(unknown) => return away(&unknown),
    };
    if let (Some(id), true) = (operation, known.report.operations.is_empty()) {
        let message =
            format!("operation: there is none of this id, and nobody has called one: {}\n", visible(&id));
        return text(StatusCode::BAD_REQUEST, message);
    }
    if let Some(away) = &known.behind {
        let message = format!("the newest calls could not be recorded: {away}\n");
        return not_now(message);
    }
    match known.json().await {
        Ok(json) => reply(StatusCode::OK, "application/json", json),
        Err(unknown) => away(&unknown),
    }
}

fn away(unknown: &Unknown) -> Response<Full<Bytes>> {
    not_now(format!("who calls is not known: {unknown}\n"))
}

fn not_now(message: String) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, message);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// What is asked, or what is wrong with the query.
fn read(panel: &Panel, query: &str) -> Result<Asked, String> {
    let [since, operation, consumer] = parameters(query)?;
    let settings = panel.usage.settings();
    let window = match since {
        None => settings.window,
        Some(since) => {
            let window =
                since.parse::<Since>().and_then(|since| since.window(Clock::Real.now(), settings.retention));
            window.map_err(|error| format!("since: {error}"))?
        }
    };
    let operations = panel.operation_ids();
    Ok(Asked { settings: Settings { window, ..(*settings).clone() }, operation, consumer, operations })
}

fn parameters(query: &str) -> Result<[Option<String>; 3], String> {
    let mut found = [None, None, None];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(index) = PARAMETERS.iter().position(|known| *known == name) else {
            return Err(format!(
                "there is no such parameter, only {}: {}",
                PARAMETERS.join(", "),
                visible(name)
            ));
        };
        let value = decoded(value).ok_or_else(|| format!("{name}: not percent-encoded UTF-8"))?;
        let value = report::name(&value).map_err(|wrong| format!("{name}: {wrong}"))?;
        if found[index].replace(value).is_some() {
            return Err(format!("{name}: it stands there twice"));
        }
    }
    Ok(found)
}

/// The text of a part of a query, as forms write it.
pub(super) fn decoded(part: &str) -> Option<String> {
    let spaced = part.replace('+', " ");
    let is_whole = spaced
        .split('%')
        .skip(1)
        .all(|rest| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
    let text = percent_decode_str(&spaced).decode_utf8().ok()?;
    is_whole.then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_stands_once_and_holds_something() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parameters(""), Ok([None, None, None]));
        assert_eq!(
            parameters("consumer=basic%3Aa%2Fb+c&since=30d"),
            Ok([some("30d"), None, some("basic:a/b c")])
        );
        for (query, wrong) in [
            ("sinse=30d", "there is no such parameter, only since, operation, consumer: sinse"),
            ("since=1d&since=2d", "since: it stands there twice"),
            ("operation", "operation: it is empty; leave it out"),
            ("operation=", "operation: it is empty; leave it out"),
            ("consumer=%ff", "consumer: not percent-encoded UTF-8"),
            ("consumer=%00", "consumer: it holds a control character, as no name does"),
            ("operation=a%00", "operation: it holds a control character, as no name does"),
            ("consumer=%4", "consumer: not percent-encoded UTF-8"),
        ] {
            assert_eq!(parameters(query), Err(wrong.to_owned()), "{query}");
        }
    }
}
