//! What is looked at when all is over: the members that the backend has, what the ledger says, and what clients were told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use duskgate::clock::Clock;
use duskgate::ledger::{Filter, Issued, Usage};
use duskgate::sandbox::Sandbox;
use jiff::SignedDuration;

use super::clients::{Clients, Token};
use super::site::Site;
use super::wait_until;
use crate::support::http::{Request, ask};

/// What was found.
pub struct Verdict {
    members: usize,
    /// Reservations at the end of the faults, and when there was time to finish them.
    reserved: usize,
    left: usize,
    /// Tokens that nobody could redeem before, and what came of trying once more.
    unused: usize,
    redeemed: usize,
    /// Every promise that was broken.
    pub faults: Vec<String>,
}

/// Waits for what was left to be finished, and looks.
pub async fn reach(onezone: &Sandbox, site: &Site, clients: &Clients) -> Verdict {
    let reserved = pending(site).await;
    wait_until("all reservations are finished", async || pending(site).await == 0).await;
    let mut verdict = Verdict {
        members: 0,
        reserved,
        left: pending(site).await,
        unused: 0,
        redeemed: 0,
        faults: Vec::new(),
    };
    let tokens = clients.issued.lock().unwrap().clone();
    verdict.judge(&tokens, &ledger(site).await, &members(onezone, &tokens).await);

    // What nobody could use is still good.
    let records = ledger(site).await;
    let is_unused =
        |token: &Token| matches!(records.get(&token.id), Some(Issued { usage: Usage::Unused, .. }));
    for (number, token) in tokens.iter().filter(|(_, token)| is_unused(token)) {
        verdict.unused += 1;
        clients.redeem_at_last(*number, token, &site.lines()).await;
        let joined = clients.issued.lock().unwrap()[number].joined.clone();
        if !joined.is_empty() {
            verdict.redeemed += 1;
        } else {
            verdict.faults.push(format!("unused, but cannot be redeemed: {token:?}"));
        }
    }
    let tokens = clients.issued.lock().unwrap().clone();
    verdict.members = 0;
    verdict.judge(&tokens, &ledger(site).await, &members(onezone, &tokens).await);
    verdict
}

impl Verdict {
    fn judge(
        &mut self,
        tokens: &BTreeMap<usize, Token>,
        records: &BTreeMap<String, Issued>,
        members: &BTreeMap<String, BTreeSet<String>>,
    ) {
        let mut accounted: BTreeMap<&str, usize> = BTreeMap::new();
        for token in tokens.values() {
            let is_in = |user: &&String| members[&token.group].contains(*user);
            let found: Vec<&String> = token.consumers.iter().filter(is_in).collect();
            *accounted.entry(&token.group).or_default() += found.len();
            self.members += found.len();
            let mut complain = |what: &str| self.faults.push(format!("{what}: members {found:?}, {token:?}"));
            if found.len() > 1 {
                complain("more than one member by a token");
            }
            if token.joined.iter().any(|user| !found.contains(&user)) {
                complain("one who was told 201 is no member");
            }
            if token.members.iter().any(|user| !found.contains(&user)) {
                complain("one who was told that it is a member is none");
            }
            match records.get(&token.id).map(|record| &record.usage) {
                None => complain("an issued token is lost"),
                Some(Usage::Unused) if found.is_empty() => {}
                Some(Usage::Used { consumer, .. })
                    if found.len() == 1 && *consumer == format!("usr-{}", found[0]) => {}
                Some(usage) => complain(&format!("the ledger says {usage:?}")),
            }
        }
        for (group, members) in members {
            let by_tokens = accounted.get(group.as_str()).copied().unwrap_or_default();
            if members.len() != by_tokens {
                self.faults.push(format!("{} members by {by_tokens} uses in {group}", members.len()));
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { members, reserved, left, unused, redeemed, faults } = self;
        write!(
            f,
            "{members} members; {reserved} reservations open at the end of the faults, {left} left; {unused} tokens unused \
             then, {redeemed} of them redeemed afterwards; {} promises broken",
            faults.len()
        )
    }
}

/// How many reservations are open.
async fn pending(site: &Site) -> usize {
    let soon = Clock::Real.now() + SignedDuration::from_hours(1);
    match site.ledger.pending(soon, None, 100_000).await {
        Ok(pending) => pending.len(),
        Err(away) => panic!("the ledger is away although nothing fails any more: {away}"),
    }
}

/// All that the ledger has, by id.
async fn ledger(site: &Site) -> BTreeMap<String, Issued> {
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let filter = Filter { after, most: 1000, ..Filter::default() };
        let page = site.ledger.list(&filter).await.unwrap();
        all.extend(page.tokens.into_iter().map(|issued| (issued.id.clone(), issued)));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// Who is in each group, of those who were not in it before.
async fn members(onezone: &Sandbox, tokens: &BTreeMap<usize, Token>) -> BTreeMap<String, BTreeSet<String>> {
    let before = ["anna", "mia"].map(|who| onezone.fixture.user(who).id.clone());
    let groups: BTreeSet<&String> = tokens.values().map(|token| &token.group).collect();
    let mut members = BTreeMap::new();
    for group in groups {
        let request = Request::new("GET", &format!("/api/v3/onezone/groups/{group}/users"));
        let request = request.token(&onezone.fixture.user("admin").token);
        let users = ask(onezone.address, &request).await.json()["users"].clone();
        let users: BTreeSet<String> = serde_json::from_value(users).unwrap();
        members.insert(group.clone(), users.into_iter().filter(|user| !before.contains(user)).collect());
    }
    members
}
