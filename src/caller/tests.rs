//! Which name a caller gets, and that no credential shows.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::token::{Identifier, InviteType, Persistence};

fn token(subject: Subject, kind: Type) -> String {
    let id = Identifier::new(Persistence::Temporary { generation: 1 }, subject, kind, "id");
    Token::mint("zone.example.org", id, vec![], b"secret").expect("it can be minted").serialize()
}

fn user(id: &str) -> String {
    token(Subject::User(id.into()), Type::ACCESS)
}

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

fn consumer(fields: &[(&'static str, &str)]) -> String {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a field value"));
    }
    Caller::of(&headers).consumer.to_string()
}

#[test]
fn the_first_credential_in_onezones_order_decides() {
    let (a, b, c) = (user("a"), user("b"), user("c"));
    let bearer = format!("Bearer {b}");
    assert_eq!(consumer(&[("macaroon", &c), ("authorization", &bearer), ("x-auth-token", &a)]), "user:a");
    assert_eq!(consumer(&[("macaroon", &c), ("authorization", &bearer)]), "user:b");
    assert_eq!(consumer(&[("macaroon", &c), ("authorization", &basic("d:pw"))]), "user:c");
    assert_eq!(consumer(&[("authorization", &basic("d:pw"))]), "basic:d");
    assert_eq!(consumer(&[]), "anonymous");
}

#[test]
fn a_worthless_credential_is_not_passed_over() {
    let bearer = format!("Bearer {}", user("b"));
    assert_eq!(consumer(&[("x-auth-token", "junk"), ("authorization", &bearer)]), "unknown");
    assert_eq!(consumer(&[("x-auth-token", ""), ("authorization", &bearer)]), "unknown");
    assert_eq!(consumer(&[("x-auth-token", "\u{fc}"), ("authorization", &bearer)]), "unknown");
}

#[test]
fn a_garbled_authorization_beside_a_good_token_changes_nothing() {
    let good = user("a");
    let garbled = format!("{good}-H");
    assert_eq!(consumer(&[("x-auth-token", &good), ("authorization", &garbled)]), "user:a");
    assert_eq!(consumer(&[("authorization", &garbled)]), "anonymous");
}

#[test]
fn another_scheme_or_spelling_of_a_scheme_is_anonymous() {
    let token = user("a");
    for scheme in ["bearer ", "BEARER ", "Token ", "", "Bearer", "basic ", "Basic"] {
        assert_eq!(consumer(&[("authorization", &format!("{scheme}{token}"))]), "anonymous", "{scheme}");
    }
    assert_eq!(consumer(&[("authorization", &format!("Bearer  {token}"))]), "unknown");
}

#[test]
fn a_field_sent_twice_is_one_joined_value() {
    let token = user("a");
    assert_eq!(consumer(&[("x-auth-token", &token), ("x-auth-token", &token)]), "unknown");
    let bearer = format!("Bearer {token}");
    assert_eq!(consumer(&[("authorization", "Token x"), ("authorization", &bearer)]), "anonymous");
}

#[test]
fn a_oneprovider_is_known_by_its_subject_with_or_without_a_prefix() {
    let text = token(Subject::Provider("p".into()), Type::ACCESS);
    for prefix in ["", "opw-", "opp-"] {
        assert_eq!(consumer(&[("x-auth-token", &format!("{prefix}{text}"))]), "provider:p");
    }
    assert_eq!(consumer(&[("x-auth-token", &format!("xyz-{text}"))]), "unknown");
    let mut headers = HeaderMap::new();
    headers.insert("x-auth-token", text.parse().expect("a field value"));
    let caller = Caller::of(&headers);
    assert!(caller.is_provider());
    assert_eq!(caller.token().map(Token::serialize), Some(text));
}

#[test]
fn a_token_that_names_no_caller_is_unknown() {
    let subject = || Subject::User("a".into());
    let invite = token(subject(), Type::invite(InviteType::UserJoinGroup, "g"));
    assert_eq!(consumer(&[("x-auth-token", &invite)]), "unknown");
    assert_eq!(consumer(&[("x-auth-token", &token(subject(), Type::Identity))]), "unknown");
    assert_eq!(consumer(&[("authorization", "Bearer github:0123456789")]), "unknown");
    let id = Identifier {
        version: 1,
        persistence: Persistence::Named,
        subject: None,
        kind: Type::ACCESS,
        id: "old".into(),
    };
    let old = Token::mint("zone.example.org", id, vec![], b"secret").expect("it can be minted");
    assert_eq!(consumer(&[("macaroon", &old.serialize())]), "unknown");
}

#[test]
fn basic_credentials_that_name_nobody_are_unknown_and_never_shown() {
    for value in ["Basic !!!", "Basic ", &basic("secret-without-a-colon"), &basic(":password"), "Basic //8="]
    {
        assert_eq!(consumer(&[("authorization", value)]), "unknown", "{value}");
    }
    assert_eq!(consumer(&[("authorization", &basic("joe:pass:word"))]), "basic:joe");
}

#[test]
fn a_name_is_printable_and_bounded() {
    assert_eq!(
        consumer(&[("authorization", &basic("Zoë \"O'Neil\"\n\u{1b}[31m\u{202e}:pw"))]),
        "basic:Zoë \"O'Neil\"??[31m?"
    );
    assert_eq!(consumer(&[("x-auth-token", &user("a\u{202e}b"))]).len(), "user:a?b".len());
    let long = consumer(&[("x-auth-token", &user(&"ü".repeat(500)))]);
    assert_eq!(long, format!("user:{}…", "ü".repeat(50)));
}

#[test]
fn a_secret_in_place_of_a_username_is_no_name() {
    for secret in [user("a"), format!("opw-{}", user("a")), "MDAxY2xvY2F0".to_owned(), "s".repeat(65)] {
        assert_eq!(consumer(&[("authorization", &basic(&format!("{secret}:")))]), "unknown", "{secret}");
    }
}

#[test]
fn debugging_a_caller_shows_no_credential() {
    let text = user("a");
    let mut headers = HeaderMap::new();
    headers.insert("x-auth-token", text.parse().expect("a field value"));
    let shown = format!("{:?}", Caller::of(&headers));
    assert_eq!(shown, r#"Caller { consumer: User("a"), credential: Token(Token(<redacted>)) }"#);
}

proptest! {
    #[test]
    fn any_fields_give_a_bounded_name(
        token in proptest::option::of(proptest::collection::vec(32..=255u8, 0..200)),
        pair in proptest::option::of("\\PC{0,200}"),
    ) {
        let mut headers = HeaderMap::new();
        if let Some(token) = token.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok()) {
            headers.insert("x-auth-token", token);
        }
        if let Some(pair) = pair {
            headers.insert("authorization", basic(&pair).parse().expect("a field value"));
        }
        let name = Caller::of(&headers).consumer.to_string();
        prop_assert!(name.len() <= 128 && !name.chars().any(char::is_control));
    }
}
