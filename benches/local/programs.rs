//! Duskgate in mode `local` and a backend that lets everybody invite.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use duskgate::token::key_file;

use crate::support::{self, Duskgate, OTHERS};

/// Both; they stop when this is dropped.
pub struct Programs {
    started: support::Programs,
    duskgate: Duskgate,
    token: String,
}

impl Programs {
    /// Starts them, for callers with this access token.
    pub fn start(token: &str) -> Result<Self, String> {
        let parent = std::env::var_os("BENCH_DIRECTORY").map_or_else(|| PathBuf::from("."), PathBuf::from);
        let mut started = support::Programs::within(&parent)?;
        let backend = support::free_address()?;
        let servers = format!(
            "server {{ listen {backend} backlog=8192; default_type application/json;\n\
             location ~ /privileges$ {{ return 200 '{{\"privileges\":[\"group_add_user\",\"group_view\"]}}'; }}\n\
             location / {{ return 200 '{{\"groupId\":\"g\",\"name\":\"developers\"}}'; }} }}"
        );
        started.start_nginx("backend", OTHERS, &servers)?;
        key_file::create(&started.path("duskgate.key")).map_err(|error| error.to_string())?;
        started.write("service.token", "service")?;
        let duskgate = started.start_duskgate(&format!(
            "[log]\naccess = \"off\"\n\
             [upstream]\nservers = [\"http://{backend}\"]\nmax_requests = 1000000\nidle_timeout = \"600s\"\n\
             name_cache = \"1h\"\nservice_token_file = \"service.token\"\n\
             [deprecation]\ndeprecated_at = 2020-06-01T00:00:00Z\nmode = \"local\"\n\
             [ledger]\nurl = \"sqlite:duskgate.db\"\ntimeout = \"60s\"\n\
             [local]\nonezone_domain = \"onezone.example.org\"\nkey_file = \"duskgate.key\"\n"
        ))?;
        Ok(Programs { started, duskgate, token: token.to_owned() })
    }

    /// The CPU time that Duskgate's threads have had.
    pub fn cpu_nanoseconds(&self) -> Result<u64, String> {
        support::cpu_nanoseconds(self.duskgate.pid)
    }

    /// How many requests Duskgate has made of the backend.
    pub fn asked(&self) -> Result<u64, String> {
        let scrape = || {
            let mut stream = TcpStream::connect(self.duskgate.admin)?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            std::io::Result::Ok(text)
        };
        let text = scrape().map_err(|error| format!("no metrics: {error}"))?;
        let counts = text
            .lines()
            .filter_map(|line| line.strip_prefix("duskgate_upstream_request_duration_seconds_count"));
        Ok(counts.filter_map(|rest| rest.rsplit(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// Loads a path and says how many requests were answered.
    pub fn load(&self, method: &str, path: &str, seconds: usize, connections: usize) -> Result<u64, String> {
        let script = self.started.write("method.lua", &format!("wrk.method = \"{method}\"\n"))?;
        let script = script.display().to_string();
        let token = format!("X-Auth-Token: {}", self.token);
        let url = format!("http://{}{path}", self.duskgate.listener);
        support::load(&url, seconds, connections, &["-s", &script, "--timeout", "10s", "-H", &token])
    }
}
