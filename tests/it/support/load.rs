//! Constant load: new connections and kept ones, with and without a body, in the clear or over TLS, which brings HTTP/2
//! with it, until it is stopped. What fails is remembered.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http::{Connection, Request};

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Default)]
pub struct Tally {
    /// Requests that were answered as they should be.
    pub answered: Cell<usize>,
    /// Kept connections that were told that they end.
    pub told: Cell<usize>,
    pub failed: RefCell<Vec<String>>,
    is_over: Cell<bool>,
}

/// Where the load goes.
#[derive(Clone)]
pub struct Target {
    address: SocketAddr,
    secure: Option<(String, Arc<ClientConfig>)>,
}

impl Target {
    pub fn plain(address: SocketAddr) -> Self {
        Target { address, secure: None }
    }

    /// With TLS, to the server of this name: HTTP/1.1 and HTTP/2.
    pub fn secure(address: SocketAddr, name: &str, config: ClientConfig) -> Self {
        Target { address, secure: Some((name.to_owned(), Arc::new(config))) }
    }

    async fn connect(&self) -> std::io::Result<Connection> {
        match &self.secure {
            Some((name, config)) => Connection::secure(self.address, name, config).await,
            None => Connection::try_to(self.address).await,
        }
    }

    /// A TLS connection that has agreed on HTTP/2, of which nothing is spoken yet.
    pub async fn agree_on_h2(&self) -> Result<TlsStream<TcpStream>, Box<dyn std::error::Error>> {
        let (name, config) = self.secure.as_ref().ok_or("HTTP/2 needs TLS")?;
        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(name.clone())?;
        Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
    }

    /// A connection with HTTP/2; its task ends with it.
    async fn connect_h2(&self) -> Result<h2::client::SendRequest<Bytes>, Box<dyn std::error::Error>> {
        let (requests, connection) = h2::client::handshake(self.agree_on_h2().await?).await?;
        // How it ends is seen by its requests.
        tokio::task::spawn_local(async { drop(connection.await) });
        Ok(requests)
    }
}

impl Tally {
    /// Waits until so many requests more were answered.
    pub async fn more(&self, count: usize) {
        let wanted = self.answered.get() + count;
        while self.answered.get() < wanted && self.failed.borrow().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends the load; requests under way are still waited for.
    pub fn stop(&self) {
        self.is_over.set(true);
    }

    fn fail(&self, what: String) {
        self.failed.borrow_mut().push(what);
    }
}

/// Runs `test` under load, and returns what came of it.
pub async fn under_load(target: Target, test: impl AsyncFnOnce(Rc<Tally>)) -> Rc<Tally> {
    let tally = Rc::new(Tally::default());
    let local = LocalSet::new();
    let ran = local.run_until(async {
        let mut clients = JoinSet::new();
        let get = Request::new("GET", "/some");
        let post = Request::new("POST", "/other").json("{\"a\":1}");
        for request in [get, post] {
            for keeps in [true, true, false] {
                clients.spawn_local(client(target.clone(), request.clone(), keeps, Rc::clone(&tally)));
            }
        }
        if target.secure.is_some() {
            for keeps in [true, true, false] {
                clients.spawn_local(client_h2(target.clone(), keeps, Rc::clone(&tally)));
            }
        }
        test(Rc::clone(&tally)).await;
        tally.stop();
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
    });
    ran.await;
    tally
}

async fn client(target: Target, request: Request, keeps: bool, tally: Rc<Tally>) {
    let mut kept: Option<Connection> = None;
    while !tally.is_over.get() {
        let is_new = kept.is_none();
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => match target.connect().await {
                Ok(connection) => connection,
                Err(error) => return tally.fail(format!("cannot connect: {error}")),
            },
        };
        connection.write(&request.to_bytes()).await;
        match tokio::time::timeout(PATIENCE, connection.response(&request.method)).await {
            Ok(Some(response)) if response.status == 200 => {
                tally.answered.set(tally.answered.get() + 1);
                if response.header("connection") == Some("close") {
                    tally.told.set(tally.told.get() + 1);
                } else if keeps {
                    kept = Some(connection);
                }
            }
            answer => {
                let method = &request.method;
                return tally.fail(format!("{method} on a connection that is new: {is_new}: {answer:?}"));
            }
        }
        tokio::task::yield_now().await;
    }
}

/// A client of HTTP/2, which sends four requests at once.
async fn client_h2(target: Target, keeps: bool, tally: Rc<Tally>) {
    let mut kept = None;
    while !tally.is_over.get() {
        let connection = match kept.take() {
            Some(connection) => connection,
            None => match target.connect_h2().await {
                Ok(connection) => connection,
                Err(error) => return tally.fail(format!("cannot connect with HTTP/2: {error}")),
            },
        };
        let mut exchanges = JoinSet::new();
        for method in [http::Method::GET, http::Method::POST, http::Method::GET, http::Method::POST] {
            exchanges.spawn_local(exchange(connection.clone(), method));
        }
        let mut is_over = !keeps;
        while let Some(ended) = exchanges.join_next().await {
            match ended.unwrap() {
                Ok(Some(())) => tally.answered.set(tally.answered.get() + 1),
                Ok(None) if !is_over => {
                    tally.told.set(tally.told.get() + 1);
                    is_over = true;
                }
                Ok(None) => {}
                Err(error) => return tally.fail(format!("with HTTP/2: {error}")),
            }
        }
        kept = (!is_over).then_some(connection);
        tokio::task::yield_now().await;
    }
}

/// One request; nothing, where the server has said that it goes away and has not looked at it (RFC 9113 section 6.8).
async fn exchange(
    connection: h2::client::SendRequest<Bytes>,
    method: http::Method,
) -> Result<Option<()>, Box<dyn std::error::Error>> {
    let asked = async {
        let mut connection = connection.ready().await?;
        let has_body = method == http::Method::POST;
        let request = http::Request::builder().method(method).uri("https://onezone.example.com/some");
        let (response, mut body) = connection.send_request(request.body(()).unwrap(), !has_body)?;
        if has_body {
            body.send_data(Bytes::from_static(b"{\"a\":1}"), true)?;
        }
        let mut response = response.await?;
        let mut text = Vec::new();
        while let Some(piece) = response.body_mut().data().await {
            text.extend_from_slice(&piece?);
        }
        Ok::<_, h2::Error>((response.status(), text))
    };
    match tokio::time::timeout(PATIENCE, asked).await? {
        Ok((status, text)) if status == 200 && text == b"hi" => Ok(Some(())),
        Ok((status, text)) => Err(format!("{status}: {}", String::from_utf8_lossy(&text)).into()),
        Err(error) if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
