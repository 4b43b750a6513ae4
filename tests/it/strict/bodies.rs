//! Bodies whose chunks are malformed: the backend never has a complete request.

use super::Gate;
use crate::support::backend::Backend;
use crate::support::http::Connection;
use crate::support::program::Setup;

#[tokio::test]
async fn an_endless_chunk_extension_or_trailer_is_refused() {
    let gate = Gate::new();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for endless in [format!("3;{}", "a".repeat(20_000)), format!("0\r\n{}", "X: 1\r\n".repeat(20_000))] {
        let mut connection = gate.connect(format!("{head}{endless}").as_bytes(), 16 * 1024).await;
        assert_eq!(connection.read("POST").await.status, 400);
        assert!(connection.is_closed().await);
    }
    assert!(gate.backend.requests().is_empty());
}

#[tokio::test]
async fn a_call_that_is_not_heard_to_its_end_is_neither_dressed_nor_counted() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    for mode in ["observe", "rewrite"] {
        let program = Setup::before(backend.address).deprecation(&format!("mode = {mode:?}")).start();
        let raw = "POST /api/v3/onezone/groups/g/users/token HTTP/1.1\r\nHost: a\r\n\
                   Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
        let mut connection = Connection::to(program.address()).await;
        connection.write(raw.as_bytes()).await;
        let response = connection.read("POST").await;
        assert_eq!((response.status, response.header("deprecation")), (400, None), "{mode}");
        assert_eq!(program.metric("duskgate_http_malformed_total", &[("reason", "chunk")]).await, 1.0);
        assert_eq!(program.metric("duskgate_http_requests_total", &[]).await, 0.0, "{mode}");
        assert_eq!(program.metric("duskgate_deprecated_requests_total", &[]).await, 0.0, "{mode}");
    }
}
