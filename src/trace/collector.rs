//! The collector: one connection to it, kept while it lasts, over which bodies are posted one after the other. It is no
//! server of `upstream`: whatever is wrong with it is no matter of requests.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Endpoint, Settings};

/// From the attempt to connect to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// An answer says little.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Where bodies are posted.
pub(super) struct Collector {
    endpoint: Endpoint,
    tls: Option<TlsConnector>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// Why a body was not taken.
pub(super) enum Refused {
    /// There was no answer.
    Away(String),
    /// There was one, and no success.
    Status { status: u16, retry_after: Option<Duration> },
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.endpoint, f)
    }
}

impl Collector {
    pub fn new(settings: &Settings) -> io::Result<Self> {
        let tls = settings.endpoint.https.then(|| tls(settings.roots.clone())).transpose();
        let tls = tls.map_err(io::Error::other)?;
        Ok(Collector { endpoint: settings.endpoint.clone(), tls, connection: None })
    }

    /// Posts a body; returns that of the answer.
    pub async fn post(&mut self, body: Bytes) -> Result<Bytes, Refused> {
        let connection = self.connection.take();
        match tokio::time::timeout(TIMEOUT, self.exchange(connection, body)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Refused::Away("it does not answer in time".to_owned())),
        }
    }

    async fn exchange(
        &mut self,
        connection: Option<SendRequest<Full<Bytes>>>,
        body: Bytes,
    ) -> Result<Bytes, Refused> {
        let away = |error: &dyn fmt::Display| Refused::Away(error.to_string());
        let mut connection = match connection.filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => self.connect().await.map_err(|error| away(&error))?,
        };
        connection.ready().await.map_err(|error| away(&error))?;
        let request = self.request(body);
        let response = connection.send_request(request).await.map_err(|error| away(&error))?;
        if !response.status().is_success() {
            return Err(refused(&response));
        }
        let answer = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
        let answer = answer.map_err(|error| away(&error))?.to_bytes();
        self.connection = Some(connection);
        Ok(answer)
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let request = Request::post(format!("{}/v1/traces", self.endpoint.path))
            .header(HOST, self.endpoint.authority())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("duskgate/", env!("CARGO_PKG_VERSION")));
        request.body(Full::new(body)).expect("this cannot fail because the endpoint was checked at load")
    }

    async fn connect(&self) -> io::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect((self.endpoint.host.as_str(), self.endpoint.port)).await?;
        match &self.tls {
            None => speak(stream).await,
            Some(tls) => {
                let name = ServerName::try_from(self.endpoint.host.clone()).map_err(io::Error::other)?;
                speak(tls.connect(name, stream).await?).await
            }
        }
    }
}

/// Speaks HTTP on a stream, in a task that ends with it.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> io::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        // What goes wrong is told to who has sent something.
        let _ = connection.await;
    });
    Ok(sender)
}

fn refused(response: &Response<Incoming>) -> Refused {
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    Refused::Status { status: response.status().as_u16(), retry_after }
}

fn tls(roots: Option<Arc<RootCertStore>>) -> Result<TlsConnector, rustls::Error> {
    let roots = roots.unwrap_or_else(|| {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(store)
    });
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Endpoint {
    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{host}:{}", self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.https { "https" } else { "http" }, self.authority(), self.path)
    }
}
