//! The demo of mode `local`: the whole life of a token, in front of an Onezone that has neither the old routes nor the newer
//! API for it. Key and ledger lie in a directory that is gone afterwards.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::mint;
use crate::app::Running;
use crate::sandbox::Sandbox;
use crate::token::{Token, key_file};

/// A directory that only its owner can look into, and that goes with this.
pub(super) struct Workshop(PathBuf);

impl Workshop {
    /// Makes the directory, with a key in it.
    pub fn set_up() -> anyhow::Result<Self> {
        let name = format!("duskgate-demo-{:016x}", fastrand::u64(..));
        let workshop = Workshop(std::env::temp_dir().join(name));
        DirBuilder::new().mode(0o700).create(&workshop.0).context("cannot make a directory for the demo")?;
        key_file::create(&workshop.0.join("duskgate.key"))?;
        Ok(workshop)
    }

    /// The configuration in it.
    pub fn file(&self) -> PathBuf {
        self.0.join("demo.toml")
    }

    /// What is added to the configuration, once the service token is there.
    pub fn tables(&self, service_token: &str) -> anyhow::Result<(String, String)> {
        fs::write(self.0.join("service.token"), service_token)?;
        let upstream = "service_token_file = \"service.token\"".to_owned();
        let tables = "[local]\nonezone_domain = \"onezone.example.com\"\nkey_file = \"duskgate.key\"\n";
        Ok((upstream, tables.to_owned()))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // Nothing is lost with it.
        let _ = fs::remove_dir_all(self.path());
    }
}

/// The life of a token in curl lines.
pub(super) async fn tell(sandbox: &Sandbox, running: &Running) -> anyhow::Result<String> {
    let [listener, ..] = running.listeners[..] else { bail!("nothing listens") };
    let admin = running.admin;
    let anna = &sandbox.fixture.user("anna").token;
    let [dan, inviter] = ["dan", "inviter"].map(|who| sandbox.fixture.user(who).token.as_str());
    let group = sandbox.fixture.group("developers");
    let path = format!("/api/v3/onezone/groups/{}/users/token", group.id);
    let used = mint(listener, &path, anna).await?;
    let revoked = mint(listener, &path, anna).await?;
    let proxy = format!("http://{listener}/api/v3/onezone");
    let [used_id, revoked_id] = [id_of(&used)?, id_of(&revoked)?];
    Ok(format!(
        r#"Duskgate is running in mode local: the proxy on http://{listener}, its admin page on http://{admin}/,
and behind it, on {backend}, an Onezone that has neither the deprecated routes nor the newer token API.

The old route through the proxy: 200 and a token that Duskgate issued itself, with the deprecation headers.
  curl -sS -i -X POST -H 'X-Auth-Token: {anna}' http://{listener}{path}

A token that was issued a moment ago, as its issuer sees it.
  curl -sS -H 'X-Auth-Token: {anna}' {proxy}/tokens/named/{used_id}

Whether it is good, which anybody may ask.
  curl -sS -X POST -H 'Content-Type: application/json' -d '{{"token":"{used}"}}' {proxy}/tokens/verify_invite_token

Joining the group with it: 201 the first time, after that it is used up.
  curl -sS -i -X POST -H 'X-Auth-Token: {dan}' -H 'Content-Type: application/json' -d '{{"token":"{used}"}}' {proxy}/user/groups/join

The same by somebody else: 400 inviteTokenUsageLimitReached once it was used.
  curl -sS -i -X POST -H 'X-Auth-Token: {inviter}' -H 'Content-Type: application/json' -d '{{"token":"{used}"}}' {proxy}/user/groups/join

Another token is revoked by its issuer: 204.
  curl -sS -i -X PATCH -H 'X-Auth-Token: {anna}' -H 'Content-Type: application/json' -d '{{"revoked":true}}' {proxy}/tokens/named/{revoked_id}

Joining with that one: 400 tokenRevoked.
  curl -sS -i -X POST -H 'X-Auth-Token: {inviter}' -H 'Content-Type: application/json' -d '{{"token":"{revoked}"}}' {proxy}/user/groups/join

And it is deleted: 204 the first time, 404 after that.
  curl -sS -i -X DELETE -H 'X-Auth-Token: {anna}' {proxy}/tokens/named/{revoked_id}

How many tokens were issued and used, for Prometheus:
  curl -sS http://{admin}/metrics | grep '^duskgate_tokens_.*[1-9]$'

Stop it with Ctrl-C.
"#,
        backend = sandbox.url,
    ))
}

fn id_of(token: &str) -> anyhow::Result<String> {
    Ok(Token::parse(token)?.id.id)
}
