//! A real browser: Chromium loads a page of nginx through a TLS listener of the real binary, in HTTP/2; the page calls a
//! deprecated operation of another origin, reads its headers, and talks over a WebSocket.

use std::io::Read as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};

use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::nginx::Nginx;
use crate::support::program::Setup;

/// A browser takes its time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// The image holds back the end of loading, and with it the printing of the page, until the script has reported.
const PAGE: &str = r#"<!DOCTYPE html>
<title>waiting</title>
<ul id="seen"></ul>
<img src="/hold">
<script>
const see = text => {
  const item = document.createElement("li");
  item.textContent = text;
  document.getElementById("seen").append(item);
};
const look = async () => {
  see("page: " + performance.getEntriesByType("navigation")[0].nextHopProtocol);
  const url = `https://api.example.com:${location.port}/api/v3/onezone/groups/g1/users/token`;
  const answer = await fetch(url, {method: "POST", headers: {"X-Auth-Token": "abc"}});
  see("call: " + answer.status + " " + (await answer.json()).token);
  for (const name of ["deprecation", "sunset", "link", "x-hidden"]) see(name + ": " + answer.headers.get(name));
  const socket = new WebSocket(`wss://${location.host}/graph_sync/gui`);
  const said = await new Promise((resolve, reject) => {
    socket.onopen = () => socket.send("hello");
    socket.onmessage = message => resolve(message.data);
    socket.onclose = socket.onerror = () => reject("the socket has ended");
  });
  see("socket: " + said);
  document.title = "done";
};
look().catch(error => see("failed: " + error)).finally(() => fetch("/report"));
</script>
"#;

#[tokio::test]
async fn a_browser_loads_a_page_reads_the_headers_of_a_deprecated_call_and_talks_over_a_websocket() {
    let (echo, report) = (echo().await, report());
    let nginx = Nginx::with(&locations(echo, report.address));
    std::fs::write(nginx.files().join("page.html"), PAGE).unwrap();
    let signed = Authority::new().sign(&["onezone.example.com", "api.example.com"]);
    let program = Setup::before(nginx.address)
        .file("cert.pem", signed.certificate.as_str())
        .file("key.pem", signed.key.as_str())
        .listener("tls = { cert_file = \"cert.pem\", key_file = \"key.pem\" }")
        .upstream("response_timeout = \"10m\"")
        .deprecation("mode = \"observe\"\nsunset_at = 2100-01-01T00:00:00Z")
        .start();

    let url = format!("https://onezone.example.com:{}/page.html", program.address().port());
    let page = tokio::task::spawn_blocking(move || browse(&url)).await.unwrap();

    let link = "&lt;https://onedata.org/api/stable/onezone/operation/create_user_group_invite_token&gt;; \
                rel=\"deprecation\"";
    for expected in [
        "<title>done</title>",
        "<li>page: h2</li>",
        "<li>call: 200 MDAx</li>",
        "<li>deprecation: @1590969600</li>",
        "<li>sunset: Fri, 01 Jan 2100 00:00:00 GMT</li>",
        &format!("<li>link: {link}"),
        // What nobody exposes is not seen.
        "<li>x-hidden: null</li>",
        "<li>socket: hello</li>",
    ] {
        assert!(page.contains(expected), "no {expected} in {page}");
    }
    let labels = [("operation", "create_user_group_invite_token"), ("code", "200")];
    assert_eq!(
        program.metric("duskgate_deprecated_requests_total", &labels).await,
        1.0,
        "no preflight counts"
    );
}

/// What nginx does besides files.
fn locations(echo: SocketAddr, report: SocketAddr) -> String {
    format!(
        "location /api/ {{
           default_type application/json;
           add_header Access-Control-Allow-Origin * always;
           add_header Access-Control-Allow-Headers X-Auth-Token always;
           add_header X-Hidden secret;
           if ($request_method = OPTIONS) {{ return 204; }}
           return 200 '{{\"token\":\"MDAx\"}}';
         }}
         location /graph_sync/ {{
           proxy_pass http://{echo};
           proxy_http_version 1.1;
           proxy_set_header Upgrade $http_upgrade;
           proxy_set_header Connection upgrade;
         }}
         location ~ ^/(hold|report)$ {{ proxy_pass http://{report}; proxy_read_timeout 600s; }}"
    )
}

/// A server of WebSockets that says again what it is told.
async fn echo() -> SocketAddr {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() {
                    socket.send(message).await.unwrap();
                }
            }
        }
    });
    address
}

/// A backend that answers `/hold` when it has been asked for `/report`.
fn report() -> Backend {
    let reported = Arc::new((Mutex::new(false), Condvar::new()));
    Backend::with(move |request| {
        let (flag, changed) = &*reported;
        let mut flag = flag.lock().unwrap();
        if request.line.contains("/report") {
            *flag = true;
            changed.notify_all();
        }
        drop(changed.wait_timeout_while(flag, PATIENCE, |is_reported| !*is_reported).unwrap());
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
    })
}

/// The page as it is when it has loaded.
fn browse(url: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-extensions"])
        .args(["--no-proxy-server", "--ignore-certificate-errors"])
        .arg("--host-resolver-rules=MAP *.example.com 127.0.0.1")
        .arg(format!("--user-data-dir={}", home.path().join("profile").display()))
        .args(["--dump-dom", url])
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromium is installed (Debian package chromium)");
    let mut stdout = child.stdout.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut page = Vec::new();
        let _ = stdout.read_to_end(&mut page);
        String::from_utf8_lossy(&page).into_owned()
    });
    end(&mut child);
    reading.join().unwrap()
}

fn end(child: &mut Child) {
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("chromium has not ended after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
