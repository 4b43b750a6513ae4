//! The clients: they have tokens issued, and redeem each of them several at once, at every program.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use duskgate::sandbox::{Person, Sandbox, Target};
use serde_json::json;
use tokio::sync::watch;

use super::site::{Line, Lines};
use crate::local::id_of;
use crate::support::http::{Request, Response};

/// Who tries a token, by number: three consumers, one of them twice. The first is at the first program, the second at the
/// second, and so on.
const CONSUMERS: [usize; TRIES] = [0, 1, 2, 0];
/// How often a token is tried at once.
pub const TRIES: usize = 4;
/// How often those who come again after no answer or a 5xx do. Every other token's do not, and what they left is for the
/// programs to finish.
const PERSISTENCE: usize = 3;

/// What the clients do and have seen.
pub struct Clients {
    anna: Person,
    groups: Vec<Target>,
    users: Vec<Person>,
    tokens: usize,
    next: AtomicUsize,
    done: watch::Sender<usize>,
    /// What was issued, by number.
    pub issued: Mutex<BTreeMap<usize, Token>>,
    refusals: Mutex<BTreeMap<String, usize>>,
    tried: AtomicUsize,
    joined: AtomicUsize,
    failed: AtomicUsize,
    dropped: AtomicUsize,
    issuing_failed: AtomicUsize,
}

/// A token that a client has received.
#[derive(Clone, Debug)]
pub struct Token {
    pub text: String,
    pub id: String,
    /// The id of the group to which it leads.
    pub group: String,
    /// Those who tried it, and nobody else of the crowd tried one for this group.
    pub consumers: Vec<String>,
    /// Ids of those who were told 201, as often as they were.
    pub joined: Vec<String>,
    /// Ids of those who were told that they are members already.
    pub members: Vec<String>,
}

/// What a consumer was told in the end.
enum Told {
    Joined,
    Member,
    Refused,
    Nothing,
}

impl Clients {
    pub fn new(onezone: &Sandbox, tokens: usize, groups: usize) -> Self {
        let (groups, users) = onezone.add_crowd(groups, 3 * tokens.div_ceil(groups));
        Clients {
            anna: onezone.fixture.user("anna").clone(),
            groups,
            users,
            tokens,
            next: AtomicUsize::new(0),
            done: watch::Sender::new(0),
            issued: Mutex::default(),
            refusals: Mutex::default(),
            tried: AtomicUsize::new(0),
            joined: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
            issuing_failed: AtomicUsize::new(0),
        }
    }

    /// Works on one token after the other until none is left.
    pub async fn sit_down(self: Arc<Self>, table: usize, lines: Lines) {
        let mut issuing = lines.to(table);
        let mut four = [0, 1, 2, 3].map(|program| lines.to(program));
        loop {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            if number >= self.tokens {
                return;
            }
            let token = self.issue(number, &mut issuing).await;
            let [a, b, c, d] = &mut four;
            tokio::join!(
                self.redeem(number, &token, 0, a),
                self.redeem(number, &token, 1, b),
                self.redeem(number, &token, 2, c),
                self.redeem(number, &token, 3, d),
            );
            self.done.send_modify(|done| *done += 1);
        }
    }

    /// Waits until so many tokens have been tried.
    pub async fn wait_for(&self, tokens: usize) {
        self.done.subscribe().wait_for(|done| *done >= tokens).await.expect("it lives");
    }

    /// Redeems a token once more, as the one who tried it first.
    pub async fn redeem_at_last(&self, number: usize, token: &Token, lines: &Lines) {
        let mut line = lines.to(0);
        for _ in 0..=PERSISTENCE {
            self.redeem(number, token, 0, &mut line).await;
            if !self.issued.lock().unwrap()[&number].joined.is_empty() {
                return;
            }
        }
    }

    async fn issue(&self, number: usize, line: &mut Line) -> Token {
        let group = &self.groups[number % self.groups.len()].id;
        let path = format!("/api/v3/onezone/groups/{group}/users/token");
        loop {
            match line.ask(&Request::new("POST", &path).token(&self.anna.token)).await {
                Some(response) if response.status == 200 => {
                    let text = response.json()["token"].as_str().unwrap().to_owned();
                    let consumers = (0..3).map(|which| self.consumer(number, which).id.clone()).collect();
                    let id = id_of(&text);
                    let (joined, members) = (Vec::new(), Vec::new());
                    let token = Token { text, id, group: group.clone(), consumers, joined, members };
                    self.issued.lock().unwrap().insert(number, token.clone());
                    return token;
                }
                Some(response) if response.status < 500 => panic!("no token: {response:?}"),
                _ => self.issuing_failed.fetch_add(1, Ordering::SeqCst),
            };
            pause().await;
        }
    }

    async fn redeem(&self, number: usize, token: &Token, which: usize, line: &mut Line) {
        let consumer = self.consumer(number, CONSUMERS[which]);
        let request = Request::new("POST", "/api/v3/onezone/user/groups/join")
            .token(&consumer.token)
            .json(json!({ "token": token.text }));
        let persistence = if number.is_multiple_of(2) { PERSISTENCE } else { 0 };
        for _ in 0..=persistence {
            self.tried.fetch_add(1, Ordering::SeqCst);
            let told = self.note(line.ask(&request).await);
            if self.keep(number, consumer, told) {
                return;
            }
            pause().await;
        }
    }

    /// Keeps what a consumer was told; whether that was anything.
    fn keep(&self, number: usize, consumer: &Person, told: Told) -> bool {
        let mut issued = self.issued.lock().unwrap();
        let token = issued.get_mut(&number).expect("it was issued");
        match told {
            Told::Joined => token.joined.push(consumer.id.clone()),
            Told::Member => token.members.push(consumer.id.clone()),
            Told::Refused => {}
            Told::Nothing => return false,
        }
        true
    }

    fn note(&self, response: Option<Response>) -> Told {
        let Some(response) = response else {
            self.dropped.fetch_add(1, Ordering::SeqCst);
            return Told::Nothing;
        };
        if response.status == 201 {
            self.joined.fetch_add(1, Ordering::SeqCst);
            return Told::Joined;
        }
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let id = body["error"]["id"].as_str().unwrap_or("no body");
        *self.refusals.lock().unwrap().entry(format!("{} {id}", response.status)).or_default() += 1;
        match (response.status, id) {
            (400, "inviteTokenUsageLimitReached") => Told::Refused,
            (409, "relationAlreadyExists") => Told::Member,
            (500.., _) => {
                self.failed.fetch_add(1, Ordering::SeqCst);
                Told::Nothing
            }
            _ => panic!("not to be expected: {response:?}"),
        }
    }

    /// Three of the crowd for each token, and for each of a group's tokens others.
    fn consumer(&self, number: usize, which: usize) -> &Person {
        &self.users[number / self.groups.len() * 3 + which]
    }
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [tried, joined, failed, dropped, issuing_failed] =
            [&self.tried, &self.joined, &self.failed, &self.dropped, &self.issuing_failed]
                .map(|count| count.load(Ordering::SeqCst));
        let issued = self.issued.lock().unwrap().len();
        write!(
            f,
            "{issued} tokens issued, {issuing_failed} times in vain\n  {tried} redemptions tried: {joined} told 201, \
             {failed} a 5xx, {dropped} connections dropped; refusals and failures:"
        )?;
        let refusals = self.refusals.lock().unwrap();
        refusals.iter().try_for_each(|(id, count)| write!(f, " {count} {id},"))
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}
