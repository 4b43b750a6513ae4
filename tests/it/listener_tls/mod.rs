//! TLS on the listeners, with real peers: `openssl s_client`, curl, and clients of our own.

mod certificates;
mod handshakes;
mod idle;
mod traffic;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::ClientConfig;

use crate::support::authority::{Authority, Signed};
use crate::support::http::Connection;
use crate::support::program::{Program, Setup};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: onezone.example.com\r\nConnection: close\r\n\r\n";
/// The name that most certificates are for.
const NAME: &str = "onezone.example.com";

/// A proxy whose listeners show this certificate; what `openssl` and curl trust lies beside its configuration.
fn showing(setup: Setup, authority: &Authority, signed: &Signed) -> Setup {
    pair(setup, "", signed)
        .file("ca.pem", authority.pem.as_str())
        .listener("tls = { cert_file = \"cert.pem\", key_file = \"key.pem\" }")
}

/// The files of a certificate.
fn pair(setup: Setup, prefix: &str, signed: &Signed) -> Setup {
    setup
        .file(&format!("{prefix}cert.pem"), signed.certificate.as_str())
        .file(&format!("{prefix}key.pem"), signed.key.as_str())
}

/// A connection to the first listener.
async fn connect(program: &Program, config: &Arc<ClientConfig>) -> Connection {
    Connection::secure(program.address(), NAME, config).await.expect("a TLS connection")
}

fn client(authority: &Authority) -> Arc<ClientConfig> {
    Arc::new(authority.client())
}

/// What `openssl s_client` says of the first listener, with these options; it sends `input`.
fn s_client(program: &Program, options: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-ign_eof", "-CAfile", "ca.pem", "-connect", &program.address().to_string()])
        .args(options)
        .current_dir(program.directory())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed (Debian package openssl)");
    // Where the handshake fails, nobody reads it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
}
