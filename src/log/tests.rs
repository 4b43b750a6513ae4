use super::*;

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(lock(&self.0).clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn call(consumer: &dyn std::fmt::Display) -> DeprecatedCall<'_> {
    DeprecatedCall {
        at: "2026-11-24T06:02:11.1234Z".parse().unwrap(),
        operation: "create_user_group_invite_token",
        mode: Mode::Rewrite,
        phase: Phase::Deprecated,
        consumer,
        method: &Method::POST,
        template: "/api/v3/onezone/groups/{id}/users/token",
        status: 200,
        duration: Duration::from_micros(12_345),
        peer: "[::1]:4711".parse().unwrap(),
    }
}

fn other(path: &str) -> OtherRequest<'_> {
    OtherRequest {
        at: "2026-11-24T06:02:11Z".parse().unwrap(),
        method: &Method::GET,
        path,
        status: 404,
        duration: Duration::from_millis(1),
        peer: "127.0.0.1:4711".parse().unwrap(),
    }
}

fn log(format: Format, access: Access) -> (AccessLog, Paper) {
    let paper = Paper::default();
    (AccessLog::to(Settings { format, access }, paper.clone()), paper)
}

#[test]
fn a_deprecated_call_is_one_line_of_text() {
    let (log, paper) = log(Format::Text, Access::Deprecated);
    log.deprecated(&call(&"user:9c1a"));
    log.other(&other("/not/wanted"));
    log.flush();
    assert_eq!(
        paper.text(),
        "2026-11-24T06:02:11.123Z  INFO access: operation=create_user_group_invite_token mode=rewrite \
         phase=deprecated consumer=user:9c1a method=POST path=/api/v3/onezone/groups/{id}/users/token status=200 \
         duration=0.012345 peer=[::1]:4711\n"
    );
}

#[test]
fn a_deprecated_call_is_one_json_object() {
    let (log, paper) = log(Format::Json, Access::Deprecated);
    log.deprecated(&call(&"user:9c1a"));
    log.flush();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&paper.text()).unwrap(),
        serde_json::json!({
            "timestamp": "2026-11-24T06:02:11.123Z", "level": "INFO", "target": "access",
            "operation": "create_user_group_invite_token", "mode": "rewrite", "phase": "deprecated",
            "consumer": "user:9c1a", "method": "POST", "path": "/api/v3/onezone/groups/{id}/users/token",
            "status": 200, "duration": 0.012345, "peer": "[::1]:4711",
        })
    );
}

#[test]
fn no_value_can_forge_a_line_or_a_field() {
    let evil = "a\r\nstatus=500 \"\\\u{1b}[2J\u{202e}\u{2028}\u{85}\0é";
    for format in [Format::Text, Format::Json] {
        let (log, paper) = log(format, Access::All);
        log.deprecated(&call(&evil));
        log.other(&other(evil));
        log.flush();
        let text = paper.text();
        let escaped = r#""a\r\nstatus=500 \"\\\u001b[2J\u202e\u2028\u0085\u0000é""#;
        assert_eq!(text.matches(escaped).count(), 2, "{text}");
        assert_eq!(text.chars().filter(|c| c.is_control()).count(), 2, "{text:?}");
        if format == Format::Json {
            let line = text.lines().next().unwrap();
            assert_eq!(serde_json::from_str::<serde_json::Value>(line).unwrap()["consumer"], evil);
        }
    }
}

#[test]
fn all_requests_have_a_line_only_where_that_is_wanted() {
    let (log, paper) = log(Format::Text, Access::Off);
    log.deprecated(&call(&"user:1"));
    log.other(&other("/api"));
    log.flush();
    assert_eq!(paper.text(), "");
    log.configure(Settings { format: Format::Text, access: Access::All });
    assert!(log.wants_all());
    log.other(&other("/api"));
    log.flush();
    assert_eq!(
        paper.text(),
        "2026-11-24T06:02:11.000Z  INFO access: method=GET path=/api status=404 duration=0.001000 \
         peer=127.0.0.1:4711\n"
    );
}

#[test]
fn lines_of_many_threads_are_all_written_and_whole() {
    let (log, paper) = log(Format::Json, Access::Deprecated);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..500).for_each(|_| log.deprecated(&call(&"user:1"))));
        }
    });
    log.flush();
    let text = paper.text();
    assert_eq!(text.lines().count(), 4000);
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[test]
fn lines_are_written_without_being_asked_for() {
    struct Signal(std::sync::mpsc::Sender<Vec<u8>>);
    impl Write for Signal {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    let log = AccessLog::to(Settings::default(), Signal(sender));
    log.deprecated(&call(&"user:1"));
    let written = receiver.recv_timeout(Duration::from_secs(10)).expect("the writer wrote nothing");
    assert!(written.ends_with(b"\n"));
}

#[test]
fn a_writer_that_hangs_costs_lines_and_neither_time_nor_memory() {
    struct Stuck(Arc<Mutex<()>>);
    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            drop(lock(&self.0));
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let gate = Arc::new(Mutex::new(()));
    let closed = lock(&gate);
    let log = AccessLog::to(Settings::default(), Stuck(Arc::clone(&gate)));
    let long = "x".repeat(100_000);
    (0..200).for_each(|_| log.deprecated(&call(&long)));
    assert!(lock(&log.0.waiting).lines.len() <= WAITING);
    assert!(lock(&log.0.waiting).dropped > 0);
    drop(closed);
}

#[test]
fn a_token_in_a_path_is_redacted_however_the_path_is_spelt() {
    let token = format!("MDA{}", "x0a".repeat(90));
    for path in ["//api/user/client_tokens/T", "/a/T/", "/a/%zzT", "/a/T%", "/a/opw-T/b", "/T"] {
        let seen = line::without_tokens(&path.replace('T', &token)).into_owned();
        assert!(!seen.contains("x0a") && seen.contains("<redacted>"), "{seen}");
    }
    let plain = "/api/v3/onezone/groups/bd3807c9ac0976ec1943c6293b4e8e45ch64b2/users";
    assert_eq!(line::without_tokens(plain), plain);
}
