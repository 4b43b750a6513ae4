//! Counting and logging a request, once: when its answer is there, or when it turns out that nobody waits for one.
//! A client that goes away has called all the same, and its request may have taken effect.

use std::time::Instant;

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use jiff::Timestamp;

use super::Pipeline;
use crate::body::Body;
use crate::caller::Caller;
use crate::listen::Peer;
use crate::log::{DeprecatedCall, OtherRequest};
use crate::metrics::Route;
use crate::operation::{Mode, Phase};
use crate::policy::{self, Entry};
use crate::route::Found;
use crate::{reply, trace, usage};

/// What a call is counted by beside its answer.
pub(super) struct Calling {
    pub caller: Caller,
    user_agent: Option<HeaderValue>,
    phase: Phase,
    pub now: Timestamp,
    begin: Instant,
}

impl Calling {
    pub fn of(headers: &HeaderMap, phase: Phase, now: Timestamp, begin: Instant) -> Self {
        let user_agent = headers.get(USER_AGENT).cloned();
        Calling { caller: Caller::of(headers), user_agent, phase, now, begin }
    }
}

/// Counts a request that is given up: where its client goes away, the work on it is dropped, and this with it.
pub(super) struct Unless<F: FnOnce()>(Option<F>);

/// `count`s when it is dropped, unless the request was answered.
pub(super) fn unless_answered<F: FnOnce()>(count: F) -> Unless<F> {
    Unless(Some(count))
}

impl<F: FnOnce()> Unless<F> {
    /// There is an answer, which is counted instead.
    pub fn answered(mut self) {
        self.0 = None;
    }
}

impl<F: FnOnce()> Drop for Unless<F> {
    fn drop(&mut self) {
        if let Some(count) = self.0.take() {
            count();
        }
    }
}

impl Pipeline {
    /// Counts a call of a deprecated operation.
    pub(super) fn count_call(
        &self,
        entry: &Entry,
        calling: &Calling,
        mode: Mode,
        code: u16,
        verified: bool,
        peer: &Peer,
    ) {
        let Calling { caller, user_agent, phase, now, begin } = calling;
        let (phase, now) = (*phase, *now);
        let (operation, duration) = (&entry.operation, begin.elapsed());
        let seconds = duration.as_secs_f64();
        trace::note(|facts| {
            facts.route = Some(operation.template.clone());
            facts.operation = Some(operation.id.clone());
            (facts.mode, facts.phase) = (Some(mode.name()), Some(phase.name()));
        });
        self.metrics.request(Route::Deprecated, &operation.method, code, seconds);
        self.metrics.deprecated(&operation.id, mode, phase, code, seconds, now);
        if let Some(usage) = &self.usage {
            usage.called(&usage::Call {
                operation: &operation.id,
                consumer: &caller.consumer,
                verified,
                mode,
                status: code,
                user_agent: user_agent.as_ref().map(HeaderValue::as_bytes),
                address: peer.client(),
                at: now,
            });
        }
        self.log.deprecated(&DeprecatedCall {
            at: now,
            operation: &operation.id,
            mode,
            phase,
            consumer: &caller.consumer,
            method: &operation.method,
            template: &operation.template,
            status: code,
            duration,
            peer: peer.address,
        });
    }

    /// Counts the answer to any other request.
    pub(super) fn answered_other(
        &self,
        method: &Method,
        path: Option<&str>,
        response: &Response<Body>,
        peer: &Peer,
        begin: Instant,
    ) {
        if let Some(code) = reply::counted_as(response) {
            self.count_other(method, path, code, peer, begin);
        }
    }

    /// Counts any other request.
    pub(super) fn count_other(
        &self,
        method: &Method,
        path: Option<&str>,
        status: u16,
        peer: &Peer,
        begin: Instant,
    ) {
        let duration = begin.elapsed();
        self.metrics.request(Route::Other, method, status, duration.as_secs_f64());
        if let Some(path) = path.filter(|_| self.log.wants_all()) {
            let peer = peer.address;
            self.log.other(&OtherRequest { at: self.clock.now(), method, path, status, duration, peer });
        }
    }

    /// Counts a request that was not served.
    pub(super) fn count_unserved(&self, request: &Request<Body>, peer: &Peer, begin: Instant, code: u16) {
        let path = request.uri().path();
        let template = match self.book.table.find(request.method(), path) {
            Found::Call(call) => {
                let (entry, now) = (&self.book.entries[call.operation], self.clock.now());
                let verdict = policy::decide(entry, now);
                let calling = Calling::of(request.headers(), verdict.phase, now, begin);
                return self.count_call(entry, &calling, verdict.mode, code, false, peer);
            }
            Found::OtherMethod { operations } => {
                operations.first().map(|&first| self.book.entries[first].operation.template.as_str())
            }
            Found::Other => Some(path),
        };
        self.count_other(request.method(), template, code, peer, begin);
    }
}
