use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const INVITE: &str = "create_user_group_invite_token";

fn watched() -> Watched {
    Watched {
        operation: INVITE.to_owned(),
        mode: Mode::Rewrite,
        mode_after_sunset: Mode::Gone,
        success: 200,
        deprecated_at: at("2020-06-01T00:00:00Z"),
        sunset_at: Some(at("2027-03-31T00:00:00Z")),
    }
}

fn metrics_at(now: &str) -> Metrics {
    let words = Vocabulary {
        malformed: &["framing", "host"],
        upstream_errors: &["unreachable", "timeout"],
        limits: &["head_bytes"],
    };
    let metrics = Metrics::new(Clock::Fixed(at(now)), &["127.0.0.1:8080".to_owned()], words);
    metrics.servers(&["https://onezone.example.org".to_owned()]);
    metrics.operations(vec![watched()]);
    metrics
}

fn metrics() -> Metrics {
    metrics_at("2026-11-24T00:00:00Z")
}

#[track_caller]
fn assert_has(text: &str, line: &str) {
    assert!(text.lines().any(|there| there == line), "no line {line:?} in\n{text}");
}

#[test]
fn what_a_dashboard_reads_is_there_before_the_first_request() {
    let text = metrics().render();
    for line in [
        r#"duskgate_http_requests_total{route="deprecated",method="POST",code="200"} 0"#,
        r#"duskgate_http_requests_total{route="other",method="GET",code="200"} 0"#,
        r#"duskgate_http_request_duration_seconds_count{route="deprecated"} 0"#,
        r#"duskgate_upstream_request_duration_seconds_count{server="https://onezone.example.org"} 0"#,
        r#"duskgate_upstream_errors_total{server="https://onezone.example.org",kind="timeout"} 0"#,
        r#"duskgate_upstream_up{server="https://onezone.example.org"} 1"#,
        r#"duskgate_connections{listener="127.0.0.1:8080"} 0"#,
        r#"duskgate_http_malformed_total{listener="127.0.0.1:8080",reason="host"} 0"#,
        r#"duskgate_limit_hits_total{limit="head_bytes"} 0"#,
        r#"duskgate_deprecated_requests_total{operation="create_user_group_invite_token",mode="rewrite",phase="deprecated",code="200"} 0"#,
        r#"duskgate_deprecated_request_duration_seconds_count{operation="create_user_group_invite_token",mode="rewrite"} 0"#,
        r#"duskgate_deprecated_last_request_timestamp_seconds{operation="create_user_group_invite_token"} 0"#,
        r#"duskgate_operation_deprecated_timestamp_seconds{operation="create_user_group_invite_token"} 1590969600"#,
        r#"duskgate_operation_sunset_timestamp_seconds{operation="create_user_group_invite_token"} 1806451200"#,
        r#"duskgate_operation_phase{operation="create_user_group_invite_token",phase="deprecated"} 1"#,
        r#"duskgate_operation_phase{operation="create_user_group_invite_token",phase="sunset"} 0"#,
        "duskgate_config_last_reload_success_timestamp_seconds 1795478400",
        "duskgate_config_last_reload_successful 1",
        r#"duskgate_deprecated_consumers{operation="create_user_group_invite_token",window="30d"} 0"#,
        r#"duskgate_deprecated_consumer_requests_total{operation="create_user_group_invite_token",consumer="other"} 0"#,
        r#"duskgate_operation_safe_to_retire{operation="create_user_group_invite_token"} 0"#,
        r#"duskgate_usage_watched_since_timestamp_seconds{operation="create_user_group_invite_token"} 0"#,
        "duskgate_usage_dropped_total 0",
    ] {
        assert_has(&text, line);
    }
    assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    assert!(text.contains("\nduskgate_build_info{version="), "{text}");
}

#[test]
fn after_the_sunset_the_series_of_gone_answers_is_there() {
    assert_has(
        &metrics_at("2027-04-01T00:00:00Z").render(),
        r#"duskgate_deprecated_requests_total{operation="create_user_group_invite_token",mode="gone",phase="sunset",code="410"} 0"#,
    );
}

#[test]
fn a_deprecated_call_is_counted_by_operation_mode_phase_and_code() {
    let metrics = metrics();
    let now = at("2026-11-24T10:00:00.5Z");
    metrics.deprecated(INVITE, Mode::Observe, Phase::Deprecated, 404, 0.002, now);
    metrics.deprecated("unheard_of", Mode::Observe, Phase::Deprecated, 404, 0.002, now);
    let text = metrics.render();
    assert_has(
        &text,
        r#"duskgate_deprecated_requests_total{operation="create_user_group_invite_token",mode="observe",phase="deprecated",code="404"} 1"#,
    );
    assert_has(
        &text,
        r#"duskgate_deprecated_last_request_timestamp_seconds{operation="create_user_group_invite_token"} 1795514400.5"#,
    );
    assert!(!text.contains("unheard_of"), "{text}");
    assert_eq!((metrics.calls(INVITE), metrics.last_call(INVITE)), (1, Some(now)));
}

#[test]
fn an_operation_stands_as_the_ledger_says_whatever_this_process_has_seen() {
    let metrics = metrics();
    let (before, now) = (at("2026-11-20T00:00:00Z"), at("2026-11-24T10:00:00Z"));
    let standing = Standing {
        consumers: [1, 2, 3],
        last_call: Some(before),
        watched_since: Some(at("2026-01-01T00:00:00.25Z")),
        is_safe: true,
    };
    metrics.standing(INVITE, standing);
    metrics.standing("unheard_of", standing);
    assert_eq!(metrics.last_call(INVITE), Some(before), "of a process before this one");
    metrics.deprecated(INVITE, Mode::Observe, Phase::Deprecated, 200, 0.1, now);
    metrics.standing(INVITE, standing);
    assert_eq!(metrics.last_call(INVITE), Some(now), "the ledger does not have it yet");
    metrics.operations(vec![watched()]);
    let name = "create_user_group_invite_token";
    let text = metrics.render();
    for line in [
        format!("duskgate_deprecated_consumers{{operation=\"{name}\",window=\"1d\"}} 1"),
        format!("duskgate_deprecated_consumers{{operation=\"{name}\",window=\"7d\"}} 2"),
        format!("duskgate_deprecated_consumers{{operation=\"{name}\",window=\"30d\"}} 3"),
        format!("duskgate_operation_safe_to_retire{{operation=\"{name}\"}} 1"),
        format!("duskgate_usage_watched_since_timestamp_seconds{{operation=\"{name}\"}} 1767225600.25"),
    ] {
        assert_has(&text, &line);
    }
    assert!(!text.contains("unheard_of"), "{text}");
    metrics.standings_unknown();
    let text = metrics.render();
    assert_has(&text, &format!("duskgate_operation_safe_to_retire{{operation=\"{name}\"}} 0"));
    assert_has(&text, &format!("duskgate_deprecated_consumers{{operation=\"{name}\",window=\"30d\"}} 3"));
}

#[test]
fn calls_are_shown_by_consumer_with_whatever_name() {
    let metrics = metrics();
    let calls = |operation: &str, consumer: &str, calls| ConsumerCalls {
        operation: operation.to_owned(),
        consumer: consumer.to_owned(),
        calls,
    };
    let consumers = vec![
        calls("a_before", "user:x", 1),
        calls(INVITE, "basic:a\"b\\c", 2),
        calls(INVITE, OTHERS, 3),
        calls("gone", "user:x", 4),
    ];
    metrics.counted(move || Counted { dropped: 7, consumers: consumers.clone() });
    let text = metrics.render();
    let series = |consumer: &str| {
        format!(
            "duskgate_deprecated_consumer_requests_total{{operation=\"{INVITE}\",consumer=\"{consumer}\"}}"
        )
    };
    assert_has(&text, &format!("{} 2", series(r#"basic:a\"b\\c"#)));
    assert_has(&text, &format!("{} 3", series("other")));
    assert_has(&text, "duskgate_usage_dropped_total 7");
    assert!(!text.contains("user:x"), "of operations that are not in force: {text}");
}

#[test]
fn counts_of_many_threads_add_up() {
    let metrics = metrics();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    metrics.request(Route::Other, &Method::GET, 200, 0.25);
                    metrics.connection_opened(0);
                }
                for _ in 0..999 {
                    metrics.connection_closed(0);
                }
            });
        }
    });
    metrics.connection_closed(0);
    let text = metrics.render();
    for line in [
        r#"duskgate_http_requests_total{route="other",method="GET",code="200"} 40000"#,
        r#"duskgate_http_request_duration_seconds_bucket{route="other",le="0.1"} 0"#,
        r#"duskgate_http_request_duration_seconds_bucket{route="other",le="0.25"} 40000"#,
        r#"duskgate_http_request_duration_seconds_bucket{route="other",le="+Inf"} 40000"#,
        r#"duskgate_http_request_duration_seconds_sum{route="other"} 10000"#,
        r#"duskgate_connections{listener="127.0.0.1:8080"} 39"#,
    ] {
        assert_has(&text, line);
    }
}

#[test]
fn no_client_makes_labels_grow() {
    let metrics = metrics();
    for number in 0..2000_u16 {
        let method = Method::from_bytes(format!("M{number}").as_bytes()).unwrap();
        metrics.request(Route::Other, &method, number, f64::from(number));
    }
    let text = metrics.render();
    assert!(!text.contains("M17"), "{text}");
    assert_eq!(text.matches(r#"method="other""#).count(), 500);
    assert_eq!(text.matches("le=").count() % 12, 0, "more than 12 buckets");
}

#[test]
fn a_reload_keeps_the_counts_and_drops_what_is_no_longer_configured() {
    let metrics = metrics();
    let handle = metrics.servers(&["https://a".to_owned(), "https://b".to_owned()])[1];
    metrics.upstream_request(handle, 0.5);
    metrics.upstream_error(handle, "timeout");
    metrics.upstream_up(handle, false);
    metrics.deprecated(INVITE, Mode::Rewrite, Phase::Deprecated, 200, 0.1, at("2026-11-24T10:00:00Z"));
    metrics.operations(vec![Watched { operation: "another".to_owned(), ..watched() }, watched()]);
    assert_eq!(metrics.servers(&["https://b".to_owned()]), [handle]);
    metrics.reload(false, at("2026-11-24T11:00:00Z"));
    let text = metrics.render();
    for line in [
        r#"duskgate_upstream_request_duration_seconds_count{server="https://b"} 1"#,
        r#"duskgate_upstream_errors_total{server="https://b",kind="timeout"} 1"#,
        r#"duskgate_upstream_errors_total{server="https://b",kind="unreachable"} 0"#,
        r#"duskgate_upstream_up{server="https://b"} 0"#,
        r#"duskgate_deprecated_requests_total{operation="create_user_group_invite_token",mode="rewrite",phase="deprecated",code="200"} 1"#,
        r#"duskgate_operation_phase{operation="another",phase="deprecated"} 1"#,
        "duskgate_config_last_reload_success_timestamp_seconds 1795478400",
        "duskgate_config_last_reload_successful 0",
    ] {
        assert_has(&text, line);
    }
    assert!(!text.contains("https://a"), "{text}");
}

#[test]
fn no_series_appears_twice() {
    let metrics = metrics();
    let handle = metrics.servers(&["https://a".to_owned(), "https://a".to_owned()])[0];
    metrics.upstream_error(handle, "timeout");
    metrics.request(Route::Other, &Method::GET, 200, 0.1);
    let text = metrics.render();
    let mut series: Vec<_> =
        text.lines().filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name).collect();
    series.retain(|name| !name.starts_with('#'));
    series.sort();
    let all = series.len();
    series.dedup();
    assert_eq!(series.len(), all, "{text}");
}

#[test]
fn promtool_finds_nothing_to_lint_where_it_is_installed() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let spawned = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = spawned else { return };
    let text = metrics().render();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
        "{}{}{text}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
