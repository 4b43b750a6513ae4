//! A real browser, told what to do over its DevTools protocol: Chromium without a window, which notes everything that it
//! asks of the network and everything that it complains of.

#![allow(dead_code)]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// A browser takes its time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

pub struct Browser {
    socket: WebSocketStream<TcpStream>,
    session: String,
    sent: u64,
    /// What has happened since the last page was opened.
    events: Vec<Value>,
    child: Child,
    _home: TempDir,
}

impl Browser {
    /// Starts one, with an empty page.
    pub async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-extensions"])
            .args(["--no-proxy-server", "--remote-debugging-port=0", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", home.path().join("profile").display()))
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chromium is installed (Debian package chromium)");
        let stderr = child.stderr.take().unwrap();
        let (found, address) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut found = Some(found);
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("DevTools listening on ") {
                    let _ = found.take().map(|found| found.send(address.to_owned()));
                }
            }
        });
        let address = tokio::time::timeout(PATIENCE, address).await.expect("chromium starts").unwrap();
        let host = address.strip_prefix("ws://").unwrap().split('/').next().unwrap();
        let stream = TcpStream::connect(host).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(&*address, stream).await.unwrap();
        let mut browser =
            Browser { socket, session: String::new(), sent: 0, events: Vec::new(), child, _home: home };
        let target = browser.command("Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.command("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Network", "Log", "Audits", "Accessibility", "DOM"] {
            browser.command(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Sends a command and waits for its result; what happens meanwhile is noted.
    pub async fn command(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(message.to_string())).await.unwrap();
        loop {
            let message = self.receive().await;
            if message["id"] == self.sent {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    async fn receive(&mut self) -> Value {
        let message = tokio::time::timeout(PATIENCE, self.socket.next()).await;
        let message = message.expect("the browser does something").expect("the browser runs").unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    /// Waits until this has happened since the last page was opened.
    pub async fn happened(&mut self, event: &str) {
        while !self.has_happened(event) {
            let message = self.receive().await;
            self.events.push(message);
        }
    }

    /// Whether this has happened since the last page was opened.
    pub fn has_happened(&self, event: &str) -> bool {
        self.events.iter().any(|message| message["method"] == event)
    }

    /// Forgets what has happened.
    pub fn forget(&mut self) {
        self.events.clear();
    }

    /// Opens a page and waits until it has loaded.
    pub async fn open(&mut self, url: &str) {
        self.forget();
        self.command("Page.navigate", json!({"url": url})).await;
        self.happened("Page.loadEventFired").await;
    }

    /// The value of an expression on the page.
    pub async fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true});
        let result = self.command("Runtime.evaluate", parameters).await;
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// How large the window is, in CSS pixels.
    pub async fn resize(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Shows pages as on this medium, in this colour scheme.
    pub async fn show_as(&mut self, medium: &str, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.command("Emulation.setEmulatedMedia", json!({"media": medium, "features": features})).await;
    }

    /// Presses a key that moves the focus or acts: `Tab`, `Enter`.
    pub async fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            other => panic!("no such key: {other}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.command("Input.dispatchKeyEvent", event).await;
        }
    }

    /// What it has complained of since the last page was opened: errors, exceptions, what the policy of the page forbids.
    pub fn complaints(&self) -> Vec<String> {
        let is_complaint = |message: &&Value| match message["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Audits.issueAdded") => true,
            Some("Runtime.consoleAPICalled") => message["params"]["type"] == "error",
            Some("Log.entryAdded") => message["params"]["entry"]["level"] == "error",
            _ => false,
        };
        self.events.iter().filter(is_complaint).map(Value::to_string).collect()
    }

    /// Every address that it has asked for since the last page was opened.
    pub fn requests(&self) -> Vec<String> {
        let sent = self.events.iter().filter(|message| message["method"] == "Network.requestWillBeSent");
        sent.map(|message| message["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// The whole page as a picture, for whoever wants to look: `target/tmp/screenshots/NAME.png`.
    pub async fn picture(&mut self, name: &str) {
        let taken = self.command("Page.captureScreenshot", json!({"captureBeyondViewport": true})).await;
        keep(&format!("{name}.png"), &taken["data"]);
    }

    /// The page as it is printed, in the same place.
    pub async fn print(&mut self, name: &str) -> Vec<u8> {
        let printed = self.command("Page.printToPDF", json!({"preferCSSPageSize": true})).await;
        keep(&format!("{name}.pdf"), &printed["data"])
    }
}

fn keep(name: &str, data: &Value) -> Vec<u8> {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&directory).unwrap();
    let bytes = STANDARD.decode(data.as_str().unwrap()).unwrap();
    std::fs::write(directory.join(name), &bytes).unwrap();
    bytes
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
