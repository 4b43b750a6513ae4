//! Cases about `client_tokens` (contract, section 7.5): whose tokens are listed, and which text in a path removes what.

use duskgate::sandbox::Fixture;

use super::super::credentials::{self, Credential, DELETABLE};
use super::super::rows::{MISSING, row};
use super::super::sent;
use super::Case;

/// Everybody lists, makes one, and asks to remove what there is not; with what a method that reads no body ignores.
pub fn everybody(fixture: &Fixture) -> Vec<Case> {
    let mut cases = Vec::new();
    for id in ["list_client_tokens", "create_client_token", "remove_client_token"] {
        let row = row(id);
        let place = if row.has_id() { MISSING } else { row.place };
        for who in credentials::people(fixture) {
            for sent in [sent::nothing(), sent::json("[]"), sent::typed("text/plain", "x")] {
                cases.push(Case::plain(fixture, row, &who, place).with(&sent));
            }
        }
    }
    cases
}

/// Texts of tokens in every form, removed by their owner, by others, by one who manages everybody's, by the token itself
/// and by nobody.
pub fn removed(fixture: &Fixture) -> Vec<Case> {
    let row = row("remove_client_token");
    let mut who: Vec<_> =
        ["anna", "ben", "steward", "admin", "mia", "Cracow", "nobody", "garbage", "blocked"]
            .map(|name| Credential::of(fixture, name))
            .into();
    who.push(Credential::own("spare"));
    who.push(Credential::own("anna for spare alone"));
    let mut cases = Vec::new();
    for key in DELETABLE {
        for who in &who {
            cases.push(Case::plain(fixture, row, who, key));
        }
        let nobody_reads_it = Case::plain(fixture, row, &who[0], key).with(&sent::json("{"));
        cases.push(nobody_reads_it);
        cases.push(Case::plain(fixture, row, &who[0], key).with(&sent::accepting("text/html")));
        cases.push(Case::plain(fixture, row, &who[0], key).with_open_breaker());
    }
    // Of the tokens that everything else here lives on, those that the callers must not remove.
    for other in ["mia", "admin"] {
        let text = &credentials::token_of(fixture, other).1;
        for who in ["anna", "ben", "Cracow"] {
            cases.push(
                Case::plain(fixture, row, &Credential::of(fixture, who), "another").at(&row.path(text)),
            );
        }
    }
    cases
}
