//! What spaces, harvesters and Oneproviders have to do with each other: support of spaces, their owners, and the spaces
//! that harvesters take in.

use serde_json::json;

use super::answer::Answer;
use super::entities::may;
use super::fault::{self, Fault};
use super::kinds::Kind;
use super::request::Call;
use super::store::Store;
use super::{entities, providers};

/// Whether the Oneprovider in the path supports the space in the path.
pub fn support_exists(_: Kind, store: &Store, call: &Call) -> bool {
    entities::supports(store, call.id("pid"), call.id("id"))
}

/// Whether the space in the path (`sid`) is a source of the harvester in the path.
pub fn source_exists(_: Kind, store: &Store, call: &Call) -> bool {
    let harvester = store.entity(Kind::Harvester, call.id("id"));
    harvester.is_some_and(|harvester| harvester.sources.contains(call.id("sid")))
}

/// The same, seen from the space (`id`) to the harvester (`hid`).
pub fn harvester_exists(_: Kind, store: &Store, call: &Call) -> bool {
    let harvester = store.entity(Kind::Harvester, call.id("hid"));
    harvester.is_some_and(|harvester| harvester.sources.contains(call.id("id")))
}

/// For the legacy invitation of a Oneprovider.
pub fn may_invite_support(kind: Kind, store: &Store, call: &Call) -> bool {
    may(kind, store, call, "space_add_support", &["oz_spaces_add_relationships"])
}

/// For the legacy invitation of a space.
pub fn may_invite_space(kind: Kind, store: &Store, call: &Call) -> bool {
    may(kind, store, call, "harvester_add_space", &["oz_harvesters_add_relationships"])
}

pub fn may_remove_support(kind: Kind, store: &Store, call: &Call) -> bool {
    may(kind, store, call, "space_remove_support", &["oz_spaces_remove_relationships"])
}

pub fn may_remove_source(kind: Kind, store: &Store, call: &Call) -> bool {
    let admin = ["oz_harvesters_remove_relationships", "oz_spaces_remove_relationships"];
    may(kind, store, call, "harvester_remove_space", &admin)
}

pub fn may_remove_harvester(kind: Kind, store: &Store, call: &Call) -> bool {
    let admin = ["oz_harvesters_remove_relationships", "oz_spaces_remove_relationships"];
    may(kind, store, call, "space_remove_harvester", &admin)
}

/// A space that one may take into a harvester (contract, section 10.2).
pub fn may_add_source(_: Kind, store: &Store, call: &Call) -> bool {
    let admin = ["oz_harvesters_add_relationships", "oz_spaces_add_relationships"];
    call.auth.user().is_some_and(|user| {
        store.is_admin(user, &admin)
            || store.has_privilege(Kind::Harvester, call.id("id"), user, "harvester_add_space")
                && store.has_privilege(Kind::Space, call.id("sid"), user, "space_add_harvester")
    })
}

/// `GET /spaces/{id}/providers`.
pub fn supporters(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let space = store.entity(kind, call.id("id")).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(json!({ "providers": space.supports.keys().collect::<Vec<_>>() })))
}

/// `GET /spaces/{id}/providers/{pid}`.
pub fn supporter(_: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    providers::shown(store, call.id("pid"))
}

/// `DELETE /spaces/{id}/providers/{pid}`.
pub fn remove_support(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let space = store.entity_mut(kind, call.id("id")).ok_or_else(fault::not_found)?;
    space.supports.remove(call.id("pid"));
    Ok(Answer::nothing())
}

/// `GET /spaces/{id}/owners`.
pub fn owners(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let space = store.entity(kind, call.id("id")).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(json!({ "users": space.owners })))
}

/// `GET /harvesters/{id}/spaces`.
pub fn sources(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let harvester = store.entity(kind, call.id("id")).ok_or_else(fault::not_found)?;
    Ok(Answer::ok(json!({ "spaces": harvester.sources })))
}

/// `GET /harvesters/{id}/spaces/{sid}`.
pub fn source(_: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    entities::shown(Kind::Space, store, call.id("sid"))
}

/// `PUT /harvesters/{id}/spaces/{sid}`.
pub fn add_source(_: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let (harvester, space) = (call.id("id"), call.id("sid"));
    if store.entity(Kind::Space, space).is_none() {
        return Err(fault::id_not_found("spaceId"));
    }
    link_source(store, harvester, space)?;
    Ok(Answer::created(Some(format!("/harvesters/{harvester}/spaces/{space}")), None))
}

/// `DELETE /harvesters/{id}/spaces/{sid}`.
pub fn remove_source(kind: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let harvester = store.entity_mut(kind, call.id("id")).ok_or_else(fault::not_found)?;
    harvester.sources.remove(call.id("sid"));
    Ok(Answer::nothing())
}

/// `GET /spaces/{id}/harvesters`.
pub fn harvesters(_: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let all = store.all(Kind::Harvester).iter();
    let of: Vec<_> = all.filter(|(_, one)| one.sources.contains(call.id("id"))).map(|(id, _)| id).collect();
    Ok(Answer::ok(json!({ "harvesters": of })))
}

/// `GET /spaces/{id}/harvesters/{hid}`.
pub fn harvester(_: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    entities::shown(Kind::Harvester, store, call.id("hid"))
}

/// `DELETE /spaces/{id}/harvesters/{hid}`.
pub fn remove_harvester(_: Kind, store: &mut Store, call: &Call) -> Result<Answer, Fault> {
    let harvester = store.entity_mut(Kind::Harvester, call.id("hid")).ok_or_else(fault::not_found)?;
    harvester.sources.remove(call.id("id"));
    Ok(Answer::nothing())
}

/// Makes the space a source of the harvester.
pub fn link_source(store: &mut Store, harvester: &str, space: &str) -> Result<(), Fault> {
    let sources = &mut store.entity_mut(Kind::Harvester, harvester).ok_or_else(fault::not_found)?.sources;
    if !sources.insert(space.to_owned()) {
        return Err(fault::relation_exists(("space", space), ("harvester", harvester)));
    }
    Ok(())
}
