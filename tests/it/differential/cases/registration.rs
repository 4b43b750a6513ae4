//! Cases about inviting Oneproviders to register (contract, section 7.4): for oneself or for somebody else, when that is
//! open and when it is restricted, and with full names that no token can have.

use duskgate::sandbox::Fixture;

use super::super::credentials::{self, Credential};
use super::super::rows::{MISSING, row};
use super::super::sent;
use super::Case;

/// Everybody for oneself.
pub fn for_oneself(fixture: &Fixture) -> Vec<Case> {
    let row = row("create_provider_registration_token_for_current_user");
    let mut cases = Vec::new();
    for who in credentials::people(fixture) {
        for sent in [sent::nothing(), sent::json("[]"), sent::json("{")] {
            let case = Case::plain(fixture, row, &who, row.place).with(&sent);
            cases.extend([case.clone(), case.restricted()]);
        }
    }
    cases
}

/// Those whose standing differs, for everybody.
pub fn for_anybody(fixture: &Fixture) -> Vec<Case> {
    let row = row("create_provider_registration_token_for_user");
    let mut cases = Vec::new();
    for user in fixture.users.iter().map(|user| user.username.as_str()).chain([MISSING]) {
        let mut callers = vec!["admin", "anna", "registrar", "service", "nobody", "Cracow"];
        if !callers.contains(&user) && user != MISSING {
            callers.push(user);
        }
        for name in callers {
            let plain = Case::plain(fixture, row, &Credential::of(fixture, name), user);
            if name != "anna" && name != "service" {
                cases.push(plain.clone().restricted());
            }
            if ["ben", "darcy", MISSING].contains(&user) {
                cases.extend([plain.clone().with(&sent::json("[]")), plain.clone().with(&sent::json("{"))]);
            }
            cases.push(plain);
        }
    }
    cases
}
