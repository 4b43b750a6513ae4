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
use crate::upstream::{Answer, Failure};

/// How many tokens are asked for at once.
const AT_ONCE: usize = 8;

/// Serves one call.
pub(super) async fn answer(ask: &Ask<'_>) -> Result<Reply, Trouble> {
    let path = ask.path("/user/tokens/named");
    let list = with_route(ask.get(&path).await?)?;
    let refusal = if list.status == StatusCode::OK {
        match read_all(ask, &list, &ask.fields).await? {
            Read::All(texts) => return Ok(tokens(list.headers, &texts)),
            Read::Refused(path, answer) => (path, answer),
        }
    } else {
        (path, list)
    };
    let (path, answer) = refusal;
    if answer::refuses_api_caveat(&answer)
        && is_lent_to(ask).await?
        && let Some(texts) = read_as_service(ask).await?
    {
        return Ok(tokens(answer.headers, &texts));
    }
    or_no_user(ask, answer, &path).await
}

async fn read_as_service(ask: &Ask<'_>) -> Result<Option<Vec<String>>, Trouble> {
    let (Some(fields), Some(user)) = (ask.service_fields(), ask.claimed_user()) else { return Ok(None) };
    let path = ask.path(&format!("/users/{}/tokens/named", segment(user)));
    let list = ask.get_with(&path, fields.clone()).await?;
    if list.status != StatusCode::OK {
        return Ok(None);
    }
    Ok(match read_all(ask, &list, &fields).await? {
        Read::All(texts) => Some(texts),
        Read::Refused(..) => None,
    })
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
            reading.spawn(async move { (place, upstream.call(request).await) });
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
