//! Who calls (contract, section 4): four forms of credentials, the first that is present decides. Then, against the
//! resource of the call, what the access token's api and service caveats leave of it (4.1).

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;

use super::caveats::{ONEZONE, Setting};
use super::fault::{self, Fault};
use super::request::joined;
use super::store::Store;
use super::{values, verify};
use crate::token::api::{self, Gri};
use crate::token::{Caveat, Interface, Subject, Token};

/// The caller.
pub struct Auth {
    /// None for an anonymous caller.
    pub subject: Option<Subject>,
    /// The access token that it presented, if that is how it authenticated.
    token: Option<Token>,
    pub peer: IpAddr,
}

impl Auth {
    /// A caller without credentials.
    pub fn anonymous(peer: IpAddr) -> Self {
        Auth { subject: None, token: None, peer }
    }

    /// The id of the user that calls.
    pub fn user(&self) -> Option<&str> {
        match &self.subject {
            Some(Subject::User(id)) => Some(id),
            _ => None,
        }
    }

    /// Refuses what the caveats of the access token do not allow on this resource.
    pub fn check(&self, operation: &str, resource: &Gri<'_>) -> Result<(), Fault> {
        let Some(token) = &self.token else { return Ok(()) };
        let service = token.caveats.iter().find(|caveat| match caveat {
            Caveat::Service(list) => {
                !list.iter().any(|entry| service_reaches(entry, operation, resource.kind))
            }
            _ => false,
        });
        match api::unmatched(token, "ozw", operation, resource).or(service) {
            Some(caveat) => Err(fault::bad_authentication(fault::caveat_unverified(caveat))),
            None => Ok(()),
        }
    }
}

/// Reads and verifies the credentials. An error is complete, with the status 401.
pub fn authenticate(store: &mut Store, headers: &HeaderMap, peer: IpAddr, now: i64) -> Result<Auth, Fault> {
    let authorization = joined(headers, "authorization");
    let bearer = authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
    let token = joined(headers, "x-auth-token")
        .or_else(|| bearer.map(str::to_owned))
        .or_else(|| joined(headers, "macaroon"));
    if let Some(text) = token {
        let token = values::read_token(&text).map_err(fault::bad_authentication)?;
        let subject = by_token(store, headers, &token, peer, now).map_err(fault::bad_authentication)?;
        return Ok(Auth { subject: Some(subject), token: Some(token), peer });
    }
    let basic = authorization.as_deref().and_then(|value| value.strip_prefix("Basic "));
    let subject =
        basic.map(|encoded| by_password(store, encoded)).transpose().map_err(fault::bad_authentication)?;
    Ok(Auth { subject, token: None, peer })
}

fn by_token(
    store: &mut Store,
    headers: &HeaderMap,
    token: &Token,
    peer: IpAddr,
    now: i64,
) -> Result<Subject, Fault> {
    let mut setting = Setting {
        now,
        peer: Some(peer),
        interface: Some(Interface::Rest),
        service: ONEZONE.to_owned(),
        consumer: None,
        data_access: false,
        as_identity: false,
    };
    let service = joined(headers, "x-onedata-service-token");
    let service = service.map(|text| verify::service(store, &text, &setting)).transpose()?;
    let consumer = joined(headers, "x-onedata-consumer-token");
    let consumer = consumer.map(|text| verify::consumer(store, &text, &setting)).transpose()?;
    setting.consumer = consumer;
    setting.service = service.unwrap_or(setting.service);
    verify::access_token(store, token, &setting)
}

fn by_password(store: &Store, encoded: &str) -> Result<Subject, Fault> {
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
    let (username, password) = pair.ok_or_else(fault::bad_basic_credentials)?;
    let found = store.users.iter().find(|(_, user)| user.username == username);
    let (id, user) = found.ok_or_else(fault::bad_basic_credentials)?;
    match &user.password {
        _ if user.blocked => Err(fault::user_blocked()),
        None => Err(fault::basic_auth_disabled()),
        Some(right) if right == password => Ok(Subject::User(id.clone())),
        Some(_) => Err(fault::bad_basic_credentials()),
    }
}

/// What a whitelisted service may do on Onezone with somebody's token: Onezone itself everything, the others look.
fn service_reaches(entry: &str, operation: &str, kind: &str) -> bool {
    match entry.split_once('-').map(|(service, _)| service) {
        Some("ozw") => true,
        Some("opw") => {
            operation == "get" && matches!(kind, "user" | "group" | "space" | "provider" | "atm_inventory")
        }
        Some("opp" | "ozp") => operation == "get" && matches!(kind, "user" | "cluster" | "provider"),
        _ => false,
    }
}
