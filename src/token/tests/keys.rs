//! Our own keys, and what is told by them.

use jiff::Timestamp;
use proptest::prelude::*;

use crate::token::keys::*;
use crate::token::*;

/// A key that tests can know: bytes 0 to 31.
const FIRST: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SECOND: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn now() -> Timestamp {
    "2026-11-24T09:00:00Z".parse().expect("a moment")
}

fn ring(text: &str) -> KeyRing {
    KeyRing::parse(text).expect("keys")
}

fn token(ring: &KeyRing) -> Token {
    let kind = Type::invite(InviteType::UserJoinGroup, "group1");
    let id =
        Identifier::new(Persistence::Named, Subject::User("user1".to_owned()), kind, ring.mint_id(now()));
    let secret = ring.secret(&id.id).expect("a secret");
    Token::mint("onezone.example.org", id, Vec::new(), secret.as_bytes()).expect("it can be minted")
}

fn confined(token: Token) -> Token {
    token.confine(Caveat::Time { valid_until: 2_000_000_000 }).expect("a caveat")
}

#[test]
fn a_secret_is_derived_as_written_down() {
    // Computed with Python's hmac: HKDF-SHA256 without salt, expanded with the words in `keys.rs`.
    let ring = ring(FIRST);
    assert_eq!(&ring.mint_id(now())[..10], "dgd3ab7b3d");
    let secret = ring.secret("dgd3ab7b3d0123456789abcdef0123456789abcdef").expect("a secret");
    let expected = "78379262a45c64cb993d4977df3a7abc503aabe90c0a4a90f563ff580ada4ded";
    assert_eq!(std::str::from_utf8(secret.as_bytes()), Ok(expected));
}

#[test]
fn an_id_is_letters_and_digits_and_never_onezones() {
    let ring = ring(FIRST);
    let ids: std::collections::BTreeSet<_> = (0..1000).map(|_| ring.mint_id(now())).collect();
    assert_eq!(ids.len(), 1000);
    for id in &ids {
        assert!(id.len() == 42 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        assert!(has_our_form(id), "{id}");
    }
    for id in
        ["", "dg", "0123456789abcdef0123456789abcdefch0123", &"dé".repeat(14), &ids.first().unwrap()[1..]]
    {
        assert!(!has_our_form(id) && ring.secret(id).is_none(), "{id}");
    }
    let id = ids.first().expect("an id");
    for id in [id.to_uppercase(), format!("{id}0"), id.replacen("dg", "dh", 1), format!("{}g", &id[..41])] {
        assert!(!has_our_form(&id) && ring.secret(&id).is_none(), "{id}");
    }
}

#[test]
fn ids_are_in_the_order_of_time_and_96_bits_of_each_are_chance() {
    let ring = ring(FIRST);
    let at = |millisecond| ring.mint_id(Timestamp::from_millisecond(millisecond).expect("a moment"));
    // 1795510800000 / 64 = 0x6_8833_223a.
    assert_eq!(&at(1_795_510_800_000)[..18], "dgd3ab7b3d8833223a");
    let ids: Vec<_> = (0..1000).map(|tick| at(1_795_510_800_000 + 64 * tick)).collect();
    assert!(ids.is_sorted());
    let chance: std::collections::BTreeSet<_> = (0..1000).map(|_| at(0)[18..].to_owned()).collect();
    assert_eq!(chance.len(), 1000);
    assert!(chance.iter().all(|digits| digits.len() * 4 == 96), "{chance:?}");
    // Before 1970, and when the time begins again.
    assert_eq!((&at(-64)[10..18], &at(64 << 32)[10..18]), ("ffffffff", "00000000"));
}

#[test]
fn an_id_of_32_random_digits_is_as_good_as_ever() {
    let ring = ring(FIRST);
    let old = "dgd3ab7b3df00dcafe0123456789abcdef01234567";
    let kind = Type::invite(InviteType::UserJoinGroup, "group1");
    let id = Identifier::new(Persistence::Named, Subject::User("user1".to_owned()), kind, old);
    let secret = ring.secret(old).expect("a secret");
    let token = Token::mint("onezone.example.org", id, Vec::new(), secret.as_bytes()).expect("a token");
    assert_eq!((has_our_form(old), ring.is_ours(&token)), (true, Ours::Yes));
}

#[test]
fn the_newest_key_issues_and_every_key_verifies() {
    let old = ring(FIRST);
    let both = ring(&format!("# newest first\n\n  {SECOND}\r\n{FIRST}\n"));
    let (first, second) = (confined(token(&old)), token(&both));
    assert_eq!(both.count(), 2);
    assert_eq!((both.is_ours(&first), both.is_ours(&second)), (Ours::Yes, Ours::Yes));
    assert_eq!(ring(SECOND).is_ours(&second), Ours::Yes);
    assert_eq!(ring(SECOND).is_ours(&first), Ours::No);
    assert_eq!(old.is_ours(&second), Ours::No);
}

#[test]
fn a_changed_token_of_ours_is_told_from_anothers() {
    let ring = ring(FIRST);
    let mut changed = token(&ring);
    changed.id.subject = Some(Subject::User("user2".to_owned()));
    assert_eq!(ring.is_ours(&changed), Ours::Tampered);
    let mut unconfined = confined(token(&ring));
    unconfined.caveats.clear();
    assert_eq!(ring.is_ours(&unconfined), Ours::Tampered);
    let mut renamed = token(&ring);
    renamed.id.id = ring.mint_id(now());
    assert_eq!(ring.is_ours(&renamed), Ours::Tampered);
    let id = Identifier { id: "0123456789abcdef0123456789abcdefch0123".to_owned(), ..token(&ring).id };
    let onezones = Token::mint("onezone.example.org", id, Vec::new(), b"secret").expect("a token");
    assert_eq!(ring.is_ours(&onezones), Ours::No);
}

#[test]
fn what_is_no_key_is_refused_by_its_line_and_not_repeated() {
    let upper = FIRST.to_uppercase();
    assert!(KeyRing::parse(&upper).is_ok());
    let twice = format!("{FIRST}\n\n{upper}\n");
    let short = format!("# ours\n{FIRST}\n{}\n", &SECOND[1..]);
    let long = format!("{FIRST}0");
    for (text, bad) in [
        ("", BadKeys::None),
        ("\n# nothing\n\n", BadKeys::None),
        (&twice, BadKeys::Twice { line: 3 }),
        (&short, BadKeys::Line { line: 3 }),
        (&long, BadKeys::Line { line: 1 }),
        ("hunter2", BadKeys::Line { line: 1 }),
        (&"é".repeat(32), BadKeys::Line { line: 1 }),
        (&FIRST.replace('0', "+"), BadKeys::Line { line: 1 }),
    ] {
        let error = KeyRing::parse(text).expect_err(text);
        assert_eq!(error, bad, "{text}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn neither_keys_nor_secrets_are_printed() {
    let ring = ring(FIRST);
    let secret = ring.secret(&ring.mint_id(now())).expect("a secret");
    assert_eq!(format!("{ring:?} {secret:?}"), "KeyRing(<redacted>) Secret(<redacted>)");
}

proptest! {
    #[test]
    fn keys_of_any_bytes_tell_their_own_tokens_alone(ours in "[0-9a-f]{64}", others in "[0-9a-f]{64}") {
        prop_assume!(ours != others);
        let (ours, others) = (ring(&ours), ring(&others));
        let token = confined(token(&ours));
        let read = Token::parse(&token.serialize()).expect("a token");
        prop_assert_eq!(ours.is_ours(&read), Ours::Yes);
        prop_assert_eq!(others.is_ours(&read), Ours::No);
    }

    #[test]
    fn a_changed_character_is_never_taken_for_ours(at: prop::sample::Index, to in any::<u8>()) {
        let ring = ring(FIRST);
        let token = token(&ring);
        let mut bytes = token.serialize().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(changed) = Token::parse(&String::from_utf8_lossy(&bytes)) {
            // The location is not signed; another spelling of the same character changes nothing.
            let same = changed == token || changed.location != token.location;
            prop_assert!(same || ring.is_ours(&changed) != Ours::Yes);
        }
    }

    #[test]
    fn reading_any_text_as_keys_does_not_panic(text: String) {
        let _ = KeyRing::parse(&text);
        let _ = has_our_form(&text);
    }
}
