//! What holds of every token and every caveat.

use proptest::prelude::*;

use crate::token::*;

fn some_caveat() -> impl Strategy<Value = Caveat> {
    prop_oneof![
        any::<i64>().prop_map(|valid_until| Caveat::Time { valid_until }),
        "[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}"
            .prop_map(|text| Caveat::parse(format!("ip = {text}").as_bytes())),
        proptest::collection::vec("(usr|grp|prv)-[a-z0-9]{1,9}", 1..4).prop_map(Caveat::Consumer),
        proptest::collection::vec(any::<u32>(), 1..4).prop_map(Caveat::Asn),
        proptest::collection::vec(any::<u8>(), 0..80).prop_map(|bytes| Caveat::parse(&bytes)),
        "(time <|ip =|asn =|geo.country !?=|api =|interface =|service =) [ -~]{0,20}"
            .prop_map(|text| Caveat::parse(text.as_bytes())),
    ]
}

fn some_type() -> impl Strategy<Value = Type> {
    prop_oneof![
        Just(Type::ACCESS),
        Just(Type::Identity),
        "[!-.0-~]{1,20}".prop_map(|session| Type::Access { session: Some(session) }),
        (0..14usize, "[a-zA-Z0-9_.-]{1,32}").prop_map(|(index, target)| {
            Type::invite(InviteType::all().nth(index).expect("there are 14"), target)
        }),
    ]
}

prop_compose! {
    fn some_token()(
        location in "[a-z.-]{0,20}", named in any::<bool>(), generation in any::<u64>(), provider in any::<bool>(),
        owner in "[!-.0-~]{1,40}", kind in some_type(), id in "[!-.0-~]{1,40}",
        caveats in proptest::collection::vec(some_caveat(), 0..5),
    ) -> Token {
        let persistence = if named { Persistence::Named } else { Persistence::Temporary { generation } };
        let subject = if provider { Subject::Provider(owner) } else { Subject::User(owner) };
        let id = Identifier::new(persistence, subject, kind, id);
        Token::mint(&location, id, caveats, b"secret").expect("it can be minted")
    }
}

proptest! {
    #[test]
    fn writing_then_reading_is_the_identity(token in some_token()) {
        let text = token.serialize();
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let read = Token::parse(&text).expect("a token");
        prop_assert!(read.verify(b"secret"));
        prop_assert_eq!(read, token);
    }

    #[test]
    fn a_changed_byte_of_the_text_is_refused(token in some_token(), at: prop::sample::Index, to in any::<u8>()) {
        let mut bytes = token.serialize().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        let Ok(changed) = Token::parse(&String::from_utf8_lossy(&bytes)) else { return Ok(()) };
        // Two changes are none: another spelling of the same character (03 for 01), and the location, unsigned.
        let same = changed == token || changed.location != token.location;
        prop_assert!(same || !changed.verify(b"secret"));
    }

    #[test]
    fn reading_anything_does_not_panic_and_is_lossless(text in "[A-Za-z0-9]{0,400}", bytes: Vec<u8>) {
        for text in [text, text::encode(&bytes)] {
            if let Ok(token) = Token::parse(&text) {
                prop_assert_eq!(Token::parse(&token.serialize()), Ok(token));
            }
        }
    }

    #[test]
    fn a_caveat_of_any_text_is_kept_byte_for_byte(caveat in some_caveat()) {
        prop_assert_eq!(Caveat::parse(&caveat.to_bytes()), caveat.clone());
        if !matches!(caveat, Caveat::Unknown(_)) {
            prop_assert_eq!(Caveat::from_json(&caveat.to_json()), Some(caveat));
        }
    }
}
