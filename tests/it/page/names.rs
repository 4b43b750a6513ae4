//! Whatever callers name themselves stays text: on the pages, in the report, and in addresses.

use std::process::Command;

use super::html::{encoded, rows};
use super::scene::{CLAIMED, HOSTILE, OPERATION, scene};

#[tokio::test]
async fn hostile_names_stay_text_and_each_has_its_page() {
    let scene = scene("").await;
    let program = &scene.program;
    let page = program.admin(&format!("/operations/{OPERATION}?find=basic")).await.text();
    harmless(&page);
    for name in HOSTILE {
        let path = format!("/consumers/{}", encoded(name));
        assert!(page.contains(&format!("<a href=\"{path}\">")), "{path} is not on the page");
        let own = program.admin(&path).await;
        assert_eq!(own.status, 200, "{path}");
        harmless(&own.text());
        // Encoded as Grafana does it, too.
        assert_eq!(program.admin(&path.replace(':', "%3A")).await.status, 200, "{path}");
    }
    let overview = program.admin("/").await.text();
    harmless(&overview);
    let usage = program.admin(&format!("/api/usage?operation={OPERATION}")).await.json();
    let consumers = usage["operations"][0]["consumers"].as_array().unwrap();
    for name in HOSTILE {
        assert!(consumers.iter().any(|consumer| consumer["consumer"] == name), "{name:?}");
        let only = program.admin(&format!("/api/usage?consumer={}", encoded(name))).await;
        if name.contains(char::is_control) {
            assert_eq!(only.status, 400, "no caller gets such a name");
            continue;
        }
        let only = only.json();
        let found = only["operations"].as_array().unwrap().iter().find(|it| it["id"] == OPERATION).unwrap();
        assert_eq!(found["consumers"][0]["consumer"], name);
    }
    let report = Command::new(env!("CARGO_BIN_EXE_duskgate"))
        .args(["report", "--format", "html", "--config"])
        .arg(program.config_file())
        .env("STATE_DIRECTORY", program.directory())
        .output()
        .unwrap();
    let report = String::from_utf8(report.stdout).unwrap();
    assert!(report.contains("&lt;script&gt;alert(1)"), "{report}");
    harmless(&report);
}

#[tokio::test]
async fn thousands_of_consumers_are_shown_a_page_at_a_time() {
    let scene = scene("").await;
    let path = format!("/operations/{OPERATION}");
    let ask = async |query: &str| scene.program.admin(&format!("{path}{query}")).await.text();
    let consumers = |page: &str| {
        let rows = rows(page).into_iter().filter(|row| row.contains("href=\"/consumers/"));
        rows.map(str::to_owned).collect::<Vec<_>>()
    };
    let all = CLAIMED + HOSTILE.len() + 2;
    let (mut seen, mut query) = (Vec::new(), String::new());
    loop {
        let page = ask(&query).await;
        let of_page = consumers(&page);
        assert!(!of_page.is_empty() && of_page.len() <= 100);
        assert!(page.len() < 256 << 10, "{} bytes", page.len());
        seen.extend(of_page);
        let Some(next) = page.split("\">Next</a>").next().filter(|_| page.contains(">Next</a>")) else {
            break;
        };
        query = next.rsplit("href=\"").next().unwrap().split('#').next().unwrap().replace("&amp;", "&");
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), all);
    // Those that matter come first.
    assert!(ask("").await.find(">verified<").unwrap() < ask("").await.find(">claimed<").unwrap());
    for (query, count) in [
        ("?standing=claimed", CLAIMED + 3),
        ("?find=BOT-3%2F1", CLAIMED / 7 + 1),
        ("?find=192.0.2", all),
        ("?find=%3Cscript%3E", 1),
        ("?find=nobody", 0),
        ("?standing=ignored", 0),
    ] {
        let page = ask(query).await;
        harmless(&page);
        let shown = page.replace(',', "").contains(&format!(" of {count}"));
        assert!(shown || (count == 0 && page.contains("None of them.")), "{query}");
    }
    let name = |page: &str| {
        consumers(page)[0].split("<bdi>").nth(1).unwrap().split("</bdi>").next().unwrap().to_owned()
    };
    assert!(name(&ask("?sort=calls").await).starts_with("user:9c80280edc478eda"));
    assert!(name(&ask("?sort=name").await).starts_with("basic:"));
    assert_eq!(consumers(&ask("?page=9999").await).len(), all % 100);
}

/// A page in which nothing of what others chose has become markup, and nothing turns the direction of text.
#[track_caller]
fn harmless(page: &str) {
    let body = page.split("</style>").nth(1).unwrap().split("<script>").next().unwrap();
    for text in ["<script", "'onmouseover", "<b>\"x"] {
        assert!(!body.contains(text), "{text} in {body}");
    }
    let moves = |character: char| {
        (character.is_control() && character != '\n')
            || ('\u{202a}'..='\u{202e}').contains(&character)
            || ('\u{2066}'..='\u{2069}').contains(&character)
    };
    assert_eq!(body.find(moves), None, "{body}");
}
