use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use http::{HeaderMap, Method, Uri};

use super::*;
use crate::clock::Clock;
use crate::ledger;
use crate::metrics::Vocabulary;

fn row() -> Row {
    Row {
        id: "create_<b>".to_owned(),
        method: "POST".to_owned(),
        path: "/groups/{id}/users/token".to_owned(),
        mode: "rewrite",
        phase: "deprecated",
        deprecated_at: "2020-06-01T00:00:00Z".parse().unwrap(),
        sunset_at: None,
        documentation: Some("javascript:alert(1)".to_owned()),
        successors: vec!["POST /user/tokens/named".to_owned()],
        cost: Cost { usual: 1, most: 4, per_token: 0 },
        calls: 7,
        last_call: None,
        falls_back: false,
        written: Written::Nowhere,
    }
}

/// Asks a ledger that does not exist.
fn asking() -> Asking {
    let settings = crate::usage::Settings {
        retention: Duration::from_secs(400 * 86_400),
        window: Duration::from_secs(30 * 86_400),
        ignore: BTreeSet::new(),
        negligible_calls: 0,
        claimed_consumers: 10,
        held: 1000,
        consumer_series: 0,
    };
    let location = ledger::Location::Sqlite("/nonexistent/duskgate.db".into());
    let ledger = ledger::open(&ledger::Settings::at(location), ledger::Create::No);
    Asking::new(Arc::new(crate::usage::Usage::new(settings, Clock::Real.now())), ledger)
}

fn panel(reload: Result<(), Vec<String>>) -> Panel {
    let draining = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&draining);
    Panel {
        metrics: Arc::new(Metrics::new(Clock::Real, &[], Vocabulary::default())),
        health: Box::new(move || {
            let draining = seen.load(Ordering::Relaxed);
            Box::pin(std::future::ready(Health { listening: true, upstream: true, ledger: None, draining }))
        }),
        operations: Box::new(|| vec![row()]),
        usage: asking(),
        usage_written: Box::new(|| [Written::Nowhere, Written::Nowhere]),
        configuration: Box::new(|| "[admin]\n".to_owned()),
        reload: Box::new(move || Box::pin(std::future::ready(reload.clone()))),
        drain: Box::new(move |begin| draining.store(begin, Ordering::Relaxed)),
    }
}

/// Sends raw bytes to a panel on a real socket, and reads until it closes.
async fn talk(panel: Panel, request: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::select! {
        () = serve(listener, Arc::new(panel), std::future::pending()) => panic!("the listener ended"),
        read = stream.read_to_string(&mut answer) => read.unwrap(),
    };
    answer
}

async fn ask(request: &str) -> String {
    let request = format!("{request}\r\nhost: 127.0.0.1:9180\r\nconnection: close\r\n\r\n");
    talk(panel(Ok(())), &request).await
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn each_page_is_there() {
    run(async {
        for (path, kind, part) in [
            ("/", "text/html; charset=utf-8", "create_<wbr>&lt;b&gt;"),
            ("/operations/create_%3Cb%3E", "text/html; charset=utf-8", "create_<wbr>&lt;b&gt;"),
            ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "duskgate_build_info"),
            ("/healthz", "text/plain; charset=utf-8", "ok"),
            ("/readyz", "application/json", "\"ready\": true"),
            ("/api/operations", "application/json", "\"calls\": 7"),
            ("/api/config", "application/toml; charset=utf-8", "[admin]"),
        ] {
            let answer = ask(&format!("GET {path} HTTP/1.1")).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {answer}");
            assert!(answer.contains(&format!("content-type: {kind}\r\n")), "{path}: {answer}");
            assert!(answer.contains(part), "{path}: {answer}");
            let head = ask(&format!("HEAD {path} HTTP/1.1")).await;
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{path}: {head}");
        }
    });
}

#[test]
fn a_page_runs_its_own_script_alone_and_loads_nothing() {
    run(async {
        for path in
            ["/", "/operations/create_%3Cb%3E", "/operations/nothing", "/consumers/basic:%3Cscript%3E"]
        {
            let answer = ask(&format!("GET {path} HTTP/1.1")).await;
            let policy = "content-security-policy: default-src 'none'; style-src 'sha256-";
            assert!(answer.contains(policy) && answer.contains("; script-src 'sha256-"), "{path}: {answer}");
            let rest = "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";
            assert!(
                answer.contains(rest) && answer.contains("referrer-policy: no-referrer\r\n"),
                "{path}: {answer}"
            );
            assert_eq!(answer.matches("<script").count(), 1, "{path}: {answer}");
            let nothing = ["href=\"javascript", " style=", " src=", "<form", " onclick="];
            assert!(nothing.iter().all(|text| !answer.contains(text)), "{path}: {answer}");
        }
    });
}

#[test]
fn without_a_ledger_the_pages_say_so_and_show_what_they_can() {
    run(async {
        for (path, status, parts) in [
            ("/", 200, &["Who calls is not known.", "create_<wbr>&lt;b&gt;", "7 calls since the start"][..]),
            ("/operations/create_%3Cb%3E", 200, &["Who calls is not known.", "/groups/{id}/users/token"]),
            ("/operations/nothing", 404, &["There is no such operation."]),
            ("/operations/%ff", 404, &["There is no such operation."]),
            ("/consumers/user:a", 503, &["Nothing is known of this consumer now."]),
            ("/api/usage", 503, &["who calls is not known: there is no ledger yet", "retry-after: 5\r\n"]),
            ("/api/usage?since=never", 400, &["since: expected days such as 30d"]),
            (
                "/api/usage?from=30d",
                400,
                &["there is no such parameter, only since, operation, consumer: from"],
            ),
        ] {
            let answer = ask(&format!("GET {path} HTTP/1.1")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
            parts.iter().for_each(|part| assert!(answer.contains(part), "{path}: no {part} in {answer}"));
        }
    });
}

#[test]
fn what_is_not_there_is_404_and_what_is_not_allowed_says_what_is() {
    run(async {
        for path in [
            "/api/calendar",
            "/metrics/",
            "/nothing",
            "/operations",
            "/operations/",
            "/consumers/",
            "/consumers",
        ] {
            let answer = ask(&format!("GET {path} HTTP/1.1")).await;
            assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{path}: {answer}");
        }
        let answer = ask("GET /reload HTTP/1.1").await;
        assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: POST\r\n"), "{answer}");
        for path in ["/metrics", "/", "/api/usage", "/operations/create_%3Cb%3E", "/consumers/user:a"] {
            let answer = ask(&format!("POST {path} HTTP/1.1")).await;
            assert!(
                answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD\r\n"),
                "{answer}"
            );
        }
    });
}

#[test]
fn a_reload_lists_every_mistake() {
    run(async {
        let answer = ask("POST /reload HTTP/1.1\r\ncontent-length: 0").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let refused = panel(Err(vec!["a.toml:1:2: unknown key".to_owned(), "a.toml:3:1: no".to_owned()]));
        let answer = talk(refused, "POST /reload HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 422 "), "{answer}");
        assert!(answer.ends_with("a.toml:1:2: unknown key\na.toml:3:1: no\n"), "{answer}");
    });
}

#[test]
fn draining_makes_it_not_ready_until_undrained() {
    run(async {
        let panel = panel(Ok(()));
        let none = HeaderMap::new();
        for (path, ready) in [("/drain", 503), ("/undrain", 200)] {
            assert_eq!(panel.answer(&Method::POST, &Uri::from_static(path), &none).await.status(), 200);
            let answer = panel.answer(&Method::GET, &Uri::from_static("/readyz"), &none).await;
            assert_eq!(answer.status(), ready);
        }
    });
}

#[test]
fn commands_from_pages_of_another_origin_are_refused() {
    run(async {
        for (header, status) in [
            ("origin: http://127.0.0.1:9180", 200),
            ("origin: http://evil.example", 403),
            ("origin: http://127.0.0.1:80", 403),
            ("origin: null", 403),
            ("sec-fetch-site: cross-site", 403),
            ("sec-fetch-site: same-origin", 200),
        ] {
            let answer = ask(&format!("POST /drain HTTP/1.1\r\n{header}")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{header}: {answer}");
        }
    });
}

#[test]
fn a_head_without_end_is_refused() {
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(HEAD_BYTES));
    let answer = run(talk(panel(Ok(())), &request));
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}
