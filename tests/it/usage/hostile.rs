//! A client that makes up who it is, with what and from where, for each request anew. It fills neither the ledger nor the
//! metrics nor the memory, and takes nothing away from those who are who they say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use duskgate::sandbox::Sandbox;
use duskgate::token::{Identifier, Persistence, Subject, Token, Type};

use super::{call, calls, ledger_of, onezone, recorded, used};
use crate::support::http::{Connection, Request};
use crate::support::program::{Program, Setup};

/// How many identities are made up, unless `HOSTILE_IDENTITIES` says otherwise.
const IDENTITIES: u64 = 3000;
/// How many of them are told apart.
const TOLD_APART: i64 = 50;
/// How often somebody real calls among them.
const REAL: u64 = 30;

/// A call as nobody in particular: with a token that looks like one, or a name and a password; always by another client
/// software from another network.
fn invented(onezone: &Sandbox, number: u64) -> Request {
    let group = &onezone.fixture.group("developers").id;
    let request = Request::new("POST", &format!("/api/v3/onezone/groups/{group}/users/token"));
    let request = if number.is_multiple_of(2) {
        let subject = Subject::User(format!("{number:032x}ch0000"));
        let id = Identifier::new(Persistence::Named, subject, Type::ACCESS, "0123456789abcdef");
        let token = Token::mint("onezone.example.org", id, Vec::new(), &number.to_be_bytes()).unwrap();
        request.token(&token.serialize())
    } else {
        request.header("Authorization", &format!("Basic {}", STANDARD.encode(format!("user-{number}:x"))))
    };
    elsewhere(request, number)
}

/// The same with other client software from another network.
fn elsewhere(request: Request, number: u64) -> Request {
    let [.., c, b, a] = number.to_be_bytes();
    let from = if number.is_multiple_of(3) {
        format!("2001:db8:{a:x}{b:02x}::1")
    } else {
        format!("10.{c}.{a}.{b}")
    };
    request.header("X-Forwarded-For", &from).header("User-Agent", &format!("bot-{number}/{number}.0"))
}

async fn ask(program: &Program, connection: &mut Connection, request: &Request) -> u16 {
    let response = connection.ask(request).await;
    if response.header("connection") == Some("close") {
        *connection = Connection::to(program.address()).await;
    }
    response.status
}

#[tokio::test]
async fn who_invents_identities_fills_nothing_where_calls_are_passed_on() {
    who_invents_identities_fills_nothing("observe").await;
}

#[tokio::test]
async fn who_invents_identities_fills_nothing_where_calls_are_rewritten() {
    who_invents_identities_fills_nothing("rewrite").await;
}

async fn who_invents_identities_fills_nothing(mode: &str) {
    let identities = std::env::var("HOSTILE_IDENTITIES").map_or(IDENTITIES, |text| text.parse().unwrap());
    let is_real_turn = |number: u64| number % (identities / (REAL - 1)) == 1;
    let onezone = onezone().await;
    let limits =
        format!("[usage]\nclaimed_consumers = {TOLD_APART}\nconsumer_series = 20\n[log]\naccess = \"off\"");
    let setup = Setup::before(onezone.address)
        .deprecation(&format!("mode = {mode:?}"))
        .listener("trusted_proxies = [\"127.0.0.0/8\"]")
        .section(&limits);
    let mut program = setup.start();
    let mut connection = Connection::to(program.address()).await;
    let real = call(&onezone, "anna");
    assert_eq!(ask(&program, &mut connection, &real).await, 200);
    recorded(&*ledger_of(&program), 1).await;
    let series = program.admin("/metrics").await.text().lines().count();
    let memory = program.metric("process_resident_memory_bytes", &[]).await;

    // One that gives the same name again and again.
    for number in 0..100 {
        let again = Request::new("POST", &real.target).token("garbage");
        assert_eq!(ask(&program, &mut connection, &elsewhere(again, number)).await, 401);
    }
    for number in 0..identities {
        assert_eq!(ask(&program, &mut connection, &invented(&onezone, number)).await, 401);
        if is_real_turn(number) {
            let real = Request::new("POST", &real.target).token(&onezone.fixture.user("anna").token);
            assert_eq!(ask(&program, &mut connection, &elsewhere(real, number)).await, 200);
        }
    }
    let real_calls = 1 + (0..identities).filter(|number| is_real_turn(*number)).count() as u64;
    let text = program.admin("/metrics").await.text();
    // Series of answers with another code, that of anna, and no others.
    assert!(text.lines().count() < series + 10, "{text}");
    assert!(!text.contains("bot-") && !text.contains("basic:") && !text.contains("ch0000"), "{text}");
    let by_consumer = "duskgate_deprecated_consumer_requests_total";
    let anna = format!("user:{}", onezone.fixture.user("anna").id);
    assert_eq!(program.metric(by_consumer, &[("consumer", &anna)]).await, real_calls as f64);
    assert_eq!(program.metric(by_consumer, &[("consumer", "other")]).await, (identities + 100) as f64);
    let grown = program.metric("process_resident_memory_bytes", &[]).await - memory;
    assert!(grown < f64::from(32 << 20), "{grown} bytes more");
    eprintln!("{identities} identities: {} KiB of memory more", grown / 1024.0);

    program.signal("TERM");
    assert!(program.ended().success());
    let used = used(&*ledger_of(&program)).await;
    assert_eq!(calls(&used), identities + 100 + real_calls);
    let verified: Vec<_> = used.iter().filter(|used| used.verified).collect();
    assert!(verified.iter().all(|used| used.consumer == anna), "{verified:?}");
    assert_eq!(verified.iter().map(|used| used.since.success).sum::<u64>(), real_calls);
    let ledger = rusqlite::Connection::open(program.directory().join("duskgate.db")).unwrap();
    let count = |sql: &str| ledger.query_one(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    // One, unless it is midnight.
    let days = count("SELECT COUNT(DISTINCT day) FROM usage_calls");
    let verified = count("SELECT COUNT(*) FROM usage_calls WHERE verified");
    assert!(verified <= days * 17, "{verified} rows of anna");
    // Whoever is told apart may have four combinations of software and network, and one for all others.
    let claimed = count("SELECT COUNT(*) FROM usage_calls WHERE NOT verified");
    assert!(claimed <= days * (TOLD_APART + 4 + 1), "{claimed} rows of who proves nothing");
    let names = count("SELECT COUNT(*) FROM usage_names");
    assert!(names <= days * 3 * (TOLD_APART + 4 + 17) + 5, "{names} names");
}
