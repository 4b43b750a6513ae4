//! Whether an answer proves that the backend accepted the credentials of a call, so that whoever they name did call.
//! What comes from nobody but us proves nothing, and neither does an answer that is given before credentials are looked
//! at.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use serde_json::Value;

use crate::body::{Body, Broken};
use crate::reply;

/// The largest error that is read. Onezone's have a few hundred bytes.
const LONGEST: usize = 64 * 1024;

/// Whether an answer proves who called. Where that depends on its body, the body is looked at and left as it is.
pub async fn proves(response: &mut Response<Body>) -> bool {
    let status = response.status();
    if status.is_success() {
        return true;
    }
    if reply::is_ours(response) {
        return false;
    }
    match status {
        StatusCode::FORBIDDEN | StatusCode::NOT_ACCEPTABLE | StatusCode::UNSUPPORTED_MEDIA_TYPE => true,
        StatusCode::BAD_REQUEST
        | StatusCode::NOT_FOUND
        | StatusCode::CONFLICT
        | StatusCode::SERVICE_UNAVAILABLE => is_envelope(&error_of(response).await),
        StatusCode::UNAUTHORIZED => {
            let auth_error = &error_of(response).await["details"]["authError"];
            auth_error["id"] == "tokenCaveatUnverified" && auth_error["details"]["caveat"]["type"] == "api"
        }
        _ => false,
    }
}

fn is_envelope(error: &Value) -> bool {
    error["id"].is_string() && error["description"].is_string()
}

/// The error in Onezone's envelope, null where there is none.
async fn error_of(response: &mut Response<Body>) -> Value {
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes().get(..16).is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/json"))
    });
    let is_plain = !response.headers().contains_key(header::CONTENT_ENCODING);
    if !is_json || !is_plain {
        return Value::Null;
    }
    let bytes = seen(response.body_mut()).await;
    let body: Option<Value> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    body.and_then(|mut body| body.get_mut("error").map(Value::take)).unwrap_or_default()
}

/// All of a body, if it is complete and not too long. Whoever reads it later reads all of it as well.
async fn seen(body: &mut Body) -> Option<Vec<u8>> {
    let mut rest = match body {
        Body::None => return None,
        Body::Full(bytes) => return (bytes.len() <= LONGEST).then(|| bytes.to_vec()),
        Body::Stream(_) => std::mem::take(body),
    };
    let (mut frames, mut seen) = (VecDeque::new(), Vec::new());
    let is_whole = loop {
        match std::future::poll_fn(|cx| Pin::new(&mut rest).poll_frame(cx)).await {
            None => break true,
            Some(Err(broken)) => {
                frames.push_back(Err(broken));
                break false;
            }
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    seen.extend_from_slice(data);
                }
                frames.push_back(Ok(frame));
                if seen.len() > LONGEST {
                    break false;
                }
            }
        }
    };
    *body = Body::stream(Replay { frames, rest });
    is_whole.then_some(seen)
}

/// A body of which some has been seen.
struct Replay {
    frames: VecDeque<Result<Frame<Bytes>, Broken>>,
    rest: Body,
}

impl http_body::Body for Replay {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        match this.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut this.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let data = self.frames.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref());
        let seen: u64 = data.map(|data| data.len() as u64).sum();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(seen));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(seen));
        }
        hint
    }
}
