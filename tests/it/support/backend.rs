//! Scripted backends: raw TCP, one thread a connection, so that a test says to the byte and in which order what the
//! backend does. They keep what they were sent. A script that panics fails the test: the panic is raised again when
//! the backend is dropped.

#![allow(dead_code)]

use std::any::Any;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Nothing that a script or a test waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A backend; stops when it is dropped.
pub struct Backend {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requests: Vec<Received>,
    /// How many connections were accepted, and how many of their scripts have ended.
    accepted: usize,
    ended: usize,
    streams: Vec<TcpStream>,
    panics: Vec<Box<dyn Any + Send>>,
    is_over: bool,
}

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// The request line.
    pub line: String,
    /// In order, names as they were spelled.
    pub fields: Vec<(String, String)>,
    /// Decoded if it was chunked.
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// On which connection, counted from 0.
    pub connection: usize,
}

impl Received {
    /// The values of all fields of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let matching = self.fields.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        matching.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of the only field of this name.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} more than once: {self:?}");
        all.first().copied()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The fields as `name: value`, sorted.
    pub fn sorted(&self) -> Vec<String> {
        let mut fields: Vec<String> =
            self.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        fields.sort();
        fields
    }
}

impl Backend {
    /// A backend that does this with each connection.
    pub fn new(script: impl Fn(&mut Link) + Send + Sync + 'static) -> Self {
        Backend::over(free_port(), |stream| Box::new(stream), script)
    }

    /// The same on a socket that listens already.
    pub fn on(listener: TcpListener, script: impl Fn(&mut Link) + Send + Sync + 'static) -> Self {
        Backend::over(listener, |stream| Box::new(stream), script)
    }

    /// A backend that speaks TLS.
    pub fn tls(config: ServerConfig, script: impl Fn(&mut Link) + Send + Sync + 'static) -> Self {
        let config = Arc::new(config);
        let wrap = move |stream| -> Box<dyn Wire> {
            let session = ServerConnection::new(Arc::clone(&config)).expect("a TLS session");
            Box::new(StreamOwned::new(session, stream))
        };
        Backend::over(free_port(), wrap, script)
    }

    fn over(
        listener: TcpListener,
        wrap: impl Fn(TcpStream) -> Box<dyn Wire> + Send + 'static,
        script: impl Fn(&mut Link) + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let (accepting, script) = (Arc::clone(&shared), Arc::new(script));
        std::thread::spawn(move || accept(&listener, &accepting, &wrap, &script));
        Backend { address, shared }
    }

    /// A backend that answers each request with these bytes, once it is complete.
    pub fn answering(answer: &'static str) -> Self {
        Backend::new(move |link| {
            while link.request().is_some() {
                link.send(answer);
            }
        })
    }

    /// A backend that answers each request with what this says.
    pub fn with(answer: impl Fn(&Received) -> String + Send + Sync + 'static) -> Self {
        Backend::new(move |link| {
            while let Some(request) = link.request() {
                link.send(answer(&request));
            }
        })
    }

    /// The complete requests up to now.
    pub fn requests(&self) -> Vec<Received> {
        self.state().requests.clone()
    }

    /// The only request.
    #[track_caller]
    pub fn request(&self) -> Received {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "one request: {requests:?}");
        requests[0].clone()
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.state().accepted
    }

    /// Waits until so many scripts have run to their end.
    #[track_caller]
    pub fn finished(&self, count: usize) {
        self.wait(|state| state.ended >= count);
    }

    /// Waits until there have been so many connections.
    #[track_caller]
    pub fn connected(&self, count: usize) {
        self.wait(|state| state.accepted >= count);
    }

    /// Waits until there are so many requests.
    #[track_caller]
    pub fn received(&self, count: usize) {
        self.wait(|state| state.requests.len() >= count);
    }

    #[track_caller]
    fn wait(&self, condition: impl Fn(&State) -> bool) {
        let begin = Instant::now();
        let mut state = self.state();
        while !condition(&state) {
            assert!(begin.elapsed() < PATIENCE, "the backend waits in vain: {:?}", state.requests);
            state = self.shared.changed.wait_timeout(state, Duration::from_millis(200)).unwrap().0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let panic = {
            let mut state = self.state();
            state.is_over = true;
            state.streams.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
            state.panics.pop()
        };
        // Wakes the accepting thread, which then closes its socket.
        let _ = TcpStream::connect(self.address);
        if let Some(panic) = panic
            && !std::thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

fn free_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

fn accept<S: Fn(&mut Link) + Send + Sync + 'static>(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    wrap: &dyn Fn(TcpStream) -> Box<dyn Wire>,
    script: &Arc<S>,
) {
    while let Ok((stream, _)) = listener.accept() {
        let mut state = shared.state.lock().unwrap();
        if state.is_over {
            return;
        }
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket option");
        stream.set_nodelay(true).expect("a socket option");
        let handle = stream.try_clone().expect("a handle");
        state.streams.push(stream.try_clone().expect("a handle"));
        let number = state.accepted;
        state.accepted += 1;
        shared.changed.notify_all();
        let stream = wrap(stream);
        let mut link = Link { number, stream, unread: Vec::new(), shared: Arc::clone(shared) };
        let script = Arc::clone(script);
        std::thread::spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| script(&mut link)));
            let _ = handle.shutdown(Shutdown::Both);
            let mut state = link.shared.state.lock().unwrap();
            state.ended += 1;
            if let Err(panic) = outcome
                && !state.is_over
            {
                state.panics.push(panic);
            }
            link.shared.changed.notify_all();
        });
    }
}

/// What carries the bytes.
trait Wire: Read + Write + Send {
    /// Ends this side's half, in order.
    fn finish(&mut self);

    /// The name that the client asked for, in TLS.
    fn server_name(&self) -> Option<String>;

    /// Whether a session goes on, in TLS.
    fn is_resumed(&self) -> bool;
}

impl Wire for TcpStream {
    fn finish(&mut self) {
        let _ = self.shutdown(Shutdown::Write);
    }

    fn server_name(&self) -> Option<String> {
        None
    }

    fn is_resumed(&self) -> bool {
        false
    }
}

impl Wire for StreamOwned<ServerConnection, TcpStream> {
    fn finish(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
        self.sock.finish();
    }

    fn server_name(&self) -> Option<String> {
        self.conn.server_name().map(str::to_owned)
    }

    fn is_resumed(&self) -> bool {
        self.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }
}

/// One connection, in the hands of a script. It is closed when the script ends.
pub struct Link {
    /// Which connection, counted from 0.
    pub number: usize,
    stream: Box<dyn Wire>,
    unread: Vec<u8>,
    shared: Arc<Shared>,
}

impl Link {
    /// Reads a whole request and keeps it; `None` if the connection ends before.
    pub fn request(&mut self) -> Option<Received> {
        let mut request = self.head()?;
        let length = request.field("content-length").map(|length| length.parse().expect("a length"));
        let coding = request.field("transfer-encoding").map(|coding| assert_eq!(coding, "chunked"));
        assert!(length.is_none() || coding.is_none(), "ambiguous framing: {request:?}");
        if let Some(length) = length {
            request.body = self.exactly(length)?;
        }
        if coding.is_some() {
            self.chunks(&mut request)?;
        }
        self.keep(request.clone());
        Some(request)
    }

    /// Reads the head of a request, and does not keep it.
    pub fn head(&mut self) -> Option<Received> {
        let line = self.line()?;
        Some(Received { line, fields: self.fields()?, connection: self.number, ..Received::default() })
    }

    /// Keeps a request.
    pub fn keep(&self, request: Received) {
        self.shared.state.lock().unwrap().requests.push(request);
        self.shared.changed.notify_all();
    }

    /// Reads up to and including these bytes, and returns all of them; `None` if the connection ends before.
    pub fn until(&mut self, marker: &str) -> Option<String> {
        let marker = marker.as_bytes();
        loop {
            if let Some(at) = self.unread.windows(marker.len()).position(|window| window == marker) {
                let taken: Vec<u8> = self.unread.drain(..at + marker.len()).collect();
                return Some(String::from_utf8_lossy(&taken).into_owned());
            }
            self.more()?;
        }
    }

    /// Reads so many bytes.
    pub fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.unread.len() < length {
            self.more()?;
        }
        Some(self.unread.drain(..length).collect())
    }

    /// Writes bytes. That the proxy has closed meanwhile is no failure of the script.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush());
    }

    /// Writes bytes until the proxy takes no more; says whether it took them all.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Ends this side's half.
    pub fn finish(&mut self) {
        self.stream.finish();
    }

    /// The name that the client asked for, in TLS, once it has sent something.
    pub fn server_name(&self) -> Option<String> {
        self.stream.server_name()
    }

    /// Whether the client goes on with an earlier session, in TLS, once it has sent something.
    pub fn is_resumed(&self) -> bool {
        self.stream.is_resumed()
    }

    /// Waits for the connection's end; returns what came before it.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more().is_some() {}
        std::mem::take(&mut self.unread)
    }

    fn chunks(&mut self, request: &mut Received) -> Option<()> {
        loop {
            let size = usize::from_str_radix(&self.line()?, 16).expect("a chunk size");
            if size == 0 {
                request.trailers = self.fields()?;
                return Some(());
            }
            request.body.extend(self.exactly(size)?);
            assert_eq!(self.exactly(2)?, b"\r\n", "the end of a chunk");
        }
    }

    fn fields(&mut self) -> Option<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(fields);
            }
            let (name, value) = line.split_once(": ").expect("a header field");
            fields.push((name.to_owned(), value.to_owned()));
        }
    }

    fn line(&mut self) -> Option<String> {
        let line = self.until("\r\n")?;
        Some(line.trim_end_matches("\r\n").to_owned())
    }

    /// Reads something; `None` at the end of the connection.
    fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => None,
            Ok(read) => {
                self.unread.extend_from_slice(&buffer[..read]);
                Some(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("nothing came in {PATIENCE:?}; unread: {:?}", String::from_utf8_lossy(&self.unread))
            }
            Err(_) => None,
        }
    }
}
