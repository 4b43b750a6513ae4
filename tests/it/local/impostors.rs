//! Who calls is whom the backend sees: a credential that does not get there, or that is forged, makes nobody of its
//! caller, and nothing is asked with the service token in its name.

use duskgate::token::{Caveat, Identifier, Persistence, Subject, Token, Type};

use super::{World, assert_error};
use crate::support::http::ask;

/// A token that says it is this user's, signed by nobody who may.
fn forged(user: &str, caveats: &[Caveat]) -> String {
    let id = Identifier {
        version: 2,
        persistence: Persistence::Named,
        subject: Some(Subject::User(user.to_owned())),
        kind: Type::Access { session: None },
        id: "0123456789abcdef0123456789abcdef".to_owned(),
    };
    Token::mint("onezone.example.com", id, caveats.to_vec(), b"nobody's secret").unwrap().serialize()
}

#[tokio::test]
async fn a_credential_that_ends_here_makes_nobody_of_its_caller() {
    let world = World::new().await;
    let anna = &world.fixture().user("anna");
    let everything = Caveat::parse(b"api = all/all/*.*.*:*");
    let genuine = anna.token.clone();
    for token in [forged(&anna.id, &[]), forged(&anna.id, &[everything]), genuine] {
        for (name, value) in [
            ("x-auth-token", token.clone()),
            ("macaroon", token.clone()),
            ("authorization", format!("Bearer {token}")),
        ] {
            let request = world.request("", "POST", &world.group_route());
            let request = request.header(name, &value).header("connection", &format!("keep-alive, {name}"));
            let response = ask(world.address(), &request).await;
            assert_error(&response, 401, "unauthorized");
            assert!(response.json()["error"]["details"]["authError"].is_null(), "{name}: {response:?}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_forged_credential_is_refused() {
    let world = World::new().await;
    let anna = &world.fixture().user("anna").id;
    let confined = Caveat::parse(b"api = all/all/*.*.*:*");
    for caveats in [vec![], vec![confined]] {
        let request = world.request("", "POST", &world.group_route()).token(&forged(anna, &caveats));
        let response = ask(world.address(), &request).await;
        assert_error(&response, 401, "unauthorized");
        assert!(response.json()["error"]["details"]["authError"].is_object(), "{response:?}");
    }
    world.stop().await;
}
