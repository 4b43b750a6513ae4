//! The end of all named tokens of a user or a Oneprovider (contract, section 8), which is the backend's to grant: where it has
//! ended its own, those that were issued here end too. Whoever asks may have nothing left to ask with a second time, so
//! nothing is begun while the ledger is away, and what then fails all the same is tried until it is done.

use http::{Request, Response};
use jiff::Timestamp;

use super::asking::Asking;
use super::invitation::BASE;
use super::{Local, asking};
use crate::body::Body;
use crate::caller::Caller;
use crate::ledger::Away;
use crate::reply;
use crate::route::Call;
use crate::token::Subject;

/// Whose tokens end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The caller's.
    Callers(&'static str),
    /// Those of the user in the path.
    Users,
    /// Those of the Oneprovider in the path.
    Providers,
}

impl Whose {
    pub const ALL: [Whose; 4] =
        [Whose::Callers("user"), Whose::Callers("provider"), Whose::Users, Whose::Providers];

    /// The path of the tokens.
    pub fn path(self) -> String {
        match self {
            Whose::Callers(kind) => format!("{BASE}/{kind}/tokens/named"),
            Whose::Users => format!("{BASE}/users/{{id}}/tokens/named"),
            Whose::Providers => format!("{BASE}/providers/{{id}}/tokens/named"),
        }
    }
}

impl Local {
    /// Has the backend end somebody's tokens, and ends ours if it did. Its answer passes as it is.
    pub(super) async fn end_all(
        &self,
        whose: Whose,
        call: &Call,
        request: Request<Body>,
        forward: impl AsyncFnOnce(Request<Body>) -> Response<Body>,
    ) -> Response<Body> {
        if let Err(away) = self.ledger().check().await {
            tracing::error!("{away}");
            return reply::failure(&reply::Failure::LedgerAway, reply::wants_problem(request.headers()));
        }
        let issuer = self.issuer(whose, call, &request).await;
        let response = forward(request).await;
        // That it is done proves the credentials as well.
        if response.status().is_success()
            && let Some(issuer) = issuer
        {
            let local = self.clone();
            let now = self.now();
            // Also when the caller goes away meanwhile.
            let ended = tokio::spawn(async move {
                let _place = local.place();
                local.end_all_of(issuer.to_string(), now).await;
            });
            let _ = ended.await;
        }
        response
    }

    /// Ends what was left to be ended.
    ///
    /// # Errors
    ///
    /// The ledger is away; nothing is forgotten.
    pub async fn end_leftovers(&self) -> Result<(), Away> {
        loop {
            let Some(issuer) = self.still_to_end().last().cloned() else { return Ok(()) };
            self.ledger().delete_all(&issuer, self.now()).await?;
            self.still_to_end().retain(|other| *other != issuer);
        }
    }

    async fn end_all_of(&self, issuer: String, now: Timestamp) {
        if let Err(away) = self.ledger().delete_all(&issuer, now).await {
            tracing::error!(
                issuer,
                "the backend has ended all tokens of an issuer, the ledger could not and will: {away}"
            );
            self.still_to_end().push(issuer);
        }
    }

    fn still_to_end(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.ending.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Who has issued what is to end; nothing where the backend will not do it either.
    async fn issuer(&self, whose: Whose, call: &Call, request: &Request<Body>) -> Option<Subject> {
        let id = || call.id("id").unwrap_or_default().to_owned();
        match whose {
            Whose::Users => return Some(Subject::User(id())),
            Whose::Providers => return Some(Subject::Provider(id())),
            Whose::Callers(_) => {}
        }
        let caller = Caller::of(request.headers());
        let asking = Asking::new(self, &caller, "", request.headers());
        match asking.claimed() {
            Some(subject) => Some(subject),
            None if asking.is_anonymous() => None,
            // Asked before, because afterwards there may be nothing left to ask with.
            None => asking::subject_of(&asking).await,
        }
    }
}
