//! A token that can be read is written so that it is read as the same, and has only one text. What is read from packets,
//! without the text form around them, is held to the same.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use duskgate::token::{Caveat, Token};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        read(text);
    }
    if let Some(token) = read(&text_of(data)) {
        assert_eq!(token.serialize(), text_of(data), "packets have one text");
    }
    let caveat = Caveat::parse(data);
    assert_eq!(caveat.to_bytes(), data, "a caveat is kept byte for byte");
    if !matches!(caveat, Caveat::Unknown(_)) {
        assert_eq!(Caveat::from_json(&caveat.to_json()), Some(caveat), "a known caveat survives its JSON");
    }
});

fn read(text: &str) -> Option<Token> {
    let token = Token::parse(text).ok()?;
    let written = token.serialize();
    assert!(Token::parse(&written).as_ref() == Ok(&token), "what was written is read as the same");
    assert!(written.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let confined = token.clone().confine(Caveat::DataReadonly).expect("a short caveat always fits");
    assert!(confined.serialize() != written);
    assert_eq!(confined.verify(b"secret"), token.verify(b"secret"), "confining changes no validity");
    token.to_json();
    Some(token)
}

fn text_of(packets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(packets).replace('0', "00").replace('_', "01").replace('-', "02")
}
