//! Asks the backend, with the service token, who consumers are, so that people can be written to. Only those are looked up
//! who have proven who they are: nobody else's claims make us ask.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use http::header::{ACCEPT, HOST, HeaderValue};
use http::{HeaderName, Method, Request, StatusCode};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::body::Body;
use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::{Metrics, Vocabulary};
use crate::upstream::{self, Upstream};
use crate::usage::report::Report;

const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// How many are asked for at once.
const AT_ONCE: usize = 8;

/// A full name, and e-mail addresses.
type Person = (Option<String>, Vec<String>);

/// Puts names and addresses into a report; says on stderr how many could not be found.
pub(super) async fn resolve(report: &mut Report, config: &Config) -> anyhow::Result<()> {
    let settings = upstream::Settings { from_client: false, ..config.upstream.clone() };
    let metrics = Arc::new(Metrics::new(Clock::Real, &[], Vocabulary::default()));
    let upstream = Arc::new(Upstream::new(settings, metrics)?);
    let mut wanted: Vec<String> = report
        .operations
        .iter()
        .flat_map(|operation| &operation.consumers)
        .filter(|consumer| consumer.verified && path_of(&consumer.consumer).is_some())
        .map(|consumer| consumer.consumer.clone())
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let count = wanted.len();
    let left = Arc::new(Mutex::new(wanted));
    let mut asking = JoinSet::new();
    for _ in 0..AT_ONCE {
        asking.spawn(ask_for_all(Arc::clone(&upstream), Arc::clone(&left)));
    }
    let mut found: BTreeMap<String, Person> = BTreeMap::new();
    let mut failure = None;
    while let Some(done) = asking.join_next().await {
        let (some, failed) = done.context("a look-up has failed")?;
        found.extend(some);
        failure = failure.or(failed);
    }
    for consumer in report.operations.iter_mut().flat_map(|operation| &mut operation.consumers) {
        if let Some((name, emails)) = found.get(&consumer.consumer) {
            (consumer.full_name, consumer.emails) = (name.clone(), emails.clone());
        }
    }
    if let Some(failure) = failure {
        eprintln!("warning: {} of {count} names could not be found: {failure}", count - found.len());
    }
    Ok(())
}

async fn ask_for_all(
    upstream: Arc<Upstream>,
    left: Arc<Mutex<Vec<String>>>,
) -> (Vec<(String, Person)>, Option<String>) {
    let (mut found, mut failure) = (Vec::new(), None);
    loop {
        let next = left.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(consumer) = next else { return (found, failure) };
        match ask(&upstream, &consumer).await {
            Ok(person) => found.push((consumer, person)),
            Err(reason) => failure = Some(reason),
        }
    }
}

async fn ask(upstream: &Upstream, consumer: &str) -> Result<Person, String> {
    let (Some(path), Some(token)) = (path_of(consumer), upstream.service_token()) else {
        return Err("nobody to ask for".to_owned());
    };
    let host = upstream.settings().servers.first().map(|origin| origin.authority()).unwrap_or_default();
    let request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header(HOST, host)
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .header(X_AUTH_TOKEN, token)
        .body(Body::None)
        .map_err(|error| error.to_string())?;
    let answer = upstream.call(request).await.map_err(|failure| failure.to_string())?;
    if answer.status != StatusCode::OK {
        return Err(format!("the backend answered {}", answer.status));
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let name = ["fullName", "name"].iter().find_map(|key| body[key].as_str()).map(str::to_owned);
    let emails = body["emails"].as_array().into_iter().flatten();
    Ok((name, emails.filter_map(|email| email.as_str().map(str::to_owned)).collect()))
}

/// Where the backend tells of a consumer; nothing where it has no such id.
fn path_of(consumer: &str) -> Option<String> {
    let (kind, id) = consumer.split_once(':')?;
    let collection = match kind {
        "user" => "users",
        "provider" => "providers",
        _ => return None,
    };
    let is_id =
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    is_id.then(|| format!("/api/v3/onezone/{collection}/{id}"))
}
