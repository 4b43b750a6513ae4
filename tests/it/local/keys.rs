//! The key file while the program runs: a key that is taken out ends what it issued.

use duskgate::sandbox::{self, Settings};

use super::{assert_error, id_of};
use crate::support::http::{Request, Response};
use crate::support::program::{Program, Setup};
use crate::support::proxy::local_tables_at;

#[tokio::test]
async fn a_repeat_does_not_get_a_token_whose_key_was_taken_out() {
    let settings = Settings { legacy: false, token_api: false, ..Settings::default() };
    let onezone = sandbox::start(settings).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ledger = format!("sqlite:{}/ledger.db", directory.path().display());
    let program = Setup::before(onezone.address)
        .upstream("service_token_file = \"service.token\"")
        .file("service.token", onezone.fixture.user("keeper").token.as_bytes())
        .deprecation("mode = \"rewrite\"\nfallback = [\"local\"]")
        .section(&local_tables_at(&ledger, directory.path()))
        .start();
    let issue = async |program: &Program| {
        let path = format!("/api/v3/onezone/groups/{}/users/token", onezone.fixture.group("developers").id);
        let request = Request::new("POST", &path).token(&onezone.fixture.user("anna").token);
        let response: Response = program.ask(&request.header("Idempotency-Key", "k")).await;
        assert_eq!(response.status, 200, "{response:?}");
        response.json()["token"].as_str().unwrap().to_owned()
    };
    let first = issue(&program).await;
    assert_eq!(issue(&program).await, first);

    let key = directory.path().join("duskgate.key");
    let keys = std::fs::read_to_string(&key).unwrap();
    std::fs::write(&key, format!("{}\n{keys}", "7a".repeat(32))).unwrap();
    assert_eq!(program.command("/reload").await.status, 200);
    assert_eq!(issue(&program).await, first, "both keys verify");

    std::fs::write(&key, format!("{}\n", "7a".repeat(32))).unwrap();
    assert_eq!(program.command("/reload").await.status, 200);
    let second = issue(&program).await;
    assert_ne!(second, first);
    assert_eq!(issue(&program).await, second);
    let show = |token: &str| {
        let path = format!("/api/v3/onezone/tokens/named/{}", id_of(token));
        Request::new("GET", &path).token(&onezone.fixture.user("anna").token)
    };
    assert_eq!(program.ask(&show(&second)).await.status, 200);
    assert_error(&program.ask(&show(&first)).await, 404, "notFound");
}
