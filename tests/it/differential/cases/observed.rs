//! Cases about the operations that have no newer form (contract, section 7.6): they reach a Onezone that has them as
//! they came.

use duskgate::sandbox::Fixture;
use serde_json::json;

use super::super::credentials::{self, Credential};
use super::super::rows::{MISSING, Row, row};
use super::super::sent::{self, Sent};
use super::Case;

/// Everybody, for what there is and what there is not.
pub fn everybody(fixture: &Fixture, row: &'static Row) -> Vec<Case> {
    let mut cases = Vec::new();
    for place in super::row_places(row) {
        for who in credentials::people(fixture) {
            cases.push(Case::plain(fixture, row, &who, place).with(&row.usual(fixture)));
        }
    }
    cases
}

/// Values that are judged in Onezone.
pub fn values(fixture: &Fixture) -> Vec<Case> {
    let (cracow, lisbon) = (fixture.provider("Cracow"), fixture.provider("Lisbon"));
    let (anna, ben) = (fixture.user("anna"), fixture.user("ben"));
    let mut cases = Vec::new();
    let mut add = |id: &str, who: &str, place: &str, body: serde_json::Value| {
        let sent = sent::json(&body.to_string());
        let sent = Sent { name: body.to_string(), ..sent };
        cases.push(Case::plain(fixture, row(id), &Credential::of(fixture, who), place).with(&sent));
    };
    for body in [
        json!({}),
        json!([]),
        json!({ "alias": "" }),
        json!({ "alias": 5 }),
        json!({ "alias": "home" }),
        json!({ "alias": "Zażółć \" \\ \u{1}" }),
        json!({ "alias": "home", "more": null }),
    ] {
        for place in ["atlas", "quiet corner", MISSING] {
            add("set_user_space_alias", "ben", place, body.clone());
        }
    }
    for body in [json!({}), json!({ "size": 1 }), json!({ "size": "x" }), json!({ "size": 7_000_000 })] {
        for who in ["Cracow", "Lisbon"] {
            add("modify_supported_space", who, "atlas", body.clone());
        }
    }
    for body in [
        json!({}),
        json!({ "providerId": cracow.id }),
        json!({ "providerId": "missing", "token": cracow.token }),
        json!({ "providerId": cracow.id, "token": cracow.token }),
        json!({ "providerId": cracow.id, "macaroon": cracow.token }),
        json!({ "providerId": cracow.id, "token": lisbon.token }),
        json!({ "providerId": cracow.id, "token": anna.token }),
        json!({ "providerId": cracow.id, "token": "garbage" }),
        json!({ "providerId": anna.id, "token": anna.token }),
        json!({ "providerId": cracow.id, "token": "" }),
        json!({ "providerId": ben.id, "token": 5 }),
    ] {
        for who in ["nobody", "Cracow", "ben", "garbage"] {
            add("verify_provider_identity", who, "itself", body.clone());
        }
    }
    cases
}

/// What one call leaves for the next.
pub fn sequences(fixture: &Fixture) -> Vec<Case> {
    let call = |step: &str, id: &str, who: &str, place: &str| {
        let row = row(id);
        let mut case =
            Case::plain(fixture, row, &Credential::of(fixture, who), place).with(&row.usual(fixture));
        case.name += &format!(" ({step})");
        case.before = None;
        case
    };
    vec![
        call("none yet", "get_user_space_alias", "ben", "atlas"),
        call("none yet", "remove_user_space_alias", "ben", "atlas"),
        call("given", "set_user_space_alias", "ben", "atlas"),
        call("there", "get_user_space_alias", "ben", "atlas"),
        call("another's", "get_user_space_alias", "anna", "atlas"),
        call("removed", "remove_user_space_alias", "ben", "atlas"),
        call("gone", "get_user_space_alias", "ben", "atlas"),
        call("gone", "remove_user_space_alias", "ben", "atlas"),
        call("changed", "modify_supported_space", "Cracow", "atlas"),
        call("ended", "remove_space_support", "Cracow", "atlas"),
        call("ended before", "remove_space_support", "Cracow", "atlas"),
        call("ended before", "modify_supported_space", "Cracow", "atlas"),
    ]
}
