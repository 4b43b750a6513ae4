//! The pages in Chromium: nothing is loaded or forbidden, everything can be read, reached by keyboard and heard, and
//! everything is there without the script.

use serde_json::{Value, json};

use super::scene::{HOSTILE, OPERATION, RETIRED, Scene, scene};
use crate::support::browser::Browser;

const CONSUMER: &str = "/consumers/user:9c80280edc478eda693e7c3688665a33chea11";

/// Each page with a name for its picture.
fn pages() -> [(&'static str, String); 4] {
    [
        ("overview", "/".to_owned()),
        ("operation", format!("/operations/{OPERATION}")),
        ("retired", format!("/operations/{RETIRED}")),
        ("consumer", CONSUMER.to_owned()),
    ]
}

#[tokio::test]
async fn pages_load_nothing_break_no_rule_and_can_be_read_in_every_light_and_width() {
    let scene = scene("").await;
    let mut browser = Browser::start().await;
    for (name, path) in pages() {
        for (look, width, medium, scheme) in [
            ("light", 1280, "screen", "light"),
            ("dark", 1280, "screen", "dark"),
            ("narrow", 400, "screen", "light"),
            ("narrow-dark", 400, "screen", "dark"),
            ("print", 1100, "print", "dark"),
        ] {
            browser.resize(width, 900).await;
            browser.show_as(medium, scheme).await;
            let url = scene.url(&path);
            browser.open(&url).await;
            let ground = browser.evaluate("getComputedStyle(document.body).backgroundColor").await;
            let is_dark = ground == "rgb(20, 18, 27)";
            assert_eq!(is_dark, scheme == "dark" && medium == "screen", "{name} {look}: {ground}");
            let faint = browser.evaluate(CONTRAST).await;
            assert_eq!(faint, json!([]), "{name} {look}");
            let wide = browser.evaluate("document.documentElement.scrollWidth - innerWidth").await;
            assert!(wide.as_i64().unwrap() <= 0, "{name} {look} is {wide} pixels too wide");
            browser.picture(&format!("{name}-{look}")).await;
            assert_eq!(browser.complaints(), Vec::<String>::new(), "{name} {look}");
            assert_eq!(browser.requests(), [url], "{name} {look}");
        }
        let shown = browser.evaluate("[...document.querySelectorAll('button, nav, .skip')].filter(it => it.checkVisibility() && it.offsetWidth > 1).length").await;
        assert_eq!(shown, 0, "what cannot be pressed on paper is not printed: {name}");
        assert!(browser.print(name).await.starts_with(b"%PDF-"));
    }
}

/// The texts whose contrast with what is behind them is below that of WCAG 2.2, level AA.
const CONTRAST: &str = r"(() => {
  const rgb = text => text.match(/[\d.]+/g).map(Number);
  const light = colour => {
    const [r, g, b] = rgb(colour).map(part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (; element; element = element.parentElement) {
      const ground = getComputedStyle(element).backgroundColor;
      if ((rgb(ground)[3] ?? 1) === 1) return ground;
    }
    return 'rgb(255, 255, 255)';
  };
  const faint = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode, element = text.parentElement;
    if (!text.data.trim() || element.closest('script, style, svg') || !element.checkVisibility()) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const [one, other] = [light(style.color), light(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const enough = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if (contrast < enough) faint.push(`${text.data.trim().slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return [...new Set(faint)];
})()";

#[tokio::test]
async fn everything_is_reached_by_keyboard_in_its_order_and_seen_there() {
    let scene = scene("").await;
    let mut browser = Browser::start().await;
    browser.resize(1280, 900).await;
    for (name, path) in pages() {
        browser.open(&scene.url(&format!("{path}?standing=verified"))).await;
        let count = browser.evaluate(REACHABLE).await.as_u64().unwrap();
        assert!(count > 8, "{name}: {count}");
        for number in 0..count {
            browser.press("Tab").await;
            let focused = browser.evaluate(FOCUSED).await;
            assert_eq!(focused["number"], number, "{name}: {focused}");
            assert_eq!(focused["is_seen"], true, "{name}: {focused}");
        }
    }
    // The first of all leads past what every page has.
    browser.open(&scene.url("/")).await;
    browser.press("Tab").await;
    browser.press("Enter").await;
    assert_eq!(browser.evaluate("document.activeElement.id").await, "main");
}

const REACHABLE: &str = "window.reachable = [...document.querySelectorAll('a[href], button, input, summary, [tabindex=\"0\"]')]\
    .filter(it => it.checkVisibility()); window.reachable.length";
const FOCUSED: &str = "(() => { const it = document.activeElement, style = getComputedStyle(it), box = it.getBoundingClientRect();\
    return {number: window.reachable.indexOf(it), html: it.outerHTML.slice(0, 80), is_seen: style.outlineStyle !== 'none' && \
    parseFloat(style.outlineWidth) >= 2 && box.width > 1 && box.bottom > 0 && box.top < innerHeight}; })()";

#[tokio::test]
async fn who_hears_the_pages_hears_everything_by_its_name() {
    let scene = scene("").await;
    let mut browser = Browser::start().await;
    for width in [1280, 400] {
        browser.resize(width, 900).await;
        for (name, path) in pages() {
            browser.open(&scene.url(&path)).await;
            let tree = browser.command("Accessibility.getFullAXTree", json!({})).await;
            let nodes: Vec<(&str, &str)> = tree["nodes"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|node| node["ignored"] != true)
                .map(|node| (text(&node["role"]), text(&node["name"])))
                .collect();
            let count = |role: &str| nodes.iter().filter(|(other, _)| *other == role).count();
            for role in ["banner", "main", "contentinfo"] {
                assert_eq!(count(role), 1, "{name} {width}: {role}");
            }
            let first = nodes.iter().filter(|(role, _)| *role == "heading").count();
            assert!(first > 0 && count("navigation") > 0 && count("status") > 0, "{name} {width}");
            for named in
                ["link", "button", "searchbox", "table", "image", "img", "navigation", "region", "heading"]
            {
                let nameless = nodes.iter().filter(|(role, name)| *role == named && name.trim().is_empty());
                assert_eq!(nameless.count(), 0, "{name} {width}: {named} without a name");
            }
            if name != "retired" {
                // Also where a row is laid out as a card.
                assert!(
                    count("rowheader") > 0 && count("columnheader") > 8 && count("row") > 1,
                    "{name} {width}"
                );
                assert!(count("cell") + count("gridcell") > 8, "{name} {width}");
            }
            assert_eq!(browser.evaluate("document.querySelectorAll('h1').length").await, 1, "{name}");
            assert_eq!(browser.evaluate("document.documentElement.lang").await, "en");
            let twice = "[...document.querySelectorAll('[id]')].length - new Set([...document.querySelectorAll('[id]')].map(it => it.id)).size";
            assert_eq!(browser.evaluate(twice).await, 0, "{name}: an id that stands there twice");
        }
    }
}

fn text(property: &Value) -> &str {
    property["value"].as_str().unwrap_or("")
}

#[tokio::test]
async fn without_the_script_everything_is_there() {
    let scene = scene("").await;
    let mut browser = Browser::start().await;
    let read = "[...document.querySelectorAll('main')].map(it => it.textContent).join()";
    for (name, path) in pages() {
        let mut texts = Vec::new();
        for without in [false, true] {
            browser.command("Emulation.setScriptExecutionDisabled", json!({"value": without})).await;
            browser.open(&scene.url(&path)).await;
            let buttons = browser.evaluate("document.querySelectorAll('button, input').length").await;
            assert_eq!(buttons == 0, without, "{name}");
            let comfort =
                "document.querySelectorAll('button, label, pre + button + span').forEach(it => it.remove())";
            browser.evaluate(comfort).await;
            texts.push(browser.evaluate(read).await);
        }
        let ago = |text: &Value| text.as_str().unwrap().replace(|c: char| c.is_ascii_digit(), "");
        assert_eq!(ago(&texts[0]), ago(&texts[1]), "{name}");
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn the_script_copies_finds_and_refreshes() {
    let scene = scene("").await;
    let mut browser = Browser::start().await;
    open(&mut browser, &scene, &format!("/operations/{RETIRED}")).await;
    browser.evaluate("document.querySelector('.offer button').click()").await;
    let said = browser.evaluate("new Promise(done => { const look = () => { const text = document.querySelector('.offer button').textContent; text === 'Copy' ? setTimeout(look, 20) : done(text); }; look(); })").await;
    assert!(said == "Copied" || said == "Selected", "{said}");

    open(&mut browser, &scene, &format!("/operations/{OPERATION}?standing=claimed&page=2")).await;
    browser.evaluate("document.querySelector('input[type=search]').focus()").await;
    browser.command("Input.insertText", json!({"text": "bot-3/1"})).await;
    browser.forget();
    browser.press("Enter").await;
    browser.happened("Page.loadEventFired").await;
    assert_eq!(browser.evaluate("location.search").await, "?standing=claimed&find=bot-3%2F1");
    assert_eq!(
        browser.evaluate("document.querySelector('#who').textContent").await,
        "Consumers 1 to 100 of 329 with “bot-3/1”"
    );

    let pressed = "document.querySelector('.top button').getAttribute('aria-pressed')";
    assert_eq!(browser.evaluate(pressed).await, "false");
    browser.evaluate("document.querySelector('.top button').click()").await;
    assert_eq!(browser.evaluate(pressed).await, "true");
    open(&mut browser, &scene, "/").await;
    assert_eq!(browser.evaluate(pressed).await, "true", "it holds for all pages");
}

#[tokio::test]
async fn hostile_names_are_links_that_lead_to_their_own_pages_and_run_nothing() {
    let scene = scene("").await;
    let mut browser = Browser::start().await;
    open(&mut browser, &scene, &format!("/operations/{OPERATION}?find=basic:")).await;
    let links = "[...document.querySelectorAll('tbody a[href^=\"/consumers/basic:\"]')].map(it => [it.href, it.textContent])";
    let links = browser.evaluate(links).await;
    let links = links.as_array().unwrap();
    assert_eq!(links.len(), HOSTILE.len());
    for link in links {
        let (url, name) = (link[0].as_str().unwrap(), &link[1]);
        browser.open(url).await;
        assert_eq!(&browser.evaluate("document.querySelector('h1 bdi').textContent").await, name, "{url}");
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{url}");
        assert_eq!(browser.requests(), [url]);
        assert!(!browser.has_happened("Page.javascriptDialogOpening"), "{url}");
    }
}

async fn open(browser: &mut Browser, scene: &Scene, path: &str) {
    browser.open(&scene.url(path)).await;
}
