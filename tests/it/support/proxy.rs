//! The proxy, in this process on free ports, and what its metrics say.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use duskgate::app;
use duskgate::config::Config;
use duskgate::log::{Access, AccessLog, Format, Settings};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::http::{Request, ask};

/// How to configure a proxy beyond the least.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// The backend's origin.
    pub backend: &'a str,
    /// The service token.
    pub service_token: Option<&'a str>,
    /// More lines of `[upstream]`.
    pub upstream: &'a str,
    /// The mode of `[deprecation]`.
    pub mode: &'a str,
    /// More lines of `[deprecation]`.
    pub deprecation: &'a str,
    /// Where a token module keeps its key and its ledger, if there is to be one.
    pub local: Option<&'a Path>,
    /// More tables.
    pub more: &'a str,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Setup {
            backend: "",
            service_token: None,
            upstream: "",
            mode: "rewrite",
            deprecation: "",
            local: None,
            more: "",
        }
    }
}

/// The key of every token module in the tests.
const KEY: &str = "6475736b67617465000102030405060708090a0b0c0d0e0f1011121314151617\n";

/// `[ledger]` and `[local]` for a directory, in which the key is put.
pub fn local_tables(directory: &Path) -> String {
    local_tables_at(&format!("sqlite:{}", directory.join("ledger.db").display()), directory)
}

/// The same with the ledger at another place.
pub fn local_tables_at(ledger: &str, directory: &Path) -> String {
    use std::os::unix::fs::OpenOptionsExt as _;
    let key = directory.join("duskgate.key");
    let mut file = std::fs::OpenOptions::new();
    let mut file = file.write(true).create(true).truncate(true).mode(0o600).open(&key).expect("a file");
    std::io::Write::write_all(&mut file, KEY.as_bytes()).expect("room on the disk");
    format!(
        "[ledger]\nurl = \"{ledger}\"\n[local]\nonezone_domain = \"onezone.example.com\"\nkey_file = \"{}\"\n",
        key.display(),
    )
}

/// Nothing is left in the directory of the tests.
fn state(directory: &Path) -> [(String, String); 1] {
    [("STATE_DIRECTORY".to_owned(), directory.display().to_string())]
}

/// A running proxy.
pub struct Proxy {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    _directory: TempDir,
}

impl Proxy {
    /// Starts one.
    pub async fn with(setup: Setup<'_>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let service_token = setup.service_token.map(|token| {
            std::fs::write(directory.path().join("service.token"), token).expect("a file");
            "service_token_file = \"service.token\""
        });
        let text = format!(
            r#"
            [[listener]]
            address = "127.0.0.1:0"
            [admin]
            address = "127.0.0.1:0"
            [runtime]
            threads = 1
            [limits]
            drain = "1s"
            [upstream]
            servers = ["{backend}"]
            {service_token}
            {upstream}
            [deprecation]
            deprecated_at = 2020-06-01T00:00:00Z
            mode = "{mode}"
            {deprecation}
            {local}
            {more}
            "#,
            local = setup.local.map(local_tables).unwrap_or_default(),
            backend = setup.backend,
            service_token = service_token.unwrap_or_default(),
            upstream = setup.upstream,
            mode = setup.mode,
            deprecation = setup.deprecation,
            more = setup.more,
        );
        let file = directory.path().join("duskgate.toml");
        let config = Config::read(Path::new(&file), &text, state(directory.path()))
            .unwrap_or_else(|invalid| panic!("{invalid}"));
        let access = AccessLog::to(Settings { format: Format::Text, access: Access::Off }, std::io::sink());
        let running = app::start(config, None, access).await.expect("free ports");
        let (address, admin) = (running.listeners[0], running.admin);
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(running.until(async {
            let _ = stopped.await;
        }));
        Proxy { address, admin, stop, running, _directory: directory }
    }

    /// The metrics now.
    pub async fn metrics(&self) -> Metrics {
        let response = ask(self.admin, &Request::new("GET", "/metrics")).await;
        assert_eq!(response.status, 200, "{response:?}");
        Metrics(response.text())
    }

    /// Stops it. A proxy that is not stopped ends with the process.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.running.await.expect("the proxy stops");
    }
}

/// A scrape.
pub struct Metrics(pub String);

impl Metrics {
    /// The value of each series of this metric, by its labels as they are written.
    pub fn series(&self, metric: &str) -> BTreeMap<&str, f64> {
        let lines = self.0.lines().filter_map(|line| line.strip_prefix(metric));
        let series = lines.filter_map(|rest| rest.strip_prefix('{')?.rsplit_once("} "));
        series.map(|(labels, value)| (labels, value.parse().expect("a number"))).collect()
    }

    /// The same without the zeros, as whole numbers.
    pub fn counts(&self, metric: &str) -> BTreeMap<String, u64> {
        let series = self.series(metric).into_iter().filter(|(_, value)| *value != 0.0);
        series.map(|(labels, value)| (labels.to_owned(), value as u64)).collect()
    }
}
