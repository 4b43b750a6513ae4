//! What became of an attempt to add a member, by the answer to it. Only an answer that can be nobody's but the backend's
//! proves that nothing was done: whatever stands between may have passed the request on before it said no.

use http::StatusCode;
use http::header::ALLOW;

use super::asking::{Stop, useless};
use super::redemption::Attempt;
use crate::reply;
use crate::serve::rewrite::answer::{self, error};
use crate::upstream::{Answer, Failure};

/// What became of an attempt to add a member to this target, and what is answered if that is the end.
pub(super) fn judge(outcome: Result<Answer, Failure>, path: &str, target: &str) -> (Attempt, Option<Stop>) {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(failure) if failure.had_no_effect() => return (Attempt::NotSent, Some(failure.into())),
        Err(failure) => return (Attempt::Unknown, Some(failure.into())),
    };
    match answer.status {
        StatusCode::CREATED | StatusCode::NO_CONTENT => (Attempt::Added, None),
        StatusCode::CONFLICT if error(&answer)["id"] == "relationAlreadyExists" => {
            (Attempt::AlreadyThere, None)
        }
        // The target is gone since the issuer was asked about.
        _ if answer::says_not_found(&answer) => {
            (Attempt::Refused, Some(reply::token::target_invalid(target).reply().into()))
        }
        StatusCode::BAD_REQUEST if is_the_backends(&answer) => {
            (Attempt::Refused, Some(answer::pass(answer, path, "").into()))
        }
        _ if is_the_backends(&answer) => (Attempt::Refused, Some(useless(&answer, path))),
        _ => (Attempt::Unknown, Some(useless(&answer, path))),
    }
}

/// Whether it is a refusal that Onezone gives on these routes, in its form: an error of the steps 9 to 13 of the contract's
/// section 3 in its envelope, or without a body what its router and its content negotiation answer (sections 2 and 3).
fn is_the_backends(answer: &Answer) -> bool {
    match answer.status {
        StatusCode::BAD_REQUEST
        | StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND => {
            let error = error(answer);
            error["id"].is_string() && error["description"].is_string()
        }
        StatusCode::METHOD_NOT_ALLOWED => answer.body.is_empty() && answer.headers.contains_key(ALLOW),
        StatusCode::NOT_ACCEPTABLE | StatusCode::UNSUPPORTED_MEDIA_TYPE => answer.body.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn judged(status: u16, fields: &[(&'static str, &'static str)], body: &'static str) -> Attempt {
        let fields = fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: fields.collect::<HeaderMap>(),
            body: Bytes::from_static(body.as_bytes()),
        };
        judge(Ok(answer), "/groups/g/users/u", "g").0
    }

    #[test]
    fn what_something_on_the_way_may_have_said_proves_nothing() {
        for status in [400, 401, 403, 404, 405, 406, 408, 409, 410, 413, 415, 421, 425, 429, 431, 451, 499] {
            for body in
                ["<html>no</html>", r#"{"error":"no"}"#, r#"{"error":{"code":1}}"#, r#"{"message":"no"}"#]
            {
                assert_eq!(judged(status, &[], body), Attempt::Unknown, "{status} {body}");
            }
        }
        for status in [400, 401, 403, 404, 405, 408, 409, 410, 425, 429, 431, 499, 500, 502, 503, 504] {
            assert_eq!(judged(status, &[], ""), Attempt::Unknown, "{status} without a body");
        }
        let envelope = r#"{"error":{"id":"timeout","description":"Operation timed out."}}"#;
        for status in [408, 409, 425, 429, 499, 500, 503] {
            assert_eq!(judged(status, &[], envelope), Attempt::Unknown, "{status}");
        }
    }

    #[test]
    fn what_only_the_backend_says_is_a_refusal() {
        for (status, id) in
            [(400, "cannotAddRelationToSelf"), (401, "unauthorized"), (403, "forbidden"), (404, "notFound")]
        {
            let body = format!(r#"{{"error":{{"id":"{id}","description":"No."}}}}"#);
            assert_eq!(judged(status, &[], body.leak()), Attempt::Refused, "{status}");
        }
        assert_eq!(judged(405, &[("allow", "DELETE, GET")], ""), Attempt::Refused);
        assert_eq!(judged(406, &[], ""), Attempt::Refused);
        assert_eq!(judged(415, &[], ""), Attempt::Refused);
    }

    #[test]
    fn a_member_is_added_or_there_already() {
        let there = r#"{"error":{"id":"relationAlreadyExists","description":"Bad value."}}"#;
        assert_eq!(judged(201, &[], ""), Attempt::Added);
        assert_eq!(judged(204, &[], ""), Attempt::Added);
        assert_eq!(judged(409, &[], there), Attempt::AlreadyThere);
    }
}
