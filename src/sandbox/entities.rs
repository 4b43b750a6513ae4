//! Things with members as such: reading, making, changing and deleting them (contract, section 10.1). Who is in them is
//! `members`' business.

use serde_json::{Value, json};

use super::answer::Answer;
use super::fault::{self, Fault};
use super::kinds::Kind;
use super::privileges;
use super::request::Call;
use super::store::{Entity, Store, random_id};
use super::{values, wording};
use crate::token::Subject;

const GROUP_TYPES: &[&str] = &["organization", "unit", "team", "role_holders"];

/// Whether the entity in the path exists.
pub fn exists(kind: Kind, store: &Store, call: &Call) -> bool {
    store.entity(kind, call.id("id")).is_some()
}

pub fn anyone(_: Kind, _: &Store, _: &Call) -> bool {
    true
}

/// Effective members see it, and so do the Oneproviders that have to do with it.
pub fn may_view(kind: Kind, store: &Store, call: &Call) -> bool {
    let id = call.id("id");
    match &call.auth.subject {
        None => false,
        Some(Subject::User(user)) => {
            store.is_member(kind, id, user) || store.is_admin(user, &[&kind.oz("view")])
        }
        Some(Subject::Provider(provider)) => match kind {
            Kind::Cluster => provider == id,
            Kind::Space => supports(store, provider, id),
            Kind::Harvester => store.entity(kind, id).is_some_and(|harvester| {
                harvester.sources.iter().any(|space| supports(store, provider, space))
            }),
            Kind::Group | Kind::AtmInventory => false,
        },
    }
}

pub fn may_update(kind: Kind, store: &Store, call: &Call) -> bool {
    may(kind, store, call, &kind.privilege("update"), &[&kind.oz("update")])
}

pub fn may_delete(kind: Kind, store: &Store, call: &Call) -> bool {
    may(kind, store, call, &kind.privilege("delete"), &[&kind.oz("delete")])
}

pub fn may_list_all(kind: Kind, store: &Store, call: &Call) -> bool {
    call.auth.user().is_some_and(|user| store.is_admin(user, &[&kind.oz("list")]))
}

pub fn may_create_for_nobody(kind: Kind, store: &Store, call: &Call) -> bool {
    call.auth.user().is_some_and(|user| store.is_admin(user, &[&kind.oz("create")]))
}

/// Whether the caller holds the privilege in the entity in the path, or these administrative ones.
pub fn may(kind: Kind, store: &Store, call: &Call, privilege: &str, oz: &[&str]) -> bool {
    store.may(kind, call.id("id"), call.auth.subject.as_ref(), privilege, oz)
}

/// `GET /spaces`.
pub fn list(kind: Kind, store: &mut Store, _: &Call) -> Result<Answer, Fault> {
    Ok(Answer::ok(json!({ kind.facts().plural: store.all(kind).keys().collect::<Vec<_>>() })))
}

/// `POST /spaces`: one without members.
pub fn create(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let (id, _) = add(kind, store, call)?;
    Ok(Answer::created(Some(format!("/{}/{id}", kind.facts().plural)), None))
}

/// `POST /user/spaces`: one that the caller administers, and owns if it is a space.
pub fn create_own(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let (id, entity) = add(kind, store, call)?;
    if let Some(user) = call.auth.user() {
        entity.users.insert(user.to_owned(), privileges::set(kind.facts().admin));
        if kind == Kind::Space {
            entity.owners.insert(user.to_owned());
        }
    }
    Ok(Answer::created(Some(format!("/user/{}/{id}", kind.facts().plural)), None))
}

/// `GET /spaces/privileges`.
pub fn levels(kind: Kind, _: &mut Store, _: &Call) -> Result<Answer, Fault> {
    let facts = kind.facts();
    Ok(Answer::ok(json!({ "member": facts.member, "manager": facts.manager, "admin": facts.admin })))
}

/// `GET /spaces/{id}`.
pub fn get(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    shown(kind, store, call.id("id"))
}

/// `PATCH /spaces/{id}`.
pub fn update(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let name = values::name(call.object()?)?;
    let group_type = if kind == Kind::Group { group_type(call)? } else { None };
    if name.is_none() && group_type.is_none() {
        let keys: &[&str] = if kind == Kind::Group { &["name", "type"] } else { &["name"] };
        return Err(fault::missing_at_least_one(keys));
    }
    let entity = store.entity_mut(kind, call.id("id")).ok_or_else(fault::not_found)?;
    entity.name = name.unwrap_or_else(|| entity.name.clone());
    entity.group_type = group_type.unwrap_or_else(|| entity.group_type.clone());
    Ok(Answer::nothing())
}

/// `DELETE /spaces/{id}`.
pub fn delete(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let id = call.id("id");
    for entity in store.entities.values_mut().flat_map(|all| all.values_mut()) {
        match kind {
            Kind::Group => drop(entity.groups.remove(id)),
            Kind::Space => drop(entity.sources.remove(id)),
            _ => {}
        }
    }
    store.entities.get_mut(&kind).map(|all| all.remove(id));
    Ok(Answer::nothing())
}

/// The entity as its members see it.
pub fn shown(kind: Kind, store: &Store, id: &str) -> Result<Answer, Fault> {
    let entity = store.entity(kind, id).ok_or_else(fault::not_found)?;
    let mut body = json!({
        kind.facts().id_key: id,
        "creator": wording::subject_json(entity.creator.as_ref()),
        "creationTime": entity.created,
    });
    if kind != Kind::Cluster {
        body["name"] = json!(entity.name);
    }
    match kind {
        Kind::Group => body["type"] = json!(entity.group_type),
        Kind::Space => {
            body["description"] = json!("");
            body["organizationName"] = json!("");
            body["tags"] = json!([]);
            body["providers"] = json!(entity.supports);
            body["advertisedInMarketplace"] = json!(false);
        }
        Kind::Harvester => {
            body["public"] = json!(false);
            body["harvestingBackendType"] = json!("elasticsearch");
            body["harvestingBackendEndpoint"] = json!("harvester.example.org:9200");
        }
        Kind::Cluster => {
            let is_provider = store.providers.contains_key(id);
            let version = json!({ "release": "21.02.7", "build": "sandbox", "gui": "sandbox" });
            body["type"] = json!(if is_provider { "oneprovider" } else { "onezone" });
            body["workerVersion"] = version.clone();
            body["onepanelVersion"] = version;
            body["onepanelProxy"] = json!(true);
        }
        Kind::AtmInventory => {}
    }
    Ok(Answer::ok(body))
}

/// Whether the Oneprovider supports the space.
pub fn supports(store: &Store, provider: &str, space: &str) -> bool {
    store.entity(Kind::Space, space).is_some_and(|space| space.supports.contains_key(provider))
}

fn add<'s>(kind: Kind, store: &'s mut Store, call: &Call) -> Result<(String, &'s mut Entity), Fault> {
    let name = values::name(call.object()?)?.ok_or_else(|| fault::missing_required("name"))?;
    let group_type = match kind {
        Kind::Group => group_type(call)?.unwrap_or_else(|| "team".to_owned()),
        _ => String::new(),
    };
    let creator = call.auth.subject.clone();
    let entity = Entity { name, creator, created: call.now, group_type, ..Entity::default() };
    let id = random_id();
    let entity = store.entities.entry(kind).or_default().entry(id.clone()).or_insert(entity);
    Ok((id, entity))
}

fn group_type(call: &Call) -> Result<Option<String>, Fault> {
    match call.data.get("type") {
        None => Ok(None),
        Some(Value::String(kind)) if GROUP_TYPES.contains(&kind.as_str()) => Ok(Some(kind.clone())),
        Some(Value::String(_)) => Err(fault::value_not_allowed("type", GROUP_TYPES)),
        Some(_) => Err(fault::not_a_string("type")),
    }
}
