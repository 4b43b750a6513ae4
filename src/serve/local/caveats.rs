//! Whether the caveats of an invite token hold where it is presented (contract, section 10.3, step 3): `time`, `ip` and
//! `consumer` can. Nothing here looks up networks or countries, so the others never do.

use std::net::IpAddr;

use http::StatusCode;

use super::asking::{Service, Stop, useless};
use super::invitation::BASE;
use crate::route;
use crate::serve::rewrite::answer;
use crate::token::{Caveat, Subject, Token};

/// Where and by whom a token is presented.
pub(super) struct Setting<'a> {
    /// In Unix seconds.
    pub now: i64,
    pub peer: Option<IpAddr>,
    pub consumer: Option<&'a Subject>,
}

/// The first caveat that does not hold.
pub(super) async fn first_unverified<'t>(
    token: &'t Token,
    setting: &Setting<'_>,
    service: &Service,
) -> Result<Option<&'t Caveat>, Stop> {
    for caveat in &token.caveats {
        let holds = match caveat {
            Caveat::Time { valid_until } => setting.now < *valid_until,
            Caveat::Ip(list) => {
                setting.peer.is_some_and(|peer| list.iter().any(|network| network.contains(peer)))
            }
            Caveat::Consumer(list) => is_consumer(list, setting.consumer, service).await?,
            _ => false,
        };
        if !holds {
            return Ok(Some(caveat));
        }
    }
    Ok(None)
}

/// For how many seconds from now the caveats let a token live; none for ever.
pub(super) fn ttl(token: &Token, now: i64) -> Option<i64> {
    let ends = token.caveats.iter().filter_map(|caveat| match caveat {
        Caveat::Time { valid_until } => Some(valid_until.saturating_sub(now)),
        _ => None,
    });
    ends.min()
}

/// Whether the consumer is on the list, itself or by a group that it is effectively in.
async fn is_consumer(list: &[String], consumer: Option<&Subject>, service: &Service) -> Result<bool, Stop> {
    let Some(consumer) = consumer else { return Ok(false) };
    let own = consumer.to_string();
    let kind = own.split('-').next().unwrap_or_default();
    if list.iter().any(|entry| *entry == own || entry.strip_suffix("-*") == Some(kind)) {
        return Ok(true);
    }
    let Subject::User(user) = consumer else { return Ok(false) };
    for group in list.iter().filter_map(|entry| entry.strip_prefix("grp-")) {
        if is_in(user, group, service).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the user is effectively in the group, or in any, which is written `*`.
async fn is_in(user: &str, group: &str, service: &Service) -> Result<bool, Stop> {
    let [user, group] = [user, group].map(|id| route::encode(id.as_bytes()));
    let path = match group.as_str() {
        // What is escaped of it.
        "%2A" => format!("{BASE}/users/{user}/effective_groups"),
        _ => format!("{BASE}/groups/{group}/effective_users/{user}/privileges"),
    };
    let answer = service.get(&path).await?;
    match answer.status {
        StatusCode::OK if group == "%2A" => {
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            Ok(body["groups"].as_array().is_some_and(|groups| !groups.is_empty()))
        }
        StatusCode::OK => Ok(true),
        _ if answer::says_not_found(&answer) => Ok(false),
        _ => Err(useless(&answer, &path)),
    }
}
