//! What the pages offer to paste is a configuration that `duskgate check` takes, and does what was said.

use std::process::Command;

use super::html::{encoded, offers};
use super::scene::{HOSTILE, OPERATION, RETIRED, fill, scene, setup};
use crate::support::http::Request;
use crate::support::program::Program;
use crate::usage::onezone;

const OWN_TABLE: &str =
    "[[operation]]\nid = \"create_space_support_token\"\nmode = \"rewrite\"\nfallback = [\"observe\"]\n";
const USAGE: &str =
    "[usage]\nwindow = \"31d\"\nignore = [\"user:scanner \\\\ \\\"one\\\"\", \"basic:claimed\"]\n";

#[tokio::test]
async fn everything_that_is_offered_is_taken_by_check() {
    for more in ["", OWN_TABLE, USAGE, &format!("{OWN_TABLE}{USAGE}")] {
        let scene = scene(more).await;
        let program = &scene.program;
        let consumers =
            HOSTILE.iter().chain(&["user:claimed-0001", "user:9c80280edc478eda693e7c3688665a33chea11"]);
        let mut paths: Vec<String> = consumers.map(|name| format!("/consumers/{}", encoded(name))).collect();
        paths.extend(
            [OPERATION, RETIRED, "list_client_tokens", "verify_provider_identity"]
                .map(|id| format!("/operations/{id}")),
        );
        let mut seen = 0;
        for path in paths {
            let page = program.admin(&path).await;
            assert_eq!(page.status, 200, "{path}");
            for (into, toml) in offers(&page.text()) {
                let file = program.directory().join("pasted.toml");
                let before = std::fs::read_to_string(program.config_file()).unwrap();
                std::fs::write(&file, pasted(&before, &into, &toml, &path)).unwrap();
                check(program, &file);
                seen += 1;
            }
        }
        assert!(seen >= 8, "{seen} offers with {more}");
    }
}

#[tokio::test]
async fn what_is_retired_as_offered_is_gone_and_who_is_ignored_stands_against_nothing() {
    let onezone = onezone().await;
    let program = setup(&onezone, "").start();
    fill(&program).await;
    let ask = async |path: &str| program.admin(path).await.text();
    let path = format!("/operations/{RETIRED}");
    paste(&program, &ask(&path).await, "mode = \"gone\"", &path);
    let consumer = "/consumers/provider:0a1b2c3d4e5f60718293a4b5c6d7e8f9ch77aa";
    assert!(ask(consumer).await.contains("Stands against retiring 1 operation"));
    paste(&program, &ask(consumer).await, "ignore = ", consumer);
    assert_eq!(program.command("/reload").await.status, 200, "{}", program.log());
    let old = Request::new("POST", "/api/v3/onezone/spaces/x/providers/token");
    assert_eq!(program.ask(&old).await.status, 410);
    let page = ask(&path).await;
    assert!(page.contains("<dd>gone") && offers(&page).is_empty(), "{page}");
    let page = ask(consumer).await;
    assert!(page.contains("Stands against nothing") && page.contains(">ignored<"), "{page}");
    // And back.
    paste(&program, &page, "ignore = []", consumer);
    assert_eq!(program.command("/reload").await.status, 200);
    assert!(ask(consumer).await.contains("Stands against retiring 1 operation"));
}

/// Pastes what is offered and holds this text into the configuration.
fn paste(program: &Program, page: &str, holds: &str, path: &str) {
    let offers = offers(page);
    let found = offers.iter().find(|(_, toml)| toml.contains(holds));
    let (into, toml) = found.unwrap_or_else(|| panic!("no {holds} in {offers:?}"));
    let before = std::fs::read_to_string(program.config_file()).unwrap();
    std::fs::write(program.config_file(), pasted(&before, into, toml, path)).unwrap();
}

/// The configuration with TOML where the page says that it belongs.
fn pasted(before: &str, into: &str, toml: &str, path: &str) -> String {
    let head = match into {
        "append" => return format!("{before}\n{toml}"),
        "usage" => "[usage]".to_owned(),
        "operation" => format!("id = \"{}\"", path.rsplit('/').next().unwrap()),
        other => panic!("into {other}"),
    };
    let (above, below) =
        before.split_once(&format!("{head}\n")).unwrap_or_else(|| panic!("no {head} in {before}"));
    let end = below.find("\n[").unwrap_or(below.len());
    let keys: Vec<&str> = toml.lines().map(|line| line.split(" = ").next().unwrap()).collect();
    let own = below[..end].lines().filter(|line| !keys.contains(&line.split(" = ").next().unwrap()));
    let own: String = own.map(|line| format!("{line}\n")).collect();
    format!("{above}{head}\n{toml}{own}{}", &below[end..])
}

fn check(program: &Program, file: &std::path::Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_duskgate"))
        .args(["check", "--config"])
        .arg(file)
        .env("STATE_DIRECTORY", program.directory())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}\n{}", std::fs::read_to_string(file).unwrap());
}
