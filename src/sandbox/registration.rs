//! Registering a Oneprovider with an invite token (contract, section 10.3), and what Oneproviders do to the spaces that
//! they support and to each other's tokens the deprecated way (7.6).

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::fault::{self, Fault};
use super::kinds::Kind;
use super::request::Call;
use super::store::{Entity, Provider, Store, random_id};
use super::{entities, join, privileges, providers, tokens, values, verify};
use crate::token::{InviteType, Subject, Type};

/// The least that a Oneprovider can support a space with, in bytes.
const LEAST_SUPPORT: u64 = 1_000_000;

/// `POST /providers`: anybody may, with an invite token.
pub fn register(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let provider = described(call.object()?, &store.domain, call.now)?;
    let (id, now) = (random_id(), call.now);
    join::consume(store, call, InviteType::RegisterOneprovider, |store, admin, _| {
        let cluster = Entity {
            creator: Some(Subject::User(admin.to_owned())),
            created: now,
            users: [(admin.to_owned(), privileges::set(Kind::Cluster.facts().admin))].into(),
            ..Entity::default()
        };
        store.providers.insert(id.clone(), provider);
        store.entities.entry(Kind::Cluster).or_default().insert(id.clone(), cluster);
        Ok(())
    })?;
    let root = json!({ "name": "root token", "type": Type::ACCESS.to_json() });
    let (_, token) = tokens::create(store, &Subject::Provider(id.clone()), &root, now)?;
    let text = token.serialize();
    Ok(Answer::ok(json!({ "providerId": id, "providerRootToken": text, "macaroon": text })))
}

/// `POST /provider/public/verify_provider_identity`. The keys are judged in their alphabetical order.
pub fn verify_identity(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let data = call.object()?;
    let known = |store: &Store| match data.get("providerId") {
        None => Err(fault::missing_required("providerId")),
        Some(Value::String(id)) if store.providers.contains_key(id) => Ok(id.clone()),
        Some(_) => Err(fault::id_not_found("providerId")),
    };
    let (id, token) = if data.contains_key("macaroon") {
        let token = values::token(data, "macaroon")?;
        (known(store)?, token)
    } else {
        (known(store)?, values::token(data, "token")?)
    };
    let setting = verify::presented(store, call, &Map::new())?;
    match verify::identity_token(store, &token, &setting)? {
        Subject::Provider(subject) if subject == id => Ok(Answer::nothing()),
        _ => Err(fault::token_invalid()),
    }
}

/// Whether the caller supports the space in the path; a user's id is no Oneprovider's, and nobody has none to look up.
pub fn support_exists(store: &Store, call: &Call) -> bool {
    match &call.auth.subject {
        None => true,
        Some(Subject::User(_)) => false,
        Some(Subject::Provider(id)) => entities::supports(store, id, call.id("sid")),
    }
}

/// `GET /provider/spaces`.
pub fn supported(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let own = providers::own_id(call);
    let all = store.all(Kind::Space).iter();
    let of: Vec<_> = all.filter(|(_, space)| space.supports.contains_key(own)).map(|(id, _)| id).collect();
    Ok(Answer::ok(json!({ "spaces": of })))
}

/// `GET /provider/spaces/{sid}`.
pub fn space(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    entities::shown(Kind::Space, store, call.id("sid"))
}

/// `PATCH /provider/spaces/{sid}`.
pub fn resize_support(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let size = match call.object()?.get("size") {
        None => return Err(fault::missing_required("size")),
        Some(Value::String(text)) => text.parse::<i128>().ok(),
        Some(value) => value.as_number().and_then(serde_json::Number::as_i128),
    };
    let size = size.ok_or_else(|| fault::not_an_integer("size"))?;
    if size < i128::from(LEAST_SUPPORT) {
        return Err(fault::too_low("size", LEAST_SUPPORT));
    }
    let space = store.entity_mut(Kind::Space, call.id("sid")).ok_or_else(fault::not_found)?;
    space.supports.insert(providers::own_id(call).to_owned(), u64::try_from(size).unwrap_or(u64::MAX));
    Ok(Answer::nothing())
}

/// `DELETE /provider/spaces/{sid}`.
pub fn revoke_support(store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let space = store.entity_mut(Kind::Space, call.id("sid")).ok_or_else(fault::not_found)?;
    space.supports.remove(providers::own_id(call));
    Ok(Answer::nothing())
}

/// What the body says of the new Oneprovider. Its token comes last.
fn described(data: &Map<String, Value>, onezone: &str, now: i64) -> Result<Provider, Fault> {
    let text = |key: &str| match data.get(key) {
        None => Err(fault::missing_required(key)),
        Some(Value::String(text)) if text.is_empty() => Err(fault::empty_value(key)),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(fault::not_a_string(key)),
    };
    let delegates = data.get("subdomainDelegation") == Some(&Value::Bool(true));
    text("adminEmail")?;
    let domain = if delegates { String::new() } else { text("domain")? };
    let name = values::name(data)?.ok_or_else(|| fault::missing_required("name"))?;
    let domain = if delegates { format!("{}.{onezone}", text("subdomain")?) } else { domain };
    if values::boolean(data, "subdomainDelegation")?.is_none() {
        return Err(fault::missing_required("subdomainDelegation"));
    }
    Ok(Provider { name, domain, created: now })
}
