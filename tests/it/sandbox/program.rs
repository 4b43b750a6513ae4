//! `duskgate sandbox` as a program: one JSON document on stdout, then it serves until a signal.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::http::{Request, ask};

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(arguments: &[&str]) -> (Program, Value) {
    let child = Command::new(env!("CARGO_BIN_EXE_duskgate"))
        .arg("sandbox")
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut program = Program(child);
    let mut stdout = BufReader::new(program.0.stdout.take().expect("a pipe"));
    let mut text = String::new();
    while !text.ends_with("\n}\n") {
        assert_ne!(stdout.read_line(&mut text).expect("a line"), 0, "{text}");
    }
    program.0.stdout = Some(stdout.into_inner());
    (program, serde_json::from_str(&text).expect("one JSON document"))
}

#[tokio::test]
async fn it_prints_what_is_in_it_and_serves_that() {
    let (_program, document) = run(&[]);
    let address = document["url"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    let find = |list: &str, key: &str, value: &str| {
        let items = document[list].as_array().unwrap();
        items
            .iter()
            .find(|item| item[key] == value)
            .cloned()
            .unwrap_or_else(|| panic!("{value} in {document}"))
    };
    let anna = find("users", "username", "anna");
    let group = find("groups", "name", "developers");
    let path = format!("/api/v3/onezone/groups/{}/users/token", group["id"].as_str().unwrap());
    let request = Request::new("POST", &path).token(anna["accessToken"].as_str().unwrap());
    assert_eq!(ask(address, &request).await.status, 200);
    assert!(find("oneproviders", "name", "Cracow")["accessToken"].is_string());
}

#[tokio::test]
async fn no_legacy_leaves_the_deprecated_routes_out() {
    let (_program, document) = run(&["--no-legacy", "--listen", "127.0.0.1:0"]);
    let address = document["url"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    let response = ask(address, &Request::new("POST", "/api/v3/onezone/groups/g/users/token")).await;
    assert_eq!((response.status, response.header("allow")), (405, Some("DELETE, GET, PUT")));
}

#[test]
fn it_stops_on_sigterm_and_says_nothing_more() {
    let (mut program, _) = run(&[]);
    let kill = Command::new("kill").arg("-TERM").arg(program.0.id().to_string()).status().expect("kill");
    assert!(kill.success());
    assert_eq!(program.0.wait().expect("an exit").code(), Some(0));
    let mut rest = String::new();
    program.0.stdout.take().expect("the pipe").read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "");
}

#[test]
fn an_address_in_use_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_duskgate"))
        .args(["sandbox", "--listen", &address])
        .output()
        .expect("the program");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address), "{output:?}");
}
