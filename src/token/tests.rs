//! The token room against vectors made by Onezone and against bad inputs.

mod keys;
mod properties;

use serde_json::Value;

use super::api::{Gri, unmatched};
use super::*;

struct Vector {
    json: Value,
}

impl Vector {
    fn all() -> Vec<Vector> {
        let file: Value = serde_json::from_str(include_str!("../../tests/data/token-vectors.json"))
            .expect("the vectors are JSON");
        let vectors = file["vectors"].as_array().expect("there are vectors");
        assert_eq!(file["count"], vectors.len());
        vectors.iter().map(|json| Vector { json: json.clone() }).collect()
    }

    fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_else(|| panic!("{key} of {}", self.json["name"]))
    }

    fn token(&self) -> Token {
        Token::parse(self.text("token")).unwrap_or_else(|error| panic!("{}: {error}", self.json["name"]))
    }
}

#[test]
fn every_vector_is_read_as_what_it_says() {
    for vector in Vector::all() {
        let token = vector.token();
        let json = token.to_json();
        for key in ["onezoneDomain", "id", "persistence", "subject", "type", "caveats"] {
            assert_eq!(json[key], vector.json[key], "{key} of {}", vector.json["name"]);
        }
        assert_eq!(json.as_object().map(|object| object.len()), Some(6));
        assert_eq!(token.id.version, 2);
        assert_eq!(token.id.to_string(), vector.text("identifier"));
        assert_eq!(token.id.kind.to_string(), vector.text("serializedType"));
        assert_eq!(hex(&token.signature), vector.text("signatureHex"));
        let texts: Vec<_> = token.caveats.iter().map(ToString::to_string).collect();
        assert_eq!(serde_json::json!(texts), vector.json["serializedCaveats"]);
    }
}

#[test]
fn every_vector_is_written_byte_for_byte() {
    for vector in Vector::all() {
        assert_eq!(vector.token().serialize(), vector.text("token"));
    }
}

#[test]
fn every_vector_verifies_with_its_secret_alone() {
    for vector in Vector::all() {
        assert!(vector.token().verify(vector.text("secret").as_bytes()), "{}", vector.json["name"]);
        assert!(!vector.token().verify(b"another secret"));
        assert!(!vector.token().verify(b""));
    }
}

#[test]
fn every_vector_is_minted_from_its_json() {
    for vector in Vector::all() {
        let json = &vector.json;
        let subject = Subject::User(json["subject"]["id"].as_str().expect("a user").to_owned());
        let persistence = match json["persistence"]["generation"].as_u64() {
            None => Persistence::Named,
            Some(generation) => Persistence::Temporary { generation },
        };
        let kind = Type::from_json(&json["type"]).expect("a type");
        let caveats = json["caveats"].as_array().expect("caveats").iter();
        let caveats = caveats.map(|caveat| Caveat::from_json(caveat).expect("a caveat")).collect();
        let id = Identifier::new(persistence, subject, kind, vector.text("id"));
        let secret = vector.text("secret").as_bytes();
        let token = Token::mint(vector.text("onezoneDomain"), id, caveats, secret).expect("it can be minted");
        assert_eq!(token.serialize(), vector.text("token"), "{}", json["name"]);
    }
}

#[test]
fn a_version_1_token_is_a_named_access_token_of_nobody_in_particular() {
    let id = Identifier::parse("deadbeef").expect("an identifier");
    let token = Token::mint("zone.example.org", id, vec![], b"secret").expect("it can be minted");
    let token = Token::parse(&token.serialize()).expect("a token");
    assert!(token.verify(b"secret"));
    assert_eq!(token.id.version, 1);
    assert_eq!(
        token.to_json(),
        serde_json::json!({
            "onezoneDomain": "zone.example.org", "id": "deadbeef", "persistence": {"type": "named"},
            "subject": null, "type": {"accessToken": {}}, "caveats": []
        })
    );
}

#[test]
fn standard_base64_and_padding_are_read_too() {
    for vector in Vector::all() {
        let base64 = unescaped(vector.text("token"));
        let padding = "05".repeat((4 - base64.len() % 4) % 4);
        let text = base64.replace('0', "00").replace('_', "03").replace('-', "04") + &padding;
        assert_eq!(Token::parse(&text), Ok(vector.token()), "{}", vector.json["name"]);
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let vectors = Vector::all();
    let good = vectors[2].text("token");
    let decoded = text::decode(good).expect("it is a token's text");
    let packets = |lines: &[&str]| {
        let mut bytes = Vec::new();
        for line in lines {
            bytes.extend_from_slice(format!("{:04x}{line}\n", line.len() + 5).as_bytes());
        }
        text::encode(&bytes)
    };
    let signature = format!("signature {}", "s".repeat(32));
    let identified =
        |identifier: &str| packets(&["location l", &format!("identifier {identifier}"), &signature]);
    assert!(Token::parse(&identified("2/nmd/usr-u/act/i")).is_ok(), "the frame is right");

    let cases: Vec<(String, Malformed)> = vec![
        (String::new(), Malformed::Packet),
        ("0".repeat(MAX_TEXT + 2), Malformed::TooLarge),
        (good.replacen("00", "06", 1), Malformed::Text),
        (format!("{good}0"), Malformed::Text),
        (good.replacen("M", "-", 1), Malformed::Text),
        (good.replacen("M", "_", 1), Malformed::Text),
        (format!("{good}\n"), Malformed::Text),
        (format!("opw-{good}"), Malformed::Text),
        ("ü".into(), Malformed::Text),
        (text::encode(&decoded[..decoded.len() - 1]), Malformed::Packet),
        (text::encode(&[&decoded[..], b"x"].concat()), Malformed::Packet),
        (text::encode(b"not a macaroon at all"), Malformed::Packet),
        (text::encode(b"0003location l\n"), Malformed::Packet),
        (text::encode(b"0000"), Malformed::Packet),
        (text::encode(b"ffff"), Malformed::Packet),
        (text::encode(b"000Flocation l\n"), Malformed::Packet),
        (text::encode(b"000elocationl\n"), Malformed::Packet),
        (packets(&["location l"]), Malformed::Packet),
        (packets(&["identifier 2/nmd/usr-u/act/i", "location l", &signature]), Malformed::Packet),
        (packets(&["location l", "identifier i", "signature short"]), Malformed::Packet),
        (packets(&["location l", "identifier i", "vid x", &signature]), Malformed::Packet),
        (packets(&["location l", "identifier i", &signature, "cid late"]), Malformed::Packet),
        (identified(""), Malformed::Identifier),
        (identified("1/nmd/usr-u/act/i"), Malformed::Identifier),
        (identified("2/nmd/usr-u/act"), Malformed::Identifier),
        (identified("2/nmd/usr-u/act/i/j"), Malformed::Identifier),
        (identified("2/nmd/usr-u/act/"), Malformed::Identifier),
        (identified("2/xyz/usr-u/act/i"), Malformed::Identifier),
        (identified("2/tmp-x/usr-u/act/i"), Malformed::Identifier),
        (identified("2/tmp-07/usr-u/act/i"), Malformed::Identifier),
        (identified("2/nmd/grp-g/act/i"), Malformed::Identifier),
        (identified("2/nmd/usr-/act/i"), Malformed::Identifier),
        (identified("2/nmd/usr-u/abc/i"), Malformed::Identifier),
        (identified("2/nmd/usr-u/act:/i"), Malformed::Identifier),
        (identified("2/nmd/usr-u/ujg:g/i"), Malformed::Identifier),
        (identified("2/nmd/usr-u/ujg::/i"), Malformed::Identifier),
        (identified("2/nmd/usr-u/zzz:g:/i"), Malformed::Identifier),
    ];
    for (text, error) in cases {
        let short: String = text.chars().take(60).collect();
        assert_eq!(Token::parse(&text).err(), Some(error), "{short}");
    }
}

#[test]
fn only_onezones_service_prefixes_are_stripped() {
    assert_eq!(strip_service_prefix("opw-MDA"), "MDA");
    assert_eq!(strip_service_prefix("opp-MDA"), "MDA");
    assert_eq!(strip_service_prefix("ozw-MDA"), "ozw-MDA");
    assert_eq!(strip_service_prefix("opw-opw-MDA"), "opw-MDA");
    assert_eq!(strip_service_prefix("MDA"), "MDA");
}

#[test]
fn what_would_be_read_as_something_else_is_not_minted() {
    let user = || Subject::User("u".into());
    let mint = |subject, kind, id: &str, caveats| {
        Token::mint("l", Identifier::new(Persistence::Named, subject, kind, id), caveats, b"s").err()
    };
    let invite = |target: &str| Type::invite(InviteType::UserJoinGroup, target);
    assert_eq!(mint(user(), invite("g"), "i", vec![]), None);
    for target in ["", "a/b", "a:b", "a\nb", "a\u{7f}b"] {
        assert_eq!(mint(user(), invite(target), "i", vec![]), Some(Unmintable::Identifier), "{target:?}");
    }
    assert_eq!(mint(Subject::User("".into()), Type::ACCESS, "i", vec![]), Some(Unmintable::Identifier));
    assert_eq!(mint(user(), Type::ACCESS, "a/b", vec![]), Some(Unmintable::Identifier));
    assert_eq!(mint(user(), Type::ACCESS, &"i".repeat(65_535), vec![]), Some(Unmintable::TooLong));
    for caveat in [
        Caveat::Consumer(vec!["usr-a|usr-b".into()]),
        Caveat::Consumer(vec![]),
        Caveat::Unknown(b"data.readonly".to_vec()),
    ] {
        assert_eq!(mint(user(), Type::ACCESS, "i", vec![caveat]), Some(Unmintable::Caveat));
    }
    let long = Caveat::Consumer(vec![format!("usr-{}", "u".repeat(65_535))]);
    assert_eq!(mint(user(), Type::ACCESS, "i", vec![long]), Some(Unmintable::TooLong));
}

#[test]
fn anybody_may_confine_and_nobody_may_release() {
    let vector = &Vector::all()[2];
    let secret = vector.text("secret").as_bytes();
    let confined = vector.token().confine(Caveat::Time { valid_until: 5 }).expect("it can be confined");
    assert!(confined.verify(secret));
    let mut released = confined.clone();
    released.caveats.clear();
    assert!(!released.verify(secret));
    let mut changed = confined;
    changed.caveats[0] = Caveat::Time { valid_until: 6 };
    assert!(!changed.verify(secret));
}

#[test]
fn a_token_and_its_errors_show_nothing_of_it() {
    let vector = &Vector::all()[0];
    assert_eq!(format!("{:?}", vector.token()), "Token(<redacted>)");
    assert_eq!(Malformed::Identifier.to_string(), "the token's identifier is not in a known form");
}

#[test]
fn the_rows_of_invite_types_stand_in_the_order_of_the_variants() {
    for (index, kind) in InviteType::all().enumerate() {
        assert_eq!(kind as usize, index);
        assert_eq!(InviteType::named(kind.name()), Some(kind));
        let json = Type::invite(kind, "t").to_json();
        assert_eq!(Type::from_json(&json), Some(Type::invite(kind, "t")));
    }
}

#[test]
fn a_type_that_is_none_is_refused() {
    for text in [
        r#"null"#,
        r#"{}"#,
        r#""accessToken""#,
        r#"{"accessToken":{},"identityToken":{}}"#,
        r#"{"accessToken":5}"#,
        r#"{"accessToken":{"sessionId":5}}"#,
        r#"{"inviteToken":{}}"#,
        r#"{"inviteToken":{"inviteType":"userJoinGroup"}}"#,
        r#"{"inviteToken":{"inviteType":"userJoinGroup","spaceId":"s"}}"#,
        r#"{"inviteToken":{"inviteType":"userjoingroup","groupId":"g"}}"#,
        r#"{"inviteToken":{"inviteType":"userJoinGroup","groupId":5}}"#,
    ] {
        let value: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(Type::from_json(&value), None, "{text}");
    }
}

#[test]
fn caveats_go_between_text_and_json() {
    for (text, json) in [
        ("time < 0", r#"{"type":"time","validUntil":0}"#),
        ("ip = 1.2.3.4/32|10.0.0.0/8", r#"{"type":"ip","whitelist":["1.2.3.4/32","10.0.0.0/8"]}"#),
        ("asn = 322|112", r#"{"type":"asn","whitelist":[322,112]}"#),
        ("geo.country != PL", r#"{"type":"geo.country","filter":"blacklist","list":["PL"]}"#),
        ("geo.region != EU|Oceania", r#"{"type":"geo.region","filter":"blacklist","list":["EU","Oceania"]}"#),
        ("service = ozw-onezone|opw-*", r#"{"type":"service","whitelist":["ozw-onezone","opw-*"]}"#),
        ("consumer = usr-*|prv-p", r#"{"type":"consumer","whitelist":["usr-*","prv-p"]}"#),
        ("interface = rest", r#"{"type":"interface","interface":"rest"}"#),
        (
            "api = ozw/get/user.*.instance|all/all/*.*.*:*",
            r#"{"type":"api","whitelist":["ozw/get/user.*.instance","all/all/*.*.*:*"]}"#,
        ),
        ("data.readonly", r#"{"type":"data.readonly"}"#),
        ("authorization = none", r#"{"scope":"identityToken"}"#),
    ] {
        let caveat = Caveat::parse(text.as_bytes());
        assert_eq!(caveat.to_bytes(), text.as_bytes());
        let json: Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(caveat.to_json(), json, "{text}");
        assert_eq!(Caveat::from_json(&json), Some(caveat), "{text}");
    }
}

#[test]
fn an_unknown_caveat_is_kept() {
    let texts: [&[u8]; 16] = [
        b"",
        b"time",
        b"time < ",
        b"time < 05",
        b"time < +5",
        b"time = 5",
        b"ip = 1.2.3.4",
        b"ip = 1.2.3.4/33",
        b"ip = ::1/128",
        b"asn = ",
        b"asn = 1|",
        b"geo.country = pl",
        b"geo.region = Atlantis",
        b"interface = telnet",
        b"colour = blue",
        b"\xff\n\0",
    ];
    for text in texts {
        let caveat = Caveat::parse(text);
        assert_eq!(caveat, Caveat::Unknown(text.to_vec()));
        let token = Vector::all()[2].token().confine(caveat).expect("it can be confined");
        assert_eq!(Token::parse(&token.serialize()), Ok(token.clone()));
        assert!(token.verify(b"verySecretSecret5"));
    }
}

#[test]
fn a_caveat_that_is_none_is_refused() {
    for text in [
        r#"null"#,
        r#""time < 5""#,
        r#"{}"#,
        r#"{"type":"colour"}"#,
        r#"{"type":"time"}"#,
        r#"{"type":"time","validUntil":"5"}"#,
        r#"{"type":"time","validUntil":5.5}"#,
        r#"{"type":"ip","whitelist":[]}"#,
        r#"{"type":"ip","whitelist":["1.2.3"]}"#,
        r#"{"type":"ip","whitelist":"1.2.3.4"}"#,
        r#"{"type":"asn","whitelist":[-1]}"#,
        r#"{"type":"asn","whitelist":["1"]}"#,
        r#"{"type":"geo.country","list":["PL"]}"#,
        r#"{"type":"geo.country","filter":"greylist","list":["PL"]}"#,
        r#"{"type":"geo.country","filter":"whitelist","list":["Poland"]}"#,
        r#"{"type":"geo.region","filter":"whitelist","list":["PL"]}"#,
        r#"{"type":"service","whitelist":["onezone"]}"#,
        r#"{"type":"consumer","whitelist":["usr-a|usr-b"]}"#,
        r#"{"type":"consumer","whitelist":["usr-"]}"#,
        r#"{"type":"interface","interface":"telnet"}"#,
        r#"{"type":"api","whitelist":["everything"]}"#,
        r#"{"type":"api","whitelist":["ozw/get/user.id"]}"#,
        r#"{"type":"data.path","whitelist":["/plain/path!"]}"#,
        r#"{"type":"data.objectid","whitelist":["xyz"]}"#,
        r#"{"scope":"accessToken"}"#,
    ] {
        let value: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(Caveat::from_json(&value), None, "{text}");
    }
}

#[test]
fn a_network_contains_what_shares_its_prefix() {
    for (network, address, contained) in [
        ("10.0.0.0/8", "10.1.2.3", true),
        ("10.9.9.9/8", "10.1.2.3", true),
        ("10.0.0.0/8", "11.1.2.3", false),
        ("10.1.2.2/31", "10.1.2.3", true),
        ("10.1.2.4/32", "10.1.2.3", false),
        ("0.0.0.0/0", "255.255.255.255", true),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("0.0.0.0/0", "2001:db8::1", false),
    ] {
        let Caveat::Ip(networks) = Caveat::parse(format!("ip = {network}").as_bytes()) else {
            panic!("{network} is a network")
        };
        let address = address.parse().expect("an address");
        assert_eq!(networks[0].contains(address), contained, "{address} in {network}");
    }
}

#[test]
fn an_api_caveat_matches_by_part() {
    let legacy = Gri::private("group", "G", "invite_user_token");
    let newer = Gri::private("token", "null", "user_named_token").with("u");
    assert_eq!(legacy.to_string(), "group.G.invite_user_token:private");
    assert_eq!(newer.to_string(), "token.null.user_named_token,u:private");
    for (entries, on_legacy, on_newer) in [
        ("ozw/create/group.G.invite_user_token:private", true, false),
        ("ozw/create/group.G.invite_user_token", true, false),
        ("ozw/create/group.G.invite_user_token:public", false, false),
        ("ozw/create/group.G.invite_user_token:*", true, false),
        ("ozw/create/group.H.invite_user_token", false, false),
        ("ozw/create/group.*.invite_user_token", true, false),
        ("ozw/get/group.G.invite_user_token", false, false),
        ("opw/all/*.*.*:*", false, false),
        ("all/all/*.*.*:*", true, true),
        ("all/all/*.*.*", true, true),
        ("all/all/*.*.*,*", false, true),
        ("ozw/all/token.*.*", false, true),
        ("ozw/create/token.null.user_named_token,u:private", false, true),
        ("ozw/create/token.null.user_named_token,*", false, true),
        ("ozw/create/token.null.*,u", false, true),
        ("ozw/create/token.null.user_named_token,v", false, false),
        ("ozw/create/token.null.user_named_token", false, false),
        ("ozw/create/group.G.invite_user_token|ozw/all/token.*.*", true, true),
    ] {
        let caveat = Caveat::parse(format!("api = {entries}").as_bytes());
        assert!(matches!(caveat, Caveat::Api(_)), "{entries}");
        let token = Vector::all()[2].token().confine(caveat.clone()).expect("confined");
        let fault = |gri| unmatched(&token, "ozw", "create", gri);
        assert_eq!(fault(&legacy), (!on_legacy).then_some(&caveat), "{entries} on {legacy}");
        assert_eq!(fault(&newer), (!on_newer).then_some(&caveat), "{entries} on {newer}");
    }
}

#[test]
fn every_api_caveat_must_match() {
    let gri = Gri::private("group", "G", "invite_user_token");
    let all = Caveat::Api(vec!["all/all/*.*.*:*".into()]);
    let token_only = Caveat::Api(vec!["ozw/all/token.*.*".into()]);
    let token = Vector::all()[2].token().confine(all).expect("confined");
    assert_eq!(unmatched(&token, "ozw", "create", &gri), None);
    let token = token.confine(token_only.clone()).expect("confined");
    assert_eq!(unmatched(&token, "ozw", "create", &gri), Some(&token_only));
}

/// The base64url of a token's text.
fn unescaped(text: &str) -> String {
    let mut base64 = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        base64.push(match character {
            '0' => match characters.next() {
                Some('0') => '0',
                Some('1') => '_',
                Some('2') => '-',
                other => panic!("an escape that is never written: {other:?}"),
            },
            _ => character,
        });
    }
    base64
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
