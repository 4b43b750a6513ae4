//! `duskgate demo`: the whole story on one machine, without an Onezone: the sandbox as a backend that has dropped the old
//! route, the proxy in front of it, and `curl` lines to paste.

mod local;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{NO, print};
use crate::app::{self, Running, Stop};
use crate::config::{Config, STATE_VARIABLE};
use crate::log;
use crate::sandbox::{self, Sandbox};
use local::Workshop;

/// Run the sandbox and the proxy in front of it, and prints curl lines to paste
///
/// Everything listens on free ports of the loopback interface and is gone when it stops (Ctrl-C). The sandbox is an
/// Onezone that has dropped the deprecated route; through the proxy the route still works.
#[derive(Debug, Args)]
pub struct Demo {
    /// How the deprecated route is served
    #[arg(long, value_enum, default_value_t = Mode::Rewrite)]
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Through the newer API
    Rewrite,
    /// From Duskgate's own token module: the whole life of a token
    Local,
}

/// Serves until a signal.
pub fn run(demo: Demo) -> ExitCode {
    match super::block_on(serve(demo.mode)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("error: {error:#}");
            ExitCode::from(NO)
        }
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            ExitCode::from(NO)
        }
    }
}

async fn serve(mode: Mode) -> anyhow::Result<()> {
    let stop = Stop::listen()?;
    let token_api = mode == Mode::Rewrite;
    let settings = sandbox::Settings { legacy: false, token_api, ..sandbox::Settings::default() };
    let sandbox = sandbox::start(settings).await.context("cannot start the sandbox")?;
    let workshop = Workshop::set_up()?;
    let state = [(STATE_VARIABLE.to_owned(), workshop.path().display().to_string())];
    let config = Config::read(&workshop.file(), &configuration(&sandbox, mode, &workshop)?, state)?;
    let access = log::install(&config.log);
    let running = app::start(config, None, access).await?;
    let story = match mode {
        Mode::Rewrite => tell(&sandbox, &running).await,
        Mode::Local => local::tell(&sandbox, &running).await,
    };
    print(&story.context("cannot call the proxy")?);
    running.until(stop.requested()).await;
    Ok(())
}

fn configuration(sandbox: &Sandbox, mode: Mode, workshop: &Workshop) -> anyhow::Result<String> {
    let (mode, (upstream, tables)) = match mode {
        Mode::Rewrite => ("rewrite", Default::default()),
        Mode::Local => ("local", workshop.tables(&sandbox.fixture.user("keeper").token)?),
    };
    Ok(format!(
        r#"
        [[listener]]
        address = "127.0.0.1:0"
        [admin]
        address = "127.0.0.1:0"
        [limits]
        drain = "1s"
        [upstream]
        servers = ["{backend}"]
        {upstream}
        [deprecation]
        deprecated_at = 2020-06-01T00:00:00Z
        sunset_at = 2099-03-31T00:00:00Z
        documentation = "https://onedata.org/api/stable/onezone/operation/{{operation}}"
        mode = "{mode}"
        {tables}
        "#,
        backend = sandbox.url,
    ))
}

async fn tell(sandbox: &Sandbox, running: &Running) -> anyhow::Result<String> {
    let [listener, ..] = running.listeners[..] else { bail!("nothing listens") };
    let admin = running.admin;
    let inviter = sandbox.fixture.user("anna");
    let invited = sandbox.fixture.user("dan");
    let group = sandbox.fixture.group("developers");
    let path = format!("/api/v3/onezone/groups/{}/users/token", group.id);
    let token = mint(listener, &path, &inviter.token).await?;
    Ok(format!(
        r#"Duskgate is running: the proxy on http://{listener}, its admin page on http://{admin}/,
and behind it, on {backend}, an Onezone that has dropped the deprecated route.

The old route, straight at the backend: 405, it is gone there.
  curl -sS -i -X POST -H 'X-Auth-Token: {inviter}' {backend}{path}

The same call through the proxy: 200 and an invite token, with the deprecation headers.
  curl -sS -i -X POST -H 'X-Auth-Token: {inviter}' http://{listener}{path}

Joining the group with a token that was made that way a moment ago: 201 the first time, then it is used up.
  curl -sS -i -X POST -H 'X-Auth-Token: {invited}' -H 'Content-Type: application/json' -d '{{"token":"{token}"}}' http://{listener}/api/v3/onezone/user/groups/join

Who still calls what, for Prometheus:
  curl -sS http://{admin}/metrics | grep '^duskgate_deprecated_requests_total{{operation="create_user_group_invite_token"'

All deprecated operations, with their mode and phase:
  curl -sS http://{admin}/api/operations

Stop it with Ctrl-C.
"#,
        backend = sandbox.url,
        inviter = inviter.token,
        invited = invited.token,
    ))
}

/// Makes an invite token through the old route.
async fn mint(proxy: SocketAddr, path: &str, credential: &str) -> anyhow::Result<String> {
    let stream = TcpStream::connect(proxy).await?;
    let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::post(path)
        .header(header::HOST, proxy.to_string())
        .header("x-auth-token", credential)
        .body(Empty::<Bytes>::new())?;
    let response = send.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), 64 * 1024).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
    if status != StatusCode::OK {
        bail!("the old route answered {status}");
    }
    let answer: serde_json::Value = serde_json::from_slice(&body)?;
    answer["token"].as_str().map(str::to_owned).context("the answer holds no token")
}
