//! What is PostgreSQL's own: a server that stops, restarts, or does not answer, and who may connect to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use duskgate::ledger::{self, Away, Commit, Create, Filter, Issue, Location, Settings, Store, Usage};
use futures_util::future::join_all;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::world::{World, at, ids, issue, issue_reserved, reserve_fresh, run, token, usage};
use crate::support::cutter::Cutter;
use crate::support::postgres::{self, PASSWORD, Server};
use crate::support::program::Setup;

/// A server that this test may stop.
async fn own() -> World {
    let server = Arc::new(Server::start());
    let place = server.new_place().await;
    World::Postgres { server, place }
}

fn server(world: &World) -> (&Server, &str) {
    match world {
        World::Postgres { server, place } => (server, place),
        World::Sqlite(_) => panic!("a world of PostgreSQL"),
    }
}

#[test]
fn a_server_that_restarted_is_not_noticed() {
    run(async {
        let world = own().await;
        let ledger = world.open();
        issue(&*ledger, "a").await;
        reserve_fresh(&*ledger, "a", "user:ben", 1).await;
        // Some that lie idle.
        join_all((0..8).map(|_| ledger.get("a"))).await;
        server(&world).0.restart();
        issue(&*ledger, "b").await;
        server(&world).0.restart();
        assert_eq!(ids(&ledger.list(&Filter::default()).await.unwrap().tokens), ["a", "b"]);
    });
}

#[test]
fn a_server_that_is_down_is_away_until_it_is_back() {
    run(async {
        let world = own().await;
        let ledger = world.open();
        issue(&*ledger, "a").await;
        let (server, _) = server(&world);
        server.stop();
        for _ in 0..2 {
            let away = ledger.issue(&token("b")).await.unwrap_err();
            assert!(matches!(away, Away::Postgres(_)), "{away:?}");
            assert!(!away.for_good());
            let said = away.to_string();
            assert!(said.starts_with("the data base cannot be reached: "), "{said}");
            assert!(ledger.check().await.is_err());
        }
        let other = world.open();
        assert!(other.check().await.is_err(), "nor does opening wait for it");
        server.restart();
        for ledger in [ledger, other] {
            issue(&*ledger, "b").await;
            assert_eq!(ids(&ledger.list(&Filter::default()).await.unwrap().tokens), ["a", "b"]);
        }
    });
}

#[test]
fn what_was_recorded_amid_restarts_is_there() {
    run(async {
        let world = own().await;
        let ledger = world.open();
        ledger.check().await.unwrap();
        let server = Arc::clone(match &world {
            World::Postgres { server, .. } => server,
            World::Sqlite(_) => panic!("a world of PostgreSQL"),
        });
        let restarts = std::thread::spawn(move || (0..3).for_each(|_| server.restart()));
        let caller = |number: usize| {
            let (ledger, restarts) = (&ledger, &restarts);
            async move {
                let mut recorded = Vec::new();
                for count in 0.. {
                    let id = format!("{number}-{count}");
                    if let Ok(Issue::Recorded) = ledger.issue(&token(&id)).await {
                        recorded.push(id);
                    }
                    if restarts.is_finished() {
                        break;
                    }
                }
                recorded
            }
        };
        let recorded: Vec<_> = join_all((0..16).map(caller)).await.concat();
        assert!(!recorded.is_empty());
        for id in &recorded {
            assert!(ledger.get(id).await.unwrap().is_some(), "{id} of {} is lost", recorded.len());
        }
    });
}

#[test]
fn a_server_that_does_not_answer_is_away_in_time() {
    run(async {
        let world = World::postgres().await;
        issue(&*world.open(), "a").await;
        let settings = Settings { timeout: Duration::from_millis(300), ..world.settings() };
        let ledger = ledger::open(&settings, Create::Yes);
        let (server, place) = server(&world);
        let other = server.connect(place).await;
        other.batch_execute("BEGIN; LOCK TABLE duskgate_tokens").await.unwrap();
        for answer in join_all((0..20).map(|_| ledger.get("a"))).await {
            let away = answer.unwrap_err();
            assert!(matches!(away, Away::Slow), "{away:?}");
        }
        other.batch_execute("ROLLBACK").await.unwrap();
        let ledger = world.open();
        assert_eq!(usage(&*ledger, "a").await, token("a").usage);
    });
}

#[test]
fn to_look_at_a_data_base_creates_no_ledger() {
    run(async {
        let world = World::postgres().await;
        let ledger = ledger::open(&world.settings(), Create::No);
        let away = ledger.list(&Filter::default()).await.unwrap_err();
        assert!(matches!(away, Away::Missing(_)), "{away:?}");
        let (server, place) = server(&world);
        let sql = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema";
        let tables = server.connect(place).await.query_one(sql, &[]).await.unwrap();
        assert_eq!(tables.get::<_, i64>(0), 0);
    });
}

/// A ledger through the server's port, where it asks for a password and offers TLS.
fn by_port(world: &World, password: &str, certificate: Option<&str>, options: &str) -> Arc<dyn Store> {
    let (server, place) = server(world);
    let url = format!("{}&{options}", server.url_by_port(place));
    let Ok(Location::Postgres(server)) = Location::parse(&url, Path::new("")) else { panic!("{url}") };
    let mut server = *server;
    if let Some(certificate) = certificate {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
        server = server.with_roots(Arc::new(roots));
    }
    let location = Location::Postgres(Box::new(server.with_password(&password.to_owned().into())));
    ledger::open(&Settings { location, ..world.settings() }, Create::Yes)
}

#[test]
fn a_password_opens_the_ledger_and_is_never_said() {
    run(async {
        let world = World::postgres().await;
        by_port(&world, PASSWORD, None, "sslmode=disable").check().await.unwrap();
        let away = by_port(&world, "wrong-secret", None, "sslmode=disable").check().await.unwrap_err();
        let said = away.to_string();
        assert_eq!(said, "the data base refused: password authentication failed for user \"duskgate\"");
        assert!(!format!("{away:?}").contains("wrong-secret"));
    });
}

#[test]
fn a_server_behind_tls_must_show_a_certificate_that_is_trusted() {
    run(async {
        let world = World::postgres().await;
        let certificate = postgres::shared().certificate.clone();
        let trusting = by_port(&world, PASSWORD, Some(&certificate), "sslmode=require");
        issue(&*trusting, "a").await;
        let doubting = by_port(&world, PASSWORD, None, "sslmode=require");
        let said = doubting.check().await.unwrap_err().to_string();
        assert!(said.starts_with("the data base cannot be reached: "), "{said}");
        assert!(said.contains("invalid peer certificate"), "{said}");
    });
}

#[test]
fn a_data_base_that_cannot_hold_every_name_is_refused() {
    run(async {
        let world = World::postgres().await;
        let (server, place) = server(&world);
        let name = format!("latin1_{place}");
        let sql = format!(
            "CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        );
        server.connect(place).await.batch_execute(&sql).await.unwrap();
        let url = server.url("public").replace("/postgres?", &format!("/{name}?"));
        let settings =
            Settings { location: Location::parse(&url, Path::new("")).unwrap(), ..world.settings() };
        for create in [Create::Yes, Create::No] {
            let away = ledger::open(&settings, create).check().await.unwrap_err();
            assert!(matches!(&away, Away::Encoding { encoding, .. } if encoding == "LATIN1"), "{away:?}");
            assert!(away.for_good());
            let said = away.to_string();
            assert!(
                said.contains(&format!("/{name}?")) && said.contains(" has the encoding LATIN1, "),
                "{said}"
            );
            assert!(
                said.ends_with("create a data base with ENCODING 'UTF8' and name it in ledger.url"),
                "{said}"
            );
        }
        let nowhere = ([127, 0, 0, 1], 1).into();
        let (code, said) = Setup::before(nowhere).section(&format!("[ledger]\nurl = {url:?}")).fail();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("has the encoding LATIN1"), "{said}");
    });
}

/// What was done before a connection was lost is not told as undone, or as somebody else's doing.
#[test]
fn a_change_whose_answer_is_lost_is_told_as_what_it_was() {
    run(async {
        let world = World::postgres().await;
        let (server, place) = server(&world);
        let cutter = Cutter::start(server.address()).await;
        let url =
            server.url_by_port(place).replace(&server.address().to_string(), &cutter.address.to_string());
        let Ok(Location::Postgres(server)) =
            Location::parse(&format!("{url}&sslmode=disable"), Path::new(""))
        else {
            panic!("{url}")
        };
        let server = Box::new(server.with_password(&PASSWORD.to_owned().into()));
        let settings = Settings { location: Location::Postgres(server), ..world.settings() };
        let ledger = ledger::open(&settings, Create::Yes);
        issue_reserved(&*ledger, "a", "user:ben", 1).await;
        cutter.cut_at("user:ben");
        assert_eq!(ledger.commit("a", "user:ben", at(2)).await.unwrap(), Commit::Done);
        assert!(cutter.has_cut());
        let used = Usage::Used { consumer: "user:ben".to_owned(), at: at(2) };
        assert_eq!(usage(&*ledger, "a").await, used);
        // What was done long before is still told so.
        cutter.cut_at("user:ben");
        assert_eq!(ledger.commit("a", "user:ben", at(3)).await.unwrap(), Commit::Before);
        assert!(cutter.has_cut());

        issue(&*ledger, "token to end").await;
        cutter.cut_at("token to end");
        assert!(ledger.delete("token to end", at(4)).await.unwrap());
        assert!(cutter.has_cut());
        cutter.cut_at("token to end");
        assert!(!ledger.delete("token to end", at(5)).await.unwrap());
        assert!(cutter.has_cut());
        cutter.cut_at("issued once");
        issue(&*ledger, "issued once").await;
        assert!(cutter.has_cut());
    });
}
