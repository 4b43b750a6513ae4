//! One stream: a request, the handler, and the answer on its way out, in a task of its own.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Body as _;

use super::guard::Sight;
use super::incoming::{Failure, Fate};
use super::watch::Finding;
use super::{Shared, request};
use crate::body::Body;
use crate::http1::{Framing, Interim};
use crate::listen::answer::{date, frame};
use crate::listen::refusal::Refusal;
use crate::listen::{Handler, Limits, Peer};
use crate::timer::Deadline;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Serves one request.
pub(super) async fn serve<H: Handler>(
    shared: Arc<Shared<H>>,
    limits: Arc<Limits>,
    sight: Sight,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let id = u32::from(respond.stream_id());
    let fate = Fate::new(id, sight.clone());
    let method = request.method().clone();
    // What h2 has let pass for lack of seeing it.
    let finding = sight.look().finding(id);
    if let Some(Finding { word, is_told, .. }) = finding {
        return refuse(&shared, respond, Refusal::malformed(word), !is_told);
    }
    let request = match request::of(request, &limits, &fate) {
        Ok(request) => request,
        Err(refused) => return refuse(&shared, respond, refused.into(), true),
    };
    let _place = tokio::select! {
        biased;
        place = shared.place() => match place {
            Some(place) => place,
            None => {
                shared.gate.metrics.limit_hit("file_handles");
                // The client may send it again (RFC 9113 section 8.7).
                return respond.send_reset(Reason::REFUSED_STREAM);
            }
        },
        _ = std::future::poll_fn(|cx| respond.poll_reset(cx)) => return,
    };
    let mut peer = shared.peer.of_request(request.headers());
    peer.interim = Interim::kept();
    let Some(response) = handle(&*shared.handler, request, &peer, &mut respond).await else { return };
    match fate.failure() {
        None => {}
        Some(Failure::Closed) => return,
        Some(Failure::Stalled) => return refuse(&shared, respond, Refusal::late("client_stall"), true),
        Some(Failure::Malformed) => {
            sight.look().find(id, "trailer");
            return respond.send_reset(Reason::PROTOCOL_ERROR);
        }
    }
    if let Some((stream, body)) = begin(respond, response, &method) {
        let mut answer = Answer::new(stream, body);
        if answer.send(limits.client_stall).await == Err(Broken::Stalled) {
            shared.gate.metrics.limit_hit("client_stall");
        }
    }
}

/// Runs the handler; `None` when the client took the request back, or is gone.
async fn handle<H: Handler>(
    handler: &H,
    request: Request<Body>,
    peer: &Peer,
    respond: &mut SendResponse<Bytes>,
) -> Option<Response<Body>> {
    let mut answering = pin!(handler.handle(request, peer));
    std::future::poll_fn(|cx| {
        let answer = answering.as_mut().poll(cx);
        for (status, headers) in peer.interim.take_kept() {
            let mut interim = Response::new(());
            *interim.status_mut() = status;
            *interim.headers_mut() = headers;
            strip(interim.headers_mut());
            // A stream that is gone says so below.
            let _ = respond.send_informational(interim);
        }
        match answer {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => respond.poll_reset(cx).map(|_| None),
        }
    })
    .await
}

/// Answers what is no request, without a body.
fn refuse<H>(shared: &Shared<H>, respond: SendResponse<Bytes>, refusal: Refusal, counts: bool) {
    if counts {
        refusal.count(&shared.gate.metrics, shared.peer.listener);
    }
    let mut response = Response::new(Body::Full(Bytes::new()));
    *response.status_mut() = refusal.status();
    // An unread body is given up with a reset that is no error, once both handles are gone (RFC 9113 section 8.1).
    begin(respond, response, &Method::GET);
}

/// Sends the head of an answer; what is left to be sent, if anything.
fn begin(
    mut respond: SendResponse<Bytes>,
    response: Response<Body>,
    method: &Method,
) -> Option<(SendStream<Bytes>, Body)> {
    let (mut parts, body) = response.into_parts();
    if parts.status.is_informational() {
        // A handler may not end so; a switch of protocols is offered to nobody here.
        respond.send_reset(Reason::INTERNAL_ERROR);
        return None;
    }
    let (framing, body) = frame(method, parts.status, &mut parts.headers, body, true);
    strip(&mut parts.headers);
    if let Framing::Length(length) = framing {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    parts.headers.entry(http::header::DATE).or_insert_with(date);
    let mut head = Response::new(());
    *head.status_mut() = parts.status;
    *head.headers_mut() = parts.headers;
    let is_whole = body.is_end_stream() && framing != Framing::Chunked;
    match respond.send_response(head, is_whole) {
        Ok(stream) if !is_whole => Some((stream, body)),
        // It is said, or there is nobody left to say it to.
        _ => None,
    }
}

/// RFC 9113 section 8.2.2: fields of a connection have no place here.
fn strip(headers: &mut HeaderMap) {
    for name in [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// Why an answer could not be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    /// The client has reset the stream, or is gone.
    Unwanted,
    /// The client takes nothing.
    Stalled,
    /// The answer broke off.
    Body,
}

/// The body of an answer. A piece is asked for only when there is room in the client's window.
struct Answer {
    stream: SendStream<Bytes>,
    body: Body,
    /// What was asked for and has found no room yet.
    piece: Bytes,
    /// A part of it was sent.
    is_cut: bool,
    is_blocked: bool,
    /// There is one as soon as the client lets us wait.
    deadline: Option<Deadline>,
}

impl Answer {
    fn new(stream: SendStream<Bytes>, body: Body) -> Self {
        Answer { stream, body, piece: Bytes::new(), is_cut: false, is_blocked: false, deadline: None }
    }

    async fn send(&mut self, stall: Duration) -> Result<(), Broken> {
        let sent = std::future::poll_fn(|cx| self.poll_send(cx, stall)).await;
        match sent {
            // Never a clean end: the client must not take the answer for complete.
            Err(Broken::Body) => {
                // A reset takes back what was not yet written. The connection's task is at its turn first, so that the
                // client has an answer that broke off and not none.
                tokio::task::yield_now().await;
                self.stream.send_reset(Reason::INTERNAL_ERROR);
            }
            Err(Broken::Stalled) => self.stream.send_reset(Reason::CANCEL),
            Ok(()) | Err(Broken::Unwanted) => {}
        }
        sent
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, stall: Duration) -> Poll<Result<(), Broken>> {
        if self.stream.poll_reset(cx).is_ready() {
            return Poll::Ready(Err(Broken::Unwanted));
        }
        self.is_blocked = false;
        if let Poll::Ready(sent) = self.poll_pieces(cx) {
            return Poll::Ready(sent);
        }
        if !self.is_blocked {
            if let Some(deadline) = &self.deadline {
                deadline.clear();
            }
            return Poll::Pending;
        }
        let deadline = self.deadline.get_or_insert_with(Deadline::never);
        if !deadline.is_set() {
            deadline.set(stall);
        }
        deadline.poll_over(cx).map(|()| Err(Broken::Stalled))
    }

    fn poll_pieces(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            let room = match self.poll_room(cx) {
                Poll::Ready(room) => room?,
                Poll::Pending => {
                    self.is_blocked = true;
                    return Poll::Pending;
                }
            };
            if self.piece.is_empty() {
                match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                    None => return Poll::Ready(self.end(None)),
                    Some(Err(_)) => return Poll::Ready(Err(Broken::Body)),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => self.piece = data,
                        Err(frame) => return Poll::Ready(self.end(frame.into_trailers().ok())),
                    },
                }
            }
            // What there is beyond the byte, now that the piece is known.
            self.stream.reserve_capacity(self.piece.len().max(1));
            let room = self.stream.capacity().max(room);
            let mut now = self.piece.split_to(room.min(self.piece.len()));
            if self.is_cut || !self.piece.is_empty() {
                // A part would keep the whole of a large piece in memory until the client has taken it.
                now = Bytes::copy_from_slice(&now);
            }
            self.is_cut = !self.piece.is_empty();
            if let Some(deadline) = &self.deadline {
                deadline.clear();
            }
            let is_end = self.piece.is_empty() && self.body.is_end_stream();
            if is_end || !now.is_empty() {
                self.stream.send_data(now, is_end).map_err(|_| Broken::Unwanted)?;
            }
            if is_end {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// How much may be sent now, at least a byte.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        // One byte while nobody knows how large the next piece is: what is reserved and not used is lost to others.
        self.stream.reserve_capacity(self.piece.len().max(1));
        loop {
            let room = self.stream.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room));
            }
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(Err(Broken::Unwanted)),
            }
        }
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Broken> {
        let sent = match trailers {
            Some(mut trailers) => {
                strip(&mut trailers);
                self.stream.send_trailers(trailers)
            }
            None => self.stream.send_data(Bytes::new(), true),
        };
        sent.map_err(|_| Broken::Unwanted)
    }
}
