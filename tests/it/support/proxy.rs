//! The proxy in this process, on free ports.

use std::net::SocketAddr;
use std::path::Path;

use duskgate::app::{self, Running};
use duskgate::config::Config;
use duskgate::log::{Access, AccessLog, Format, Settings};

/// The proxy. It is not stopped in order: its threads end with the test's process.
pub struct Proxy {
    /// Where its clients connect.
    pub address: SocketAddr,
    /// Where its admin listener is.
    pub admin: SocketAddr,
    _running: Running,
    _directory: tempfile::TempDir,
}

impl Proxy {
    /// Starts it in front of a backend. `more` is added to its configuration; `[upstream]` may stand in there.
    pub async fn start(backend: &str, more: &str, service_token: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut upstream = format!("[upstream]\nservers = [\"{backend}\"]\n");
        if let Some(token) = service_token {
            std::fs::write(directory.path().join("service.token"), token).unwrap();
            upstream += "service_token_file = \"service.token\"\n";
        }
        let more = match more.strip_prefix("[upstream]\n") {
            Some(rest) => format!("{upstream}{rest}"),
            None => format!("{upstream}{more}"),
        };
        let text = format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n[runtime]\nthreads = 1\n\
             [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\n{more}"
        );
        let file: &Path = &directory.path().join("duskgate.toml");
        let config = Config::read(file, &text, []).unwrap_or_else(|invalid| panic!("{invalid}"));
        let silence = Settings { format: Format::Text, access: Access::Off };
        let running = app::start(config, None, AccessLog::to(silence, std::io::sink())).await.unwrap();
        Proxy {
            address: running.listeners[0],
            admin: running.admin,
            _running: running,
            _directory: directory,
        }
    }
}
