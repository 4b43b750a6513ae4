//! The modes: how a call of a deprecated operation is served once policy has decided. Knows no schedules and no
//! deprecation headers; it only says which mode made the answer.

pub mod gone;
pub mod local;
pub mod rewrite;

use http::{Request, Response};
use jiff::Timestamp;

use crate::body::Body;
use crate::caller::Caller;
use crate::operation::Mode;
use crate::policy::Entry;
use crate::reply;
use crate::route::Call;
use local::Local;
use rewrite::{Outcome, TokenApi};

/// An answer, and the mode that made it.
#[derive(Debug)]
pub struct Served {
    /// The answer, undressed.
    pub response: Response<Body>,
    /// The mode that made it, after any fallback.
    pub mode: Mode,
}

/// What the modes need.
#[derive(Clone, Copy)]
pub struct Modes<'a> {
    /// For `rewrite`.
    pub token_api: &'a TokenApi,
    /// For `local`.
    pub local: Option<&'a Local>,
}

impl Modes<'_> {
    /// Serves a call by `mode` and, where that provably had no effect, by the entry's fallbacks in turn. `forward` sends
    /// a request to the backend as it is.
    #[allow(clippy::too_many_arguments)]
    pub async fn serve(
        self,
        entry: &Entry,
        mode: Mode,
        call: &Call,
        caller: &Caller,
        now: Timestamp,
        mut request: Request<Body>,
        forward: impl AsyncFnOnce(Request<Body>) -> Response<Body>,
    ) -> Served {
        let wants_problem = reply::wants_problem(request.headers());
        let mut unserved = None;
        for mode in std::iter::once(mode).chain(entry.fallback.iter().copied()) {
            let response = match mode {
                Mode::Observe => forward(request).await,
                Mode::Gone => gone::answer(entry, call, request.headers()),
                Mode::Local => match self.local {
                    Some(local) => local.serve(&entry.operation, call, caller, now, request).await,
                    // No operation is configured to be served by what is not.
                    None => reply::failure(&reply::Failure::Internal, wants_problem),
                },
                Mode::Rewrite => {
                    match self.token_api.serve(&entry.operation, call, caller, now, request).await {
                        Outcome::Answered(response) => response,
                        Outcome::NotServed { obstacle, request: rest } => {
                            tracing::debug!(
                                operation = entry.operation.id,
                                ?obstacle,
                                "a call could not be rewritten"
                            );
                            unserved = Some((obstacle, mode));
                            let Some(rest) = rest else { break };
                            request = rest;
                            continue;
                        }
                    }
                }
            };
            return Served { response, mode };
        }
        let (obstacle, mode) = match unserved {
            Some((obstacle, mode)) => (obstacle.to_reply(), mode),
            None => (reply::Failure::Internal, mode),
        };
        Served { response: reply::failure(&obstacle, wants_problem), mode }
    }
}
