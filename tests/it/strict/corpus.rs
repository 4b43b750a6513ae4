//! The corpus: every malformed or unusual request of `tests/data/http1-corpus.txt` through the real binary, in one piece
//! and byte by byte, on a route that is passed on and on routes that Duskgate answers itself. The backend counts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Gate;

const CORPUS: &str = include_str!("../../data/http1-corpus.txt");
/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(20);
const DEPRECATED: &str = "/api/v3/onezone/groups/g1/users/token";

/// One request, or several in a row, and what is expected.
struct Case {
    line: usize,
    raw: Vec<u8>,
    /// So many are answered by the backend,
    served: usize,
    /// and then one is refused, with this status for this reason.
    refused: Option<(u16, &'static str)>,
}

#[tokio::test]
async fn the_corpus_is_judged_as_it_says() {
    judge(&Gate::new(), "/", usize::MAX).await;
}

#[tokio::test]
async fn the_corpus_is_judged_the_same_byte_by_byte() {
    judge(&Gate::new(), "/", 1).await;
}

#[tokio::test]
async fn the_corpus_is_refused_on_a_route_that_is_rewritten() {
    judge(&Gate::in_mode("rewrite"), DEPRECATED, usize::MAX).await;
}

#[tokio::test]
async fn the_corpus_is_refused_on_a_route_that_is_gone() {
    judge(&Gate::in_mode("gone"), DEPRECATED, usize::MAX).await;
}

#[test]
fn the_corpus_has_no_case_twice() {
    let mut seen = BTreeMap::new();
    let cases = cases();
    assert!(cases.len() >= 600, "{} cases", cases.len());
    for case in cases {
        let before = seen.insert(case.raw, case.line);
        assert_eq!(before, None, "line {} again", case.line);
    }
}

/// Sends every case; all that are judged otherwise than expected are told at once.
async fn judge(gate: &Gate, path: &str, piece: usize) {
    let mut wrong = Vec::new();
    for case in cases() {
        let is_own = path != "/";
        // Whether a body is malformed is not looked at where the answer does not depend on it, and how often a good one
        // is answered is the business of other tests.
        if is_own && (case.served > 0 || case.refused.is_some_and(|(_, reason)| reason == "chunk")) {
            continue;
        }
        if let Err(found) = gate.judge(&case, path, piece).await {
            wrong.push(format!("line {}: {found}\n    {:?}", case.line, String::from_utf8_lossy(&case.raw)));
        }
    }
    assert!(wrong.is_empty(), "{} judged otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

impl Gate {
    async fn judge(&self, case: &Case, path: &str, piece: usize) -> Result<(), String> {
        // To ask for the count each time takes a while: once is enough.
        let reason = case.refused.map(|(_, reason)| reason).filter(|_| path == "/" && piece > 1);
        let seen = self.backend.requests().len();
        let counted = match reason {
            Some(reason) => self.counted(reason).await,
            None => 0.0,
        };
        let raw = with_path(&case.raw, path);
        let mut connection = self.connect(&raw, piece.min(raw.len())).await;
        for number in 1..=case.served {
            match connection.response("GET").await {
                Some(response) if response.status == 200 => {}
                Some(response) => return Err(format!("answer {number} is {}", response.status)),
                None => return Err(format!("no answer {number}")),
            }
        }
        let refusal = match case.refused {
            Some(_) => tokio::time::timeout(PATIENCE, connection.response("GET")).await.ok().flatten(),
            None => None,
        };
        if case.refused.is_none() {
            connection.finish().await;
        }
        let asked = self.backend.requests().len() - seen;
        let Some((status, _)) = case.refused else {
            let (rest, _) = connection.rest().await;
            return if rest.is_empty() && asked == case.served {
                Ok(())
            } else {
                Err(format!("the backend has seen {asked}, the client {rest:?}"))
            };
        };
        let is_refused = refusal.as_ref().is_some_and(|refusal| {
            refusal.status == status
                && refusal.header("connection") == Some("close")
                && refusal.header("content-length") == Some("0")
        });
        if is_refused && connection.is_closed().await && asked == case.served {
            return match reason {
                Some(reason) if self.counted(reason).await - counted != 1.0 => {
                    Err(format!("not counted as {reason}"))
                }
                _ => Ok(()),
            };
        }
        Err(format!("the backend has seen {asked}, the client {refusal:?}"))
    }
}

/// The first request with another path, where its target is `/`.
fn with_path(raw: &[u8], path: &str) -> Vec<u8> {
    let plain = b" / HTTP/1.";
    match raw.windows(plain.len()).position(|window| window == plain) {
        Some(at) if !raw[..at].contains(&b'\n') => [&raw[..=at], path.as_bytes(), &raw[at + 2..]].concat(),
        _ => raw.to_vec(),
    }
}

fn cases() -> Vec<Case> {
    let lines = CORPUS.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(index, line)| case(index + 1, line)).collect()
}

fn case(line: usize, text: &'static str) -> Case {
    let (verdict, raw) = text.split_once(" | ").expect("a verdict and the bytes");
    let (served, refusal) = match verdict.split_once(" then ") {
        Some((served, refusal)) => (served.parse().expect("a count"), Some(refusal)),
        None if verdict.contains(' ') => (0, Some(verdict)),
        None => (verdict.parse().expect("a count"), None),
    };
    let refused = refusal.map(|refusal| {
        let (status, reason) = refusal.split_once(' ').expect("a status and a reason");
        (status.parse().expect("a status"), reason)
    });
    Case { line, raw: unescape(raw), served, refused }
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().expect("an escape") {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'\\' => b'\\',
                b'x' => {
                    let digits = [rest.next(), rest.next()].map(|digit| digit.expect("two digits") as char);
                    u8::from_str_radix(&String::from_iter(digits), 16).expect("hexadecimal")
                }
                other => panic!("no escape: {}", other as char),
            },
            plain => plain,
        });
    }
    bytes
}
