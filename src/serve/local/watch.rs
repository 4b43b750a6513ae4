//! The routes that are not deprecated and on which a token of ours may arrive, and telling whose the token is.

use http::header::EXPECT;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::Value;

use super::asking::Asking;
use super::ending::Whose;
use super::invitation::{BASE, Invitation};
use super::peek::{LARGEST, Peeked, peek};
use super::{Local, control, inspect, redeem};
use crate::body::Body;
use crate::caller::Caller;
use crate::listen::Peer;
use crate::reply;
use crate::route::{Call, Found, Table};
use crate::serve::rewrite::payload::{self, Payload};
use crate::token::keys::{self, Ours};
use crate::token::{self, InviteType, Token};
use http_body::Body as _;

/// A request that may be about a token of ours.
pub struct Task {
    what: What,
    call: Call,
}

/// What is done on a route.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Join(&'static Invitation),
    Inspect(inspect::Question),
    Control(control::Verb),
    EndAll(Whose),
}

/// What a watched route is about, for who asks without making a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The join that uses invitations of this type.
    Join(InviteType),
    /// A question about the token in the body, by its name: `examine`.
    Question(&'static str),
    /// The token of the id in the path, which has the form of ours or has not.
    Token {
        /// Whether it has.
        is_ours: bool,
    },
    /// The end of all tokens of somebody.
    EndOfAll,
}

/// A token of ours that arrived in a body.
pub(super) struct Arrived {
    pub token: Token,
    /// Its signature is not ours.
    pub is_tampered: bool,
    /// All of the body, which is an object.
    pub data: serde_json::Map<String, Value>,
}

/// The watched routes, and what is done on each, in the same order.
pub(super) fn table() -> (Table, Vec<What>) {
    let mut rows = Vec::new();
    for invitation in Invitation::all() {
        rows.push((Method::POST, invitation.join(), What::Join(invitation)));
    }
    for question in inspect::Question::ALL {
        let path = format!("{BASE}/tokens/{}", question.name());
        rows.push((Method::POST, path, What::Inspect(question)));
    }
    for verb in control::Verb::ALL {
        rows.push((verb.method(), format!("{BASE}{}", verb.path()), What::Control(verb)));
    }
    for whose in Whose::ALL {
        rows.push((Method::DELETE, whose.path(), What::EndAll(whose)));
    }
    let table = Table::of(rows.iter().map(|(method, path, _)| (path.as_str(), method, path.as_str())))
        .expect("this cannot fail because the routes are different, and a test builds it");
    (table, rows.into_iter().map(|(_, _, what)| what).collect())
}

/// What a request of this method and path may be about, where there is a token module.
pub fn watched(method: &Method, path: &str) -> Option<Watched> {
    let (table, tasks) = table();
    let Found::Call(call) = table.find(method, path) else { return None };
    Some(match tasks[call.operation] {
        What::Join(invitation) => Watched::Join(invitation.kind),
        What::Inspect(question) => Watched::Question(question.name()),
        What::EndAll(_) => Watched::EndOfAll,
        What::Control(_) => Watched::Token { is_ours: keys::has_our_form(call.id("id").unwrap_or_default()) },
    })
}

impl Local {
    /// Whether a request may be about a token of ours.
    pub fn watches(&self, method: &Method, path: &str) -> Option<Task> {
        let Found::Call(call) = self.0.routes.find(method, path) else { return None };
        Some(Task { what: self.0.tasks[call.operation], call })
    }

    /// Answers such a request if it is, and has it forwarded as it came if it is not.
    pub async fn watch(
        &self,
        task: Task,
        request: Request<Body>,
        peer: &Peer,
        forward: impl AsyncFnOnce(Request<Body>) -> Response<Body>,
    ) -> Response<Body> {
        let Task { what, call } = task;
        if let What::Control(verb) = what {
            let id = call.id("id").unwrap_or_default();
            if !keys::has_our_form(id) {
                return forward(request).await;
            }
            return self.control(verb, id, request, peer).await;
        }
        if let What::EndAll(whose) = what {
            return self.end_all(whose, &call, request, forward).await;
        }
        // Whatever is refused before the token is looked at is the backend's to refuse.
        let is_readable = payload::is_json(request.headers())
            && request.body().size_hint().lower() <= LARGEST as u64
            && !request.body().is_end_stream();
        if !is_readable {
            return forward(request).await;
        }
        let (mut parts, body) = request.into_parts();
        continue_now(&mut parts.headers, peer);
        let Peeked { whole, body } = match peek(body).await {
            Ok(peeked) => peeked,
            // The connection to the client knows what was wrong, and answers or not.
            Err(broken) => return reply::unheard(&broken),
        };
        let Some(arrived) = whole.and_then(|bytes| self.ours_in(&bytes)) else {
            return forward(Request::from_parts(parts, body)).await;
        };
        let caller = Caller::of(&parts.headers);
        let own = parts.uri.path_and_query().map_or("", |own| own.as_str());
        let asking = Asking::new(self, &caller, own, &parts.headers);
        let answer = match what {
            What::Join(invitation) => redeem::answer(&asking, invitation, &call, arrived, peer).await,
            What::Inspect(question) => inspect::answer(&asking, question, arrived, peer).await,
            What::Control(_) | What::EndAll(_) => return reply::failure(&reply::Failure::Internal, false),
        };
        answer.unwrap_or_else(|stop| stop.into_response(reply::wants_problem(&parts.headers)))
    }

    async fn control(
        &self,
        verb: control::Verb,
        id: &str,
        request: Request<Body>,
        peer: &Peer,
    ) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let payload = if verb == control::Verb::Change {
            continue_now(&mut parts.headers, peer);
            Payload::read(&parts.headers, body).await
        } else {
            Payload::Unjudged(body)
        };
        let caller = Caller::of(&parts.headers);
        let own = parts.uri.path_and_query().map_or("", |own| own.as_str());
        let asking = Asking::new(self, &caller, own, &parts.headers);
        let answer = control::answer(&asking, verb, id, &payload).await;
        answer.unwrap_or_else(|stop| stop.into_response(reply::wants_problem(&parts.headers)))
    }

    /// The token under `token` in a JSON object, if it is ours. No ledger is asked.
    fn ours_in(&self, bytes: &[u8]) -> Option<Arrived> {
        let Ok(Value::Object(data)) = serde_json::from_slice(bytes) else { return None };
        let text = data.get("token")?.as_str()?;
        let token = Token::parse(token::strip_service_prefix(text)).ok()?;
        let is_tampered = match self.keys().is_ours(&token) {
            Ours::No => return None,
            Ours::Yes => false,
            Ours::Tampered => true,
        };
        Some(Arrived { token, is_tampered, data })
    }
}

/// The body is read by us, so nobody else tells the client to send it.
fn continue_now(headers: &mut HeaderMap, peer: &Peer) {
    if headers.remove(EXPECT).is_some() {
        peer.interim.send(StatusCode::CONTINUE, &HeaderMap::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_watched_route_is_found() {
        let (table, tasks) = table();
        assert_eq!(tasks.len(), 9 + 3 + 4 + 4);
        for (method, path) in [
            (Method::POST, "/user/groups/join"),
            (Method::POST, "/groups/g/parents/join/"),
            (Method::POST, "/spaces/s/harvesters/j%6Fin"),
            (Method::POST, "/tokens/verify_invite_token"),
            (Method::DELETE, "/tokens/named/x"),
            (Method::GET, "/tokens/named/x/status"),
            (Method::DELETE, "/user/tokens/named"),
            (Method::DELETE, "/providers/p/tokens/named"),
        ] {
            let found = table.find(&method, &format!("{BASE}{path}"));
            assert!(matches!(found, Found::Call(_)), "{method} {path}: {found:?}");
        }
        for (method, path) in [
            (Method::GET, "/user/groups/join"),
            (Method::POST, "/harvesters/h/spaces/join"),
            (Method::PATCH, "/tokens/named/x/status"),
            (Method::GET, "/tokens/named"),
            (Method::GET, "/user/tokens/named"),
            (Method::DELETE, "/tokens/named"),
            (Method::DELETE, "/user/tokens/temporary"),
        ] {
            let found = table.find(&method, &format!("{BASE}{path}"));
            assert!(!matches!(found, Found::Call(_)), "{method} {path}: {found:?}");
        }
    }
}
