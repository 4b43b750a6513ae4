//! The differential test: the same calls, made directly at a Onezone that has the old routes and through Duskgate in front
//! of one that has dropped them, are answered alike and bring about the same, except for what `exceptions.rs` names. On
//! the new side every answer of a deprecated operation is dressed and counted once, whatever it is, and costs the backend
//! no more requests than the catalogue says. One operation of each family goes through everything, the others through a
//! sample of it.

mod cases;
mod compare;
mod credentials;
mod effect;
mod exceptions;
mod rows;
mod sent;
mod worlds;

use std::collections::HashSet;

use cases::{Case, client_tokens, observed, paths, registration};
use compare::compare;
use duskgate::sandbox::Fixture;
use exceptions::{ALONE, CLIENT_TOKENS_ALONE, CUT, EXCEPTIONS, Exception, NAMELESS, PREFLIGHT};
use rows::{Row, row};

/// A part of the cases of one operation.
type Chapter = fn(&Fixture, &'static Row) -> Vec<Case>;

/// The operation that goes through everything.
const IN_FULL: &str = "create_user_group_invite_token";

/// Its chapters.
const FULLY: [Chapter; 11] = [
    cases::everybody,
    cases::every_credential,
    cases::every_body,
    cases::every_accept,
    cases::every_api_caveat,
    cases::breaker,
    paths::spellings,
    paths::methods,
    paths::ids,
    cases::fields,
    cases::large,
];

/// The chapters of the others.
const BRIEFLY: [Chapter; 7] = [
    cases::every_credential_in_brief,
    cases::every_payload_in_brief,
    cases::every_api_caveat_in_brief,
    cases::breaker_in_brief,
    paths::spellings_in_brief,
    paths::methods_in_brief,
    paths::ids_in_brief,
];

macro_rules! in_full {
    ($($name:ident: $chapter:expr, $exceptions:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            let chapter: Chapter = $chapter;
            compare(|fixture| chapter(fixture, row(IN_FULL)), &$exceptions.map(|one: Exception| one.name)).await;
        })*
    };
}

in_full! {
    everybody_gets_what_the_old_route_gave_them_for_every_group: cases::everybody, [CUT, NAMELESS];
    every_form_of_credentials_is_judged_as_before: cases::every_credential, [];
    every_body_of_every_type_is_judged_as_before: cases::every_body, [];
    every_accept_is_judged_as_before: cases::every_accept, [];
    every_api_caveat_is_judged_as_before: cases::every_api_caveat, [NAMELESS, ALONE];
    an_open_circuit_breaker_shows_where_it_did: cases::breaker, [];
    every_spelling_of_the_path_means_what_it_meant: paths::spellings, [];
    other_methods_are_answered_as_if_the_route_were_there: paths::methods, [];
    whatever_stands_for_the_group_is_looked_for: paths::ids, [];
    other_fields_matter_where_they_did: cases::fields, [];
    a_large_body_is_taken_up_to_the_same_size: cases::large, [];
}

macro_rules! others {
    ($($name:ident: $under:expr, $chapters:expr, $exceptions:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            compare(|fixture| others(fixture, $under, $chapters), &$exceptions.map(|one: Exception| one.name)).await;
        })*
    };
}

others! {
    groups_are_invited_to_groups_as_before: &["/groups/"], &[cases::everybody_in_brief], [CUT, NAMELESS];
    everybody_invites_to_spaces_as_before: &["/spaces/"], &[cases::everybody_in_brief], [CUT, NAMELESS];
    everybody_invites_to_harvesters_as_before: &["/harvesters/"], &[cases::everybody_in_brief], [CUT, NAMELESS];
    everybody_invites_to_clusters_as_before: &["/clusters/"], &[cases::everybody_in_brief], [CUT, NAMELESS];
    all_else_about_groups_and_spaces_is_as_before: &["/groups/", "/spaces/"], &BRIEFLY, [NAMELESS, ALONE];
    all_else_about_harvesters_and_clusters_is_as_before: &["/harvesters/", "/clusters/"], &BRIEFLY, [NAMELESS, ALONE];
    all_else_about_registration_is_as_before:
        &["/user/clusters/", "/users/"], &BRIEFLY, [NAMELESS, ALONE, PREFLIGHT];
    all_else_about_client_tokens_is_as_before:
        &["/user/client_tokens"], &BRIEFLY, [CLIENT_TOKENS_ALONE, PREFLIGHT];
    what_is_observed_passes: &["/user/spaces/", "/provider/"], &BRIEFLY, [];
    what_is_observed_passes_for_everybody: &["/user/spaces/", "/provider/"], &[observed::everybody], [];
}

/// These chapters for all operations under these paths but the one that goes through everything.
fn others(fixture: &Fixture, under: &[&str], chapters: &[Chapter]) -> Vec<Case> {
    let rows = rows::all().iter().filter(|row| row.operation.id != IN_FULL);
    let rows = rows.filter(|row| under.iter().any(|path| row.is_under(path)));
    rows.flat_map(|row| chapters.iter().flat_map(move |chapter| chapter(fixture, row))).collect()
}

#[tokio::test]
async fn everybody_registers_oneproviders_as_before() {
    compare(registration::for_oneself, &[CUT.name]).await;
    compare(registration::for_anybody, &[CUT.name, NAMELESS.name]).await;
}

#[tokio::test]
async fn everybodys_client_tokens_are_listed_and_made_as_before() {
    compare(client_tokens::everybody, &[]).await;
}

#[tokio::test]
async fn a_client_token_is_removed_by_whom_it_was_before() {
    compare(client_tokens::removed, &[CLIENT_TOKENS_ALONE.name]).await;
}

#[tokio::test]
async fn what_is_observed_has_the_effect_that_it_had() {
    compare(observed::values, &[]).await;
    compare(observed::sequences, &[]).await;
}

#[tokio::test]
async fn no_two_cases_are_the_same_and_there_are_many_of_every_operation() {
    let fixture = compare::fixture().await;
    let mut total = 0;
    for row in rows::all() {
        let chapters = if row.operation.id == IN_FULL { &FULLY[..] } else { &BRIEFLY };
        let mut cases = Vec::new();
        for chapter in chapters {
            let mut seen = HashSet::new();
            let chapter = chapter(&fixture, row);
            chapter.iter().for_each(|case| assert!(seen.insert(case.name.clone()), "twice: {}", case.name));
            cases.extend(chapter);
        }
        let calls =
            cases.iter().filter(|case| case.called().is_some_and(|called| std::ptr::eq(called, row))).count();
        println!("{}: {} cases, {calls} of them calls", row.operation.id, cases.len());
        assert!(calls >= 40, "{}: only {calls} calls", row.operation.id);
        total += cases.len();
    }
    println!("{total} cases");
    assert!(total >= 5000, "only {total} cases");
}

#[test]
fn the_readme_names_every_exception() {
    let readme = include_str!("../../../README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for Exception { name, reason, .. } in EXCEPTIONS {
        assert!(
            readme.contains(&format!("- *{name}*: {reason}")),
            "the README does not say: {name}: {reason}"
        );
    }
}
