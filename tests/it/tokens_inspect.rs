//! `duskgate tokens inspect` as a person or a script uses it: the program itself, its output and its exit codes.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn vectors() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../data/token-vectors.json")).expect("JSON");
    file["vectors"].as_array().expect("vectors").clone()
}

fn duskgate(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_duskgate"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("duskgate starts");
    // The program may have its answer before it has read everything.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("duskgate ends")
}

fn secret_file(content: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(content).expect("a file that can be written");
    file
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn every_vector_is_decoded_to_exactly_its_fields() {
    for vector in vectors() {
        let text = vector["token"].as_str().expect("a token");
        let output = duskgate(&["tokens", "inspect", text], b"");
        assert_eq!(output.status.code(), Some(0));
        let mut expected = vector.clone();
        let keys = ["onezoneDomain", "id", "persistence", "subject", "type", "caveats"];
        expected.as_object_mut().expect("an object").retain(|key, _| keys.contains(&key.as_str()));
        assert_eq!(json(&output), expected);
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn a_token_and_a_secret_may_end_in_one_newline() {
    let vector = &vectors()[0];
    let (text, secret) =
        (vector["token"].as_str().expect("a token"), vector["secret"].as_str().expect("a secret"));
    for newline in ["", "\n", "\r\n"] {
        let file = secret_file(format!("{secret}{newline}").as_bytes());
        let path = file.path().to_str().expect("a path");
        for token in [format!("{text}{newline}"), format!("opw-{text}{newline}")] {
            for (argument, input) in [("-", token.as_bytes()), (&token, b"")] {
                let output = duskgate(&["tokens", "inspect", argument, "--secret-file", path], input);
                assert_eq!(json(&output)["signatureValid"], true, "{newline:?}");
                assert_eq!(output.status.code(), Some(0));
            }
        }
    }
    let output = duskgate(&["tokens", "inspect", "-"], format!("{text}\n\n").as_bytes());
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn another_secret_is_told_and_exits_1() {
    let vector = &vectors()[0];
    let file = secret_file(b"another secret\n");
    let path = file.path().to_str().expect("a path");
    let text = vector["token"].as_str().expect("a token");
    let output = duskgate(&["tokens", "inspect", text, "--secret-file", path], b"");
    assert_eq!(output.status.code(), Some(1));
    let json = json(&output);
    assert_eq!(json["signatureValid"], false);
    assert_eq!(json["id"], vector["id"]);
}

#[test]
fn what_is_no_token_exits_2_and_is_not_repeated() {
    let vector = &vectors()[0];
    let text = vector["token"].as_str().expect("a token");
    let cut = &text[..text.len() - 10];
    for input in [b"" as &[u8], b"\n", b"hunter2", b"\xff\xfe", cut.as_bytes(), &[b'A'; 1_100_000]] {
        let output = duskgate(&["tokens", "inspect", "-"], input);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        let message = String::from_utf8(output.stderr).expect("a message");
        assert!(message.starts_with("error: not an Onedata token: "), "{message}");
        assert!(!message.contains("hunter2") && message.len() < 150, "{message}");
    }
}

#[test]
fn a_secret_that_cannot_be_read_exits_2_and_is_named() {
    let text = vectors()[0]["token"].as_str().expect("a token").to_owned();
    let output = duskgate(&["tokens", "inspect", &text, "--secret-file", "/no/such/file"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/file"));
}
