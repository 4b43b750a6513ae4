//! The list of a user's access tokens: their ids, then each of them, a few at a time.

use std::sync::Arc;

use http::header::HeaderMap;
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::task::JoinSet;

use super::answer;
use super::ask::{Ask, Reply, Trouble, segment, with_route};
use super::client_tokens::{is_lent_to, or_no_user, tokens};
use super::request;
use crate::body::Body;
use crate::reply;
use crate::upstream::{Answer, Failure, kept};

/// How many tokens are asked for at once.
const AT_ONCE: usize = 8;

/// Serves one call.
pub(super) async fn answer(ask: &Ask<'_>) -> Result<Reply, Trouble> {
    let path = ask.path("/user/tokens/named");
    let list = with_route(ask.get(&path).await?)?;
    if list.status != StatusCode::OK {
        return or_no_user(ask, list, &path).await;
    }
    let (path, answer) = match read_all(ask, &list, &ask.fields).await? {
        Read::All(texts) => return Ok(tokens(list.headers, &texts)),
        Read::Refused(path, answer) => (path, answer),
    };
    // To the old route the list was one thing, and the caller may have it.
    if answer::refuses_api_caveat(&answer)
        && is_lent_to(ask).await?
        && let Some(fields) = ask.service_fields()
        && let Read::All(texts) = read_all(ask, &list, &fields).await?
    {
        return Ok(tokens(list.headers, &texts));
    }
    Ok(ask.refusal(answer, &path)?.into())
}

/// What became of reading all tokens.
enum Read {
    All(Vec<String>),
    /// The path and the answer of the first that is neither a token nor says that there is none any more.
    Refused(String, Answer),
}

/// Reads the tokens of a list and keeps the access tokens, in the order of the list.
async fn read_all(ask: &Ask<'_>, list: &Answer, fields: &HeaderMap) -> Result<Read, Trouble> {
    let body: Value = serde_json::from_slice(&list.body).unwrap_or_default();
    let nonsense = || Trouble::Failed(reply::Failure::BadGateway { cause: None });
    let ids = body["tokens"].as_array().ok_or_else(nonsense)?;
    let paths = ids.iter().map(|id| Some(ask.path(&format!("/tokens/named/{}", segment(id.as_str()?)))));
    let paths: Vec<String> = paths.collect::<Option<_>>().ok_or_else(nonsense)?;

    let mut texts = vec![None; paths.len()];
    // Whoever drops it ends what is under way.
    let mut reading: JoinSet<(usize, Result<Answer, Failure>)> = JoinSet::new();
    let mut waiting = paths.iter().enumerate();
    loop {
        while reading.len() < AT_ONCE
            && let Some((place, path)) = waiting.next()
        {
            let upstream = Arc::clone(&ask.api.upstream);
            let request = request(Method::GET, path, fields.clone(), Body::None);
            reading.spawn(kept(async move { (place, upstream.call(request).await) }));
        }
        let Some(read) = reading.join_next().await else { break };
        let Ok((place, answer)) = read else { return Err(Trouble::Failed(reply::Failure::Internal)) };
        let answer = answer?;
        if answer.status == StatusCode::OK {
            texts[place] = access_token(&answer);
        } else if !answer::says_not_found(&answer) {
            return Ok(Read::Refused(paths[place].clone(), answer));
        }
    }
    Ok(Read::All(texts.into_iter().flatten().collect()))
}

/// The text of a token, if it is an access token.
fn access_token(answer: &Answer) -> Option<String> {
    let token: Value = serde_json::from_slice(&answer.body).ok()?;
    token["type"].get("accessToken")?;
    Some(token["token"].as_str()?.to_owned())
}
